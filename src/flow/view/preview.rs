//! The preview of a campaign.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::read::Reason;

/// What would be dialed of a campaign's waiting calls. Each is counted once: `suppressed`, `noConsent`, `expired`,
/// `capped`, `later`, `closed` or `now`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preview {
    /// Name of the campaign.
    #[schema(example = "default")]
    pub campaign: String,
    /// The instant that it is about.
    pub at: DateTime<Utc>,
    /// Nothing is dialed before; null means at once.
    pub starts_at: Option<DateTime<Utc>>,
    /// Nothing is dialed from then on; null means never.
    pub ends_at: Option<DateTime<Utc>>,
    /// All waiting calls.
    pub waiting: i64,
    /// May be dialed at once, as far as slots, pace and `reasons` allow.
    pub now: i64,
    /// Not due yet.
    pub later: i64,
    /// Due, but outside the calling hours of the callee, by reason: `outside_hours`, `holiday`, `zone_unknown`,
    /// `calendar_ended`.
    #[schema(example = json!({"outside_hours": 120}))]
    pub closed: BTreeMap<String, i64>,
    /// Held by a contact limit.
    pub capped: i64,
    /// On the do-not-call list.
    pub suppressed: i64,
    /// Without the consent that the campaign requires, or with one that has expired by then.
    pub no_consent: i64,
    /// Past their `expiresAt`.
    pub expired: i64,
    /// Calls to a number that another waiting call of the campaign has too. They are counted above as well.
    pub duplicates: i64,
    /// The ten places with the most calls; none if the campaign has no calling hours.
    pub areas: Vec<PreviewedArea>,
    /// What keeps the whole campaign from dialing, or from dialing more, as things stand: a pause, a worker that is
    /// missing. Hours are counted under `closed`, calls that are not due yet under `later`.
    #[schema(example = json!([]))]
    pub reasons: Vec<Reason>,
    /// How long it would take.
    pub estimate: Estimate,
}

/// A place where callees may be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewedArea {
    /// Zones whose clocks count.
    #[schema(example = json!(["America/New_York"]))]
    pub zones: Vec<String>,
    /// Regions whose rules count.
    #[schema(example = json!(["US-FL"]))]
    pub regions: Vec<String>,
    /// Waiting calls.
    pub calls: i64,
    /// Why it is closed; null if it is open.
    #[schema(example = "outside_hours")]
    pub reason: Option<String>,
    /// When it opens; null if it is open, or if that is not known or later than 60 days.
    pub opens_at: Option<DateTime<Utc>>,
}

/// How long the calls take if each is dialed once, at the campaign's present pace, while no other campaign dials.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Estimate {
    /// Waiting calls, without those that are suppressed, lack consent, or are expired.
    pub calls: i64,
    /// Seconds of dialing; hours that are closed come on top. Null means never.
    pub seconds: Option<i64>,
    /// Calls in flight at once: the campaign's cap, or the slots of its trunk.
    pub at_once: i32,
    /// Pace of the trunk; null means none.
    pub calls_per_second: Option<f64>,
    /// Assumed length of a call, with its ringing.
    pub seconds_per_call: f64,
    /// Where that comes from: `recent_calls` (the mean of the latest 500), or `limits` (the campaign's `ringTimeout` and
    /// `maxDuration`, while fewer than 20 calls were dialed).
    #[schema(example = "recent_calls")]
    pub basis: String,
}
