//! What a stage consists of.

use pgdial_fake_provider::Speak;

/// One trunk, with a campaign of the same name and a provider of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrunkSetup {
    pub(crate) name: &'static str,
    /// What a person says of it; none: what the adapter declares is in effect.
    pub(crate) look_up: Option<&'static str>,
    pub(crate) slots: usize,
    /// Its provider honours the idempotency key, and the trunk declares that.
    pub(crate) idempotent: bool,
}

impl TrunkSetup {
    /// 30 slots, and a provider that rings for every request.
    pub(crate) const fn new(name: &'static str, look_up: &'static str) -> Self {
        Self {
            name,
            look_up: Some(look_up),
            slots: 30,
            idempotent: false,
        }
    }

    /// The same, of a platform whose adapter declares what it can do.
    pub(crate) const fn declared(name: &'static str) -> Self {
        Self {
            look_up: None,
            ..Self::new(name, "")
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) trunks: Vec<TrunkSetup>,
    /// What the providers speak, and the adapters.
    pub(crate) speak: Speak,
    /// Changes to the campaigns, as JSON.
    pub(crate) campaign: &'static str,
    /// Arguments of the fake providers.
    pub(crate) provider: Vec<String>,
    pub(crate) apis: usize,
    /// The APIs dial as well: `pgdial serve` instead of `pgdial api`.
    pub(crate) apis_dial: bool,
    pub(crate) workers: usize,
}

impl Setup {
    /// One trunk that can be asked, one API, two workers, calls that take no time.
    pub(crate) fn small(name: &'static str) -> Self {
        Self {
            name,
            trunks: vec![TrunkSetup::new("default", "authoritative")],
            speak: Speak::Http,
            campaign: CAMPAIGN,
            provider: words(&["--ring", "50ms..150ms", "--talk", "50ms..300ms"]),
            apis: 1,
            apis_dial: false,
            workers: 2,
        }
    }

    /// Puts these rules of the fake provider in front.
    pub(crate) fn rules(mut self, rules: &[&str]) -> Self {
        for rule in rules {
            self.provider.extend(words(&["--rule", rule]));
        }
        self
    }
}

/// Short limits and quick retries.
pub(crate) const CAMPAIGN: &str = r#"{"ringTimeout": "5 seconds", "maxDuration": "10 seconds", "maxAttempts": 5,
    "busyBase": "1 second", "noAnswerBase": "1 second", "faultBase": "1 second", "backoffCap": "5 seconds"}"#;

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
