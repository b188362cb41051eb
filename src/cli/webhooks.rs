//! `webhooks`: events received from providers, and what became of them.

use serde_json::json;

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty, text},
    values::{CallName, call_name},
};
use crate::{
    config::{self, Variables},
    domain::{CallId, Why},
    flow::{
        Queue,
        replay::{Kept, Replayed},
        view::WebhookEvent,
        webhook::Verdict,
    },
    provider::{Webhook, protocol},
};

/// Events received from providers, and what became of them.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum WebhooksCommand {
    /// List kept events, newest first.
    List {
        #[command(flatten)]
        #[expect(
            missing_docs,
            reason = "a doc comment here would take the place of the command's own help"
        )]
        which: Which,
    },
    /// Print the body of one event as it was received.
    Show {
        /// The event's number in `webhooks list`.
        #[arg(value_name = "EVENT")]
        event: i64,
    },
    /// Read events again and apply them: after an upgrade that understands more, or a repair.
    ///
    /// Events already applied, or too late, are not applied again, and no event moves a later dial.
    Replay(ReplayArgs),
}

/// Filters, and the page.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// Only events with this verdict.
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub verdict: Option<Verdict>,
    /// Only events of this trunk.
    #[arg(long, value_name = "TRUNK")]
    pub trunk: Option<String>,
    /// Only events about this call.
    #[arg(long, value_name = "CALL", value_parser = call_name, conflicts_with_all = ["verdict", "trunk"])]
    pub call: Option<CallName>,
    /// Events to list.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
}

/// Events by number, or by verdict.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("events").required(true).args(["event", "verdict"]))]
pub struct ReplayArgs {
    /// Replay these, by their numbers in `webhooks list`.
    #[arg(value_name = "EVENT")]
    pub event: Vec<i64>,
    /// Replay all events with this verdict, oldest first.
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub verdict: Option<Verdict>,
    /// Upper bound with --verdict; the newest are chosen.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
    /// What was repaired; kept in the calls' history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// Runs one `webhooks` command.
pub async fn run(
    command: &WebhooksCommand,
    calls: &Queue,
    variables: &Variables,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        WebhooksCommand::List { which } => list(which, calls, out).await,
        WebhooksCommand::Show { event } => {
            let (_, body) = body(*event, calls).await?;
            if out.style.terminal {
                out.line(String::from_utf8_lossy(&body))?;
            } else {
                out.data().write_all(&body)?;
            }
            Ok(Exit::Ok)
        }
        WebhooksCommand::Replay(args) => replay(args, calls, variables, by, out).await,
    }
}

async fn list(which: &Which, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let events = if let Some(call) = &which.call {
        let call = call.id(calls).await?;
        of_call(call, which.limit, calls).await?
    } else {
        let kept = Kept {
            verdict: which.verdict,
            trunk: which.trunk.as_deref(),
            limit: which.limit,
        };
        calls.webhook_events(&kept).await?
    };
    if out.style.json {
        out.json(&events)?;
        return Ok(Exit::Ok);
    }
    let rows = events.iter().map(|event| {
        vec![
            event.id.to_string(),
            instant(event.received_at),
            event.trunk.clone(),
            or_empty(event.status.as_ref()),
            event.verdict.clone(),
            event.deliveries.to_string(),
            or_empty(event.call_id),
        ]
    });
    let header = [
        "event",
        "received",
        "trunk",
        "status",
        "verdict",
        "deliveries",
        "call",
    ];
    let rows = rows.collect();
    out.table(&header, rows)?;
    Ok(Exit::Ok)
}

/// Events of one call. [`Queue::call_webhooks`] also reads their bodies, hence the pages limited in bytes; here they
/// are dropped.
async fn of_call(call: CallId, limit: i64, calls: &Queue) -> Result<Vec<WebhookEvent>, Failure> {
    const PAGE_BYTES: i64 = 16 * 1024 * 1024;
    let (mut events, mut below) = (Vec::new(), None);
    loop {
        let left = limit - i64::try_from(events.len()).unwrap_or(limit);
        let page = calls.call_webhooks(call, below, left, PAGE_BYTES).await?;
        events.extend(page.events.into_iter().map(|event| event.0));
        below = events.last().map(|event: &WebhookEvent| event.id);
        if !page.more || i64::try_from(events.len()).unwrap_or(limit) >= limit {
            return Ok(events);
        }
    }
}

async fn body(event: i64, calls: &Queue) -> Result<(String, Vec<u8>), Failure> {
    let body = calls.webhook_body(event).await?;
    body.ok_or_else(|| {
        Failure::failed(format!("there is no webhook event {event}"))
            .hint("`pgdial webhooks list` shows those there are")
    })
}

async fn replay(
    args: &ReplayArgs,
    calls: &Queue,
    variables: &Variables,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for event in chosen(args, calls).await? {
        let (trunk, body) = body(event, calls).await?;
        let report = match config::platform(variables, &trunk)? {
            Some(provider) => provider.read(&Webhook::kept(&body)),
            None => protocol::read_report(&body),
        };
        let verdict = calls
            .replay(event, Some(&report), by, args.why.as_deref())
            .await?;
        rows.push((event, verdict));
    }
    if out.style.json {
        let rows = rows
            .iter()
            .map(|(event, verdict)| json!({ "id": event, "verdict": verdict }));
        out.json(&rows.collect::<Vec<_>>())?;
    } else {
        let rows = rows
            .iter()
            .map(|(event, verdict)| vec![event.to_string(), text(&json!(verdict))]);
        let rows = rows.collect();
        out.table(&["event", "verdict"], rows)?;
    }
    let left = |verdict| matches!(verdict, Replayed::Unparsable | Replayed::NotFound);
    Ok(if rows.iter().any(|(_, verdict)| left(*verdict)) {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

/// Numbers of the chosen events, oldest first.
async fn chosen(args: &ReplayArgs, calls: &Queue) -> Result<Vec<i64>, Failure> {
    let Some(verdict) = args.verdict else {
        return Ok(args.event.clone());
    };
    let kept = Kept {
        verdict: Some(verdict),
        limit: args.limit,
        ..Kept::default()
    };
    let events = calls.webhook_events(&kept).await?;
    Ok(events.iter().rev().map(|event| event.id).collect())
}
