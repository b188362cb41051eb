//! Provider accounts that this process knows, with their secrets.
//!
//! Caps, pace and pause switches of a trunk are rows in the database; its address and secrets are
//! configuration, and are here. A worker claims only for trunks that it knows; an API accepts only their
//! webhooks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    domain::CallId,
    provider::{Capabilities, Provider, signature::Secrets},
};

/// How long recording the result of a dial usually takes at most.
const TO_RECORD: Duration = Duration::from_secs(5);

/// One provider account.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Name of the trunk in the database.
    pub name: String,
    /// Adapter for the account.
    pub provider: Arc<dyn Provider>,
    /// Secrets that sign its webhooks; the first also makes the tags of our URLs.
    pub secrets: Secrets,
}

/// What its adapter tells the database about a trunk.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Where it dials, if the adapter can tell.
    pub account: Option<String>,
    /// What the platform can do.
    pub capabilities: Capabilities,
}

/// The trunks of this process.
#[derive(Debug, Clone, Default)]
pub struct Trunks(BTreeMap<String, Trunk>);

impl Trunks {
    /// Trunk with this name.
    pub fn get(&self, name: &str) -> Option<&Trunk> {
        self.0.get(name)
    }

    /// Asks a provider to end a call whose cancellation was requested. The result is only logged: the request
    /// is in the row, and the sweep asks again until the call ends.
    pub async fn ask_to_cancel(&self, trunk: &str, call: CallId, provider_call_id: &str) {
        let Some(trunk) = self.get(trunk) else { return };
        match trunk.provider.cancel(provider_call_id).await {
            Ok(answer) => {
                tracing::info!(call.id = %call, ?answer, "asked the provider to end the call");
            }
            Err(error) => {
                tracing::warn!(call.id = %call, %error, "could not ask the provider to end the call");
            }
        }
    }

    /// What the adapters declare, by the trunk's name.
    pub fn declared(&self) -> BTreeMap<String, Declared> {
        let declared = |trunk: &Trunk| Declared {
            account: trunk.provider.account(),
            capabilities: trunk.provider.capabilities(),
        };
        let trunks = self.0.iter();
        trunks
            .map(|(name, trunk)| (name.clone(), declared(trunk)))
            .collect()
    }

    /// How long a dial that has begun may take to end, and to be recorded.
    pub fn grace(&self) -> Duration {
        self.longest(Capabilities::longest_dial) + TO_RECORD
    }

    /// How long a dial may last that was claimed a moment ago.
    pub fn longest_lease(&self) -> Duration {
        self.longest(Capabilities::lease)
    }

    fn longest(&self, of: impl Fn(&Capabilities) -> Duration) -> Duration {
        let trunks = self.0.values();
        let each = trunks.map(|trunk| of(&trunk.provider.capabilities()));
        each.max().unwrap_or_else(|| of(&Capabilities::UNKNOWN))
    }

    /// Names of the trunks, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl FromIterator<Trunk> for Trunks {
    fn from_iter<I: IntoIterator<Item = Trunk>>(trunks: I) -> Self {
        Self(
            trunks
                .into_iter()
                .map(|trunk| (trunk.name.clone(), trunk))
                .collect(),
        )
    }
}
