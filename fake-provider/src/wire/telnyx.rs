//! Telnyx Call Control: <https://developers.telnyx.com/api-reference/call-commands/dial>.
//!
//! Of the commands to a call only the one that hangs up is here: a call with an assistant needs no other.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD},
};
use chrono::DateTime;
use hyper::{Uri, http::request::Builder};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    desk::{Cut, Desk, Paths, Placed, bearer, coded, is_e164, reference_in},
    form::Form,
    json::{at, fields, number, text},
};
use crate::{
    Error,
    calls::{Call, End, OnMachine, Order, Phase},
    clock,
    dialect::{Dialect, Keys, Moment, Webhook},
    rules::{Ending, Refusal},
};

/// Items on one page of a list, by default and at most.
const PAGE: (usize, usize) = (20, 250);
/// Ringing and talking in seconds, unless the request says otherwise.
const RING: u64 = 30;
const MOST_RING: u64 = 600;
const TALK: u64 = 14_400;
/// A repeated `command_id` is ignored for this long.
const COMMANDS_KEPT: Duration = Duration::from_mins(1);
/// A call is forgotten this long after its end.
const CALLS_KEPT_MS: i64 = 600_000;
/// What happens to a call.
const EVENTS: [&str; 6] = [
    "call.initiated",
    "call.answered",
    "call.machine.detection.ended",
    "call.hangup",
    "call.cost",
    "call.recording.saved",
];
/// In hundredths of a cent.
const PRICE_OF_MINUTE: u128 = 70;

/// A Telnyx account. Its key pair is made from the webhook secret, and its numbers belong to the application that was
/// asked about last.
#[derive(Debug)]
pub(super) struct Telnyx {
    pair: Ed25519KeyPair,
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    keys: Keys,
    public_key: String,
    application: Mutex<Option<String>>,
}

impl Account {
    fn remember(&self, application: &str) {
        let mut last = self
            .application
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(application.to_owned());
    }

    fn remembered(&self) -> Option<String> {
        let last = self
            .application
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }
}

impl Telnyx {
    pub(super) fn new(keys: Keys) -> Result<Self, Error> {
        let seed = Sha256::digest(keys.secret());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_bad| Error::NoKeyPair)?;
        let public_key = BASE64.encode(pair.public_key());
        Ok(Self {
            pair,
            account: Arc::new(Account {
                keys,
                public_key,
                application: Mutex::default(),
            }),
        })
    }
}

impl Paths for Telnyx {
    fn router(&self) -> Router<Desk> {
        Router::new()
            .route("/v2/calls", post(place))
            .route("/v2/calls/{id}", get(show))
            .route("/v2/calls/{id}/actions/hangup", post(hang_up))
            .route("/v2/connections/{id}/active_calls", get(active))
            .route("/v2/call_events", get(events))
            .route("/v2/public_key", get(public_key))
            .route("/v2/balance", get(balance))
            .route("/v2/call_control_applications/{id}", get(application))
            .route("/v2/phone_numbers", get(numbers))
            .route("/v2/verified_numbers/{number}", get(verified_number))
            .route("/v2/ai/assistants/{id}", get(assistant))
            .route_layer(middleware::from_fn(admit))
            .layer(Extension(Arc::clone(&self.account)))
    }
}

impl Dialect for Telnyx {
    fn honors_keys(&self) -> Option<Duration> {
        Some(COMMANDS_KEPT)
    }

    /// Limits are told by the end of a call.
    fn overflow(&self) -> Option<Ending> {
        Some(Ending::Capacity)
    }

    fn is_answered(&self, ending: Ending) -> bool {
        ending.is_answered() || ending == Ending::Voicemail
    }

    fn public_key(&self) -> Option<&str> {
        Some(&self.account.public_key)
    }

