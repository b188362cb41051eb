//! Worker processes over HTTP.

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use super::{
    App,
    auth::Owner,
    body::Object,
    path::{Id, WorkerId},
    problem::{Code, Problem},
    schema::acting::{DrainResponse, ReasonRequest, Workers},
};
use crate::flow::drain::Drained;

/// List the worker processes.
///
/// One that has not been seen for a while is listed with `alive` false.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "operations",
    responses((status = 200, description = "Those of the last day, the latest first.", body = Workers)),
)]
pub(super) async fn list_workers(State(app): State<App>) -> Result<Json<Workers>, Problem> {
    let workers = app.calls.workers().await?;
    Ok(Json(Workers { workers }))
}

/// Drain a worker.
///
/// It claims nothing more and finishes its dials; then a `pgdial work` process exits, and a `pgdial serve`
/// process goes on without its worker. Restart the process to undo it.
#[utoipa::path(
    post, path = "/api/v1/workers/{id}/drain", tag = "operations",
    responses((status = 200, description = "It goes, or was going.", body = DrainResponse)),
)]
pub(super) async fn drain_worker(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Id(WorkerId(id)): Id<WorkerId>,
    Object(ReasonRequest { why }): Object<ReasonRequest>,
) -> Result<Json<Value>, Problem> {
    match app.calls.drain(id, &owner.by(), &why).await? {
        Drained::NotFound => Err(Problem::new(
            Code::NoSuchWorker,
            "there is no worker with this id: GET /api/v1/workers shows those there are",
        )),
        drained => Ok(Json(json!({ "result": drained }))),
    }
}
