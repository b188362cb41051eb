//! The fake provider's reports of a call, in look-ups and webhooks.

use chrono::{DateTime, SecondsFormat};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    calls::{Call, End, Phase},
    delivery::Webhook,
    rules::Ending,
};

impl Ending {
    /// Latest status word of the call.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::Fault | Self::Failed => "FAILED",
            Self::Voicemail => "VOICEMAIL",
            Self::Busy => "BUSY",
            Self::NoAnswer => "NO_ANSWER",
            Self::Declined => "DECLINED",
            Self::Canceled => "CANCELED",
            Self::InvalidNumber => "INVALID_NUMBER",
            Self::Blocked => "BLOCKED",
            Self::Capacity => "CAPACITY",
            Self::Account => "ACCOUNT",
        }
    }
}

/// The protocol's object: the response to a look-up, and a webhook without its event id.
pub(crate) fn object(call: &Call) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    let phase = call.phase();
    let status = match phase {
        Phase::Queued => "QUEUED",
        Phase::Ringing => "RINGING",
        Phase::InProgress => "IN_PROGRESS",
        Phase::Over(end) => end.ending.status(),
    };
    put("callId", json!(call.id));
    put("status", json!(status));
    put("reference", json!(call.reference));
    if let Phase::Over(end) = phase {
        let talked = end.talked.unwrap_or_default();
        // Providers charge and report whole seconds, rounded up.
        put("durationSec", json!(talked.as_millis().div_ceil(1000)));
        let at = DateTime::from_timestamp_millis(end.at).unwrap_or_default();
        let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        put("completedAt", json!(at));
        if let Some(who) = who_answered(&end) {
            put("answeredBy", json!(who));
        }
    }
    object
}

const fn who_answered(end: &End) -> Option<&'static str> {
    match (end.ending, end.talked) {
        (Ending::Voicemail, _) => Some("machine"),
        (_, Some(_)) => Some("human"),
        (_, None) => None,
    }
}

/// A webhook with the call's present status.
pub(crate) fn webhook(call: &Call) -> Webhook {
    of(call, object(call))
}

/// A webhook with an unknown status.
pub(crate) fn unknown_word(call: &Call) -> Webhook {
    let mut object = object(call);
    object.insert("status".to_owned(), json!("TELEPORTED"));
    of(call, object)
}

fn of(call: &Call, mut object: Map<String, Value>) -> Webhook {
    let event_id = event_id();
    object.insert("eventId".to_owned(), json!(event_id));
    Webhook {
        event_id,
        body: Bytes::from(Value::Object(object).to_string()),
        is_last: call.is_over(),
    }
}

/// A webhook that is signed, but truncated.
pub(crate) fn garbage(call: &Call) -> Webhook {
    Webhook {
        event_id: event_id(),
        body: Bytes::from(format!("{{\"callId\": \"{}\", \"status", call.id)),
        is_last: false,
    }
}

fn event_id() -> String {
    format!("evt_{}", Uuid::new_v4().simple())
}
