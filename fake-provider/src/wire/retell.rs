//! Retell AI: <https://docs.retellai.com/api-references>.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{Uri, http::request::Builder};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    desk::{Cut, Desk, Paths, Placed, bearer, is_e164},
    json::{at, fields, number, text},
};
use crate::{
    calls::{Call, End, OnMachine, Order, Phase},
    dialect::{Dialect, Keys, Moment, Webhook},
    rules::{Ending, Refusal},
};

/// Calls on one page of a list, by default and at most.
const PAGE: (u64, u64) = (50, 1000);
/// A repeated key is the same call for this long.
const KEYS_KEPT: Duration = Duration::from_hours(1);
/// Ringing and talking, unless the request says otherwise.
const RING_MS: u64 = 30_000;
const TALK_MS: u64 = 3_600_000;

/// A Retell workspace. Its API key also signs webhooks, unless there is a secret for that.
#[derive(Debug)]
pub(super) struct Retell(Keys);

impl Retell {
    pub(super) const fn new(keys: Keys) -> Self {
        Self(keys)
    }
}

impl Paths for Retell {
    fn router(&self) -> Router<Desk> {
        Router::new()
            .route("/v2/create-phone-call", post(place))
            .route("/v2/get-call/{id}", get(show))
            .route("/v3/list-calls", post(list))
            .route("/v2/stop-call/{id}", post(stop))
            .route("/get-concurrency", get(concurrency))
            .route("/get-phone-number/{number}", get(phone_number))
            .route("/get-agent/{id}", get(agent))
            .layer(Extension(self.0.clone()))
    }
}

impl Dialect for Retell {
    fn honors_keys(&self) -> Option<Duration> {
        Some(KEYS_KEPT)
    }

    fn call_id(&self) -> String {
        format!("call_{}", Uuid::new_v4().simple())
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        let event = match moment {
            Moment::Queued | Moment::Ringing => return Vec::new(),
            Moment::Answered => "call_started",
            Moment::Over | Moment::Garbled => "call_ended",
            Moment::Analyzed => "call_analyzed",
            Moment::Unheard => "transcript_updated",
        };
        let wanted = at(&call.echo, "/webhook_events").as_array();
        let is_wanted = |event| wanted.is_none_or(|all| all.contains(&json!(event)));
        if moment != Moment::Unheard && !is_wanted(event) {
            return Vec::new();
        }
        let mut object = object(call);
        if moment == Moment::Analyzed {
            object.insert(
                "call_analysis".to_owned(),
                json!({
                    "call_successful": call.answered_at().is_some(),
                    "call_summary": if call.answered_at().is_some() { "They spoke." } else { "" },
                    "in_voicemail": call.ending == Ending::Voicemail, "user_sentiment": "Positive",
                    "custom_analysis_data": {},
                }),
            );
        }
        let body = json!({"event": event, "call": object});
        let webhook = Webhook::json(
            format!("{}/{event}", call.id),
            &body,
            moment == Moment::Over,
        );
        vec![if moment == Moment::Garbled {
            webhook.broken_off()
        } else {
            webhook
        }]
    }

    fn sign(&self, request: Builder, _url: &Uri, webhook: &Webhook, unix_ms: i64) -> Builder {
        // A MAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.0.secret().as_bytes()) else {
            return request;
        };
        let mac = mac
            .chain_update(&webhook.body)
            .chain_update(unix_ms.to_string());
        let digest = hex::encode(mac.finalize().into_bytes());
        request.header("x-retell-signature", format!("v={unix_ms},d={digest}"))
    }
}

/// An error in Retell's only shape.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    message: String,
    retry_after: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            message: message.to_owned(),
            retry_after: None,
        }
    }

    fn unknown() -> Self {
        let message = "Cannot find requested asset under given api key.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self {
            retry_after: refusal.retry_after,
            ..Self::new(status, &refusal.words)
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Json(json!({"status": "error", "message": self.message}));
        match self.retry_after {
            Some(after) => (self.status, [(header::RETRY_AFTER, after)], body).into_response(),
            None => (self.status, body).into_response(),
        }
    }
}

