//! What the core needs of a platform's protocol: its words and signatures. Its paths are [`Paths`](crate::wire::desk::Paths).

use std::{fmt::Debug, time::Duration};

use hyper::{StatusCode, Uri, body::Bytes, http::request::Builder};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{calls::Call, options::Scheme, rules::Ending};

/// What authenticates the two sides to each other.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// The caller's API key; none: every caller is let in.
    pub(crate) api: Option<SecretString>,
    /// Signs webhooks.
    pub(crate) webhook: SecretString,
    pub(crate) scheme: Scheme,
}

impl Keys {
    /// What signs webhooks: of several secrets, separated by commas, the first.
    pub(crate) fn secret(&self) -> &str {
        let all = self.webhook.expose_secret();
        all.split_once(',').map_or(all, |(first, _)| first).trim()
    }

    /// Whether the caller may come in with this key.
    pub(crate) fn admit(&self, given: Option<&str>) -> bool {
        self.api.as_ref().is_none_or(|key| {
            let given = given.unwrap_or_default().as_bytes();
            bool::from(key.expose_secret().as_bytes().ct_eq(given))
        })
    }
}

/// A protocol.
pub(crate) trait Dialect: Send + Sync + Debug {
    /// For how long a repeated key is the same call, whatever the options say.
    fn honors_keys(&self) -> Option<Duration> {
        None
    }

    /// How a call ends that finds no slot free, where the platform accepts it all the same.
    fn overflow(&self) -> Option<Ending> {
        None
    }

    /// What verifies webhooks, where that is not the secret that signs them.
    fn public_key(&self) -> Option<&str> {
        None
    }

    /// Whether a call that ends like this was answered before. A carrier cannot tell a machine from a person.
    fn is_answered(&self, ending: Ending) -> bool {
        ending.is_answered()
    }

    /// A new id, spelled as the platform spells it.
    fn call_id(&self) -> String;

    /// Webhooks about what has just happened, in order. The platform may have none for it.
    fn webhooks(&self, call: &Call, moment: Moment) -> Vec<Webhook>;

    /// The webhook as this delivery has it.
    fn delivered(&self, webhook: &Webhook) -> Webhook {
        webhook.clone()
    }

    /// The request with what proves that the platform sent it. Called for each delivery, with its time.
    fn sign(&self, request: Builder, url: &Uri, webhook: &Webhook, unix_ms: i64) -> Builder;

    /// Whether the response to a webhook ends its delivery.
    fn is_accepted(&self, status: StatusCode) -> bool {
        status.is_success()
    }
}

/// What happens to a call. The call's own [`phase`](Call::phase) has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Queued,
    Ringing,
    Answered,
    Over,
    /// After the end: what takes time to make, as a recording or an analysis.
    Analyzed,
    /// Nothing: an additional event with a word that nobody knows.
    Unheard,
    /// Nothing: an additional event that breaks off.
    Garbled,
}

/// One webhook.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) event_id: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// It reports how the call ended.
    pub(crate) is_last: bool,
    /// The pauses before it is sent again, if the platform does that only as it is told.
    pub(crate) pauses: Option<Vec<Duration>>,
}

impl Webhook {
    /// A JSON body.
    pub(crate) fn json(event_id: String, body: &serde_json::Value, is_last: bool) -> Self {
        Self {
            event_id,
            content_type: "application/json",
            body: body.to_string().into(),
            is_last,
            pauses: None,
        }
    }

    /// Half of this body.
    pub(crate) fn broken_off(self) -> Self {
        let half = self.body.len() / 2;
        Self {
            body: self.body.slice(..half),
            is_last: false,
            ..self
        }
    }
}
