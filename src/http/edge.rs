//! The edge: what happens to every request.
//!
//! One layer gives the request its id, its span and its time limit, writes problem documents, and logs each
//! error once. It never logs a raw URI: a webhook's query holds its tag, and a listing's a telephone number.

use std::{any::Any, fmt};

use axum::{
    body::HttpBody as Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::{
    App,
    problem::{Code, Problem},
    ui,
};
use crate::provider::Stopwatch;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 100;

/// Outermost layer.
pub(super) async fn edge(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let asked = ui::Asked::of(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        http.request_id = %id,
        http.method = %request.method(),
        http.route = route,
        http.status = tracing::field::Empty,
        duration_ms = tracing::field::Empty,
    );
    let whole = async {
        let watch = Stopwatch::start();
        let response = timeout(app.time_limit, next.run(request))
            .await
            .unwrap_or_else(|_elapsed| too_slow().into_response());
        let response = finish(response, &id, asked.as_ref());
        app.calls.metrics().responses.add(class(response.status()));
        Span::current().record("http.status", response.status().as_u16());
        Span::current().record("duration_ms", watch.elapsed().as_secs_f64() * 1000.0);
        response
    };
    whole.instrument(span.clone()).await
}

/// Which responses are compressed. Not what is read while it is being written: a stream of events, and the results of an
/// NDJSON batch, would wait for a full block. Not what has an `ETag`, which would have to differ. Not HTML: a form's token
/// stands beside what somebody else may have put into the address, and a compressed length tells what they share (BREACH).
#[derive(Debug, Clone, Copy)]
pub(super) struct Compressible;

impl Predicate for Compressible {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
        let never: [&[u8]; 3] = [b"text/event-stream", b"application/x-ndjson", b"text/html"];
        !never.iter().any(|never| kind.starts_with(never))
            && !response.headers().contains_key(header::ETAG)
            && SizeAbove::new(LEAST_COMPRESSED).should_compress(response)
    }
}

/// Bytes of a body from which on compressing it pays.
const LEAST_COMPRESSED: u64 = 1024;

fn too_slow() -> Problem {
    Problem::new(
        Code::TimedOut,
        "it took too long and was given up; whether it was done is unknown: \
         ask, or send it again with the same idempotency key",
    )
    .retry_after(5)
}

/// The client's request id if it is safe to log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    match given {
        Some(id)
            if (1..=LONGEST_REQUEST_ID).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            id.to_owned()
        }
        _ => Uuid::new_v4().to_string(),
    }
}

/// Writes the problem that the response carries, and the headers every response has.
fn finish(mut response: Response, id: &str, asked: Option<&ui::Asked>) -> Response {
    let status = response.status();
    let carried = response.extensions_mut().remove::<Problem>();
    // Refusals by a library get the same shape.
    let is_told = response.extensions().get::<ui::Told>().is_some();
    let problem = carried.or_else(|| {
        let is_error = status.is_client_error() || status.is_server_error();
        (is_error && !is_told).then(|| foreign(status))
    });
    if let Some(problem) = problem {
        log(&problem, response.status());
        response = match asked {
            Some(asked) => asked.answer(&problem, &response, id),
            None => problem.write(response, id),
        };
    } else {
        tracing::debug!(http.status = status.as_u16(), "answered");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    // Responses hold telephone numbers and must not be cached.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn foreign(status: StatusCode) -> Problem {
    if status.is_server_error() {
        Problem::internal()
    } else {
        let reason = status.canonical_reason().unwrap_or("refused");
        Problem::new(Code::Refused, reason).status(status)
    }
}

/// The one place where error responses are logged; 5xx with all their causes.
fn log(problem: &Problem, status: StatusCode) {
    let (status, code) = (status.as_u16(), problem.code().as_str());
    if status >= 500 {
        let causes = problem
            .causes()
            .unwrap_or_else(|| "no cause is known".to_owned());
        tracing::error!(http.status = status, code, error = causes, "request failed");
    } else {
        tracing::info!(http.status = status, code, "request refused");
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

/// A panic in a handler: a 500 for this request, and nothing else is affected.
#[derive(Debug)]
struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a handler panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

/// Response to a panic.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the catching layer gives the box away"
)]
pub(super) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let words = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    Problem::internal()
        .cause(Panicked(words.to_owned()))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_request_id_is_kept_and_others_are_replaced() {
        let kept = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                REQUEST_ID,
                HeaderValue::from_bytes(text.as_bytes()).unwrap(),
            );
            request_id(&headers) == text
        };
        assert!(kept("req-1/a:b"));
        assert!(kept(&"x".repeat(100)));
        for odd in ["", "a b", "é", &"x".repeat(101)] {
            assert!(!kept(odd), "{odd}");
        }
        assert_eq!(request_id(&HeaderMap::new()).len(), 36);
    }
}
