//! Vapi: <https://docs.vapi.ai/api-reference/calls/create>.

use std::{collections::HashMap, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::DateTime;
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
    clock,
    dialect::{Dialect, Keys, Moment, Webhook},
    rules::{Ending, Refusal},
};

/// Calls in a list, by default and at most.
const PAGE: (usize, usize) = (100, 1000);
/// Calls at a time, unless the options say otherwise.
const CONCURRENCY: usize = 10;
/// Ringing and talking, unless the request says otherwise.
const RING_SEC: u64 = 60;
const TALK_SEC: u64 = 600;
/// US dollars.
const PRICE_PER_MINUTE: f64 = 0.05;
const ORGANIZATION: &str = "be2fa99a-b5f1-4b5a-8cfd-55c085a5ad41";
/// What a request may say, and what the call object repeats of it.
const KNOWN: [&str; 19] = [
    "assistant",
    "assistantId",
    "assistantOverrides",
    "assistantVersion",
    "customer",
    "customerId",
    "customers",
    "name",
    "phoneNumber",
    "phoneNumberId",
    "schedulePlan",
    "squad",
    "squadId",
    "squadOverrides",
    "squadVersion",
    "transport",
    "workflow",
    "workflowId",
    "workflowOverrides",
];

/// A Vapi organization. Its webhooks are signed with a credential of the kind HMAC that has all defaults.
#[derive(Debug)]
pub(super) struct Vapi(Keys);

impl Vapi {
    pub(super) const fn new(keys: Keys) -> Self {
        Self(keys)
    }
}

impl Paths for Vapi {
    fn router(&self) -> Router<Desk> {
        Router::new()
            .route("/call", post(place).get(list))
            .route("/call/{id}", get(show).delete(erase))
            .route("/call/{id}/mono-recording", get(recording))
            .route("/{id}/control", post(control))
            .route("/phone-number/{id}", get(phone_number))
            .route("/assistant/{id}", get(script))
            .route("/squad/{id}", get(script))
            .route("/workflow/{id}", get(script))
            .layer(Extension(self.0.clone()))
    }
}

impl Dialect for Vapi {
    fn is_answered(&self, ending: Ending) -> bool {
        ending.is_answered() || ending == Ending::Voicemail
    }

    fn call_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        let kind = match moment {
            Moment::Analyzed | Moment::Garbled => "end-of-call-report",
            _ => "status-update",
        };
        let overrides = overrides(request(call));
        let wanted = at(overrides, "/serverMessages").as_array();
        if wanted.is_some_and(|all| !all.contains(&json!(kind))) {
            return Vec::new();
        }
        let status = match moment {
            Moment::Unheard => "on-hold",
            _ => status(call.phase()),
        };
        let mut message = fields(
            &json!({
                "type": kind, "timestamp": clock::unix_ms(), "call": object(call, call.phase()),
                "customer": at(request(call), "/customer"),
            }),
            "",
        );
        let end = match call.phase() {
            Phase::Over(end) => ended(&end),
            _ => Map::new(),
        };
        if kind == "status-update" {
            message.insert("status".to_owned(), json!(status));
            message.extend(end.into_iter().filter(|(name, _)| name == "endedReason"));
        } else {
            message.extend(results(call));
            message.extend(end);
        }
        let is_last = matches!(moment, Moment::Over | Moment::Analyzed);
        let id = format!("{}/{kind}/{status}", call.id);
        let webhook = Webhook {
            pauses: Some(pauses(at(overrides, "/server/backoffPlan"))),
            ..Webhook::json(id, &json!({"message": message}), is_last)
        };
        vec![if moment == Moment::Garbled {
            webhook.broken_off()
        } else {
            webhook
        }]
    }

    /// URLs that are presigned differ in each delivery.
    fn delivered(&self, webhook: &Webhook) -> Webhook {
        let mut webhook = webhook.clone();
        if let Ok(mut body) = serde_json::from_slice::<Value>(&webhook.body)
            && let Some(url) = body.pointer_mut("/message/artifact/presignedMonoUrl")
        {
            *url = json!(presigned());
            webhook.body = body.to_string().into();
        }
        webhook
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
        request
            .header("x-timestamp", time)
            .header("x-signature", hex::encode(mac.finalize().into_bytes()))
    }
}

