//! A call as lists show it, and with its attempts and history.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Detail, EventKind};
use crate::domain::{CallId, CallState, Outcome};

/// A call in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallSummary {
    /// UUIDv7, so ids sort by creation.
    pub id: CallId,
    /// Number that it rings now or next, E.164; `forgotten` once the number has been forgotten.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// All numbers of the person, in the order in which they are rung; null if there is only one.
    pub numbers: Option<Vec<String>>,
    /// Caller id as requested, E.164; null leaves it to the campaign's pool or the provider.
    pub from: Option<String>,
    /// The provider's id of the script, agent or assistant.
    #[schema(example = "welcome")]
    pub script_id: String,
    /// Passed to the provider unchanged.
    pub metadata: Map<String, Value>,
    /// Name of the campaign.
    #[schema(example = "default")]
    pub campaign: String,
    /// 0 to 9, higher goes first.
    pub priority: i16,
    /// Current state.
    pub state: CallState,
    /// Earliest time of the next dial.
    pub run_at: DateTime<Utc>,
    /// Latest time to dial, after which the call expires; null means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Attempts used so far, 0 to `maxAttempts`.
    pub attempt: i32,
    /// Limit of attempts, 1 to 20.
    pub max_attempts: i32,
    /// Trunk of the latest dial; null while waiting.
    pub trunk: Option<String>,
    /// The provider's id of the latest dial, once known.
    pub provider_call_id: Option<String>,
    /// When the call was answered; null until then, and again after a redrive.
    pub answered_at: Option<DateTime<Utc>>,
    /// Outcome of the latest attempt that ended; null before.
    pub outcome: Option<Outcome>,
    /// What the conversation of the latest attempt that ended came to; null if nobody said.
    #[schema(example = "callback")]
    pub disposition: Option<String>,
    /// Latest error, in words.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached a terminal state.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A call with its attempts and its history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// UUIDv7, so ids sort by creation.
    pub id: CallId,
    /// Number that it rings now or next, E.164; `forgotten` once the number has been forgotten.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// All numbers of the person, in the order in which they are rung; null if there is only one.
    pub numbers: Option<Vec<String>>,
    /// Time zones in which the callee may be, as requested; null: as the number says.
    pub timezone: Option<Vec<String>>,
    /// Part of a country in which the callee is, as requested; null: as the number says.
    #[schema(example = "US-FL")]
    pub region: Option<String>,
    /// Caller id as requested, E.164; null leaves it to the campaign's pool or the provider.
    pub from: Option<String>,
    /// The provider's id of the script, agent or assistant.
    #[schema(example = "welcome")]
    pub script_id: String,
    /// Passed to the provider unchanged.
    pub metadata: Map<String, Value>,
    /// Name of the campaign.
    #[schema(example = "default")]
    pub campaign: String,
    /// 0 to 9, higher goes first.
    pub priority: i16,
    /// Current state.
    pub state: CallState,
    /// Earliest time of the next dial.
    pub run_at: DateTime<Utc>,
    /// Latest time to dial, after which the call expires; null means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Attempts used so far, 0 to `maxAttempts`.
    pub attempt: i32,
    /// Limit of attempts, 1 to 20.
    pub max_attempts: i32,
    /// Times it was put back without using up an attempt.
    pub deferrals: i32,
    /// Number of the latest claim; 0 before the first, never goes down.
    pub claim_no: i64,
    /// Trunk of the latest dial; null while waiting.
    pub trunk: Option<String>,
    /// The provider's id of the latest dial, once known.
    pub provider_call_id: Option<String>,
    /// When it was last claimed.
    pub claimed_at: Option<DateTime<Utc>>,
    /// End of the lease: the worker must not dial after it.
    pub lease_until: Option<DateTime<Utc>>,
    /// When the sweep takes up the call if it has not ended by then.
    pub deadline_at: Option<DateTime<Utc>>,
    /// While the outcome of a dial is in doubt: end of the hold, until which the number stays taken.
    pub hold_until: Option<DateTime<Utc>>,
    /// When the call was answered; null until then, and again after a redrive.
    pub answered_at: Option<DateTime<Utc>>,
    /// Outcome of the latest attempt that ended; null before.
    pub outcome: Option<Outcome>,
    /// What the conversation of the latest attempt that ended came to; null if nobody said.
    #[schema(example = "callback")]
    pub disposition: Option<String>,
    /// The call in which the callee asked for this one; null for others.
    pub callback_of: Option<CallId>,
    /// When the callee agreed to be called.
    pub consent_at: Option<DateTime<Utc>>,
    /// Where the consent is recorded.
    pub consent_ref: Option<String>,
    /// When the consent ends; null means never.
    pub consent_expires_at: Option<DateTime<Utc>>,
    /// Remaining fields of the provider's final report, unchanged.
    pub result: Option<Value>,
    /// Latest error, in words.
    pub last_error: Option<String>,
    /// When cancellation was requested while the call was in flight.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Who requested the cancellation, as in an act's `by`.
    pub cancel_requested_by: Option<String>,
    /// Reason given for the cancellation, if any.
    pub cancel_requested_why: Option<String>,
    /// Who enqueued it: name of the API key, or SQL role.
    #[schema(example = "crm")]
    pub owner: String,
    /// Idempotency key of the request, if it had one.
    pub idempotency_key: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached a terminal state.
    pub ended_at: Option<DateTime<Utc>>,
    /// One entry for each claim, oldest first.
    pub attempts: Vec<Attempt>,
    /// History of the call, oldest first.
    pub events: Vec<CallEvent>,
}

/// One claim of a call and how it ended.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attempt {
    /// Number of the claim; `<call id>-<claimNo>` is the reference at the provider.
    pub claim_no: i64,
    /// Number of the attempt, from 1. Claims that used up no attempt repeat it.
    pub attempt: i32,
    /// Number that it rang, or was to ring.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// Trunk the claim was for.
    pub trunk: Option<String>,
    /// Number it was dialed from; null leaves it to the provider.
    pub caller_id: Option<String>,
    /// When the call was claimed.
    pub claimed_at: Option<DateTime<Utc>>,
    /// When the provider accepted the call.
    pub in_call_at: Option<DateTime<Utc>>,
    /// The provider's id of the call, once known.
    pub provider_call_id: Option<String>,
    /// When the attempt ended; null while in flight.
    pub ended_at: Option<DateTime<Utc>>,
    /// Kind of the event that ended it.
    pub ended_as: Option<String>,
    /// Outcome of the attempt; null while in flight.
    pub outcome: Option<String>,
    /// What its conversation came to; null if nobody said.
    pub disposition: Option<String>,
    /// Reason of the outcome, in words.
    pub why: Option<String>,
    /// Remaining fields of the provider's final report, unchanged.
    pub result: Option<Value>,
}

/// An entry of a call's history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallEvent {
    /// Number of the entry, unique among all calls and ascending within this one.
    pub seq: i64,
    /// When it happened, by the database's clock.
    pub at: DateTime<Utc>,
    /// What happened.
    #[schema(value_type = EventKind)]
    pub kind: String,
    /// Claim it belongs to; 0 before the first.
    pub claim_no: i64,
    /// Attempt it belongs to.
    pub attempt: i32,
    /// Further fields, such as the outcome, the provider's words, who did it and why.
    pub detail: Detail,
}
