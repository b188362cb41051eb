//! What became of a call: a conversation with somebody or something that picked up, or a failure to reach it.
//! There is one report, at the end.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::{
    calls::{Call, End, Phase},
    rules::Ending,
    wire::json::{at, fields, merged},
};

/// Who carries a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Twilio,
    SipTrunk,
}

impl Carrier {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::SipTrunk => "sip_trunking",
        }
    }

    fn of(call: &Call) -> Self {
        if at(&call.echo, "/carrier") == Self::Twilio.word() {
            Self::Twilio
        } else {
            Self::SipTrunk
        }
    }

    /// Field of the carrier's own id in the response to a request.
    pub(super) const fn id_field(self) -> &'static str {
        match self {
            Self::Twilio => "callSid",
            Self::SipTrunk => "sip_call_id",
        }
    }

    /// The carrier's own id of a call.
    pub(super) fn call_id(self, call: &Call) -> String {
        let id = call.id.trim_start_matches("conv_");
        match self {
            Self::Twilio => format!("CA{id}"),
            Self::SipTrunk => format!("SCL_{id}"),
        }
    }
}

/// Twilio's words for a number that is none.
pub(super) fn bad_number(number: &str) -> String {
    format!(
        "HTTP 400 error: Unable to create record: The 'To' number {number} is not a valid phone number."
    )
}

/// Twilio's words if it refused the call before it dialed.
pub(super) fn refused(call: &Call) -> Option<String> {
    if Carrier::of(call) != Carrier::Twilio {
        return None;
    }
    let number = &call.number;
    Some(match call.ending {
        Ending::InvalidNumber => bad_number(number),
        Ending::Blocked => format!(
            "HTTP 400 error: Unable to create record: Account not authorized to call {number}. Perhaps you need to \
             enable some international permissions: https://www.twilio.com/console/voice/calls/geo-permissions"
        ),
        Ending::Capacity => "HTTP 429 error: Unable to create record: Too Many Requests".to_owned(),
        Ending::Account => "HTTP 401 error: Unable to create record: Authenticate".to_owned(),
        _ => return None,
    })
}

/// Whether somebody picked up, or a machine.
pub(super) fn was_picked_up(call: &Call) -> bool {
    match call.phase() {
        Phase::Queued | Phase::Ringing => false,
        Phase::InProgress(_) => true,
        Phase::Over(end) => end.talked.is_some(),
    }
}

pub(super) fn has_audio(call: &Call) -> bool {
    was_picked_up(call) && call.is_over()
}

pub(super) fn status(call: &Call) -> &'static str {
    match call.phase() {
        Phase::Queued | Phase::Ringing => "initiated",
        Phase::InProgress(_) => "in-progress",
        // The analysis is ready when it is reported.
        Phase::Over(_) if was_picked_up(call) && !call.reported.is_cancelled() => "processing",
        Phase::Over(_) => last_status(call),
    }
}

/// Status of a call that is over and analyzed.
pub(super) fn last_status(call: &Call) -> &'static str {
    match call.phase() {
        Phase::Over(end) if end.ending == Ending::Fault || !was_picked_up(call) => "failed",
        _ => "done",
    }
}

/// The conversation, as look-ups and transcriptions have it.
pub(super) fn object(call: &Call, status: &str) -> Map<String, Value> {
    let has_audio = has_audio(call);
    let client_data = at(&call.echo, "/client_data");
    let transcript = if was_picked_up(call) {
        json!([
            {"role": "agent", "message": "Hello", "time_in_call_secs": 0},
            {"role": "user", "message": "Hi", "time_in_call_secs": 1},
        ])
    } else {
        json!([])
    };
    let analysis = (has_audio && status != "processing").then(|| {
        json!({
            "call_successful": success(call), "transcript_summary": "They spoke.",
            "evaluation_criteria_results": {}, "data_collection_results": {},
        })
    });
    let mut client_data = fields(client_data, "");
    let mut variables = call.metadata.clone();
    let call_id = Carrier::of(call).call_id(call);
    variables.insert("system__call_sid".to_owned(), json!(call_id));
    client_data.insert("dynamic_variables".to_owned(), Value::Object(variables));
    let object = json!({
        "agent_id": call.script, "agent_name": "Fake", "conversation_id": call.id, "status": status,
        "user_id": at(&call.echo, "/client_data/user_id"), "has_audio": has_audio,
        "has_user_audio": has_audio, "has_response_audio": has_audio, "transcript": transcript,
        "metadata": metadata(call), "analysis": analysis,
        "conversation_initiation_client_data": client_data,
    });
    fields(&object, "")
}

fn metadata(call: &Call) -> Value {
    let carrier = Carrier::of(call);
    let phone_call = json!({
        "type": carrier.word(), "direction": "outbound",
        "phone_number_id": at(&call.echo, "/phone_number_id"), "agent_number": call.from,
        "external_number": call.number, "call_sid": carrier.call_id(call),
    });
    let stream = match carrier {
        Carrier::Twilio => {
            json!({"stream_sid": format!("MZ{}", call.id.trim_start_matches("conv_"))})
        }
        Carrier::SipTrunk => json!({}),
    };
    let phone_call = merged(&phone_call, &stream);
    let seconds = seconds(call);
    let metadata = json!({
        "start_time_unix_secs": call.placed_at / 1000,
        "accepted_time_unix_secs": call.answered_at().map(|at| at / 1000),
        "call_duration_secs": seconds, "phone_call": phone_call,
    });
    let Phase::Over(end) = call.phase() else {
        return metadata;
    };
    let (result, reason) = words(&end);
    let ended = json!({
        "termination_reason": reason, "phone_call": merged(&phone_call, &json!({"call_result": result})),
    });
    let cost = if was_picked_up(call) {
        let by_machine = end.ending == Ending::Voicemail;
        json!({
            // In credits, and in dollars.
            "cost": seconds * 7, "cost_fiat": f64::from(seconds) / 1000.0,
            "features_usage": {"voicemail_detection": {"enabled": true, "used": by_machine}},
        })
    } else {
        json!({})
    };
    let error = if last_status(call) == "failed" {
        json!({"error": {"code": 1011, "reason": reason}})
    } else {
        json!({})
    };
    merged(&merged(&merged(&metadata, &ended), &cost), &error)
}

