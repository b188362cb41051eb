//! Provider accounts: slots, pace, pause.

use axum::{
    Extension, Json,
    extract::{Request, State},
    response::Response,
};

use super::{
    App,
    auth::Owner,
    body::Name,
    lanes,
    problem::Problem,
    schema::acting::{
        CreateTrunkRequest, OptionalReasonRequest, ReasonRequest, SetTrunkRequest, Trunks,
    },
};
use crate::flow::view::Trunk;

/// List the trunks, with what they have in flight.
#[utoipa::path(
    get, path = "/api/v1/trunks", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = Trunks)),
)]
pub(super) async fn list_trunks(State(app): State<App>) -> Result<Json<Trunks>, Problem> {
    let trunks = app.calls.trunks(None).await?;
    Ok(Json(Trunks { trunks }))
}

/// Show a trunk.
#[utoipa::path(
    get, path = "/api/v1/trunks/{name}", tag = "operations", params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The trunk.", body = Trunk)),
)]
pub(super) async fn show_trunk(
    State(app): State<App>,
    Name(name): Name,
) -> Result<Json<Trunk>, Problem> {
    lanes::show(&app, &name).await
}

/// Make a new trunk.
///
/// What is not given has its usual value.
#[utoipa::path(
    post, path = "/api/v1/trunks", tag = "operations", request_body = CreateTrunkRequest,
    responses((status = 201, description = "The new trunk; `Location` names it.", body = Trunk, headers(("Location" = String, description = "Its path.")))),
)]
pub(super) async fn create_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    request: Request,
) -> Result<Response, Problem> {
    lanes::create::<Trunk>(&app, &owner, request).await
}

/// Change a trunk.
///
/// Only the given fields change. It holds from the next claim on; running calls keep what they have.
#[utoipa::path(
    patch, path = "/api/v1/trunks/{name}", tag = "operations", request_body = SetTrunkRequest,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The changed trunk.", body = Trunk)),
)]
pub(super) async fn change_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name): Name,
    request: Request,
) -> Result<Json<Trunk>, Problem> {
    lanes::change(&app, &owner, &name, request).await
}

/// Stop the dialing on a trunk.
///
/// Before the next claim. Live calls are left alone.
#[utoipa::path(
    post, path = "/api/v1/trunks/{name}/pause", tag = "operations", request_body = ReasonRequest,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "It is paused.", body = Trunk)),
)]
pub(super) async fn pause_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name): Name,
    request: Request,
) -> Result<Json<Trunk>, Problem> {
    lanes::pause(&app, &owner, &name, request).await
}

/// Start its dialing again.
#[utoipa::path(
    post, path = "/api/v1/trunks/{name}/resume", tag = "operations", request_body = Option<OptionalReasonRequest>,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "It dials.", body = Trunk)),
)]
pub(super) async fn resume_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name): Name,
    request: Request,
) -> Result<Json<Trunk>, Problem> {
    lanes::resume(&app, &owner, &name, request).await
}