    fn call_id(&self) -> String {
        let bytes = [(); 3].map(|()| Uuid::new_v4().into_bytes()).concat();
        format!("v3:{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        let names: &[&str] = match moment {
            Moment::Queued => &["call.initiated"],
            // No event tells of it.
            Moment::Ringing => &[],
            Moment::Answered => &["call.answered", "call.machine.detection.ended"],
            Moment::Over => &["call.hangup"],
            Moment::Analyzed => &["call.cost", "call.recording.saved"],
            Moment::Unheard => &["call.teleported"],
            Moment::Garbled => {
                let webhook = webhook(call, &event(call, "call.hangup", clock::unix_ms()));
                return vec![webhook.broken_off()];
            }
        };
        let now = clock::unix_ms();
        let told = names.iter().filter_map(|name| {
            let at = occurred_at(call, name);
            let at = at.or((*name == "call.teleported").then_some(now))?;
            Some(webhook(call, &event(call, name, at)))
        });
        told.collect()
    }

    fn sign(&self, request: Builder, _url: &Uri, webhook: &Webhook, unix_ms: i64) -> Builder {
        let time = (unix_ms / 1000).to_string();
        let signed = [time.as_bytes(), b"|", &webhook.body].concat();
        let signature = BASE64.encode(self.pair.sign(&signed));
        request
            .header("telnyx-timestamp", time)
            .header("telnyx-signature-ed25519", signature)
    }
}

/// An error in Telnyx's shape.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    code: u32,
    detail: String,
    /// The field that it is about, as `/to`.
    pointer: Option<String>,
    reset: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, code: u32, detail: &str) -> Self {
        Self {
            status,
            code,
            detail: detail.to_owned(),
            pointer: None,
            reset: None,
        }
    }

    fn of_field(code: u32, pointer: &str, detail: &str) -> Self {
        Self {
            pointer: Some(pointer.to_owned()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        }
    }

    fn not_found() -> Self {
        let detail = "The requested resource or URL could not be found.";
        Self::new(StatusCode::NOT_FOUND, 10_005, detail)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        let (code, words) = coded(&refusal.words);
        let usual = match refusal.status {
            401 => 10_009,
            402 | 403 => 10_010,
            404 => 10_005,
            408 => 10_008,
            409 => 10_012,
            422 => 10_027,
            429 => 10_011,
            500.. => 10_007,
            _ => 10_015,
        };
        let field = words
            .split_once(' ')
            .filter(|(field, _)| field.starts_with('/'));
        let (pointer, detail) = field.unzip();
        Self {
            pointer: pointer.map(str::to_owned),
            reset: refusal.retry_after,
            ..Self::new(status, code.unwrap_or(usual), detail.unwrap_or(words))
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = self.code;
        let mut error = json!({
            "code": code.to_string(), "title": self.status.canonical_reason(), "detail": self.detail,
            "meta": {"url": format!("https://developers.telnyx.com/docs/overview/errors/{code}")},
        });
        if let (Some(pointer), Some(error)) = (self.pointer, error.as_object_mut()) {
            error.insert("source".to_owned(), json!({"pointer": pointer}));
        }
        let mut response = (self.status, Json(json!({"errors": [error]}))).into_response();
        if let Some(reset) = self
            .reset
            .and_then(|reset| HeaderValue::from_str(&reset).ok())
        {
            let name = HeaderName::from_static("x-ratelimit-reset");
            response.headers_mut().insert(name, reset);
        }
        response
    }
}

async fn admit(
    Extension(account): Extension<Arc<Account>>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let headers = request.headers();
    if account.keys.admit(bearer(headers)) {
        return Ok(next.run(request).await);
    }
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Refused::not_found());
    }
    let detail = "Could not find any usable credentials in the request.";
    Err(Refused::new(StatusCode::UNAUTHORIZED, 10_009, detail))
}

