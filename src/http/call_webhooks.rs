//! What providers said about one call, as they said it.

use axum::{Json, extract::State, http::Uri};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    App,
    body::{self, Id},
    problem::{Code, Problem},
    schema::{WebhookPage, WebhookWithBody},
};
use crate::{domain::CallId, flow::view::WebhookEvent};

const USUAL: i64 = 20;
const MOST: i64 = 100;
/// Of bodies, in one page; one event is there however large it is.
const PAGE_BYTES: i64 = 1024 * 1024;

/// List what the provider reported about a call, newest first.
///
/// Each event with its body as it came: as text in `body`, or in base64 in `bodyBase64` where it is no
/// UTF-8. A page holds 1 MiB of bodies, or one event.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/webhooks", tag = "calls",
    params(
        ("id" = CallId, Path, description = "The call."),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 20 when absent."),
        ("cursor" = Option<String>, Query, pattern = "^[1-9][0-9]{0,17}$", description = "`nextCursor` of the page before."),
    ),
    responses((status = 200, description = "A page; `nextCursor` is null on the last one.", body = WebhookPage)),
)]
pub(super) async fn call_webhooks(
    State(app): State<App>,
    Id(id): Id,
    uri: Uri,
) -> Result<Json<WebhookPage>, Problem> {
    let (limit, below) = read(&uri)?;
    let page = app
        .calls
        .call_webhooks(id, below, limit, PAGE_BYTES)
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

fn read(uri: &Uri) -> Result<(i64, Option<i64>), Problem> {
    let refusal = |words: String| Problem::new(Code::InvalidQuery, words);
    let mut given = body::query(uri, &["limit", "cursor"])?;
    let mut number = |name: &str, most: i64| {
        let text = given.remove(name)?;
        Some(text.parse().ok().filter(|n| (1..=most).contains(n)))
    };
    let limit = match number("limit", MOST) {
        None => USUAL,
        Some(limit) => {
            limit.ok_or_else(|| refusal(format!("\"limit\" is a whole number from 1 to {MOST}")))?
        }
    };
    let below = number("cursor", i64::MAX).map(|below| {
        below.ok_or_else(|| {
            refusal("\"cursor\" is not one of ours: give back nextCursor as it was".to_owned())
        })
    });
    Ok((limit, below.transpose()?))
}
