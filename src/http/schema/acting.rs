//! Bodies of the operations that change the queue.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::{Resolution, Why};
use crate::flow::do_not_call::Scope;
use crate::flow::forget::ForgetDoNotCall;
use crate::flow::listing::CallFilter;
use crate::flow::view::{
    Act, AnswerGuard, CallerId, Campaign, ContactLimit, DispositionRule, DoNotCallEntry, Goal,
    Ramp, Trunk, Worker,
};

/// One batch of a cancel, redrive or resolve over the calls a filter selects.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchRequest {
    /// Selects the calls.
    #[schema(value_type = CallFilter, example = json!({"campaign": "default"}))]
    pub filter: Map<String, Value>,
    /// Reason, kept with the act and in each call's history.
    pub why: Why,
    /// Calls in this batch, 1 to 10,000; default 1,000.
    #[serde(default = "default_limit")]
    #[schema(minimum = 1, maximum = 10000)]
    pub limit: i32,
    /// Only count, up to 100,000 calls. Default false.
    #[serde(default)]
    pub dry_run: bool,
    /// `cursor` of the previous batch.
    #[schema(pattern = r"^[^\u0000]*$")]
    pub cursor: Option<String>,
    /// Redrive only: also completed calls, whose callees will be rung again. Default false.
    #[serde(default)]
    pub force: bool,
    /// Resolve only, and required there: `not_placed`, or the outcome of the dials.
    pub r#as: Option<Resolution>,
}

const fn default_limit() -> i32 {
    1000
}

/// A required reason.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRequest {
    /// Reason, kept with the act.
    pub why: Why,
}

/// An optional reason.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptionalReasonRequest {
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// A new campaign.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateCampaignRequest {
    /// Lowercase letters, digits, `_` and `-`; at most 63 characters.
    #[schema(example = "spring", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub name: String,
    /// Omitted fields take their defaults.
    #[serde(flatten)]
    pub changes: SetCampaignRequest,
}

/// Settings of a campaign. Durations as `45 seconds` or `PT45S`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCampaignRequest {
    /// Name of the trunk it dials on.
    pub trunk: Option<String>,
    /// Limit of its calls in flight; null means only the trunk's slots limit it.
    #[schema(example = 10, minimum = 0, maximum = 999_999_999)]
    pub cap: Option<i32>,
    /// Its share of the slots beside other campaigns with work, 1 to 1000; default 1.
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<i32>,
    /// Attempts of a call whose request names none, 1 to 20; default 3.
    #[schema(minimum = 1, maximum = 20)]
    pub max_attempts: Option<i32>,
    /// How long a call may ring, 1 second to 10 minutes; default 60 seconds.
    #[schema(example = "45 seconds")]
    pub ring_timeout: Option<String>,
    /// How long a call may last, 1 second to 6 hours; default 30 minutes.
    pub max_duration: Option<String>,
    /// First wait after busy; doubles with each attempt. Default 5 minutes.
    pub busy_base: Option<String>,
    /// First wait after no answer; doubles with each attempt. Default 30 minutes.
    pub no_answer_base: Option<String>,
    /// First wait after a fault; doubles with each attempt. Default 5 seconds.
    pub fault_base: Option<String>,
    /// Limit of the wait between attempts, before a jitter of ±20 %; default 4 hours.
    pub backoff_cap: Option<String>,
    /// What the provider is told to do if a machine answers: `ignore` (nothing is said of it), `hang_up` or
    /// `leave_message`. Default `ignore`.
    #[schema(example = "hang_up", pattern = "^(ignore|hang_up|leave_message)$")]
    pub answering_machine: Option<String>,
    /// What follows once a machine has answered: `complete` (the call is over) or `retry`. Default `complete`.
    #[schema(example = "complete", pattern = "^(complete|retry)$")]
    pub voicemail: Option<String>,
    /// First wait after a voicemail that is retried; doubles with each attempt. Default 2 hours.
    pub voicemail_base: Option<String>,
    /// Retry a call whose attempt ended as `unknown`, after its hold: the callee may be rung twice. Default
    /// false.
    pub redial_unknown: Option<bool>,
    /// Consecutive dials refused or failed for one reason after which it pauses itself, 1 to 100; null means never.
    /// Default 10. Until its first call is accepted, at most this many dials are under way.
    #[schema(minimum = 1, maximum = 100)]
    pub guard: Option<i32>,
    /// Region of numbers without + and country code (ISO 3166, two letters); null means each number needs
    /// them.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// Pool of caller ids that its calls are dialed from; null means as the trunk does.
    #[schema(example = json!(null), pattern = r"^[^\u0000]*$")]
    pub caller_ids: Option<String>,
    /// When a call is dialed again after `busy` or `no_answer`: `backoff` (default), `other_part` (in a part of the
    /// callee's day not tried yet: 9-12, 12-17, 17-20) or `next_day` (the same local time tomorrow or later). The last
    /// two need `callingHours`.
    #[schema(example = "backoff", pattern = "^(backoff|other_part|next_day)$")]
    pub retry_at: Option<String>,
    /// It pauses itself once so many of its calls ended so, or came to that; null means never.
    pub goal: Option<Goal>,
    /// It pauses itself once its calls have cost so much, in the platform's currency; null means never.
    #[schema(example = 100.0, exclusive_minimum = 0)]
    pub budget: Option<f64>,
    /// It pauses itself if too few of its latest attempts were answered; null means never.
    pub answer_guard: Option<AnswerGuard>,
    /// How its cap grows since it was last resumed, or since its start; null means at once.
    pub ramp: Option<Ramp>,
    /// Nothing is dialed before (RFC 3339); null means at once.
    pub starts_at: Option<DateTime<Utc>>,
    /// Nothing is dialed from then on, retries included (RFC 3339): what waits expires, live calls go on to their
    /// end. Null means never.
    pub ends_at: Option<DateTime<Utc>>,
    /// Names of contact limits; null means none but those for all campaigns.
    #[schema(example = json!(["us-fl@2026-11"]))]
    pub contact_limits: Option<Vec<String>>,
    /// What its calls are about, for contact limits by topic; null counts with every topic.
    #[schema(example = "renewal", min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// Stands for the newest calling hours and contact limits of this name, which are then set and shown; those given
    /// beside it win. With a month, as in `us-strict@2026-11`, for those of that month.
    #[schema(example = "us-strict")]
    pub preset: Option<String>,
    /// Calling hours outside which nothing is dialled; null means at any time. Of dated ones (`us-tcpa@2026-11`) the
    /// name alone (`us-tcpa`) means the newest, which is kept.
    #[schema(example = json!(null), pattern = r"^[^\u0000]*$")]
    pub calling_hours: Option<String>,
    /// What tells where the callee may be: `given_or_number` (what the caller gave, else the number),
    /// `given_and_number` (both: open only where both are) or `given` (calls without it are refused); null means
    /// what its calling hours say.
    #[schema(example = json!(null), pattern = "^given(_or_number|_and_number)?$")]
    pub zone_basis: Option<String>,
    /// Rules that find a call's disposition in its result; the first that finds something decides. Null means none.
    #[schema(min_items = 1, max_items = 20)]
    pub disposition_rules: Option<Vec<DispositionRule>>,
    /// Where a callee who opts out is not called again: `everywhere` (the default), `topic` or `campaign`.
    #[schema(pattern = "^(everywhere|topic|campaign)$")]
    pub opt_out_scope: Option<String>,
    /// Whether only calls with a consent that has not expired are taken and dialed. Default false.
    pub require_consent: Option<bool>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// The contact limits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContactLimits {
    /// By name.
    pub contact_limits: Vec<ContactLimit>,
}