async fn place(
    State(desk): State<Desk>,
    Extension(cut): Extension<Cut>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let request: Value = serde_json::from_slice(&body).map_err(|_bad| {
        Refused::new(StatusCode::BAD_REQUEST, 10_015, "The request is not JSON.")
    })?;
    let order = order(&request)?;
    let command = at(&request, "/command_id").as_str();
    // The command's id alone makes it the same.
    match desk.place(order, command, &[], &cut).await {
        Placed::Accepted { call, .. } => Ok(Json(json!({"data": object(&call, Phase::Queued)}))),
        Placed::Full | Placed::KeyReused => Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            90_103,
            "You have exceeded the dials per second limit.",
        )),
        Placed::Refused(refusal) => Err(refusal.into()),
    }
}

fn order(request: &Value) -> Result<Order, Refused> {
    let phone = |pointer: &str| {
        let phone = text(request, pointer).unwrap_or_default();
        // What follows a comma are keys to press.
        let phone = phone.split(',').next().filter(|phone| is_e164(phone));
        let detail = "The phone number must be in +E164 format.";
        let refused = || Refused::of_field(10_016, pointer, detail);
        phone.map(str::to_owned).ok_or_else(refused)
    };
    let connection = text(request, "/connection_id");
    let connection =
        connection.ok_or_else(|| Refused::of_field(10_004, "/connection_id", "It is missing."))?;
    let webhook_url = text(request, "/webhook_url");
    let state = text(request, "/client_state").and_then(|state| BASE64.decode(state).ok());
    let state: Value = serde_json::from_slice(&state.unwrap_or_default()).unwrap_or_default();
    // Another route follows when the time to ring is over.
    let goes_on = at(request, "/retry_on_timeout") != &Value::Bool(false);
    let ring = number(request, "/timeout_secs")
        .unwrap_or(RING)
        .min(MOST_RING);
    let detection = text(request, "/answering_machine_detection");
    Ok(Order {
        to: phone("/to")?,
        from: Some(phone("/from")?),
        script: text(request, "/assistant/id"),
        metadata: fields(request, "/assistant/dynamic_variables"),
        reference: text(&state, "/ref").or_else(|| webhook_url.as_deref().and_then(reference_in)),
        webhook_url: webhook_url.and_then(|url| url.parse().ok()),
        max_duration_sec: Some(number(request, "/time_limit_secs").unwrap_or(TALK)),
        ring_timeout_sec: Some(if goes_on { ring * 2 } else { ring }),
        // It is detected and reported; whoever drives the call acts on it.
        on_machine: OnMachine::Ignore,
        echo: json!({
            "connection_id": connection, "client_state": at(request, "/client_state"), "goes_on": goes_on,
            "call_leg_id": Uuid::new_v4(), "call_session_id": Uuid::new_v4(),
            "detects_machines": detection.is_some_and(|how| how != "disabled"),
            "records": at(request, "/record") == "record-from-answer",
            "retries": at(request, "/webhook_retries_policies"),
        }),
    })
}

/// Names of the call, and these fields of the request.
fn named(call: &Call, also: &[&str]) -> Map<String, Value> {
    let mut named = Map::from_iter([("call_control_id".to_owned(), json!(call.id))]);
    for name in ["call_leg_id", "call_session_id", "client_state"]
        .iter()
        .chain(also)
    {
        let value = at(&call.echo, &format!("/{name}"));
        if !value.is_null() {
            named.insert((*name).to_owned(), value.clone());
        }
    }
    named
}

fn has_asked(call: &Call, what: &str) -> bool {
    at(&call.echo, what) == &Value::Bool(true)
}

const fn end_of(phase: &Phase) -> Option<End> {
    match phase {
        Phase::Over(end) => Some(*end),
        _ => None,
    }
}

