//! Campaigns and trunks as they are shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Length;

/// A campaign.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Campaign {
    /// Its name.
    #[schema(example = "default")]
    pub name: String,
    /// The trunk that it dials on.
    #[schema(example = "default")]
    pub trunk: String,
    /// Its calls in flight at most; null: only the trunk's slots.
    pub cap: Option<i32>,
    /// Its share of the slots beside other campaigns that have work.
    pub weight: i32,
    /// Whether it dials.
    pub paused: bool,
    /// Since when not.
    pub paused_at: Option<DateTime<Utc>>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub paused_why: Option<String>,
    /// Attempts of a new call that does not say.
    pub max_attempts: i32,
    /// How long it may ring.
    pub ring_timeout: Length,
    /// How long a call may last.
    pub max_duration: Length,
    /// The first wait after busy.
    pub busy_base: Length,
    /// The first wait after nobody answered.
    pub no_answer_base: Length,
    /// The first wait after a fault.
    pub fault_base: Length,
    /// No wait is longer than this.
    pub backoff_cap: Length,
    /// Retry a call whose attempt nobody could explain, after its hold.
    pub redial_unknown: bool,
    /// After so many refused dials in a row, for one reason, it pauses itself; null: never.
    pub guard: Option<i32>,
    /// Where its numbers are dialled, if they come without + and country code.
    #[schema(example = "US")]
    pub region: Option<String>,
    /// Calls in flight.
    pub in_flight: Option<i64>,
    /// Calls that it may have claimed now.
    pub room: Option<i64>,
    /// Why there is no room.
    pub reason: Option<String>,
}

/// A trunk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trunk {
    /// Its name.
    #[schema(example = "default")]
    pub name: String,
    /// Calls in flight at most, summed over all processes.
    pub slots: i32,
    /// Its pace; null: unpaced.
    pub calls_per_second: Option<f64>,
    /// Whether it dials.
    pub paused: bool,
    /// Since when not.
    pub paused_at: Option<DateTime<Utc>>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub paused_why: Option<String>,
    /// What its provider can be asked: `none`, `hint` or `authoritative`.
    #[schema(example = "authoritative")]
    pub look_up: String,
    /// Its provider rings once for one Idempotency-Key.
    pub idempotent: bool,
    /// Within what time its provider sends a first report of every call that it places; null: nobody knows.
    pub reports_within: Option<Length>,
    /// Since when its breaker is open.
    pub breaker_opened_at: Option<DateTime<Utc>>,
    /// Calls in flight.
    pub in_flight: i64,
}