/// `call_result` and `termination_reason`.
const fn words(end: &End) -> (&'static str, &'static str) {
    match end.ending {
        Ending::Completed => ("answered", "Client disconnected: 1000"),
        Ending::Fault => ("answered", "LLM cascade failed"),
        Ending::Voicemail => ("voicemail", "voicemail_detection tool was called."),
        Ending::Busy => ("busy", "Call was busy"),
        Ending::NoAnswer => ("no_answer", "Call was not answered"),
        Ending::Declined
        | Ending::Failed
        | Ending::Canceled
        | Ending::InvalidNumber
        | Ending::Blocked
        | Ending::Capacity
        | Ending::Account => ("failed", "Call failed to connect"),
    }
}

fn success(call: &Call) -> &'static str {
    match call.phase() {
        Phase::Over(end) if end.ending == Ending::Completed => "success",
        Phase::Over(_) => "failure",
        _ => "unknown",
    }
}

/// Seconds of the conversation.
fn seconds(call: &Call) -> u32 {
    match call.phase() {
        Phase::Over(End {
            talked: Some(talked),
            ..
        }) => u32::try_from(talked.as_millis().div_ceil(1000)).unwrap_or(u32::MAX),
        _ => 0,
    }
}

/// A row of a list. It says neither whose the conversation is nor with whom it was.
pub(super) fn row(call: &Call) -> Value {
    json!({
        "agent_id": call.script, "agent_name": "Fake", "conversation_id": call.id,
        "start_time_unix_secs": call.placed_at / 1000, "call_duration_secs": seconds(call),
        "message_count": if was_picked_up(call) { 2 } else { 0 }, "status": status(call),
        "call_successful": success(call), "direction": "outbound",
    })
}

/// The failure of a call that nobody picked up: it has no user id and no variables. None if Twilio refused it.
pub(super) fn failure(call: &Call, end: &End) -> Option<Value> {
    if refused(call).is_some() {
        return None;
    }
    let carrier = Carrier::of(call);
    let (reason, kind, body) = match carrier {
        Carrier::Twilio => {
            let (reason, status, code) = twilio(end.ending);
            let body = json!({
                "CallSid": carrier.call_id(call), "AccountSid": "AC00000000000000000000000000000001",
                "CallStatus": status, "Direction": "outbound-api", "From": call.from, "To": call.number,
                "CallDuration": "0", "SequenceNumber": "2", "CallbackSource": "call-progress-events",
                "Timestamp": DateTime::from_timestamp_millis(end.at).map(|at| at.to_rfc2822()),
                "ApiVersion": "2010-04-01",
            });
            let code = code.map_or_else(|| json!({}), |code| json!({"SipResponseCode": code}));
            (reason, "twilio", merged(&body, &code))
        }
        Carrier::SipTrunk => {
            let (reason, code, words) = sip(end.ending);
            let body = json!({
                "from_number": call.from, "to_number": call.number, "sip_status_code": code,
                "error_reason": format!("INVITE failed: sip status: {code}: {words} (SIP {code})"),
                "call_sid": carrier.call_id(call), "sip_status": words, "twirp_code": "unavailable",
            });
            (reason, "sip", body)
        }
    };
    Some(json!({
        "agent_id": call.script, "conversation_id": call.id, "failure_reason": reason,
        "metadata": {"type": kind, "body": body},
    }))
}

/// `failure_reason`, Twilio's status, and its SIP code if the network gave one.
const fn twilio(ending: Ending) -> (&'static str, &'static str, Option<&'static str>) {
    match ending {
        // The code is of the leg that was given up, and says no more than the words.
        Ending::Busy | Ending::Declined => ("busy", "busy", Some("487")),
        Ending::NoAnswer => ("no-answer", "no-answer", Some("487")),
        Ending::Canceled => ("unknown", "canceled", Some("487")),
        _ => ("unknown", "failed", None),
    }
}

/// `failure_reason`, and the SIP response.
const fn sip(ending: Ending) -> (&'static str, u16, &'static str) {
    match ending {
        Ending::Busy => ("busy", 486, "Busy Here"),
        Ending::NoAnswer => ("no-answer", 480, "Temporarily Unavailable"),
        Ending::Declined => ("unknown", 603, "Decline"),
        Ending::Canceled => ("unknown", 487, "Request Terminated"),
        Ending::InvalidNumber => ("unknown", 404, "Not Found"),
        Ending::Blocked => ("unknown", 403, "Forbidden"),
        Ending::Capacity => ("unknown", 429, "Too Many Requests"),
        Ending::Account => ("unknown", 402, "Payment Required"),
        _ => ("unknown", 488, "Not Acceptable Here"),
    }
}
