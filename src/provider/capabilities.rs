//! What a platform can do, as its adapter declares it, so that a person need not.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::{client::Limits, deadline::lease_for};
use crate::domain::AnsweringMachine;

/// What a platform can do. `None` is *not known*: then only what a person says of the trunk counts.
///
/// ```
/// use pgdial::{Capabilities, LookUps};
///
/// let acme = Capabilities { look_up: Some(LookUps::ById), ..Capabilities::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capabilities {
    /// Whether it can be asked about a call.
    pub look_up: Option<LookUps>,
    /// Whether a request that is sent again rings again.
    pub idempotency: Option<Idempotency>,
    /// Time within which the platform promises a first report of every call that it has placed.
    pub reports_within: Option<Duration>,
    /// Whether it ends a call when asked to.
    pub cancels: Option<bool>,
    /// Whether it lists the calls placed since some time ([`Provider::calls_since`](super::Provider::calls_since)).
    pub lists: Option<bool>,
    /// Where the webhook's URL is set.
    pub webhooks: Option<Webhooks>,
    /// Documented default of how many calls an account may begin in a second. Shown, not enforced: accounts differ.
    pub calls_per_second: Option<f64>,
    /// What it can be told, with a call, to do if a machine answers.
    pub answering_machine: Option<&'static [AnsweringMachine]>,
    /// How long placing a call may take: as long as the platform's own client waits. Beyond four and a half minutes
    /// nobody waits.
    pub place_timeout: Duration,
}

/// Whether a platform can be asked about a call, and what it proves if it does not know one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LookUps {
    /// It cannot be asked.
    None,
    /// By its own id alone: a dial whose response was lost cannot be asked about.
    ById,
    /// By id and by reference. What it does not know proves nothing.
    Hint,
    /// By id and by reference. What it repeatedly does not know was not placed.
    Authoritative,
}

/// What a platform does with a request that is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idempotency {
    /// It rings again.
    None,
    /// It documents that it rings once per key within this time, but not enough to rely on: requests are sent again
    /// only if a person says so.
    Untried(Duration),
    /// It rings once per key within this time.
    Honoured(Duration),
}

/// Where the URL of a platform's webhooks is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Webhooks {
    /// In the request that places the call.
    PerCall,
    /// By a person, at the platform, for the whole account.
    PerAccount,
}

impl Capabilities {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        look_up: None,
        idempotency: None,
        reports_within: None,
        cancels: None,
        lists: None,
        webhooks: None,
        calls_per_second: None,
        answering_machine: None,
        place_timeout: Limits::DEFAULT.total,
    };

    /// How long a claim of a call belongs to its worker alone: until its dial has ended.
    pub(crate) fn lease(&self) -> Duration {
        lease_for(self.place_timeout)
    }

    /// How long a dial may take from its beginning.
    pub(crate) fn longest_dial(&self) -> Duration {
        self.place_timeout.min(self.lease())
    }

    /// As the database keeps it, and as the API shows it.
    pub(crate) fn to_json(self) -> Value {
        let (idempotency, kept) = match self.idempotency {
            None => (None, None),
            Some(Idempotency::None) => (Some("none"), None),
            Some(Idempotency::Untried(kept)) => (Some("untried"), Some(kept)),
            Some(Idempotency::Honoured(kept)) => (Some("honoured"), Some(kept)),
        };
        json!({
            "lookUp": self.look_up,
            "idempotency": idempotency,
            "keyKept": kept.map(iso_8601),
            "reportsWithin": self.reports_within.map(iso_8601),
            "cancels": self.cancels,
            "lists": self.lists,
            "webhooks": self.webhooks,
            "callsPerSecond": self.calls_per_second,
            "answeringMachine": self.answering_machine,
            "placeTimeout": iso_8601(self.place_timeout),
        })
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

/// A duration as Postgres and the API's clients read it; a year at most, which an interval holds with ease.
fn iso_8601(duration: Duration) -> String {
    let seconds = duration.as_secs().min(365 * 24 * 3600);
    let parts = [
        (seconds / 3600, 'H'),
        (seconds / 60 % 60, 'M'),
        (seconds % 60, 'S'),
    ];
    let mut text = "PT".to_owned();
    for (count, unit) in parts {
        if count > 0 || unit == 'S' && seconds == 0 {
            text.push_str(&count.to_string());
            text.push(unit);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_duration_is_one_that_postgres_reads() {
        for (duration, text) in [
            (Duration::ZERO, "PT0S"),
            (Duration::from_secs(90), "PT1M30S"),
            (Duration::from_hours(1), "PT1H"),
            (Duration::MAX, "PT8760H"),
        ] {
            assert_eq!(iso_8601(duration), text);
        }
    }
}
