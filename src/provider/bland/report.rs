//! Bland's reports: webhooks, and the call object of a look-up, which have one shape.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    domain::{Facts, Outcome, Report, ReportKind},
    provider::{
        platform::{REFERENCE, number, only, text},
        protocol::{self, instant},
    },
};

/// Fields of a call kept in the result beside the facts.
const KEPT: [&str; 7] = [
    "analysis",
    "call_ended_by",
    "citations",
    "disposition_tag",
    "error_message",
    "pathway_id",
    "queue_status",
];

/// Reads a webhook: the end of a call, a line of its log while it lasts, or a later finding.
pub(super) fn of_webhook(body: &[u8]) -> Report {
    let body = protocol::parse(body).unwrap_or_default();
    let Some(id) = protocol::name(body.get("call_id").cloned()) else {
        return Report::new(ReportKind::Unparsable);
    };
    if let Some(category) = text(&body, "/category") {
        return line(&body, &category, id);
    }
    let event = text(&body, "/event_type");
    if let Some(event) = event {
        return Report {
            event_id: Some(format!("{id}:{event}")),
            reference: reference(&body),
            provider_call_id: Some(id),
            status: Some(event),
            result: protocol::result(&Facts::default(), only(body, &KEPT)),
            ..Report::new(ReportKind::Unknown)
        };
    }
    let Some(report) = of_call(body) else {
        return Report::new(ReportKind::Unparsable);
    };
    let is_end = report.kind == ReportKind::Ended;
    Report {
        event_id: is_end.then(|| format!("{id}:final")),
        ..report
    }
}

/// `{"category": "call", "message": "Call connected"}`: the only sign of an answer before the end.
fn line(body: &Value, category: &str, id: String) -> Report {
    let message = text(body, "/message").unwrap_or_default();
    let kind = match (category, message.as_str()) {
        ("call", "Call connected") => ReportKind::Answered,
        _ => ReportKind::Unknown,
    };
    Report {
        provider_call_id: Some(id),
        reference: reference(body),
        status: protocol::name(Some(message.into())),
        ..Report::new(kind)
    }
}

/// Reads a call object; none if it is not one.
pub(super) fn of_call(call: Value) -> Option<Report> {
    let id = protocol::name(call.get("call_id").cloned())?;
    let report = match outcome(&call) {
        Some(outcome) => ended(&call, outcome),
        None => Report::new(match text(&call, "/queue_status").as_deref() {
            // A started call may still ring.
            Some("new" | "queued" | "allocated" | "started") => ReportKind::Progress,
            _ => ReportKind::Unknown,
        }),
    };
    Some(Report {
        provider_call_id: Some(id),
        reference: reference(&call),
        status: text(&call, "/status").or_else(|| text(&call, "/queue_status")),
        disposition: text(&call, "/disposition_tag").and_then(|tag| disposition(&tag)),
        result: protocol::result(&facts(&call, &report), only(call, &KEPT)),
        ..report
    })
}

/// Our reference, as Bland carries it.
fn reference(call: &Value) -> Option<String> {
    text(call.get("metadata")?, &format!("/{REFERENCE}"))
}

/// Outcome; none while the call lasts.
fn outcome(call: &Value) -> Option<Outcome> {
    let is_completed = call.get("completed").and_then(Value::as_bool);
    let by_whom = text(call, "/answered_by");
    let answered = match by_whom.as_deref() {
        Some("voicemail") => Outcome::Voicemail,
        Some("no-answer") => Outcome::NoAnswer,
        _ => Outcome::Answered,
    };
    match text(call, "/status").as_deref() {
        Some(_) if is_completed == Some(false) => None,
        Some("completed") => Some(answered),
        Some("busy") => Some(Outcome::Busy),
        Some("no-answer") => Some(Outcome::NoAnswer),
        Some("canceled") => Some(Outcome::Canceled),
        Some("unknown") => Some(Outcome::Unknown),
        Some("failed") => Some(failure(&text(call, "/error_message").unwrap_or_default())),
        Some(_) => is_completed?.then_some(Outcome::Unknown),
        None => match text(call, "/queue_status").as_deref() {
            Some("pre_queue_error") => Some(Outcome::Blocked),
            Some("queue_error") => Some(Outcome::Unreachable),
            Some("call_error") => Some(Outcome::ProviderFault),
            // The error came after the call, like a failed webhook.
            Some("complete_error") => Some(answered),
            _ => None,
        },
    }
}

