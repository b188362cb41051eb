//! Webhook events of one call, with their bodies.

use axum::{Json, extract::State};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    path::Id,
    problem::Problem,
    query::{Below, Limit, Query},
    schema::{WebhookPage, WebhookWithBody},
};
use crate::flow::view::WebhookEvent;

/// Bytes of bodies on one page; a page always has at least one event.
const PAGE_BYTES: i64 = 1024 * 1024;

/// Paging of a call's webhook events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookQuery {
    /// Events on a page, at most.
    #[serde(default)]
    #[param(inline)]
    limit: Limit<20, 100>,
    /// `nextCursor` of the previous page.
    #[param(inline)]
    cursor: Option<Below>,
}

/// List what the provider reported about a call, newest first.
///
/// Each event has its body as received: as text in `body`, or in base64 in `bodyBase64` if it is not UTF-8. A
/// page holds 1 MiB of bodies, or one event.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/webhooks", tag = "calls",
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = WebhookPage)),
)]
pub(super) async fn call_webhooks(
    State(app): State<App>,
    Id(id): Id,
    Query(query): Query<WebhookQuery>,
) -> Result<Json<WebhookPage>, Problem> {
    let below = query.cursor.map(|below| below.0);
    let page = app
        .calls
        .call_webhooks(id, below, query.limit.get(), PAGE_BYTES)
        .await?;
    if page.events.is_empty() && app.calls.show(id).await?.is_none() {
        return Err(Problem::no_such_call());
    }
    let last = page.events.last().filter(|_| page.more);
    let next_cursor = last.map(|event| event.0.id.to_string());
    let webhooks = page.events.into_iter().map(with_body).collect();
    Ok(Json(WebhookPage {
        webhooks,
        next_cursor,
    }))
}

fn with_body((event, body): (WebhookEvent, Vec<u8>)) -> WebhookWithBody {
    let (body, body_base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(other) => (None, Some(BASE64_STANDARD.encode(other.as_bytes()))),
    };
    WebhookWithBody {
        event,
        body,
        body_base64,
    }
}
