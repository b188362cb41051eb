//! Named lanes of calls: cap, weight, policies, pause.

use axum::{
    Extension, Json,
    extract::{Request, State},
    response::Response,
};
use serde_json::Value;

use super::{
    App,
    auth::Owner,
    body::Name,
    lanes,
    problem::Problem,
    schema::acting::{
        Campaign, Campaigns, CreateCampaignRequest, OptionalReasonRequest, ReasonRequest,
        SetCampaignRequest,
    },
};
use crate::flow::lanes::LaneKind;

const KIND: LaneKind = LaneKind::Campaign;

/// List the campaigns, with what they have in flight.
#[utoipa::path(
    get, path = "/api/v1/campaigns", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = Campaigns)),
)]
pub(super) async fn list_campaigns(State(app): State<App>) -> Result<Json<Value>, Problem> {
    lanes::list(&app, KIND).await
}

/// Show a campaign.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{name}", tag = "operations", params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The campaign.", body = Campaign)),
)]
pub(super) async fn show_campaign(
    State(app): State<App>,
    Name(name): Name,
) -> Result<Json<Value>, Problem> {
    lanes::show(&app, KIND, &name).await
}

/// Make a new campaign.
///
/// What is not given has its usual value.
#[utoipa::path(
    post, path = "/api/v1/campaigns", tag = "operations", request_body = CreateCampaignRequest,
    responses((status = 201, description = "The new campaign; `Location` names it.", body = Campaign, headers(("Location" = String, description = "Its path.")))),
)]
pub(super) async fn create_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    request: Request,
) -> Result<Response, Problem> {
    lanes::create(&app, &owner, KIND, request).await
}

/// Change a campaign.
///
/// Only the given fields change. It holds from the next claim on; running calls keep what they have.
#[utoipa::path(
    patch, path = "/api/v1/campaigns/{name}", tag = "operations", request_body = SetCampaignRequest,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The changed campaign.", body = Campaign)),
)]
pub(super) async fn change_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name): Name,
    request: Request,
) -> Result<Json<Value>, Problem> {
    lanes::change(&app, &owner, KIND, &name, request).await
}

/// Stop the dialing of a campaign.
///
/// Before the next claim. Live calls are left alone.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{name}/pause", tag = "operations", request_body = ReasonRequest,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "It is paused.", body = Campaign)),
)]
pub(super) async fn pause_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name): Name,
    request: Request,
) -> Result<Json<Value>, Problem> {
    lanes::pause(&app, &owner, KIND, &name, request).await
}

/// Start its dialing again.
#[utoipa::path(
    post, path = "/api/v1/campaigns/{name}/resume", tag = "operations", request_body = Option<OptionalReasonRequest>,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "It dials.", body = Campaign)),
)]
pub(super) async fn resume_campaign(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name): Name,
    request: Request,
) -> Result<Json<Value>, Problem> {
    lanes::resume(&app, &owner, KIND, &name, request).await
}
