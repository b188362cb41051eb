//! What a response means: the table from status and code to [`Placement`].
//!
//! The invariant: `Placed` only with an id, `Refused` only if the provider says that there is no call, `Unknown` for
//! everything else. A doubt costs a look-up; a wrong certainty costs a person a second call.

use serde_json::Value;

use crate::{
    domain::{Concerns, Outcome, Placement, Refusal},
    provider::{
        Cancellation, Error,
        answer::{Answer, retry_after, spoken},
        protocol,
    },
};

/// Codes by which a 429 is about this number rather than the rate (Bland does that), and a 403 about this number
/// rather than the account.
const FORBIDDEN: [&str; 6] = [
    "BLACKLISTED",
    "BLOCKED",
    "DENYLISTED",
    "DO_NOT_CALL",
    "NUMBER_BLACKLISTED",
    "NUMBER_BLOCKED",
];
/// Codes saying that the number does not exist.
const NO_SUCH_NUMBER: [&str; 3] = [
    "INVALID_NUMBER",
    "INVALID_PHONE_NUMBER",
    "INVALID_DESTINATION",
];

/// What came of a place request that was answered.
pub(super) fn placement(answer: &Answer, key: Option<&str>) -> Placement {
    let said = Said::read(answer, key);
    let concerns = said.concerns();
    let why = said.why;
    match answer.status.as_u16() {
        200..=299 => match said.call_id {
            Some(provider_call_id) if !said.failed => Placement::Placed { provider_call_id },
            // It says that it failed, and names no call.
            None if said.failed => Placement::Refused(Refusal::Permanent {
                outcome: Outcome::Blocked,
                concerns,
                why,
            }),
            _ => Placement::Unknown { why },
        },
        401 | 402 => Placement::Refused(Refusal::Account { why }),
        403 if !said.forbidden && !said.no_such_number => {
            Placement::Refused(Refusal::Forbidden { why })
        }
        // Not in their own words, so this is not their API. A wrong address must pause the trunk, not fail a whole
        // campaign number by number.
        404 | 405 if said.codes.is_empty() => Placement::Refused(Refusal::Forbidden { why }),
        // A conflict on our own key: another request with it is, or was, under way. So there may be a call.
        408 | 409 => Placement::Unknown { why },
        412 if said.codes.iter().any(|code| code == "LATE") => Placement::Late,
        429 if !said.forbidden => capacity(answer, &said.body, why),
        // In the protocol 503 means "not accepted, try later". Any other 5xx may have failed after dialing.
        503 => capacity(answer, &said.body, why),
        400..=499 => {
            let outcome = if said.no_such_number {
                Outcome::InvalidNumber
            } else {
                Outcome::Blocked
            };
            Placement::Refused(Refusal::Permanent {
                outcome,
                concerns,
                why,
            })
        }
        // 3xx: the sender may have passed the request on.
        _ => Placement::Unknown { why },
    }
}

fn capacity(answer: &Answer, body: &Value, why: String) -> Placement {
    Placement::Refused(Refusal::Capacity {
        retry_after_sec: retry_after::seconds(&answer.headers, body),
        why,
    })
}

/// What became of a cancel request.
pub(super) fn cancellation(answer: &Answer, key: Option<&str>) -> Result<Cancellation, Error> {
    match answer.status.as_u16() {
        200..=299 => Ok(Cancellation::Agreed),
        404 | 409 | 410 => Ok(Cancellation::AlreadyOver),
        405 | 501 => Ok(Cancellation::Unsupported),
        _ => Err(refused(answer, key)),
    }
}

/// A response that is neither yes nor no, with its words.
pub(super) fn refused(answer: &Answer, key: Option<&str>) -> Error {
    Error::Refused {
        status: answer.status.as_u16(),
        why: Said::read(answer, key).why,
    }
}

/// What the response says.
struct Said {
    call_id: Option<String>,
    /// It says that the request failed.
    failed: bool,
    /// Everything that could be a code, normalised like a status word.
    codes: Vec<String>,
    /// It says that this number must not be called.
    forbidden: bool,
    no_such_number: bool,
    /// Status and words, safe to store.
    why: String,
    body: Value,
}

/// JSON pointers to where providers put codes.
const CODES: [&str; 8] = [
    "/code",
    "/error/code",
    "/errorCode",
    "/error_code",
    "/errors/0/code",
    "/error",
    "/status",
    "/error/status",
];

impl Said {
    const fn concerns(&self) -> Concerns {
        if self.no_such_number || self.forbidden {
            Concerns::Number
        } else {
            Concerns::Request
        }
    }

    fn read(answer: &Answer, key: Option<&str>) -> Self {
        let body = answer.json();
        let text = |pointer: &str| protocol::name(body.pointer(pointer).cloned());
        let codes: Vec<_> = CODES
            .into_iter()
            .filter_map(text)
            .map(|code| protocol::normal_word(&code))
            .collect();
        let spoken = spoken::words(&body).or_else(|| answer.plain_text());
        let is_one_of = |known: &[&str]| codes.iter().any(|code| known.contains(&code.as_str()));
        let forbidden = is_one_of(&FORBIDDEN)
            || spoken
                .iter()
                .any(|words| words.to_lowercase().contains("blacklisted"));
        let status = answer.status.as_str();
        let code = codes
            .iter()
            .find(|code| *code != status)
            .map(String::as_str);
        Self {
            why: answer.why(code, spoken.as_deref(), key),
            call_id: text("/callId"),
            failed: matches!(body.get("success"), Some(Value::Bool(false)))
                || text("/success").is_some_and(|word| word.eq_ignore_ascii_case("false")),
            no_such_number: is_one_of(&NO_SUCH_NUMBER),
            codes,
            forbidden,
            body,
        }
    }
}

#[cfg(test)]
mod tests;
