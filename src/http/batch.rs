//! Many calls in one request, as a JSON array or as NDJSON.
//!
//! One item that cannot be taken harms none of the others, and neither does a line that
//! is no JSON: the answer has one result for each item, in the shape of the request.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    App,
    auth::Owner,
    body, calls,
    problem::{Code, Problem},
    schema::{BatchResult, BatchStatus},
};
use crate::{domain::CallRequest, flow::enqueue::Enqueued};

const LARGEST: usize = 4 * 1024 * 1024;
const MOST_ITEMS: usize = 1000;
pub(super) const JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";

/// One item: what it asks for, or why it cannot be read.
pub(super) type Item = Result<Value, String>;

/// Enqueue up to 1,000 calls.
///
/// A JSON array, or NDJSON with one object a line; an item carries its own
/// `idempotencyKey`. The answer has one result for each item, in the same shape.
#[utoipa::path(
    post, path = "/api/v1/calls/batch", tag = "calls",
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
    let text = body::read(
        request,
        LARGEST,
        "a batch has at most 4 MiB: split it, or use `pgdial import`",
    )
    .await?;
    let items = read_items(shape, &text)?;
    let results = enqueue(&app, &owner, items).await?;
    if shape == JSON {
        return Ok(Json(results).into_response());
    }
    let mut text = String::new();
    for result in &results {
        let line = serde_json::to_string(result).map_err(|e| Problem::internal().cause(e))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from(text)).into_response())
}

/// The items of a batch of this media type.
pub(super) fn read_items(shape: &str, text: &[u8]) -> Result<Vec<Item>, Problem> {
    let items = if shape == JSON {
        array(text)?
    } else {
        lines(text)
    };
    if items.len() > MOST_ITEMS {
        return Err(Problem::new(
            Code::BatchTooLarge,
            format!(
                "a batch has at most {MOST_ITEMS} items and this one has {}: split it, or use `pgdial import`",
                items.len()
            ),
        ));
    }
    Ok(items)
}

fn array(text: &[u8]) -> Result<Vec<Item>, Problem> {
    match body::parse(text)? {
        Value::Array(items) => Ok(items.into_iter().map(Ok).collect()),
        _ => Err(Problem::new(
            Code::InvalidRequest,
            "a batch is a JSON array of requests; for one object a line say Content-Type: application/x-ndjson",
        )),
    }
}

fn lines(text: &[u8]) -> Vec<Item> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| {
            // The parser counts lines too, and each item is its first: only the column says something.
            serde_json::from_slice(line)
                .map_err(|error| format!("the line is not JSON (column {})", error.column()))
        })
        .collect()
}

async fn enqueue(app: &App, owner: &Owner, items: Vec<Item>) -> Result<Vec<BatchResult>, Problem> {
    let mut requests = Vec::with_capacity(items.len());
    let unread: Vec<Option<String>> = items
        .into_iter()
        .map(|item| item.map(|request| requests.push(request)).err())
        .collect();
    let mut enqueued = app
        .calls
        .enqueue(owner.as_str(), &requests)
        .await?
        .into_iter();
    unread
        .into_iter()
        .enumerate()
        .map(|(index, unread)| {
            if let Some(detail) = unread {
                return Ok(failed(index, Code::MalformedJson, detail));
            }
            let enqueued = enqueued.next().ok_or_else(Problem::internal)?;
            app.counters.enqueued.add(calls::verdict(&enqueued));
            Ok(result(index, enqueued))
        })
        .collect()
}

fn result(index: usize, enqueued: Enqueued) -> BatchResult {
    let (status, id) = match enqueued {
        Enqueued::New(id) => (BatchStatus::Created, id),
        Enqueued::Duplicate(id) => (BatchStatus::Duplicate, id),
        Enqueued::KeyReused(detail) => return failed(index, Code::IdempotencyKeyReused, detail),
        Enqueued::KeyLocked(detail) => return failed(index, Code::IdempotencyKeyLocked, detail),
        Enqueued::Suppressed(detail) => return failed(index, Code::Suppressed, detail),
        Enqueued::UnknownCampaign(detail) => return failed(index, Code::UnknownCampaign, detail),
        Enqueued::Invalid(detail) => return failed(index, Code::InvalidRequest, detail),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_do_not_count_and_a_broken_line_is_its_own_error() {
        let items = lines(b"{\"to\":1}\r\n\n  \n{\"to\":\n[1]");
        assert_eq!(items.len(), 3);
        assert!(items[0].is_ok() && items[2].is_ok());
        assert_eq!(items[1], Err("the line is not JSON (column 6)".to_owned()));
        assert_eq!(lines(b"\n\n").len(), 0);
    }
}
