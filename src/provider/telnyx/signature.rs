//! `telnyx-signature-ed25519`: a signature of time and body, made with the account's key pair. The URL is not
//! signed; its tag proves that it is ours.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hyper::HeaderMap;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::provider::{
    Webhook,
    signature::{Rejection, SignedAt, Verified, body_digest, one, seconds},
};

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";
/// Length of a key, in bytes.
const LENGTH: usize = 32;

/// Public keys of an account, as its portal shows them, separated by commas: two during a rotation.
#[derive(Debug, Clone)]
pub struct PublicKeys(Vec<UnparsedPublicKey<[u8; LENGTH]>>);

/// A text that is not a list of public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a public key of Telnyx is 32 bytes in base64, as in A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
)]
pub struct BadPublicKey;

impl FromStr for PublicKeys {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let keys = text.split(',').map(|key| {
            let bytes = BASE64.decode(key.trim()).map_err(|_e| BadPublicKey)?;
            let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_e| BadPublicKey)?;
            Ok(UnparsedPublicKey::new(&ED25519, bytes))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }
}

pub(super) fn claimed(headers: &HeaderMap) -> Result<(), Rejection> {
    let missing = [SIGNATURE, TIMESTAMP]
        .into_iter()
        .find(|name| !headers.contains_key(*name));
    missing.map_or(Ok(()), |name| Err(Rejection::Missing(name)))
}

pub(super) fn verify(webhook: &Webhook<'_>, keys: &PublicKeys) -> Result<Verified, Rejection> {
    let signature = BASE64
        .decode(one(webhook.headers, SIGNATURE)?)
        .map_err(|_e| Rejection::Malformed(SIGNATURE))?;
    let timestamp = one(webhook.headers, TIMESTAMP)?;
    let signed_at = seconds(timestamp).ok_or(Rejection::Malformed(TIMESTAMP))?;
    let message = [timestamp.as_bytes(), b"|", webhook.body].concat();
    if keys
        .0
        .iter()
        .any(|key| key.verify(&message, &signature).is_ok())
    {
        Ok(Verified {
            event_id: body_digest(webhook.body),
            signed_at: Some(SignedAt::standard(signed_at)),
        })
    } else {
        Err(Rejection::Mismatch)
    }
}
