//! `endpoints`: where events are delivered to, and what became of the deliveries.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    Exit, Failure, Out,
    groups::refused,
    out::{instant, or_empty},
    values::{self, Interval},
};
use crate::{
    domain::{CallId, Why},
    flow::{
        Queue,
        endpoints::DeliveryFilter,
        resend::{ResendOnly, Resent, Span},
        view::{DeliveryState, Endpoint, EndpointDelivery, EndpointDeliverySummary},
    },
    provider::Stopwatch,
};

/// Where events are delivered to.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum EndpointsCommand {
    /// List them, with how far each has got.
    List,
    /// Show one, with what went wrong last.
    Show {
        /// Name of the endpoint.
        name: String,
    },
    /// Create one, and print the secret that signs what is sent to it. It gets the events from now on.
    Create {
        /// Name of the endpoint: lower-case letters, digits and _@.-
        name: String,
        /// URL that events are posted to.
        #[arg(long, value_name = "URL")]
        url: String,
        #[command(flatten)]
        #[expect(
            missing_docs,
            reason = "a doc comment here would take the place of the command's own help"
        )]
        which: Events,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Change one, for whatever is sent from now on.
    Set {
        /// Name of the endpoint.
        name: String,
        /// URL that events are posted to.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        #[expect(
            missing_docs,
            reason = "a doc comment here would take the place of the command's own help"
        )]
        which: Events,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Send nothing more to one. Its events are kept, as long as the history is.
    Pause {
        /// Name of the endpoint.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Why,
    },
    /// Deliver to one again: first what has waited.
    Resume {
        /// Name of the endpoint.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Make a new secret, and print it. The present one signs too for a while.
    Rotate {
        /// Name of the endpoint.
        name: String,
        /// How long the present secret signs too, 0s to 30d. Default: 24h.
        #[arg(long, value_name = "TIME", value_parser = values::interval)]
        overlap: Option<Interval>,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Send a test, and wait for the response.
    Test {
        /// Name of the endpoint.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Deliver one event once more, or all of a span of time.
    Resend(ResendArgs),
    /// List deliveries, the latest events first.
    Deliveries {
        /// Name of the endpoint.
        name: String,
        /// Only deliveries in this state.
        #[arg(long, value_enum, value_name = "STATE")]
        state: Option<DeliveryState>,
        /// Only deliveries about this call.
        #[arg(long, value_name = "CALL")]
        call: Option<CallId>,
        /// Deliveries to list.
        #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
    /// Show one delivery: what is sent, and how each attempt ended.
    Delivery {
        /// Name of the endpoint.
        name: String,
        /// Id of the event, as in `endpoints deliveries`; the `webhook-id` of the request.
        #[arg(value_name = "EVENT")]
        id: String,
    },
    /// Delete one. What it has not got yet is not delivered.
    Delete {
        /// Name of the endpoint.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
}

/// Which events an endpoint gets.
#[derive(Debug, Clone, clap::Args)]
pub struct Events {
    /// Kinds of events, comma-separated, as in `completed,failed`. Default of a new one: how calls end, and results that
    /// are added later.
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    pub kinds: Option<Vec<String>>,
    /// Only events of calls of these campaigns, comma-separated, or all.
    #[arg(long, value_name = "NAME,...|all", value_delimiter = ',')]
    pub campaigns: Option<Vec<String>>,
}

impl Events {
    /// The changes, as the verb takes them.
    fn given(&self, url: Option<&String>) -> Value {
        let mut changes = Map::new();
        if let Some(url) = url {
            changes.insert("url".to_owned(), json!(url));
        }
        if let Some(kinds) = &self.kinds {
            changes.insert("kinds".to_owned(), json!(kinds));
        }
        if let Some(campaigns) = &self.campaigns {
            let all = campaigns.iter().any(|name| name == "all");
            let campaigns = if all { Value::Null } else { json!(campaigns) };
            changes.insert("campaigns".to_owned(), campaigns);
        }
        changes.into()
    }
}

/// One event by its id, or a span.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["event", "from"]))]
pub struct ResendArgs {
    /// Name of the endpoint.
    pub name: String,
    /// Id of the event, as in `endpoints deliveries`.
    #[arg(value_name = "EVENT")]
    pub event: Option<String>,
    /// Resend the events from this instant on.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant, requires = "until")]
    pub from: Option<DateTime<Utc>>,
    /// Resend the events before this instant.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant, requires = "from")]
    pub until: Option<DateTime<Utc>>,
    /// Which of the span.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = ResendOnly::All)]
    pub only: ResendOnly,
    /// Reason, kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<Why>,
}

/// Runs one `endpoints` command.
pub async fn run(
    command: &EndpointsCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        EndpointsCommand::List => list(&calls.endpoints(None).await?, out)?,
        EndpointsCommand::Show { name } => show(name, calls, out).await?,
        EndpointsCommand::Create {
            name,
            url,
            which,
            why,
        } => {
            let changes = which.given(Some(url));
            let created = calls.create_endpoint(name, &changes, by, why.as_deref());
            let secret = created.await.map_err(refused)?.ok_or_else(|| {
                Failure::failed(format!("there is an endpoint {name} already"))
                    .hint(format!("`pgdial endpoints set {name} ...` changes it"))
            })?;
            print_secret(&secret, out)?;
        }
        EndpointsCommand::Set {
            name,
            url,
            which,
            why,
        } => {
            let changes = which.given(url.as_ref());
            if changes == json!({}) {
                return Err(Failure::usage("nothing to change was given")
                    .hint("`pgdial endpoints set --help` shows what can be set"));
            }
            let set = calls.set_endpoint(name, &changes, by, why.as_deref());
            there_is(set.await.map_err(refused)?, name)?;
            show(name, calls, out).await?;
        }
        EndpointsCommand::Pause { name, why } => {
            there_is(calls.pause_endpoint(name, by, why).await?, name)?;
            show(name, calls, out).await?;
        }
        EndpointsCommand::Resume { name, why } => {
            let resumed = calls.resume_endpoint(name, by, why.as_deref()).await?;
            there_is(resumed, name)?;
            show(name, calls, out).await?;
        }
        EndpointsCommand::Rotate { name, overlap, why } => {
            let overlap = overlap.map(Interval::to_sql);
            let rotated = calls.rotate_endpoint(name, overlap.as_deref(), by, why.as_deref());
            let secret = rotated.await.map_err(refused)?;
            print_secret(&secret.ok_or_else(|| no_such(name))?, out)?;
        }
        EndpointsCommand::Test { name, why } => {
            return test(name, calls, (by, why.as_deref()), out).await;
        }
        EndpointsCommand::Resend(args) => return resend(args, calls, by, out).await,
        EndpointsCommand::Deliveries {
            name,
            state,
            call,
            limit,
        } => {
            let filter = DeliveryFilter {
                state: *state,
                call: *call,
                before: None,
            };
            let deliveries = calls.endpoint_deliveries(name, &filter, *limit).await?;
            if deliveries.is_empty() {
                there_is(!calls.endpoints(Some(name)).await?.is_empty(), name)?;
            }
            list_deliveries(&deliveries, out)?;
        }
        EndpointsCommand::Delivery { name, id } => {
            let delivery = calls.endpoint_delivery(name, id).await?;
            show_delivery(&delivery.ok_or_else(|| no_such_event(name, id))?, out)?;
        }
        EndpointsCommand::Delete { name, why } => {
            let deleted = calls.delete_endpoint(name, by, why.as_deref());
            there_is(deleted.await.map_err(refused)?, name)?;
            out.note(format!("endpoint {name} is gone"));
        }
    }
    Ok(Exit::Ok)
}

/// The secret alone on stdout, so that a script can keep it.
fn print_secret(secret: &str, out: &mut Out) -> Result<(), Failure> {
    out.note("the secret that signs, for a library of Standard Webhooks; it is not shown again:");
    if out.style.json {
        return out.json(&json!({ "secret": secret }));
    }
    out.line(secret)
}

fn list(endpoints: &[Endpoint], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&endpoints);
    }
    let row = |endpoint: &Endpoint| {
        vec![
            endpoint.name.clone(),
            state(endpoint).to_owned(),
            lag(endpoint),
            endpoint.unfinished.to_string(),
            or_empty(endpoint.last_error.as_ref()),
            endpoint.url.clone(),
        ]
    };
    out.table(
        &["name", "state", "lag", "unfinished", "last error", "url"],
        endpoints.iter().map(row).collect(),
    )
}

const fn state(endpoint: &Endpoint) -> &'static str {
    if endpoint.paused {
        "paused"
    } else if endpoint.failures > 0 {
        "failing"
    } else {
        "ok"
    }
}

