//! What Prometheus scrapes.
//!
//! Gauges describe the queue and come from the database at the scrape, so that no
//! process can drift from it; counters say what this process did. There are no numbers
//! and no names of people in it, so it asks for no key.

use std::{
    fmt::{Debug, Write},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{sync::Mutex, time::timeout};

use super::App;
use crate::{flow::Calls, provider::Stopwatch};

// What this process counts.
mod counters;

pub(super) use counters::Counters;

/// How old the database's part may be: many scrapers ask it once.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take before the scrape goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// More counters of this process: those of its dispatcher, for one.
pub trait Metrics: Send + Sync + Debug {
    /// Writes them.
    fn write(&self, out: &mut Exposition);
}

/// A text in the Prometheus exposition format, as it grows.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a family: `kind` is `counter` or `gauge`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").unwrap_or_default();
    }

    /// One value of the family, with its label if it has one.
    pub fn value(
        &mut self,
        name: &str,
        label: Option<(&str, &str)>,
        value: impl std::fmt::Display,
    ) {
        match label {
            Some((label, word)) => {
                let word = word
                    .replace('\\', r"\\")
                    .replace('"', "\\\"")
                    .replace('\n', r"\n");
                writeln!(self.0, "{name}{{{label}=\"{word}\"}} {value}").unwrap_or_default();
            }
            None => writeln!(self.0, "{name} {value}").unwrap_or_default(),
        }
    }
}

/// The database's part, not asked for more than once a second. A failure is kept as
/// long: a database in trouble is not asked by every scraper at once.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<(Stopwatch, Option<Arc<Value>>)>>);

impl Cache {
    async fn stats(&self, calls: &Calls) -> Option<Arc<Value>> {
        let mut kept = self.0.lock().await;
        if let Some((asked, stats)) = &*kept
            && asked.elapsed() < FRESH
        {
            return stats.clone();
        }
        let stats = match timeout(PATIENCE, calls.stats()).await {
            Ok(Ok(stats)) => Some(Arc::new(stats)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "scraped without the database");
                None
            }
            Err(_elapsed) => {
                tracing::warn!("scraped without the database: it took longer than 2 s");
                None
            }
        };
        *kept = Some((Stopwatch::start(), stats.clone()));
        stats
    }
}

/// Metrics in the Prometheus text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus text format 0.0.4. `pgdial_database_up` is 0, and the gauges of the queue are absent, while the database does not answer.", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let mut out = Exposition::default();
    let stats = app.stats.stats(&app.calls).await;
    out.family(
        "pgdial_database_up",
        "gauge",
        "Whether the database answered this scrape.",
    );
    out.value("pgdial_database_up", None, u8::from(stats.is_some()));
    if let Some(stats) = stats {
        write_queue(&stats, &mut out);
    }
    app.counters.write(&mut out);
    for more in &*app.more_metrics {
        more.write(&mut out);
    }
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, out.0).into_response()
}

fn write_queue(stats: &Value, out: &mut Exposition) {
    let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or(0);
    out.family("pgdial_calls", "gauge", "Calls by state.");
    for (state, count) in stats
        .get("calls")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        out.value("pgdial_calls", Some(("state", state)), number(Some(count)));
    }
    let trunks = stats.get("trunks").and_then(Value::as_array);
    for (name, field, help) in [
        (
            "pgdial_calls_in_flight",
            "inFlight",
            "Calls in flight, by trunk.",
        ),
        (
            "pgdial_trunk_slots",
            "slots",
            "Calls in flight at most, by trunk.",
        ),
        (
            "pgdial_trunk_paused",
            "paused",
            "1 while the trunk is paused.",
        ),
        (
            "pgdial_trunk_breaker_open",
            "breakerOpenedAt",
            "1 while the provider fails and one call at a time probes it.",
        ),
    ] {
        out.family(name, "gauge", help);
        for trunk in trunks.into_iter().flatten() {
            let label = trunk
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let value = match trunk.get(field) {
                Some(Value::Bool(yes)) => i64::from(*yes),
                Some(Value::String(_since)) => 1,
                other => number(other),
            };
            out.value(name, Some(("trunk", label)), value);
        }
    }
    for (name, field, help) in [
        ("pgdial_workers", "workers", "Workers that are alive."),
        (
            "pgdial_webhooks_parked",
            "webhooksParked",
            "Webhook events that wait for their call.",
        ),
    ] {
        out.family(name, "gauge", help);
        out.value(name, None, number(stats.get(field)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut out = Exposition::default();
        out.value("m", Some(("l", "a\"b\\c\nd")), 1);
        assert_eq!(out.0, "m{l=\"a\\\"b\\\\c\\nd\"} 1\n");
    }

    #[test]
    fn the_queue_is_written_family_by_family() {
        let stats = json!({"calls": {"waiting": 2}, "workers": 1, "webhooksParked": 0,
            "trunks": [{"name": "default", "slots": 30, "inFlight": 3, "paused": true}]});
        let mut out = Exposition::default();
        write_queue(&stats, &mut out);
        for line in [
            "pgdial_calls{state=\"waiting\"} 2",
            "pgdial_calls_in_flight{trunk=\"default\"} 3",
            "pgdial_trunk_slots{trunk=\"default\"} 30",
            "pgdial_trunk_paused{trunk=\"default\"} 1",
            "pgdial_trunk_breaker_open{trunk=\"default\"} 0",
            "pgdial_workers 1",
            "pgdial_webhooks_parked 0",
        ] {
            assert!(
                out.0.lines().any(|l| l == line),
                "{line} is not in\n{}",
                out.0
            );
        }
    }
}
