//! Signing of webhooks. Written from the descriptions of the two schemes and not from the code that verifies
//! them, so that the two cannot share an error.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit, Mac};
use hyper::http::request::Builder;
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::{
    dialect::{Keys, Webhook},
    options::Scheme,
};

/// Padded when written, optional padding when read: people lose the `=` when they copy.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signing secret: `whsec_` and base64, or any other text. Of several, separated by commas, the first.
#[derive(Clone)]
struct Secret(Hmac<Sha256>);

/// Why a text is not a secret. Does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is any text, or whsec_ and base64, and not empty")]
pub struct BadSecret;

impl FromStr for Secret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.split(',').next().unwrap_or_default().trim();
        let key = match first.strip_prefix("whsec_") {
            Some(encoded) => BASE64.decode(encoded).map_err(|_bad| BadSecret)?,
            None => first.as_bytes().to_owned(),
        };
        match Hmac::new_from_slice(&key) {
            Ok(keyed) if !key.is_empty() => Ok(Self(keyed)),
            _ => Err(BadSecret),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl Secret {
    fn mac(&self, message: &[&[u8]]) -> Vec<u8> {
        let mut mac = self.0.clone();
        for part in message {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

/// Signs by one scheme, with one secret.
#[derive(Debug)]
pub(super) struct Signer {
    secret: Secret,
    scheme: Scheme,
}

impl Signer {
    pub(super) fn new(keys: &Keys) -> Result<Self, BadSecret> {
        Ok(Self {
            secret: keys.webhook.expose_secret().parse()?,
            scheme: keys.scheme,
        })
    }

    /// The request with the headers of the scheme.
    pub(super) fn sign(&self, request: Builder, webhook: &Webhook, unix_s: i64) -> Builder {
        let (event_id, body) = (&webhook.event_id, webhook.body.as_ref());
        match self.scheme {
            Scheme::Standard => {
                let time = unix_s.to_string();
                let signed = [event_id.as_bytes(), b".", time.as_bytes(), b".", body];
                let signature = BASE64.encode(self.secret.mac(&signed));
                request
                    .header("webhook-id", event_id)
                    .header("webhook-timestamp", time)
                    .header("webhook-signature", format!("v1,{signature}"))
            }
            Scheme::XSignature => {
                request.header("x-signature", hex::encode(self.secret.mac(&[body])))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn signature(scheme: Scheme, header: &str) -> String {
        let signer = Signer::new(&Keys {
            api: None,
            webhook: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, older".into(),
            scheme,
        });
        let webhook = Webhook {
            event_id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            content_type: "application/json",
            body: br#"{"test": 2432232314}"#.as_slice().into(),
            is_last: true,
            pauses: None,
        };
        let request = signer
            .unwrap()
            .sign(Request::post("/"), &webhook, 1_614_265_330);
        let request = request.body(()).unwrap();
        request.headers()[header].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_published_example_has_the_published_signature() {
        assert_eq!(
            signature(Scheme::Standard, "webhook-signature"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_not_a_secret_is_refused_and_a_secret_is_not_shown() {
        for text in ["", " ", ",other", "whsec_", "whsec_***"] {
            assert_eq!(text.parse::<Secret>().unwrap_err(), BadSecret, "{text:?}");
        }
        let shown = format!("{:?}", "supersecret".parse::<Secret>().unwrap());
        assert!(!shown.contains("supersecret"), "{shown}");
    }
}
