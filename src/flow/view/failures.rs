//! Failed calls by what they failed of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{CallId, Outcome};

/// The failed calls of a span, in groups.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// How far back the calls reach that were visited; null if they are all of the span.
    pub counted_since: Option<DateTime<Utc>>,
    /// Ended calls that were visited, however they ended.
    pub visited: i64,
    /// The groups, most calls first.
    pub groups: Vec<FailureGroup>,
}

/// Calls that failed alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureGroup {
    /// Outcome of their latest attempt.
    pub outcome: Option<Outcome>,
    /// The words of their last error, with `…` for what differs.
    pub words: String,
    /// How many.
    pub calls: i64,
    /// When the latest ended.
    pub latest: DateTime<Utc>,
    /// The latest.
    pub latest_call: CallId,
    /// Its error, whole.
    pub sample: Option<String>,
    /// Some of their campaigns, at most five.
    pub campaigns: Vec<String>,
    /// Some of their trunks, at most five.
    pub trunks: Vec<String>,
}
