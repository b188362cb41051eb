//! The interface to callers: the protocols that the fake provider speaks.
//!
//! A [`Dialect`] is one platform's paths, words and signatures, and nothing else: who rings, when, and what goes
//! wrong is decided before it is asked. To add one, write its module beside [`http`] and name it in [`Speak`].

use std::{fmt::Debug, sync::Arc, time::Duration};

use axum::Router;
use clap::ValueEnum;
use hyper::{StatusCode, Uri, body::Bytes, http::request::Builder};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use self::desk::Desk;
use crate::{Error, calls::Call, rules::Ending};

mod bland;
pub(crate) mod desk;
mod elevenlabs;
mod form;
pub(crate) mod http;
mod json;
mod retell;
mod telnyx;
mod twilio;
mod vapi;

/// Protocols of the fake provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Speak {
    /// pgdial's own.
    #[default]
    Http,
    /// Retell AI.
    Retell,
    /// Vapi.
    Vapi,
    /// Twilio.
    Twilio,
    /// Telnyx.
    Telnyx,
    /// Bland AI.
    Bland,
    /// ElevenLabs Agents.
    #[value(name = "elevenlabs")]
    ElevenLabs,
}

/// What authenticates the two sides to each other.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// The caller's API key; none: every caller is let in.
    pub(crate) api: Option<SecretString>,
    /// Signs webhooks.
    pub(crate) webhook: SecretString,
    pub(crate) scheme: http::signing::Scheme,
}

impl Keys {
    /// What signs webhooks: of several secrets, separated by commas, the first.
    fn secret(&self) -> &str {
        let all = self.webhook.expose_secret();
        all.split_once(',').map_or(all, |(first, _)| first).trim()
    }

    /// Whether the caller may come in with this key.
    fn admit(&self, given: Option<&str>) -> bool {
        self.api.as_ref().is_none_or(|key| {
            let given = given.unwrap_or_default().as_bytes();
            bool::from(key.expose_secret().as_bytes().ct_eq(given))
        })
    }
}

/// A protocol.
pub(crate) trait Dialect: Send + Sync + Debug {
    /// The platform's paths.
    fn router(&self) -> Router<Desk>;

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

impl Speak {
    /// Its word on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Scheme of the webhook URLs that it takes. At the loopback Bland's is a word, without encryption.
    pub const fn webhook_scheme(self) -> &'static str {
        match self {
            Self::Bland => "https",
            _ => "http",
        }
    }

    /// What verifies webhooks that are signed with this secret, where that is not the secret itself.
    pub fn public_key(self, secret: &str) -> Option<String> {
        let keys = Keys {
            api: None,
            webhook: secret.into(),
            scheme: http::signing::Scheme::Standard,
        };
        let dialect = self.dialect(keys).ok()?;
        dialect.public_key().map(str::to_owned)
    }

    /// The protocol, with its keys.
    pub(crate) fn dialect(self, keys: Keys) -> Result<Arc<dyn Dialect>, Error> {
        Ok(match self {
            Self::Http => Arc::new(http::Http::new(keys)?),
            Self::Retell => Arc::new(retell::Retell::new(keys)),
            Self::Vapi => Arc::new(vapi::Vapi::new(keys)),
            Self::Twilio => Arc::new(twilio::Twilio::new(keys)),
            Self::Telnyx => Arc::new(telnyx::Telnyx::new(keys)?),
            Self::Bland => Arc::new(bland::Bland::new(keys)),
            Self::ElevenLabs => Arc::new(elevenlabs::ElevenLabs::new(keys)),
        })
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
    fn json(event_id: String, body: &serde_json::Value, is_last: bool) -> Self {
        Self {
            event_id,
            content_type: "application/json",
            body: body.to_string().into(),
            is_last,
            pauses: None,
        }
    }

    /// Half of this body.
    fn broken_off(self) -> Self {
        let half = self.body.len() / 2;
        Self {
            body: self.body.slice(..half),
            is_last: false,
            ..self
        }
    }
}
