//! Campaigns and trunks as the API shows them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{super::read::Reason, Length};

/// A campaign with its settings and its present load.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Campaign {
    /// Name of the campaign.
    #[schema(example = "default")]
    pub name: String,
    /// Name of the trunk it dials on.
    #[schema(example = "default")]
    pub trunk: String,
    /// Limit of its calls in flight; null means only the trunk's slots limit it.
    pub cap: Option<i32>,
    /// Its share of the slots beside other campaigns with work, 1 to 1000; default 1.
    pub weight: i32,
    /// True while paused, by a person or by its guard: nothing is dialed.
    pub paused: bool,
    /// When it was paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Who paused it, as in an act's `by`.
    pub paused_by: Option<String>,
    /// Reason of the pause.
    pub paused_why: Option<String>,
    /// When it was archived: paused for good, and left out of lists; null if it is not.
    pub archived_at: Option<DateTime<Utc>>,
    /// Attempts of a call whose request names none, 1 to 20; default 3.
    pub max_attempts: i32,
    /// How long a call may ring, 1 second to 10 minutes; default 60 seconds.
    pub ring_timeout: Length,
    /// How long a call may last, 1 second to 6 hours; default 30 minutes.
    pub max_duration: Length,
    /// First wait after busy; doubles with each attempt. Default 5 minutes.
    pub busy_base: Length,
    /// First wait after no answer; doubles with each attempt. Default 30 minutes.
    pub no_answer_base: Length,
    /// First wait after a fault; doubles with each attempt. Default 5 seconds.
    pub fault_base: Length,
    /// Limit of the wait between attempts, before a jitter of ±20 %; default 4 hours.
    pub backoff_cap: Length,
    /// Retry a call whose attempt ended as `unknown`, after its hold; default false.
    pub redial_unknown: bool,
    /// Consecutive dials refused or failed for one reason after which it pauses itself, 1 to 100; null means never.
    /// Default 10.
    pub guard: Option<i32>,
    /// Region of numbers without + and country code (ISO 3166, two letters); null means each number needs
    /// them.
    #[schema(example = "US")]
    pub region: Option<String>,
    /// What the provider is told to do if a machine answers: `ignore` (nothing is said of it), `hang_up` or
    /// `leave_message`. Default `ignore`.
    #[schema(example = "hang_up")]
    pub answering_machine: String,
    /// What follows once a machine has answered: `complete` (the call is over) or `retry`. Default `complete`.
    #[schema(example = "complete")]
    pub voicemail: String,
    /// First wait after a voicemail that is retried; doubles with each attempt. Default 2 hours.
    pub voicemail_base: Length,
    /// Settings that have no effect on its trunk, and what follows.
    #[schema(example = json!([]))]
    pub conflicts: Vec<String>,
    /// Pool of caller ids that its calls are dialed from; null means as the trunk does.
    #[schema(example = "us-sales")]
    pub caller_ids: Option<String>,
    /// When a call is dialed again after `busy` or `no_answer`: `backoff`, `other_part` (in a part of the callee's day
    /// not tried yet: 9-12, 12-17, 17-20) or `next_day` (the same local time tomorrow or later).
    #[schema(example = "backoff")]
    pub retry_at: String,
    /// It pauses itself once so many of its calls ended so; null means never.
    pub goal: Option<Goal>,
    /// It pauses itself once its calls have cost so much, in the platform's currency; null means never.
    #[schema(example = 100.0)]
    pub budget: Option<f64>,
    /// It pauses itself if too few of its latest attempts were answered; null means never.
    pub answer_guard: Option<AnswerGuard>,
    /// How its cap grows since it was last resumed, or since its start; null means at once.
    pub ramp: Option<Ramp>,
    /// Nothing is dialed before; null means at once.
    pub starts_at: Option<DateTime<Utc>>,
    /// Nothing is dialed from then on, retries included: what waits expires, live calls go on to their end. Null
    /// means never.
    pub ends_at: Option<DateTime<Utc>>,
    /// Names of the contact limits that hold for it, besides those for all campaigns.
    #[schema(example = json!(["us-fl@2026-11"]))]
    pub contact_limits: Vec<String>,
    /// What its calls are about, for contact limits by topic; null counts with every topic.
    #[schema(example = "renewal")]
    pub topic: Option<String>,
    /// Calling hours outside which nothing is dialled; null means at any time.
    #[schema(example = "us-tcpa@2026-11")]
    pub calling_hours: Option<String>,
    /// What tells where the callee may be: `given_or_number`, `given_and_number` or `given`; null means what its
    /// calling hours say.
    pub zone_basis: Option<String>,
    /// Rules that find a call's disposition in its result; the first that finds something decides.
    #[schema(value_type = Option<Vec<DispositionRule>>)]
    pub disposition_rules: Option<Vec<DispositionRule>>,
    /// Where a callee who opts out is not called again: `everywhere`, `topic` or `campaign`.
    #[schema(example = "everywhere")]
    pub opt_out_scope: String,
    /// Whether only calls with a consent that has not expired are dialed.
    pub require_consent: bool,
    /// Calls in flight now.
    pub in_flight: Option<i64>,
    /// Further calls that may be claimed now.
    pub room: Option<i64>,
    /// Everything that keeps it from dialing, or from dialing more, in the order in which it must change; that of its
    /// trunk, too.
    #[schema(example = json!([]))]
    pub reasons: Vec<Reason>,
}

