//! Trunks over HTTP.

use axum::{Extension, Json, extract::State, response::Response};

use super::{
    App,
    auth::Owner,
    body::{Fields, Object, OptionalObject},
    lanes,
    path::Name,
    problem::{Code, Problem},
    schema::acting::{
        CreateTrunkRequest, OptionalReasonRequest, ReasonRequest, SetTrunkRequest, Trunks,
    },
};
use crate::flow::view::Trunk;

/// List the trunks.
///
/// Each with its calls in flight.
#[utoipa::path(
    get, path = "/api/v1/trunks", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = Trunks)),
)]
pub(super) async fn list_trunks(State(app): State<App>) -> Result<Json<Trunks>, Problem> {
    let trunks = app.calls.trunks(None).await?;
    Ok(Json(Trunks { trunks }))
}

/// Show a trunk.
///
/// With its calls in flight.
#[utoipa::path(
    get, path = "/api/v1/trunks/{name}", tag = "operations",
    responses((status = 200, description = "The trunk.", body = Trunk)),
)]
pub(super) async fn show_trunk(
    State(app): State<App>,
    Name(name, _): Name<Trunk>,
) -> Result<Json<Trunk>, Problem> {
    lanes::show(&app, &name).await
}

/// Create a trunk.
///
/// Omitted fields take their defaults.
#[utoipa::path(
    post, path = "/api/v1/trunks", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::NameTaken]))),
    responses((status = 201, description = "The new trunk; `Location` names it.", body = Trunk, headers(("Location" = String, description = "Its path.")))),
)]
pub(super) async fn create_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Fields(fields, _): Fields<CreateTrunkRequest>,
) -> Result<Response, Problem> {
    lanes::create::<Trunk>(&app, &owner, fields).await
}

/// Change a trunk.
///
/// Only the given fields change, from the next claim on; calls in flight keep what they were claimed with.
#[utoipa::path(
    patch, path = "/api/v1/trunks/{name}", tag = "operations",
    responses((status = 200, description = "The changed trunk.", body = Trunk)),
)]
pub(super) async fn change_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Trunk>,
    Fields(fields, _): Fields<SetTrunkRequest>,
) -> Result<Json<Trunk>, Problem> {
    lanes::change(&app, &owner, &name, fields).await
}

/// Pause a trunk.
///
/// Takes effect before the next claim. Calls in flight are left alone.
#[utoipa::path(
    post, path = "/api/v1/trunks/{name}/pause", tag = "operations",
    responses((status = 200, description = "It is paused.", body = Trunk)),
)]
pub(super) async fn pause_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Trunk>,
    Object(reason): Object<ReasonRequest>,
) -> Result<Json<Trunk>, Problem> {
    lanes::pause(&app, &owner, &name, &reason).await
}

/// Resume a trunk.
///
/// Takes effect from the next claim on.
#[utoipa::path(
    post, path = "/api/v1/trunks/{name}/resume", tag = "operations",
    responses((status = 200, description = "It dials.", body = Trunk)),
)]
pub(super) async fn resume_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Trunk>,
    OptionalObject(reason): OptionalObject<OptionalReasonRequest>,
) -> Result<Json<Trunk>, Problem> {
    lanes::resume(&app, &owner, &name, &reason).await
}
