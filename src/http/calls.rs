//! One call over HTTP: enqueue, show, amend, cancel, redrive, resolve, why.
//!
//! Each handler maps a verb's verdict to a status. The database decides; no handler looks at a call's state
//! before it acts, because it may change in between.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    App,
    auth::Owner,
    body::{Fields, Object, OptionalObject},
    groups::take,
    path::Id,
    problem::{Code, Problem},
    schema::{
        AmendRequest, CancelRequest, CancelResponse, RedriveRequest, ResolveRequest, WhyResponse,
    },
    versions::{IfMatch, Tagged, changed_meanwhile, tagged},
};
use crate::{
    domain::{CallId, CallRequest, CallState},
    flow::{
        amend::Amended,
        cancel::Canceled,
        enqueue::Enqueued,
        redrive::Redriven,
        resolve::Resolved,
        version::Versioned,
        view::{Call, Evidence, Stats},
    },
    provider::Stopwatch,
    telemetry::trace::{self, Span},
};

/// Header that makes a request repeatable.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Enqueue a call.
///
/// With an `Idempotency-Key` the same request may be sent any number of times, also concurrently, and is one
/// call.
#[utoipa::path(
    post, path = "/api/v1/calls", tag = "calls",
    extensions(("x-problem-codes" = json!([Code::IdempotencyKeyLocked, Code::IdempotencyKeyReused, Code::Suppressed, Code::ConsentMissing, Code::UnknownCampaign, Code::CampaignOver]))),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[\\t -~]*[!-~][\\t -~]*$", description = "1 to 255 characters, of your choice, in ASCII, without the white space at its ends, which HTTP drops; for others use the field `idempotencyKey`. The same key with the same request is the same call for at least 24 hours.")),
    responses(
        (status = 201, description = "A new call; `Location` names it.", body = Call, headers(("Location" = String, description = "The path of the call."))),
        (status = 200, description = "This key with this request was seen before: the same call, with `Idempotent-Replayed: true`.", body = Call, headers(("Idempotent-Replayed" = bool, description = "Always true."))),
    ),
)]
pub(super) async fn create_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    headers: HeaderMap,
    Fields(mut wanted, _): Fields<CallRequest>,
) -> Result<Response, Problem> {
    owner.needs(campaign_of(&wanted))?;
    let parent = traceparent(&headers);
    if let Some(key) = idempotency_key(&headers)? {
        put_key(&mut wanted, key)?;
    }
    let mut span = Span::under("enqueue", parent.as_deref());
    put_trace(&mut wanted, span.traceparent().or(parent).as_deref());
    let (metrics, began) = (app.calls.metrics(), Stopwatch::start());
    let (enqueued, call) = app.calls.enqueue_one(owner.as_str(), &wanted).await?;
    metrics
        .enqueue_seconds
        .observe(began.elapsed().as_secs_f64());
    metrics.enqueued.add(enqueued.as_str());
    span.add(&[("verdict", &enqueued.as_str())]);
    if let Enqueued::Created(id) | Enqueued::Duplicate(id) = &enqueued {
        span.add(&[("call.id", id)]);
    }
    span.end();
    match enqueued {
        Enqueued::Created(id) => {
            let location = [(header::LOCATION, format!("/api/v1/calls/{id}"))];
            let status = StatusCode::CREATED;
            Ok(match call {
                Some(call) => (status, location, Json(call)).into_response(),
                None => (status, location, Json(after(&app, id).await)).into_response(),
            })
        }
        Enqueued::Duplicate(id) => {
            let replayed = [(REPLAYED, HeaderValue::from_static("true"))];
            Ok((replayed, Json(after(&app, id).await)).into_response())
        }
        refused => Err(refusal(refused)),
    }
}

/// Campaign that a request is for. One that is no name is refused by the database.
pub(super) fn campaign_of(wanted: &Value) -> &str {
    let named = wanted.get("campaign").and_then(Value::as_str);
    named.unwrap_or("default")
}

