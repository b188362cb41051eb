//! The webhook's body, and the answer to a look-up, in the generic protocol.
//!
//! [`read_report`] turns any bytes into a [`Report`] and never fails: a provider that
//! is answered with an error sends again and in the end gives up, and then the outcome
//! is lost. It decides nothing either. What a report means for a row is decided by
//! `pgdial.judge` alone.
//!
//! Everything in a report can be stored: no NUL (jsonb and text cannot hold one), names
//! of at most 255 characters (an index cannot hold a long one), a result of at most 64 KiB.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::{Outcome, Report, ReportKind};

mod answered;
mod lenient;

pub(super) use lenient::parse;

/// The largest result that is kept; the raw body is kept beside it anyway.
const LARGEST_RESULT: usize = 64 * 1024;
/// The deepest result that is kept. It is shown inside other JSON, whose readers bound
/// the depth of the whole: one deep result must not make a page of calls unreadable.
const DEEPEST_RESULT: usize = 32;
/// The longest id, reference or status word that is kept as it is, in characters.
const LONGEST_NAME: usize = 255;
/// What stands before the digest that a longer one becomes.
const DIGEST: &str = "sha256:";

/// Reads a report. What is not a JSON object with a `status` word is `Unparsable`; a
/// word that is not the protocol's is `Unknown`.
pub fn read_report(body: &[u8]) -> Report {
    read_object(parse(body).unwrap_or_default())
}

/// Reads the answer to a look-up by reference, `{"calls": [...]}`; `None` if it is none.
pub(super) fn read_calls(body: &[u8]) -> Option<Vec<Report>> {
    let mut body = parse(body)?;
    match body.get_mut("calls")?.take() {
        Value::Array(calls) => Some(calls.into_iter().map(read_object).collect()),
        _ => None,
    }
}

/// Reads a page of calls, `{"calls": [...], "since": "...", "next": "..."}`; `None` if it is none.
pub(super) fn read_page(body: &[u8]) -> Option<(Vec<Report>, Option<String>, Option<String>)> {
    let calls = read_calls(body)?;
    let mut body = parse(body)?;
    let mut word = |field: &str| name(body.get_mut(field).map(Value::take));
    Some((calls, word("since"), word("next")))
}

fn read_object(object: Value) -> Report {
    let Value::Object(mut fields) = object else {
        return empty(ReportKind::Unparsable);
    };
    let provider_call_id = name(fields.remove("callId"));
    let reference = name(fields.remove("reference"));
    let event_id = name(fields.remove("eventId"));
    let status = name(fields.remove("status"));
    let (kind, outcome) = match &status {
        Some(word) => read_status(word),
        None => (ReportKind::Unparsable, None),
    };
    let answered = kind == ReportKind::Answered
        || outcome.is_some_and(|outcome| answered::proves_answer(outcome, &fields));
    Report {
        kind,
        outcome,
        answered,
        provider_call_id,
        reference,
        event_id,
        status,
        result: bounded(fields),
    }
}

/// What a status word says: any case, with `_`, `-` or a space between its parts.
pub fn read_status(word: &str) -> (ReportKind, Option<Outcome>) {
    let word = normal_word(word);
    match word.as_str() {
        "QUEUED" | "RINGING" => return (ReportKind::Progress, None),
        "IN_PROGRESS" => return (ReportKind::Answered, None),
        _ => {}
    }
    let outcome = match word.as_str() {
        "COMPLETED" => Outcome::Answered,
        "BUSY" => Outcome::Busy,
        "NO_ANSWER" => Outcome::NoAnswer,
        "DECLINED" => Outcome::Declined,
        "INVALID_NUMBER" => Outcome::InvalidNumber,
        "VOICEMAIL" => Outcome::Voicemail,
        // Whether somebody had answered before is in the row, not here:
        // the database makes a provider fault of it then.
        "FAILED" => Outcome::Unreachable,
        "BLOCKED" => Outcome::Blocked,
        "CAPACITY" => Outcome::Capacity,
        "ACCOUNT" => Outcome::Account,
        "CANCELED" | "CANCELLED" => Outcome::Canceled,
        // Never guess that a call is over: somebody may be talking.
        _ => return (ReportKind::Unknown, None),
    };
    (ReportKind::Ended, Some(outcome))
}

/// `no-answer` and `No Answer` are `NO_ANSWER`.
pub(super) fn normal_word(word: &str) -> String {
    word.trim()
        .chars()
        .map(|c| {
            if c == '-' || c == ' ' {
                '_'
            } else {
                c.to_ascii_uppercase()
            }
        })
        .collect()
}

/// A name as the database can hold and index it, or none. Numbers are names too.
pub(super) fn name(value: Option<Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if text.is_empty() {
        None
    } else if text.chars().count() > LONGEST_NAME {
        // Cut off, two names could become one; a digest keeps them apart.
        Some(format!("{DIGEST}{}", hex::encode(Sha256::digest(&text))))
    } else {
        Some(text)
    }
}

/// The name is as the provider gave it, and so it can be asked about by it.
pub(super) fn is_verbatim(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(DIGEST)
}

fn bounded(fields: Map<String, Value>) -> Value {
    let result = Value::Object(fields);
    if is_deep(&result, DEEPEST_RESULT) || result.to_string().len() > LARGEST_RESULT {
        json!({"truncated": true})
    } else {
        result
    }
}

/// Whether a value has more levels than this. The parser bounds the recursion.
fn is_deep(value: &Value, levels: usize) -> bool {
    let deeper = |value: &Value| levels == 0 || is_deep(value, levels - 1);
    match value {
        Value::Array(items) => items.iter().any(deeper),
        Value::Object(fields) => fields.values().any(deeper),
        _ => false,
    }
}

fn empty(kind: ReportKind) -> Report {
    Report {
        kind,
        outcome: None,
        answered: false,
        provider_call_id: None,
        reference: None,
        event_id: None,
        status: None,
        result: json!({}),
    }
}

#[cfg(test)]
mod tests;
