//! Caller ids over HTTP.
//!
//! A number is in the body, never in the path: paths are logged, here and by proxies.

use axum::{Extension, Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    body::{Fields, Object},
    groups::{needed_change, take},
    problem::{Code, Problem},
    query::Query,
    schema::acting::{
        AddCallerIdRequest, CallerIds, RemoveCallerIdRequest, RemoveCallerIdResponse,
        SetCallerIdRequest,
    },
};
use crate::{domain::Phone, flow::view::CallerId};

fn number(number: &str) -> Result<Phone, Problem> {
    Phone::parse_in(number, None)
        .map_err(|error| Problem::new(Code::InvalidRequest, format!("\"number\" is {error}")))
}

/// Takes the number and the reason out of a body.
fn named(fields: &mut Value) -> Result<(Phone, Option<String>), Problem> {
    let phone = number(&take(fields, "number").unwrap_or_default())?;
    Ok((phone, take(fields, "why")))
}

async fn show(app: &App, number: &Phone) -> Result<Json<CallerId>, Problem> {
    let found = app.calls.caller_ids(None, Some(number)).await?;
    let found = found.into_iter().next();
    found.map(Json).ok_or_else(no_such_caller_id)
}

fn no_such_caller_id() -> Problem {
    Problem::new(
        Code::NoSuchCallerId,
        "this number is in no pool: GET /api/v1/caller-ids shows those that are",
    )
}

/// Filter of the caller ids.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CallerIdQuery {
    /// Only those of this pool.
    #[param(pattern = r"^[^\u0000]*$")]
    pool: Option<String>,
}

/// List the caller ids.
///
/// Each with its dials within the last 24 hours.
#[utoipa::path(
    get, path = "/api/v1/caller-ids", tag = "operations",
    responses((status = 200, description = "By pool and number.", body = CallerIds)),
)]
pub(super) async fn list_caller_ids(
    State(app): State<App>,
    Query(query): Query<CallerIdQuery>,
) -> Result<Json<CallerIds>, Problem> {
    let caller_ids = app.calls.caller_ids(query.pool.as_deref(), None).await?;
    Ok(Json(CallerIds { caller_ids }))
}

/// Add a caller id to a pool.
///
/// Campaigns with this pool dial from it, from the next claim on.
#[utoipa::path(
    post, path = "/api/v1/caller-ids", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::NameTaken, Code::UnknownTrunk]))),
    responses((status = 201, description = "The new caller id.", body = CallerId)),
)]
pub(super) async fn add_caller_id(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Fields(mut fields, _): Fields<AddCallerIdRequest>,
) -> Result<impl IntoResponse, Problem> {
    let (number, why) = named(&mut fields)?;
    let (by, why) = (owner.by(), why.as_deref());
    if !app.calls.add_caller_id(&number, &fields, &by, why).await? {
        return Err(Problem::new(
            Code::NameTaken,
            "this number is in a pool already: POST /api/v1/caller-ids/set changes it",
        ));
    }
    Ok((StatusCode::CREATED, show(&app, &number).await?))
}

/// Change a caller id.
///
/// Its pool, trunk or cap, a pause or a rest, from the next claim on. Only the given fields change; calls in flight
/// keep what they were dialed from.
#[utoipa::path(
    post, path = "/api/v1/caller-ids/set", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::NoSuchCallerId, Code::UnknownTrunk]))),
    responses((status = 200, description = "The changed caller id.", body = CallerId)),
)]
pub(super) async fn set_caller_id(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Fields(mut fields, _): Fields<SetCallerIdRequest>,
) -> Result<Json<CallerId>, Problem> {
    let (number, why) = named(&mut fields)?;
    needed_change(&fields)?;
    let (by, why) = (owner.by(), why.as_deref());
    if !app.calls.set_caller_id(&number, &fields, &by, why).await? {
        return Err(no_such_caller_id());
    }
    show(&app, &number).await
}

/// Remove a caller id from its pool.
///
/// Calls in flight from it go on. A campaign whose pool has no number left waits.
#[utoipa::path(
    post, path = "/api/v1/caller-ids/remove", tag = "operations",
    responses((status = 200, description = "It is in no pool.", body = RemoveCallerIdResponse)),
)]
pub(super) async fn remove_caller_id(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<RemoveCallerIdRequest>,
) -> Result<Json<RemoveCallerIdResponse>, Problem> {
    let phone = number(&request.number)?;
    let (by, why) = (owner.by(), request.why.as_deref());
    let changed = app.calls.remove_caller_id(&phone, &by, why).await?;
    Ok(Json(RemoveCallerIdResponse { changed }))
}
