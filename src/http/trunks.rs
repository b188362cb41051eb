//! Trunks over HTTP.

use axum::{Extension, Json, extract::State, http::StatusCode, response::Response};

use super::{
    App,
    auth::Owner,
    body::{Fields, Object, OptionalObject},
    contact_limits::DeletionQuery,
    groups::{self, GroupQuery},
    path::Name,
    problem::{Code, Problem},
    query::Query,
    schema::acting::{
        CreateTrunkRequest, OptionalReasonRequest, ReasonRequest, SetTrunkRequest, Trunks,
    },
    versions::{IfMatch, Tagged},
};
use crate::flow::{archive::Removal, view::Trunk};

/// List the trunks.
///
/// Each with its calls in flight.
#[utoipa::path(
    get, path = "/api/v1/trunks", tag = "operations",
    responses((status = 200, description = "By name.", body = Trunks)),
)]
pub(super) async fn list_trunks(
    State(app): State<App>,
    Query(query): Query<GroupQuery>,
) -> Result<Json<Trunks>, Problem> {
    let mut trunks = app.calls.trunks(None).await?;
    trunks.retain(|trunk| query.archived || trunk.archived_at.is_none());
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
) -> Result<Tagged<Trunk>, Problem> {
    groups::show_tagged(&app, &name).await
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
    groups::create::<Trunk>(&app, &owner, fields).await
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
    versions: IfMatch,
    Fields(fields, _): Fields<SetTrunkRequest>,
) -> Result<Tagged<Trunk>, Problem> {
    groups::change(&app, &owner, &name, (fields, versions)).await
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
    groups::pause(&app, &owner, &name, &reason).await
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
    groups::resume(&app, &owner, &name, &reason).await
}

/// Archive a trunk.
///
/// It stays in reports and is left out of lists; it is paused, and takes no calls. Refused while calls are in flight on it, or a campaign that is not archived dials on it.
#[utoipa::path(
    post, path = "/api/v1/trunks/{name}/archive", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 200, description = "It is archived.", body = Trunk)),
)]
pub(super) async fn archive_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Trunk>,
    Object(reason): Object<ReasonRequest>,
) -> Result<Json<Trunk>, Problem> {
    let how = (Removal::Archive, Some(&*reason.why));
    groups::remove::<Trunk>(&app, &owner, &name, how).await?;
    groups::show(&app, &name).await
}

/// Bring an archived trunk back.
///
/// It is in the lists again, and paused: resume it to dial.
#[utoipa::path(
    post, path = "/api/v1/trunks/{name}/unarchive", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 200, description = "It is back.", body = Trunk)),
)]
pub(super) async fn unarchive_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Trunk>,
    OptionalObject(reason): OptionalObject<OptionalReasonRequest>,
) -> Result<Json<Trunk>, Problem> {
    let how = (Removal::Unarchive, reason.why.as_deref());
    groups::remove::<Trunk>(&app, &owner, &name, how).await?;
    groups::show(&app, &name).await
}

/// Delete a trunk.
///
/// Only one that never had a call, and that no campaign and no caller id names: archive others.
#[utoipa::path(
    delete, path = "/api/v1/trunks/{name}", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete_trunk(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Trunk>,
    Query(query): Query<DeletionQuery>,
) -> Result<StatusCode, Problem> {
    let how = (Removal::Delete, query.why.as_deref());
    groups::remove::<Trunk>(&app, &owner, &name, how).await?;
    Ok(StatusCode::NO_CONTENT)
}
