//! Twilio Programmable Voice: <https://www.twilio.com/docs/voice/api/call-resource>.
//!
//! The TwiML is not fetched: what a call says changes nothing about when it rings and how it ends. Machine
//! detection has its result in the call and in the last callback, never in a callback of its own.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, NaiveDate};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{Uri, http::request::Builder};
use serde_json::{Value, json};
use sha1::Sha1;
use uuid::Uuid;

use super::{
    desk::{Cut, Desk, Paths, Placed, coded, is_e164, reference_in},
    form::Form,
    json::{at, number, text},
};
use crate::{
    calls::{Call, End, OnMachine, Order, Phase},
    clock,
    dialect::{Dialect, Keys, Moment, Webhook},
    rules::{Ending, Refusal},
};

/// Calls on one page of a list, by default and at most.
const PAGE: (usize, usize) = (50, 1000);
/// Ringing and talking in seconds, unless the request says otherwise.
const RING: u64 = 60;
const TALK: u64 = 14_400;
/// A price follows the end of its call after this time. At Twilio it takes minutes.
const PRICED_AFTER_MS: i64 = 1000;
const PRICE_OF_MINUTE: f64 = 0.014;
/// How often a callback that fails is sent again, unless its URL says otherwise, and at most; and when.
const RETRIES: (usize, usize) = (1, 5);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a callback can be asked for.
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
const DAY_MS: i64 = 86_400_000;

/// A Twilio account. Its key is the Auth Token, or an API key as `SK...:secret`; callbacks are signed with the
/// Auth Token in either case.
#[derive(Debug)]
pub(super) struct Twilio(Keys);

impl Twilio {
    pub(super) const fn new(keys: Keys) -> Self {
        Self(keys)
    }
}

impl Paths for Twilio {
    fn router(&self) -> Router<Desk> {
        let account = |path: &str| format!("/2010-04-01/Accounts/{{account}}{path}");
        Router::new()
            .route(&account(""), get(show_account))
            .route(&account("/Balance.json"), get(balance))
            .route(&account("/Calls.json"), get(list).post(place))
            .route(
                &account("/Calls/{id}"),
                get(show).post(update).delete(forget),
            )
            .route(&account("/IncomingPhoneNumbers.json"), get(numbers))
            .route(&account("/OutgoingCallerIds.json"), get(caller_ids))
            .route_layer(middleware::from_fn(admit))
            .layer(Extension(self.0.clone()))
    }
}

impl Dialect for Twilio {
    fn is_answered(&self, ending: Ending) -> bool {
        ending.is_answered() || ending == Ending::Voicemail
    }

    fn call_id(&self) -> String {
        format!("CA{}", Uuid::new_v4().simple())
    }

    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook> {
        let events: &[&str] = match moment {
            Moment::Queued | Moment::Analyzed => &[],
            Moment::Ringing => &["initiated", "ringing"],
            Moment::Answered => &["answered"],
            Moment::Over if matches!(call.phase(), Phase::Over(end) if !end.ending.rings()) => {
                &["initiated", "completed"]
            }
            Moment::Over => &["completed"],
            Moment::Unheard => return vec![callback(call, "paused", false)],
            Moment::Garbled => return vec![callback(call, "completed", false).broken_off()],
        };
        let wanted = events.iter().filter(|event| wants(call, event));
        wanted
            .map(|event| callback(call, event, *event == "completed"))
            .collect()
    }

    fn sign(&self, request: Builder, url: &Uri, webhook: &Webhook, _unix_ms: i64) -> Builder {
        // A MAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha1>::new_from_slice(self.0.secret().as_bytes()) else {
            return request;
        };
        let form = Form::read(&webhook.body);
        let mut fields: Vec<_> = form.fields().collect();
        fields.sort_unstable();
        fields.dedup();
        let mut mac = mac.chain_update(url.to_string());
        for (name, value) in fields {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        request
            .header(
                "x-twilio-signature",
                BASE64.encode(mac.finalize().into_bytes()),
            )
            .header("i-twilio-idempotency-token", &webhook.event_id)
    }
}

