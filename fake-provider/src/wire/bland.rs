//! Bland AI: <https://docs.bland.ai/api-v1/post/calls>.

use std::collections::HashMap;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, NaiveDate, NaiveTime};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{Uri, http::request::Builder};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    desk::{Cut, Desk, Paths, Placed, is_e164},
    json::{at, fields, number, text},
};
use crate::{
    calls::{Call, End, OnMachine, Order, Phase},
    clock,
    dialect::{Dialect, Keys, Moment, Webhook},
    rules::{Ending, Refusal},
};

/// Calls in a list, at most.
const PAGE: usize = 1000;
/// Minutes of a call, unless the request says otherwise, and at most.
const TALK_MIN: (u64, u64) = (30, 720);
/// Between two calls to one number.
const SAME_NUMBER_MS: i64 = 10_000;
/// US dollars: a minute, and a call that is not answered.
const PRICE: (f64, f64) = (0.09, 0.015);
/// The account's number, which is that of the examples in all documentation of pgdial.
const OWN_NUMBER: &str = "+14155550100";
/// What a request may say.
const KNOWN: [&str; 45] = [
    "answered_by_enabled",
    "background_track",
    "block_interruptions",
    "citation_schema_ids",
    "dialing_strategy",
    "dispositions",
    "dynamic_data",
    "first_sentence",
    "from",
    "guard_rails",
    "ignore_button_press",
    "interruptibility",
    "interruption_threshold",
    "keywords",
    "language",
    "max_duration",
    "metadata",
    "model",
    "noise_cancellation",
    "pathway_id",
    "pathway_version",
    "persona_id",
    "phone_number",
    "post_call_evals",
    "precall_dtmf_sequence",
    "pronunciation_guide",
    "record",
    "request_data",
    "retry",
    "sensitive_voicemail_detection",
    "start_node_id",
    "start_time",
    "stream_post_transfer_transcript",
    "summary_prompt",
    "task",
    "temperature",
    "timezone",
    "tools",
    "transfer_list",
    "transfer_phone_number",
    "voice",
    "voicemail",
    "wait_for_greeting",
    "webhook",
    "webhook_events",
];
/// What a list says of a call.
const LISTED: [&str; 10] = [
    "answered_by",
    "batch_id",
    "call_id",
    "call_length",
    "completed",
    "created_at",
    "error_message",
    "from",
    "queue_status",
    "to",
];

/// A Bland account.
#[derive(Debug)]
pub(super) struct Bland(Keys);

impl Bland {
    pub(super) const fn new(keys: Keys) -> Self {
        Self(keys)
    }
}

impl Paths for Bland {
    fn router(&self) -> Router<Desk> {
        Router::new()
            .route("/v1/calls", post(place).get(list))
            .route("/v1/calls/{id}", get(show))
            .route("/v1/calls/{id}/stop", post(stop))
            .route("/v1/me", get(account))
            .route("/v1/inbound", get(inbound))
            .route("/v1/outbound", get(outbound))
            .route("/v1/pathway/{id}", get(pathway))
            .route("/v1/pathway/{id}/version/{version}", get(pathway))
            .route("/v1/personas/{id}", get(persona))
            .layer(Extension(self.0.clone()))
    }
}

impl Dialect for Bland {
    /// A machine is connected, too: it is known by its first five seconds.
    fn is_answered(&self, ending: Ending) -> bool {
        ending.is_answered() || ending == Ending::Voicemail
    }

    fn call_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        let line = |category: &str, message: &str| {
            let line = json!({
                "message": message, "call_id": call.id, "category": category, "log_level": "info",
            });
            (category.to_owned(), line)
        };
        let (event, body) = match moment {
            Moment::Queued => line("queue", "Call enqueued"),
            Moment::Ringing => return Vec::new(),
            Moment::Answered => line("call", "Call connected"),
            Moment::Unheard => line("call", "Call put on hold"),
            Moment::Over | Moment::Garbled => ("final".to_owned(), Value::Object(object(call))),
            Moment::Analyzed => {
                let citations = json!({
                    "call_id": call.id, "user_id": Uuid::nil(), "event_type": "citations",
                    "timestamp": clock::rfc3339(clock::unix_ms()), "citations": [],
                });
                ("citations".to_owned(), citations)
            }
        };
        let wanted = at(request(call), "/webhook_events").as_array();
        if event != "final" && !wanted.is_some_and(|all| all.contains(&json!(event))) {
            return Vec::new();
        }
        let id = format!("{}/{event}", call.id);
        let webhook = Webhook::json(id, &body, moment == Moment::Over);
        vec![if moment == Moment::Garbled {
            webhook.broken_off()
        } else {
            webhook
        }]
    }

    fn sign(&self, request: Builder, _url: &Uri, webhook: &Webhook, _unix_ms: i64) -> Builder {
        // A MAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.0.secret().as_bytes()) else {
            return request;
        };
        let mac = mac.chain_update(&webhook.body);
        request.header(
            "x-webhook-signature",
            hex::encode(mac.finalize().into_bytes()),
        )
    }
}