/// When a webhook is sent again. Without a plan it is not.
fn pauses(plan: &Value) -> Vec<Duration> {
    let retries = number(plan, "/maxRetries").unwrap_or(0).min(10);
    let base = number(plan, "/baseDelaySeconds").unwrap_or(1).min(10);
    let is_fixed = at(plan, "/type") == "fixed";
    let pause = |time: u64| base << if is_fixed { 0 } else { time };
    (0..retries)
        .map(|time| Duration::from_secs(pause(time)))
        .collect()
}

/// An error in Vapi's shape: a message, or several about a body that is not valid.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    message: Value,
    retry_after: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, message: impl Into<Value>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    fn unknown(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("Couldn't Find {what}. {id} Does Not Exist."),
        )
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self {
            retry_after: refusal.retry_after,
            ..Self::new(status, refusal.words)
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Json(json!({
            "message": self.message, "error": self.status.canonical_reason(), "statusCode": self.status.as_u16(),
        }));
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
        Err(Refused::new(StatusCode::UNAUTHORIZED, "Invalid Key."))
    }
}

fn read(body: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()))
}

async fn place(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    Extension(cut): Extension<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    admit(&keys, &headers)?;
    let order = order(&read(&body)?, &headers)?;
    let call = match desk.place(order, None, &body, &cut).await {
        Placed::Accepted { call, .. } => call,
        Placed::Full | Placed::KeyReused => {
            let message = "Over Concurrency Limit";
            return Err(Refused::new(StatusCode::BAD_REQUEST, message));
        }
        Placed::Refused(refusal) => return Err(refusal.into()),
    };
    // What is over by now may have been queued when the response was made, except for this.
    let is_blocked = call.ending == Ending::Capacity;
    let phase = if is_blocked {
        Phase::Over(End::by(call.ending))
    } else {
        Phase::Queued
    };
    let mut object = object(&call, phase);
    let limit = desk.calls.slots().unwrap_or(CONCURRENCY);
    let left = if is_blocked {
        0
    } else {
        limit.saturating_sub(desk.calls.active())
    };
    let limits = json!({
        "concurrencyBlocked": is_blocked, "concurrencyLimit": limit, "remainingConcurrentCalls": left,
    });
    object.insert("subscriptionLimits".to_owned(), limits);
    Ok((StatusCode::CREATED, Json(object)).into_response())
}

fn order(request: &Value, headers: &HeaderMap) -> Result<Order, Refused> {
    let complaints = complaints(request);
    if !complaints.is_empty() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, complaints));
    }
    let overrides = overrides(request);
    let metadata = ["/variableValues", "/metadata"].map(|pointer| fields(overrides, pointer));
    let [variables, metadata] = metadata;
    let variables = if variables.is_empty() {
        fields(request, "/workflowOverrides/variableValues")
    } else {
        variables
    };
    let reference = metadata.get("pgdial_reference").and_then(Value::as_str);
    let reference = reference.or_else(|| at(request, "/customer/externalId").as_str());
    let script = ["/assistantId", "/squadId", "/workflowId"];
    let carried = at(overrides, "/transportConfigurations/0/timeout").as_u64();
    let ring = carried.or_else(|| number(request, "/transport/dialTimeout"));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    Ok(Order {
        to: text(request, "/customer/number").unwrap_or_default(),
        from: text(request, "/phoneNumberId"),
        script: script.iter().find_map(|pointer| text(request, pointer)),
        metadata: variables,
        webhook_url: text(overrides, "/server/url").and_then(|url| url.parse().ok()),
        reference: reference.map(str::to_owned),
        max_duration_sec: number(overrides, "/maxDurationSeconds").or(Some(TALK_SEC)),
        ring_timeout_sec: ring.or(Some(RING_SEC)),
        on_machine: match at(overrides, "/voicemailDetection") {
            Value::Object(_) if text(overrides, "/voicemailMessage").is_some() => {
                OnMachine::LeaveMessage
            }
            Value::Object(_) => OnMachine::HangUp,
            _ => OnMachine::Ignore,
        },
        echo: json!({"request": request, "origin": format!("http://{}", host.unwrap_or_default())}),
    })
}