fn lag(endpoint: &Endpoint) -> String {
    or_empty(endpoint.lag_sec.map(|sec| format!("{sec:.0} s")))
}

async fn show(name: &str, calls: &Queue, out: &mut Out) -> Result<(), Failure> {
    let endpoints = calls.endpoints(Some(name)).await?;
    let endpoint = endpoints.first().ok_or_else(|| no_such(name))?;
    if out.style.json {
        return out.json(endpoint);
    }
    let campaigns = endpoint.campaigns.as_ref();
    out.pairs(vec![
        ("endpoint", endpoint.name.clone()),
        ("url", endpoint.url.clone()),
        ("kinds", endpoint.kinds.join(", ")),
        (
            "campaigns",
            campaigns.map_or_else(|| "all".to_owned(), |names| names.join(", ")),
        ),
        ("state", state(endpoint).to_owned()),
        ("paused by", or_empty(endpoint.paused_by.as_ref())),
        ("why", or_empty(endpoint.paused_why.as_ref())),
        ("paused at", or_empty(endpoint.paused_at.map(instant))),
        ("lag", lag(endpoint)),
        ("unfinished", endpoint.unfinished.to_string()),
        ("last success", or_empty(endpoint.delivered_at.map(instant))),
        (
            "failing since",
            or_empty(endpoint.failing_since.map(instant)),
        ),
        ("last error", or_empty(endpoint.last_error.as_ref())),
        ("held until", or_empty(endpoint.held_until.map(instant))),
    ])
}

