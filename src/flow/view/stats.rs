//! The queue in numbers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The queue in numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stats {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// How many calls are in each state.
    #[schema(example = json!({"waiting": 12, "in_call": 3}))]
    pub calls: BTreeMap<String, i64>,
    /// The states of which there are so many that Postgres's statistics were asked instead of
    /// counting: more than 10,000, or a million that wait.
    #[schema(example = json!(["completed"]))]
    pub estimated: Vec<String>,
    /// The longest that a call has been due.
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// The trunks and what they have in flight.
    pub trunks: Option<Vec<TrunkStats>>,
    /// The campaigns and what they have in flight.
    pub campaigns: Option<Vec<CampaignStats>>,
    /// Workers that are alive.
    pub workers: i64,
    /// Events that wait for their call.
    pub webhooks_parked: i64,
}

/// A trunk in numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrunkStats {
    /// Its name.
    #[schema(example = "default")]
    pub name: String,
    /// Calls in flight at most.
    pub slots: i64,
    /// Its pace; null: unpaced.
    pub calls_per_second: Option<f64>,
    /// Whether it dials.
    pub paused: bool,
    /// Why not.
    pub paused_why: Option<String>,
    /// Since when its breaker is open: its provider fails, one call at a time probes it.
    pub breaker_opened_at: Option<DateTime<Utc>>,
    /// Calls in flight.
    pub in_flight: i64,
}

/// A campaign in numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignStats {
    /// Its name.
    #[schema(example = "default")]
    pub name: String,
    /// Its trunk.
    pub trunk: Option<String>,
    /// Calls in flight.
    pub in_flight: Option<i64>,
    /// Calls that it may have claimed now.
    pub room: Option<i64>,
    /// Why there is no room.
    pub reason: Option<String>,
}
