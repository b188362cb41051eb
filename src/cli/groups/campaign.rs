//! What can be set of a campaign, and how it is shown.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Changes, in_codes, in_words, only_given, paused};
use crate::{
    cli::{
        Failure, Out,
        out::{instant, or_empty, or_none, yes},
        values::{self, Interval, Limit},
    },
    domain::{AnsweringMachine, Region},
    flow::{
        Error, Queue,
        groups::GroupKind,
        view::{AnswerGuard, Campaign, Goal, Ramp},
    },
};

/// What can be set of a campaign.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CampaignChanges {
    /// Trunk to dial on.
    #[arg(long, value_name = "NAME")]
    pub trunk: Option<String>,
    /// Maximum calls in flight, or none: then only the trunk's slots limit it.
    #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = values::number_or_none::<i64>)]
    pub cap: Option<Limit<i64>>,
    /// Share of the trunk's slots relative to other campaigns with work, 1 to 1000.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub weight: Option<i64>,
    /// Attempts of a new call that does not say, 1 to 20.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_attempts: Option<i64>,
    /// Ring timeout, 1s to 10m.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub ring_timeout: Option<Interval>,
    /// Maximum duration of a call, 1s to 6h.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub max_duration: Option<Interval>,
    /// Wait after the first busy attempt; doubles with each attempt.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub busy_base: Option<Interval>,
    /// Wait after the first unanswered attempt; doubles with each attempt.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub no_answer_base: Option<Interval>,
    /// Wait after the first fault; doubles with each attempt.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub fault_base: Option<Interval>,
    /// Upper bound of every wait.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub backoff_cap: Option<Interval>,
    /// What the provider is told to do if a machine answers. `ignore`: nothing is said of it.
    #[arg(long, value_enum, value_name = "HOW")]
    pub answering_machine: Option<AnsweringMachine>,
    /// What follows once a machine has answered: the call is over, or is tried again.
    #[arg(long, value_enum, value_name = "HOW")]
    pub voicemail: Option<OnVoicemail>,
    /// Wait after the first voicemail that is retried; doubles with each attempt.
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub voicemail_base: Option<Interval>,
    /// Retry a call whose attempt ended as unknown, once its number is free: it may ring the person twice.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub redial_unknown: Option<bool>,
    /// Pause the campaign after this many dials in a row were refused, or failed, for one reason: 1 to 100, or none.
    /// Until its first call is accepted, no more than this many are being dialled.
    #[arg(long, value_name = "N|none", allow_negative_numbers = true, value_parser = values::number_or_none::<i64>)]
    pub guard: Option<Limit<i64>>,
    /// Region of numbers without + and country code, as in US; or none, which refuses such numbers.
    #[arg(long, value_name = "REGION|none", value_parser = values::region_or_none)]
    pub region: Option<Limit<Region>>,
    /// Pause the campaign once so many of its calls ended so, as in answered=500 or voicemail=500, or came to a
    /// disposition, as in interested=50; or none.
    #[arg(long, value_name = "WORD=N|none", value_parser = values::goal_or_none)]
    pub goal: Option<Value>,
    /// Pause the campaign once its calls have cost so much, in the platform's currency; or none.
    #[arg(long, value_name = "AMOUNT|none", value_parser = values::number_or_none::<f64>)]
    pub budget: Option<Limit<f64>>,
    /// Pause the campaign if of so many latest attempts fewer than this part were answered, as in 0.05/50; or none.
    #[arg(long, value_name = "PART/N|none", value_parser = values::answer_guard_or_none)]
    pub answer_guard: Option<Value>,
    /// Let the cap grow since the latest resume, or the start, as in 2+2/10m: from 2 on, 2 more every 10 minutes; or
    /// none.
    #[arg(long, value_name = "FROM+STEP/TIME|none", value_parser = values::ramp_or_none)]
    pub ramp: Option<Value>,
    /// Pool of caller ids to dial from, or none: then as the trunk does.
    #[arg(long, value_name = "POOL|none", value_parser = values::text_or_none)]
    pub caller_ids: Option<Limit<String>>,
    /// When to dial again after busy or no answer: `backoff`, `other_part` (a part of the callee's day not tried yet) or
    /// `next_day`. The last two need calling hours.
    #[arg(long, value_name = "backoff|other_part|next_day")]
    pub retry_at: Option<String>,
    /// Dial nothing before this instant, as in 2026-01-31T09:00:00+01:00; or none.
    #[arg(long, value_name = "TIME|none", value_parser = values::instant_or_none)]
    pub starts_at: Option<Value>,
    /// Dial nothing from this instant on, retries included; or none. What waits then expires, live calls go on to
    /// their end.
    #[arg(long, value_name = "TIME|none", value_parser = values::instant_or_none)]
    pub ends_at: Option<Value>,
    /// Contact limits, as `limits list` shows them, comma-separated; or none.
    #[arg(long, value_name = "NAME,...|none", value_delimiter = ',')]
    pub contact_limits: Option<Vec<String>>,
    /// What its calls are about, for contact limits by topic; or none, which counts with every topic.
    #[arg(long, value_name = "TEXT|none")]
    pub topic: Option<String>,
    /// Set the newest calling hours and contact limits of this name, as in us-strict; options beside it win.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Calling hours outside which nothing is dialled, or none: at any time. Of dated ones, as in us-tcpa@2026-11, the
    /// name alone means the newest.
    #[arg(long, value_name = "NAME|none", value_parser = values::text_or_none)]
    pub calling_hours: Option<Limit<String>>,
    /// What tells where the callee may be: `given_or_number`, `given_and_number` or `given`; or hours: as its calling hours
    /// say.
    #[arg(long, value_name = "BASIS|hours", value_parser = values::basis_or_hours)]
    pub zone_basis: Option<Limit<String>>,
    /// Rules that find a call's disposition in its result, as a JSON list, or none:
    /// `[{"disposition": "do_not_call", "when": "$.analysis ? (@.optOut == true)"}]`.
    #[arg(long, value_name = "JSON|none", value_parser = values::list_or_none)]
    pub disposition_rules: Option<Limit<Value>>,
    /// Where a callee who opts out is not called again.
    #[arg(long, value_name = "SCOPE", value_parser = ["everywhere", "topic", "campaign"])]
    pub opt_out_scope: Option<String>,
    /// Take and dial only calls with a consent that has not expired.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub require_consent: Option<bool>,
}

