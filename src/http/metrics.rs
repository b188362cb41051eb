//! Prometheus metrics: the counters of this process and the state of the queue.
//!
//! The queue's part is read from the database at each scrape, so that no process can drift from it. It holds
//! no telephone numbers and no names of people, so no key is needed.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus::{TextEncoder, proto::MetricFamily};
use tokio::{sync::Mutex, time::timeout};

use super::App;
use crate::{
    flow::Queue,
    metrics::queue::{self, Depths},
    provider::Stopwatch,
};

/// Minimum age of the database's part before it is read again, however many scrapers there are.
const FRESH: Duration = Duration::from_secs(1);
/// And at least this multiple of the query's own duration, which bounds the load of scrapes on the database.
const REST: u32 = 20;
/// Limit for the database, after which the scrape goes on without its part.
const PATIENCE: Duration = Duration::from_secs(2);

/// The database's part, read at most once a second. A failure is kept as long, so that not every scraper asks
/// a database in trouble.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    since: Stopwatch,
    fresh_for: Duration,
    queue: Option<Arc<Depths>>,
}

impl Cache {
    async fn queue(&self, calls: &Queue) -> Option<Arc<Depths>> {
        let mut kept = self.0.lock().await;
        if let Some(kept) = &*kept
            && kept.since.elapsed() < kept.fresh_for
        {
            return kept.queue.clone();
        }
        let asked = Stopwatch::start();
        let queue = match timeout(PATIENCE, calls.queue()).await {
            Ok(Ok(queue)) => Some(Arc::new(queue)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "scraped without the database");
                None
            }
            Err(_elapsed) => {
                tracing::warn!("scraped without the database: it took longer than 2 s");
                None
            }
        };
        *kept = Some(Kept {
            since: Stopwatch::start(),
            fresh_for: FRESH.max(asked.elapsed() * REST),
            queue: queue.clone(),
        });
        queue
    }
}

/// Show metrics in the Prometheus text format.
///
/// Counters of this process, and the queue as the database has it.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus text format 0.0.4. `pgdial_database_up` is 0, and the gauges of the queue are absent, while the database does not answer.", body = String, content_type = "text/plain", example = json!("pgdial_database_up 1\n"))),
)]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let (queue, _troubles) = tokio::join!(app.queue.queue(&app.calls), app.calls.troubles());
    let mut families = queue::families(queue.as_deref());
    families.extend(queue::failing(&app.calls.failing_seconds()));
    families.extend(queue::pools(&app.calls.pool_use()));
    families.extend(app.calls.metrics().families());
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, text(&families)).into_response()
}

/// Families as text; one that the library cannot write is left out and logged.
pub(crate) fn text(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        let written = TextEncoder::new().encode_utf8(std::slice::from_ref(family), &mut text);
        if let Err(error) = written {
            tracing::error!(name = family.name(), %error, "a metric cannot be written");
        }
    }
    text
}
