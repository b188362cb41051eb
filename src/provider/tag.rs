//! The tag that ties a webhook's URL to one dial.
//!
//! A signature proves who sent a body, not which dial it is about: a signed body can be sent to another call's URL.
//! So the URL names the trunk and the reference, and the tag, which only a holder of the trunk's secret can compute,
//! proves that we made that URL. The dialer makes it; the webhook's handler checks it before looking for the row. It
//! is part of the path, because proxies and providers are known to drop queries. Like every request's path it is
//! never logged. A reference in the body needs no tag: the signature covers it.

use hmac::Mac;

use super::{
    signature::{Secrets, WebhookSecret},
    words::percent,
};
use crate::domain::Reference;

/// Keeps tags apart from everything else the secret signs.
const PURPOSE: &[u8] = b"pgdial-tag-v1\n";
/// Half a SHA-256 is enough for a MAC and keeps the URL short.
const BYTES: usize = 16;

/// The tag of a dial, made with the signing secret.
pub fn make(secrets: &Secrets, trunk: &str, reference: Reference) -> String {
    let mac = keyed(secrets.signing(), trunk, reference).finalize();
    hex::encode(
        mac.into_bytes()
            .iter()
            .take(BYTES)
            .copied()
            .collect::<Vec<_>>(),
    )
}

/// Whether one of the active secrets made this tag. Constant time.
pub fn verify(secrets: &Secrets, trunk: &str, reference: Reference, tag: &str) -> bool {
    // Truncated MACs are compared, so the length must be fixed: otherwise a tag of one byte would do.
    let Ok(given) = <[u8; BYTES]>::try_from(hex::decode(tag).unwrap_or_default()) else {
        return false;
    };
    let mut good = false;
    for secret in secrets.all() {
        good |= keyed(secret, trunk, reference)
            .verify_truncated_left(&given)
            .is_ok();
    }
    good
}

/// URL for reports on this dial: `{public}/callbacks/call-status/TRUNK/REFERENCE/TAG`.
pub fn webhook_url(
    public_url: &str,
    trunk: &str,
    reference: Reference,
    secrets: &Secrets,
) -> String {
    let tag = make(secrets, trunk, reference);
    let (public_url, trunk) = (public_url.trim_end_matches('/'), percent(trunk));
    format!("{public_url}/callbacks/call-status/{trunk}/{reference}/{tag}")
}

/// URL for reports on all calls of a trunk's account: `{public}/callbacks/TRUNK`.
pub fn account_url(public_url: &str, trunk: &str) -> String {
    let (public_url, trunk) = (public_url.trim_end_matches('/'), percent(trunk));
    format!("{public_url}/callbacks/{trunk}")
}

fn keyed(secret: &WebhookSecret, trunk: &str, reference: Reference) -> hmac::Hmac<sha2::Sha256> {
    // A reference has one spelling and no line end, so whatever a trunk is called, the last line end is the one
    // between the two.
    secret
        .mac()
        .chain_update(PURPOSE)
        .chain_update(trunk)
        .chain_update(b"\n")
        .chain_update(reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "0197f5e0-0000-7000-8000-000000000001-2";

    fn secrets(text: &str) -> Secrets {
        text.parse().unwrap()
    }

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn a_tag_is_the_first_half_of_the_mac() {
        // printf 'pgdial-tag-v1\ndefault\n<reference>' | openssl dgst -sha256 -hmac supersecret
        let tag = make(&secrets("supersecret"), "default", reference(REFERENCE));
        assert_eq!(tag, "e3727b90cdc88c5208ad5caca6b457ce");
    }

    #[test]
    fn a_tag_is_good_for_its_trunk_and_reference_only() {
        let (secret, dial) = (secrets("supersecret"), reference(REFERENCE));
        let tag = make(&secret, "default", dial);
        assert!(verify(&secret, "default", dial, &tag));
        assert!(!verify(&secret, "other", dial, &tag));
        assert!(!verify(&secrets("another"), "default", dial, &tag));
        let next = reference("0197f5e0-0000-7000-8000-000000000001-3");
        assert!(!verify(&secret, "default", next, &tag));
    }

    #[test]
    fn a_shortened_or_broken_tag_is_not_good() {
        let (secret, dial) = (secrets("supersecret"), reference(REFERENCE));
        let tag = make(&secret, "default", dial);
        let (one, short) = (tag.get(..2).unwrap(), tag.get(..30).unwrap());
        for bad in ["", "zz", short, one, &format!("{tag}00")] {
            assert!(!verify(&secret, "default", dial, bad), "{bad}");
        }
    }

    #[test]
    fn a_retired_secret_still_verifies() {
        let dial = reference(REFERENCE);
        let tag = make(&secrets("old"), "default", dial);
        assert!(verify(&secrets("new,old"), "default", dial, &tag));
    }

    #[test]
    fn the_url_carries_trunk_reference_and_tag() {
        let (secret, dial) = (secrets("supersecret"), reference(REFERENCE));
        let tag = make(&secret, "a&b", dial);
        assert_eq!(
            webhook_url("https://calls.example.com/x/", "a&b", dial, &secret),
            format!("https://calls.example.com/x/callbacks/call-status/a%26b/{REFERENCE}/{tag}")
        );
        assert_eq!(
            account_url("https://calls.example.com/x/", "a&b"),
            "https://calls.example.com/x/callbacks/a%26b"
        );
    }
}