/// What follows a voicemail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnVoicemail {
    /// The call is over.
    Complete,
    /// It is tried again.
    Retry,
}

impl Changes for CampaignChanges {
    const KIND: GroupKind = GroupKind::Campaign;

    fn given(&self) -> Map<String, Value> {
        let time = |time: Option<Interval>| time.map(|time| json!(time.to_sql()));
        only_given([
            ("trunk", self.trunk.clone().map(Value::from)),
            ("cap", self.cap.map(Limit::into_json)),
            ("weight", self.weight.map(Value::from)),
            ("maxAttempts", self.max_attempts.map(Value::from)),
            ("ringTimeout", time(self.ring_timeout)),
            ("maxDuration", time(self.max_duration)),
            ("busyBase", time(self.busy_base)),
            ("noAnswerBase", time(self.no_answer_base)),
            ("faultBase", time(self.fault_base)),
            ("backoffCap", time(self.backoff_cap)),
            (
                "answeringMachine",
                self.answering_machine.map(|how| json!(how)),
            ),
            ("voicemail", self.voicemail.map(|how| json!(how))),
            ("voicemailBase", time(self.voicemail_base)),
            ("redialUnknown", self.redial_unknown.map(Value::from)),
            ("guard", self.guard.map(Limit::into_json)),
            ("region", self.region.map(Limit::into_json)),
            ("callerIds", self.caller_ids.clone().map(Limit::into_json)),
            ("goal", self.goal.clone()),
            ("budget", self.budget.map(Limit::into_json)),
            ("answerGuard", self.answer_guard.clone()),
            ("ramp", self.ramp.clone()),
            ("retryAt", self.retry_at.clone().map(Value::from)),
            ("startsAt", self.starts_at.clone()),
            ("endsAt", self.ends_at.clone()),
            ("contactLimits", self.contact_limits.as_deref().map(names)),
            ("topic", self.topic.as_deref().map(text_or_null)),
            ("preset", self.preset.clone().map(Value::from)),
            (
                "callingHours",
                self.calling_hours.clone().map(Limit::into_json),
            ),
            ("zoneBasis", self.zone_basis.clone().map(Limit::into_json)),
            (
                "dispositionRules",
                self.disposition_rules.clone().map(Limit::into_json),
            ),
            ("optOutScope", self.opt_out_scope.clone().map(Value::from)),
            ("requireConsent", self.require_consent.map(Value::from)),
        ])
    }

    type Group = Campaign;

