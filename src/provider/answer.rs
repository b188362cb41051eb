//! A platform's response, and its words made safe to store.

use hyper::{HeaderMap, StatusCode, body::Bytes};
use serde_json::Value;

use super::{Error, protocol, words};

pub(super) mod retry_after;
pub(super) mod spoken;

/// A response. `body` is empty if it exceeded the limit; the status still counts.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Body as JSON, null if it is not JSON.
    pub(super) fn json(&self) -> Value {
        protocol::parse(&self.body).unwrap_or_default()
    }

    /// Error for a response that proves nothing.
    pub(super) fn unread(&self, why: &str) -> Error {
        Error::NoAnswer {
            why: format!("HTTP {}: {why}", self.status.as_u16()),
        }
    }

    /// `HTTP 422: INVALID_NUMBER: not a telephone number`, without telephone numbers and without the key.
    pub(super) fn why(
        &self,
        code: Option<&str>,
        spoken: Option<&str>,
        key: Option<&str>,
    ) -> String {
        let mut line = format!("HTTP {}", self.status.as_u16());
        for part in [code, spoken].into_iter().flatten() {
            line.push_str(": ");
            line.push_str(part);
        }
        if self.status.is_success() && spoken.is_none() && code.is_none() {
            line.push_str(": no call id in the answer");
        }
        // A code may have been converted to capitals, so the key is searched for in any case.
        words::safe(&without(&line, key))
    }

    /// Body that is neither JSON nor a web page.
    pub(super) fn plain_text(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        let speaks = !text.is_empty() && !text.starts_with(['<', '{', '[']);
        speaks.then(|| text.to_owned())
    }
}

/// Masks every occurrence of the key, whatever its case.
fn without(line: &str, key: Option<&str>) -> String {
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return line.to_owned();
    };
    // ASCII case conversion preserves length, so positions in one text are valid in the other.
    let (lower, key) = (line.to_ascii_lowercase(), key.to_ascii_lowercase());
    let mut out = String::with_capacity(line.len());
    let mut from = 0;
    while let Some(at) = lower.get(from..).and_then(|rest| rest.find(&key)) {
        out.push_str(line.get(from..from + at).unwrap_or_default());
        out.push_str("[key]");
        from += at + key.len();
    }
    out.push_str(line.get(from..).unwrap_or_default());
    out
}
