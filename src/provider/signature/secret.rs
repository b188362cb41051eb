//! Secrets that sign a trunk's webhooks.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// Base64 with or without padding: the `=` gets lost in copying.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One secret: `whsec_` followed by base64, or any other text, taken as its UTF-8 bytes.
///
/// Only the keyed MACs are kept, so there is nothing to print. An empty secret, with which anyone could sign, cannot be
/// constructed.
#[derive(Clone)]
pub struct WebhookSecret {
    keyed: Box<Keyed>,
    bytes: usize,
}

#[derive(Clone)]
struct Keyed {
    sha256: Hmac<Sha256>,
    sha1: Hmac<Sha1>,
    sha512: Hmac<Sha512>,
}

/// Why a text is not a secret, without revealing anything of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Nothing to sign with.
    #[error("a webhook secret is empty: anybody could sign with it")]
    Empty,
    /// What follows `whsec_` is not base64.
    #[error("a webhook secret begins with whsec_, but what follows is not base64")]
    NotBase64,
    /// HMAC rejects it as a key.
    #[error("a webhook secret cannot be used as a key")]
    NoKey,
}

impl WebhookSecret {
    /// A MAC keyed with this secret, ready for its message.
    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        self.keyed.sha256.clone()
    }

    /// The same by SHA-512.
    pub(crate) fn mac_sha512(&self) -> Hmac<Sha512> {
        self.keyed.sha512.clone()
    }

    /// The same by SHA-1, which one platform still signs with.
    pub(crate) fn mac_sha1(&self) -> Hmac<Sha1> {
        self.keyed.sha1.clone()
    }

    /// Length in bytes, for warnings about short secrets.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BadSecret> {
        if bytes.is_empty() {
            return Err(BadSecret::Empty);
        }
        let keyed = Keyed {
            sha256: Hmac::new_from_slice(bytes).map_err(|_e| BadSecret::NoKey)?,
            sha1: Hmac::new_from_slice(bytes).map_err(|_e| BadSecret::NoKey)?,
            sha512: Hmac::new_from_slice(bytes).map_err(|_e| BadSecret::NoKey)?,
        };
        Ok(Self {
            keyed: Box::new(keyed),
            bytes: bytes.len(),
        })
    }
}

impl FromStr for WebhookSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.strip_prefix("whsec_") {
            None => Self::from_bytes(text.as_bytes()),
            Some(encoded) => match BASE64.decode(encoded) {
                Ok(bytes) => Self::from_bytes(&bytes),
                Err(_) => Err(BadSecret::NotBase64),
            },
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret([redacted])")
    }
}

/// The active secrets of one trunk: the first signs, all verify.
///
/// To rotate, put the new one first, keep the old one behind it until nothing signed with it can still arrive, then
/// drop it.
#[derive(Debug, Clone)]
pub struct Secrets {
    first: WebhookSecret,
    others: Vec<WebhookSecret>,
}

impl Secrets {
    /// From the secret that signs and those that only verify.
    pub const fn new(first: WebhookSecret, others: Vec<WebhookSecret>) -> Self {
        Self { first, others }
    }

    /// The secret that signs.
    pub const fn signing(&self) -> &WebhookSecret {
        &self.first
    }

    /// All secrets, the signing one first.
    pub fn all(&self) -> impl Iterator<Item = &WebhookSecret> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Reads `PGDIAL_WEBHOOK_SECRETS`, separated by commas. An empty entry is an error rather than skipped: it is a
/// variable that was not filled in.
impl FromStr for Secrets {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut secrets = text.split(',').map(WebhookSecret::from_str);
        let first = secrets.next().unwrap_or(Err(BadSecret::Empty))?;
        let others = secrets.collect::<Result<_, _>>()?;
        Ok(Self { first, others })
    }
}

#[cfg(test)]
mod tests {
    use hmac::Mac;

    use super::*;

    #[test]
    fn an_empty_or_broken_secret_is_refused_with_its_reason() {
        for (text, why) in [
            ("", BadSecret::Empty),
            ("   ", BadSecret::Empty),
            ("whsec_", BadSecret::Empty),
            ("whsec_***", BadSecret::NotBase64),
        ] {
            assert_eq!(text.parse::<WebhookSecret>().err(), Some(why), "{text:?}");
        }
        for list in ["", ",", "one,", "one,,two", ",two"] {
            assert_eq!(
                list.parse::<Secrets>().err(),
                Some(BadSecret::Empty),
                "{list:?}"
            );
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secrets: Secrets = "supersecret,whsec_c2VjcmV0".parse().unwrap();
        let shown = format!("{secrets:?}");
        assert!(
            !shown.contains("supersecret") && !shown.contains("c2VjcmV0"),
            "{shown}"
        );
    }

    #[test]
    fn padding_may_be_lost() {
        let padded: WebhookSecret = "whsec_c2VjcmV0cw==".parse().unwrap();
        let bare: WebhookSecret = "whsec_c2VjcmV0cw".parse().unwrap();
        let plain: WebhookSecret = "secrets".parse().unwrap();
        let tag = |secret: &WebhookSecret| secret.mac().chain_update(b"x").finalize().into_bytes();
        assert_eq!(tag(&padded), tag(&bare));
        assert_eq!(tag(&padded), tag(&plain));
    }
}
