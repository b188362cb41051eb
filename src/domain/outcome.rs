//! How an attempt ended.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;

/// How one attempt ended. `pgdial.outcome` in SQL has the same words; which of them are retried, and when, is decided
/// there (`pgdial.retry_base`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// A person answered.
    Answered,
    /// The line was busy.
    Busy,
    /// It rang, and nobody answered.
    NoAnswer,
    /// The callee or their phone declined.
    Declined,
    /// The number does not exist.
    InvalidNumber,
    /// A machine answered.
    Voicemail,
    /// The network could not reach the number.
    Unreachable,
    /// The provider will not ring this number, or not for us.
    Blocked,
    /// The provider had no capacity.
    Capacity,
    /// The provider refused the account: credentials, money, permission.
    Account,
    /// The provider failed.
    ProviderFault,
    /// It was canceled.
    Canceled,
    /// It could not be found out.
    Unknown,
}

impl Outcome {
    /// All outcomes, in the order of the SQL type.
    pub const ALL: [Self; 13] = [
        Self::Answered,
        Self::Busy,
        Self::NoAnswer,
        Self::Declined,
        Self::InvalidNumber,
        Self::Voicemail,
        Self::Unreachable,
        Self::Blocked,
        Self::Capacity,
        Self::Account,
        Self::ProviderFault,
        Self::Canceled,
        Self::Unknown,
    ];

    /// The word used in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a person knows of a dial that pgdial cannot explain: how it ended, or that it was never placed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    IntoStaticStr,
    ToSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Resolution {
    /// Nobody was rung: the call waits again, and the attempt is not counted.
    NotPlaced,
    /// A person answered.
    Answered,
    /// A machine answered.
    Voicemail,
    /// The line was busy.
    Busy,
    /// It rang, and nobody answered.
    NoAnswer,
    /// The callee or their phone declined.
    Declined,
    /// The number does not exist.
    InvalidNumber,
    /// The network could not reach the number.
    Unreachable,
    /// The provider will not ring this number, or not for us.
    Blocked,
    /// The provider failed.
    ProviderFault,
    /// It was canceled.
    Canceled,
    /// It was placed, and nothing more can be found out: the number stays held.
    Unknown,
}

impl Resolution {
    /// The word used in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