/// What the platform has against a request, all at once.
fn complaints(request: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut only = |pointer: &str, place: &str, known: &[&str]| {
        for name in fields(request, pointer).keys() {
            if !known.contains(&name.as_str()) {
                found.push(format!("{place}property {name} should not exist"));
            }
        }
    };
    only("", "", &KNOWN);
    only(
        "/workflowOverrides",
        "workflowOverrides.",
        &["variableValues"],
    );
    let is_checked = at(request, "/customer/numberE164CheckEnabled") != false;
    let to = at(request, "/customer/number").as_str().unwrap_or_default();
    if is_checked && !is_e164(to) {
        found.push("customer.number must be a valid phone number in the E.164 format".to_owned());
    }
    for name in ["name", "customer.name"] {
        let text = text(request, &format!("/{}", name.replace('.', "/")));
        if text.is_some_and(|text| text.chars().count() > 40) {
            found.push(format!(
                "{name} must be shorter than or equal to 40 characters"
            ));
        }
    }
    let scripts = ["assistant", "squad", "workflow"];
    let given = |name: &&str| {
        request
            .get(name)
            .or(request.get(format!("{name}Id")))
            .is_some()
    };
    if scripts.iter().filter(|name| given(name)).count() != 1 {
        found.push("one of assistantId, squadId and workflowId must be given".to_owned());
    }
    if request
        .get("phoneNumberId")
        .or(request.get("phoneNumber"))
        .is_none()
    {
        found.push("phoneNumberId must be a UUID".to_owned());
    }
    for (pointer, least, most) in [
        ("/assistantOverrides/maxDurationSeconds", 10.0, 43_200.0),
        ("/squadOverrides/maxDurationSeconds", 10.0, 43_200.0),
        (
            "/assistantOverrides/transportConfigurations/0/timeout",
            1.0,
            600.0,
        ),
        ("/transport/dialTimeout", 1.0, 600.0),
    ] {
        let name = pointer.trim_start_matches('/').replace('/', ".");
        let given = at(request, pointer).as_f64();
        if given.is_some_and(|given| given < least) {
            found.push(format!("{name} must not be less than {least}"));
        }
        if given.is_some_and(|given| given > most) {
            found.push(format!("{name} must not be greater than {most}"));
        }
    }
    found
}

/// The settings of this call for its assistant, or for all members of its squad.
fn overrides(request: &Value) -> &Value {
    let of_squad = at(request, "/squadOverrides");
    if of_squad.is_null() {
        at(request, "/assistantOverrides")
    } else {
        of_squad
    }
}

fn request(call: &Call) -> &Value {
    at(&call.echo, "/request")
}

/// The call object, without what is made after the end.
fn object(call: &Call, phase: Phase) -> Map<String, Value> {
    let url = |scheme: &str, last: &str| {
        let origin = text(&call.echo, "/origin").unwrap_or_default();
        let origin = origin.replacen("http", scheme, 1);
        format!("{origin}/{}/{last}", call.id)
    };
    let updated = match phase {
        Phase::Queued | Phase::Ringing => call.placed_at,
        Phase::InProgress(since) => since,
        Phase::Over(end) => end.at,
    };
    let mut object = fields(request(call), "");
    let provider = text(request(call), "/transport/provider");
    let provider = provider.unwrap_or_else(|| "twilio".to_owned());
    object.extend(fields(
        &json!({
            "id": call.id, "orgId": ORGANIZATION, "type": "outboundPhoneCall", "cost": 0,
            "createdAt": clock::rfc3339(call.placed_at), "updatedAt": clock::rfc3339(updated),
            "status": status(phase),
            "phoneCallProvider": if provider == "twilio" { "twilio" } else { "vapi" },
            "transport": {"conversationType": "voice", "provider": provider, "accountSid": carrier("AC", ORGANIZATION)},
            "monitor": {"listenUrl": url("ws", "listen"), "controlUrl": url("http", "control")},
        }),
        "",
    ));
    if let Phase::Over(end) = phase {
        object.extend(ended(&end));
        if end.talked.is_some() {
            object.insert(
                "phoneCallProviderId".to_owned(),
                json!(carrier("CA", &call.id)),
            );
        }
    }
    object
}

/// An id of the carrier, made of one of ours.
fn carrier(kind: &str, id: &str) -> String {
    format!("{kind}{}", id.replace('-', ""))
}

const fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Ringing => "ringing",
        Phase::InProgress(_) => "in-progress",
        Phase::Over(_) => "ended",
    }
}

/// Why it ended, and if somebody answered from when to when.
fn ended(end: &End) -> Map<String, Value> {
    let mut ended = fields(&json!({"endedReason": reason(end)}), "");
    if let Some(talked) = end.talked {
        let talked = i64::try_from(talked.as_millis()).unwrap_or(i64::MAX);
        let started = end.at.saturating_sub(talked);
        ended.insert("startedAt".to_owned(), json!(clock::rfc3339(started)));
        ended.insert("endedAt".to_owned(), json!(clock::rfc3339(end.at)));
    }
    ended
}

const fn reason(end: &End) -> &'static str {
    match end.ending {
        Ending::Completed => "customer-ended-call",
        Ending::Fault => "pipeline-error-openai-llm-failed",
        Ending::Voicemail => "voicemail",
        // Twilio says the same of a call that is declined.
        Ending::Busy | Ending::Declined => "customer-busy",
        Ending::NoAnswer => "customer-did-not-answer",
        Ending::Failed => "twilio-failed-to-connect-call",
        Ending::Canceled => "manually-canceled",
        Ending::InvalidNumber => "twilio-reported-customer-misdialed",
        Ending::Blocked => "call.start.error-vapi-number-international",
        Ending::Capacity => "call.start.error-subscription-concurrency-limit-reached",
        Ending::Account => "call.start.error-subscription-insufficient-credits",
    }
}

/// What is made after the end: costs, an analysis, and artifacts.
fn results(call: &Call) -> Map<String, Value> {
    let Phase::Over(End {
        talked: Some(talked),
        at,
        ..
    }) = call.phase()
    else {
        let artifact = json!({"transcript": "", "messages": []});
        return fields(
            &json!({"cost": 0, "analysis": {}, "artifact": artifact}),
            "",
        );
    };
    let cost = (talked.as_secs_f64() / 60.0 * PRICE_PER_MINUTE * 1e4).ceil() / 1e4;
    let recording = |kind: &str| format!("https://storage.vapi.invalid/{}-{kind}.wav", call.id);
    let started = call.answered_at().unwrap_or(at);
    let expires = clock::rfc3339(at.saturating_add(3_600_000));
    fields(
        &json!({
            "cost": cost,
            "costBreakdown": {"transport": 0, "stt": 0, "llm": 0, "tts": 0, "vapi": cost, "total": cost},
            "analysis": {"summary": "They spoke.", "successEvaluation": "true"},
            "artifact": {
                "transcript": "AI: Hello\nUser: Hi\n",
                "recordingUrl": recording("mono"), "stereoRecordingUrl": recording("stereo"),
                "recording": {"stereoUrl": recording("stereo"), "mono": {"combinedUrl": recording("mono")}},
                "presignedMonoUrl": presigned(), "presignedUrlsExpiresAt": expires,
                "messages": [{
                    "role": "bot", "message": "Hello", "time": started, "endTime": at, "secondsFromStart": 0,
                }],
            },
        }),
        "",
    )
}

/// A URL that leads to a recording for an hour.
fn presigned() -> String {
    format!(
        "https://storage.vapi.invalid/presigned/{}",
        Uuid::new_v4().simple()
    )
}

/// The call object of a look-up.
fn whole(call: &Call) -> Map<String, Value> {
    let mut whole = object(call, call.phase());
    if call.is_over() {
        whole.extend(results(call));
    }
    whole
}