/// `traceparent` of the request. One that cannot be read is ignored.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    trace::is_traceparent(text).then(|| text.to_owned())
}

/// Sets the call's trace unless its request names one.
pub(super) fn put_trace(wanted: &mut Value, trace: Option<&str>) {
    if let (Some(fields), Some(trace)) = (wanted.as_object_mut(), trace) {
        let named = fields.entry("traceparent").or_insert(Value::Null);
        if named.is_null() {
            *named = trace.into();
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Other bytes mean different texts to different clients: the field is for those.
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Problem::new(
            Code::InvalidRequest,
            "send one Idempotency-Key header, in ASCII; for others there is the field \"idempotencyKey\"",
        )),
    }
}

/// The header and the field mean the same; two different keys are refused.
fn put_key(wanted: &mut Value, key: String) -> Result<(), Problem> {
    let key = Value::String(key);
    if let Some(fields) = wanted.as_object_mut() {
        match fields.get("idempotencyKey") {
            Some(inside) if !inside.is_null() && *inside != key => {
                return Err(Problem::new(
                    Code::InvalidRequest,
                    "the Idempotency-Key header and \"idempotencyKey\" differ: send one of them",
                ));
            }
            _ => fields.insert("idempotencyKey".to_owned(), key),
        };
    }
    Ok(())
}

fn refusal(enqueued: Enqueued) -> Problem {
    match enqueued {
        Enqueued::Created(_) | Enqueued::Duplicate(_) => Problem::internal(),
        Enqueued::KeyReused(detail) => Problem::new(Code::IdempotencyKeyReused, detail),
        Enqueued::KeyLocked(detail) => {
            Problem::new(Code::IdempotencyKeyLocked, detail).retry_after(1)
        }
        Enqueued::Suppressed(detail) => Problem::new(Code::Suppressed, detail),
        Enqueued::ConsentMissing(detail) => Problem::new(Code::ConsentMissing, detail),
        Enqueued::CampaignOver(detail) => Problem::new(Code::CampaignOver, detail),
        Enqueued::UnknownCampaign(detail) => Problem::new(Code::UnknownCampaign, detail),
        Enqueued::Invalid(detail) => Problem::new(Code::InvalidRequest, detail),
    }
}

/// The call after a committed change. If the database fails now, the response is the id alone: an error would
/// make the client repeat the change.
async fn after(app: &App, id: CallId) -> Value {
    match app.calls.show(id).await {
        Ok(Some(call)) => json!(call),
        Ok(None) => json!({ "id": id }),
        Err(error) => {
            tracing::warn!(call.id = %id, %error, "the call was changed but could not be read back");
            json!({ "id": id })
        }
    }
}

/// Show a call with its attempts and events.
///
/// Finished calls can be shown until their retention ends.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}", tag = "calls",
    responses((status = 200, description = "The call.", body = Call)),
)]
pub(super) async fn show_call(State(app): State<App>, Id(id): Id) -> Result<Tagged<Call>, Problem> {
    let call = async { app.calls.show(id).await?.ok_or_else(Problem::no_such_call) };
    tagged(&app, (Versioned::Call, &id.to_string()), call).await
}

/// Change a waiting call.
///
/// Only the given fields change. `to` and `campaign` cannot be changed: cancel and enqueue again.
#[utoipa::path(
    patch, path = "/api/v1/calls/{id}", tag = "calls",
    extensions(("x-problem-codes" = json!([Code::Locked, Code::NotWaiting]))),
    responses((status = 200, description = "The changed call.", body = Call)),
)]
pub(super) async fn amend_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    IfMatch(versions): IfMatch,
    Fields(mut changes, _): Fields<AmendRequest>,
) -> Result<Tagged<Value>, Problem> {
    let why = take(&mut changes, "why");
    let (by, why) = (owner.by(), why.as_deref());
    let amended = app
        .calls
        .amend_if(id, &by, why, &changes, versions.as_deref());
    match amended.await? {
        Amended::Amended => {
            let call = async { Ok(after(&app, id).await) };
            tagged(&app, (Versioned::Call, &id.to_string()), call).await
        }
        refused => Err(not_amended(refused)),
    }
}

