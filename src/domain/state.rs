//! The states of a call.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;

/// State of a call. `pgdial.call_state` in SQL has the same words.
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
    /// Due now or later; no worker has it.
    Waiting,
    /// Claimed: one worker may send one dial request until its lease ends.
    Dialing,
    /// The dial's result is unknown, so it may be ringing. Never redialled blindly.
    Unresolved,
    /// Accepted by the provider: ringing or talking.
    InCall,
    /// The call reached a person or their voicemail.
    Completed,
    /// No attempts are left, or the outcome is not retried.
    Failed,
    /// Canceled before it was answered.
    Canceled,
    /// Not dialled before `expires_at`.
    Expired,
    /// The number is on the do-not-call list.
    Suppressed,
}

impl CallState {
    /// All states, in the order of a call's life.
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

    /// The word used in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it holds a slot of its trunk, and its number.
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Dialing | Self::Unresolved | Self::InCall)
    }

    /// Whether only a redrive (or, for a call failed as unknown, a late answer) can leave it.
    pub const fn is_terminal(self) -> bool {
        !self.is_in_flight() && !matches!(self, Self::Waiting)
    }
}

impl fmt::Display for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
