//! ElevenLabs' reports: webhooks, and the conversation of a look-up.
//!
//! A call that was picked up, by a person or a machine, ends with a transcription; one that was not ends with
//! a failure. Nothing is sent before the end.

use serde_json::{Map, Value};

use crate::{
    domain::{Facts, Outcome, Reference, Report, ReportKind},
    provider::{
        platform::{REFERENCE, number, only, take, text},
        protocol::{self, instant},
        words,
    },
};

/// Fields kept in the result beside the facts: of a conversation, of its metadata, of a failure.
const KEPT: [&str; 3] = ["agent_id", "analysis", "branch_id"];
const KEPT_METADATA: [&str; 2] = ["charging", "error"];
const KEPT_FAILURE: [&str; 6] = [
    "CallSid",
    "CallStatus",
    "SipResponseCode",
    "error_reason",
    "sip_status",
    "sip_status_code",
];

/// Reads a webhook: `{"type": "post_call_transcription", "data": {...}}`.
pub(super) fn of_webhook(body: &[u8], address: &str) -> Report {
    let mut body = protocol::parse(body).unwrap_or_default();
    let event = text(&body, "/type").unwrap_or_default();
    let data = take(&mut body, "data");
    let report = match event.as_str() {
        "post_call_transcription" => {
            let foreign = is_foreign(&data);
            conversation(data, true, address).map(|report| Report { foreign, ..report })
        }
        "call_initiation_failure" => failure(data),
        _ => other(&data, &event),
    };
    match report {
        Some(report) => Report {
            event_id: report
                .provider_call_id
                .as_ref()
                .map(|id| format!("{id}:{event}")),
            ..report
        },
        None => Report::new(ReportKind::Unparsable),
    }
}

/// Reads the conversation of a look-up; none if it is not one.
pub(super) fn of_conversation(conversation: Value, address: &str) -> Option<Report> {
    self::conversation(conversation, false, address)
}

fn id(data: &Value) -> Option<String> {
    protocol::name(data.get("conversation_id").cloned())
}

/// Our reference, as a variable or as the user id. A user id that is not a reference comes from other
/// software.
fn reference(data: &Value) -> Option<String> {
    let ours = |pointer: &str| text(data, pointer).filter(|name| name.parse::<Reference>().is_ok());
    let client_data = "/conversation_initiation_client_data";
    text(
        data,
        &format!("{client_data}/dynamic_variables/{REFERENCE}"),
    )
    .or_else(|| ours("/user_id"))
    .or_else(|| ours(&format!("{client_data}/user_id")))
}

/// Whether a transcription shows that pgdial did not place its call: it came in, or the variables that it began
/// with are there, without a reference. Of one whose variables were removed nothing is certain.
fn is_foreign(data: &Value) -> bool {
    let is_ours = reference(data).is_some_and(|name| name.parse::<Reference>().is_ok());
    let came_in = text(data, "/metadata/phone_call/direction").is_some_and(|it| it == "inbound");
    let variables = data.pointer("/conversation_initiation_client_data/dynamic_variables");
    let has_variables = variables
        .and_then(Value::as_object)
        .is_some_and(|variables| !variables.is_empty());
    !is_ours && (came_in || has_variables)
}

/// `was_picked_up`: reported as a transcription, which only such calls have.
fn conversation(mut data: Value, was_picked_up: bool, address: &str) -> Option<Report> {
    let id = id(&data)?;
    let status = text(&data, "/status");
    let report = match (was_picked_up, status.as_deref()) {
        (true, _) | (false, Some("done" | "failed")) => ended(&data, was_picked_up),
        (false, Some("initiated")) => Report::new(ReportKind::Progress),
        // Answered. While it is processed the call is over, and the next look-up returns how it ended.
        (false, Some("in-progress" | "processing")) => Report::new(ReportKind::Answered),
        _ => Report::new(ReportKind::Unknown),
    };
    let at = |name: &str| data.pointer(&format!("/metadata/{name}")).and_then(instant);
    let answered_at = at("accepted_time_unix_secs").or_else(|| at("start_time_unix_secs"));
    let facts = facts(&data, &report, &id, address);
    let reference = reference(&data);
    let mut rest = only(take(&mut data, "metadata"), &KEPT_METADATA);
    rest.extend(only(data, &KEPT));
    Some(Report {
        answered_at: answered_at.filter(|_| report.answered),
        provider_call_id: Some(id),
        reference,
        status: facts.ended_reason.clone().or(status),
        result: protocol::result(&facts, rest),
        ..report
    })
}