/// Why a call was not changed.
pub(super) fn not_amended(refused: Amended) -> Problem {
    match refused {
        Amended::Amended => Problem::internal(),
        Amended::Changed => changed_meanwhile(),
        Amended::NotWaiting => Problem::new(
            Code::NotWaiting,
            "only a waiting call can be changed: this one is being dialled, or is over",
        ),
        Amended::Invalid(detail) => Problem::new(Code::InvalidRequest, detail),
        Amended::NotFound => Problem::no_such_call(),
    }
}

/// Cancel a call.
///
/// A waiting call will not ring. For a call in flight the request is recorded, and the provider is asked
/// until it agrees or the call ends; such a call is never retried.
#[utoipa::path(
    post, path = "/api/v1/calls/{id}/cancel", tag = "calls",
    extensions(("x-problem-codes" = json!([Code::Locked, Code::AlreadyOver]))),
    responses((status = 200, description = "Canceled, or requested.", body = CancelResponse)),
)]
pub(super) async fn cancel_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    OptionalObject(CancelRequest { why }): OptionalObject<CancelRequest>,
) -> Result<Json<Value>, Problem> {
    let canceled = app.calls.cancel(id, &owner.by(), why.as_deref()).await?;
    match canceled {
        Canceled::Canceled | Canceled::Requested => {
            let call = after(&app, id).await;
            Ok(Json(json!({ "result": canceled, "call": call })))
        }
        Canceled::AlreadyOver => Err(Problem::new(
            Code::AlreadyOver,
            "the call is over: there is nothing to cancel",
        )),
        Canceled::NotFound => Err(Problem::no_such_call()),
    }
}

/// Put a finished call back into the queue.
///
/// All its attempts are available again. An answered call needs `force`.
#[utoipa::path(
    post, path = "/api/v1/calls/{id}/redrive", tag = "calls",
    extensions(("x-problem-codes" = json!([Code::Locked, Code::NotOver, Code::NeedsForce, Code::Held, Code::Suppressed, Code::ConsentMissing, Code::UnknownCampaign, Code::CampaignOver]))),
    responses((status = 200, description = "The call, which waits again.", body = Call)),
)]
pub(super) async fn redrive_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    OptionalObject(RedriveRequest { why, force }): OptionalObject<RedriveRequest>,
) -> Result<Json<Value>, Problem> {
    let answer = app
        .calls
        .redrive(id, &owner.by(), why.as_deref(), force)
        .await?;
    match answer {
        (Redriven::Waiting, _) => Ok(Json(after(&app, id).await)),
        (refused, until) => Err(not_redriven(refused, until)),
    }
}

/// Why a call was not put back into the queue.
pub(super) fn not_redriven(refused: Redriven, until: Option<DateTime<Utc>>) -> Problem {
    match (refused, until) {
        (Redriven::Waiting, _) => Problem::internal(),
        (Redriven::NotOver, _) => Problem::new(Code::NotOver, "the call is not over yet"),
        (Redriven::NeedsForce, _) => Problem::new(
            Code::NeedsForce,
            "somebody has answered the call: to ring them again, send {\"force\": true}",
        ),
        (Redriven::Held, until) => Problem::new(
            Code::Held,
            "nobody knows how its last dial ended, so it may still ring: \
             wait until \"until\", or release it (select pgdial.release(id, why))",
        )
        .until(until),
        (Redriven::Suppressed, _) => {
            Problem::new(Code::Suppressed, "the number is on the do-not-call list")
        }
        (Redriven::NoConsent, _) => Problem::new(
            Code::ConsentMissing,
            "its campaign requires consent, and the call has none, or one that has expired",
        ),
        (Redriven::Forgotten, _) => Problem::new(
            Code::Suppressed,
            "its number was forgotten: there is nobody to ring",
        ),
        (Redriven::UnknownCampaign, _) => Problem::new(
            Code::UnknownCampaign,
            "its campaign is gone or archived: create it, or unarchive it",
        ),
        (Redriven::CampaignOver, _) => Problem::new(
            Code::CampaignOver,
            "its campaign has ended: set a later end first",
        ),
        (Redriven::NotFound, _) => Problem::no_such_call(),
    }
}

