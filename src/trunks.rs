//! Which provider accounts this process knows, with their secrets.
//!
//! Caps, pace and pause switches of a trunk are rows in the database; its address
//! and secrets are configuration, and stand here. A worker claims only for trunks
//! that it knows, an API answers webhooks only of those.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::CallId,
    provider::{Provider, signature::Secrets},
};

/// One provider account.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Its name in the database.
    pub name: String,
    /// How to ask it.
    pub provider: Arc<dyn Provider>,
    /// What signs its webhooks; the first also makes the tags of our URLs.
    pub secrets: Secrets,
}

/// The trunks of this process.
#[derive(Debug, Clone, Default)]
pub struct Trunks(BTreeMap<String, Trunk>);

impl Trunks {
    /// The trunk of this name.
    pub fn get(&self, name: &str) -> Option<&Trunk> {
        self.0.get(name)
    }

    /// Asks a provider to end a call that somebody wishes ended. Whatever it answers is
    /// only logged: the wish is in the row, and the sweep asks again until the call ends.
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

    /// The account of each, where its adapter can say.
    pub fn accounts(&self) -> BTreeMap<String, String> {
        let accounts = self.0.iter();
        accounts
            .filter_map(|(name, trunk)| Some((name.clone(), trunk.provider.account()?)))
            .collect()
    }

    /// Their names, sorted.
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
