//! `ElevenLabs-Signature: t=<s>,v0=<hex>`, a MAC of `{t}.{body}`, with the parts in any order.

use hmac::Mac;
use hyper::HeaderMap;

use crate::provider::{
    Webhook,
    signature::{Rejection, Secrets, SignedAt, Verified, body_digest},
};

const HEADER: &str = "elevenlabs-signature";
/// Maximum age, in seconds, as in ElevenLabs' SDKs. They do not limit future times; we use the same limit.
const WITHIN: u32 = 1_800;

pub(super) fn claimed(headers: &HeaderMap) -> Result<(), Rejection> {
    if headers.contains_key(HEADER) {
        Ok(())
    } else {
        Err(Rejection::Missing(HEADER))
    }
}

pub(super) fn verify(webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
    claimed(webhook.headers)?;
    let malformed = Rejection::Malformed(HEADER);
    let text = webhook.header(HEADER).ok_or(malformed)?;
    let time = only(text, "t=").ok_or(malformed)?;
    let given = only(text, "v0=").and_then(|mac| hex::decode(mac).ok());
    let given = given.ok_or(malformed)?;
    let is_number = !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
    let unix: i64 = time.parse().ok().filter(|_| is_number).ok_or(malformed)?;
    let mut good = false;
    for secret in secrets.all() {
        let mac = secret.mac().chain_update(time).chain_update(b".");
        good |= mac.chain_update(webhook.body).verify_slice(&given).is_ok();
    }
    if good {
        Ok(Verified {
            event_id: body_digest(webhook.body),
            signed_at: Some(SignedAt {
                within_sec: WITHIN,
                ..SignedAt::standard(unix)
            }),
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

/// The only part with this name. With two it would be ambiguous which one was signed.
fn only<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut parts = text
        .split(',')
        .filter_map(|part| part.trim().strip_prefix(name));
    parts.next().filter(|_| parts.next().is_none())
}
