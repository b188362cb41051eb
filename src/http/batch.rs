//! Many calls in one request, as a JSON array or as NDJSON.
//!
//! An item that cannot be enqueued, or a line that is not JSON, does not affect the others: the response has
//! one result for each item, in the shape of the request.
//!
//! An array is read as a whole and is therefore bounded. NDJSON streams both ways: the lines that have
//! arrived are enqueued, their results sent, and then the next lines read. A client that does not read its
//! results is not read from either, and is cut off after a while (see `serve::stall`); one that stops sending
//! gets a final `stopped` line; when one disconnects, what it sent before stays enqueued.

use std::convert::Infallible;

use axum::{
    Extension, Json,
    body::Body,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};

use self::lines::Lines;
use super::{
    App,
    auth::Owner,
    body::{self, JSON},
    calls,
    masked::{self, Masked},
    problem::{Code, Problem},
    schema::{BatchResult, BatchStatus},
};
use crate::{domain::CallRequest, flow::enqueue::Enqueued, telemetry::trace::Span};

// Splitting the body into lines as it arrives.
mod lines;

const LARGEST: usize = 4 * 1024 * 1024;
const HINT: &str = ": split it, send NDJSON, or use `pgdial import`";
const MOST_ITEMS: usize = 1000;
pub(super) const NDJSON: &str = "application/x-ndjson";

/// One item as JSON, or why it cannot be read.
pub(super) type Item = Result<Value, (Code, String)>;

/// Enqueue many calls.
///
/// A JSON array of up to 1,000 requests and 4 MiB, or NDJSON with one request per line and no limit on
/// length; each item carries its own `idempotencyKey`. The response has one result for each item, in the same
/// shape. The response to NDJSON begins while the request is still being sent, so read it concurrently. If
/// such a batch cannot go on, its last line has the status `stopped`; send it again from that item, or as a
/// whole if its items have idempotency keys.
#[utoipa::path(
    post, path = "/api/v1/calls/batch", tag = "calls",
    extensions(("x-problem-codes" = json!([Code::MalformedJson, Code::UnsupportedMediaType, Code::InvalidRequest, Code::BatchTooLarge]))),
    request_body(content((Vec<CallRequest> = "application/json"), (CallRequest = "application/x-ndjson"))),
    responses((status = 200, description = "One result for each item, in order; look at each `status`.", content((Vec<BatchResult> = "application/json"), (BatchResult = "application/x-ndjson")))),
)]
pub(super) async fn create_calls(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    request: Request,
) -> Result<Response, Problem> {
    let shape = body::require_type(request.headers(), &[JSON, NDJSON])?;
    if request.headers().contains_key(calls::IDEMPOTENCY_KEY) {
        return Err(Problem::new(
            Code::InvalidRequest,
            "a batch has no Idempotency-Key of its own: put \"idempotencyKey\" into each item",
        ));
    }
    let trace = calls::traceparent(request.headers());
    if shape == NDJSON {
        return stream(app, owner, trace, request.into_body()).await;
    }
    let text = body::read(request, LARGEST, HINT).await?;
    let results = enqueue(&app, &owner, trace.as_deref(), 0, array(&text)?).await?;
    Ok(Json(results).into_response())
}

/// The first lines decide the status; errors after them can only be reported in a result line.
async fn stream(
    app: App,
    owner: Owner,
    trace: Option<String>,
    body: Body,
) -> Result<Response, Problem> {
    let mut streamed = Streamed {
        app,
        owner,
        trace,
        lines: Lines::of(body),
        next: 0,
        has_stopped: false,
    };
    let first = streamed.next().await?;
    let kind = (Extension(Masked), [(header::CONTENT_TYPE, NDJSON)]);
    if streamed.lines.has_ended() {
        return Ok((kind, Body::from(first)).into_response());
    }
    let rest = stream::unfold(
        (Some(first), streamed),
        |(ready, mut streamed)| async move {
            let text = match ready {
                Some(text) => text,
                None if streamed.has_stopped || streamed.lines.has_ended() => return None,
                None => streamed.next_or_stop().await,
            };
            Some((Ok::<_, Infallible>(text), (None, streamed)))
        },
    );
    Ok((kind, Body::from_stream(rest)).into_response())
}

/// State of a batch that is being streamed.
struct Streamed {
    app: App,
    owner: Owner,
    /// `traceparent` of the request.
    trace: Option<String>,
    lines: Lines,
    /// Index of the next item, from 0.
    next: usize,
    has_stopped: bool,
}

impl Streamed {
    /// Results of the items that have arrived, one per line.
    async fn next(&mut self) -> Result<String, Problem> {
        let items = self.lines.next().await?;
        self.owner.still().await?;
        let count = items.len();
        let trace = self.trace.as_deref();
        let results = match enqueue(&self.app, &self.owner, trace, self.next, items).await {
            Ok(results) => results,
            Err(problem) => {
                self.lines.linger().await;
                return Err(problem);
            }
        };
        self.next += count;
        written(&results, self.owner.is_masked())
    }

