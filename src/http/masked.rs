//! What a key may not see: numbers are masked, and what was said with them is hidden.
//!
//! A response to a masked key passes through [`response`], whatever its handler. Nothing gets through that is not
//! understood: problems and JSON are walked field by field, and other bodies are refused unless their handler has masked them
//! ([`Masked`]). What is hidden goes by the name of the field, and in every other text whatever looks like a telephone
//! number is masked, so a field that is added later shows no number.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use chrono::{DateTime, NaiveDate};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{body::JSON, problem::Problem};

/// What stands for a hidden value.
const HIDDEN: &str = "***";
/// Digits in a row, ignoring separators, that are taken for a telephone number.
const NUMBER_DIGITS: usize = 7;
/// Digits of a number that are shown: the first and the last.
const SHOWN: (usize, usize) = (3, 2);

/// Of a response: its handler has masked it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masked;

/// The response as a masked key may see it.
pub(super) async fn response(response: Response) -> Result<Response, Problem> {
    let (mut parts, body) = response.into_parts();
    if let Some(problem) = parts.extensions.get_mut::<Problem>() {
        problem.mask(mask_text);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.map(HeaderValue::as_bytes);
    if kind.is_none() || parts.extensions.get::<Masked>().is_some() {
        return Ok(Response::from_parts(parts, body));
    }
    if kind != Some(JSON.as_bytes()) {
        tracing::error!("a response that nobody has masked was held back");
        return Err(Problem::internal());
    }
    let text = body.collect().await;
    let text = text
        .map_err(|error| Problem::internal().cause(error))?
        .to_bytes();
    let mut value: Value =
        serde_json::from_slice(&text).map_err(|error| Problem::internal().cause(error))?;
    mask(&mut value);
    let text = serde_json::to_vec(&value).map_err(|error| Problem::internal().cause(error))?;
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(text)))
}

