//! Shared by the fuzz targets: messages as text, so that seeds can be read and written by hand, and questions that
//! several targets ask about a value.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A message: a first line, headers up to the first empty line, then the body.
pub struct Message<'a> {
    /// A status or an address.
    pub first: &'a [u8],
    /// Lines that are not valid headers are left out.
    pub headers: Vec<(HeaderName, &'a [u8])>,
    /// Any bytes.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Splits any bytes; never fails.
    pub fn split(data: &'a [u8]) -> Self {
        let (first, mut rest) = line(data);
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|byte| *byte == b':');
            let (name, value) = header.split_at(colon.unwrap_or(header.len()));
            if let Ok(name) = HeaderName::from_bytes(name) {
                headers.push((name, value.get(1..).unwrap_or_default().trim_ascii()));
            }
        }
        Self {
            first,
            headers,
            body: rest,
        }
    }
}

/// The headers as a request has them.
pub fn header_map<'a>(headers: impl IntoIterator<Item = (&'a HeaderName, &'a [u8])>) -> HeaderMap {
    headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_bytes(value).ok()?)))
        .collect()
}

fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// Whether any text in the value contains NUL, which Postgres cannot store.
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// Levels of nested objects and arrays.
pub fn levels(value: &Value) -> usize {
    let below = match value {
        Value::Array(items) => items.iter().map(levels).max(),
        Value::Object(fields) => fields.values().map(levels).max(),
        _ => return 0,
    };
    1 + below.unwrap_or(0)
}

/// Length of the longest run of digits.
pub fn digits_in_a_row(text: &str) -> usize {
    let runs = text.split(|c: char| !c.is_ascii_digit());
    runs.map(str::len).max().unwrap_or(0)
}
