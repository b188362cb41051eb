//! Retell's reports: webhooks, and the call object of a look-up.

use serde_json::Value;

use crate::{
    domain::{Facts, Outcome, Report, ReportKind},
    provider::{
        platform::{REFERENCE, number, only, take, text},
        protocol::{self, instant},
    },
};

/// Fields of a call kept in the result beside the facts.
const KEPT: [&str; 6] = [
    "agent_id",
    "agent_version",
    "call_analysis",
    "call_cost",
    "public_log_url",
    "telephony_identifier",
];

/// Reads a webhook: `{"event": "call_ended", "call": {...}}`.
pub(super) fn of_webhook(body: &[u8]) -> Report {
    let mut body = protocol::parse(body).unwrap_or_default();
    let event = text(&body, "/event").unwrap_or_default();
    let Some(report) = read(take(&mut body, "call"), Some(&event)) else {
        return Report::new(ReportKind::Unparsable);
    };
    let id = report.provider_call_id.as_ref();
    Report {
        event_id: id.map(|id| format!("{id}:{event}")),
        ..report
    }
}

/// Reads a call object; none if it is not one.
pub(super) fn of_call(call: Value) -> Option<Report> {
    read(call, None)
}

fn read(call: Value, event: Option<&str>) -> Option<Report> {
    let provider_call_id = protocol::name(call.get("call_id").cloned())?;
    let status = text(&call, "/call_status");
    let reason = text(&call, "/disconnection_reason");
    // Present only if the call was connected.
    let answered_at = call.get("start_timestamp").and_then(instant);
    let kind = match (event, status.as_deref()) {
        (Some("call_started"), _) => ReportKind::Answered,
        (Some("call_ended" | "call_analyzed"), _)
        | (None, Some("ended" | "not_connected" | "error")) => ReportKind::Ended,
        (None, Some("ongoing")) if answered_at.is_some() => ReportKind::Answered,
        (None, Some("registered" | "ongoing")) => ReportKind::Progress,
        _ => ReportKind::Unknown,
    };
    let report = match kind {
        ReportKind::Ended => Report::ended(outcome(
            reason.as_deref().unwrap_or_default(),
            answered_at.is_some(),
        )),
        kind => Report::new(kind),
    };
    let says_answer = matches!(kind, ReportKind::Ended | ReportKind::Answered);
    let answered_at = answered_at.filter(|_| says_answer);
    Some(Report {
        answered: report.answered || answered_at.is_some(),
        answered_at,
        provider_call_id: Some(provider_call_id),
        reference: reference(&call),
        disposition: reason.as_deref().and_then(disposition).map(str::to_owned),
        status: reason.or_else(|| event.map(str::to_owned)).or(status),
        result: protocol::result(&facts(&call), only(call, &KEPT)),
        ..report
    })
}

/// Our reference, as Retell carries it.
pub(super) fn reference(call: &Value) -> Option<String> {
    text(call.get("metadata")?, &format!("/{REFERENCE}"))
}

fn facts(call: &Value) -> Facts {
    let cents = number(call, "/call_cost/combined_cost");
    let machine = call
        .pointer("/call_analysis/in_voicemail")
        .and_then(Value::as_bool);
    // Calls that nobody answered are analyzed too, and are in no voicemail.
    let machine = machine.filter(|machine| *machine || call.get("start_timestamp").is_some());
    Facts {
        duration_sec: number(call, "/duration_ms").map(|ms| ms / 1000.0),
        cost: cents.map(|cents| cents / 100.0),
        cost_currency: cents.map(|_| "USD"),
        answered_by: machine.map(|machine| if machine { "machine" } else { "human" }.to_owned()),
        ended_reason: text(call, "/disconnection_reason"),
        recording_url: text(call, "/recording_url"),
        transcript: text(call, "/transcript"),
        summary: text(call, "/call_analysis/call_summary"),
    }
}

/// What the callee asked for. When to call back is not among Retell's own fields.
fn disposition(reason: &str) -> Option<&'static str> {
    match reason {
        "user_requested_dnc" => Some("do_not_call"),
        "user_requested_callback" => Some("callback"),
        _ => None,
    }
}

/// Outcome for Retell's reason. An unknown reason means that the call ended, outcome unknown.
fn outcome(reason: &str, was_answered: bool) -> Outcome {
    match reason {
        "user_hangup"
        | "agent_hangup"
        | "call_transfer"
        | "call_take_over"
        | "transfer_bridged"
        | "transfer_cancelled"
        | "inactivity"
        | "max_duration_reached"
        | "user_requested_dnc"
        | "user_requested_callback" => Outcome::Answered,
        "voicemail_reached" | "ivr_reached" => Outcome::Voicemail,
        "dial_busy" => Outcome::Busy,
        "dial_no_answer" => Outcome::NoAnswer,
        "user_declined" => Outcome::Declined,
        "dial_failed" => Outcome::Unreachable,
        "invalid_destination" => Outcome::InvalidNumber,
        "marked_as_spam" | "network_blocked" => Outcome::Blocked,
        "concurrency_limit_reached" | "no_concurrency_fallback" => Outcome::Capacity,
        // Money can run out during a conversation.
        "no_valid_payment"
        | "credit_exhausted"
        | "budget_reached"
        | "scam_detected"
        | "telephony_provider_permission_denied"
            if was_answered =>
        {
            Outcome::Answered
        }
        "no_valid_payment"
        | "credit_exhausted"
        | "budget_reached"
        | "scam_detected"
        | "telephony_provider_permission_denied" => Outcome::Account,
        "manual_stopped" => Outcome::Canceled,
        "telephony_provider_unavailable"
        | "sip_routing_error"
        | "registered_call_timeout"
        | "error_user_not_joined"
        | "error_llm_websocket_open"
        | "error_llm_websocket_lost_connection"
        | "error_llm_websocket_runtime"
        | "error_llm_websocket_corrupt_payload"
        | "error_no_audio_received"
        | "error_asr"
        | "error_retell"
        | "error_unknown" => Outcome::ProviderFault,
        _ if was_answered => Outcome::Answered,
        _ => Outcome::Unknown,
    }
}
