//! Campaigns over HTTP.

use axum::{Extension, Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

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
        Campaigns, CreateCampaignRequest, OptionalReasonRequest, ReasonRequest, SetCampaignRequest,
    },
    versions::{IfMatch, Tagged},
};
use crate::flow::{
    archive::Removal,
    view::{Campaign, Preview},
};

/// List the campaigns.
///
/// Each with its calls in flight and its room for more. A key that is bound to campaigns sees those.
#[utoipa::path(
    get, path = "/api/v1/campaigns", tag = "operations",
    responses((status = 200, description = "By name.", body = Campaigns)),
)]
pub(super) async fn list_campaigns(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Query(query): Query<GroupQuery>,
) -> Result<Json<Campaigns>, Problem> {
    let mut campaigns = app.calls.campaigns(None).await?;
    campaigns.retain(|campaign| {
        owner.has(&campaign.name) && (query.archived || campaign.archived_at.is_none())
    });
    Ok(Json(Campaigns { campaigns }))
}

/// Show a campaign.
///
/// With its calls in flight and its room for more.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{name}", tag = "operations",
    responses((status = 200, description = "The campaign.", body = Campaign)),
)]
pub(super) async fn show_campaign(
    State(app): State<App>,
    Name(name, _): Name<Campaign>,
) -> Result<Tagged<Campaign>, Problem> {
    groups::show_tagged(&app, &name).await
}

/// The instant of a preview.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    /// The instant to look at (RFC 3339); default: the start of the campaign, or now.
    at: Option<DateTime<Utc>>,
}

/// Preview a campaign.
///
/// How many of its waiting calls could be dialed, what keeps the others, and how long all would take. It walks all of
/// them: some seconds for a million.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{name}/preview", tag = "operations",
    responses((status = 200, description = "What would be dialed.", body = Preview)),
)]
pub(super) async fn preview_campaign(
    State(app): State<App>,
    Name(name, _): Name<Campaign>,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<Preview>, Problem> {
    let preview = app.calls.preview(&name, query.at).await?;
    preview.map(Json).ok_or_else(groups::no_such::<Campaign>)
}

/// Create a campaign.
///
/// Omitted fields take their defaults.
#[utoipa::path(
    post, path = "/api/v1/campaigns", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::NameTaken, Code::UnknownTrunk]))),
    responses((status = 201, description = "The new campaign; `Location` names it.", body = Campaign, headers(("Location" = String, description = "Its path.")))),
)]
pub(super) async fn create_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Fields(fields, _): Fields<CreateCampaignRequest>,
) -> Result<Response, Problem> {
    groups::create::<Campaign>(&app, &owner, fields).await
}

/// Change a campaign.
///
/// Only the given fields change, from the next claim on; calls in flight keep what they were claimed with.
#[utoipa::path(
    patch, path = "/api/v1/campaigns/{name}", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::UnknownTrunk]))),
    responses((status = 200, description = "The changed campaign.", body = Campaign)),
)]
pub(super) async fn change_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Campaign>,
    versions: IfMatch,
    Fields(fields, _): Fields<SetCampaignRequest>,
) -> Result<Tagged<Campaign>, Problem> {
    groups::change(&app, &owner, &name, (fields, versions)).await
}

/// Pause a campaign.
///
/// Takes effect before the next claim. Calls in flight are left alone.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{name}/pause", tag = "operations",
    responses((status = 200, description = "It is paused.", body = Campaign)),
)]
pub(super) async fn pause_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Campaign>,
    Object(reason): Object<ReasonRequest>,
) -> Result<Json<Campaign>, Problem> {
    groups::pause(&app, &owner, &name, &reason).await
}

/// Resume a campaign.
///
/// Takes effect from the next claim on.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{name}/resume", tag = "operations",
    responses((status = 200, description = "It dials.", body = Campaign)),
)]
pub(super) async fn resume_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Campaign>,
    OptionalObject(reason): OptionalObject<OptionalReasonRequest>,
) -> Result<Json<Campaign>, Problem> {
    groups::resume(&app, &owner, &name, &reason).await
}

/// Archive a campaign.
///
/// It stays in reports and is left out of lists; it is paused, and takes no calls. Refused while calls of it wait or are in flight.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{name}/archive", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 200, description = "It is archived.", body = Campaign)),
)]
pub(super) async fn archive_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Campaign>,
    Object(reason): Object<ReasonRequest>,
) -> Result<Json<Campaign>, Problem> {
    let how = (Removal::Archive, Some(&*reason.why));
    groups::remove::<Campaign>(&app, &owner, &name, how).await?;
    groups::show(&app, &name).await
}

/// Bring an archived campaign back.
///
/// It is in the lists again, and paused: resume it to dial.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{name}/unarchive", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 200, description = "It is back.", body = Campaign)),
)]
pub(super) async fn unarchive_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Campaign>,
    OptionalObject(reason): OptionalObject<OptionalReasonRequest>,
) -> Result<Json<Campaign>, Problem> {
    let how = (Removal::Unarchive, reason.why.as_deref());
    groups::remove::<Campaign>(&app, &owner, &name, how).await?;
    groups::show(&app, &name).await
}

/// Delete a campaign.
///
/// Only one that never had a call: archive others.
#[utoipa::path(
    delete, path = "/api/v1/campaigns/{name}", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InUse]))),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Campaign>,
    Query(query): Query<DeletionQuery>,
) -> Result<StatusCode, Problem> {
    let how = (Removal::Delete, query.why.as_deref());
    groups::remove::<Campaign>(&app, &owner, &name, how).await?;
    Ok(StatusCode::NO_CONTENT)
}
