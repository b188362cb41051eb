//! Many calls at once, by a filter: cancel, redrive, resolve, export.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    body::{FILTER, Object},
    listing,
    masked::{self, Masked},
    problem::{Code, Problem},
    query::Filtered,
    schema::acting::BatchRequest,
};
use crate::{
    export::{Format, Writer},
    flow::matching::{Batch, BatchResponse},
};

/// Calls on one page of an export, which is what is in memory at once.
const PAGE: i32 = 1000;

/// Cancel the calls a filter selects.
///
/// One batch of those that wait or are in flight, in the order of their ids. If the response has a `cursor`
/// there may be more: repeat the request with it.
#[utoipa::path(
    post, path = "/api/v1/calls/cancel", tag = "calls",
    responses((status = 200, description = "How many came to what, or would.", body = BatchResponse)),
)]
pub(super) async fn cancel_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<BatchRequest, FILTER>,
) -> Result<Json<BatchResponse>, Problem> {
    only_for("redrive", "force", request.force)?;
    only_for("resolve", "as", request.r#as.is_some())?;
    let (filter, by) = (filter(&request, &owner)?, owner.by());
    let batch = batch(&request, &filter, &by);
    Ok(Json(app.calls.cancel_matching(&batch).await?))
}

/// Put the finished calls a filter selects back into the queue.
///
/// One batch; completed calls only with `force`. If the response has a `cursor` there may be more: repeat the
/// request with it.
#[utoipa::path(
    post, path = "/api/v1/calls/redrive", tag = "calls",
    responses((status = 200, description = "How many came to what, or would.", body = BatchResponse)),
)]
pub(super) async fn redrive_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<BatchRequest, FILTER>,
) -> Result<Json<BatchResponse>, Problem> {
    only_for("resolve", "as", request.r#as.is_some())?;
    let (filter, by) = (filter(&request, &owner)?, owner.by());
    let batch = batch(&request, &filter, &by);
    let batched = app.calls.redrive_matching(&batch, request.force).await?;
    Ok(Json(batched))
}

/// Say what came of the dials in doubt a filter selects.
///
/// One batch of calls that are `unresolved`, unless the filter names other states in flight, or `failed`: of these only
/// calls whose outcome is `unknown`. See `/calls/{id}/resolve`. If the response has a `cursor` there may be more: repeat the request with it.
#[utoipa::path(
    post, path = "/api/v1/calls/resolve", tag = "calls",
    request_body(content = BatchRequest, example = json!({"filter": {"campaign": "default"}, "as": "not_placed", "why": "the provider was down"})),
    responses((status = 200, description = "How many came to what, or would.", body = BatchResponse)),
)]
pub(super) async fn resolve_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<BatchRequest, FILTER>,
) -> Result<Json<BatchResponse>, Problem> {
    only_for("redrive", "force", request.force)?;
    let missing = || {
        Problem::new(
            Code::InvalidRequest,
            "\"as\" is missing: what came of the dials",
        )
    };
    let r#as = request.r#as.ok_or_else(missing)?;
    let (filter, by) = (filter(&request, &owner)?, owner.by());
    let batch = batch(&request, &filter, &by);
    Ok(Json(app.calls.resolve_matching(&batch, r#as).await?))
}

/// Recheck the calls that contact limits have put aside.
///
/// One batch of waiting calls that a filter selects: those whose `runAt` a contact limit has set become due, and the
/// next claim counts again. Needed only after a limit was loosened. If the response has a `cursor` there may be more:
/// repeat the request with it.
#[utoipa::path(
    post, path = "/api/v1/calls/recheck", tag = "calls",
    responses((status = 200, description = "How many came to what, or would.", body = BatchResponse)),
)]
pub(super) async fn recheck_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Object(request): Object<BatchRequest, FILTER>,
) -> Result<Json<BatchResponse>, Problem> {
    only_for("redrive", "force", request.force)?;
    only_for("resolve", "as", request.r#as.is_some())?;
    let (filter, by) = (filter(&request, &owner)?, owner.by());
    let batch = batch(&request, &filter, &by);
    Ok(Json(app.calls.recheck_matching(&batch).await?))
}

/// The filter of the request, within the campaigns of a key that is bound to some.
fn filter(request: &BatchRequest, owner: &Owner) -> Result<Value, Problem> {
    let mut filter = request.filter.clone();
    if owner.campaigns().is_some() {
        let named = filter.get("campaign").and_then(Value::as_str);
        let campaign = owner.filtered(named.map(str::to_owned))?;
        filter.insert("campaign".to_owned(), json!(campaign));
    }
    Ok(Value::Object(filter))
}

fn only_for(verb: &str, field: &str, is_given: bool) -> Result<(), Problem> {
    if is_given {
        let words = format!("\"{field}\" is for {verb}: nothing else needs it");
        return Err(Problem::new(Code::InvalidRequest, words));
    }
    Ok(())
}

fn batch<'a>(request: &'a BatchRequest, filter: &'a Value, by: &'a str) -> Batch<'a> {
    Batch {
        filter,
        limit: request.limit,
        dry_run: request.dry_run,
        cursor: request.cursor.as_deref(),
        by,
        why: &request.why,
    }
}

/// Format of an export.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// Format of the export; default `ndjson`.
    #[serde(default)]
    format: Format,
}

/// Export calls with their results.
///
/// All calls that match the query, as a stream: NDJSON has all fields and each attempt; CSV has one line per
/// call. A stream that is cut off early is incomplete.
#[utoipa::path(
    get, path = "/api/v1/calls/export", tag = "calls",
    responses((status = 200, description = "The calls.", content((Object = "application/x-ndjson", example = json!({"id": "0197f5e0-0000-7000-8000-000000000001", "state": "completed"})), (String = "text/csv", example = json!("id,to,state\r\n"))))),
)]
pub(super) async fn export_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Filtered(mut filter, ExportQuery { format }): Filtered<ExportQuery>,
) -> Result<Response, Problem> {
    filter.campaign = owner.filtered(filter.campaign)?;
    let filter = json!(filter);
    let mut pages = Pages {
        app,
        filter,
        cursor: None,
        writer: Writer::new(format),
        owner,
        is_over: false,
    };
    // Before the response begins, so that an invalid query gets a problem document.
    let first = pages.next().await?;
    let rest = stream::try_unfold((Some(first), pages), |(ready, mut pages)| async move {
        let bytes = match ready {
            Some(bytes) => bytes,
            None if pages.is_over => return Ok(None),
            None => pages.next().await.map_err(|problem| {
                tracing::warn!(error = problem.causes(), "an export was cut off");
                std::io::Error::other("the export cannot go on")
            })?,
        };
        Ok::<_, std::io::Error>(Some((bytes, (None, pages))))
    });
    let kind = [(header::CONTENT_TYPE, format.media_type())];
    Ok((Extension(Masked), kind, Body::from_stream(rest)).into_response())
}

/// State of an export that is being streamed.
struct Pages {
    app: App,
    filter: Value,
    cursor: Option<String>,
    writer: Writer,
    owner: Owner,
    is_over: bool,
}

impl Pages {
    async fn next(&mut self) -> Result<Vec<u8>, Problem> {
        self.owner.still().await?;
        let (mut calls, cursor) = self
            .app
            .calls
            .export(&self.filter, self.cursor.as_deref(), PAGE)
            .await
            .map_err(listing::refusal)?;
        self.is_over = cursor.is_none();
        self.cursor = cursor;
        if self.owner.is_masked() {
            calls.iter_mut().for_each(masked::mask);
        }
        let written = self.writer.write(&calls);
        written.map_err(|error| Problem::internal().cause(error))
    }
}
