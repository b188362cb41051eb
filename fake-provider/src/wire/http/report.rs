//! The fake provider's reports of a call, in look-ups and webhooks.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    calls::{Call, End, OnMachine, Phase},
    clock,
    dialect::Webhook,
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
pub(super) fn object(call: &Call) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    let phase = call.phase();
    let status = match phase {
        Phase::Queued => "QUEUED",
        Phase::Ringing => "RINGING",
        Phase::InProgress(_) => "IN_PROGRESS",
        Phase::Over(end) => end.ending.status(),
    };
    put("callId", json!(call.id));
    put("status", json!(status));
    put("reference", json!(call.reference));
    if let Phase::Over(end) = phase {
        let talked = end.talked.unwrap_or_default();
        // Providers charge and report whole seconds, rounded up.
        put("durationSec", json!(talked.as_millis().div_ceil(1000)));
        put("completedAt", json!(clock::rfc3339(end.at)));
        if let Some(who) = who_answered(&end) {
            put("answeredBy", json!(who));
        }
        if let (Some(word), true) = (&call.plan.disposition, end.talked.is_some()) {
            put("disposition", json!(word));
            if let Some(after) = call.plan.call_back {
                let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
                let at = end.at.saturating_add(after);
                put("callbackAt", json!(clock::rfc3339(at)));
            }
        }
        if end.ending == Ending::Voicemail && call.on_machine == OnMachine::LeaveMessage {
            put("messageLeft", json!(true));
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
pub(super) fn webhook(call: &Call) -> Webhook {
    of(call, object(call))
}

/// A webhook with an unknown status.
pub(super) fn unknown_word(call: &Call) -> Webhook {
    let mut object = object(call);
    object.insert("status".to_owned(), json!("TELEPORTED"));
    of(call, object)
}

fn of(call: &Call, mut object: Map<String, Value>) -> Webhook {
    let event_id = format!("evt_{}", Uuid::new_v4().simple());
    object.insert("eventId".to_owned(), json!(event_id));
    Webhook::json(event_id, &Value::Object(object), call.is_over())
}