/// An error.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    body: Value,
    retry_after: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, message: &str) -> Self {
        let kind = if message.contains("DNC") {
            "DNC Error"
        } else {
            "error"
        };
        Self {
            status,
            body: json!({"status": kind, "message": message}),
            retry_after: None,
        }
    }

    fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn unknown(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            &format!("{what} with ID {id:?} not found"),
        )
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
        let body = Json(self.body);
        match self.retry_after {
            Some(after) => (self.status, [(header::RETRY_AFTER, after)], body).into_response(),
            None => (self.status, body).into_response(),
        }
    }
}

/// The key is the whole header: there is no scheme before it.
fn admit(keys: &Keys, headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get(header::AUTHORIZATION);
    if keys.admit(given.and_then(|key| key.to_str().ok())) {
        return Ok(());
    }
    let why = json!({"error": "AUTH_FAILURE", "message": "Unauthorized"});
    Err(Refused {
        status: StatusCode::UNAUTHORIZED,
        body: json!({"data": null, "errors": [why]}),
        retry_after: None,
    })
}

async fn place(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(cut): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let request: Value = serde_json::from_slice(&body)
        .map_err(|_bad| Refused::bad("Call parameters must be an object."))?;
    let order = order(request)?;
    let too_early = clock::unix_ms() - SAME_NUMBER_MS;
    let is_repeated = |call: &Call| call.number == order.to && call.placed_at > too_early;
    if !desk.calls.select(|call| is_repeated(call)).is_empty() {
        let message = "Calls can only be sent every 10 seconds to the same number. \
                       Please try again in a few seconds.";
        return Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, message));
    }
    match desk.place(order, None, &body, &cut).await {
        Placed::Accepted { call, .. } => Ok(Json(json!({
            "status": "success", "message": "Call successfully queued.", "call_id": call.id,
            "batch_id": null,
        }))),
        Placed::Full | Placed::KeyReused => Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Rate limit exceeded",
        )),
        Placed::Refused(refusal) => Err(refusal.into()),
    }
}

fn order(request: Value) -> Result<Order, Refused> {
    let strange = |name: &String| !KNOWN.contains(&name.as_str());
    if fields(&request, "").keys().any(strange) {
        return Err(Refused::bad("Additional properties are not allowed"));
    }
    let script = ["/pathway_id", "/persona_id", "/task"];
    let script = script.iter().find_map(|pointer| text(&request, pointer));
    let to = text(&request, "/phone_number");
    let missing = [("phone_number", to.is_none()), ("task", script.is_none())];
    if let Some((name, _)) = missing.iter().find(|(_, is_missing)| *is_missing) {
        let missing = [format!("Missing required parameter: {name}.")];
        let message = format!("Invalid parameters. Error: {missing:?}");
        return Err(Refused {
            body: json!({"status": "error", "message": message, "errors": missing}),
            ..Refused::bad("")
        });
    }
    let to = to.filter(|to| is_e164(to)).ok_or_else(|| {
        let message = "Invalid phone number. Please include a country code if outside the US.";
        Refused::bad(message)
    })?;
    let from = text(&request, "/from");
    if from.as_ref().is_some_and(|from| !is_e164(from)) {
        let message = "Invalid 'from' - must be a phone number string with 10 or 12 digits.";
        return Err(Refused::bad(message));
    }
    let webhook_url = match at(&request, "/webhook") {
        Value::Null => None,
        webhook => Some(webhook_url(webhook)?),
    };
    let minutes = number(&request, "/max_duration").unwrap_or(TALK_MIN.0);
    if minutes < 1 {
        return Err(Refused::bad("Max duration must be at least 1"));
    }
    if minutes > TALK_MIN.1 {
        return Err(Refused::bad("max_duration must be at most 12 hours."));
    }
    Ok(Order {
        to,
        from,
        script,
        metadata: fields(&request, "/request_data"),
        webhook_url,
        reference: text(&request, "/metadata/pgdial_reference"),
        max_duration_sec: Some(minutes * 60),
        ring_timeout_sec: None,
        on_machine: match at(&request, "/voicemail/action").as_str() {
            // Whatever the action, a message is left.
            _ if text(&request, "/voicemail/message").is_some() => OnMachine::LeaveMessage,
            Some("hangup") => OnMachine::HangUp,
            _ => OnMachine::Ignore,
        },
        echo: request,
    })
}