/// Disposition by Bland's tag, which the account may name freely.
fn disposition(tag: &str) -> Option<String> {
    match tag {
        "DO_NOT_CONTACT" => Some("do_not_call".to_owned()),
        tag => protocol::disposition(tag),
    }
}

/// Outcome by the reason, which Bland gives only in words.
fn failure(said: &str) -> Outcome {
    let said = said.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if has(&["dialed is not found"]) {
        Outcome::InvalidNumber
    } else if has(&["is busy"]) {
        Outcome::Busy
    } else if has(&["spam", "number reputation", "account not allowed to call"]) {
        Outcome::Blocked
    } else if has(&["database error occurred", "unable to start call"]) {
        Outcome::ProviderFault
    } else {
        Outcome::Unreachable
    }
}

fn ended(call: &Value, outcome: Outcome) -> Report {
    let talk = talk(call);
    let started = started(call);
    let by_somebody = matches!(
        text(call, "/answered_by").as_deref(),
        Some("human" | "voicemail")
    );
    let was_connected = talk.is_some_and(|seconds| seconds > 0.0) || started.is_some();
    let answered = by_somebody
        || match outcome {
            Outcome::Answered | Outcome::Voicemail => true,
            // The reason says that nobody answered, so the duration is that of the ringing.
            Outcome::Busy | Outcome::NoAnswer | Outcome::InvalidNumber => false,
            // Without a duration it may have failed after the answer, unless Bland says that it failed
            // before.
            Outcome::ProviderFault if talk.is_none() => was_connected || !never_began(call),
            _ => was_connected,
        };
    let outcome = match outcome {
        Outcome::Unknown if answered => Outcome::Answered,
        outcome => outcome,
    };
    Report {
        answered,
        answered_at: started.filter(|_| answered),
        ..Report::ended(outcome)
    }
}

fn never_began(call: &Value) -> bool {
    let said = text(call, "/error_message").unwrap_or_default();
    said.to_lowercase().contains("unable to start call")
}

/// Duration in seconds; one field has seconds as text, the other minutes.
fn talk(call: &Value) -> Option<f64> {
    let seconds = text(call, "/corrected_duration").and_then(|text| text.trim().parse().ok());
    seconds
        .or_else(|| number(call, "/corrected_duration"))
        .or_else(|| Some(number(call, "/call_length")? * 60.0))
        .filter(|seconds: &f64| seconds.is_finite())
}

/// Time of connection. Bland's own samples repeat the time of creation there, which proves nothing.
fn started(call: &Value) -> Option<DateTime<Utc>> {
    let at = |name| call.get(name).and_then(instant);
    let started = at("started_at")?;
    at("created_at")
        .is_none_or(|created| started > created)
        .then_some(started)
}

fn facts(call: &Value, report: &Report) -> Facts {
    let price = number(call, "/price");
    let by_whom = text(call, "/answered_by").filter(|word| word != "no-answer");
    Facts {
        duration_sec: talk(call).filter(|_| report.answered),
        cost: price,
        cost_currency: price.map(|_| "USD"),
        answered_by: by_whom.map(|word| {
            if word == "voicemail" {
                "machine".to_owned()
            } else {
                word
            }
        }),
        recording_url: text(call, "/recording_url"),
        transcript: text(call, "/concatenated_transcript"),
        summary: text(call, "/summary"),
        ..Facts::default()
    }
}