/// An error in Twilio's shape.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    code: u32,
    message: String,
    retry_after: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, code: u32, message: &str) -> Self {
        Self {
            status,
            code,
            message: message.to_owned(),
            retry_after: None,
        }
    }

    fn of_request(code: u32, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn unknown() -> Self {
        let message = "The requested resource was not found";
        Self::new(StatusCode::NOT_FOUND, 20_404, message)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        let (code, words) = coded(&refusal.words);
        let usual = match refusal.status {
            400 => 21_200,
            401 => 20_003,
            status => 20_000 + u32::from(status),
        };
        Self {
            retry_after: refusal.retry_after,
            ..Self::new(status, code.unwrap_or(usual), words)
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code) = (self.status, self.code);
        let body = Json(json!({
            "code": code, "message": self.message, "status": status.as_u16(),
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        }));
        match self.retry_after {
            Some(after) => (status, [(header::RETRY_AFTER, after)], body).into_response(),
            None => (status, body).into_response(),
        }
    }
}

/// User and password of basic authentication.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = BASE64.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn unauthorized() -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, 20_003, "Authenticate")
}

/// Lets in the account itself with its Auth Token, and an API key.
async fn admit(
    Extension(keys): Extension<Keys>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let account = request.uri().path().split('/').nth(3).unwrap_or_default();
    let account = account.trim_end_matches(".json");
    let given = basic(request.headers()).and_then(|(user, password)| {
        if user != account {
            return Some(format!("{user}:{password}"));
        }
        // An API key is a user of its own.
        Some(password).filter(|token| !token.contains(':'))
    });
    if keys.admit(given.as_deref()) {
        Ok(next.run(request).await)
    } else {
        Err(unauthorized())
    }
}

async fn place(
    State(desk): State<Desk>,
    Extension(cut): Extension<Cut>,
    Path(account): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let order = order(&account, &Form::read(&body))?;
    match desk.place(order, None, &body, &cut).await {
        Placed::Accepted { call, .. } => {
            let created = object(&call, Phase::Queued);
            Ok((StatusCode::CREATED, Json(created)).into_response())
        }
        // Without a key none is reused.
        Placed::Full | Placed::KeyReused => Err(Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            10_004,
            "Call concurrency limit exceeded",
        )),
        Placed::Refused(refusal) => Err(refusal.into()),
    }
}

fn order(account: &str, form: &Form) -> Result<Order, Refused> {
    let refused = |code, message| Refused::of_request(code, message);
    let to = form.get("To");
    let to = to.ok_or_else(|| refused(21_201, "No 'To' number is specified"))?;
    if !is_e164(to) {
        return Err(refused(21_211, "The 'To' number is not a valid number."));
    }
    let from = form.get("From");
    let from = from.ok_or_else(|| refused(21_213, "No 'From' number is specified"))?;
    if !is_e164(from) {
        return Err(refused(21_212, "The 'From' number is not a valid number."));
    }
    let application = form.get("ApplicationSid");
    let script = application.or(form.get("Url")).or(form.get("Twiml"));
    let script = script.ok_or_else(|| refused(21_205, "Url parameter is required."))?;
    let events = form.all("StatusCallbackEvent");
    // A list in one field is TwiML's way, and not accepted here.
    if events.iter().any(|event| !EVENTS.contains(event)) {
        return Err(refused(21_626, "Invalid StatusCallbackEvent"));
    }
    let events = if events.is_empty() {
        vec!["completed"]
    } else {
        events
    };
    // The callback of an application takes the place of that in the request.
    let callback = form.get("StatusCallback").filter(|_| application.is_none());
    // In the fragment, which is neither sent nor signed.
    let (_, overrides) = callback.and_then(|url| url.split_once('#')).unzip();
    let overrides = Form::read(overrides.unwrap_or_default().as_bytes());
    let retries = overrides.get("rc").and_then(|count| count.parse().ok());
    let seconds = |name, default| {
        let seconds = form.get(name).and_then(|value| value.parse().ok());
        Some(seconds.unwrap_or(default))
    };
    let query = script.split_once('?').map_or("", |(_, query)| query);
    let metadata = Form::read(query.as_bytes());
    Ok(Order {
        to: to.to_owned(),
        from: Some(from.to_owned()),
        script: Some(script.to_owned()),
        metadata: metadata
            .fields()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect(),
        webhook_url: callback.and_then(|url| url.parse().ok()),
        reference: callback.and_then(reference_in),
        max_duration_sec: seconds("TimeLimit", TALK),
        ring_timeout_sec: seconds("Timeout", RING),
        // It is detected and reported; the script acts on it.
        on_machine: OnMachine::Ignore,
        echo: json!({
            "account": account, "events": events, "detects_machines": form.get("MachineDetection").is_some(),
            "records": form.get("Record") == Some("true"), "retries": retries.unwrap_or(RETRIES.0).min(RETRIES.1),
        }),
    })
}

