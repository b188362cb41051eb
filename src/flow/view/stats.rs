//! State of the queue in numbers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of the queue in numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stats {
    /// Time of this answer, by the database's clock.
    pub now: DateTime<Utc>,
    /// Number of calls by state.
    #[schema(example = json!({"waiting": 12, "in_call": 3}))]
    pub calls: BTreeMap<String, i64>,
    /// States whose number is an estimate from Postgres's statistics, because there are too many calls to
    /// count: more than 1,000,000 waiting, or more than 10,000 in another state.
    #[schema(example = json!(["completed"]))]
    pub estimated: Vec<String>,
    /// Due time of the waiting call that has been due longest; null if none is due.
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// All trunks, by name; null if there are none.
    pub trunks: Option<Vec<TrunkStats>>,
    /// All campaigns, by name; null if there are none.
    pub campaigns: Option<Vec<CampaignStats>>,
    /// Workers that are alive and not draining.
    pub workers: i64,
    /// Kept webhook events that wait for the call they are about.
    pub webhooks_parked: i64,
}

/// State of a trunk in numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrunkStats {
    /// Name of the trunk.
    #[schema(example = "default")]
    pub name: String,
    /// Limit of calls in flight, 0 to 100,000.
    pub slots: i64,
    /// Limit of dials per second; null if there is none.
    pub calls_per_second: Option<f64>,
    /// True while paused, by a person or by pgdial itself: nothing is dialed.
    pub paused: bool,
    /// Reason of the pause; null if not paused.
    pub paused_why: Option<String>,
    /// When the circuit breaker opened because the provider fails; while open, one call at a time probes it.
    /// Null if closed.
    pub breaker_opened_at: Option<DateTime<Utc>>,
    /// Calls in flight now.
    pub in_flight: i64,
}

/// State of a campaign in numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignStats {
    /// Name of the campaign.
    #[schema(example = "default")]
    pub name: String,
    /// Name of the trunk it dials on.
    pub trunk: Option<String>,
    /// Calls in flight now.
    pub in_flight: Option<i64>,
    /// Further calls that may be claimed now.
    pub room: Option<i64>,
    /// Why `room` is 0; null otherwise.
    pub reason: Option<String>,
}
