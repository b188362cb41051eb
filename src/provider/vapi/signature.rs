//! Vapi's HMAC credentials, in the settings that people choose: all defaults (`x-signature` over
//! `{timestamp}.{body}`), the body alone, or the Standard Webhooks template.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::Mac;
use hyper::HeaderMap;

use crate::provider::{
    Webhook,
    signature::{self, PLAIN, Rejection, Scheme, Secrets, SignedAt, Verified, body_digest},
};

const TIMESTAMP: &str = "x-timestamp";
/// The unit of the timestamps is undocumented: from this value on they are milliseconds.
const MILLISECONDS: i64 = 100_000_000_000;

pub(super) fn claimed(headers: &HeaderMap) -> Result<(), Rejection> {
    signature::claimed(headers).map(drop)
}

pub(super) fn verify(webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
    match signature::claimed(webhook.headers)? {
        Scheme::Standard(_) => {
            let verified = signature::verify(webhook.headers, webhook.body, secrets)?;
            let signed_at = verified.signed_at.map(|at| signed_at(at.unix_ms / 1000));
            Ok(Verified {
                signed_at,
                ..verified
            })
        }
        Scheme::Plain(PLAIN) => verify_plain(webhook, secrets),
        Scheme::Plain(_) => Err(Rejection::Missing(PLAIN)),
    }
}

fn verify_plain(webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
    let malformed = Rejection::Malformed(PLAIN);
    let text = webhook.header(PLAIN).ok_or(malformed)?.trim();
    let text = text.strip_prefix("sha256=").unwrap_or(text);
    let given = hex::decode(text)
        .or_else(|_no_hex| BASE64.decode(text))
        .map_err(|_e| malformed)?;
    // If there is a time it is signed. Stripping its header makes the MAC one of other bytes.
    let time = if webhook.headers.contains_key(TIMESTAMP) {
        Some(time(webhook)?)
    } else {
        None
    };
    let prefix = time.map_or_else(String::new, |(text, _)| format!("{text}."));
    let mut good = false;
    for secret in secrets.all() {
        // The length identifies the algorithm.
        good |= match given.len() {
            32 => {
                let mac = secret
                    .mac()
                    .chain_update(&prefix)
                    .chain_update(webhook.body);
                mac.verify_slice(&given).is_ok()
            }
            64 => {
                let mac = secret.mac_sha512().chain_update(&prefix);
                mac.chain_update(webhook.body).verify_slice(&given).is_ok()
            }
            _ => false,
        };
    }
    if good {
        Ok(Verified {
            event_id: body_digest(webhook.body),
            signed_at: time.map(|(_, number)| signed_at(number)),
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

/// The time as signed, and as a number.
fn time<'w>(webhook: &Webhook<'w>) -> Result<(&'w str, i64), Rejection> {
    let malformed = Rejection::Malformed(TIMESTAMP);
    let text = webhook.header(TIMESTAMP).ok_or(malformed)?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits).ok_or(malformed)?;
    Ok((text, number))
}

const fn signed_at(number: i64) -> SignedAt {
    if number < MILLISECONDS {
        SignedAt::standard(number)
    } else {
        SignedAt {
            unix_ms: number,
            ..SignedAt::standard(0)
        }
    }
}
