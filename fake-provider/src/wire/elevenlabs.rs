//! ElevenLabs Agents: <https://elevenlabs.io/docs/eleven-agents/api-reference>.
//!
//! Calls go through Twilio or a SIP trunk, by the path of the request. Twilio refuses before it dials, which
//! is a 200 with `success: false` and no conversation. `reject:502` is such a 200 in words that prove nothing,
//! and with `places_anyway` it rings. A number's id that begins with `phnum_sip` belongs to a SIP trunk.
//!
//! `conversation` tells what became of a call.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{Uri, http::request::Builder};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use self::conversation::Carrier;
use super::{
    desk::{Cut, Desk, Paths, Placed, is_e164},
    json::{at, fields, merged, number, text},
};
use crate::{
    calls::{Call, OnMachine, Order, Phase},
    dialect::{Dialect, Keys, Moment, Webhook},
    rules::{Ending, Refusal},
};

mod conversation;

/// Conversations on one page of a list, by default and at most.
const PAGE: (usize, usize) = (30, 100);
/// Ringing, unless the request says otherwise.
const RING_SEC: u64 = 60;
/// Caller id of a number whose id does not say another.
const FROM: &str = "+14155550100";
/// Id of the workspace's webhook.
const WEBHOOK_ID: &str = "wh_1";

/// An ElevenLabs workspace.
#[derive(Debug)]
pub(super) struct ElevenLabs(Keys);

impl ElevenLabs {
    pub(super) const fn new(keys: Keys) -> Self {
        Self(keys)
    }
}

/// Ids of deleted conversations. Their calls go on.
type Erased = Arc<Mutex<HashSet<String>>>;

impl Paths for ElevenLabs {
    fn router(&self) -> Router<Desk> {
        let conversation = get(show).delete(erase);
        Router::new()
            .route("/v1/convai/twilio/outbound-call", post(by_twilio))
            .route("/v1/convai/sip-trunk/outbound-call", post(by_sip))
            .route("/v1/convai/conversations", get(list))
            .route("/v1/convai/conversations/{id}", conversation)
            .route("/v1/convai/conversations/{id}/audio", get(audio))
            .route("/v1/convai/agents/{id}", get(agent))
            .route("/v1/convai/phone-numbers/{id}", get(phone_number))
            .route("/v1/convai/settings", get(settings))
            .route("/v1/workspace/webhooks", get(webhooks))
            .route("/v1/user/subscription", get(subscription))
            .layer(Extension(self.0.clone()))
            .layer(Extension(Erased::default()))
    }
}

impl Dialect for ElevenLabs {
    fn is_answered(&self, ending: Ending) -> bool {
        ending.is_answered() || ending == Ending::Voicemail
    }

    fn call_id(&self) -> String {
        format!("conv_{}", Uuid::new_v4().simple())
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        let (event, data) = match (moment, call.phase()) {
            (Moment::Over, Phase::Over(end)) if !conversation::was_picked_up(call) => {
                match conversation::failure(call, &end) {
                    Some(data) => ("call_initiation_failure", data),
                    None => return Vec::new(),
                }
            }
            (Moment::Analyzed, _) if conversation::was_picked_up(call) => {
                let status = conversation::last_status(call);
                let data = conversation::object(call, status);
                ("post_call_transcription", Value::Object(data))
            }
            (Moment::Garbled, _) => {
                let data = conversation::object(call, "done");
                ("post_call_transcription", Value::Object(data))
            }
            (Moment::Unheard, _) => ("call_progress", json!({"conversation_id": call.id})),
            _ => return Vec::new(),
        };
        let happened_at = match call.phase() {
            Phase::Over(end) => end.at,
            _ => call.placed_at,
        };
        let body = json!({"type": event, "event_timestamp": happened_at / 1000, "data": data});
        let is_last = matches!(moment, Moment::Over | Moment::Analyzed);
        let webhook = Webhook::json(format!("{}/{event}", call.id), &body, is_last);
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
        let time = unix_ms / 1000;
        let mac = mac
            .chain_update(format!("{time}."))
            .chain_update(&webhook.body);
        let digest = hex::encode(mac.finalize().into_bytes());
        request.header("elevenlabs-signature", format!("t={time},v0={digest}"))
    }

    fn is_accepted(&self, status: StatusCode) -> bool {
        status == StatusCode::OK
    }
}

