//! Which provider accounts this process knows, with their secrets.
//!
//! Caps, pace and pause switches of a trunk are rows in the database; its address
//! and secrets are configuration, and stand here. A worker claims only for trunks
//! that it knows, an API answers webhooks only of those.

use std::{collections::BTreeMap, sync::Arc};

use crate::provider::{Provider, signature::Secrets};

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
