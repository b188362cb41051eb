//! The bodies of requests, and answers around what the queue shows ([`crate::flow::view`]).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::problem::Code;
use crate::{
    domain::{CallId, Resolution, Why},
    flow::{
        events::{Event, Heartbeat},
        read::Reason,
        view::Call,
    },
};

// What people do to the queue.
pub mod acting;

// Calls, as they are shown.
mod call;

pub use call::{CallPage, WebhookPage, WebhookWithBody};

/// The `data` of a server-sent event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    /// Of every event but `heartbeat`.
    Event(Box<Event>),
    /// Of `heartbeat`.
    Heartbeat(Heartbeat),
}

/// What became of one item of a batch.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResult {
    /// Which item, from 0; empty lines do not count.
    pub index: usize,
    /// What became of it.
    pub status: BatchStatus,
    /// The call, unless it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CallId, example = "0197f5e0-0000-7000-8000-000000000001")]
    pub id: Option<CallId>,
    /// What went wrong, as the word that a single request would have been answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What happened, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// A new call.
    Created,
    /// The same key with the same request: the same call.
    Duplicate,
    /// No call; `code` and `detail` say why.
    Error,
    /// The batch ends before its end: whether this item and the next ones, at most 1,000, were
    /// enqueued is not known, and those after them were not. `code` and `detail` say why.
    Stopped,
}

/// What to change in a waiting call. `to` and `campaign` cannot be changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AmendRequest {
    /// What the provider should say. 1 to 200 characters.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000]*$",
        nullable = false
    )]
    pub script_id: Option<String>,
    /// Replaces the metadata as a whole. At most 16 KiB.
    pub metadata: Option<Map<String, Value>>,
    /// 0 to 9, higher first.
    #[schema(example = 5, minimum = 0, maximum = 9)]
    pub priority: Option<i16>,
    /// Not before this instant (RFC 3339).
    pub run_at: Option<DateTime<Utc>>,
    /// Not after this instant (RFC 3339); null: it never expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many attempts in all, 1 to 20; not below those used.
    #[schema(minimum = 1, maximum = 20)]
    pub max_attempts: Option<i32>,
}

/// Why a call is canceled.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelRequest {
    /// For the history.
    pub why: Option<Why>,
}

/// Why a call is put back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveRequest {
    /// For the history.
    pub why: Option<Why>,
    /// Also a call that was completed: somebody will be rung again.
    #[serde(default)]
    pub force: bool,
}

/// What a person knows of a dial that pgdial cannot explain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveRequest {
    /// What came of it: `not_placed`, or how it ended.
    pub r#as: Resolution,
    /// How they know; kept in the call's history.
    pub why: Why,
    /// The `claimNo` of the dial that they speak of: refused if the call has been claimed again.
    #[serde(default)]
    pub claim_no: Option<i64>,
}

/// What became of a cancel.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelResponse {
    /// `canceled`: it will not ring. `requested`: it is in flight, and the provider is
    /// asked until it agrees or the call ends.
    #[schema(example = "canceled")]
    pub result: String,
    /// The call as it is now.
    pub call: Call,
}

/// Why a call is not being dialled.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhyResponse {
    /// Every reason that holds now, in the order in which they must change.
    pub reasons: Vec<Reason>,
}

/// A process that answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// The release of pgdial.
    #[schema(example = "0.1.0")]
    pub release: &'static str,
}

/// A process that does its work.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ready {
    /// `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// The release of pgdial.
    #[schema(example = "0.1.0")]
    pub release: &'static str,
    /// What fails and keeps nobody waiting, such as housekeeping.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a provider sends (the generic protocol). Other fields are kept as the call's result.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The provider's id of the call.
    #[schema(example = "call_7")]
    pub call_id: String,
    /// Any case. Progress: `QUEUED`, `RINGING`, `IN_PROGRESS`. Final: `COMPLETED`, `BUSY`,
    /// `NO_ANSWER`, `DECLINED`, `INVALID_NUMBER`, `VOICEMAIL`, `FAILED`, `BLOCKED`,
    /// `CAPACITY`, `ACCOUNT`, `CANCELED`.
    #[schema(example = "COMPLETED")]
    pub status: String,
    /// How long it lasted, seconds.
    pub duration_sec: Option<f64>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// The reference under which it was placed.
    pub reference: Option<String>,
    /// The same in every delivery of this event.
    pub event_id: Option<String>,
}
