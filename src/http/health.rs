//! Is the process alive, and can it do its work?

use std::time::Duration;

use axum::{Json, extract::State};
use tokio::time::timeout;

use super::{App, problem::Problem, schema::Health};

const PATIENCE: Duration = Duration::from_secs(2);
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The process lives.
///
/// It does not ask the database: restarting us would not mend that.
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

/// The process can do its work.
///
/// The database answered within 2 s.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "It is ready.", body = Health)),
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    match timeout(PATIENCE, app.calls.now()).await {
        Ok(Ok(_now)) => Ok(Json(Health {
            status: "ready",
            release: RELEASE,
        })),
        Ok(Err(error)) => Err(Problem::unavailable().cause(error)),
        Err(elapsed) => Err(Problem::unavailable().cause(elapsed)),
    }
}