fn account_of(call: &Call) -> String {
    text(&call.echo, "/account").unwrap_or_default()
}

fn wants(call: &Call, event: &str) -> bool {
    let events = at(&call.echo, "/events").as_array();
    events.is_some_and(|all| all.contains(&json!(event)))
}

/// Who answered, if the call was to find out.
fn answered_by(call: &Call) -> Option<&'static str> {
    call.answered_at()?;
    let asked = at(&call.echo, "/detects_machines") == &Value::Bool(true);
    asked.then_some(if call.ending == Ending::Voicemail {
        "machine_start"
    } else {
        "human"
    })
}

/// Status of a call that is over, and the SIP code that it ended with.
const fn ended(end: &End) -> (&'static str, Option<&'static str>) {
    match end.ending {
        // Also where the script failed: only Twilio's debugger says so.
        Ending::Completed | Ending::Fault | Ending::Voicemail => ("completed", Some("200")),
        Ending::Busy => ("busy", Some("486")),
        Ending::NoAnswer => ("no-answer", Some("487")),
        Ending::Declined => ("busy", Some("603")),
        Ending::Failed => ("failed", Some("480")),
        Ending::Canceled => ("canceled", None),
        Ending::InvalidNumber => ("failed", Some("404")),
        Ending::Blocked => ("failed", Some("403")),
        Ending::Capacity => ("failed", Some("503")),
        Ending::Account => ("failed", Some("402")),
    }
}

const fn status(phase: &Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Ringing => "ringing",
        Phase::InProgress(_) => "in-progress",
        Phase::Over(end) => ended(end).0,
    }
}

/// Seconds of conversation, rounded up.
fn seconds(end: &End) -> u64 {
    let millis = end.talked.unwrap_or_default().as_millis();
    u64::try_from(millis.div_ceil(1000)).unwrap_or(u64::MAX)
}

fn has_happened(call: &Call, event: &str) -> bool {
    let was_dialed = dialed_at(call, &call.phase()).is_some();
    match event {
        "ringing" => was_dialed && call.ending.rings(),
        "answered" => call.answered_at().is_some(),
        _ => was_dialed,
    }
}

fn callback(call: &Call, event: &str, is_last: bool) -> Webhook {
    let (status, moment) = match event {
        "answered" => ("in-progress", call.answered_at()),
        "completed" => (status(&call.phase()), None),
        other => (other, None),
    };
    let before = EVENTS.iter().take_while(|one| **one != event);
    let told = before.filter(|one| wants(call, one) && has_happened(call, one));
    let mut form = Form::default();
    form.put("ApiVersion", "2010-04-01");
    form.put("Called", &call.number);
    form.put("CallStatus", status);
    form.put("From", call.from.as_deref().unwrap_or_default());
    form.put("Direction", "outbound-api");
    form.put("Timestamp", rfc2822(moment.unwrap_or_else(clock::unix_ms)));
    form.put("AccountSid", account_of(call));
    form.put("CallbackSource", "call-progress-events");
    form.put("Caller", call.from.as_deref().unwrap_or_default());
    form.put("SequenceNumber", told.count().to_string());
    form.put("CallSid", &call.id);
    form.put("To", &call.number);
    if let ("completed", Phase::Over(end)) = (event, call.phase()) {
        let seconds = seconds(&end);
        form.put("Duration", seconds.div_ceil(60).to_string());
        form.put("CallDuration", seconds.to_string());
        if let (_, Some(code)) = ended(&end) {
            form.put("SipResponseCode", code);
        }
        if let Some(who) = answered_by(call) {
            form.put("AnsweredBy", who);
        }
        if end.talked.is_some() && at(&call.echo, "/records") == &Value::Bool(true) {
            let account = account_of(call);
            let recording = call.id.replacen("CA", "RE", 1);
            let url = format!("https://recordings.invalid/Accounts/{account}/{recording}");
            form.put("RecordingUrl", url);
            form.put("RecordingSid", recording);
            form.put("RecordingDuration", seconds.to_string());
        }
    }
    let retries = number(&call.echo, "/retries").and_then(|count| usize::try_from(count).ok());
    Webhook {
        pauses: retries.map(|count| vec![RETRY_AFTER; count]),
        ..Webhook::form(Uuid::new_v4().to_string(), &form, is_last)
    }
}