/// Where to send webhooks: to `https://` only. Nobody has a certificate for the loopback, so there the word is
/// enough.
fn webhook_url(given: &Value) -> Result<Uri, Refused> {
    let given = given.as_str().unwrap_or_default();
    let Some(rest) = given.strip_prefix("https://") else {
        let message = "webhook must be a string that starts with https://.";
        return Err(Refused::bad(message));
    };
    let url = if rest.starts_with("127.0.0.1") {
        format!("http://{rest}")
    } else {
        given.to_owned()
    };
    url.parse()
        .map_err(|_bad| Refused::bad("Webhook must be a valid URI"))
}

const fn request(call: &Call) -> &Value {
    &call.echo
}

/// The call object, which is also the last webhook.
fn object(call: &Call) -> Map<String, Value> {
    let request = request(call);
    let mut variables = call.metadata.clone();
    variables.insert("phone_number".to_owned(), json!(call.number));
    let mut object = fields(
        &json!({
            "call_id": call.id, "c_id": call.id, "batch_id": null, "to": call.number,
            "from": call.from.as_deref().unwrap_or(OWN_NUMBER),
            "created_at": clock::rfc3339(call.placed_at).replace('Z', "+00:00"),
            "inbound": false, "completed": call.is_over(), "error_message": null,
            "max_duration": number(request, "/max_duration").unwrap_or(TALK_MIN.0),
            "metadata": fields(request, "/metadata"), "variables": variables,
        }),
        "",
    );
    for name in ["pathway_id", "persona_id"] {
        if let Some(id) = request.get(name) {
            object.insert(name.to_owned(), id.clone());
        }
    }
    let queue_status = match call.phase() {
        Phase::Queued => "queued",
        Phase::Ringing | Phase::InProgress(_) => "started",
        Phase::Over(end) => {
            object.extend(ended(call, &end));
            if end.ending == Ending::Fault {
                "call_error"
            } else {
                "complete"
            }
        }
    };
    object.insert("queue_status".to_owned(), json!(queue_status));
    object
}

/// How it ended.
fn ended(call: &Call, end: &End) -> Map<String, Value> {
    let (status, tag, error) = words(end.ending);
    let asked = call.plan.disposition.as_deref();
    let tag = match asked.filter(|_| end.talked.is_some()) {
        Some("do_not_call") => "DO_NOT_CONTACT".to_owned(),
        Some(word) => word.to_ascii_uppercase(),
        None => tag.to_owned(),
    };
    let mut ended = fields(
        &json!({
            "status": status, "disposition_tag": tag, "error_message": error, "call_length": 0,
            "price": PRICE.1,
        }),
        "",
    );
    let Some(talked) = end.talked else {
        if status == "no-answer" {
            ended.insert("answered_by".to_owned(), json!("no-answer"));
            ended.insert("corrected_duration".to_owned(), json!("0"));
        }
        return ended;
    };
    let minutes = talked.as_secs_f64() / 60.0;
    let is_recorded = at(request(call), "/record") == true;
    let recording = format!("https://api.bland.ai/v1/recordings/{}", call.id);
    let by = if end.ending == Ending::Voicemail {
        "voicemail"
    } else {
        "human"
    };
    let started = clock::rfc3339(call.answered_at().unwrap_or(end.at));
    ended.extend(fields(
        &json!({
            "answered_by": by, "started_at": started, "end_at": clock::rfc3339(end.at),
            "call_length": round(minutes),
            // In seconds, as text.
            "corrected_duration": talked.as_millis().div_ceil(1000).to_string(),
            "price": round(minutes * PRICE.0).max(PRICE.1),
            "record": is_recorded, "recording_url": is_recorded.then_some(recording),
            "call_ended_by": "USER", "summary": "They spoke.",
            "concatenated_transcript": "assistant: Hello \n user: Hi \n ",
            "transcripts": [{"id": 1, "user": "assistant", "text": "Hello", "created_at": started}],
        }),
        "",
    ));
    ended
}

