//! Liveness and readiness.

use axum::{Json, extract::State};

use super::{
    App,
    problem::{Code, Problem},
    schema::{Health, Ready},
};
use crate::flow::health::Trouble;

const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Liveness of the process.
///
/// Does not ask the database, since a restart would not help it.
#[utoipa::path(
    get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It lives.", body = Health)),
)]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "ok",
        release: RELEASE,
    })
}

/// Readiness of the process.
///
/// Latest result of requests, webhooks, claims and sweeps, and an empty commit through the same connections.
/// A 503 says which of them fails, since when, and why.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "It is ready; `notes` say what fails beside that.", body = Ready)),
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Ready>, Problem> {
    let troubles = app.calls.troubles().await;
    let (vital, others): (Vec<_>, Vec<_>) =
        troubles.iter().partition(|trouble| trouble.work.is_vital());
    if vital.is_empty() {
        return Ok(Json(Ready {
            status: "ready",
            release: RELEASE,
            notes: others.into_iter().map(sentence).collect(),
        }));
    }
    let words: Vec<String> = vital.into_iter().map(sentence).collect();
    Err(Problem::new(Code::Unavailable, words.join("; ")).retry_after(2))
}

fn sentence(trouble: &Trouble) -> String {
    let (work, since) = (trouble.work.as_str(), trouble.since.as_secs());
    format!("{work} has failed for {since} s: {}", trouble.why)
}
