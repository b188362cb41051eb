//! Why each dial of a call was allowed, and what came of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::CallId;

/// What an auditor asks about a call, read from its history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// The call.
    pub id: CallId,
    /// Number that it rings now or next, E.164; `forgotten` once the number has been forgotten.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// All numbers of the person, in the order in which they are rung; null if there is only one.
    pub numbers: Option<Vec<String>>,
    /// Name of the campaign.
    #[schema(example = "spring")]
    pub campaign: String,
    /// Who enqueued it.
    #[schema(example = "api:crm")]
    pub owner: String,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// The call in which the callee asked for this one; null for others.
    pub callback_of: Option<CallId>,
    /// One entry for each claim, oldest first.
    pub attempts: Vec<DialEvidence>,
    /// Present entries of the do-not-call list for its numbers, oldest first.
    pub do_not_call: Vec<ListEntry>,
}

/// An entry of the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListEntry {
    /// Number, E.164.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// Null means any topic.
    pub topic: Option<String>,
    /// Null means any campaign.
    pub campaign: Option<String>,
    /// When the entry ends; null means never.
    pub until: Option<DateTime<Utc>>,
    /// Reason given when it was added.
    #[schema(example = "asked not to be called")]
    pub reason: String,
    /// Who added it; `callee` after an opt-out.
    #[schema(example = "callee")]
    pub by: String,
    /// When it was added.
    pub at: DateTime<Utc>,
}

/// Why one dial was allowed, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DialEvidence {
    /// Number of the claim.
    pub claim_no: i64,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// Number that it rang, or was to ring.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// Trunk of the dial.
    pub trunk: Option<String>,
    /// Caller id; null left it to the provider.
    pub from: Option<String>,
    /// The provider's id of the call, once known.
    pub provider_call_id: Option<String>,
    /// When the dial was allowed, by the database's clock.
    pub claimed_at: DateTime<Utc>,
    /// What the clocks of the callee showed then, by zone; empty without calling hours.
    #[schema(example = json!({"America/New_York": "2026-01-02T09:30:00"}))]
    pub local_times: BTreeMap<String, Option<String>>,
    /// Where the callee may be (ISO 3166); empty without calling hours.
    #[schema(example = json!(["US-NY"]))]
    pub regions: Vec<String>,
    /// Name of the calling hours that allowed it; null: the campaign had none.
    pub hours: Option<String>,
    /// Source of these hours, such as a statute.
    pub hours_source: Option<String>,
    /// Special days in the calendars of these hours, on the callee's date.
    pub special_days: Vec<SpecialDate>,
    /// Contact limits that it kept.
    #[schema(example = json!(["us-fl@2026-11"]))]
    pub contact_limits: Vec<String>,
    /// When the callee had agreed, as the call said at the dial.
    pub consent_at: Option<DateTime<Utc>>,
    /// Where that consent is recorded.
    pub consent_ref: Option<String>,
    /// When that consent ends; null means never.
    pub consent_expires_at: Option<DateTime<Utc>>,
    /// The do-not-call list was consulted as of then.
    pub list_as_of: DateTime<Utc>,
    /// Earlier dials to the numbers of the call that may have rung.
    pub dials_before: DialsBefore,
    /// When somebody answered, as the provider told us before the end.
    pub answered_at: Option<DateTime<Utc>>,
    /// When the attempt ended; null while in flight.
    pub ended_at: Option<DateTime<Utc>>,
    /// Kind of the event that ended it.
    pub ended_as: Option<String>,
    /// Outcome of the attempt; null while in flight.
    pub outcome: Option<String>,
    /// What the conversation came to; null if nobody said.
    pub disposition: Option<String>,
    /// The opt-out that followed; null if none did.
    pub opted_out: Option<OptedOut>,
    /// The callback that was asked for; null if none was.
    pub callback: Option<CallbackAsked>,
}

/// A day with hours of its own.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecialDate {
    /// Name of the calendar.
    #[schema(example = "us-federal@2026-11")]
    pub calendar: String,
    /// The date, as in `2026-12-25`.
    #[schema(example = "2026-12-25")]
    pub day: String,
    /// Name of the day.
    #[schema(example = "Christmas Day")]
    pub name: String,
}

/// Earlier dials to a number.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DialsBefore {
    /// In the 24 hours before.
    #[serde(rename = "in24Hours")]
    pub in_24_hours: i64,
    /// In the 7 days before.
    #[serde(rename = "in7Days")]
    pub in_7_days: i64,
}

/// The callee was put on the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptedOut {
    /// When.
    pub at: DateTime<Utc>,
    /// Null means any topic.
    pub topic: Option<String>,
    /// Null means any campaign.
    pub campaign: Option<String>,
}

/// The callee asked for a call.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackAsked {
    /// For when; null: not said.
    pub at: Option<DateTime<Utc>>,
    /// The call that was scheduled; null if none was.
    pub call: Option<CallId>,
    /// Why none was scheduled.
    pub why: Option<String>,
}