fn admit(keys: &Keys, headers: &HeaderMap) -> Result<(), Refused> {
    if keys.admit(bearer(headers)) {
        Ok(())
    } else {
        let message = "API key is missing or invalid.";
        Err(Refused::new(StatusCode::UNAUTHORIZED, message))
    }
}

fn read(body: &[u8]) -> Result<Value, Refused> {
    let message = "Invalid request format, please check API reference.";
    serde_json::from_slice(body).map_err(|_bad| Refused::new(StatusCode::BAD_REQUEST, message))
}

async fn place(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(cut): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    admit(&keys, &headers)?;
    let request = read(&body)?;
    let order = order(&request)?;
    let key = at(&request, "/idempotency_key").as_str();
    match desk.place(order, key, &body, &cut).await {
        Placed::Accepted { call, .. } => {
            Ok((StatusCode::CREATED, Json(Value::Object(object(&call)))).into_response())
        }
        Placed::KeyReused => Err(Refused::new(
            StatusCode::CONFLICT,
            "The idempotency key was used for another request.",
        )),
        Placed::Full => Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Account rate limited, please throttle your requests.",
        )),
        Placed::Refused(refusal) => Err(refusal.into()),
    }
}

fn order(request: &Value) -> Result<Order, Refused> {
    let phone = |pointer: &str| {
        let phone = text(request, pointer).filter(|phone| is_e164(phone));
        phone.ok_or_else(|| {
            let message = format!("{pointer} must be an E.164 phone number");
            Refused::new(StatusCode::BAD_REQUEST, &message)
        })
    };
    let agent = at(request, "/agent_override/agent");
    let seconds = |pointer: &str, default: u64| {
        Some(number(agent, pointer).unwrap_or(default).div_ceil(1000))
    };
    Ok(Order {
        to: phone("/to_number")?,
        from: Some(phone("/from_number")?),
        script: text(request, "/override_agent_id"),
        metadata: fields(request, "/retell_llm_dynamic_variables"),
        webhook_url: text(agent, "/webhook_url").and_then(|url| url.parse().ok()),
        reference: text(request, "/metadata/pgdial_reference"),
        max_duration_sec: seconds("/max_call_duration_ms", TALK_MS),
        ring_timeout_sec: seconds("/ring_duration_ms", RING_MS),
        // Whatever is done about a machine, the call does not count as connected.
        on_machine: OnMachine::Ignore,
        echo: json!({
            "metadata": at(request, "/metadata"), "webhook_events": at(agent, "/webhook_events"),
            "agent_version": number(request, "/override_agent_version").unwrap_or(0),
        }),
    })
}

/// The call object.
fn object(call: &Call) -> Map<String, Value> {
    let facts = json!({
        "call_id": call.id, "call_type": "phone_call", "agent_id": call.script, "agent_name": "Fake",
        "agent_version": at(&call.echo, "/agent_version"), "direction": "outbound",
        "from_number": call.from, "to_number": call.number,
    });
    let mut object = fields(&facts, "");
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    if !call.metadata.is_empty() {
        put("retell_llm_dynamic_variables", json!(call.metadata));
    }
    let metadata = at(&call.echo, "/metadata");
    if !metadata.is_null() {
        put("metadata", metadata.clone());
    }
    if let Some(at) = call.answered_at() {
        put("start_timestamp", json!(at));
    }
    let status = match call.phase() {
        Phase::Queued | Phase::Ringing => "registered",
        Phase::InProgress(_) => "ongoing",
        Phase::Over(end) => {
            put("end_timestamp", json!(end.at));
            let asked = call.plan.disposition.as_deref();
            let asked = asked.filter(|_| end.ending == Ending::Completed && end.talked.is_some());
            let reason = match asked {
                Some("do_not_call") => "user_requested_dnc",
                Some("callback") => "user_requested_callback",
                _ => reason(&end),
            };
            put("disconnection_reason", json!(reason));
            if let Some(talked) = end.talked {
                let ms = u64::try_from(talked.as_millis()).unwrap_or(u64::MAX);
                let recording = format!("https://recordings.invalid/{}/recording.wav", call.id);
                let seconds = ms.div_ceil(1000);
                put("duration_ms", json!(ms));
                put("transcript", json!("Agent: Hello\nUser: Hi"));
                put("recording_url", json!(recording));
                put(
                    "call_cost",
                    // In cents.
                    json!({
                        "combined_cost": seconds * 2, "total_duration_seconds": seconds,
                        "total_duration_unit_price": 2, "product_costs": [],
                    }),
                );
            }
            match (end.talked, end.ending) {
                (Some(_), Ending::Fault) => "error",
                (Some(_), _) => "ended",
                (None, _) => "not_connected",
            }
        }
    };
    put("call_status", json!(status));
    object
}

