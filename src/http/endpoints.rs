//! Endpoints and deliveries over HTTP.

use axum::{
    Extension, Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    argument::{Argument, Described},
    auth::Owner,
    body::{Fields, Object, OptionalObject},
    contact_limits::DeletionQuery,
    groups::{needed_change, set_if_unchanged, take},
    path::{Name, Named, text},
    problem::{Code, Problem},
    query::{Limit, Query},
    schema::{
        acting::{OptionalReasonRequest, ReasonRequest},
        endpoints::{
            CreateEndpointRequest, CreatedEndpoint, DeliveryPage, Endpoints, ResendRequest,
            ResendResponse, RotateEndpointRequest, RotatedEndpoint, SetEndpointRequest,
            TestedEndpoint,
        },
    },
    versions::{IfMatch, Tagged, tagged},
};
use crate::{
    domain::CallId,
    flow::{
        endpoints::DeliveryFilter,
        resend::{Resent, ResentSpan, Span},
        version::Versioned,
        view::{DeliveryState, Endpoint, EndpointDelivery},
    },
};

impl Named for Endpoint {
    const WHAT: &'static str = "endpoint";
    const IS_UNKNOWN: Code = Code::NoSuchEndpoint;
}

/// Endpoint and id of a delivery in the path.
#[derive(Debug, Clone)]
pub(super) struct DeliveryPath {
    endpoint: String,
    id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        path.ok()
            .filter(|Path((endpoint, id))| !endpoint.contains('\0') && !id.contains('\0'))
            .map(|Path((endpoint, id))| Self { endpoint, id })
            .ok_or_else(|| Problem::new(Code::InvalidId, "the path cannot be read"))
    }
}

impl Argument for DeliveryPath {
    const REFUSES: &'static [Code] = &[Code::InvalidId, Code::NoSuchEndpoint, Code::NoSuchDelivery];

    fn describe(described: &mut Described<'_>) {
        described.parameters(vec![
            text("name", "endpoint"),
            text("delivery", "delivery, by its id"),
        ]);
    }
}

async fn shown(app: &App, name: &str) -> Result<Endpoint, Problem> {
    let endpoints = app.calls.endpoints(Some(name)).await?;
    endpoints.into_iter().next().ok_or_else(no_such)
}

pub(super) fn no_such() -> Problem {
    Problem::new(
        Code::NoSuchEndpoint,
        "no endpoint has this name: GET /api/v1/endpoints shows those there are",
    )
}

fn no_such_delivery() -> Problem {
    Problem::new(
        Code::NoSuchDelivery,
        "no such event is kept: GET /api/v1/endpoints/{name}/deliveries shows what was delivered lately",
    )
}

/// List the endpoints.
///
/// Each with how far it has got, and what went wrong last.
#[utoipa::path(
    get, path = "/api/v1/endpoints", tag = "operations",
    responses((status = 200, description = "All of them, by name.", body = Endpoints)),
)]
pub(super) async fn list_endpoints(State(app): State<App>) -> Result<Json<Endpoints>, Problem> {
    let endpoints = app.calls.endpoints(None).await?;
    Ok(Json(Endpoints { endpoints }))
}

/// Show an endpoint.
///
/// With how far it has got, and what went wrong last.
#[utoipa::path(
    get, path = "/api/v1/endpoints/{name}", tag = "operations",
    responses((status = 200, description = "The endpoint.", body = Endpoint)),
)]
pub(super) async fn show_endpoint(
    State(app): State<App>,
    Name(name, _): Name<Endpoint>,
) -> Result<Tagged<Endpoint>, Problem> {
    tagged(&app, (Versioned::Endpoint, &name), shown(&app, &name)).await
}

/// Create an endpoint.
///
/// Events from now on are posted to its URL, signed as Standard Webhooks says, at least once, and the events of a call
/// one after the other. The response has the signing secret, which is not shown again.
#[utoipa::path(
    post, path = "/api/v1/endpoints", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::NameTaken]))),
    responses((status = 201, description = "The new endpoint; `Location` names it.", body = CreatedEndpoint, headers(("Location" = String, description = "Its path.")))),
)]
pub(super) async fn create_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Fields(mut fields, _): Fields<CreateEndpointRequest>,
) -> Result<Response, Problem> {
    let why = take(&mut fields, "why");
    let name = take(&mut fields, "name").unwrap_or_default();
    let (by, why) = (owner.by(), why.as_deref());
    let created = app.calls.create_endpoint(&name, &fields, &by, why).await?;
    let secret = created.ok_or_else(|| {
        Problem::new(
            Code::NameTaken,
            "there is an endpoint of this name already: PATCH changes it",
        )
    })?;
    let location = [(header::LOCATION, format!("/api/v1/endpoints/{name}"))];
    let endpoint = shown(&app, &name).await?;
    let created = Json(CreatedEndpoint { endpoint, secret });
    Ok((StatusCode::CREATED, location, created).into_response())
}