/// Calls of a campaign after which it is done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Goal {
    /// By how they ended.
    Outcome(OutcomeGoal),
    /// By what they came to.
    Disposition(DispositionGoal),
}

/// So many calls with this outcome.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutcomeGoal {
    /// `answered` or `voicemail`.
    #[schema(example = "answered", pattern = "^(answered|voicemail)$")]
    pub outcome: String,
    /// How many, counted since a goal, a budget or an answer guard was first set.
    #[schema(example = 500, minimum = 1, maximum = 999_999_999)]
    pub count: i32,
}

/// So many calls with this disposition.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DispositionGoal {
    /// Lower-case letters, digits and `_`.
    #[schema(example = "interested", pattern = "^[a-z][a-z0-9_]{0,62}$")]
    pub disposition: String,
    /// How many, counted since a goal, a budget or an answer guard was first set.
    #[schema(example = 50, minimum = 1, maximum = 999_999_999)]
    pub count: i32,
}

/// The answer rate below which a campaign stops.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerGuard {
    /// Of how many of the latest attempts, since it was last resumed, 10 to 1000. Those that could not ring are left
    /// out.
    #[schema(example = 50, minimum = 10, maximum = 1000)]
    pub last: i32,
    /// What part of them has to be answered, above 0 and up to 1.
    #[schema(example = 0.05, exclusive_minimum = 0, maximum = 1)]
    pub answered_below: f64,
}

/// How the cap of a campaign grows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ramp {
    /// The cap at first.
    #[schema(example = 2, minimum = 1, maximum = 999_999)]
    pub from: i32,
    /// How much it grows each time, up to the campaign's cap and its trunk's slots.
    #[schema(example = 2, minimum = 1, maximum = 999_999)]
    pub step: i32,
    /// How often it grows, at least 1 second.
    pub every: Length,
}

/// A rule that finds the disposition of a call in its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DispositionRule {
    /// Lower-case letters, digits and `_`. `do_not_call`, `callback`, `wrong_number` and `not_interested` have an
    /// effect.
    #[schema(example = "do_not_call", pattern = "^[a-z][a-z0-9_]{0,62}$")]
    pub disposition: String,
    /// A jsonpath: the rule holds if it finds something in the result.
    #[schema(example = "$.analysis ? (@.optOut == true)", max_length = 500)]
    pub when: String,
    /// Of a `callback`: a jsonpath to the time, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "$.analysis.callbackAt", max_length = 500)]
    pub callback_at: Option<String>,
}

