//! Whether a final report proves that the call had been answered, whatever its status word says.
//!
//! An answered call is not tried again, so a wrong yes costs a retry, and a wrong no rings a person again who has
//! already heard us.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::normal_word;
use crate::domain::Outcome;

/// Fields with the time of the answer.
const ANSWERED_AT: [&str; 3] = ["answeredAt", "answerTime", "answered_at"];
/// Fields saying who answered.
const ANSWERED_BY: [&str; 2] = ["answeredBy", "answered_by"];
/// Values there that mean that nobody is known to have answered.
const NOBODY: [&str; 5] = ["UNKNOWN", "NONE", "NOBODY", "NO_ANSWER", "NULL"];
/// Fields with the seconds of talk.
const TALK: [&str; 4] = ["durationSec", "talkSec", "billableSec", "duration_sec"];

/// Proof by the outcome, by the time or the party of the answer, or by talk time.
pub(super) fn proves_answer(outcome: Outcome, fields: &Map<String, Value>) -> bool {
    let said = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
    match outcome {
        Outcome::Answered | Outcome::Voicemail => true,
        _ if said(&ANSWERED_AT).is_some_and(|at| is_said(&at)) => true,
        _ if said(&ANSWERED_BY).is_some_and(|by| is_somebody(&by)) => true,
        Outcome::Unreachable
        | Outcome::ProviderFault
        | Outcome::Canceled
        | Outcome::Capacity
        | Outcome::Account => said(&TALK).is_some_and(|talk| seconds(&talk) > 0.0),
        // The word itself says that nobody answered: any duration was ringing.
        _ => false,
    }
}

/// When somebody answered, where it is an instant.
pub(super) fn at(fields: &Map<String, Value>) -> Option<DateTime<Utc>> {
    let said = ANSWERED_AT.iter().find_map(|name| fields.get(*name))?;
    instant(said)
}

/// RFC 3339, or a number since 1970, in seconds or, where it is that large, milliseconds.
pub(in crate::provider) fn instant(value: &Value) -> Option<DateTime<Utc>> {
    /// Of seconds, the year 5138.
    const MILLISECONDS: f64 = 1e11;
    let number = match value {
        Value::String(text) => {
            if let Ok(at) = DateTime::parse_from_rfc3339(text.trim()) {
                return Some(at.to_utc());
            }
            text.trim().parse().ok()?
        }
        other => other.as_f64()?,
    };
    let milliseconds = if number.abs() < MILLISECONDS {
        number * 1000.0
    } else {
        number
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is no instant then"
    )]
    DateTime::from_timestamp_millis(milliseconds as i64).filter(|_| number > 0.0)
}

fn is_said(at: &Value) -> bool {
    match at {
        Value::String(text) => !text.trim().is_empty() && text.trim() != "0",
        Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
        _ => false,
    }
}

fn is_somebody(by: &Value) -> bool {
    by.as_str()
        .map(normal_word)
        .is_some_and(|word| !word.is_empty() && !NOBODY.contains(&word.as_str()))
}

fn seconds(talk: &Value) -> f64 {
    let number = talk.as_f64().or_else(|| talk.as_str()?.trim().parse().ok());
    number.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::provider::protocol::read_report;

    fn proves(body: &serde_json::Value) -> bool {
        read_report(body.to_string().as_bytes()).answered
    }

    #[test]
    fn an_answer_is_proved_by_the_word_or_by_what_stands_beside_it() {
        for body in [
            json!({ "status": "IN_PROGRESS" }),
            json!({ "status": "COMPLETED" }),
            json!({ "status": "VOICEMAIL" }),
            json!({ "status": "FAILED", "answeredAt": "2026-01-02T03:04:05Z" }),
            json!({ "status": "BUSY", "answeredAt": 1_767_323_045 }),
            json!({ "status": "FAILED", "answeredBy": "human" }),
            json!({ "status": "CANCELED", "durationSec": 12 }),
            json!({ "status": "FAILED", "durationSec": "0.4" }),
            json!({ "status": "ACCOUNT", "talkSec": 31.5 }),
        ] {
            assert!(proves(&body), "{body}");
        }
    }

    #[test]
    fn what_may_have_been_the_ringing_proves_none() {
        for body in [
            json!({ "status": "RINGING", "durationSec": 12 }),
            json!({ "status": "NO_ANSWER", "durationSec": 30 }),
            json!({ "status": "BUSY", "durationSec": 2 }),
            json!({ "status": "FAILED", "durationSec": 0, "answeredAt": null, "answeredBy": "unknown" }),
            json!({ "status": "FAILED", "answeredAt": "", "answeredBy": "" }),
            json!({ "status": "FAILED", "durationSec": "long", "answeredBy": ["human"] }),
            json!({ "status": "TELEPORTED", "answeredAt": "2026-01-02T03:04:05Z" }),
            json!({ "answeredBy": "human" }),
        ] {
            assert!(!proves(&body), "{body}");
        }
    }
}
