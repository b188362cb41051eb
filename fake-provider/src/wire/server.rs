//! The fake provider's HTTP side: the protocol of the generic adapter, and its misbehaviour.
//!
//! A call runs in a task of its own and never in a handler: hyper drops the handler when the caller
//! disconnects, and an impatient caller has still placed a call.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, FixedOffset};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{problem::Problem, report, request::Wish};
use crate::{
    calls::{Call, Calls, Taken},
    clock,
    delivery::{Courier, Outbox},
    ledger,
    life::Guide,
    rules::Behaviour,
};

/// State shared by the handlers.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) calls: Arc<Calls>,
    pub(crate) guide: Arc<Guide>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) key: Option<SecretString>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Cancelled by a handler that wants its connection reset.
#[derive(Debug, Clone)]
struct Cut(CancellationToken);

pub(crate) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/api/v1/calls", post(place).get(list))
        .route("/api/v1/calls/{id}", get(show))
        .route("/api/v1/calls/{id}/cancel", post(cancel))
        .route("/ledger", get(read_ledger))
        .route("/healthz", get(health))
        .with_state(desk)
}

/// Accepts connections until stopped, and then drops them.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A caller that left before it was accepted is no reason to stop.
        if let Ok((stream, _peer)) = accepted {
            tasks.spawn(converse(stream, router.clone(), stop.clone()));
        }
    }
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let cut = CancellationToken::new();
    let marked = Cut(cut.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(marked.clone());
        router.clone().oneshot(request)
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ended = &mut connection => return,
        () = stop.cancelled() => return,
        () = cut.cancelled() => {}
    }
    // With a linger time of zero, closing the socket sends RST instead of FIN.
    let stream = connection.into_parts().io.into_inner();
    if let Err(error) = stream.set_zero_linger() {
        tracing::warn!(%error, "a connection is closed and not reset");
    }
}

async fn place(
    State(desk): State<Desk>,
    Extension(Cut(cut)): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    desk.admit(&headers)?;
    let wish: Wish = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_request", error.to_string()))?;
    if !is_e164(&wish.to) {
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
    let taken = match desk.calls.replay(key, &body) {
        Some(replayed) => replayed,
        None if is_late(&headers) => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "late",
                "it is past X-Dial-Before",
            ));
        }
        None => desk.calls.take(wish, key, &body),
    };
    match taken {
        Taken::New(call) => Ok(desk.begin(call, cut).await),
        Taken::Replayed(call) => {
            let replayed = [("idempotent-replayed", "true")];
            Ok((StatusCode::OK, replayed, Json(report::object(&call))).into_response())
        }
        Taken::KeyReused => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reuse",
            "the key was used for another request",
        )),
        Taken::Refused(refusal) => Err(refusal.into()),
        Taken::Full => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_concurrent_calls",
            "try later",
        )),
    }
}

impl Desk {
    /// Starts a call, and responds as its plan says.
    async fn begin(&self, call: Arc<Call>, cut: CancellationToken) -> Response {
        let outbox = Outbox::open(
            &self.courier,
            call.webhook_url.clone(),
            &call.plan,
            call.reported.clone(),
        );
        let (guide, living) = (Arc::clone(&self.guide), Arc::clone(&call));
        self.tasks
            .spawn(async move { guide.lead(&living, outbox).await });
        if let Some(late) = call.plan.slow {
            self.stop
                .run_until_cancelled(tokio::time::sleep(late))
                .await;
        }
        if call.plan.does(&Behaviour::Early) && call.webhook_url.is_some() {
            self.stop
                .run_until_cancelled(call.reported.cancelled())
                .await;
        }
        if call.plan.does(&Behaviour::ResetAfterAccept) {
            cut.cancel();
            // The connection is reset, which drops this handler.
            std::future::pending::<Infallible>().await;
        }
        if let Some(refusal) = call.plan.refusal.clone() {
            return Problem::from(refusal).into_response();
        }
        if call.plan.does(&Behaviour::ErrorAfterAccept) {
            return Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "something broke",
            )
            .into_response();
        }
        let accepted = json!({"callId": call.id, "status": "QUEUED", "reference": call.reference});
        (StatusCode::ACCEPTED, Json(accepted)).into_response()
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .map_or(&[][..], |value| value.as_bytes());
        let expected = format!("Bearer {}", key.expose_secret());
        if bool::from(expected.as_bytes().ct_eq(given)) {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the API key is missing or wrong",
            ))
        }
    }
}

/// `+` and 7 to 15 digits, the first of them not 0.
fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit())
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
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    desk.admit(&headers)?;
    match desk.calls.find(&id).filter(is_visible) {
        Some(call) => Ok(Json(report::object(&call)).into_response()),
        None => Err(Problem::unknown_call()),
    }
}

#[derive(Debug, Deserialize)]
struct Search {
    reference: Option<String>,
    since: Option<DateTime<FixedOffset>>,
    cursor: Option<usize>,
}

async fn list(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Response, Problem> {
    desk.admit(&headers)?;
    let visible = |calls: Vec<Arc<Call>>| calls.into_iter().filter(is_visible);
    if let Some(reference) = &search.reference {
        let calls = visible(desk.calls.list(reference)).map(|call| report::object(&call));
        return Ok(Json(json!({"calls": calls.collect::<Vec<_>>()})).into_response());
    }
    let Some(since) = search.since else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "say which calls: reference=... or since=...",
        ));
    };
    let skip = search.cursor.unwrap_or(0);
    let (calls, more) = desk.calls.since(since.timestamp_millis(), skip);
    let next = more.then(|| (skip + calls.len()).to_string());
    let calls = visible(calls).map(|call| {
        let mut object = report::object(&call);
        object.insert("to".to_owned(), json!(call.number));
        object
    });
    let calls: Vec<_> = calls.collect();
    Ok(Json(json!({"calls": calls, "since": since.to_rfc3339(), "next": next})).into_response())
}

fn is_visible(call: &Arc<Call>) -> bool {
    !call.plan.does(&Behaviour::False404)
}

async fn cancel(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    desk.admit(&headers)?;
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

async fn read_ledger(State(desk): State<Desk>) -> Result<Json<Vec<ledger::Interval>>, Problem> {
    match tokio::fs::read_to_string(desk.guide.ledger.path()).await {
        Ok(text) => Ok(Json(ledger::intervals(&text))),
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ledger",
            error.to_string(),
        )),
    }
}

async fn health(State(desk): State<Desk>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "active": desk.calls.active(),
        "undelivered": desk.courier.undelivered(),
    }))
}
