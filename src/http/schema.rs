//! Request and response bodies that are specific to HTTP; the queue's own are in [`crate::flow::view`].

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::problem::Code;
use crate::{
    domain::{CallId, Resolution, Timezones, Why},
    flow::{
        events::{Event, Heartbeat},
        read::Reason,
        view::Call,
    },
};

pub mod acting;
pub mod endpoints;
pub mod keys;
pub mod rules;

mod call;

pub use call::{CallPage, WebhookPage, WebhookWithBody};

/// The `data` of a server-sent event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    /// Data of every event but `heartbeat`.
    Event(Box<Event>),
    /// Data of `heartbeat`.
    Heartbeat(Heartbeat),
}

/// A page of events, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPageBody {
    /// In their order.
    pub events: Vec<Event>,
    /// `after` of the next page; keep it, also where there were no events.
    #[schema(example = "1-7b3c-1-2a7-51-64b0c2f1a2b3c")]
    pub next_cursor: String,
    /// True: the next page has events already.
    pub more: bool,
    /// How far the events lag.
    pub heartbeat: Heartbeat,
}

/// Result of one item of a batch.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResult {
    /// Index of the item, from 0; empty lines do not count.
    pub index: usize,
    /// What was done with the item.
    pub status: BatchStatus,
    /// Id of the call; absent unless `created` or `duplicate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CallId, example = "0197f5e0-0000-7000-8000-000000000001")]
    pub id: Option<CallId>,
    /// The `code` that a single request would have been refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Result of an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// A new call.
    Created,
    /// The same idempotency key and the same request came before; `id` is that call.
    Duplicate,
    /// No call was made; `code` and `detail` say why.
    Error,
    /// The batch stopped early. Whether this item and the following ones, 1,000 at most, were enqueued is
    /// unknown; later ones were not. `code` and `detail` say why.
    Stopped,
}

/// Changes to a waiting call. `to` and `campaign` cannot be changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AmendRequest {
    /// The provider's id of the script, agent or assistant, 1 to 200 characters.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000]*$",
        nullable = false
    )]
    pub script_id: Option<String>,
    /// Replaces all metadata. At most 16 KiB.
    pub metadata: Option<Map<String, Value>>,
    /// Where the callee is: an IANA time zone, or several; null: as the number says.
    pub timezone: Option<Timezones>,
    /// Where the callee is: a part of a country as ISO 3166 writes it; null: as the number says.
    #[schema(example = "US-FL", pattern = "^[A-Za-z]{2}-[A-Za-z0-9]{1,3}$")]
    pub region: Option<String>,
    /// 0 to 9, higher goes first.
    #[schema(example = 5, minimum = 0, maximum = 9)]
    pub priority: Option<i16>,
    /// Earliest dial (RFC 3339).
    pub run_at: Option<DateTime<Utc>>,
    /// Latest dial (RFC 3339), after which the call expires; null means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Limit of attempts, 1 to 20, and not below those used.
    #[schema(minimum = 1, maximum = 20)]
    pub max_attempts: Option<i32>,
    /// When the callee agreed to be called (RFC 3339); null for not.
    pub consent_at: Option<DateTime<Utc>>,
    /// Where the consent is recorded; 1 to 255 characters.
    #[schema(min_length = 1, max_length = 255, pattern = r"^[^\u0000]*$")]
    pub consent_ref: Option<String>,
    /// When the consent ends (RFC 3339); null means never.
    pub consent_expires_at: Option<DateTime<Utc>>,
    /// Reason, kept with the call.
    #[schema(nullable = false)]
    pub why: Option<Why>,
}

/// Cancellation of a call.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelRequest {
    /// Reason, kept in the call's history.
    pub why: Option<Why>,
}

/// Return of a finished call to the queue.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveRequest {
    /// Reason, kept in the call's history.
    pub why: Option<Why>,
    /// Also redrive a completed call, whose callee will be rung again. Default false.
    #[serde(default)]
    pub force: bool,
}

/// What a person knows about a dial in doubt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveRequest {
    /// `not_placed`, or the outcome.
    pub r#as: Resolution,
    /// How this is known; kept in the call's history.
    pub why: Why,
    /// The dial's `claimNo`; the request is refused if the call has been claimed again.
    #[serde(default, deserialize_with = "whole")]
    pub claim_no: Option<i64>,
}

/// Result of a cancellation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelResponse {
    /// `canceled`: it will not ring. `requested`: it is in flight; the provider is asked until it agrees or
    /// the call ends.
    #[schema(example = "canceled")]
    pub result: String,
    /// The call after the change.
    pub call: Call,
}

/// Why a call is not being dialed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhyResponse {
    /// Every reason that holds now, in the order in which they have to be resolved.
    pub reasons: Vec<Reason>,
}

/// Liveness of a process.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Version of pgdial.
    #[schema(example = "0.1.0")]
    pub release: &'static str,
}

/// Readiness of a process.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ready {
    /// Always `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// Version of pgdial.
    #[schema(example = "0.1.0")]
    pub release: &'static str,
    /// Failures that hold up no call, such as those of housekeeping.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A provider's report (generic protocol). Other fields are kept as the call's result.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The provider's id of the call.
    #[schema(example = "call_7")]
    pub call_id: String,
    /// Status word, in any case.
    ///
    /// Progress: `QUEUED`, `RINGING`, `IN_PROGRESS`. Final: `COMPLETED`, `BUSY`, `NO_ANSWER`, `DECLINED`,
    /// `INVALID_NUMBER`, `VOICEMAIL`, `FAILED`, `BLOCKED`, `CAPACITY`, `ACCOUNT`, `CANCELED`.
    #[schema(example = "COMPLETED")]
    pub status: String,
    /// Duration in seconds.
    pub duration_sec: Option<f64>,
    /// When the call ended (RFC 3339).
    pub completed_at: Option<DateTime<Utc>>,
    /// Reference the call was placed under.
    pub reference: Option<String>,
    /// Id of the event, the same in every delivery.
    pub event_id: Option<String>,
}

/// A whole number; in JSON `3.0` is one too.
fn whole<'de, D: Deserializer<'de>>(number: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<Number>::deserialize(number)?;
    let Some(number) = number else {
        return Ok(None);
    };
    let written = number.to_string();
    let digits = written.strip_suffix(".0").unwrap_or(&written);
    let whole = digits.parse().map(Some);
    whole.map_err(|_other| D::Error::custom(format_args!("{number} is not a whole number")))
}
