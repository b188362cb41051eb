//! The queue's JSON as types: `sql/read/` builds it, the API passes it on, and the command line reads its
//! fields.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

mod call;

mod caller_id;
mod contact_limit;

mod endpoint;
mod evidence;
mod failures;
mod hours;
mod key;

mod group;

mod preview;

mod stats;

mod webhook;

// Lists of words for the OpenAPI document.
mod words;

pub use call::{Attempt, Call, CallEvent, CallSummary};
pub use caller_id::CallerId;
pub use contact_limit::ContactLimit;
pub use endpoint::{
    CallDelivery, DeliveryState, Endpoint, EndpointAttempt, EndpointDelivery,
    EndpointDeliverySummary,
};
pub use evidence::{
    CallbackAsked, DialEvidence, DialsBefore, Evidence, ListEntry, OptedOut, SpecialDate,
};
pub use failures::{FailureGroup, Failures};
pub use group::{
    AnswerGuard, Campaign, DispositionGoal, DispositionRule, Goal, OutcomeGoal, Ramp, Trunk,
    TrunkAdapter, TrunkTerms,
};
pub use hours::{Calendar, CallingHours, HoursAnswer, RegionHours, SpecialDay};
pub use key::{Key, KeyState};
pub use preview::{Estimate, Preview, PreviewedArea};
pub use stats::{CampaignStats, Stats, TrunkStats};
pub use webhook::WebhookEvent;
pub use words::{EventKind, EventKinds, WhyReason};

/// A worker process.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Worker {
    /// New at every start of the process.
    pub id: Uuid,
    /// Host name of the machine or container.
    #[schema(example = "dialer-1")]
    pub host: String,
    /// Process id on that host.
    pub pid: i32,
    /// Version of pgdial it runs.
    #[schema(example = "0.1.0")]
    pub release: String,
    /// Dials it may have under way at once.
    pub permits: i32,
    /// Trunks it is configured to dial, by name.
    #[schema(example = json!(["default"]))]
    pub trunks: Vec<String>,
    /// When the process started.
    pub started_at: DateTime<Utc>,
    /// Last heartbeat.
    pub seen_at: DateTime<Utc>,
    /// Shutting down: claims nothing more.
    pub stopping: bool,
    /// Asked to drain: claims nothing more, finishes its dials.
    pub draining: bool,
    /// Seen within the last 45 s and not stopping.
    pub alive: bool,
    /// Calls in flight that this worker claimed.
    pub in_flight: i64,
}

/// An entry of the audit trail: something done to a campaign, trunk, worker, number or batch of calls.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Act {
    /// Ascending number, unique among all acts.
    pub seq: i64,
    /// When it was done, by the database's clock.
    pub at: DateTime<Utc>,
    /// Who did it, as the client names itself: `api:` and the API key's name, `cli:` and the user, or an SQL
    /// role.
    #[schema(example = "api:crm")]
    pub by: String,
    /// Database role of the connection; the client cannot choose it.
    #[schema(example = "pgdial")]
    pub login: String,
    /// `pause`, `resume`, `set`, `create`, `remove`, `cancel`, `redrive`, `drain`, `forget`, ...
    #[schema(example = "pause")]
    pub act: String,
    /// What it was done to: `campaign`, `trunk`, `calling_hours`, `calendar`, `contact_limit`, `worker`, `number`,
    /// `caller_id`, `endpoint`, `key`, `calls` (a batch) or `cluster`.
    #[schema(example = "trunk")]
    pub kind: String,
    /// Name of the campaign, trunk, limit, hours, calendar, worker, number, caller id or endpoint; null for `calls` and `cluster`.
    pub name: Option<String>,
    /// Reason given, if any.
    pub why: Option<String>,
    /// Old and new values, or the filter and the counts.
    pub detail: Detail,
}

/// An entry of the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoNotCallEntry {
    /// E.164.
    #[schema(example = "+14155550100")]
    pub phone: String,
    /// The entry holds for calls of campaigns with this topic; null means for any topic.
    pub topic: Option<String>,
    /// The entry holds for calls of this campaign; null means for any campaign.
    pub campaign: Option<String>,
    /// When the entry ends; null means never.
    pub until: Option<DateTime<Utc>>,
    /// Reason given when it was added.
    #[schema(example = "asked not to be rung")]
    pub reason: String,
    /// Who added it, as in an act's `by`.
    #[schema(example = "api:crm")]
    pub by: String,
    /// When it was added.
    pub at: DateTime<Utc>,
}

/// Duration in ISO 8601.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Duration, example = "PT5M")]
pub struct Length(String);

impl fmt::Display for Length {
    /// `1h30m`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.chars().filter(|part| !matches!(part, 'P' | 'T'));
        let words: String = parts.collect();
        f.write_str(&words.to_lowercase())
    }
}

/// Further fields of an event or an act.
///
/// Top-level names are stored as `run_at` and written as `runAt`; nested values come from elsewhere and are
/// not renamed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object, example = json!({"by": "api:crm", "runAt": "2026-01-31T09:00:00Z"}))]
pub struct Detail(pub Map<String, Value>);

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_key(&camel_case(name))?;
            match instant(name, value) {
                Some(at) => map.serialize_value(&at)?,
                None => map.serialize_value(value)?,
            }
        }
        map.end()
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// Rewrites an instant as Postgres prints it, with an offset, to UTC with a Z, as everywhere else in the API.
fn instant(name: &str, value: &Value) -> Option<String> {
    let is_instant =
        name.ends_with("_at") || ["until", "since"].iter().any(|end| name.ends_with(end));
    let at: DateTime<Utc> = value.as_str().filter(|_| is_instant)?.parse().ok()?;
    Some(at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_instants_of_a_detail_are_written_as_everywhere_else() {
        let stored = json!({
            "run_at": "2026-01-31T09:00:00.5+00:00", "ring_timeout_sec": 60, "why": "2026-01-31T09:00:00+00:00",
            "report": {"call_id": "x", "ended_at": "2026-01-31T09:00:00+00:00"},
        });
        let detail: Detail = serde_json::from_value(stored).unwrap();
        assert_eq!(
            json!(detail),
            json!({
                "runAt": "2026-01-31T09:00:00.500Z", "ringTimeoutSec": 60, "why": "2026-01-31T09:00:00+00:00",
                "report": {"call_id": "x", "ended_at": "2026-01-31T09:00:00+00:00"},
            })
        );
    }

    #[test]
    fn a_length_is_written_for_programs_and_said_to_people() {
        let length: Length = serde_json::from_value(json!("PT1H30M")).unwrap();
        assert_eq!(
            (json!(length), length.to_string()),
            (json!("PT1H30M"), "1h30m".to_owned())
        );
    }
}