/// How long `test` waits: a worker looks, sends, and records.
const PATIENCE: Duration = Duration::from_secs(40);

async fn test(
    name: &str,
    calls: &Queue,
    (by, why): (&str, Option<&str>),
    out: &mut Out,
) -> Result<Exit, Failure> {
    let id = calls.test_endpoint(name, by, why).await.map_err(refused)?;
    let id = id.ok_or_else(|| no_such(name))?;
    let since = Stopwatch::start();
    while since.elapsed() < PATIENCE {
        let delivery = calls.endpoint_delivery(name, &id).await?;
        if let Some(delivery) = delivery.filter(|delivery| !delivery.log.is_empty()) {
            show_delivery(&delivery, out)?;
            return Ok(match delivery.summary.state {
                DeliveryState::Delivered => Exit::Ok,
                _ => Exit::Failed,
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(Failure::failed(format!(
        "nobody has sent test {id} within {} s",
        PATIENCE.as_secs()
    ))
    .hint("a worker delivers: `pgdial workers list` shows whether one is alive"))
}

async fn resend(
    args: &ResendArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let (name, why) = (&args.name, args.why.as_deref());
    if let Some(id) = &args.event {
        match calls.resend(name, id, by, why).await.map_err(refused)? {
            Resent::Resent => out.note(format!("{id} is delivered once more")),
            Resent::Pending => out.note(format!("{id} is on its way already")),
            Resent::UnknownEvent => return Err(no_such_event(name, id)),
            Resent::NotFound => return Err(no_such(name)),
        }
        return Ok(Exit::Ok);
    }
    let (Some(from), Some(until)) = (args.from, args.until) else {
        return Err(Failure::usage("name an event, or --from and --until"));
    };
    let mut span = Span {
        from,
        until,
        only: args.only,
        cursor: None,
    };
    let mut events = 0;
    loop {
        let sent = calls.resend_span(name, &span, by, why).await;
        let sent = sent.map_err(refused)?.ok_or_else(|| no_such(name))?;
        events += sent.events;
        if sent.full {
            // It empties as fast as the endpoint takes them.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        span.cursor = sent.cursor;
        if span.cursor.is_none() && !sent.full {
            break;
        }
    }
    if out.style.json {
        out.json(&json!({ "events": events }))?;
    } else {
        out.line(format!("{events} events are delivered once more"))?;
    }
    Ok(Exit::Ok)
}

fn list_deliveries(deliveries: &[EndpointDeliverySummary], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&deliveries);
    }
    let row = |delivery: &EndpointDeliverySummary| {
        vec![
            delivery.id.clone(),
            instant(delivery.at),
            delivery.kind.clone(),
            delivery.state.as_str().to_owned(),
            delivery.attempts.to_string(),
            answer(delivery.status, delivery.error.as_ref()),
            or_empty(delivery.next_at.map(instant)),
        ]
    };
    out.table(
        &["event", "at", "kind", "state", "attempts", "answer", "next"],
        deliveries.iter().map(row).collect(),
    )
}

fn answer(status: Option<u16>, error: Option<&String>) -> String {
    or_empty(
        status
            .map(|status| format!("HTTP {status}"))
            .or_else(|| error.cloned()),
    )
}

fn show_delivery(delivery: &EndpointDelivery, out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(delivery);
    }
    let summary = &delivery.summary;
    out.pairs(vec![
        ("event", summary.id.clone()),
        ("at", instant(summary.at)),
        ("kind", summary.kind.clone()),
        ("call", or_empty(summary.call_id)),
        ("state", summary.state.as_str().to_owned()),
        ("next attempt", or_empty(summary.next_at.map(instant))),
    ])?;
    let row = |attempt: &crate::flow::view::EndpointAttempt| {
        vec![
            instant(attempt.at),
            format!("{} ms", attempt.ms),
            answer(attempt.status, attempt.error.as_ref()),
            or_empty(attempt.response.as_ref()),
        ]
    };
    out.table(
        &["attempt", "took", "answer", "response"],
        delivery.log.iter().map(row).collect(),
    )?;
    if let Some(body) = &delivery.body {
        // Whole, like all JSON.
        out.json(body)?;
    }
    Ok(())
}

fn there_is(found: bool, name: &str) -> Result<(), Failure> {
    found.then_some(()).ok_or_else(|| no_such(name))
}

fn no_such(name: &str) -> Failure {
    Failure::failed(format!("there is no endpoint {name:?}"))
        .hint("`pgdial endpoints list` shows those there are")
}

fn no_such_event(name: &str, id: &str) -> Failure {
    Failure::failed(format!("no event {id} for endpoint {name:?} is kept")).hint(format!(
        "`pgdial endpoints deliveries {name}` shows the latest"
    ))
}
