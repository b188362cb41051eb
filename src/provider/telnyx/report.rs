//! Telnyx's reports: webhooks, and the call and its events of a look-up.
//!
//! A webhook stands alone: the one of the end does not say whether the call had been answered. A look-up has
//! all events.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    domain::{Facts, Outcome, Reference, Report, ReportKind},
    provider::{
        platform::{only, seconds, sip_outcome, take, text},
        protocol::{self, instant},
    },
};

/// Fields of an event's payload kept in the result beside the facts.
const KEPT: [&str; 9] = [
    "billed_duration_secs",
    "call_leg_id",
    "call_quality_stats",
    "call_session_id",
    "cost_parts",
    "hangup_cause",
    "hangup_source",
    "result",
    "sip_hangup_cause",
];

/// Client state that Telnyx carries: `{"ref": "<reference>"}` in base64.
pub(super) fn client_state(dial: Reference) -> String {
    BASE64.encode(json!({ "ref": dial.to_string() }).to_string())
}

/// Reference in the client state. A script may have replaced it with its own state.
fn reference(payload: &Value) -> Option<String> {
    let state = BASE64.decode(text(payload, "/client_state")?).ok()?;
    let state: Value = serde_json::from_slice(&state).ok()?;
    let dial: Reference = text(&state, "/ref")?.parse().ok()?;
    Some(dial.to_string())
}

/// Reads a webhook: `{"data": {"event_type": "call.hangup", "id": "...", "payload": {...}}}`.
pub(super) fn of_webhook(body: &[u8]) -> Report {
    let mut event = take(&mut protocol::parse(body).unwrap_or_default(), "data");
    let Some(kind) = text(&event, "/event_type") else {
        return Report::new(ReportKind::Unparsable);
    };
    let at = event.get("occurred_at").and_then(instant);
    let payload = take(&mut event, "payload");
    Report {
        event_id: protocol::name(event.get("id").cloned()),
        ..read(&kind, at, payload)
    }
}

/// Reads a call of the list of active calls, if it belongs to this dial.
pub(super) fn of_active(call: &Value, dial: Reference) -> Option<Report> {
    let reference = reference(call).filter(|reference| *reference == dial.to_string())?;
    Some(Report {
        provider_call_id: protocol::name(call.get("call_control_id").cloned()),
        reference: Some(reference),
        ..Report::new(ReportKind::Progress)
    })
}

/// Reads a call and the events of its leg. None if it is over and nothing says how it ended.
pub(super) fn of_call(call: &Value, events: &[Value]) -> Option<Report> {
    let heard = Heard::of(events);
    let is_alive = call.get("is_alive").and_then(Value::as_bool) == Some(true);
    let is_over = !is_alive && text(call, "/end_time").is_some();
    let report = match heard.end {
        Some(end) if !is_alive && !heard.answered => end,
        Some(end) if !is_alive => Report {
            outcome: Some(heard.talk),
            result: with_duration(end.result, heard.seconds),
            ..end
        },
        _ if is_over && heard.answered => Report::ended(heard.talk),
        _ if is_over => return None,
        _ if heard.answered => Report::new(ReportKind::Answered),
        // Not up yet, or ringing.
        _ => Report::new(ReportKind::Progress),
    };
    Some(Report {
        answered: report.answered || heard.answered,
        answered_at: heard.answered_at,
        provider_call_id: protocol::name(call.get("call_control_id").cloned()),
        reference: reference(call),
        ..report
    })
}

fn with_duration(mut result: Value, seconds: Option<f64>) -> Value {
    if let (Value::Object(fields), Some(seconds)) = (&mut result, seconds) {
        fields.insert("durationSec".to_owned(), seconds.into());
    }
    result
}

/// What the events of a leg say together; their order in a list is undefined.
struct Heard {
    answered: bool,
    answered_at: Option<DateTime<Utc>>,
    /// Outcome if it was answered: by a machine or not.
    talk: Outcome,
    end: Option<Report>,
    /// From answer to end, in seconds.
    seconds: Option<f64>,
}

impl Heard {
    fn of(events: &[Value]) -> Self {
        let mut heard = Self {
            answered: false,
            answered_at: None,
            talk: Outcome::Answered,
            end: None,
            seconds: None,
        };
        let mut ended_at = None;
        let is_told = |event: &&Value| text(event, "/type").as_deref() != Some("command");
        let mut told: Vec<_> = events.iter().filter(is_told).filter_map(of_event).collect();
        told.sort_by_key(|(at, _)| *at);
        for (at, report) in told {
            if report.kind == ReportKind::Answered {
                heard.answered = true;
                heard.answered_at = heard.answered_at.or(report.answered_at);
                // The latest counts: after a call screening, a person may have come to the telephone.
                match report.result.get("answeredBy").and_then(Value::as_str) {
                    Some("machine" | "fax") => heard.talk = Outcome::Voicemail,
                    Some("human") => heard.talk = Outcome::Answered,
                    _ => {}
                }
            } else if report.kind == ReportKind::Ended {
                ended_at = at;
                heard.end = Some(report);
            }
        }
        let both = ended_at.zip(heard.answered_at);
        heard.seconds = both.map(|(end, answer)| seconds(end - answer));
        heard
    }
}

/// An event of the list and its time. How deep the raw event lies in the metadata is undocumented.
fn of_event(event: &Value) -> Option<(Option<DateTime<Utc>>, Report)> {
    let kind = text(event, "/name")?;
    let raw = event.get("metadata").unwrap_or(&Value::Null);
    let mut places = ["/data/payload", "/payload", ""].into_iter();
    let payload = places.find_map(|place| raw.pointer(place)).cloned();
    let at = event
        .get("event_timestamp")
        .or_else(|| raw.get("occurred_at"));
    let at = at.and_then(instant);
    Some((at, read(&kind, at, payload.unwrap_or_default())))
}

