//! Who sent a webhook: the two signature schemes of the generic adapter, over the raw bytes. Platforms with schemes of their
//! own have them in their folders.
//!
//! - **Standard Webhooks**: `webhook-id`, `webhook-timestamp` and `webhook-signature` with one or more `v1,<base64>`
//!   entries over `{id}.{timestamp}.{body}`; or the same with Svix's names, `svix-id` and so on.
//! - **Plain**: `x-signature: hex(hmac_sha256(secret, body))`, with or without `sha256=`, or in base64; or the same
//!   as `x-hub-signature-256` or `x-webhook-signature`.
//!
//! The invariant: whatever [`verify`] accepts was made by a holder of one of the trunk's active secrets, over exactly
//! these bytes. The webhook's handler calls it before anything else reads the body. If any header of the stronger
//! scheme is present, that scheme decides and never falls back to the plain one; otherwise anyone able to strip a
//! header could strip the timestamp as well.
//!
//! It reads no clock: [`Verified::signed_at`] goes to the database, which compares it with the only clock there is. The
//! plain scheme has no time, so only the event id stops a replay.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::Mac;
use hyper::{HeaderMap, header::HeaderValue};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

mod secret;

pub use secret::{BadSecret, Secrets, WebhookSecret};

/// Header with the message's id, the same in every redelivery.
pub const ID: &str = "webhook-id";
/// Header with the time of signing, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header with the Standard Webhooks signatures.
pub const SIGNATURE: &str = "webhook-signature";
/// Header with the plain signature.
pub const PLAIN: &str = "x-signature";

/// Headers of Standard Webhooks under both sets of names, which must not be mixed.
const STANDARD: [[&str; 3]; 2] = [
    [ID, TIMESTAMP, SIGNATURE],
    ["svix-id", "svix-timestamp", "svix-signature"],
];
/// Headers that may carry the plain signature.
const PLAINS: [&str; 3] = [PLAIN, "x-hub-signature-256", "x-webhook-signature"];

/// Headers that may carry a signature, and so must not be logged.
pub const SECRET_HEADERS: [&str; 9] = [
    SIGNATURE,
    "svix-signature",
    PLAIN,
    "x-hub-signature-256",
    "x-webhook-signature",
    "x-retell-signature",
    "elevenlabs-signature",
    "x-twilio-signature",
    "telnyx-signature-ed25519",
];

/// Facts about a correctly signed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// `webhook-id`, or the SHA-256 of the body in hex. An event id in the body takes precedence.
    pub event_id: String,
    /// When it was signed; the plain scheme does not say.
    pub signed_at: Option<SignedAt>,
}

/// When a webhook says that it was signed, and how far that may be from the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SignedAt {
    /// By the sender's clock, milliseconds since 1970.
    #[serde(rename = "signed_at_ms")]
    pub unix_ms: i64,
    /// In seconds.
    #[serde(rename = "signed_within")]
    pub within_sec: u32,
}

impl SignedAt {
    /// Seconds since 1970, within the 300 s of Standard Webhooks.
    pub const fn standard(unix: i64) -> Self {
        Self {
            unix_ms: unix.saturating_mul(1000),
            within_sec: 300,
        }
    }
}

/// Why a body is not believed. The sender gets 401 in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Unsigned, or a header of the scheme is missing.
    #[error("the {0} header is missing")]
    Missing(&'static str),
    /// A header is not in the scheme's format.
    #[error("the {0} header is malformed")]
    Malformed(&'static str),
    /// No active secret signed these bytes.
    #[error("no active secret has made this signature")]
    Mismatch,
}

/// The scheme that the headers claim, known before the body has arrived. On an error the body need not be read.
pub fn claimed(headers: &HeaderMap) -> Result<Scheme, Rejection> {
    let there = |name: &&&'static str| headers.contains_key(**name);
    if let Some(names) = STANDARD
        .iter()
        .find(|names| names.iter().any(|name| there(&name)))
    {
        return match names.iter().find(|name| !there(name)) {
            Some(missing) => Err(Rejection::Missing(missing)),
            None => Ok(Scheme::Standard(names)),
        };
    }
    let plain = PLAINS.iter().find(there);
    plain
        .map(|name| Scheme::Plain(name))
        .ok_or(Rejection::Missing(PLAIN))
}

/// Where the signature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks, with these names for id, time and signature.
    Standard(&'static [&'static str; 3]),
    /// The plain scheme, in this header.
    Plain(&'static str),
}

