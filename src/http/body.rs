//! Bodies of requests.
//!
//! A body is bounded in bytes and in time, and refused with a sentence that says what to do. What a field may
//! hold is decided in `pgdial.read_requests`, once for every way in.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use utoipa::{ToSchema, openapi::Required};

use super::{
    argument::{Argument, Described},
    problem::{Code, Problem},
};

/// Limit of a body with one call, in bytes.
pub(super) const ONE_CALL: usize = 64 * 1024;
/// Limit of a body with a filter, which may name 10,000 calls, in bytes.
pub(super) const FILTER: usize = 1024 * 1024;
/// Limit for a body to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// Bytes of an oversized body that are read and discarded: a response sent while the client still writes
/// would be lost in the reset of the connection.
pub(super) const LINGER: usize = 16 * 1024 * 1024;

/// Limit for reading the body of a request that is refused anyway.
const DISCARD_LIMIT: Duration = Duration::from_secs(2);
/// Bytes of each body under way that need no room: connections are limited as well.
const FREE: usize = 16 * 1024;
/// Room is taken in pieces of this many bytes.
const PIECE: u32 = 64 * 1024;
/// How long a body waits for room.
const ROOM_LIMIT: Duration = Duration::from_secs(5);
/// Bodies of the largest size that fit into the room together.
const MOST_LARGEST: usize = 8;

pub(super) const JSON: &str = "application/json";

/// Codes for a body that cannot be read.
pub(super) const UNREADABLE: &[Code] =
    &[Code::BodyUnreadable, Code::BodyTooSlow, Code::BodyTooLarge];
/// Codes for a body that is not a JSON object.
const OBJECT: &[Code] = &[
    Code::MalformedJson,
    Code::BodyUnreadable,
    Code::BodyTooSlow,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
];

/// Room for large bodies of unauthenticated clients, in bytes: it bounds what a process holds of them,
/// however many there are.
#[derive(Debug)]
pub(super) struct Room {
    largest: usize,
    bytes: Arc<Semaphore>,
}

impl Room {
    pub(super) fn new(largest: usize) -> Self {
        let bytes = largest.saturating_mul(MOST_LARGEST);
        let bytes = Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self { largest, bytes }
    }
}

/// What one request takes of the room, until it is dropped.
#[derive(Debug)]
pub(super) struct Share<'r> {
    room: &'r Room,
    held: Option<OwnedSemaphorePermit>,
}

impl<'r> Share<'r> {
    /// Takes nothing yet.
    pub(super) const fn none(room: &'r Room) -> Self {
        Self { room, held: None }
    }

    /// Size limit of one body, in bytes.
    pub(super) const fn largest(&self) -> usize {
        self.room.largest
    }

    /// Waits until this many bytes of the request are within the room.
    pub(super) async fn cover(&mut self, bytes: usize) -> Result<(), Problem> {
        while bytes
            > FREE
                + self
                    .held
                    .as_ref()
                    .map_or(0, OwnedSemaphorePermit::num_permits)
        {
            let more = Arc::clone(&self.room.bytes).acquire_many_owned(PIECE);
            let Ok(Ok(more)) = timeout(ROOM_LIMIT, more).await else {
                return Err(Problem::new(
                    Code::NoRoom,
                    "too many bodies are under way: send it again later",
                )
                .retry_after(5));
            };
            match &mut self.held {
                Some(held) => held.merge(more),
                none => *none = Some(more),
            }
        }
        Ok(())
    }
}

/// Body of an unauthenticated client, and the room it takes.
pub(super) async fn read_within(
    request: Request,
    room: &Room,
) -> Result<(Vec<u8>, Share<'_>), Problem> {
    let limit = room.largest;
    let refusal = || {
        let limit = limit / 1024;
        Problem::new(
            Code::BodyTooLarge,
            format!("a webhook has at most {limit} KiB"),
        )
    };
    if is_hopeless(request.headers(), limit) {
        return Err(refusal());
    }
    let mut share = Share::none(room);
    let body = timeout(TIME_LIMIT, collect(request, limit, Some(&mut share)))
        .await
        .map_err(|_elapsed| too_slow())??
        .ok_or_else(refusal)?;
    Ok((body, share))
}