async fn show(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Map<String, Value>>, Refused> {
    admit(&keys, &headers)?;
    let call = desk.find(&id);
    Ok(Json(whole(
        &*call.ok_or_else(|| Refused::unknown("Call", &id))?,
    )))
}

/// Erases what is known of a call. It does not end it.
async fn erase(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Map<String, Value>>, Refused> {
    let erased = show(
        State(desk.clone()),
        Extension(keys),
        headers,
        Path(id.clone()),
    )
    .await?;
    desk.calls.forget(&id);
    Ok(erased)
}

/// The newest calls first. A page that is full says nothing of what was left out.
async fn list(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Query(filters): Query<HashMap<String, String>>,
) -> Result<Json<Vec<Map<String, Value>>>, Refused> {
    admit(&keys, &headers)?;
    let mut times = Vec::new();
    for (name, value) in &filters {
        if let Some(comparison) = name.strip_prefix("createdAt") {
            let time = DateTime::parse_from_rfc3339(value).map_err(|_bad| {
                let message = format!("{name} must be a valid ISO 8601 date string");
                Refused::new(StatusCode::BAD_REQUEST, vec![message])
            })?;
            times.push((comparison, time.timestamp_millis()));
        }
    }
    let limit = filters
        .get("limit")
        .map_or(Ok(PAGE.0), |limit| limit.parse());
    let limit = limit.ok().filter(|limit| *limit <= PAGE.1).ok_or_else(|| {
        let message = vec![format!("limit must not be greater than {}", PAGE.1)];
        Refused::new(StatusCode::BAD_REQUEST, message)
    })?;
    let is = |name: &str, value: Option<&str>| {
        filters
            .get(name)
            .is_none_or(|wanted| value == Some(wanted.as_str()))
    };
    let found = desk.select(|call| {
        is("id", Some(call.id.as_str()))
            && is("assistantId", at(request(call), "/assistantId").as_str())
            && is("phoneNumberId", call.from.as_deref())
            && times.iter().all(|(comparison, time)| match *comparison {
                "Gt" => call.placed_at > *time,
                "Ge" => call.placed_at >= *time,
                "Lt" => call.placed_at < *time,
                "Le" => call.placed_at <= *time,
                _ => call.placed_at == *time,
            })
    });
    let page = found.iter().rev().take(limit);
    Ok(Json(page.map(|call| whole(call)).collect()))
}

/// Leads to the file, of which a call's own URLs are only the name.
async fn recording(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    admit(&keys, &headers)?;
    let talked = desk
        .find(&id)
        .filter(|call| call.is_over() && call.answered_at().is_some());
    talked.ok_or_else(|| Refused::unknown("Recording", &id))?;
    Ok((StatusCode::FOUND, [(header::LOCATION, presigned())]).into_response())
}

/// Commands for a call, at a URL of its own. Only while somebody is on the line is there who hears them.
async fn control(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let command = read(&body)?;
    let call = desk.calls.find(&id);
    let live = call.filter(|call| matches!(call.phase(), Phase::InProgress(_)));
    let live = live.ok_or_else(|| Refused::unknown("Live Call", &id))?;
    if at(&command, "/type") == "end-call" {
        live.hang_up.cancel();
    }
    Ok(Json(json!({})))
}

/// Every number is the organization's own.
async fn phone_number(
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let mut number = thing(&id);
    number.extend(fields(
        &json!({"provider": "twilio", "status": "active"}),
        "",
    ));
    Ok(Json(number.into()))
}

/// An assistant, a squad or a workflow.
async fn script(
    State(desk): State<Desk>,
    Extension(keys): Extension<Keys>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    admit(&keys, &headers)?;
    let (kind, more) = match uri.path().split('/').nth(1) {
        Some("squad") => ("Squad", json!({"members": []})),
        Some("workflow") => ("Workflow", json!({"nodes": [], "edges": []})),
        _ => ("Assistant", json!({})),
    };
    if !desk.calls.has_script(&id) {
        return Err(Refused::unknown(kind, &id));
    }
    let mut script = thing(&id);
    script.insert("name".to_owned(), json!("Fake"));
    script.extend(fields(&more, ""));
    Ok(Json(script.into()))
}

/// What everything that an organization has consists of.
fn thing(id: &str) -> Map<String, Value> {
    let made = clock::rfc3339(0);
    let thing = json!({"id": id, "orgId": ORGANIZATION, "createdAt": made, "updatedAt": made});
    fields(&thing, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_sent_again_as_the_request_says() {
        let seconds =
            |plan: Value| -> Vec<u64> { pauses(&plan).iter().map(Duration::as_secs).collect() };
        let exponential = json!({"type": "exponential", "maxRetries": 4, "baseDelaySeconds": 2});
        assert_eq!(seconds(exponential), [2, 4, 8, 16]);
        let fixed = json!({"type": "fixed", "maxRetries": 2, "baseDelaySeconds": 3});
        assert_eq!(seconds(fixed), [3, 3]);
        assert!(pauses(&Value::Null).is_empty());
    }
}