/// Change an endpoint.
///
/// Only the given fields change, for whatever is sent from now on.
#[utoipa::path(
    patch, path = "/api/v1/endpoints/{name}", tag = "operations",
    responses((status = 200, description = "The changed endpoint.", body = Endpoint)),
)]
pub(super) async fn change_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    IfMatch(versions): IfMatch,
    Fields(mut fields, _): Fields<SetEndpointRequest>,
) -> Result<Tagged<Endpoint>, Problem> {
    let why = take(&mut fields, "why");
    needed_change(&fields)?;
    let (by, why) = (owner.by(), why.as_deref());
    let of = (Versioned::Endpoint, &*name);
    let is_set = match versions {
        None => app.calls.set_endpoint(&name, &fields, &by, why).await?,
        Some(versions) => set_if_unchanged(&app, of, &versions, &fields, (&by, why)).await?,
    };
    if !is_set {
        return Err(no_such());
    }
    tagged(&app, of, shown(&app, &name)).await
}

/// Delete an endpoint.
///
/// What it has not got yet is not delivered.
#[utoipa::path(
    delete, path = "/api/v1/endpoints/{name}", tag = "operations",
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    Query(query): Query<DeletionQuery>,
) -> Result<StatusCode, Problem> {
    let (by, why) = (owner.by(), query.why.as_deref());
    if !app.calls.delete_endpoint(&name, &by, why).await? {
        return Err(no_such());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Pause an endpoint.
///
/// Nothing more is sent to it. Its events are kept, as long as the history is, and delivered once it is resumed.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{name}/pause", tag = "operations",
    responses((status = 200, description = "It is paused.", body = Endpoint)),
)]
pub(super) async fn pause_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    Object(ReasonRequest { why }): Object<ReasonRequest>,
) -> Result<Json<Endpoint>, Problem> {
    if !app.calls.pause_endpoint(&name, &owner.by(), &why).await? {
        return Err(no_such());
    }
    shown(&app, &name).await.map(Json)
}

/// Resume an endpoint.
///
/// What has waited is sent at once, then what has happened meanwhile.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{name}/resume", tag = "operations",
    responses((status = 200, description = "It is delivered to.", body = Endpoint)),
)]
pub(super) async fn resume_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    OptionalObject(OptionalReasonRequest { why }): OptionalObject<OptionalReasonRequest>,
) -> Result<Json<Endpoint>, Problem> {
    let (by, why) = (owner.by(), why.as_deref());
    if !app.calls.resume_endpoint(&name, &by, why).await? {
        return Err(no_such());
    }
    shown(&app, &name).await.map(Json)
}

/// Replace an endpoint's secret.
///
/// For a while deliveries are signed with both, so that the receiver can change over at any moment.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{name}/rotate", tag = "operations",
    responses((status = 200, description = "The new secret.", body = RotatedEndpoint)),
)]
pub(super) async fn rotate_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    OptionalObject(RotateEndpointRequest { overlap, why }): OptionalObject<RotateEndpointRequest>,
) -> Result<Json<RotatedEndpoint>, Problem> {
    let (by, why) = (owner.by(), why.as_deref());
    let rotated = app
        .calls
        .rotate_endpoint(&name, overlap.as_deref(), &by, why);
    let secret = rotated.await?.ok_or_else(no_such)?;
    Ok(Json(RotatedEndpoint { secret }))
}

/// Send a test to an endpoint.
///
/// A delivery of type `test`, which is about no call. It is sent like any other; its id shows what became of it.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{name}/test", tag = "operations",
    extensions(("x-problem-codes" = json!([Code::InvalidRequest]))),
    responses((status = 202, description = "It is on its way.", body = TestedEndpoint)),
)]
pub(super) async fn test_endpoint(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    OptionalObject(OptionalReasonRequest { why }): OptionalObject<OptionalReasonRequest>,
) -> Result<Response, Problem> {
    let (by, why) = (owner.by(), why.as_deref());
    let id = app.calls.test_endpoint(&name, &by, why).await?;
    let id = id.ok_or_else(no_such)?;
    Ok((StatusCode::ACCEPTED, Json(TestedEndpoint { id })).into_response())
}