/// Reads and discards the body of a request that is refused anyway.
///
/// A response sent while the client still writes would be lost. A client that sends `Expect`, or takes too
/// long, gets its response at once.
pub(super) async fn discard(headers: &HeaderMap, mut body: Body) {
    let all = async {
        let mut seen: usize = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if seen > LINGER {
                return;
            }
        }
    };
    if !headers.contains_key(header::EXPECT) {
        timeout(DISCARD_LIMIT, all).await.unwrap_or_default();
    }
}

/// The client asks before it sends, and would send too much.
fn is_hopeless(headers: &HeaderMap, limit: usize) -> bool {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    headers.contains_key(header::EXPECT) && declared.is_some_and(|length| length > limit)
}

/// Body of at most `limit` bytes. `hint` says what to do with a larger one.
pub(super) async fn read(request: Request, limit: usize, hint: &str) -> Result<Vec<u8>, Problem> {
    let refusal = || {
        let limit = limit / 1024;
        Problem::new(
            Code::BodyTooLarge,
            format!("a body here has at most {limit} KiB{hint}"),
        )
    };
    if is_hopeless(request.headers(), limit) {
        return Err(refusal());
    }
    timeout(TIME_LIMIT, collect(request, limit, None))
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

/// Returns none if the body is larger. Takes its share of the room as the body arrives.
async fn collect(
    request: Request,
    limit: usize,
    mut share: Option<&mut Share<'_>>,
) -> Result<Option<Vec<u8>>, Problem> {
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
            if let Some(share) = &mut share {
                share.cover(seen).await?;
            }
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

/// Checks that the body has one of these media types, is UTF-8 and is not compressed.
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

/// Strips the byte order mark that some programs write.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Parses JSON; the error says where it stops being JSON.
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

/// Parses a JSON object that Postgres can store.
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

/// JSON object read as `T`, limited in bytes.
#[derive(Debug)]
pub(super) struct Object<T, const MOST: usize = ONE_CALL>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned, const MOST: usize> FromRequest<S> for Object<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_type(request.headers(), &[JSON])?;
        as_type(read_object(&read(request, MOST, "").await?)?).map(Self)
    }
}

/// The handler reads the body itself.
impl Argument for Request {
    const REFUSES: &'static [Code] = UNREADABLE;
}

impl<T: ToSchema, const MOST: usize> Argument for Object<T, MOST> {
    const REFUSES: &'static [Code] = OBJECT;

    fn describe(described: &mut Described<'_>) {
        described.body::<T>(Required::True);
    }
}

/// As above, but a missing body or null is an object without fields.
#[derive(Debug)]
pub(super) struct OptionalObject<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let typed = require_type(request.headers(), &[JSON]);
        let text = read(request, ONE_CALL, "").await?;
        if text.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        if text.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        as_type(read_object(&text)?).map(Self)
    }
}

impl<T: ToSchema> Argument for OptionalObject<T> {
    const REFUSES: &'static [Code] = OBJECT;

    fn describe(described: &mut Described<'_>) {
        described.body::<T>(Required::False);
    }
}

/// Fields of a JSON object that the database checks as a `T`.
#[derive(Debug)]
pub(super) struct Fields<T>(pub(super) Value, pub(super) PhantomData<T>);

impl<S: Send + Sync, T> FromRequest<S> for Fields<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Object(fields) = Object::<Value>::from_request(request, state).await?;
        Ok(Self(fields, PhantomData))
    }
}

impl<T: ToSchema> Argument for Fields<T> {
    const REFUSES: &'static [Code] = OBJECT;

    fn describe(described: &mut Described<'_>) {
        described.body::<T>(Required::True);
    }
}

fn as_type<T: DeserializeOwned>(object: Value) -> Result<T, Problem> {
    serde_json::from_value(object)
        .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))
}

/// Postgres cannot store U+0000 in a text: it would fail the whole statement.
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
}
