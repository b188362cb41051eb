//! A call as it is shown: in a list, and alone with its history.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Detail;
use crate::domain::{CallId, CallState, Outcome};

/// A call in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallSummary {
    /// Its id, which sorts by creation.
    pub id: CallId,
    /// The number to ring.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// The number to show; null: the provider's own.
    pub from: Option<String>,
    /// What the provider says.
    #[schema(example = "welcome")]
    pub script_id: String,
    /// Passed to the provider verbatim.
    pub metadata: Map<String, Value>,
    /// The campaign that it belongs to.
    #[schema(example = "default")]
    pub campaign: String,
    /// 0 to 9, higher first.
    pub priority: i16,
    /// Where it stands.
    pub state: CallState,
    /// Not dialled before.
    pub run_at: DateTime<Utc>,
    /// Not dialled after.
    pub expires_at: Option<DateTime<Utc>>,
    /// The attempts that were counted so far.
    pub attempt: i32,
    /// How many attempts it has.
    pub max_attempts: i32,
    /// The trunk of its latest dial; null while it waits.
    pub trunk: Option<String>,
    /// The provider's id of the latest dial.
    pub provider_call_id: Option<String>,
    /// When somebody answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// How its latest attempt ended.
    pub outcome: Option<Outcome>,
    /// What went wrong last.
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
    /// Its id, which sorts by creation.
    pub id: CallId,
    /// The number to ring.
    #[schema(example = "+14155550100")]
    pub to: String,
    /// The number to show; null: the provider's own.
    pub from: Option<String>,
    /// What the provider says.
    #[schema(example = "welcome")]
    pub script_id: String,
    /// Passed to the provider verbatim.
    pub metadata: Map<String, Value>,
    /// The campaign that it belongs to.
    #[schema(example = "default")]
    pub campaign: String,
    /// 0 to 9, higher first.
    pub priority: i16,
    /// Where it stands.
    pub state: CallState,
    /// Not dialled before.
    pub run_at: DateTime<Utc>,
    /// Not dialled after.
    pub expires_at: Option<DateTime<Utc>>,
    /// The attempts that were counted so far.
    pub attempt: i32,
    /// How many attempts it has.
    pub max_attempts: i32,
    /// How often it was put back without an attempt being counted.
    pub deferrals: i32,
    /// How often it was claimed.
    pub claim_no: i64,
    /// The trunk of its latest dial; null while it waits.
    pub trunk: Option<String>,
    /// The provider's id of the latest dial.
    pub provider_call_id: Option<String>,
    /// When it was last claimed.
    pub claimed_at: Option<DateTime<Utc>>,
    /// Until when its worker may dial.
    pub lease_until: Option<DateTime<Utc>>,
    /// When it must be over.
    pub deadline_at: Option<DateTime<Utc>>,
    /// Nobody knows how its dial ended: its number stays taken until then.
    pub hold_until: Option<DateTime<Utc>>,
    /// When somebody answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// How its latest attempt ended.
    pub outcome: Option<Outcome>,
    /// The other fields of the provider's final report, verbatim.
    pub result: Option<Value>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When somebody wished it ended while it was in flight.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Who.
    pub cancel_requested_by: Option<String>,
    /// Why.
    pub cancel_requested_why: Option<String>,
    /// Who enqueued it: an API key's name, or an SQL role.
    #[schema(example = "crm")]
    pub owner: String,
    /// The key under which the same request is the same call.
    pub idempotency_key: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached a terminal state.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its claims, in order.
    pub attempts: Vec<Attempt>,
    /// Everything that happened to it, in order.
    pub events: Vec<CallEvent>,
}

/// One claim of a call, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attempt {
    /// Its claim number; `<call id>-<claimNo>` is the reference at the provider.
    pub claim_no: i64,
    /// Which attempt it was, from 1.
    pub attempt: i32,
    /// The trunk that was used.
    pub trunk: Option<String>,
    /// When it was claimed.
    pub claimed_at: Option<DateTime<Utc>>,
    /// When the provider accepted it.
    pub in_call_at: Option<DateTime<Utc>>,
    /// The provider's id.
    pub provider_call_id: Option<String>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The kind of the event that ended it.
    pub ended_as: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// The other fields of the provider's final report.
    pub result: Option<Value>,
}

/// One entry of a call's history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallEvent {
    /// Its place in the history of all calls.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What: `waiting`, `active`, `in_call`, `retried`, `completed`, ...
    #[schema(example = "completed")]
    pub kind: String,
    /// The claim that it belongs to; 0 before the first.
    pub claim_no: i64,
    /// The attempt that it belongs to.
    pub attempt: i32,
    /// What else is known: outcome, the provider's words, who, why.
    pub detail: Detail,
}
