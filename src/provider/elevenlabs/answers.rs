//! ElevenLabs' responses: the table from status and message.
//!
//! A 200 may say `success: false` with the carrier's words. Twilio refuses before it dials, so its words are
//! certain; on a SIP trunk an INVITE may have gone out.

use serde_json::Value;

use super::{Carrier, report};
use crate::{
    domain::{Concerns, Outcome, Placement, Refusal},
    provider::{
        Error, LookedUp,
        answer::{Answer, retry_after, spoken},
        platform::{take, text},
        protocol,
    },
};

/// Result of a dial request.
pub(super) fn placement(answer: &Answer, carrier: Carrier, key: Option<&str>) -> Placement {
    let body = answer.json();
    let said = spoken::words(&body);
    let why = answer.why(
        None,
        said.as_deref().or(answer.plain_text().as_deref()),
        key,
    );
    let refused = Placement::Refused;
    let code = text(&body, "/detail/status").unwrap_or_default();
    match answer.status.as_u16() {
        200..=299 => {
            let is_good = body.get("success").and_then(Value::as_bool);
            let name = |field: &str| protocol::name(body.get(field).cloned());
            let id = name("conversation_id");
            let is_certain =
                carrier == Carrier::Twilio && id.is_none() && name("callSid").is_none();
            match (is_good, id) {
                (Some(true), Some(provider_call_id)) => Placement::Placed { provider_call_id },
                (Some(false), _) if is_certain => by_carrier(&said.unwrap_or_default(), why),
                // It can be found by the reference.
                _ => Placement::Unknown { why },
            }
        }
        400 if ["invalid_api_key", "quota_exceeded"].contains(&code.as_str()) => {
            refused(Refusal::Account { why })
        }
        401 | 402 => refused(Refusal::Account { why }),
        408 | 409 | 425 => Placement::Unknown { why },
        422 if names_number(&body) => refused(Refusal::Permanent {
            outcome: Outcome::InvalidNumber,
            concerns: Concerns::Number,
            why,
        }),
        429 => refused(Refusal::Capacity {
            retry_after_sec: retry_after::seconds(&answer.headers, &body),
            why,
        }),
        // Agent, caller id or plan: several refused numbers tell which.
        400..=499 => refused(Refusal::Forbidden { why }),
        _ => Placement::Unknown { why },
    }
}

/// Whether it points at the number: `{"detail": [{"loc": ["body", "to_number"], "msg": "..."}]}`
fn names_number(body: &Value) -> bool {
    let items = body.pointer("/detail").and_then(Value::as_array);
    items.into_iter().flatten().any(|item| {
        let place = item.get("loc").and_then(Value::as_array);
        place.and_then(|place| place.last()?.as_str()) == Some("to_number")
    })
}

/// Twilio's refusal as ElevenLabs words it: `HTTP 401 error: ...`.
fn by_carrier(said: &str, why: String) -> Placement {
    let said = said.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    // Whole words: a code may also be part of a longer number.
    let names = |words: &[&str]| {
        said.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| words.contains(&word))
    };
    let status = said
        .strip_prefix("http ")
        .and_then(|rest| rest.split(' ').next()?.parse::<u16>().ok());
    let of_number = |outcome| Refusal::Permanent {
        outcome,
        concerns: Concerns::Number,
        why: why.clone(),
    };
    Placement::Refused(match status {
        Some(500..) => return Placement::Unknown { why },
        Some(429) => Refusal::Capacity {
            retry_after_sec: None,
            why,
        },
        Some(401) => Refusal::Account { why },
        _ if has(&["not a valid phone number"]) || names(&["21211", "21217", "13224"]) => {
            of_number(Outcome::InvalidNumber)
        }
        // A trial account, or a caller id that does not belong to the account.
        _ if has(&["not yet verified", "source phone number"]) || names(&["21219", "21210"]) => {
            Refusal::Forbidden { why }
        }
        _ if has(&["permission to"]) || names(&["21215", "13227", "geo", "geographic"]) => {
            of_number(Outcome::Blocked)
        }
        _ if has(&["authenticate"]) => Refusal::Account { why },
        Some(403) => Refusal::Forbidden { why },
        _ => return Placement::Unknown { why },
    })
}

/// Result of a look-up by id.
pub(super) fn by_id(answer: &Answer, address: &str, key: Option<&str>) -> Result<LookedUp, Error> {
    match answer.status.as_u16() {
        200 => match report::of_conversation(answer.json(), address) {
            Some(report) => Ok(LookedUp::Found(report)),
            None => Err(answer.unread("it cannot be read as a conversation")),
        },
        404 => Ok(LookedUp::NotFound),
        _ => Err(refused(answer, key)),
    }
}

/// Ids of the conversations listed for one reference.
pub(super) fn listed(answer: &Answer, key: Option<&str>) -> Result<Vec<String>, Error> {
    if answer.status != 200 {
        return Err(refused(answer, key));
    }
    let Value::Array(items) = take(&mut answer.json(), "conversations") else {
        return Err(answer.unread("it cannot be read as a list of conversations"));
    };
    let id = |item: &Value| protocol::name(item.get("conversation_id").cloned());
    let ids: Option<Vec<_>> = items.iter().map(id).collect();
    ids.ok_or_else(|| answer.unread("a conversation in the list has no id"))
}

fn refused(answer: &Answer, key: Option<&str>) -> Error {
    Error::Refused {
        status: answer.status.as_u16(),
        why: answer.why(None, spoken::words(&answer.json()).as_deref(), key),
    }
}