    async fn next_or_stop(&mut self) -> String {
        let problem = match self.next().await {
            Ok(text) => return text,
            Err(problem) => problem,
        };
        self.has_stopped = true;
        tracing::warn!(
            code = problem.code().as_str(),
            error = problem.causes(),
            index = self.next,
            "a batch was stopped"
        );
        let stopped = BatchResult {
            index: self.next,
            status: BatchStatus::Stopped,
            id: None,
            code: Some(problem.code()),
            detail: Some(problem.detail().to_owned()),
        };
        written(&[stopped], self.owner.is_masked()).unwrap_or_default()
    }
}

fn written(results: &[BatchResult], is_masked: bool) -> Result<String, Problem> {
    let mut text = String::new();
    for result in results {
        let line = if is_masked {
            let mut result = json!(result);
            masked::mask(&mut result);
            Ok(result.to_string())
        } else {
            serde_json::to_string(result)
        };
        text.push_str(&line.map_err(|e| Problem::internal().cause(e))?);
        text.push('\n');
    }
    Ok(text)
}

/// Items of a batch of this media type, read as a whole.
#[cfg(feature = "fuzzing")]
pub(super) fn read_items(shape: &str, text: &[u8]) -> Result<Vec<Item>, Problem> {
    if shape == JSON {
        return array(text);
    }
    let mut splitter = lines::Splitter::default();
    splitter.push(text);
    splitter.end_line();
    Ok(splitter.take())
}

fn array(text: &[u8]) -> Result<Vec<Item>, Problem> {
    match body::parse(text)? {
        Value::Array(items) if items.len() > MOST_ITEMS => Err(Problem::new(
            Code::BatchTooLarge,
            format!(
                "an array has at most {MOST_ITEMS} items and this one has {}{HINT}",
                items.len()
            ),
        )),
        Value::Array(items) => Ok(items.into_iter().map(Ok).collect()),
        _ => Err(Problem::new(
            Code::InvalidRequest,
            "a batch is a JSON array of requests; for one object a line say Content-Type: application/x-ndjson",
        )),
    }
}

async fn enqueue(
    app: &App,
    owner: &Owner,
    trace: Option<&str>,
    first: usize,
    items: Vec<Item>,
) -> Result<Vec<BatchResult>, Problem> {
    let span = Span::under("enqueue", trace).with(&[("items", &items.len())]);
    let ours = span.traceparent();
    let trace = ours.as_deref().or(trace);
    let mut requests: Vec<Value> = Vec::with_capacity(items.len());
    let unread: Vec<_> = items
        .into_iter()
        .map(|item| {
            let read = item.and_then(|mut request| {
                let campaign = owner.needs(calls::campaign_of(&request));
                campaign.map_err(|problem| (problem.code(), problem.detail().to_owned()))?;
                calls::put_trace(&mut request, trace);
                requests.push(request);
                Ok(())
            });
            read.err()
        })
        .collect();
    let mut enqueued = app
        .calls
        .enqueue(owner.as_str(), &requests)
        .await?
        .into_iter();
    unread
        .into_iter()
        .zip(first..)
        .map(|(unread, index)| {
            if let Some((code, detail)) = unread {
                return Ok(failed(index, code, detail));
            }
            let enqueued = enqueued.next().ok_or_else(Problem::internal)?;
            app.calls.metrics().enqueued.add(enqueued.as_str());
            Ok(result(index, enqueued))
        })
        .collect()
}

fn result(index: usize, enqueued: Enqueued) -> BatchResult {
    let (status, id) = match enqueued {
        Enqueued::Created(id) => (BatchStatus::Created, id),
        Enqueued::Duplicate(id) => (BatchStatus::Duplicate, id),
        Enqueued::KeyReused(detail) => return failed(index, Code::IdempotencyKeyReused, detail),
        Enqueued::KeyLocked(detail) => return failed(index, Code::IdempotencyKeyLocked, detail),
        Enqueued::Suppressed(detail) => return failed(index, Code::Suppressed, detail),
        Enqueued::ConsentMissing(detail) => return failed(index, Code::ConsentMissing, detail),
        Enqueued::CampaignOver(detail) => return failed(index, Code::CampaignOver, detail),
        Enqueued::UnknownCampaign(detail) => return failed(index, Code::UnknownCampaign, detail),
        Enqueued::Invalid(faults) => {
            return failed(index, Code::InvalidRequest, faults.replace('\n', "; "));
        }
    };
    BatchResult {
        index,
        status,
        id: Some(id),
        code: None,
        detail: None,
    }
}

const fn failed(index: usize, code: Code, detail: String) -> BatchResult {
    BatchResult {
        index,
        status: BatchStatus::Error,
        id: None,
        code: Some(code),
        detail: Some(detail),
    }
}
