//! Bland's responses: the table from status and message.
//!
//! A status alone says little: a 429 may be permanent, and a 200 may be an error. Bland documents of no 5xx
//! that nothing was placed.

use serde_json::Value;

use super::report;
use crate::{
    domain::{Concerns, Outcome, Placement, Refusal},
    provider::{
        Error, LookedUp,
        answer::{Answer, retry_after, spoken},
        platform::{take, text},
        protocol,
    },
};

/// Seconds between two calls to one number.
const SAME_NUMBER: u32 = 10;

/// Result of a dial request.
pub(super) fn placement(answer: &Answer, key: Option<&str>) -> Placement {
    let body = answer.json();
    let said = spoken::words(&body);
    let why = answer.why(
        None,
        said.as_deref().or(answer.plain_text().as_deref()),
        key,
    );
    let by_words = || by_words(answer, &body, &why);
    let refused = Placement::Refused;
    match answer.status.as_u16() {
        200..=299 => match (
            protocol::name(body.get("call_id").cloned()),
            is_error(&body),
        ) {
            (Some(provider_call_id), false) => Placement::Placed { provider_call_id },
            (None, true) => by_words().map_or(Placement::Unknown { why: why.clone() }, refused),
            _ => Placement::Unknown { why },
        },
        400 if says(&body, &["unable to queue", "unable to save"]) => Placement::Unknown { why },
        401 | 402 => refused(Refusal::Account { why }),
        408 | 409 => Placement::Unknown { why },
        // About what the script wants the call to do.
        418 => refused(refusal(Concerns::Script, why)),
        429 => refused(by_words().unwrap_or_else(|| Refusal::Capacity {
            retry_after_sec: retry_after::seconds(&answer.headers, &body),
            why: why.clone(),
        })),
        400 | 404 => refused(by_words().unwrap_or_else(|| Refusal::Forbidden { why: why.clone() })),
        // Account or request: several refused numbers tell which.
        403..=499 => refused(Refusal::Forbidden { why }),
        _ => Placement::Unknown { why },
    }
}

/// By the words, where they are documented. The first match counts.
fn by_words(answer: &Answer, body: &Value, why: &str) -> Option<Refusal> {
    let why = || why.to_owned();
    let of_number = |outcome| Refusal::Permanent {
        outcome,
        concerns: Concerns::Number,
        why: why(),
    };
    let is_dnc = text(body, "/status").is_some_and(|status| status.to_lowercase().contains("dnc"));
    let has = |parts: &[&str]| says(body, parts);
    // Bland blocks accounts that retry a number of a do-not-call list.
    Some(
        if is_dnc || has(&["sensitive numbers", "dnc list", "blacklisted"]) {
            of_number(Outcome::Blocked)
        } else if has(&["to the same number"]) {
            Refusal::NumberLimit {
                retry_after_sec: Some(SAME_NUMBER),
                why: why(),
            }
        } else if has(&["rate limit", "newly created accounts"]) {
            Refusal::Capacity {
                retry_after_sec: retry_after::seconds(&answer.headers, body),
                why: why(),
            }
        } else if has(&["insufficient balance", "no billing record"]) {
            Refusal::Account { why: why() }
        } else if has(&["invalid from", "invalid 'from'"]) {
            refusal(Concerns::CallerId, why())
        } else if has(&["pathway"]) {
            refusal(Concerns::Script, why())
        } else if has(&["flagged"]) {
            refusal(Concerns::Request, why())
        } else if has(&["invalid phone number"]) {
            of_number(Outcome::InvalidNumber)
        } else {
            return None;
        },
    )
}

const fn refusal(concerns: Concerns, why: String) -> Refusal {
    Refusal::Permanent {
        outcome: Outcome::Blocked,
        concerns,
        why,
    }
}

fn says(body: &Value, parts: &[&str]) -> bool {
    let said = spoken::words(body).unwrap_or_default().to_lowercase();
    parts.iter().any(|part| said.contains(part))
}

fn is_error(body: &Value) -> bool {
    text(body, "/status").is_none_or(|status| status != "success")
}

/// Whether the call will end.
pub(super) fn is_stopped(answer: &Answer) -> bool {
    answer.status.is_success() && !is_error(&answer.json())
}

/// Result of a look-up by id.
pub(super) fn by_id(answer: &Answer, key: Option<&str>) -> Result<LookedUp, Error> {
    match answer.status.as_u16() {
        200 => match report::of_call(answer.json()) {
            Some(report) => Ok(LookedUp::Found(report)),
            None => Err(answer.unread("it cannot be read as a call")),
        },
        404 => Ok(LookedUp::NotFound),
        _ => Err(refused(answer, key)),
    }
}

/// Calls of a list page, and the total number.
pub(super) fn page(answer: &Answer, key: Option<&str>) -> Result<(Vec<Value>, usize), Error> {
    if answer.status != 200 {
        return Err(refused(answer, key));
    }
    let mut body = answer.json();
    let total = body.get("total_count").and_then(Value::as_u64);
    match (take(&mut body, "calls"), total.map(usize::try_from)) {
        (Value::Array(calls), Some(Ok(total))) => Ok((calls, total)),
        _ => Err(answer.unread("it cannot be read as a list of calls")),
    }
}

pub(super) fn refused(answer: &Answer, key: Option<&str>) -> Error {
    Error::Refused {
        status: answer.status.as_u16(),
        why: answer.why(None, spoken::words(&answer.json()).as_deref(), key),
    }
}