fn rfc2822(unix_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// When it left the queue.
fn dialed_at(call: &Call, phase: &Phase) -> Option<i64> {
    let queued = call.plan.queued.unwrap_or_default().as_millis();
    let queued = i64::try_from(queued).unwrap_or(i64::MAX);
    let at = call.placed_at.saturating_add(queued);
    match phase {
        Phase::Queued => None,
        Phase::Over(end) if end.at < at => None,
        _ => Some(at),
    }
}

const fn end_of(phase: &Phase) -> Option<End> {
    match phase {
        Phase::Over(end) => Some(*end),
        _ => None,
    }
}

/// The call resource, as it is in this phase.
fn object(call: &Call, phase: Phase) -> Value {
    let dialed_at = dialed_at(call, &phase);
    let end = end_of(&phase).filter(|_| dialed_at.is_some());
    let is_priced = |end: &End| {
        end.talked.is_some() && clock::unix_ms() >= end.at.saturating_add(PRICED_AFTER_MS)
    };
    let price = end.filter(is_priced).map(|end| {
        let minutes = u32::try_from(seconds(&end).div_ceil(60)).unwrap_or(u32::MAX);
        format!("-{:.5}", f64::from(minutes) * PRICE_OF_MINUTE)
    });
    let queued_ms = call.plan.queued.unwrap_or_default().as_millis();
    let account = account_of(call);
    json!({
        "sid": call.id, "account_sid": account, "parent_call_sid": null, "direction": "outbound-api",
        "to": call.number, "from": call.from, "status": status(&phase), "answered_by": answered_by(call),
        "date_created": dialed_at.map(|_| rfc2822(call.placed_at)),
        "start_time": dialed_at.map(rfc2822), "end_time": end.map(|end| rfc2822(end.at)),
        "duration": end.map(|end| seconds(&end).to_string()),
        "price": price, "price_unit": "USD", "queue_time": queued_ms.to_string(),
        "uri": format!("/2010-04-01/Accounts/{account}/Calls/{}.json", call.id),
    })
}

/// The id in the last segment of a path.
fn id_of(segment: &str) -> Result<&str, Refused> {
    segment.strip_suffix(".json").ok_or_else(Refused::unknown)
}

async fn show(
    State(desk): State<Desk>,
    Path((_account, segment)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let call = desk.find(id_of(&segment)?);
    let call = call.ok_or_else(Refused::unknown)?;
    Ok(Json(object(&call, call.phase())))
}

/// Ends a call. `canceled` spares one that was answered.
async fn update(
    State(desk): State<Desk>,
    Path((_account, segment)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let call = desk.calls.find(id_of(&segment)?);
    let call = call.ok_or_else(Refused::unknown)?;
    let phase = match (Form::read(&body).get("Status"), call.phase()) {
        (_, Phase::Over(_)) => {
            let message = "Call is not in-progress. Cannot redirect.";
            return Err(Refused::of_request(21_220, message));
        }
        (Some("canceled"), phase @ Phase::InProgress(_)) => phase,
        (Some("completed" | "canceled"), phase) => {
            call.hang_up.cancel();
            Phase::Over(End::by(match phase {
                Phase::InProgress(_) => Ending::Completed,
                _ => Ending::Canceled,
            }))
        }
        _ => return Err(Refused::of_request(21_200, "Status is invalid")),
    };
    Ok(Json(object(&call, phase)))
}

/// Deletes the record at Twilio, and never ends the call. Here it does nothing.
async fn forget() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// First and last millisecond of what a parameter names: a day, or a second.
fn span(text: &str) -> Option<(i64, i64)> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        let from = time.timestamp_millis();
        return Some((from, from + 999));
    }
    let day: NaiveDate = text.parse().ok()?;
    let from = day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis();
    Some((from, from + DAY_MS - 1))
}

/// Whether a time is within `NAME`, `NAME>` and `NAME<`, as far as the query has them.
fn is_within(query: &Form, name: &str, time: Option<i64>) -> bool {
    ["", ">", "<"].into_iter().all(|sign| {
        let limit = query.get(&format!("{name}{sign}")).and_then(span);
        let Some((from, to)) = limit else { return true };
        time.is_some_and(|time| (sign == "<" || time >= from) && (sign == ">" || time <= to))
    })
}

/// The newest first. Parameters that Twilio does not know are ignored, and do not narrow the list.
async fn list(
    State(desk): State<Desk>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
) -> Json<Value> {
    let query = Form::read(query.unwrap_or_default().as_bytes());
    let is = |name, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let mut found = desk.select(|call| {
        let phase = call.phase();
        account_of(call) == account
            && is("To", &call.number)
            && is("From", call.from.as_deref().unwrap_or_default())
            && is("Status", status(&phase))
            && is_within(&query, "StartTime", dialed_at(call, &phase))
            && is_within(&query, "EndTime", end_of(&phase).map(|end| end.at))
    });
    found.reverse();
    // The token names the last call of the page before, so calls that were added since shift nothing.
    let after = query
        .get("PageToken")
        .and_then(|token| token.strip_prefix("PA"));
    let skip = after
        .and_then(|id| found.iter().position(|call| call.id == id))
        .map_or(0, |at| at + 1);
    let size = query.get("PageSize").and_then(|size| size.parse().ok());
    let size = size.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let number = query.get("Page").and_then(|page| page.parse().ok());
    let number: usize = number.unwrap_or(0);
    let page: Vec<_> = found.iter().skip(skip).take(size).collect();
    let path = format!("/2010-04-01/Accounts/{account}/Calls.json");
    let next = page.last().filter(|_| skip + page.len() < found.len());
    let next = next.map(|last| {
        let mut query = query.clone().without(&["Page", "PageSize", "PageToken"]);
        query.put("PageSize", size.to_string());
        query.put("Page", (number + 1).to_string());
        query.put("PageToken", format!("PA{}", last.id));
        format!("{path}?{}", query.encoded())
    });
    let calls: Vec<_> = page.iter().map(|call| object(call, call.phase())).collect();
    Json(json!({
        "calls": calls, "page": number, "page_size": size, "start": skip, "end": skip + calls.len(),
        "uri": format!("{path}?{}", query.encoded()), "first_page_uri": format!("{path}?PageSize={size}&Page=0"),
        "previous_page_uri": null, "next_page_uri": next,
    }))
}

/// The account, for its Auth Token alone.
async fn show_account(
    headers: HeaderMap,
    Path(segment): Path<String>,
) -> Result<Json<Value>, Refused> {
    let account = id_of(&segment)?;
    if basic(&headers).is_some_and(|(user, _)| user != account) {
        return Err(unauthorized());
    }
    Ok(Json(json!({
        "sid": account, "friendly_name": "Fake", "status": "active", "type": "Full", "owner_account_sid": account,
    })))
}

async fn balance(Path(account): Path<String>) -> Json<Value> {
    Json(json!({"account_sid": account, "balance": "12.50", "currency": "USD"}))
}

/// Every number is the account's own.
async fn numbers(RawQuery(query): RawQuery) -> Json<Value> {
    let query = Form::read(query.unwrap_or_default().as_bytes());
    let numbers: Vec<_> = query
        .get("PhoneNumber")
        .map(|number| {
            json!({
                "sid": "PN00000000000000000000000000000001", "phone_number": number, "friendly_name": number,
                "capabilities": {"voice": true, "sms": false, "mms": false, "fax": false},
            })
        })
        .into_iter()
        .collect();
    Json(json!({"incoming_phone_numbers": numbers, "page": 0, "next_page_uri": null}))
}

/// And so none is verified beside them.
async fn caller_ids() -> Json<Value> {
    Json(json!({"outgoing_caller_ids": [], "page": 0, "next_page_uri": null}))
}
