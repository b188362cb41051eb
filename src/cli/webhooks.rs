//! `webhooks`: what providers told us, and what became of it.

use serde_json::json;

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty, text},
};
use crate::{
    domain::{CallId, Why},
    flow::{
        Queue,
        replay::{Kept, Replayed},
        view::WebhookEvent,
    },
    provider::protocol,
};

/// What providers told us, and what became of it.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum WebhooksCommand {
    /// Kept events, newest first.
    List {
        #[command(flatten)]
        #[expect(
            missing_docs,
            reason = "a doc comment here would take the place of the command's own help"
        )]
        which: Which,
    },
    /// The body of one, as it came.
    Show {
        /// The event's number in `webhooks list`.
        #[arg(value_name = "EVENT")]
        event: i64,
    },
    /// Read events again and apply them: after an upgrade that understands more, or a repair.
    ///
    /// What was applied, or came too late, is not applied again, and no event moves a later dial.
    Replay(ReplayArgs),
}

/// Which events.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// Only those that ended so.
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub verdict: Option<Verdict>,
    /// Only those of this trunk.
    #[arg(long, value_name = "TRUNK")]
    pub trunk: Option<String>,
    /// Only those about this call.
    #[arg(long, value_name = "CALL", conflicts_with_all = ["verdict", "trunk"])]
    pub call: Option<CallId>,
    /// How many.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
}

/// Which events to replay.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("events").required(true).args(["event", "verdict"]))]
pub struct ReplayArgs {
    /// These, by their numbers in `webhooks list`.
    #[arg(value_name = "EVENT")]
    pub event: Vec<i64>,
    /// Or all that ended so, oldest first.
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub verdict: Option<Verdict>,
    /// At most this many of them, the newest.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
    /// What was mended; kept in the history of their calls.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Verdict {
    /// It moved its call.
    Applied,
    /// Progress, or a status word that we do not know.
    Noted,
    /// Its call had moved on.
    Stale,
    /// An earlier dial was answered after all, while a later one was in flight.
    #[value(name = "late_answer")]
    LateAnswer,
    /// It is not about the call that its URL names.
    Mismatch,
    /// Its call is not known yet, or its row could not be moved.
    Parked,
    /// Signed, but not of the protocol's form.
    Unparsable,
    /// Nobody here knows its call.
    Unmatched,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Noted => "noted",
            Self::Stale => "stale",
            Self::LateAnswer => "late_answer",
            Self::Mismatch => "mismatch",
            Self::Parked => "parked",
            Self::Unparsable => "unparsable",
            Self::Unmatched => "unmatched",
        }
    }
}

/// Does it.
pub async fn run(
    command: &WebhooksCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        WebhooksCommand::List { which } => list(which, calls, out).await,
        WebhooksCommand::Show { event } => {
            let body = body(*event, calls).await?;
            if out.style.terminal {
                out.line(String::from_utf8_lossy(&body))?;
            } else {
                out.data().write_all(&body)?;
            }
            Ok(Exit::Ok)
        }
        WebhooksCommand::Replay(args) => replay(args, calls, by, out).await,
    }
}

async fn list(which: &Which, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let events = if let Some(call) = which.call {
        of_call(call, which.limit, calls).await?
    } else {
        let kept = Kept {
            verdict: which.verdict.map(Verdict::as_str),
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

/// Those about one call. Their bodies, which are read with them, are for `show`.
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

async fn body(event: i64, calls: &Queue) -> Result<Vec<u8>, Failure> {
    let body = calls.webhook_body(event).await?;
    body.ok_or_else(|| {
        Failure::failed(format!("there is no webhook event {event}"))
            .hint("`pgdial webhooks list` shows those there are")
    })
}

async fn replay(
    args: &ReplayArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for event in chosen(args, calls).await? {
        // The generic adapter is the one that trunks of this program have.
        let report = protocol::read_report(&body(event, calls).await?);
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

/// The numbers of the events, oldest first.
async fn chosen(args: &ReplayArgs, calls: &Queue) -> Result<Vec<i64>, Failure> {
    let Some(verdict) = args.verdict else {
        return Ok(args.event.clone());
    };
    let kept = Kept {
        verdict: Some(verdict.as_str()),
        limit: args.limit,
        ..Kept::default()
    };
    let events = calls.webhook_events(&kept).await?;
    Ok(events.iter().rev().map(|event| event.id).collect())
}
