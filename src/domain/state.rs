//! The states of a call.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;

/// Where a call stands. `pgdial.call_state` in SQL has the same words.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    clap::ValueEnum,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum CallState {
    /// Due now or later; nobody works on it.
    Waiting,
    /// Claimed: one worker may send one dial request until its lease is over.
    Dialing,
    /// The dial's result is unknown: it may be ringing. Never redialled blindly.
    Unresolved,
    /// The provider has accepted it: it rings, or somebody talks.
    InCall,
    /// The call reached somebody, or their voicemail.
    Completed,
    /// No attempts are left, or the outcome is not retried.
    Failed,
    /// Somebody ended it before it was answered.
    Canceled,
    /// It was not dialled before `expires_at`.
    Expired,
    /// Its number is on the do-not-call list.
    Suppressed,
}

impl CallState {
    /// Every state, in the order of a call's life.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Dialing,
        Self::Unresolved,
        Self::InCall,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::Expired,
        Self::Suppressed,
    ];

    /// The word in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// In flight: holds one slot of its trunk, and its number.
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Dialing | Self::Unresolved | Self::InCall)
    }

    /// Terminal: only a redrive (or, for a call failed as unknown, a late answer) leaves it.
    pub const fn is_terminal(self) -> bool {
        !self.is_in_flight() && !matches!(self, Self::Waiting)
    }
}

impl fmt::Display for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
