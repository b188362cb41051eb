//! pgdial's own protocol: that of its generic adapter.

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, FixedOffset};
use hyper::{Uri, http::request::Builder};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use self::{problem::Problem, request::PlaceRequest, signing::Signer};
use super::desk::{Cut, Desk, Paths, Placed, bearer, is_e164};
use crate::{
    Error,
    calls::Call,
    clock,
    dialect::{Dialect, Keys, Moment, Webhook},
};

mod problem;
mod report;
mod request;
pub(crate) mod signing;

/// Calls on one page of a list.
const PAGE: usize = 100;

/// The protocol.
#[derive(Debug)]
pub(super) struct Http {
    keys: Keys,
    signer: Signer,
}

impl Http {
    pub(super) fn new(keys: Keys) -> Result<Self, Error> {
        let signer = Signer::new(&keys)?;
        Ok(Self { keys, signer })
    }
}

impl Paths for Http {
    fn router(&self) -> Router<Desk> {
        let keys = self.keys.clone();
        Router::new()
            .route("/api/v1/calls", post(place).get(list))
            .route("/api/v1/calls/{id}", get(show))
            .route("/api/v1/calls/{id}/cancel", post(cancel))
            .layer(Extension(keys))
    }
}

impl Dialect for Http {
    fn call_id(&self) -> String {
        format!("call_{}", Uuid::new_v4().simple())
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        match moment {
            Moment::Analyzed => Vec::new(),
            Moment::Unheard => vec![report::unknown_word(call)],
            Moment::Garbled => vec![report::webhook(call).broken_off()],
            Moment::Queued | Moment::Ringing | Moment::Answered | Moment::Over => {
                vec![report::webhook(call)]
            }
        }
    }

    fn sign(&self, request: Builder, _url: &Uri, webhook: &Webhook, unix_ms: i64) -> Builder {
        self.signer.sign(request, webhook, unix_ms / 1000)
    }
}

fn admit(keys: &Keys, headers: &HeaderMap) -> Result<(), Problem> {
    if keys.admit(bearer(headers)) {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the API key is missing or wrong",
        ))
    }
}

async fn place(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(cut): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    admit(&keys, &headers)?;
    let request: PlaceRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_request", error.to_string()))?;
    if !is_e164(&request.to) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "INVALID_NUMBER",
            "write the number as +14155550100",
        ));
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    // A repeated key is checked first: "late" means that there is no call, and here there is one.
    if is_late(&headers) && !desk.calls.knows(key) {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "late",
            "it is past X-Dial-Before",
        ));
    }
    match desk.place(request.into_order(key), key, &body, &cut).await {
        Placed::Accepted {
            call,
            replayed: false,
        } => {
            let accepted =
                json!({"callId": call.id, "status": "QUEUED", "reference": call.reference});
            Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
        }
        Placed::Accepted {
            call,
            replayed: true,
        } => {
            let replayed = [("idempotent-replayed", "true")];
            Ok((StatusCode::OK, replayed, Json(report::object(&call))).into_response())
        }
        Placed::KeyReused => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reuse",
            "the key was used for another request",
        )),
        Placed::Full => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_concurrent_calls",
            "try later",
        )),
        Placed::Refused(refusal) => Err(refusal.into()),
    }
}

/// Whether the request's own deadline has passed. An unreadable one is ignored.
fn is_late(headers: &HeaderMap) -> bool {
    let limit = headers
        .get("x-dial-before")
        .and_then(|value| value.to_str().ok());
    let limit = limit.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    limit.is_some_and(|limit| clock::unix_ms() > limit.timestamp_millis())
}

async fn show(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    admit(&keys, &headers)?;
    let call = desk.find(&id).ok_or_else(Problem::unknown_call)?;
    Ok(Json(report::object(&call)).into_response())
}

#[derive(Debug, Deserialize)]
struct Search {
    reference: Option<String>,
    since: Option<DateTime<FixedOffset>>,
    cursor: Option<usize>,
}

async fn list(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, Problem> {
    admit(&keys, &headers)?;
    if let Some(reference) = &search.reference {
        let calls = desk.select(|call| call.reference == *reference);
        let calls: Vec<_> = calls.iter().map(|call| report::object(call)).collect();
        return Ok(Json(json!({"calls": calls})).into_response());
    }
    let Some(since) = search.since else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "say which calls: reference=... or since=...",
        ));
    };
    let found = desk.select(|call| call.placed_at >= since.timestamp_millis());
    let skip = search.cursor.unwrap_or(0);
    let page = found.iter().skip(skip).take(PAGE);
    let calls: Vec<_> = page
        .map(|call| {
            let mut object = report::object(call);
            object.insert("to".to_owned(), json!(call.number));
            object
        })
        .collect();
    let end = skip + calls.len();
    let next = (end < found.len()).then(|| end.to_string());
    Ok(Json(json!({"calls": calls, "since": since.to_rfc3339(), "next": next})).into_response())
}

async fn cancel(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    admit(&keys, &headers)?;
    let call = desk.calls.find(&id).ok_or_else(Problem::unknown_call)?;
    if call.is_over() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "already_over",
            "the call is over",
        ));
    }
    call.hang_up.cancel();
    Ok((StatusCode::ACCEPTED, Json(report::object(&call))).into_response())
}
