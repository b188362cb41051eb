//! Vapi's responses: the table from status and message.
//!
//! Vapi documents 201, 400 and 500, and of no 5xx that it placed nothing.

use hyper::{Uri, http::uri::Authority};
use serde_json::Value;

use super::{ended, report};
use crate::{
    domain::{Concerns, Outcome, Placement, Reference, Refusal},
    provider::{
        Cancellation, Error, LookedUp,
        answer::{Answer, retry_after, spoken},
        platform::{most_telling, text},
        protocol,
    },
};

/// Result of a dial request.
pub(super) fn placement(answer: &Answer, key: Option<&str>) -> Placement {
    let body = answer.json();
    let said = spoken::words(&body);
    let why = answer.why(
        None,
        said.as_deref().or(answer.plain_text().as_deref()),
        key,
    );
    let refused = Placement::Refused;
    match answer.status.as_u16() {
        200..=299 => match protocol::name(body.get("id").cloned()) {
            Some(id) => accepted(id, &body, |reason| answer.why(Some(reason), None, key)),
            None => Placement::Unknown { why },
        },
        400 => refused(bad_request(&said.unwrap_or_default().to_lowercase(), why)),
        401 | 402 => refused(Refusal::Account { why }),
        408 | 409 => Placement::Unknown { why },
        429 => refused(Refusal::Capacity {
            retry_after_sec: retry_after::seconds(&answer.headers, &body),
            why,
        }),
        // Assistant, caller id or organization: several refused numbers tell which.
        403..=499 => refused(Refusal::Forbidden { why }),
        _ => Placement::Unknown { why },
    }
}

/// An accepted call may have failed at once, before it rang.
fn accepted(provider_call_id: String, body: &Value, why: impl FnOnce(&str) -> String) -> Placement {
    let is_over = text(body, "/status").is_some_and(|status| status == "ended");
    let reason = text(body, "/endedReason").filter(|_| is_over);
    let reason = reason.unwrap_or_default();
    let Some(outcome) = ended::before_the_call(&reason) else {
        // Includes a call that waits for another call of the organization to end.
        return Placement::Placed { provider_call_id };
    };
    let why = why(&reason);
    Placement::Refused(match outcome {
        Outcome::Capacity => Refusal::Capacity {
            retry_after_sec: None,
            why,
        },
        Outcome::Account if reason.contains("-subscription-") => Refusal::Account { why },
        Outcome::Account => Refusal::Forbidden { why },
        Outcome::Blocked => Refusal::Permanent {
            outcome,
            concerns: if reason.ends_with("-international") {
                Concerns::Number
            } else {
                Concerns::Request
            },
            why,
        },
        _ => Refusal::Transient { why },
    })
}

/// By the words, since nothing else tells what is wrong. The first match counts.
fn bad_request(said: &str, why: String) -> Refusal {
    let has = |part: &str| said.contains(part);
    // Whole words: a `backoffPlan` is not a plan that has to be paid for.
    let names = |words: &[&str]| {
        said.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| words.contains(&word))
    };
    let permanent = |outcome| Refusal::Permanent {
        outcome,
        concerns: Concerns::Number,
        why: why.clone(),
    };
    if has("concurrency") || (has("daily") && has("limit")) {
        Refusal::Capacity {
            retry_after_sec: None,
            why,
        }
    } else if has("customer.number") || has("e.164") {
        permanent(Outcome::InvalidNumber)
    } else if has("should not") || has("must ") {
        // Something in the request, possibly only in this script's.
        Refusal::Forbidden { why }
    } else if names(&[
        "credit",
        "credits",
        "wallet",
        "billing",
        "subscription",
        "frozen",
        "payment",
        "plan",
    ]) {
        Refusal::Account { why }
    } else if has("international") {
        permanent(Outcome::Blocked)
    } else {
        Refusal::Forbidden { why }
    }
}

/// Result of a look-up by id.
pub(super) fn by_id(answer: &Answer, address: &str, key: Option<&str>) -> Result<LookedUp, Error> {
    match answer.status.as_u16() {
        200 => match report::of_call(answer.json(), address) {
            Some(report) => Ok(LookedUp::Found(report)),
            None => Err(answer.unread("it cannot be read as a call")),
        },
        404 => Ok(LookedUp::NotFound),
        _ => Err(refused(answer, key)),
    }
}

/// Calls made within a period.
#[derive(Debug, PartialEq)]
pub(super) enum Page {
    /// All calls of the period.
    Whole(Vec<Value>),
    /// There are more, in an undocumented order, or they are too large to read.
    Cut,
}

/// Result of listing at most `limit` calls.
pub(super) fn page(answer: &Answer, limit: usize, key: Option<&str>) -> Result<Page, Error> {
    if answer.status != 200 {
        return Err(refused(answer, key));
    }
    match answer.json() {
        Value::Array(calls) if calls.len() < limit => Ok(Page::Whole(calls)),
        Value::Array(_) => Ok(Page::Cut),
        _ if answer.body.is_empty() => Ok(Page::Cut),
        _ => Err(answer.unread("it cannot be read as a list of calls")),
    }
}

/// Our call among all calls of a period.
pub(super) fn by_reference(calls: Vec<Value>, dial: Reference, address: &str) -> LookedUp {
    let reference = dial.to_string();
    let ours = calls
        .into_iter()
        .filter(|call| report::reference(call).as_ref() == Some(&reference))
        .filter_map(|call| report::of_call(call, address));
    most_telling(ours, dial).map_or(LookedUp::NotFound, LookedUp::Found)
}

/// URL that takes commands for a live call, if it belongs to Vapi: it comes from the call object, which is
/// untrusted.
pub(super) fn control_url(call: &Value, id: &str, address: &str) -> Option<Uri> {
    let url: Uri = text(call, "/monitor/controlUrl")?.parse().ok()?;
    let ours: Uri = address.parse().ok()?;
    let is_vapi = url.scheme_str() == Some("https")
        && url.host()?.ends_with(".vapi.ai")
        && url.authority().and_then(Authority::port_u16).is_none();
    let is_ours = url.scheme() == ours.scheme() && url.authority() == ours.authority();
    let is_control = url.path().ends_with(&format!("/{id}/control"));
    let has_user = url.authority()?.as_str().contains('@');
    ((is_vapi || is_ours) && is_control && !has_user).then_some(url)
}

/// Result of a request to end a call.
pub(super) fn cancellation(answer: &Answer, key: Option<&str>) -> Result<Cancellation, Error> {
    if answer.status.is_success() {
        Ok(Cancellation::Agreed)
    } else {
        Err(refused(answer, key))
    }
}

pub(super) fn refused(answer: &Answer, key: Option<&str>) -> Error {
    Error::Refused {
        status: answer.status.as_u16(),
        why: answer.why(None, spoken::words(&answer.json()).as_deref(), key),
    }
}
