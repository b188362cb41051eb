//! Campaigns and trunks over HTTP: what both have in common.

use axum::{
    Json,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    App,
    auth::Owner,
    body,
    calls::check_why,
    problem::{Code, Problem},
    schema::acting::{OptionalReasonRequest, ReasonRequest},
};
use crate::flow::lanes::LaneKind;

pub(super) async fn list(app: &App, kind: LaneKind) -> Result<Json<Value>, Problem> {
    let lanes = app.calls.lanes(kind, None).await?;
    Ok(Json(match kind {
        LaneKind::Campaign => json!({ "campaigns": lanes }),
        LaneKind::Trunk => json!({ "trunks": lanes }),
    }))
}

pub(super) async fn show(app: &App, kind: LaneKind, name: &str) -> Result<Json<Value>, Problem> {
    let lanes = app.calls.lanes(kind, Some(name)).await?;
    let lane = lanes.into_iter().next();
    lane.map(Json).ok_or_else(|| no_such(kind))
}

fn no_such(kind: LaneKind) -> Problem {
    match kind {
        LaneKind::Campaign => Problem::new(
            Code::NoSuchCampaign,
            "no campaign has this name: GET /api/v1/campaigns shows those there are",
        ),
        LaneKind::Trunk => Problem::new(
            Code::NoSuchTrunk,
            "no trunk has this name: GET /api/v1/trunks shows those there are",
        ),
    }
}

pub(super) async fn create(
    app: &App,
    owner: &Owner,
    kind: LaneKind,
    request: Request,
) -> Result<Response, Problem> {
    let (mut changes, why) = read_changes(request).await?;
    let name = changes
        .as_object_mut()
        .and_then(|fields| fields.remove("name"));
    let Some(Value::String(name)) = name else {
        let detail = format!("\"name\" is missing: the name of the new {kind}");
        return Err(Problem::new(Code::InvalidRequest, detail));
    };
    let (by, why) = (owner.by(), why.as_deref());
    let made = app
        .calls
        .create_lane(kind, &name, &changes, &by, why)
        .await?;
    if !made {
        let detail = format!("there is a {kind} of this name already: PATCH changes it");
        return Err(Problem::new(Code::NameTaken, detail));
    }
    let location = [(header::LOCATION, format!("/api/v1/{kind}s/{name}"))];
    let lane = show(app, kind, &name).await?;
    Ok((StatusCode::CREATED, location, lane).into_response())
}

pub(super) async fn change(
    app: &App,
    owner: &Owner,
    kind: LaneKind,
    name: &str,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (changes, why) = read_changes(request).await?;
    if changes.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Problem::new(
            Code::InvalidRequest,
            "nothing to change was given",
        ));
    }
    let (by, why) = (owner.by(), why.as_deref());
    if !app.calls.set_lane(kind, name, &changes, &by, why).await? {
        return Err(no_such(kind));
    }
    show(app, kind, name).await
}

/// What to change, and why; the reason is no field of the row.
async fn read_changes(request: Request) -> Result<(Value, Option<String>), Problem> {
    let mut changes = body::object(request).await?;
    let why = match changes
        .as_object_mut()
        .and_then(|fields| fields.remove("why"))
    {
        None | Some(Value::Null) => None,
        Some(Value::String(why)) => Some(why),
        Some(_) => {
            return Err(Problem::new(
                Code::InvalidRequest,
                "\"why\" must be a string",
            ));
        }
    };
    check_why(why.as_deref())?;
    Ok((changes, why))
}

pub(super) async fn pause(
    app: &App,
    owner: &Owner,
    kind: LaneKind,
    name: &str,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let ReasonRequest { why } = body::typed(request).await?;
    check_reason(&why)?;
    if !app.calls.pause(kind, name, &owner.by(), &why).await? {
        return Err(no_such(kind));
    }
    show(app, kind, name).await
}

pub(super) async fn resume(
    app: &App,
    owner: &Owner,
    kind: LaneKind,
    name: &str,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let OptionalReasonRequest { why } = body::optional(request).await?;
    check_why(why.as_deref())?;
    let (by, why) = (owner.by(), why.as_deref());
    if !app.calls.resume(kind, name, &by, why).await? {
        return Err(no_such(kind));
    }
    show(app, kind, name).await
}

/// A reason that there must be.
pub(super) fn check_reason(why: &str) -> Result<(), Problem> {
    if why.trim().is_empty() {
        return Err(Problem::new(
            Code::InvalidRequest,
            "\"why\" is empty: it is kept with the act",
        ));
    }
    check_why(Some(why))
}
