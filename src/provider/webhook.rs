//! A webhook as received, for the adapter that verifies and reads it.

use std::sync::LazyLock;

use hyper::{HeaderMap, Method};

static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

/// A platform's HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct Webhook<'a> {
    /// HTTP method.
    pub method: &'a Method,
    /// URL that the platform was given, and may have signed: the configured public URL with the path and
    /// query as received. Never built from `Host` or `X-Forwarded-*`, which the sender chooses.
    pub url: &'a str,
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// Raw bytes; decompressed if the signature was made before compression.
    pub body: &'a [u8],
}

/// Response that a platform wants to a webhook that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 200 with `{}`.
    EmptyObject,
    /// 204: a body would be read as instructions.
    Nothing,
}

impl<'a> Webhook<'a> {
    /// A stored webhook, of which only the body was kept: it can be read, not verified.
    pub fn kept(body: &'a [u8]) -> Self {
        Self {
            method: &Method::POST,
            url: "",
            headers: &NO_HEADERS,
            body,
        }
    }

    /// Text of a header; none if it is repeated or not a text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}