/// Masks a JSON value of the API.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::String(text) => mask_text(text),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
            if is_hidden(name) {
                hide(value);
            } else if !is_a_name(name) || value.is_array() || value.is_object() {
                mask(value);
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Fields that say what was said, or that callers and providers fill as they like.
fn is_hidden(field: &str) -> bool {
    [
        "metadata",
        "result",
        "report",
        "body",
        "bodyBase64",
        "idempotencyKey",
        "consentRef",
    ]
    .contains(&field)
}

/// Fields that name things by ids, or are random, in which digits are no telephone number.
fn is_a_name(field: &str) -> bool {
    let known = [
        "id",
        "cursor",
        "nextCursor",
        "reference",
        "traceparent",
        "hint",
        "secret",
    ];
    known.contains(&field) || field.ends_with("Id") || field.ends_with("_id")
}

/// Hides every value; the shape stays.
fn hide(value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => *value = HIDDEN.into(),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => {
            let hidden = std::mem::take(fields).into_iter();
            *fields = hidden
                .map(|(mut name, mut value)| {
                    mask_text(&mut name);
                    hide(&mut value);
                    (name, value)
                })
                .collect::<Map<_, _>>();
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Masks whatever looks like a telephone number: a run of digits, however it is spaced.
pub(super) fn mask_text(text: &mut String) {
    let is_other = DateTime::parse_from_rfc3339(text).is_ok()
        || text.parse::<NaiveDate>().is_ok()
        || text.parse::<Uuid>().is_ok();
    if is_other || text.chars().filter(|c| c.is_numeric()).count() < NUMBER_DIGITS {
        return;
    }
    let mut chars: Vec<char> = text.chars().collect();
    let (mut run, mut at) = (Vec::new(), 0);
    while at <= chars.len() {
        let other = if !run.is_empty() {
            0
        } else if is_date(&chars, at) {
            DATE.len()
        } else if is_id(&chars, at) {
            ID
        } else {
            0
        };
        if other > 0 {
            at += other;
            continue;
        }
        match chars.get(at) {
            Some(c) if c.is_numeric() => run.push(at),
            Some(c) if !run.is_empty() && separates(*c) => {}
            _ => mask_run(&mut chars, &std::mem::take(&mut run)),
        }
        at += 1;
    }
    *text = chars.into_iter().collect();
}

/// How our own texts write a date, whose digits are no number: `2026-11-30 18:00:00Z`.
const DATE: &[u8] = b"2000-00-00";

/// Whether a date of this century begins here, and no digit or sign stands before or after it.
fn is_date(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    let after = chars.get(at + DATE.len());
    let stands = |c: Option<&char>| c.is_none_or(|c| !c.is_numeric() && !"+-".contains(*c));
    let Some(date) = chars.get(at..at + DATE.len()) else {
        return false;
    };
    let date: String = date.iter().collect();
    date.starts_with("20") && date.parse::<NaiveDate>().is_ok() && stands(before) && stands(after)
}

/// Length of an id as our own texts write it.
const ID: usize = uuid::fmt::Hyphenated::LENGTH;

/// Whether the id of a call begins here, alone.
fn is_id(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    let stands = |c: Option<&char>| c.is_none_or(|c| !c.is_alphanumeric() && *c != '+');
    let Some(id) = chars.get(at..at + ID) else {
        return false;
    };
    let id: String = id.iter().collect();
    id.parse::<Uuid>().is_ok() && stands(before) && stands(chars.get(at + ID))
}

fn mask_run(chars: &mut [char], run: &[usize]) {
    let (first, last) = SHOWN;
    if run.len() < NUMBER_DIGITS {
        return;
    }
    for at in run.iter().skip(first).take(run.len() - first - last) {
        if let Some(c) = chars.get_mut(*at) {
            *c = '*';
        }
    }
}

/// Whether the character may stand between two digits of one number.
fn separates(c: char) -> bool {
    c.is_whitespace()
        || " .-()/".contains(c)
        || ('\u{2000}'..='\u{206f}').contains(&c)
        || "\u{ad}\u{feff}\u{2212}".contains(c)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(mut value: Value) -> Value {
        mask(&mut value);
        value
    }

    #[test]
    fn a_call_shows_who_it_is_about_to_nobody() {
        let call = json!({
            "id": "0197f5e0-0000-7000-8000-000000000001", "to": "+14155550100", "from": null,
            "metadata": {"name": "Ada", "age": 41, "vip": true, "+1 415 555 0100": null, "pets": ["Bo"]},
            "result": "she said yes", "idempotencyKey": "14155550100-1", "providerCallId": "call_14155550100",
            "runAt": "2026-01-31T09:00:00.123456Z", "lastError": "cannot reach +1 (415) 555-0100: 503",
            "events": [{"seq": 12_345_678, "detail": {"by": "api:crm", "report": {"transcript": "hello"}, "changes": {"to": ["+14155550100", null]}}}],
        });
        assert_eq!(
            masked(call),
            json!({
                "id": "0197f5e0-0000-7000-8000-000000000001", "to": "+141******00", "from": null,
                "metadata": {"name": "***", "age": "***", "vip": true, "+1 41* *** **00": null, "pets": ["***"]},
                "result": "***", "idempotencyKey": "***", "providerCallId": "call_14155550100",
                "runAt": "2026-01-31T09:00:00.123456Z", "lastError": "cannot reach +1 (41*) ***-**00: 503",
                "events": [{"seq": 12_345_678, "detail": {"by": "api:crm", "report": {"transcript": "***"}, "changes": {"to": ["+141******00", null]}}}],
            })
        );
    }

    #[test]
    fn a_number_is_no_date() {
        for text in ["+2026-11-30-55", "2026-11-3012", "2026-13-30 55"] {
            assert_ne!(masked(json!({ "x": text }))["x"], text);
        }
    }

    #[test]
    fn what_is_no_number_stays() {
        for text in [
            "calls 0197f5e0-8123-7a7e-8000-014155550100, and more",
            "forgotten",
            "spring-2026-11",
            "2026-12-25",
            "mon-fri 10:00-13:00 14:00-20:00",
            "0197f5e0-0000-7000-8000-000000000001",
            "PT30M",
            "code 503, error 31205",
            "paused since 2026-11-30 18:00:00Z, until 2026-12-01",
        ] {
            assert_eq!(masked(json!({ "x": text }))["x"], text);
        }
    }
}