/// An error: `{"detail": {"status": "...", "message": "..."}}`, or with a list of what is wrong in the request.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    detail: Value,
    retry_after: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            status,
            detail: json!({"status": code, "message": message}),
            retry_after: None,
        }
    }

    fn unknown(what: &str) -> Self {
        let message = format!("{what} not found.");
        Self::new(StatusCode::NOT_FOUND, "not_found", &message)
    }

    /// The request is wrong at this place.
    fn invalid(place: &[&str], kind: &str, message: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: json!([{"loc": place, "msg": message, "type": kind}]),
            retry_after: None,
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        let code = match refusal.status {
            401 => "invalid_api_key",
            402 => "quota_exceeded",
            403 => "missing_permissions",
            404 => "not_found",
            422 => return Self::invalid(&["body"], "value_error", &refusal.words),
            429 => "system_busy",
            500.. => "internal_server_error",
            _ => "bad_request",
        };
        Self {
            retry_after: refusal.retry_after,
            ..Self::new(status, code, &refusal.words)
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Json(json!({"detail": self.detail}));
        match self.retry_after {
            Some(after) => (self.status, [(header::RETRY_AFTER, after)], body).into_response(),
            None => (self.status, body).into_response(),
        }
    }
}

fn admit(keys: &Keys, headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get("xi-api-key").and_then(|key| key.to_str().ok());
    if keys.admit(given) {
        Ok(())
    } else {
        let message = "Invalid API key";
        Err(Refused::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            message,
        ))
    }
}

async fn by_twilio(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(cut): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    place(&desk, Carrier::Twilio, &body, &cut).await
}

async fn by_sip(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(cut): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    place(&desk, Carrier::SipTrunk, &body, &cut).await
}

async fn place(
    desk: &Desk,
    carrier: Carrier,
    body: &[u8],
    cut: &Cut,
) -> Result<Json<Value>, Refused> {
    let request = serde_json::from_slice(body)
        .map_err(|_bad| Refused::invalid(&["body"], "json_invalid", "JSON decode error"))?;
    let answer = |success: bool, message: &str, ids: Option<&Call>| {
        Json(json!({
            "success": success, "message": message, "conversation_id": ids.map(|call| &call.id),
            carrier.id_field(): ids.map(|call| carrier.call_id(call)),
        }))
    };
    let order = order(&request, carrier)?;
    if !is_e164(&order.to) {
        return Ok(answer(false, &conversation::bad_number(&order.to), None));
    }
    match desk.place(order, None, body, cut).await {
        Placed::Accepted { call, .. } => Ok(match conversation::refused(&call) {
            Some(words) => answer(false, &words, None),
            None => answer(true, "Success", Some(&call)),
        }),
        Placed::Refused(refusal) if refusal.status == 502 => {
            let words = format!("HTTP 502 error: {}", refusal.words);
            Ok(answer(false, &words, None))
        }
        Placed::Refused(refusal) => Err(refusal.into()),
        Placed::Full | Placed::KeyReused => Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_concurrent_requests",
            "Too many concurrent requests.",
        )),
    }
}

fn order(request: &Value, carrier: Carrier) -> Result<Order, Refused> {
    let demanded = |name: &str| {
        let missing = || Refused::invalid(&["body", name], "missing", "Field required");
        text(request, &format!("/{name}")).ok_or_else(missing)
    };
    let number_id = demanded("agent_phone_number_id")?;
    let client_data = at(request, "/conversation_initiation_client_data");
    let config = at(request, "/telephony_call_config");
    let ring = number(config, "/ringing_timeout_secs");
    Ok(Order {
        to: demanded("to_number")?,
        from: Some(caller_id(&number_id)),
        script: Some(demanded("agent_id")?),
        metadata: fields(client_data, "/dynamic_variables"),
        webhook_url: None,
        reference: text(client_data, "/user_id"),
        max_duration_sec: None,
        ring_timeout_sec: Some(ring.unwrap_or(RING_SEC)),
        on_machine: match at(config, "/twilio_machine_detection/actions/0/action").as_str() {
            Some("hang_up") => OnMachine::HangUp,
            _ => OnMachine::Ignore,
        },
        echo: json!({
            "carrier": carrier.word(), "phone_number_id": number_id, "client_data": client_data,
        }),
    })
}

/// The number with this id: its digits, if they make one.
fn caller_id(id: &str) -> String {
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    Some(format!("+{digits}"))
        .filter(|number| is_e164(number))
        .unwrap_or_else(|| FROM.to_owned())
}

/// The conversation, unless there never was one or it was deleted.
fn find(desk: &Desk, erased: &Erased, id: &str) -> Result<Arc<Call>, Refused> {
    desk.find(id)
        .filter(|call| is_listed(erased, call))
        .ok_or_else(|| Refused::unknown("Conversation"))
}

fn is_listed(erased: &Erased, call: &Call) -> bool {
    let erased = erased.lock().unwrap_or_else(PoisonError::into_inner);
    conversation::refused(call).is_none() && !erased.contains(&call.id)
}

async fn show(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(erased): Extension<Erased>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let call = find(&desk, &erased, &id)?;
    let mut object = conversation::object(&call, conversation::status(&call));
    object.insert("has_auxiliary_audio".to_owned(), json!(false));
    Ok(Json(Value::Object(object)))
}