fn read(event: &str, at: Option<DateTime<Utc>>, payload: Value) -> Report {
    let report = match kind(event) {
        ReportKind::Ended => Report::ended(outcome(&payload)),
        kind => Report::new(kind),
    };
    let cause = text(&payload, "/hangup_cause");
    let cost = text(&payload, "/total_cost").and_then(|cost| cost.parse::<f64>().ok());
    let cost = cost.filter(|cost| cost.is_finite());
    let facts = Facts {
        cost,
        answered_by: answered_by(event, &payload),
        ended_reason: cause.clone().filter(|_| report.kind == ReportKind::Ended),
        recording_url: recording(&payload),
        ..Facts::default()
    };
    let currency = text(&payload, "/cost_parts/0/currency").filter(|_| cost.is_some());
    let provider_call_id = protocol::name(payload.get("call_control_id").cloned());
    let reference = reference(&payload);
    let mut kept = only(payload, &KEPT);
    if let Some(currency) = currency {
        kept.insert("costCurrency".to_owned(), currency.into());
    }
    Report {
        answered_at: at.filter(|_| event == "call.answered"),
        provider_call_id,
        reference,
        status: protocol::name(Some(cause.unwrap_or_else(|| event.to_owned()).into())),
        result: protocol::result(&facts, kept),
        ..report
    }
}

/// An unknown event moves no call. Neither does the cost, which follows the end and is added to its result.
fn kind(event: &str) -> ReportKind {
    const OF_A_TALK: [&str; 4] = [
        "call.speak.",
        "call.playback.",
        "call.gather.",
        "streaming.",
    ];
    match event {
        "call.initiated" | "call.ringing" | "call.bridged" => ReportKind::Progress,
        "call.answered" => ReportKind::Answered,
        // Only answered calls are checked for a machine.
        event if event.starts_with("call.machine.") => ReportKind::Answered,
        "call.hangup" => ReportKind::Ended,
        event if OF_A_TALK.iter().any(|prefix| event.starts_with(prefix)) => ReportKind::Progress,
        _ => ReportKind::Unknown,
    }
}

fn answered_by(event: &str, payload: &Value) -> Option<String> {
    if !event.starts_with("call.machine.") {
        return None;
    }
    let result = text(payload, "/result")?;
    let who = match result.as_str() {
        "human" | "human_residence" | "human_business" => "human",
        // A greeting was listened to.
        "machine" | "beep_detected" | "no_beep_detected" => "machine",
        "fax_detected" => "fax",
        "not_sure" => "unknown",
        other => other,
    };
    protocol::name(Some(who.into()))
}

/// Prefers a permanent URL to one that is valid for ten minutes.
fn recording(payload: &Value) -> Option<String> {
    ["public_recording_urls", "recording_urls"]
        .into_iter()
        .flat_map(|urls| [format!("/{urls}/mp3"), format!("/{urls}/wav")])
        .find_map(|pointer| text(payload, &pointer))
}

/// Outcome by the hangup cause, which merges much, and the SIP code, which does not.
fn outcome(payload: &Value) -> Outcome {
    let cause = text(payload, "/hangup_cause").unwrap_or_default();
    let sip = payload.get("sip_hangup_cause");
    let sip = sip.and_then(|code| match code {
        Value::String(code) => code.parse().ok(),
        code => code.as_u64()?.try_into().ok(),
    });
    if let Some(outcome) = sip.and_then(|sip| of_d_code(sip, payload)) {
        return outcome;
    }
    let by_sip = || sip.and_then(sip_outcome);
    match cause.as_str() {
        "originator_cancel" => Outcome::Canceled,
        "no_answer" | "timeout" => Outcome::NoAnswer,
        "user_busy" => Outcome::Busy,
        "not_found" => Outcome::InvalidNumber,
        // The limit counts from the answer.
        "time_limit" => Outcome::Answered,
        "call_rejected" => by_sip().unwrap_or(Outcome::Declined),
        // The normal end of a conversation. Whether there was one is in the answer event, which may be lost;
        // assuming none, a callee who was reached would be called again.
        "normal_clearing" => by_sip().unwrap_or(Outcome::Answered),
        _ => by_sip().unwrap_or(Outcome::Unknown),
    }
}

/// Telnyx's own reason for a refusal with SIP code 400, 403, 404 or 480: `D1` to `D31`. Its position is
/// undocumented.
fn of_d_code(sip: u16, payload: &Value) -> Option<Outcome> {
    let fields = payload.as_object()?.iter();
    let reasons = fields.filter(|(name, _)| name.contains("reason") || *name == "sip_headers");
    let texts = reasons.map(|(_, value)| value.to_string());
    let codes: Vec<u16> = texts
        .flat_map(|text| {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            let codes = words.filter_map(|word| word.strip_prefix('D')?.parse().ok());
            codes.collect::<Vec<_>>()
        })
        .collect();
    codes.into_iter().find_map(|code| match (sip, code) {
        (403, 1..=3 | 22) => Some(Outcome::Capacity),
        (403, 10..=17 | 25..=29) | (404, 18 | 19) => Some(Outcome::Account),
        (403, 24) => Some(Outcome::Blocked),
        (480, 21) => Some(Outcome::Unreachable),
        (400, 30 | 31) => Some(Outcome::InvalidNumber),
        _ => None,
    })
}
