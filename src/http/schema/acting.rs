//! What people do to the queue over HTTP: bodies and answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::{CallId, CallState, Outcome, Resolution, Why};
use crate::flow::forget::ForgetDoNotCall;
use crate::flow::view::{Act, Campaign, DoNotCallEntry, Trunk, Worker};

/// Which calls: all that is given must hold. At least one field, or `{"all": true}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallFilter {
    /// These calls.
    #[schema(max_items = 10000)]
    pub ids: Option<Vec<CallId>>,
    /// In one of these states; a single word will do.
    #[schema(min_items = 1)]
    pub state: Option<Vec<CallState>>,
    /// Whose latest attempt ended like this; a single word will do.
    #[schema(min_items = 1)]
    pub outcome: Option<Vec<Outcome>>,
    /// To this number.
    #[schema(example = "+14155550100")]
    pub to: Option<String>,
    /// Where it is dialled as it stands, if it has no + and country code: ISO 3166, two letters.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// Of this campaign.
    pub campaign: Option<String>,
    /// Enqueued at this instant or later (RFC 3339).
    pub created_after: Option<DateTime<Utc>>,
    /// Enqueued before this instant.
    pub created_before: Option<DateTime<Utc>>,
    /// Ended at this instant or later.
    pub ended_after: Option<DateTime<Utc>>,
    /// Ended before this instant.
    pub ended_before: Option<DateTime<Utc>>,
    /// Every call is meant.
    pub all: Option<bool>,
}

/// Cancel, redrive or resolve all calls that a filter means: one batch of them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchRequest {
    /// Which calls.
    #[schema(value_type = CallFilter, example = json!({"campaign": "default"}))]
    pub filter: Map<String, Value>,
    /// Kept with the act and in each call's history.
    pub why: Why,
    /// Calls of this batch.
    #[serde(default = "usual_limit")]
    #[schema(minimum = 1, maximum = 10000)]
    pub limit: i32,
    /// Only count, up to 100,000 calls.
    #[serde(default)]
    pub dry_run: bool,
    /// `cursor` of the batch before.
    #[schema(pattern = r"^[^\u0000]*$")]
    pub cursor: Option<String>,
    /// Redrive only: completed calls too. Somebody will be rung again.
    #[serde(default)]
    pub force: bool,
    /// Resolve only, and needed there: what came of the dials.
    pub r#as: Option<Resolution>,
}

const fn usual_limit() -> i32 {
    1000
}

/// Why it is done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRequest {
    /// Kept with the act.
    pub why: Why,
}

/// Why it is done, if somebody wants to say.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptionalReasonRequest {
    /// Kept with the act.
    pub why: Option<Why>,
}

/// A new campaign.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateCampaignRequest {
    /// Its name.
    #[schema(example = "spring", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub name: String,
    /// What is not given has its usual value.
    #[serde(flatten)]
    pub changes: SetCampaignRequest,
}

/// What can be set of a campaign. Lengths of time as in `45 seconds` or `PT45S`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCampaignRequest {
    /// The trunk that it dials on.
    pub trunk: Option<String>,
    /// Its calls in flight at most; null: only the trunk's slots.
    #[schema(example = 10, minimum = 0, maximum = 999_999_999)]
    pub cap: Option<i32>,
    /// Its share of the slots beside other campaigns that have work.
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<i32>,
    /// Attempts of a new call that does not say.
    #[schema(minimum = 1, maximum = 20)]
    pub max_attempts: Option<i32>,
    /// How long it may ring, 1 second to 10 minutes.
    #[schema(example = "45 seconds")]
    pub ring_timeout: Option<String>,
    /// How long a call may last, 1 second to 6 hours.
    pub max_duration: Option<String>,
    /// The first wait after busy; it doubles with each attempt.
    pub busy_base: Option<String>,
    /// The first wait after nobody answered.
    pub no_answer_base: Option<String>,
    /// The first wait after a fault.
    pub fault_base: Option<String>,
    /// No wait is longer than this.
    pub backoff_cap: Option<String>,
    /// Retry a call whose attempt nobody could explain, after its hold: it may ring someone twice.
    pub redial_unknown: Option<bool>,
    /// After so many refused dials in a row, for one reason, it pauses itself; null: never. Until a
    /// first call is accepted no more than these are on their way.
    #[schema(minimum = 1, maximum = 100)]
    pub guard: Option<i32>,
    /// Where its numbers are dialled, if they come without + and country code (ISO 3166, two letters);
    /// null: nowhere, each must have them.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// Kept with the act.
    pub why: Option<Why>,
}

/// A new trunk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateTrunkRequest {
    /// Its name.
    #[schema(example = "eu", pattern = "^[a-z][a-z0-9_]{0,30}$")]
    pub name: String,
    /// What is not given has its usual value.
    #[serde(flatten)]
    pub changes: SetTrunkRequest,
}

/// What can be set of a trunk.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTrunkRequest {
    /// Calls in flight at most, summed over all processes.
    #[schema(example = 30, minimum = 0, maximum = 100_000)]
    pub slots: Option<i32>,
    /// Dials a second at most; null: no pace.
    pub calls_per_second: Option<f64>,
    /// `none`, `hint` or `authoritative`.
    pub look_up: Option<String>,
    /// Its provider rings once for one Idempotency-Key.
    pub idempotent: Option<bool>,
    /// Within what time its provider sends a first report of every call that it places, from
    /// 1 second to 1 hour: one in doubt of which it told nothing by then was not placed. null: nobody knows.
    #[schema(example = "30 seconds")]
    pub reports_within: Option<String>,
    /// Kept with the act.
    pub why: Option<Why>,
}

/// The campaigns, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Campaigns {
    /// All of them.
    pub campaigns: Vec<Campaign>,
}

/// The trunks, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Trunks {
    /// All of them.
    pub trunks: Vec<Trunk>,
}

/// The workers, the latest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Workers {
    /// Those of the last day.
    pub workers: Vec<Worker>,
}

/// What became of a drain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DrainResponse {
    /// `draining`, `already_draining` or `stopping`.
    #[schema(example = "draining")]
    pub result: String,
}

/// A page of acts, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActPage {
    /// The acts.
    pub acts: Vec<Act>,
    /// Give it back as `cursor` for the next page; null: this is the last.
    pub next_cursor: Option<String>,
}

/// A number that is to be forgotten.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgetRequest {
    /// The number.
    #[schema(example = "+14155550100", max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: String,
    /// Where it is dialled as it stands, if it has no + and country code: ISO 3166, two letters.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// On which ground; kept with the act, without the number.
    pub why: Why,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
    /// What becomes of its entry in the do-not-call list.
    #[serde(default)]
    pub do_not_call: ForgetDoNotCall,
}

/// A number for the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DoNotCallRequest {
    /// The number.
    #[schema(example = "+14155550100", max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: String,
    /// Where it is dialled as it stands, if it has no + and country code: ISO 3166, two letters.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// Kept with the entry, and shown to whoever asks for a call.
    pub why: Why,
}

/// Whether the list changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DoNotCallResponse {
    /// False: the number was there, or was not.
    pub changed: bool,
}

/// The newest entries of the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DoNotCallList {
    /// Newest first.
    pub entries: Vec<DoNotCallEntry>,
}