const fn reason(end: &End) -> &'static str {
    match end.ending {
        Ending::Completed => "user_hangup",
        Ending::Fault => "error_llm_websocket_runtime",
        Ending::Voicemail => "voicemail_reached",
        Ending::Busy => "dial_busy",
        Ending::NoAnswer => "dial_no_answer",
        Ending::Declined => "user_declined",
        Ending::Failed => "dial_failed",
        Ending::Canceled => "manual_stopped",
        Ending::InvalidNumber => "invalid_destination",
        Ending::Blocked => "network_blocked",
        Ending::Capacity => "concurrency_limit_reached",
        Ending::Account => "no_valid_payment",
    }
}

async fn show(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let call = desk.find(&id).ok_or_else(Refused::unknown)?;
    Ok(Json(Value::Object(object(&call))))
}

/// Calls by a filter on their metadata or their start, the only ones that are read here; any other selects all.
async fn list(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let request = if body.is_empty() {
        json!({})
    } else {
        read(&body)?
    };
    let filter = at(&request, "/filter_criteria");
    let metadata = at(filter, "/metadata")
        .as_array()
        .map_or(&[][..], |all| all);
    let from_ms = at(filter, "/start_timestamp/value").as_i64();
    let mut found = desk.select(|call| {
        let has = |one: &Value| {
            let key = text(one, "/key").unwrap_or_default();
            at(&call.echo, &format!("/metadata/{key}")) == at(one, "/value")
        };
        metadata.iter().all(has)
            && from_ms.is_none_or(|from| call.answered_at().is_some_and(|at| at >= from))
    });
    if at(&request, "/sort_order") != "ascending" {
        found.reverse();
    }
    let after = at(&request, "/pagination_key").as_str();
    let skip = after
        .and_then(|id| found.iter().position(|call| call.id == id))
        .map_or(0, |at| at + 1);
    let limit = number(&request, "/limit").unwrap_or(PAGE.0).min(PAGE.1);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page: Vec<_> = found.iter().skip(skip).take(limit).collect();
    let items: Vec<_> = page
        .iter()
        .map(|call| {
            let mut item = object(call);
            // What a list leaves out.
            item.remove("transcript");
            item
        })
        .collect();
    Ok(Json(json!({
        "items": items, "has_more": skip + page.len() < found.len(),
        "pagination_key": page.last().map(|call| &call.id), "total": found.len(),
    })))
}

/// Ends a call, also one that still rings.
async fn stop(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    admit(&keys, &headers)?;
    let call = desk.calls.find(&id).ok_or_else(Refused::unknown)?;
    if call.is_over() {
        let message = "Call has already ended.";
        return Err(Refused::new(StatusCode::BAD_REQUEST, message));
    }
    call.hang_up.cancel();
    Ok(StatusCode::NO_CONTENT)
}

async fn concurrency(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    Ok(Json(json!({
        "current_concurrency": desk.calls.active(), "concurrency_limit": desk.calls.slots().unwrap_or(20),
        "base_concurrency": 20, "purchased_concurrency": 0, "concurrency_purchase_limit": 80,
        "remaining_purchase_limit": 80, "reserved_inbound_concurrency": 0,
        "concurrency_burst_enabled": false, "concurrency_burst_limit": 0,
    })))
}

/// Every number is the workspace's own.
async fn phone_number(
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(number): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    Ok(Json(json!({
        "phone_number": number, "phone_number_type": "retell-twilio", "last_modification_timestamp": 0,
    })))
}

async fn agent(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    if !desk.calls.has_script(&id) {
        return Err(Refused::unknown());
    }
    Ok(Json(json!({
        "agent_id": id, "version": 0, "agent_name": "Fake", "is_published": true, "voice_id": "none",
        "response_engine": {"type": "retell-llm", "llm_id": "llm_0"}, "last_modification_timestamp": 0,
    })))
}