/// Accepts or rejects a webhook by its headers and the raw body.
pub fn verify(headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Result<Verified, Rejection> {
    match claimed(headers)? {
        Scheme::Standard(names) => verify_standard(headers, names, body, secrets),
        Scheme::Plain(name) => verify_plain(headers, name, body, secrets),
    }
}

fn verify_standard(
    headers: &HeaderMap,
    [id, timestamp, signature]: &[&'static str; 3],
    body: &[u8],
    secrets: &Secrets,
) -> Result<Verified, Rejection> {
    let malformed_id = Rejection::Malformed(id);
    let id = one(headers, id)?;
    let malformed_time = Rejection::Malformed(timestamp);
    let timestamp = one(headers, timestamp)?;
    let signed_at = seconds(timestamp).ok_or(malformed_time)?;
    // The parts are joined by dots: with a dot inside the id, two messages could share a signature.
    if id.is_empty() || id.contains('.') {
        return Err(malformed_id);
    }
    let mut listed = Vec::new();
    for value in headers.get_all(*signature) {
        let text = value
            .to_str()
            .map_err(|_e| Rejection::Malformed(signature))?;
        // Skips other versions (v1a is ed25519) and broken entries: one valid entry is enough.
        listed.extend(
            text.split_whitespace()
                .filter_map(|entry| BASE64.decode(entry.strip_prefix("v1,")?).ok()),
        );
    }
    let mut good = false;
    for secret in secrets.all() {
        let expected = standard_mac(secret, id, timestamp, body);
        for given in &listed {
            good |= bool::from(expected.as_slice().ct_eq(given));
        }
    }
    if good {
        Ok(Verified {
            event_id: id.to_owned(),
            signed_at: Some(SignedAt::standard(signed_at)),
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

fn verify_plain(
    headers: &HeaderMap,
    name: &'static str,
    body: &[u8],
    secrets: &Secrets,
) -> Result<Verified, Rejection> {
    let text = one(headers, name)?.trim();
    let text = text.strip_prefix("sha256=").unwrap_or(text);
    // 64 characters in hex or 44 in base64: no text is both.
    let given = hex::decode(text)
        .or_else(|_no_hex| BASE64.decode(text))
        .map_err(|_e| Rejection::Malformed(name))?;
    let mut good = false;
    for secret in secrets.all() {
        good |= secret.mac().chain_update(body).verify_slice(&given).is_ok();
    }
    if good {
        Ok(Verified {
            event_id: body_digest(body),
            signed_at: None,
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

/// What names an event whose scheme has no name for it.
pub(super) fn body_digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// The header's only value. Two values would leave it to us which one was signed.
pub(super) fn one<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Rejection> {
    let mut values = headers.get_all(name).iter();
    let value: &HeaderValue = values.next().ok_or(Rejection::Missing(name))?;
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(text),
        _ => Err(Rejection::Malformed(name)),
    }
}

/// Digits only: `+5` and `05` would be other spellings of a signed text.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn standard_mac(secret: &WebhookSecret, id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    secret
        .mac()
        .chain_update(id)
        .chain_update(b".")
        .chain_update(timestamp)
        .chain_update(b".")
        .chain_update(body)
        .finalize()
        .into_bytes()
        .to_vec()
}

/// The `webhook-signature` value of this message, made with the signing secret.
pub fn sign_standard(secrets: &Secrets, id: &str, signed_at_unix: i64, body: &[u8]) -> String {
    let mac = standard_mac(secrets.signing(), id, &signed_at_unix.to_string(), body);
    format!("v1,{}", BASE64.encode(mac))
}

/// The `x-signature` value of this body, made with the signing secret.
pub fn sign_plain(secrets: &Secrets, body: &[u8]) -> String {
    let mac = secrets.signing().mac().chain_update(body).finalize();
    hex::encode(mac.into_bytes())
}

#[cfg(test)]
mod tests;
