//! Named lanes of calls: cap, weight, policies, pause.

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
        Campaigns, CreateCampaignRequest, OptionalReasonRequest, ReasonRequest, SetCampaignRequest,
    },
};
use crate::flow::view::Campaign;

/// List the campaigns, with what they have in flight.
#[utoipa::path(
    get, path = "/api/v1/campaigns", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = Campaigns)),
)]
pub(super) async fn list_campaigns(State(app): State<App>) -> Result<Json<Campaigns>, Problem> {
    let campaigns = app.calls.campaigns(None).await?;
    Ok(Json(Campaigns { campaigns }))
}

/// Show a campaign.
#[utoipa::path(
    get, path = "/api/v1/campaigns/{name}", tag = "operations", params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The campaign.", body = Campaign)),
)]
pub(super) async fn show_campaign(
    State(app): State<App>,
    Name(name): Name,
) -> Result<Json<Campaign>, Problem> {
    lanes::show(&app, &name).await
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
    lanes::create::<Campaign>(&app, &owner, request).await
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
) -> Result<Json<Campaign>, Problem> {
    lanes::change(&app, &owner, &name, request).await
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
) -> Result<Json<Campaign>, Problem> {
    lanes::pause(&app, &owner, &name, request).await
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
) -> Result<Json<Campaign>, Problem> {
    lanes::resume(&app, &owner, &name, request).await
}