fn ended(data: &Value, was_picked_up: bool) -> Report {
    let result = text(data, "/metadata/phone_call/call_result");
    let used_voicemail = "/metadata/features_usage/voicemail_detection/used";
    let by_machine = data.pointer(used_voicemail).and_then(Value::as_bool) == Some(true);
    let is_failed = text(data, "/status").is_some_and(|status| status == "failed");
    let outcome = match result.as_deref() {
        Some("voicemail") => Outcome::Voicemail,
        _ if by_machine => Outcome::Voicemail,
        Some("answered") => Outcome::Answered,
        Some("busy") => Outcome::Busy,
        Some("no_answer") => Outcome::NoAnswer,
        Some("failed") => Outcome::Unreachable,
        _ if is_failed => Outcome::ProviderFault,
        _ => Outcome::Answered,
    };
    let seconds = number(data, "/metadata/call_duration_secs");
    let accepted = data
        .pointer("/metadata/accepted_time_unix_secs")
        .and_then(instant);
    let was_connected = seconds.is_some_and(|seconds| seconds > 0.0) || accepted.is_some();
    let answered = was_connected
        || match outcome {
            Outcome::Answered | Outcome::Voicemail => true,
            // Without a duration it may have failed after the answer.
            Outcome::ProviderFault => was_picked_up || seconds.is_none(),
            _ => false,
        };
    Report {
        answered,
        ..Report::ended(outcome)
    }
}

/// Nobody picked up. It has neither user id nor variables: only the conversation id identifies it.
fn failure(mut data: Value) -> Option<Report> {
    let id = id(&data)?;
    let reason = text(&data, "/failure_reason");
    let body = data
        .pointer_mut("/metadata/body")
        .map(Value::take)
        .unwrap_or_default();
    let code = ["SipResponseCode", "sip_status_code"]
        .iter()
        .find_map(|name| sip_code(body.get(*name)?));
    let status = text(&body, "/CallStatus");
    // The reason takes precedence over the SIP code, except for 603, which means declined.
    let outcome = match (reason.as_deref(), status.as_deref()) {
        (Some("busy"), _) | (_, Some("busy")) if code == Some(603) => Outcome::Declined,
        (Some("busy"), _) => Outcome::Busy,
        (Some("no-answer"), _) | (_, Some("no-answer")) => Outcome::NoAnswer,
        (_, Some("busy")) => Outcome::Busy,
        (_, Some("canceled")) => Outcome::Canceled,
        _ => by_sip_code(code),
    };
    let mut rest = only(body, &KEPT_FAILURE);
    rest.extend(only(data, &KEPT));
    let facts = Facts {
        ended_reason: reason.clone(),
        ..Facts::default()
    };
    Some(Report {
        provider_call_id: Some(id),
        status: reason,
        result: protocol::result(&facts, rest),
        ..Report::ended(outcome)
    })
}

fn sip_code(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

const fn by_sip_code(code: Option<u64>) -> Outcome {
    match code {
        Some(404 | 410 | 484 | 485 | 604) => Outcome::InvalidNumber,
        Some(486 | 600) => Outcome::Busy,
        Some(408 | 480 | 487) => Outcome::NoAnswer,
        Some(603) => Outcome::Declined,
        Some(403 | 607 | 608) => Outcome::Blocked,
        Some(401 | 402 | 407) => Outcome::Account,
        Some(429) => Outcome::Capacity,
        Some(500..=599) => Outcome::ProviderFault,
        _ => Outcome::Unreachable,
    }
}

/// Audio, machine detection and unknown types: stored, without the audio.
fn other(data: &Value, event: &str) -> Option<Report> {
    let facts = Facts {
        answered_by: text(data, "/answered_by"),
        ..Facts::default()
    };
    Some(Report {
        provider_call_id: Some(id(data)?),
        reference: reference(data),
        status: protocol::name(Some(event.into())),
        result: protocol::result(&facts, Map::new()),
        ..Report::new(ReportKind::Unknown)
    })
}

fn facts(data: &Value, report: &Report, id: &str, address: &str) -> Facts {
    // The field named cost counts credits.
    let cost = number(data, "/metadata/cost_fiat");
    let is_recorded = data.get("has_audio").and_then(Value::as_bool) == Some(true);
    Facts {
        duration_sec: number(data, "/metadata/call_duration_secs").filter(|_| report.answered),
        cost,
        cost_currency: cost.map(|_| "USD"),
        answered_by: (report.outcome == Some(Outcome::Voicemail)).then(|| "machine".to_owned()),
        ended_reason: text(data, "/metadata/termination_reason"),
        recording_url: is_recorded.then(|| {
            format!(
                "{address}/v1/convai/conversations/{}/audio",
                words::percent(id)
            )
        }),
        transcript: transcript(data),
        summary: text(data, "/analysis/transcript_summary"),
    }
}

/// `agent: Hello Ada`, one line per turn.
fn transcript(data: &Value) -> Option<String> {
    let turns = data.get("transcript")?.as_array()?;
    let lines: Vec<_> = turns
        .iter()
        .filter_map(|turn| {
            Some(format!(
                "{}: {}",
                text(turn, "/role")?,
                text(turn, "/message")?
            ))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