fn rfc3339(unix_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The call object, as it is in this phase. It does not say how the call ended.
fn object(call: &Call, phase: Phase) -> Map<String, Value> {
    let end = end_of(&phase);
    let mut object = named(call, &[]);
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    put("record_type", json!("call"));
    put(
        "is_alive",
        json!(matches!(phase, Phase::Ringing | Phase::InProgress(_))),
    );
    if !matches!(phase, Phase::Queued) {
        put("start_time", json!(rfc3339(call.placed_at)));
        put("call_duration", json!(seconds_since_start(call, end)));
    }
    if let Some(end) = end {
        put("end_time", json!(rfc3339(end.at)));
    }
    object
}

fn seconds_since_start(call: &Call, end: Option<End>) -> i64 {
    let until = end.map_or_else(clock::unix_ms, |end| end.at);
    (until - call.placed_at) / 1000
}

/// When it happened; none if it has not.
fn occurred_at(call: &Call, event: &str) -> Option<i64> {
    let end = end_of(&call.phase());
    let talked_until = end.filter(|end| end.talked.is_some()).map(|end| end.at);
    match event {
        "call.initiated" => Some(call.placed_at),
        "call.answered" => call.answered_at(),
        "call.machine.detection.ended" if has_asked(call, "/detects_machines") => {
            call.answered_at()
        }
        "call.hangup" => end.map(|end| end.at),
        "call.cost" => talked_until,
        "call.recording.saved" if has_asked(call, "/records") => talked_until,
        _ => None,
    }
}

fn event(call: &Call, name: &str, occurred_at: i64) -> Value {
    let mut payload = named(call, &["connection_id"]);
    if !matches!(name, "call.cost" | "call.recording.saved") {
        payload.insert("from".to_owned(), json!(call.from));
        payload.insert("to".to_owned(), json!(call.number));
    }
    if matches!(name, "call.initiated" | "call.answered" | "call.hangup") {
        payload.insert("start_time".to_owned(), json!(rfc3339(call.placed_at)));
    }
    payload.extend(details(call, name));
    // The same in a webhook and in the list of events.
    let digest = Sha256::digest(format!("{} {name}", call.id));
    let id = digest.first_chunk().copied().map(Uuid::from_bytes);
    json!({
        "record_type": "event", "event_type": name, "id": id, "occurred_at": rfc3339(occurred_at), "payload": payload,
    })
}

/// What an event says beside the names of its call.
fn details(call: &Call, event: &str) -> Map<String, Value> {
    let is_machine = call.ending == Ending::Voicemail;
    let details = match event {
        "call.initiated" => json!({"direction": "outgoing", "state": "bridging"}),
        "call.answered" => json!({"state": "answered"}),
        "call.machine.detection.ended" => {
            json!({"result": if is_machine { "machine" } else { "human" }})
        }
        "call.hangup" => hang_up_of(call),
        "call.cost" => cost(call),
        "call.recording.saved" => json!({
            "channels": "single",
            "recording_urls": {"mp3": format!("https://recordings.invalid/{}.mp3", call.id)},
        }),
        _ => json!({}),
    };
    fields(&details, "")
}

fn hang_up_of(call: &Call) -> Value {
    let ending = end_of(&call.phase()).map_or(call.ending, |end| end.ending);
    let goes_on = has_asked(call, "/goes_on");
    // A D-code tells that Telnyx itself refused.
    let (cause, source, sip, reason) = match ending {
        Ending::Completed if call.hang_up.is_cancelled() => {
            ("normal_clearing", "caller", "200", None)
        }
        Ending::Completed | Ending::Voicemail => ("normal_clearing", "callee", "200", None),
        Ending::Fault => ("unspecified", "unknown", "unspecified", None),
        Ending::Busy => ("user_busy", "callee", "486", None),
        Ending::NoAnswer if goes_on => ("timeout", "caller", "487", None),
        Ending::NoAnswer => ("no_answer", "caller", "487", None),
        Ending::Declined => ("call_rejected", "callee", "603", None),
        Ending::Failed => ("normal_clearing", "unknown", "480", None),
        Ending::Canceled => ("originator_cancel", "caller", "487", None),
        Ending::InvalidNumber => ("not_found", "unknown", "404", None),
        Ending::Blocked => ("call_rejected", "unknown", "403", None),
        Ending::Capacity => ("call_rejected", "unknown", "403", Some("D1")),
        Ending::Account => ("call_rejected", "unknown", "403", Some("D13")),
    };
    let mut details = json!({
        "hangup_cause": cause, "hangup_source": source, "sip_hangup_cause": sip, "state": "hangup", "tags": [],
    });
    if let (Some(reason), Some(details)) = (reason, details.as_object_mut()) {
        // Where Telnyx puts it is not documented.
        let value = format!("SIP;cause={sip};text=\"{reason}\"");
        let headers = json!([{"name": "Reason", "value": value}]);
        details.insert("sip_headers".to_owned(), headers);
    }
    details
}

/// From a hundredth of a cent.
fn dollars(amount: u128) -> String {
    format!("{}.{:04}", amount / 10_000, amount % 10_000)
}

fn cost(call: &Call) -> Value {
    let talked = end_of(&call.phase()).and_then(|end| end.talked);
    let minutes = talked.unwrap_or_default().as_millis().div_ceil(60_000);
    let total = dollars(minutes * PRICE_OF_MINUTE);
    let billed = u64::try_from(minutes * 60).unwrap_or(u64::MAX);
    json!({
        "status": "success", "total_cost": total, "billed_duration_secs": billed,
        "cost_parts": [{
            "call_part": "call-control", "cost": total, "rate": dollars(PRICE_OF_MINUTE), "currency": "USD",
            "billed_duration_secs": billed,
        }],
    })
}

fn webhook(call: &Call, event: &Value) -> Webhook {
    let name = text(event, "/event_type").unwrap_or_default();
    let pauses = at(&call.echo, "/retries").get(&name);
    let pauses = pauses.and_then(|policy| at(policy, "/retries_ms").as_array());
    let pauses = pauses.map(|all| {
        let millis = all.iter().filter_map(Value::as_u64);
        millis.map(Duration::from_millis).collect()
    });
    let url = call.webhook_url.as_ref().map(ToString::to_string);
    let id = text(event, "/id").unwrap_or_default();
    let body = json!({"data": event, "meta": {"attempt": 1, "delivered_to": url}});
    Webhook {
        pauses,
        ..Webhook::json(id, &body, name == "call.hangup")
    }
}

async fn show(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let is_kept = |call: &Arc<Call>| {
        let end = end_of(&call.phase());
        end.is_none_or(|end| clock::unix_ms() < end.at.saturating_add(CALLS_KEPT_MS))
    };
    let call = desk.find(&id).filter(is_kept);
    let call = call.ok_or_else(Refused::not_found)?;
    Ok(Json(json!({"data": object(&call, call.phase())})))
}

/// Ends a call, also one that still rings.
async fn hang_up(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let refused = |code, detail| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    let call = desk.calls.find(&id);
    let call = call.ok_or_else(|| refused(90_015, "Invalid Call Control ID"))?;
    if call.is_over() {
        return Err(refused(90_018, "Call has already ended"));
    }
    call.hang_up.cancel();
    Ok(Json(json!({"data": {"result": "ok"}})))
}

/// One page of a list.
fn page(items: &[Value], query: &Form) -> Json<Value> {
    let wanted = |name| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = wanted("page[size]").unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let number = wanted("page[number]").unwrap_or(1).max(1);
    let on_page: Vec<_> = items
        .iter()
        .skip((number - 1).saturating_mul(size))
        .take(size)
        .collect();
    Json(json!({
        "data": on_page,
        "meta": {
            "page_number": number, "page_size": size, "total_pages": items.len().div_ceil(size),
            "total_results": items.len(),
        },
    }))
}

fn query(query: Option<String>) -> Form {
    Form::read(query.unwrap_or_default().as_bytes())
}

/// Calls of an application that are up.
async fn active(
    State(desk): State<Desk>,
    Path(connection): Path<String>,
    RawQuery(asked): RawQuery,
) -> Json<Value> {
    let is_its = |call: &Call| at(&call.echo, "/connection_id") == connection.as_str();
    let calls = desk.select(|call| !call.is_over() && is_its(call));
    let items: Vec<_> = calls
        .iter()
        .map(|call| {
            let mut item = named(call, &[]);
            let seconds = json!(seconds_since_start(call, None));
            item.insert("record_type".to_owned(), json!("call"));
            item.insert("call_duration".to_owned(), seconds);
            Value::Object(item)
        })
        .collect();
    page(&items, &query(asked))
}

/// Whether an event has what the query's filters want, of those that are known here.
fn is_wanted(query: &Form, event: &Value) -> bool {
    let is = |filter: &str, pointer: &str| {
        query
            .get(&format!("filter[{filter}]"))
            .is_none_or(|wanted| at(event, pointer) == wanted)
    };
    let time = at(event, "/event_timestamp").as_str();
    let time = time.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let limit = |sign: &str| {
        let text = query.get(&format!("filter[occurred_at][{sign}]"))?;
        DateTime::parse_from_rfc3339(text).ok()
    };
    let is_since = limit("gte").is_none_or(|from| time >= Some(from));
    let is_until = limit("lte").is_none_or(|to| time <= Some(to));
    is_since
        && is_until
        && is("leg_id", "/call_leg_id")
        && is("application_session_id", "/call_session_id")
        && is("name", "/name")
        && is("type", "/type")
}

/// Events of all calls, whether or not their webhooks arrived.
async fn events(State(desk): State<Desk>, RawQuery(asked): RawQuery) -> Json<Value> {
    let query = query(asked);
    let calls = desk.select(|_| true);
    let events = calls.iter().flat_map(|call| {
        EVENTS.iter().filter_map(move |name| {
            let at = occurred_at(call, name)?;
            Some(json!({
                "record_type": "call_event", "type": "webhook", "name": name, "event_timestamp": rfc3339(at),
                "call_leg_id": call.echo.get("call_leg_id"), "call_session_id": call.echo.get("call_session_id"),
                "metadata": event(call, name, at),
            }))
        })
    });
    let events: Vec<_> = events.filter(|event| is_wanted(&query, event)).collect();
    page(&events, &query)
}

async fn public_key(Extension(account): Extension<Arc<Account>>) -> Json<Value> {
    Json(json!({"data": {"record_type": "public_key", "public": account.public_key}}))
}

async fn balance() -> Json<Value> {
    Json(json!({"data": {
        "record_type": "balance", "balance": "12.50", "credit_limit": "0.00", "available_credit": "12.50",
        "pending": "0.00", "currency": "USD",
    }}))
}

async fn application(
    State(desk): State<Desk>,
    Extension(account): Extension<Arc<Account>>,
    Path(id): Path<String>,
) -> Json<Value> {
    account.remember(&id);
    Json(json!({"data": {
        "id": id, "record_type": "call_control_application", "application_name": "Fake", "active": true,
        "call_cost_in_webhooks": true, "webhook_api_version": "2",
        "outbound": {"outbound_voice_profile_id": "1", "channel_limit": desk.calls.slots().unwrap_or(10)},
    }}))
}

/// Every number is the account's own.
async fn numbers(
    Extension(account): Extension<Arc<Account>>,
    RawQuery(asked): RawQuery,
) -> Json<Value> {
    let query = query(asked);
    let number = query.get("filter[phone_number]").map(|number| {
        json!({
            "id": "1", "record_type": "phone_number", "phone_number": number, "status": "active",
            "connection_id": account.remembered(),
        })
    });
    page(number.as_slice(), &query)
}

/// And so none is verified beside them.
async fn verified_number() -> Refused {
    Refused::not_found()
}

async fn assistant(
    State(desk): State<Desk>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    if !desk.calls.has_script(&id) {
        return Err(Refused::not_found());
    }
    Ok(Json(json!({
        "id": id, "name": "Fake", "created_at": rfc3339(0), "instructions": "Be brief.", "model": "none",
    })))
}