/// A contact limit as a whole. A cooldown is one too: at most one of what begins it within its length.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetContactLimitRequest {
    /// What it counts: `attempts` (every dial), `conversations`, `voicemails`, or the dials with this outcome or
    /// disposition.
    #[schema(example = "attempts", pattern = "^[a-z][a-z0-9_]{0,62}$")]
    pub counts: String,
    /// How many of them there may be within the period before another dial, 1 to 1000; default 1.
    #[schema(minimum = 1, maximum = 1000)]
    pub at_most: Option<i32>,
    /// How long a dial counts, 1 minute to 400 days.
    #[schema(example = "24 hours")]
    pub period: String,
    /// `rolling` (the default): the period before now; `local_day`: today and the days before it, by the callee's clock.
    #[schema(pattern = "^(rolling|local_day)$")]
    pub boundary: Option<String>,
    /// Which dials of a number count together: `number` (the default), `number_and_topic` or `number_and_campaign`.
    #[schema(pattern = "^number(_and_topic|_and_campaign)?$")]
    pub per: Option<String>,
    /// Holds only for callees who may be in one of these regions (ISO 3166); null means for all.
    #[schema(example = json!(["US-FL"]), min_items = 1, max_items = 100)]
    pub regions: Option<Vec<String>>,
    /// Holds for every campaign, whether or not it names the limit. Default false.
    pub all_campaigns: Option<bool>,
    /// Where the rule comes from.
    #[schema(max_length = 1000)]
    pub source: Option<String>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// A new trunk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateTrunkRequest {
    /// Lowercase letters, digits and `_`, beginning with a letter; at most 31 characters.
    #[schema(example = "eu", pattern = "^[a-z][a-z0-9_]{0,30}$")]
    pub name: String,
    /// Omitted fields take their defaults.
    #[serde(flatten)]
    pub changes: SetTrunkRequest,
}