    fn groups(
        calls: &Queue,
        name: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Campaign>, Error>> {
        calls.campaigns(name)
    }

    fn is_paused(group: &Campaign) -> bool {
        group.paused
    }

    fn is_archived(group: &Campaign) -> bool {
        group.archived_at.is_some()
    }

    fn table(groups: &[Campaign], out: &mut Out) -> Result<(), Failure> {
        let row = |group: &Campaign| {
            vec![
                group.name.clone(),
                group.trunk.clone(),
                or_empty(group.in_flight),
                or_none(group.cap),
                group.weight.to_string(),
                is_paused(group),
                in_codes(&group.reasons),
            ]
        };
        let header = [
            "campaign",
            "trunk",
            "in flight",
            "cap",
            "weight",
            "paused",
            "held by",
        ];
        out.table(&header, groups.iter().map(row).collect())
    }

    fn pairs(group: &Campaign) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("campaign", group.name.clone()),
            ("trunk", group.trunk.clone()),
            ("paused", is_paused(group)),
            ("in flight", or_empty(group.in_flight)),
            ("room", or_empty(group.room)),
            ("held by", in_words(&group.reasons)),
            ("cap", or_none(group.cap)),
            ("weight", group.weight.to_string()),
            ("max attempts", group.max_attempts.to_string()),
            ("ring timeout", group.ring_timeout.to_string()),
            ("max duration", group.max_duration.to_string()),
            ("busy base", group.busy_base.to_string()),
            ("no answer base", group.no_answer_base.to_string()),
            ("fault base", group.fault_base.to_string()),
            ("backoff cap", group.backoff_cap.to_string()),
            (
                "answering machine",
                group.answering_machine.replace('_', " "),
            ),
            ("voicemail", group.voicemail.clone()),
            ("voicemail base", group.voicemail_base.to_string()),
            ("redial unknown", yes(group.redial_unknown).to_owned()),
            ("guard", or_none(group.guard)),
            ("region", or_none(group.region.as_ref())),
            ("caller ids", or_none(group.caller_ids.as_ref())),
            ("goal", or_none(group.goal.as_ref().map(goal))),
            ("budget", or_none(group.budget)),
            (
                "answer guard",
                or_none(group.answer_guard.as_ref().map(answer_guard)),
            ),
            ("ramp", or_none(group.ramp.as_ref().map(ramp))),
            ("retry at", group.retry_at.clone()),
            ("starts at", or_none(group.starts_at.map(instant))),
            ("ends at", or_none(group.ends_at.map(instant))),
            ("contact limits", all_or_none(&group.contact_limits)),
            ("topic", or_none(group.topic.as_ref())),
            ("calling hours", or_none(group.calling_hours.as_ref())),
            (
                "zone basis",
                group
                    .zone_basis
                    .clone()
                    .unwrap_or_else(|| "as its calling hours say".to_owned()),
            ),
            (
                "disposition rules",
                or_none(group.disposition_rules.as_ref().map(|rules| json!(rules))),
            ),
            ("opt-out scope", group.opt_out_scope.clone()),
            ("require consent", yes(group.require_consent).to_owned()),
        ];
        let conflicts = group.conflicts.iter();
        pairs.extend(conflicts.map(|conflict| ("conflict", conflict.clone())));
        pairs
    }
}

/// An array of the names, or null for `none`.
fn names(given: &[String]) -> Value {
    match given {
        [none] if none == "none" => Value::Null,
        names => json!(names),
    }
}

fn text_or_null(given: &str) -> Value {
    match given {
        "none" => Value::Null,
        text => Value::from(text),
    }
}

fn all_or_none(names: &[String]) -> String {
    or_none(Some(names.join(", ")).filter(|names| !names.is_empty()))
}

fn goal(goal: &Goal) -> String {
    match goal {
        Goal::Outcome(goal) => format!("{} {}", goal.count, goal.outcome),
        Goal::Disposition(goal) => format!("{} {}", goal.count, goal.disposition),
    }
}

fn answer_guard(guard: &AnswerGuard) -> String {
    let AnswerGuard {
        last,
        answered_below,
    } = guard;
    format!("below {answered_below} of the latest {last}")
}

fn ramp(ramp: &Ramp) -> String {
    format!(
        "from {}, {} more every {}",
        ramp.from, ramp.step, ramp.every
    )
}

fn is_paused(group: &Campaign) -> String {
    let (by, why) = (group.paused_by.as_ref(), group.paused_why.as_ref());
    paused(group.paused, by, group.paused_at, why)
}
