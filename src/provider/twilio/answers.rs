//! Twilio's responses: the table from status and code.
//!
//! `{"code": 21211, "message": "...", "status": 400}`. The code decides, and only within 4xx: of its own
//! errors Twilio says that a repeated POST may place a second call, so they may have placed the first.

use serde_json::Value;

use super::report;
use crate::{
    domain::{Concerns, Outcome, Placement, Refusal},
    provider::{
        Cancellation, Error, LookedUp,
        answer::{Answer, retry_after, spoken},
        platform::text,
        protocol,
    },
};

/// Code for an update of a call that is over.
const NOT_IN_PROGRESS: &str = "21220";
const NOT_FOUND: &str = "20404";

/// Result of a dial request.
///
/// `is_own_from`: the caller id came with the call, and not from the trunk, whose other calls would be
/// refused as well.
pub(super) fn placement(answer: &Answer, is_own_from: bool, key: Option<&str>) -> Placement {
    let said = Said::read(answer, key);
    let why = said.why;
    let permanent = |outcome, concerns, why| {
        Placement::Refused(Refusal::Permanent {
            outcome,
            concerns,
            why,
        })
    };
    match answer.status.as_u16() {
        200..=299 => match text(&said.body, "/sid").filter(|sid| sid.starts_with("CA")) {
            Some(provider_call_id) => Placement::Placed { provider_call_id },
            None => Placement::Unknown { why },
        },
        401 | 402 => Placement::Refused(Refusal::Account { why }),
        408 => Placement::Unknown { why },
        400..=499 => match said.code.as_deref().unwrap_or_default() {
            // Wrong credentials; an inactive account.
            "20003" | "20005" | "10001" => Placement::Refused(Refusal::Account { why }),
            "21211" | "21214" | "21217" => permanent(Outcome::InvalidNumber, Concerns::Number, why),
            // No number at all: an error of our request, which the next one would repeat.
            "21201" => permanent(Outcome::InvalidNumber, Concerns::Request, why),
            // A premium number.
            "21202" => permanent(Outcome::Blocked, Concerns::Number, why),
            // Country permissions, a missing customer profile, a trial account: these name the number, but
            // the next one is refused for the same reason.
            "21203" | "21215" | "21216" | "21219" | "573005" => {
                permanent(Outcome::Blocked, Concerns::Request, why)
            }
            // The address of the script.
            "21205" => permanent(Outcome::Blocked, Concerns::Script, why),
            "21210" | "21212" if is_own_from => {
                permanent(Outcome::Blocked, Concerns::CallerId, why)
            }
            "10004" | "20429" | "22005" => capacity(answer, &said.body, why),
            // About calls that are up: not a response to a dial, so its meaning is unknown.
            "21204" | NOT_IN_PROGRESS => Placement::Unknown { why },
            _ if answer.status == 429 => capacity(answer, &said.body, why),
            // Caller id, account or request: several refused numbers tell which.
            _ => Placement::Refused(Refusal::Forbidden { why }),
        },
        _ => Placement::Unknown { why },
    }
}

fn capacity(answer: &Answer, body: &Value, why: String) -> Placement {
    Placement::Refused(Refusal::Capacity {
        retry_after_sec: retry_after::seconds(&answer.headers, body),
        why,
    })
}

/// Result of a request to end a call.
pub(super) fn cancellation(answer: &Answer, key: Option<&str>) -> Result<Cancellation, Error> {
    let said = Said::read(answer, key);
    match (answer.status.as_u16(), said.code.as_deref()) {
        (200..=299, _) => Ok(Cancellation::Agreed),
        // Deleted, or of another region, and cannot be ended from here.
        (400, Some(NOT_IN_PROGRESS)) | (404, Some(NOT_FOUND)) => Ok(Cancellation::AlreadyOver),
        (status, _) => Err(Error::Refused {
            status,
            why: said.why,
        }),
    }
}

/// The call is still queued or ringing after the request to end it.
pub(super) fn still_waits(answer: &Answer) -> bool {
    let status = text(&answer.json(), "/status").unwrap_or_default();
    answer.status.is_success() && ["queued", "ringing"].contains(&status.as_str())
}

/// Result of a look-up by id.
pub(super) fn by_id(answer: &Answer, key: Option<&str>) -> Result<LookedUp, Error> {
    let said = Said::read(answer, key);
    match (answer.status.as_u16(), said.code.as_deref()) {
        (200, _) => match report::of_call(&said.body) {
            Some(report) => Ok(LookedUp::Found(report)),
            None => Err(answer.unread("it cannot be read as a call")),
        },
        (404, Some(NOT_FOUND)) => Ok(LookedUp::NotFound),
        (status, _) => Err(Error::Refused {
            status,
            why: said.why,
        }),
    }
}

/// Contents of the body.
struct Said {
    /// A number, or a number as text.
    code: Option<String>,
    /// Status and words, safe to store.
    why: String,
    body: Value,
}

impl Said {
    fn read(answer: &Answer, key: Option<&str>) -> Self {
        let body = answer.json();
        let code = protocol::name(body.get("code").cloned());
        let words = spoken::words(&body).or_else(|| answer.plain_text());
        Self {
            why: answer.why(code.as_deref(), words.as_deref(), key),
            code,
            body,
        }
    }
}