/// Settings of a trunk.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTrunkRequest {
    /// Limit of calls in flight over all processes, 0 to 100,000; default 30.
    #[schema(example = 30, minimum = 0, maximum = 100_000)]
    pub slots: Option<i32>,
    /// Limit of dials per second, above 0; null means none.
    pub calls_per_second: Option<f64>,
    /// What looking up a call at the provider proves: `none`, `hint` or `authoritative`; null for what its adapter
    /// declares.
    pub look_up: Option<String>,
    /// Whether the provider rings only once for one Idempotency-Key; null for what its adapter declares. Refused
    /// where the platform is known to ring again.
    pub idempotent: Option<bool>,
    /// Time within which the provider sends a first report of every call it has placed, 1 second to 1 hour, or 0
    /// if it promises none; null for what its adapter declares. A call in doubt that it has not reported by then
    /// was not placed.
    #[schema(example = "30 seconds")]
    pub reports_within: Option<String>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// All campaigns.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Campaigns {
    /// Sorted by name.
    pub campaigns: Vec<Campaign>,
}

/// All trunks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Trunks {
    /// Sorted by name.
    pub trunks: Vec<Trunk>,
}

/// A new caller id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddCallerIdRequest {
    /// Pool it joins; a new name makes a new pool.
    #[schema(example = "us-sales", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub pool: String,
    /// Omitted fields take their defaults.
    #[serde(flatten)]
    pub changes: SetCallerIdRequest,
}

/// Settings of a caller id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCallerIdRequest {
    /// The number, E.164.
    #[schema(example = "+14155550199")]
    pub number: String,
    /// Pool it belongs to.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub pool: Option<String>,
    /// Trunk whose account owns it; default `default`.
    pub trunk: Option<String>,
    /// Limit of dials within 24 hours; null means none.
    #[schema(example = 150, minimum = 1, maximum = 100_000)]
    pub daily_cap: Option<i32>,
    /// True: it is chosen no more. Needs a reason.
    pub paused: Option<bool>,
    /// How long, from now on, it is not chosen, up to a year; null ends a rest. Needs a reason.
    #[schema(example = "2 hours")]
    pub rest: Option<String>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// A caller id to remove.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveCallerIdRequest {
    /// The number, E.164.
    #[schema(example = "+14155550199")]
    pub number: String,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// Result of removing a caller id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RemoveCallerIdResponse {
    /// False if it was in no pool.
    pub changed: bool,
}

/// All caller ids.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallerIds {
    /// Sorted by pool and number.
    pub caller_ids: Vec<CallerId>,
}

/// Worker processes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Workers {
    /// Those seen within the last day or with calls in flight, latest start first.
    pub workers: Vec<Worker>,
}

/// Result of a drain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DrainResponse {
    /// `draining`, `already_draining`, or `stopping` if it was shutting down anyway.
    #[schema(example = "draining")]
    pub result: String,
}

/// A page of acts, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActPage {
    /// Newest first.
    pub acts: Vec<Act>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A number to forget.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgetRequest {
    /// Number to forget, in E.164 or, with `region`, in national format.
    #[schema(example = "+14155550100", max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: String,
    /// Region of `to` if it lacks + and country code: two letters, ISO 3166.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// Legal or other ground; kept with the act, without the number.
    pub why: Why,
    /// Only count. Default false.
    #[serde(default)]
    pub dry_run: bool,
    /// What to do with its entry in the do-not-call list; default `keep`.
    #[serde(default)]
    pub do_not_call: ForgetDoNotCall,
}

/// A number for the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DoNotCallRequest {
    /// Number to list, in E.164 or, with `region`, in national format.
    #[schema(example = "+14155550100", max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: String,
    /// Region of `to` if it lacks + and country code: two letters, ISO 3166.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// Only calls of campaigns with this topic are refused; excludes `campaign`. Default: calls of any topic.
    #[schema(example = "renewal", min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// Only calls of this campaign are refused. Default: calls of any campaign.
    pub campaign: Option<String>,
    /// When the entry ends (RFC 3339); null means never.
    pub until: Option<DateTime<Utc>>,
    /// Reason, kept with the entry and shown to clients that request a call to the number.
    pub why: Why,
}

/// A number to take off the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DoNotCallRemoveRequest {
    /// Number to remove, in E.164 or, with `region`, in national format.
    #[schema(example = "+14155550100", max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: String,
    /// Region of `to` if it lacks + and country code: two letters, ISO 3166.
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// The entry of this topic; excludes `campaign`.
    #[schema(example = "renewal", min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// The entry of this campaign.
    pub campaign: Option<String>,
    /// Reason, kept with the act.
    pub why: Why,
}

impl DoNotCallRequest {
    pub(in crate::http) fn scope(&self) -> Scope {
        Scope {
            topic: self.topic.clone(),
            campaign: self.campaign.clone(),
            until: self.until,
        }
    }
}

impl DoNotCallRemoveRequest {
    pub(in crate::http) fn scope(&self) -> Scope {
        Scope {
            topic: self.topic.clone(),
            campaign: self.campaign.clone(),
            until: None,
        }
    }
}

/// Result of a change to the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DoNotCallResponse {
    /// False if the number was already on the list, or already off it.
    pub changed: bool,
}

/// A page of the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DoNotCallList {
    /// Newest first.
    pub entries: Vec<DoNotCallEntry>,
}
