//! What a request brings: its body, its query, the id in its path.
//!
//! Everything is bounded (in bytes and in time) and refused with a sentence that says
//! what to do. What a field may hold is not decided here: that stands in
//! `pgdial.read_requests`, once for every way in.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    extract::{FromRequestParts, Path, Query, Request},
    http::{HeaderMap, Uri, header, request::Parts},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::problem::{Code, Problem};
use crate::domain::CallId;

/// A body with one call in it.
pub(super) const ONE_CALL: usize = 64 * 1024;
/// A body with a filter in it, which may name 10,000 calls.
const FILTER: usize = 1024 * 1024;
/// How long a body may take to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// Of a body that is too large so much more is read and dropped: an answer that comes
/// while the client still writes is lost in the reset of the connection.
pub(super) const LINGER: usize = 16 * 1024 * 1024;

/// The body, at most `limit` bytes of it.
pub(super) async fn read(
    request: Request,
    limit: usize,
    too_large: &'static str,
) -> Result<Vec<u8>, Problem> {
    let headers = request.headers();
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let waits_for_us = headers.contains_key(header::EXPECT);
    let refusal = || Problem::new(Code::BodyTooLarge, too_large);
    if waits_for_us && declared.is_some_and(|length| length > limit) {
        return Err(refusal());
    }
    timeout(TIME_LIMIT, collect(request, limit))
        .await
        .map_err(|_elapsed| too_slow())??
        .ok_or_else(refusal)
}

pub(super) fn too_slow() -> Problem {
    Problem::new(
        Code::BodyTooSlow,
        "the body did not arrive within 15 s: send it again",
    )
}

pub(super) fn unreadable(error: axum::Error) -> Problem {
    Problem::new(
        Code::BodyUnreadable,
        "the body ended before its end: send it again",
    )
    .cause(error)
}

/// None: it is larger.
async fn collect(request: Request, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut body = request.into_body();
    let mut seen: usize = 0;
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(unreadable)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else {
            kept = Vec::new();
            if seen > limit.saturating_add(LINGER) {
                break;
            }
        }
    }
    Ok((seen <= limit).then_some(kept))
}

/// Whether the body is of one of these media types, in UTF-8, and not compressed.
pub(super) fn require_type<'t>(headers: &HeaderMap, taken: &[&'t str]) -> Result<&'t str, Problem> {
    let refusal = || {
        let types = taken.join(" or ");
        Problem::new(
            Code::UnsupportedMediaType,
            format!("the body must be {types}, uncompressed: say so in the Content-Type header"),
        )
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(refusal());
    }
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(refusal)?;
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    let utf8 = parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    taken
        .iter()
        .find(|one| utf8 && one.eq_ignore_ascii_case(essence.trim()))
        .copied()
        .ok_or_else(refusal)
}

/// Text without the byte order mark that some programs write in front of it.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Text as JSON; the refusal says where it stops being JSON.
pub(super) fn parse(text: &[u8]) -> Result<Value, Problem> {
    if text.trim_ascii().is_empty() {
        return Err(Problem::new(
            Code::MalformedJson,
            "the body is empty: send a JSON object",
        ));
    }
    serde_json::from_slice(without_mark(text)).map_err(|error| {
        Problem::new(
            Code::MalformedJson,
            format!("the body is not JSON: {error}"),
        )
    })
}

/// A JSON object of at most 64 KiB.
pub(super) async fn object(request: Request) -> Result<Value, Problem> {
    require_type(request.headers(), &["application/json"])?;
    read_object(&read_one(request).await?)
}

/// Text as a JSON object that can be stored.
pub(super) fn read_object(text: &[u8]) -> Result<Value, Problem> {
    let value = parse(text)?;
    if !value.is_object() {
        return Err(Problem::new(
            Code::InvalidRequest,
            "the body must be a JSON object",
        ));
    }
    storable(&value)?;
    Ok(value)
}

