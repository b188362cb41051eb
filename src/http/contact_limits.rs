//! Contact limits over HTTP.

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    body::Fields,
    groups,
    path::{Name, Named},
    problem::{Code, Problem},
    query::Query,
    schema::acting::{ContactLimits, SetContactLimitRequest},
};
use crate::{
    domain::Why,
    flow::{hours::Deletion, view::ContactLimit},
};

impl Named for ContactLimit {
    const WHAT: &'static str = "contact limit";
    const IS_UNKNOWN: Code = Code::NoSuchContactLimit;
}

/// List the contact limits.
///
/// Those of the presets and your own.
#[utoipa::path(
    get, path = "/api/v1/contact-limits", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = ContactLimits)),
)]
pub(super) async fn list_contact_limits(
    State(app): State<App>,
) -> Result<Json<ContactLimits>, Problem> {
    let contact_limits = app.calls.contact_limits(None).await?;
    Ok(Json(ContactLimits { contact_limits }))
}

/// Show a contact limit.
///
/// With the campaigns that have it.
#[utoipa::path(
    get, path = "/api/v1/contact-limits/{name}", tag = "operations",
    responses((status = 200, description = "The contact limit.", body = ContactLimit)),
)]
pub(super) async fn show_contact_limit(
    State(app): State<App>,
    Name(name, _): Name<ContactLimit>,
) -> Result<Json<ContactLimit>, Problem> {
    shown(&app, &name).await.map(Json)
}

async fn shown(app: &App, name: &str) -> Result<ContactLimit, Problem> {
    let limits = app.calls.contact_limits(Some(name)).await?;
    limits.into_iter().next().ok_or_else(no_such)
}

fn no_such() -> Problem {
    Problem::new(
        Code::NoSuchContactLimit,
        "no contact limit has this name: GET /api/v1/contact-limits shows those there are",
    )
}

/// Set a contact limit.
///
/// Creates it, or replaces it as a whole; omitted fields take their defaults. Holds from the next claim on. What the
/// limit has put aside stays so until then: `/calls/recheck` brings it back.
#[utoipa::path(
    put, path = "/api/v1/contact-limits/{name}", tag = "operations",
    responses(
        (status = 200, description = "The changed contact limit.", body = ContactLimit),
        (status = 201, description = "The new contact limit; `Location` names it.", body = ContactLimit, headers(("Location" = String, description = "Its path."))),
    ),
)]
pub(super) async fn set_contact_limit(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<ContactLimit>,
    Fields(mut fields, _): Fields<SetContactLimitRequest>,
) -> Result<Response, Problem> {
    let why = groups::take(&mut fields, "why");
    let (by, why) = (owner.by(), why.as_deref());
    let created = app
        .calls
        .set_contact_limit(&name, &fields, &by, why)
        .await?;
    let limit = Json(shown(&app, &name).await?);
    if !created {
        return Ok(limit.into_response());
    }
    let location = [(header::LOCATION, format!("/api/v1/contact-limits/{name}"))];
    Ok((StatusCode::CREATED, location, limit).into_response())
}

/// Why something is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DeletionQuery {
    /// Reason, kept with the act.
    #[param(value_type = Option<String>, pattern = r"^[^\u0000]*$")]
    pub(super) why: Option<Why>,
}

/// Delete a contact limit.
///
/// Refused while a campaign has it.
#[utoipa::path(
    delete, path = "/api/v1/contact-limits/{name}", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete_contact_limit(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<ContactLimit>,
    Query(query): Query<DeletionQuery>,
) -> Result<StatusCode, Problem> {
    let (by, why) = (owner.by(), query.why.as_deref());
    match app.calls.delete_contact_limit(&name, &by, why).await? {
        Deletion::Deleted => Ok(StatusCode::NO_CONTENT),
        Deletion::NotFound => Err(no_such()),
        Deletion::InUse(by) => {
            let by = by.join(", ");
            let detail = format!(
                "the contact limit cannot go while {by} names it: change its \"contactLimits\" first"
            );
            Err(Problem::new(Code::InUse, detail))
        }
    }
}
