//! What the queue shows, as types: `sql/read/` builds them, the API passes them on, and the command
//! line reads their fields.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

// Calls.
mod call;

// Campaigns and trunks.
mod lane;

// The queue in numbers.
mod stats;

// What providers said.
mod webhook;

pub use call::{Attempt, Call, CallEvent, CallSummary};
pub use lane::{Campaign, Trunk};
pub use stats::{CampaignStats, Stats, TrunkStats};
pub use webhook::WebhookEvent;

/// A worker process.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Worker {
    /// Made afresh at each start.
    pub id: Uuid,
    /// Where it runs.
    #[schema(example = "dialer-1")]
    pub host: String,
    /// Its process there.
    pub pid: i32,
    /// Its release of pgdial.
    #[schema(example = "0.1.0")]
    pub release: String,
    /// Dials that it makes at once.
    pub permits: i32,
    /// The trunks that it can dial.
    #[schema(example = json!(["default"]))]
    pub trunks: Vec<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it was last seen.
    pub seen_at: DateTime<Utc>,
    /// It no longer claims, and ends.
    pub stopping: bool,
    /// It was told to go.
    pub draining: bool,
    /// It was seen within 45 s and does not stop.
    pub alive: bool,
    /// Calls in flight that it claimed.
    pub in_flight: i64,
}

/// One act.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Act {
    /// Its place among all acts.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, in their own words: `api:` and the name of the key, `cli:` and the user, an SQL role.
    #[schema(example = "api:crm")]
    pub by: String,
    /// Whose connection to the database it was.
    #[schema(example = "pgdial")]
    pub login: String,
    /// `pause`, `resume`, `set`, `create`, `remove`, `cancel`, `redrive`, `drain`, `forget`, ...
    #[schema(example = "pause")]
    pub act: String,
    /// On a `campaign`, `trunk`, `worker` or `number`, on `calls`, on the `cluster`.
    #[schema(example = "trunk")]
    pub kind: String,
    /// Which one.
    pub name: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// What: old and new values, or filter and counts.
    pub detail: Detail,
}

/// An entry of the do-not-call list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoNotCallEntry {
    /// The number.
    #[schema(example = "+14155550100")]
    pub phone: String,
    /// Why.
    #[schema(example = "asked not to be rung")]
    pub reason: String,
    /// Who put it there.
    #[schema(example = "api:crm")]
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A length of time, in ISO 8601.
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

/// What an event or an act says beside its fields. In the database its names are written as
/// `run_at`, and to programs as `runAt`; what stands below them is somebody else's, and left alone.
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

/// Postgres writes instants with an offset; everything else here has them in UTC, with a Z.
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
