//! Who sent a webhook: two signature schemes over the raw bytes.
//!
//! - **Standard Webhooks**: `webhook-id`, `webhook-timestamp` and `webhook-signature`
//!   with one or more `v1,<base64>` entries over `{id}.{timestamp}.{body}`.
//! - **Plain**: `x-signature: hex(hmac_sha256(secret, body))`, with or without `sha256=`.
//!
//! The invariant: what [`verify`] accepts was made by somebody who holds one of the
//! trunk's active secrets, over exactly these bytes. The webhook's handler calls it
//! before anything else reads the body. If any header of the stronger scheme is there,
//! that scheme decides; failing it never falls back to the plain one, or whoever can
//! strip a header could also strip the timestamp.
//!
//! It looks at no clock: [`Verified::signed_at_unix`] goes to the database, which
//! compares it with the only clock there is. The plain scheme has no time, so a replay
//! is stopped by the event id alone.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::Mac;
use hyper::{HeaderMap, header::HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

mod secret;

pub use secret::{BadSecret, Secrets, WebhookSecret};

/// The message's name, the same in every redelivery.
pub const ID: &str = "webhook-id";
/// When it was signed, seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The Standard Webhooks signatures.
pub const SIGNATURE: &str = "webhook-signature";
/// The plain signature.
pub const PLAIN: &str = "x-signature";

/// A body that a holder of a secret has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// `webhook-id`, or the SHA-256 of the body in hex. An event id in the body goes before it.
    pub event_id: String,
    /// When it was signed, by the sender's clock; the plain scheme does not say.
    pub signed_at_unix: Option<i64>,
}

/// Why a body is not believed. The answer to the sender is 401 for all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is not signed, or a header of the scheme is not there.
    #[error("the {0} header is missing")]
    Missing(&'static str),
    /// A header is not of the scheme's form.
    #[error("the {0} header is malformed")]
    Malformed(&'static str),
    /// No active secret has signed these bytes.
    #[error("no active secret has made this signature")]
    Mismatch,
}

/// Accepts or rejects a webhook by its headers and the bytes of its body.
pub fn verify(headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Result<Verified, Rejection> {
    if [ID, TIMESTAMP, SIGNATURE]
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        verify_standard(headers, body, secrets)
    } else {
        verify_plain(headers, body, secrets)
    }
}

fn verify_standard(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &Secrets,
) -> Result<Verified, Rejection> {
    let id = one(headers, ID)?;
    let timestamp = one(headers, TIMESTAMP)?;
    let signed_at = seconds(timestamp).ok_or(Rejection::Malformed(TIMESTAMP))?;
    // The parts are joined by dots: with one inside the id, two messages would have one signature.
    if id.is_empty() || id.contains('.') {
        return Err(Rejection::Malformed(ID));
    }
    let mut listed = Vec::new();
    for value in headers.get_all(SIGNATURE) {
        let text = value
            .to_str()
            .map_err(|_e| Rejection::Malformed(SIGNATURE))?;
        // Other versions (v1a is ed25519) and broken entries are passed over: one good one is enough.
        listed.extend(
            text.split_whitespace()
                .filter_map(|entry| BASE64.decode(entry.strip_prefix("v1,")?).ok()),
        );
    }
    if !headers.contains_key(SIGNATURE) {
        return Err(Rejection::Missing(SIGNATURE));
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
            signed_at_unix: Some(signed_at),
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

fn verify_plain(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &Secrets,
) -> Result<Verified, Rejection> {
    let text = one(headers, PLAIN)?.trim();
    let given = hex::decode(text.strip_prefix("sha256=").unwrap_or(text))
        .map_err(|_e| Rejection::Malformed(PLAIN))?;
    let mut good = false;
    for secret in secrets.all() {
        good |= secret.mac().chain_update(body).verify_slice(&given).is_ok();
    }
    if good {
        Ok(Verified {
            event_id: hex::encode(Sha256::digest(body)),
            signed_at_unix: None,
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

/// The header's only value. Two values would leave it to us which one was signed.
fn one<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Rejection> {
    let mut values = headers.get_all(name).iter();
    let value: &HeaderValue = values.next().ok_or(Rejection::Missing(name))?;
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(text),
        _ => Err(Rejection::Malformed(name)),
    }
}

/// Digits only: `+5` and `05` would be other spellings of a signed text.
fn seconds(text: &str) -> Option<i64> {
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

/// The value of `webhook-signature` for this message, by the signing secret.
pub fn sign_standard(secrets: &Secrets, id: &str, signed_at_unix: i64, body: &[u8]) -> String {
    let mac = standard_mac(secrets.signing(), id, &signed_at_unix.to_string(), body);
    format!("v1,{}", BASE64.encode(mac))
}

/// The value of `x-signature` for this body, by the signing secret.
pub fn sign_plain(secrets: &Secrets, body: &[u8]) -> String {
    let mac = secrets.signing().mac().chain_update(body).finalize();
    hex::encode(mac.into_bytes())
}

#[cfg(test)]
mod tests;
