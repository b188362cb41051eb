//! A caller id as the API shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A number that calls are dialed from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallerId {
    /// E.164.
    #[schema(example = "+14155550199")]
    pub number: String,
    /// Pool it belongs to; campaigns name pools.
    #[schema(example = "us-sales")]
    pub pool: String,
    /// Trunk whose account owns it.
    #[schema(example = "default")]
    pub trunk: String,
    /// Limit of dials within 24 hours; null means none.
    pub daily_cap: Option<i32>,
    /// True while paused, by a person or because the provider refuses it.
    pub paused: bool,
    /// When it was paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Who paused it, as in an act's `by`.
    pub paused_by: Option<String>,
    /// Reason of the pause.
    pub paused_why: Option<String>,
    /// End of its rest, until which it is not chosen; null if it does not rest.
    pub rest_until: Option<DateTime<Utc>>,
    /// Dials from it within the last 24 hours; without a cap, counted up to 1,000.
    pub dials: i32,
}
