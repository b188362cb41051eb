//! The interface to callers: the protocols that the fake provider speaks.
//!
//! A [`Dialect`] is one platform's words and signatures, [`Paths`] are what it answers, and nothing else: who rings, when,
//! and what goes wrong is decided before they are asked. To add one, write its module beside [`http`], name it in
//! [`Speak`], and make it here.

use std::sync::Arc;

use crate::{
    Error,
    dialect::{Dialect, Keys},
    options::{Scheme, Speak},
};

use self::desk::Paths;

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

/// A protocol.
pub(crate) trait Protocol: Dialect + Paths {}

impl<T: Dialect + Paths> Protocol for T {}

impl Speak {
    /// What verifies webhooks that are signed with this secret, where that is not the secret itself.
    pub fn public_key(self, secret: &str) -> Option<String> {
        let keys = Keys {
            api: None,
            webhook: secret.into(),
            scheme: Scheme::Standard,
        };
        let protocol = self.protocol(keys).ok()?;
        protocol.public_key().map(str::to_owned)
    }

    /// The protocol, with its keys.
    pub(crate) fn protocol(self, keys: Keys) -> Result<Arc<dyn Protocol>, Error> {
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