/// Deliver a span of events once more.
///
/// A batch of the endpoint's events from `from` until before `until`, with the ids that they had; repeat with `cursor`
/// until it is null. Events that were never delivered come too, if they are kept.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{name}/resend", tag = "operations",
    responses((status = 200, description = "They are on their way.", body = ResentSpan)),
)]
pub(super) async fn resend_events(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Name(name, _): Name<Endpoint>,
    Object(request): Object<ResendRequest>,
) -> Result<Json<ResentSpan>, Problem> {
    let span = Span {
        from: request.from,
        until: request.until,
        only: request.only,
        cursor: request.cursor,
    };
    let (by, why) = (owner.by(), request.why.as_deref());
    let sent = app.calls.resend_span(&name, &span, &by, why).await?;
    sent.map(Json).ok_or_else(no_such)
}

/// Filters and paging of the deliveries to an endpoint.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryQuery {
    /// Only deliveries in this state.
    state: Option<DeliveryState>,
    /// Only deliveries about this call.
    call: Option<CallId>,
    /// Deliveries on a page.
    #[serde(default)]
    #[param(inline)]
    limit: Limit<50, 200>,
    /// `nextCursor` of the previous page.
    #[param(pattern = "^(evt_[0-9a-f]{1,15}_[0-9a-f]{1,15}_[0-9a-f]{1,15})?$")]
    cursor: Option<String>,
}

/// List the deliveries to an endpoint, the latest events first.
///
/// Those that are not over, and those of the last seven days.
#[utoipa::path(
    get, path = "/api/v1/endpoints/{name}/deliveries", tag = "operations",
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = DeliveryPage)),
)]
pub(super) async fn list_deliveries(
    State(app): State<App>,
    Name(name, _): Name<Endpoint>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<DeliveryPage>, Problem> {
    let before = query.cursor.filter(|cursor| !cursor.is_empty());
    if !before.as_deref().is_none_or(is_delivery) {
        return Err(Problem::new(
            Code::InvalidQuery,
            "the cursor is not one of ours: it is the nextCursor of a page",
        ));
    }
    let filter = DeliveryFilter {
        state: query.state,
        call: query.call,
        before,
    };
    let limit = query.limit;
    let deliveries = app
        .calls
        .endpoint_deliveries(&name, &filter, limit.and_one());
    let mut deliveries = deliveries.await?;
    if deliveries.is_empty() {
        shown(&app, &name).await?;
    }
    let next_cursor = limit.page(&mut deliveries, |delivery| delivery.id.clone());
    Ok(Json(DeliveryPage {
        deliveries,
        next_cursor,
    }))
}

/// Whether this is an id of a delivery: `evt_XID_SEQ_AT`, in hex.
fn is_delivery(id: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    id.strip_prefix("evt_").is_some_and(|rest| {
        let parts: Vec<&str> = rest.split('_').collect();
        parts.len() == 3
            && parts
                .iter()
                .all(|part| (1..=15).contains(&part.len()) && part.chars().all(is_hex))
    })
}

/// Show a delivery.
///
/// With the body that is sent, and the latest attempts with what was answered.
#[utoipa::path(
    get, path = "/api/v1/endpoints/{name}/deliveries/{delivery}", tag = "operations",
    responses((status = 200, description = "The delivery.", body = EndpointDelivery)),
)]
pub(super) async fn show_delivery(
    State(app): State<App>,
    DeliveryPath { endpoint, id }: DeliveryPath,
) -> Result<Json<EndpointDelivery>, Problem> {
    let delivery = app.calls.endpoint_delivery(&endpoint, &id).await?;
    match delivery {
        Some(delivery) => Ok(Json(delivery)),
        None => Err(shown(&app, &endpoint)
            .await
            .map_or_else(|unknown| unknown, |_known| no_such_delivery())),
    }
}

/// Deliver an event once more.
///
/// With the same id, and ahead of later events of its call. Also one that was never delivered to this endpoint, by its
/// id, if it is kept.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{name}/deliveries/{delivery}/resend", tag = "operations",
    responses((status = 200, description = "It is on its way.", body = ResendResponse)),
)]
pub(super) async fn resend_event(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    DeliveryPath { endpoint, id }: DeliveryPath,
    OptionalObject(OptionalReasonRequest { why }): OptionalObject<OptionalReasonRequest>,
) -> Result<Json<ResendResponse>, Problem> {
    let (by, why) = (owner.by(), why.as_deref());
    let result = match app.calls.resend(&endpoint, &id, &by, why).await? {
        Resent::Resent => "resent",
        Resent::Pending => "pending",
        Resent::UnknownEvent => return Err(no_such_delivery()),
        Resent::NotFound => return Err(no_such()),
    };
    Ok(Json(ResendResponse {
        result: result.to_owned(),
    }))
}
