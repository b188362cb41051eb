//! The generic protocol: bodies of webhooks, and responses to look-ups.
//!
//! [`read_report`] turns any bytes into a [`Report`] and never fails: after an error the provider would redeliver,
//! eventually give up, and the outcome would be lost. Nor does it decide anything: `pgdial.judge` alone says what a
//! report means for a row.
//!
//! Everything in a report can be stored: no NUL (jsonb and text cannot hold one), names of at most 255 characters (an
//! index cannot hold a long one), a result of at most 64 KiB.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{Facts, Outcome, Reference, Report, ReportKind};

mod answered;
mod bounded;
mod disposition;
mod lenient;
mod status;

use self::bounded::bounded;
pub use self::status::read_status;
pub(super) use self::{
    answered::instant, disposition::disposition, lenient::parse, status::normal_word,
};

/// Longest id, reference or status word kept unchanged, in characters.
const LONGEST_NAME: usize = 255;
/// Prefix of the digest that replaces a longer one.
const DIGEST: &str = "sha256:";

/// Reads a report. Anything but a JSON object or a form with a `status` field is `Unparsable`; a status word outside
/// the protocol is `Unknown`.
pub fn read_report(body: &[u8]) -> Report {
    let object = parse(body).map(unwrapped).or_else(|| form(body));
    read_object(object.unwrap_or_default())
}

/// Unwraps a list of one, or a string: some gateways encode a body twice. A list of several does not say which one
/// counts.
fn unwrapped(value: Value) -> Value {
    match value {
        Value::String(text) => parse(text.as_bytes()).unwrap_or_default(),
        Value::Array(mut items) if items.len() == 1 => items.pop().unwrap_or_default(),
        value => value,
    }
}

/// A form with the protocol's fields; of a repeated field the first counts.
fn form(body: &[u8]) -> Option<Value> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let stored = |text: &str| text.replace('\0', "\u{fffd}");
        fields
            .entry(stored(&name))
            .or_insert_with(|| stored(&value).into());
    }
    let is_report = fields
        .keys()
        .any(|name| name.eq_ignore_ascii_case("status"));
    is_report.then_some(Value::Object(fields))
}

/// Reads the response to a look-up by reference, `{"calls": [...]}`; `None` if it is anything else.
pub(super) fn read_calls(body: &[u8]) -> Option<Vec<Report>> {
    let mut body = parse(body)?;
    match body.get_mut("calls")?.take() {
        Value::Array(calls) => Some(calls.into_iter().map(read_object).collect()),
        _ => None,
    }
}

/// Reads a page of calls, `{"calls": [...], "since": "...", "next": "..."}`; `None` if it is anything else.
pub(super) fn read_page(body: &[u8]) -> Option<(Vec<Report>, Option<String>, Option<String>)> {
    let calls = read_calls(body)?;
    let mut body = parse(body)?;
    let mut word = |field: &str| name(body.get_mut(field).map(Value::take));
    Some((calls, word("since"), word("next")))
}

fn read_object(object: Value) -> Report {
    let Value::Object(mut fields) = object else {
        return Report::new(ReportKind::Unparsable);
    };
    let provider_call_id = name(take(&mut fields, "callId"));
    let reference = name(take(&mut fields, "reference")).map(|text| match text.parse() {
        Ok(Reference { call, claim_no }) => Reference { call, claim_no }.to_string(),
        Err(_not_ours) => text,
    });
    let event_id = name(take(&mut fields, "eventId")).map(folded);
    let status = name(take(&mut fields, "status"));
    let (kind, outcome) = match &status {
        Some(word) => read_status(word),
        None => (ReportKind::Unparsable, None),
    };
    // Providers that let a machine answer report such calls as completed, too.
    let outcome = match outcome {
        Some(Outcome::Answered) if status::by_machine(&fields) => Some(Outcome::Voicemail),
        outcome => outcome,
    };
    let disposition = taken(&mut fields, "disposition", |value| {
        disposition(value.as_str()?)
    });
    let callback_at = taken(&mut fields, "callbackAt", instant);
    let answered = kind == ReportKind::Answered
        || outcome.is_some_and(|outcome| answered::proves_answer(outcome, &fields));
    Report {
        kind,
        outcome,
        answered,
        answered_at: answered::at(&fields),
        provider_call_id,
        reference,
        foreign: false,
        event_id,
        status,
        disposition,
        callback_at,
        result: bounded(fields),
    }
}

/// Takes a field of the protocol; if it is missing, one whose name differs only in case.
fn take(fields: &mut Map<String, Value>, own: &str) -> Option<Value> {
    let spelled = |name: &&String| name.eq_ignore_ascii_case(own);
    let name = if fields.contains_key(own) {
        own.to_owned()
    } else {
        fields.keys().find(spelled)?.clone()
    };
    fields.remove(&name)
}

/// The same for an optional field. What cannot be read stays in the result, where the rules of a campaign may read it.
fn taken<T>(
    fields: &mut Map<String, Value>,
    own: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = take(fields, own)?;
    let found = read(&value);
    if found.is_none() {
        fields.insert(own.to_owned(), value);
    }
    found
}

/// An event id in the form its redeliveries share: a UUID is the same in either case.
pub(crate) fn folded(id: String) -> String {
    match Uuid::try_parse(&id) {
        Ok(uuid) if uuid.hyphenated().to_string().eq_ignore_ascii_case(&id) => {
            id.to_ascii_lowercase()
        }
        _ => id,
    }
}

/// A name that the database can store and index, or `None`. Numbers count as names.
pub(super) fn name(value: Option<Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if text.is_empty() {
        None
    } else if text.chars().count() > LONGEST_NAME {
        // Truncation could make two names equal; a digest keeps them apart.
        Some(format!("{DIGEST}{}", hex::encode(Sha256::digest(&text))))
    } else {
        Some(text)
    }
}

/// Whether the name is the provider's own, so that the provider can be asked by it.
pub(super) fn is_verbatim(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(DIGEST)
}

/// What a platform says of a call, as a result that can be kept: the facts under their own names, the rest
/// under those that the platform gives them.
pub(super) fn result(facts: &Facts, rest: Map<String, Value>) -> Value {
    let mut fields = rest;
    if let Ok(Value::Object(facts)) = serde_json::to_value(facts) {
        fields.extend(facts);
    }
    bounded(fields)
}

#[cfg(test)]
mod tests;
