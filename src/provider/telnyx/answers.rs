//! Telnyx's responses: the table from status, code and the field that it points at.
//!
//! `{"errors": [{"code": "10016", "detail": "...", "source": {"pointer": "/to"}}]}`. Violations of country
//! rules, limits or balance are reported later, by the event of the call's end.

use serde_json::Value;

use crate::{
    domain::{Concerns, Outcome, Placement, Refusal},
    provider::{
        Cancellation, Error,
        answer::{Answer, retry_after, spoken},
        platform::{take, text},
        protocol,
    },
};

/// Codes for a command to a call that is over or unknown.
const OVER: [&str; 2] = ["90015", "90018"];
/// Words of a refusal that concerns the destination.
const DESTINATION: [&str; 3] = ["destination", "dialed number", "whitelist"];

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
    let forbidden = |why| Placement::Refused(Refusal::Forbidden { why });
    match answer.status.as_u16() {
        200..=299 => {
            let id = said.body.pointer("/data/call_control_id").cloned();
            match protocol::name(id) {
                Some(provider_call_id) => Placement::Placed { provider_call_id },
                None => Placement::Unknown { why },
            }
        }
        401 | 402 => Placement::Refused(Refusal::Account { why }),
        // Another request with our command id may be under way.
        408 | 409 => Placement::Unknown { why },
        429 => capacity(answer, &said.body, why),
        400..=499 => match (said.code.as_str(), said.field.as_str()) {
            // Internal errors, and errors of commands to existing calls: their meaning here is unknown.
            ("10007" | "10008" | "10012" | "90015" | "90018", _) => Placement::Unknown { why },
            ("10009", _) => Placement::Refused(Refusal::Account { why }),
            ("10011" | "90103", _) => capacity(answer, &said.body, why),
            (_, "to") => permanent(Outcome::InvalidNumber, Concerns::Number, why),
            ("10001", _) | (_, "from") if is_own_from => {
                permanent(Outcome::Blocked, Concerns::CallerId, why)
            }
            ("10001", _) | (_, "from") => forbidden(why),
            // One of the two numbers; it does not say which.
            ("10002" | "10016", "") => permanent(Outcome::InvalidNumber, Concerns::Request, why),
            (_, "assistant") => permanent(Outcome::Blocked, Concerns::Script, why),
            ("10010", _) if DESTINATION.iter().any(|word| said.detail.contains(word)) => {
                permanent(Outcome::Blocked, Concerns::Request, why)
            }
            // Account, application or request: several refused numbers tell which.
            _ => forbidden(why),
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
    match answer.status.as_u16() {
        200..=299 => Ok(Cancellation::Agreed),
        400..=499 if OVER.contains(&said.code.as_str()) => Ok(Cancellation::AlreadyOver),
        404 if said.is_not_found() => Ok(Cancellation::AlreadyOver),
        _ => Err(said.refused(answer)),
    }
}

/// Result of a look-up by id: the call, or none.
pub(super) fn call(answer: &Answer, key: Option<&str>) -> Result<Option<Value>, Error> {
    let mut said = Said::read(answer, key);
    match answer.status.as_u16() {
        200 => match take(&mut said.body, "data") {
            call @ Value::Object(_) if call.get("call_control_id").is_some() => Ok(Some(call)),
            _ => Err(answer.unread("it cannot be read as a call")),
        },
        404 if said.is_not_found() => Ok(None),
        422 if OVER.contains(&said.code.as_str()) => Ok(None),
        _ => Err(said.refused(answer)),
    }
}

/// A page of a list.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    /// Number of pages, if stated.
    pub(super) total: Option<usize>,
}

pub(super) fn page(answer: &Answer, key: Option<&str>) -> Result<Page, Error> {
    let mut said = Said::read(answer, key);
    if answer.status != 200 {
        return Err(said.refused(answer));
    }
    let total = said
        .body
        .pointer("/meta/total_pages")
        .and_then(Value::as_u64);
    match take(&mut said.body, "data") {
        Value::Array(items) => Ok(Page {
            items,
            total: total.and_then(|total| total.try_into().ok()),
        }),
        _ => Err(answer.unread("it cannot be read as a list")),
    }
}

/// Contents of the body.
struct Said {
    code: String,
    /// First part of the field that it points at.
    field: String,
    /// In lower case.
    detail: String,
    /// Status and words, safe to store.
    why: String,
    body: Value,
}

impl Said {
    fn read(answer: &Answer, key: Option<&str>) -> Self {
        let body = answer.json();
        let code = protocol::name(body.pointer("/errors/0/code").cloned());
        let pointer = text(&body, "/errors/0/source/pointer").unwrap_or_default();
        let field = pointer.trim_start_matches('/').split('/').next();
        let words = spoken::words(&body).filter(|_| !answer.status.is_success());
        let words = words.or_else(|| answer.plain_text());
        Self {
            why: answer.why(code.as_deref(), words.as_deref(), key),
            code: code.unwrap_or_default(),
            field: field.unwrap_or_default().to_owned(),
            detail: words.unwrap_or_default().to_lowercase(),
            body,
        }
    }

    fn is_not_found(&self) -> bool {
        self.code == "10005"
    }

    fn refused(self, answer: &Answer) -> Error {
        Error::Refused {
            status: answer.status.as_u16(),
            why: self.why,
        }
    }
}
