//! Calling hours and calendars over HTTP.

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    App,
    auth::Owner,
    body::Fields,
    contact_limits::DeletionQuery,
    groups::take,
    path::{Name, Named},
    problem::{Code, Problem},
    query::Query,
    schema::rules::{CalendarList, CallingHoursList, SetCalendarRequest, SetCallingHoursRequest},
};
use crate::{
    domain::Why,
    flow::{
        Error,
        hours::{Deletion, RulesKind},
        view::{Calendar, CallingHours},
    },
};

impl Named for CallingHours {
    const WHAT: &'static str = "calling hours";
    const IS_UNKNOWN: Code = Code::NoSuchCallingHours;
}

impl Named for Calendar {
    const WHAT: &'static str = "calendar";
    const IS_UNKNOWN: Code = Code::NoSuchCalendar;
}

/// Calling hours or a calendar as the API shows them.
trait Rules: Named + Serialize + Sized {
    const KIND: RulesKind;
    const PATH: &'static str;

    async fn all(app: &App, name: Option<&str>) -> Result<Vec<Self>, Error>;
}

impl Rules for CallingHours {
    const KIND: RulesKind = RulesKind::CallingHours;
    const PATH: &'static str = "/api/v1/calling-hours";

    async fn all(app: &App, name: Option<&str>) -> Result<Vec<Self>, Error> {
        app.calls.calling_hours(name).await
    }
}

impl Rules for Calendar {
    const KIND: RulesKind = RulesKind::Calendar;
    const PATH: &'static str = "/api/v1/calendars";

    async fn all(app: &App, name: Option<&str>) -> Result<Vec<Self>, Error> {
        app.calls.calendars(name).await
    }
}

/// List the calling hours.
///
/// Presets and your own, with the campaigns that have them.
#[utoipa::path(
    get, path = "/api/v1/calling-hours", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = CallingHoursList)),
)]
pub(super) async fn list_calling_hours(
    State(app): State<App>,
) -> Result<Json<CallingHoursList>, Problem> {
    let calling_hours = CallingHours::all(&app, None).await?;
    Ok(Json(CallingHoursList { calling_hours }))
}

/// Show calling hours.
///
/// Of dated ones (`us-tcpa@2026-11`) the name alone (`us-tcpa`) means the newest.
#[utoipa::path(
    get, path = "/api/v1/calling-hours/{name}", tag = "operations",
    responses((status = 200, description = "The calling hours.", body = CallingHours)),
)]
pub(super) async fn show_calling_hours(
    State(app): State<App>,
    Name(name, _): Name<CallingHours>,
) -> Result<Json<CallingHours>, Problem> {
    show(&app, &name).await
}

/// Create or replace calling hours.
///
/// What is not given is not kept. Campaigns that have them are judged by the new ones from the next claim on.
#[utoipa::path(
    put, path = "/api/v1/calling-hours/{name}", tag = "operations",
    responses(
        (status = 200, description = "They were replaced.", body = CallingHours),
        (status = 201, description = "They are new; `Location` names them.", body = CallingHours, headers(("Location" = String, description = "Their path."))),
    ),
)]
pub(super) async fn set_calling_hours(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<CallingHours>,
    Fields(fields, _): Fields<SetCallingHoursRequest>,
) -> Result<Response, Problem> {
    set::<CallingHours>(&app, &owner, &name, fields).await
}

/// Delete calling hours.
///
/// Refused while a campaign has them.
#[utoipa::path(
    delete, path = "/api/v1/calling-hours/{name}", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 204, description = "They are gone.")),
)]
pub(super) async fn delete_calling_hours(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<CallingHours>,
    Query(query): Query<DeletionQuery>,
) -> Result<StatusCode, Problem> {
    delete::<CallingHours>(&app, &owner, &name, query.why).await
}

/// List the calendars.
///
/// With their days, and the calling hours that name them.
#[utoipa::path(
    get, path = "/api/v1/calendars", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = CalendarList)),
)]
pub(super) async fn list_calendars(State(app): State<App>) -> Result<Json<CalendarList>, Problem> {
    let calendars = Calendar::all(&app, None).await?;
    Ok(Json(CalendarList { calendars }))
}

/// Show a calendar.
///
/// With its days, and the calling hours that name it.
#[utoipa::path(
    get, path = "/api/v1/calendars/{name}", tag = "operations",
    responses((status = 200, description = "The calendar.", body = Calendar)),
)]
pub(super) async fn show_calendar(
    State(app): State<App>,
    Name(name, _): Name<Calendar>,
) -> Result<Json<Calendar>, Problem> {
    show(&app, &name).await
}

/// Create or replace a calendar.
///
/// Its days are those given and no others. It is in effect from the next claim on.
#[utoipa::path(
    put, path = "/api/v1/calendars/{name}", tag = "operations",
    responses(
        (status = 200, description = "It was replaced.", body = Calendar),
        (status = 201, description = "It is new; `Location` names it.", body = Calendar, headers(("Location" = String, description = "Its path."))),
    ),
)]
pub(super) async fn set_calendar(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Calendar>,
    Fields(fields, _): Fields<SetCalendarRequest>,
) -> Result<Response, Problem> {
    set::<Calendar>(&app, &owner, &name, fields).await
}

/// Delete a calendar.
///
/// Refused while calling hours name it.
#[utoipa::path(
    delete, path = "/api/v1/calendars/{name}", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete_calendar(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Calendar>,
    Query(query): Query<DeletionQuery>,
) -> Result<StatusCode, Problem> {
    delete::<Calendar>(&app, &owner, &name, query.why).await
}

async fn show<R: Rules>(app: &App, name: &str) -> Result<Json<R>, Problem> {
    let found = R::all(app, Some(name)).await?;
    found.into_iter().next().map(Json).ok_or_else(no_such::<R>)
}

fn no_such<R: Rules>() -> Problem {
    let (what, path) = (R::WHAT, R::PATH);
    let detail = format!("no {what} of this name: GET {path} shows what there is");
    Problem::new(R::IS_UNKNOWN, detail)
}

async fn set<R: Rules>(
    app: &App,
    owner: &Owner,
    name: &str,
    mut rules: Value,
) -> Result<Response, Problem> {
    let why = take(&mut rules, "why");
    let (by, why) = (owner.by(), why.as_deref());
    let new = app.calls.set_rules(R::KIND, name, &rules, &by, why).await?;
    let shown = show::<R>(app, name).await?;
    if !new {
        return Ok(shown.into_response());
    }
    let location = [(header::LOCATION, format!("{}/{name}", R::PATH))];
    Ok((StatusCode::CREATED, location, shown).into_response())
}

async fn delete<R: Rules>(
    app: &App,
    owner: &Owner,
    name: &str,
    why: Option<Why>,
) -> Result<StatusCode, Problem> {
    let by = owner.by();
    let deletion = app.calls.delete_rules(R::KIND, name, &by, why.as_deref());
    match deletion.await? {
        Deletion::Deleted => Ok(StatusCode::NO_CONTENT),
        Deletion::NotFound => Err(no_such::<R>()),
        Deletion::InUse(by) => {
            let (what, by) = (R::WHAT, by.join(", "));
            let detail = format!("the {what} cannot go while {by} names it: give it another first");
            Err(Problem::new(Code::InUse, detail))
        }
    }
}