/// To three decimals.
fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// The words for an ending: status, disposition and error.
const fn words(ending: Ending) -> (&'static str, &'static str, Option<&'static str>) {
    match ending {
        Ending::Completed | Ending::Voicemail => ("completed", "COMPLETED_ACTION", None),
        Ending::Busy => ("busy", "BUSY", None),
        // To decline is not to answer.
        Ending::NoAnswer | Ending::Declined => ("no-answer", "NO_ANSWER", None),
        Ending::Canceled => ("canceled", "CANCELED", None),
        Ending::Fault => failed("A database error occurred. Please contact support."),
        Ending::Failed => failed("Call failed. The number you dialed is temporarily unavailable."),
        Ending::InvalidNumber => failed("Call failed. The number you dialed is not found."),
        Ending::Blocked => failed(
            "Call failed. Service Provider Blocked Call due to Spam or Number Reputation. Try a different number.",
        ),
        // Limits and balances are told when a call is placed, and have no words afterwards.
        Ending::Capacity | Ending::Account => {
            failed("Unable to start call. Check the call details error_message for more details.")
        }
    }
}

const fn failed(error: &'static str) -> (&'static str, &'static str, Option<&'static str>) {
    ("failed", "FAILED", Some(error))
}

async fn show(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let call = desk
        .find(&id)
        .ok_or_else(|| Refused::unknown("Call", &id))?;
    Ok(Json(Value::Object(object(&call))))
}

/// `from` and `to` are places in the list; `to` is exclusive.
async fn list(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Query(filters): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let is = |name: &str, value: &str| filters.get(name).is_none_or(|wanted| wanted == value);
    let since = filters
        .get("start_date")
        .map(|date| time(date))
        .transpose()?;
    let until = filters.get("end_date").map(|date| time(date)).transpose()?;
    let mut found = desk.select(|call| {
        is("to_number", &call.number)
            && is("from_number", call.from.as_deref().unwrap_or(OWN_NUMBER))
            && is("completed", &call.is_over().to_string())
            && is("inbound", "false")
            && since.is_none_or(|since| call.placed_at >= since)
            && until.is_none_or(|until| call.placed_at <= until)
    });
    if filters.get("ascending").is_none_or(|word| word != "true") {
        found.reverse();
    }
    let index = |name: &str, default: usize| match filters.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_bad| Refused::bad(&format!("{name} must be a number."))),
    };
    let from = index("from", 0)?;
    let limit = index("limit", PAGE)?.min(PAGE);
    let to = index("to", usize::MAX)?.min(from.saturating_add(limit));
    let page = found.iter().skip(from).take(to.saturating_sub(from));
    let calls: Vec<_> = page
        .map(|call| {
            let mut listed = object(call);
            listed.retain(|name, _| LISTED.contains(&name.as_str()));
            listed
        })
        .collect();
    Ok(Json(json!({
        "total_count": found.len(), "count": calls.len(), "calls": calls,
    })))
}

/// A date, or a time with its offset.
fn time(text: &str) -> Result<i64, Refused> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = time.or_else(|_no_time| {
        text.parse()
            .map(|date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc())
    });
    let time = time.map_err(|_bad| Refused::bad("Invalid date."))?;
    Ok(time.timestamp_millis())
}

/// Ends a call that is being dialed or talks. Whether it worked is not in the status of the response.
async fn stop(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let live = desk.calls.find(&id);
    let live = live.filter(|call| matches!(call.phase(), Phase::Ringing | Phase::InProgress(_)));
    Ok(Json(match live {
        Some(call) => {
            call.hang_up.cancel();
            json!({"status": "success", "message": "Call ended successfully."})
        }
        None => json!({"status": "error", "message": "SID not found for the given c_id."}),
    }))
}

async fn account(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    Ok(Json(json!({
        "status": "active", "billing": {"current_balance": 100.0, "refill_to": null},
        "total_calls": desk.calls.select(|_| true).len(),
    })))
}

async fn inbound(
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let number = json!({"phone_number": OWN_NUMBER, "created_at": clock::rfc3339(0)});
    Ok(Json(json!({"inbound_numbers": [number]})))
}

async fn outbound(
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    Ok(Json(json!({"outbound_numbers": []})))
}

async fn pathway(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let id = path.get("id").map_or("", String::as_str);
    if !desk.calls.has_script(id) {
        return Err(Refused::unknown("Pathway", id));
    }
    let version = path
        .get("version")
        .and_then(|number| number.parse::<u32>().ok());
    Ok(Json(json!({
        "name": "Fake", "description": null, "nodes": [], "edges": [], "version_number": version.unwrap_or(1),
    })))
}

async fn persona(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    if !desk.calls.has_script(&id) {
        return Err(Refused::unknown("Persona", &id));
    }
    Ok(Json(
        json!({"data": {"id": id, "name": "Fake", "inbound_numbers": []}, "errors": null}),
    ))
}