/// A trunk with its settings and its present load.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trunk {
    /// Name of the trunk.
    #[schema(example = "default")]
    pub name: String,
    /// Limit of calls in flight over all processes, 0 to 100,000; default 30.
    pub slots: i32,
    /// Limit of dials per second; null means none.
    pub calls_per_second: Option<f64>,
    /// True while paused, by a person or by pgdial itself: nothing is dialed.
    pub paused: bool,
    /// When it was paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Who paused it, as in an act's `by`.
    pub paused_by: Option<String>,
    /// Reason of the pause.
    pub paused_why: Option<String>,
    /// When it was archived: paused for good, and left out of lists; null if it is not.
    pub archived_at: Option<DateTime<Utc>>,
    /// What a person has set about looking up a call at the provider: `none`, `hint` or `authoritative`; null
    /// means as its adapter declares.
    pub look_up: Option<String>,
    /// What a person has set about requests that are sent again; null means as its adapter declares.
    pub idempotent: Option<bool>,
    /// What a person has set about first reports, 0 if none is promised; null means as its adapter declares.
    pub reports_within: Option<Length>,
    /// What is in effect: what a person has set, else what its adapter declares.
    pub in_effect: TrunkTerms,
    /// Where a person has set what its adapter knows to be otherwise, and what follows.
    #[schema(example = json!([]))]
    pub conflicts: Vec<String>,
    /// What its adapter declares; null until a worker dials on it.
    pub adapter: Option<TrunkAdapter>,
    /// When the circuit breaker opened because the provider fails; null if closed.
    pub breaker_opened_at: Option<DateTime<Utc>>,
    /// Calls in flight now.
    pub in_flight: i64,
    /// Everything that keeps it from dialing, or from dialing more, in the order in which it must change.
    #[schema(example = json!([]))]
    pub reasons: Vec<Reason>,
}

/// What pgdial relies on at a trunk's provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrunkTerms {
    /// What looking up a call proves: `none` (it cannot be asked), `hint` (only what it finds counts) or
    /// `authoritative` (what it repeatedly does not find was not placed).
    #[schema(example = "hint")]
    pub look_up: String,
    /// Whether the provider rings only once for one Idempotency-Key.
    pub idempotent: bool,
    /// Time within which the provider sends a first report of every call it has placed; null if it promises
    /// none.
    pub reports_within: Option<Length>,
}

/// What the adapter of a trunk declares of its platform. Null: not known.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrunkAdapter {
    /// Name of the adapter; null if it does not say.
    #[schema(example = "retell")]
    pub name: Option<String>,
    /// Account that it dials at.
    #[schema(example = "retell api.retellai.com 3f9a1c2b7d55")]
    pub account: Option<String>,
    /// When a worker first declared this.
    pub declared_at: DateTime<Utc>,
    /// `none`, `by_id` (by the platform's own id alone), `hint` or `authoritative`.
    #[schema(example = "hint")]
    pub look_up: Option<String>,
    /// What a request that is sent again does: `none` (it rings again), `untried` (documented to ring once, but
    /// not enough to rely on) or `honoured` (it rings once).
    #[schema(example = "untried")]
    pub idempotency: Option<String>,
    /// How long the platform keeps an idempotency key.
    pub key_kept: Option<Length>,
    /// Time within which the platform promises a first report of every call it has placed.
    pub reports_within: Option<Length>,
    /// Whether it ends a call when asked to.
    pub cancels: Option<bool>,
    /// Whether it lists all calls, as `pgdial recover` needs.
    pub lists: Option<bool>,
    /// Where the webhook's URL is set: `per_call` or `per_account`.
    #[schema(example = "per_call")]
    pub webhooks: Option<String>,
    /// Documented default of how many calls may begin in a second.
    pub calls_per_second: Option<f64>,
    /// What it can be told, with a call, to do if a machine answers: `hang_up`, `leave_message`.
    #[schema(example = json!(["hang_up"]))]
    pub answering_machine: Option<Vec<String>>,
    /// How long placing a call may take.
    pub place_timeout: Option<Length>,
}
