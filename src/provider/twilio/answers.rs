//! What Twilio answers to a request: the table from status and code.
//!
//! `{"code": 21211, "message": "...", "status": 400}`. The code decides, and within 4xx alone: of an error of
//! its own Twilio says that a POST sent again may place a second call, so it may have placed the first.

use serde_json::Value;

use super::report;
use crate::{
    domain::{Outcome, Placement, Refusal},
    provider::{
        Cancellation, Error, LookedUp,
        answer::{Answer, retry_after, spoken},
        platform::text,
        protocol,
    },
};

/// An update of a call that is over.
const NOT_IN_PROGRESS: &str = "21220";
const NOT_FOUND: &str = "20404";

/// What came of asking for a call. `is_own_from`: the number to call from came with the call, and not from
/// the trunk, whose other calls would be refused as well.
pub(super) fn placement(answer: &Answer, is_own_from: bool, key: Option<&str>) -> Placement {
    let said = Said::read(answer, key);
    let why = said.why;
    let permanent = |outcome, of_number, why| {
        Placement::Refused(Refusal::Permanent {
            outcome,
            of_number,
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
            // Wrong credentials; an account that is not active.
            "20003" | "20005" | "10001" => Placement::Refused(Refusal::Account { why }),
            "21211" | "21214" | "21217" => permanent(Outcome::InvalidNumber, true, why),
            // No number at all: our request, and the next one would have none either.
            "21201" => permanent(Outcome::InvalidNumber, false, why),
            // A premium number.
            "21202" => permanent(Outcome::Blocked, true, why),
            // The account's settings for a country, its missing customer profile, its trial: they name the
            // number, and the next one is refused for the same. And the address of the script.
            "21203" | "21215" | "21216" | "21219" | "573005" | "21205" => {
                permanent(Outcome::Blocked, false, why)
            }
            "21210" | "21212" if is_own_from => permanent(Outcome::Blocked, false, why),
            "10004" | "20429" | "22005" => capacity(answer, &said.body, why),
            // Calls that are up: never an answer to this request, so nobody knows what it means.
            "21204" | NOT_IN_PROGRESS => Placement::Unknown { why },
            _ if answer.status == 429 => capacity(answer, &said.body, why),
            // The trunk's number, the account, or the request: several calls tell.
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

/// What came of asking for the end of a call.
pub(super) fn cancellation(answer: &Answer, key: Option<&str>) -> Result<Cancellation, Error> {
    let said = Said::read(answer, key);
    match (answer.status.as_u16(), said.code.as_deref()) {
        (200..=299, _) => Ok(Cancellation::Agreed),
        // Deleted, or of another region, where nobody could end it from here.
        (400, Some(NOT_IN_PROGRESS)) | (404, Some(NOT_FOUND)) => Ok(Cancellation::AlreadyOver),
        (status, _) => Err(Error::Refused {
            status,
            why: said.why,
        }),
    }
}

/// Asked for its end, it is in Twilio's queue or ringing all the same.
pub(super) fn still_waits(answer: &Answer) -> bool {
    let status = text(&answer.json(), "/status").unwrap_or_default();
    answer.status.is_success() && ["queued", "ringing"].contains(&status.as_str())
}

/// What came of asking for the call with an id.
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

/// What the body says.
struct Said {
    /// A number, or a text of one.
    code: Option<String>,
    /// Status and words, safe to keep.
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