/// Say what came of a dial in doubt.
///
/// For a call that is in doubt, past its deadline, or ended as `unknown`. `not_placed`: nobody was rung, and
/// the call waits again without having used up an attempt. An outcome has the same effect as the provider's
/// report.
#[utoipa::path(
    post, path = "/api/v1/calls/{id}/resolve", tag = "calls",
    extensions(("x-problem-codes" = json!([Code::Locked, Code::NotInDoubt]))),
    responses((status = 200, description = "The call as it is now.", body = Call)),
)]
pub(super) async fn resolve_call(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    Object(ResolveRequest {
        r#as,
        why,
        claim_no,
    }): Object<ResolveRequest>,
) -> Result<Json<Value>, Problem> {
    let (resolved, state) = app
        .calls
        .resolve(id, r#as, claim_no, &owner.by(), &why)
        .await?;
    match resolved {
        Resolved::Resolved => Ok(Json(after(&app, id).await)),
        refused => Err(not_resolved(refused, state)),
    }
}

/// Why a dial was not resolved.
pub(super) fn not_resolved(refused: Resolved, state: Option<CallState>) -> Problem {
    let not_in_doubt = |detail: String| Problem::new(Code::NotInDoubt, detail);
    match refused {
        Resolved::Resolved => Problem::internal(),
        Resolved::NotInDoubt => not_in_doubt(format!(
            "the call is {}, and there is no doubt about it to end",
            state.map_or("gone", CallState::as_str)
        )),
        Resolved::Answered => not_in_doubt(
            "somebody spoke to us, so it was placed: say with which outcome it ended".to_owned(),
        ),
        Resolved::UnderWay => not_in_doubt(
            "its request was sent again within the last minute, and that may ring".to_owned(),
        ),
        Resolved::Stale => not_in_doubt(
            "it has been claimed again since the dial that \"claimNo\" names".to_owned(),
        ),
        Resolved::NotFound => Problem::no_such_call(),
    }
}

/// Explain why a call is not being dialed, or what it waits for.
///
/// The first reason is the one to resolve first.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/why", tag = "calls",
    responses((status = 200, description = "Every reason that holds now, in the order in which they must change.", body = WhyResponse)),
)]
pub(super) async fn why_call(
    State(app): State<App>,
    Id(id): Id,
) -> Result<Json<WhyResponse>, Problem> {
    let reasons = app.calls.why(id).await?;
    if reasons.is_empty() {
        return Err(Problem::no_such_call());
    }
    Ok(Json(WhyResponse { reasons }))
}

/// Show why each dial of a call was allowed.
///
/// For an auditor: local time, calling hours, consent, list and earlier dials at the time of each dial, and what came
/// of it.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/evidence", tag = "calls",
    responses((status = 200, description = "The call's dials, oldest first.", body = Evidence)),
)]
pub(super) async fn call_evidence(
    State(app): State<App>,
    Id(id): Id,
) -> Result<Json<Evidence>, Problem> {
    let evidence = app.calls.evidence(id).await?;
    evidence.map(Json).ok_or_else(Problem::no_such_call)
}

/// Show the queue in numbers.
///
/// Calls by state, and what trunks and campaigns have in flight.
#[utoipa::path(
    get, path = "/api/v1/stats", tag = "operations",
    responses((status = 200, description = "The queue now.", body = Stats)),
)]
pub(super) async fn stats(State(app): State<App>) -> Result<Json<Stats>, Problem> {
    Ok(Json(app.calls.stats().await?))
}
