//! Retell's responses: the table from status and message.
//!
//! Retell documents one shape, `{"status": "error", "message": "..."}`, and of no 5xx that it placed nothing;
//! a repetition with the same key finds out.

use serde_json::Value;

use super::report;
use crate::{
    domain::{Concerns, Outcome, Placement, Reference, Refusal},
    provider::{
        Cancellation, Error, LookedUp,
        answer::{Answer, retry_after, spoken},
        platform::{most_telling, take},
        protocol,
    },
};

/// Retell's message for an id, number or agent that is not in the workspace.
const NOT_FOUND: &str = "cannot find requested asset";

/// Result of a dial request.
pub(super) fn placement(answer: &Answer, key: Option<&str>) -> Placement {
    let body = answer.json();
    let said = spoken::words(&body);
    let why = answer.why(
        None,
        said.as_deref().or(answer.plain_text().as_deref()),
        key,
    );
    let said = said.unwrap_or_default().to_lowercase();
    let permanent = |outcome, concerns| {
        Placement::Refused(Refusal::Permanent {
            outcome,
            concerns,
            why: why.clone(),
        })
    };
    match answer.status.as_u16() {
        200..=299 => match protocol::name(body.get("call_id").cloned()) {
            Some(provider_call_id) => Placement::Placed { provider_call_id },
            None => Placement::Unknown { why },
        },
        400 if ["do_not_call", "do not call", "dnc"]
            .iter()
            .any(|word| said.contains(word)) =>
        {
            permanent(Outcome::Blocked, Concerns::Number)
        }
        400 if said.contains("from_number") => permanent(Outcome::Blocked, Concerns::CallerId),
        400 if ["to_number", "e.164", "phone number"]
            .iter()
            .any(|word| said.contains(word)) =>
        {
            permanent(Outcome::InvalidNumber, Concerns::Number)
        }
        401 | 402 => Placement::Refused(Refusal::Account { why }),
        // Another request with our key may be under way.
        408 | 409 => Placement::Unknown { why },
        429 => Placement::Refused(Refusal::Capacity {
            retry_after_sec: retry_after::seconds(&answer.headers, &body),
            why,
        }),
        // Agent, caller id or workspace: several refused numbers tell which.
        400..=499 => Placement::Refused(Refusal::Forbidden { why }),
        _ => Placement::Unknown { why },
    }
}

/// Result of a request to end a call.
pub(super) fn cancellation(answer: &Answer, key: Option<&str>) -> Result<Cancellation, Error> {
    match answer.status.as_u16() {
        200..=299 => Ok(Cancellation::Agreed),
        404 => Ok(Cancellation::AlreadyOver),
        422 if is_not_found(answer) => Ok(Cancellation::AlreadyOver),
        _ => Err(refused(answer, key)),
    }
}

/// Result of a look-up by id.
pub(super) fn by_id(answer: &Answer, key: Option<&str>) -> Result<LookedUp, Error> {
    match answer.status.as_u16() {
        200 => match report::of_call(answer.json()) {
            Some(report) => Ok(LookedUp::Found(report)),
            None => Err(answer.unread("it cannot be read as a call")),
        },
        404 => Ok(LookedUp::NotFound),
        422 if is_not_found(answer) => Ok(LookedUp::NotFound),
        _ => Err(refused(answer, key)),
    }
}

/// Result of a look-up by reference.
pub(super) fn by_reference(
    answer: &Answer,
    dial: Reference,
    key: Option<&str>,
) -> Result<LookedUp, Error> {
    if answer.status != 200 {
        return Err(refused(answer, key));
    }
    let Value::Array(items) = take(&mut answer.json(), "items") else {
        return Err(answer.unread("it cannot be read as a list of calls"));
    };
    let is_empty = items.is_empty();
    let reference = dial.to_string();
    // A filter that Retell ignored would list other dials' calls.
    let ours = items
        .into_iter()
        .filter(|item| report::reference(item).as_ref() == Some(&reference))
        .filter_map(report::of_call);
    match most_telling(ours, dial) {
        Some(report) => Ok(LookedUp::Found(report)),
        None if is_empty => Ok(LookedUp::NotFound),
        None => Err(answer.unread("no call in the list carries the reference")),
    }
}

fn is_not_found(answer: &Answer) -> bool {
    spoken::words(&answer.json()).is_some_and(|said| said.to_lowercase().contains(NOT_FOUND))
}

fn refused(answer: &Answer, key: Option<&str>) -> Error {
    Error::Refused {
        status: answer.status.as_u16(),
        why: answer.why(None, spoken::words(&answer.json()).as_deref(), key),
    }
}