/// An optional JSON object of at most 64 KiB; no body, or null, is an object without fields.
pub(super) async fn optional<T: DeserializeOwned + Default>(
    request: Request,
) -> Result<T, Problem> {
    let typed = require_type(request.headers(), &["application/json"]);
    let text = read_one(request).await?;
    if text.is_empty() {
        return Ok(T::default());
    }
    typed?;
    if text.trim_ascii() == b"null" {
        return Ok(T::default());
    }
    as_type(read_object(&text)?)
}

/// A JSON object of at most 64 KiB, as this type.
pub(super) async fn typed<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    as_type(object(request).await?)
}

/// A JSON object of at most 1 MiB, as this type: a filter may hold 10,000 ids.
pub(super) async fn typed_filter<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    require_type(request.headers(), &["application/json"])?;
    let text = read(request, FILTER, "a body here has at most 1 MiB").await?;
    as_type(read_object(&text)?)
}

fn as_type<T: DeserializeOwned>(object: Value) -> Result<T, Problem> {
    serde_json::from_value(object)
        .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))
}

async fn read_one(request: Request) -> Result<Vec<u8>, Problem> {
    read(request, ONE_CALL, "a body here has at most 64 KiB").await
}

/// Postgres cannot hold U+0000 in a text: it would fail the whole statement.
fn storable(value: &Value) -> Result<(), Problem> {
    fn holds_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(holds_nul),
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| name.contains('\0') || holds_nul(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    if holds_nul(value) {
        return Err(Problem::new(
            Code::InvalidRequest,
            "a text contains the character U+0000, which cannot be stored: remove it",
        ));
    }
    Ok(())
}

/// The query's parameters by name: only these, each at most once.
pub(super) fn query(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let refusal = |words: String| Problem::new(Code::InvalidQuery, words);
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_unreadable| refusal("the query string cannot be read".to_owned()))?;
    let mut found = BTreeMap::new();
    for (name, value) in pairs {
        let shown: String = name.chars().take(60).collect();
        if !known.contains(&name.as_str()) {
            let known = known.join(", ");
            return Err(refusal(format!(
                "unknown query parameter \"{shown}\": known are {known}"
            )));
        }
        if value.contains('\0') {
            return Err(refusal(format!(
                "\"{shown}\" contains the character U+0000: remove it"
            )));
        }
        if found.insert(name, value).is_some() {
            return Err(refusal(format!("\"{shown}\" is given twice")));
        }
    }
    Ok(found)
}

/// The id in the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id(pub(super) CallId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.ok()
            .and_then(|Path(text)| text.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                Problem::new(
                    Code::InvalidId,
                    "the id of a call is a UUID, as in 0197f5e0-0000-7000-8000-000000000001",
                )
            })
    }
}

/// The name in the path.
#[derive(Debug, Clone)]
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        // U+0000 would fail the statement, and no name has it.
        path.ok()
            .filter(|Path(name)| !name.contains('\0'))
            .map(|Path(name)| Self(name))
            .ok_or_else(|| Problem::new(Code::InvalidId, "the name in the path cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(given: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, given.parse().unwrap());
        require_type(&headers, &["application/json"]).is_ok()
    }

    #[test]
    fn json_in_utf8_is_taken_however_it_is_spelled() {
        for given in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"; v=1",
        ] {
            assert!(typed(given), "{given}");
        }
        for given in [
            "text/plain",
            "application/json; charset=latin1",
            "application/jsonp",
            "",
        ] {
            assert!(!typed(given), "{given}");
        }
        assert!(require_type(&HeaderMap::new(), &["application/json"]).is_err());
    }

    #[test]
    fn a_query_is_read_by_known_names_only() {
        let read = |text: &str| query(&text.parse().unwrap(), &["a", "b"]).map_err(|p| p.code());
        assert_eq!(read("/x").unwrap().len(), 0);
        assert_eq!(read("/x?b=1%202&a=").unwrap().get("b").unwrap(), "1 2");
        for bad in ["/x?c=1", "/x?a=1&a=1", "/x?a=%00", "/x?A=1"] {
            assert_eq!(read(bad), Err(Code::InvalidQuery), "{bad}");
        }
    }
}
