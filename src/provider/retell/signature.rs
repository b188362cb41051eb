//! `x-retell-signature: v=<ms>,d=<hex>`: a MAC of body and time, made with the workspace's API key.

use hmac::Mac;
use hyper::HeaderMap;

use crate::provider::{
    Webhook,
    signature::{Rejection, Secrets, SignedAt, Verified, body_digest},
};

const HEADER: &str = "x-retell-signature";

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
    let (time, mac) = text
        .strip_prefix("v=")
        .and_then(|rest| rest.split_once(",d="))
        .ok_or(malformed)?;
    let is_lower = mac
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let given = hex::decode(mac)
        .ok()
        .filter(|mac| is_lower && mac.len() == 32);
    let given = given.ok_or(malformed)?;
    let is_number = !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
    let unix_ms = time.parse().ok().filter(|_| is_number).ok_or(malformed)?;
    let mut good = false;
    for secret in secrets.all() {
        let mac = secret.mac().chain_update(webhook.body).chain_update(time);
        good |= mac.verify_slice(&given).is_ok();
    }
    if good {
        Ok(Verified {
            event_id: body_digest(webhook.body),
            signed_at: Some(SignedAt {
                unix_ms,
                within_sec: 300,
            }),
        })
    } else {
        Err(Rejection::Mismatch)
    }
}