/// Erases the conversation. The call goes on, and is reported.
async fn erase(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(erased): Extension<Erased>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let call = find(&desk, &erased, &id)?;
    let mut erased = erased.lock().unwrap_or_else(PoisonError::into_inner);
    erased.insert(call.id.clone());
    Ok(Json(json!({})))
}

async fn audio(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(erased): Extension<Erased>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    admit(&keys, &headers)?;
    let call = find(&desk, &erased, &id)?;
    if !conversation::has_audio(&call) {
        return Err(Refused::unknown("Audio"));
    }
    // An MP3 with an empty tag, and nothing else.
    let silence = Bytes::from_static(b"ID3\x04\0\0\0\0\0\0");
    Ok(([(header::CONTENT_TYPE, "audio/mpeg")], silence).into_response())
}

/// Conversations, the newest first. Filters that are not read here select all.
async fn list(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(erased): Extension<Erased>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let asked = |name: &str| query.get(name).map(String::as_str);
    let seconds = |name: &str| asked(name).and_then(|text| text.parse::<i64>().ok());
    let size = asked("page_size").map_or(Some(PAGE.0), |text| text.parse().ok());
    let size = size
        .filter(|size| (1..=PAGE.1).contains(size))
        .ok_or_else(|| {
            let message = format!("Input should be from 1 to {}", PAGE.1);
            Refused::invalid(&["query", "page_size"], "value_error", &message)
        })?;
    let mut found = desk.select(|call| {
        let started = call.placed_at / 1000;
        let user = at(&call.echo, "/client_data/user_id").as_str();
        is_listed(&erased, call)
            && asked("user_id").is_none_or(|wanted| user == Some(wanted))
            && asked("agent_id").is_none_or(|wanted| call.script.as_deref() == Some(wanted))
            && seconds("call_start_after_unix").is_none_or(|after| started >= after)
            && seconds("call_start_before_unix").is_none_or(|before| started <= before)
    });
    found.reverse();
    let skip = asked("cursor")
        .and_then(|id| found.iter().position(|call| call.id == id))
        .map_or(0, |at| at + 1);
    let page: Vec<_> = found.iter().skip(skip).take(size).collect();
    let has_more = skip + page.len() < found.len();
    let rows: Vec<_> = page.iter().map(|call| conversation::row(call)).collect();
    Ok(Json(json!({
        "conversations": rows, "has_more": has_more,
        "next_cursor": page.last().filter(|_| has_more).map(|call| &call.id),
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
        return Err(Refused::unknown("Agent"));
    }
    Ok(Json(json!({
        "agent_id": id, "name": "Fake", "conversation_config": {}, "phone_numbers": [], "tags": [],
        "metadata": {"created_at_unix_secs": 0, "updated_at_unix_secs": 0},
    })))
}

async fn phone_number(
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let of_carrier = if id.starts_with("phnum_sip") {
        json!({"provider": "sip_trunk", "livekit_stack": "standard"})
    } else {
        json!({"provider": "twilio"})
    };
    let object = json!({
        "phone_number": caller_id(&id), "label": "Fake", "phone_number_id": id, "assigned_agent": null,
        "supports_inbound": true, "supports_outbound": true,
    });
    Ok(Json(merged(&object, &of_carrier)))
}

async fn settings(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let id = desk.calls.webhook_url().map(|_url| WEBHOOK_ID);
    Ok(Json(json!({
        "can_use_mcp_servers": false,
        "webhooks": {
            "post_call_webhook_id": id, "events": ["transcript", "call_initiation_failure"],
            "transcript_format": "json",
        },
    })))
}

async fn webhooks(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let webhooks = desk.calls.webhook_url().map(|url| {
        json!({
            "name": "Fake", "webhook_id": WEBHOOK_ID, "webhook_url": url.to_string(), "is_disabled": false,
            "is_auto_disabled": false, "created_at_unix": 0, "auth_type": "hmac",
        })
    });
    Ok(Json(
        json!({"webhooks": webhooks.into_iter().collect::<Vec<_>>()}),
    ))
}

async fn subscription(
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    Ok(Json(json!({
        "tier": "pro", "status": "active", "character_count": 1000, "character_limit": 500_000,
        "currency": "usd", "max_credit_limit_extension": 0, "can_extend_character_limit": false,
        "allowed_to_extend_character_limit": false, "voice_slots_used": 0, "voice_limit": 160,
        "professional_voice_slots_used": 0, "professional_voice_slots_used_in_workspace": 0,
        "professional_voice_limit": 1, "voice_add_edit_counter": 0, "can_extend_voice_limit": false,
        "can_use_instant_voice_cloning": true, "can_use_professional_voice_cloning": true,
        "current_overage": {"amount": "0", "currency": "usd"}, "open_invoices": [], "has_open_invoices": false,
    })))
}
