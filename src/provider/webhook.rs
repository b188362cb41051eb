//! A webhook as it came, for the adapter that verifies and reads it.

use std::sync::LazyLock;

use hyper::{HeaderMap, Method};

static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

/// One request of a platform.
#[derive(Debug, Clone, Copy)]
pub struct Webhook<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The URL that the platform was told, and may have signed: the configured public URL with the path and
    /// query as they came. Never made of `Host` or `X-Forwarded-*`, which the sender chooses.
    pub url: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The raw bytes; of a compressed body that was signed before, what it holds.
    pub body: &'a [u8],
}

impl<'a> Webhook<'a> {
    /// One of which the body alone was kept: it can be read, not verified.
    pub fn kept(body: &'a [u8]) -> Self {
        Self {
            method: &Method::POST,
            url: "",
            headers: &NO_HEADERS,
            body,
        }
    }

    /// The text of a header, unless it is there twice or is no text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}
