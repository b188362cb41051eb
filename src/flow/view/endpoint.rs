//! Endpoints and deliveries as the API shows them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::EventKind;
use crate::domain::CallId;

/// Where events are delivered to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the endpoint.
    #[schema(example = "crm")]
    pub name: String,
    /// URL that events are posted to.
    #[schema(example = "https://crm.example.com/hooks/pgdial")]
    pub url: String,
    /// Kinds of events that it gets.
    #[schema(value_type = Vec<EventKind>, example = json!(["completed", "failed"]))]
    pub kinds: Vec<String>,
    /// Only events of calls of these campaigns; null means of all.
    pub campaigns: Option<Vec<String>>,
    /// True while nothing is sent to it; its events are kept.
    pub paused: bool,
    /// When it was paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Who paused it, as in an act's `by`; `pgdial` after a 410, or after three days without a success.
    pub paused_by: Option<String>,
    /// Reason of the pause.
    pub paused_why: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Deliveries that are not over, up to 10,000; further events wait in the log.
    pub unfinished: i64,
    /// Age in seconds of the oldest event that it has not got, or may not have got; null if it has them all.
    pub lag_sec: Option<f64>,
    /// Attempts in a row that failed.
    pub failures: i32,
    /// The first of them.
    pub failing_since: Option<DateTime<Utc>>,
    /// What went wrong in the last of them.
    pub last_error: Option<String>,
    /// Nothing is sent before, because of failures or because it asked for it.
    pub held_until: Option<DateTime<Utc>>,
    /// Last success.
    pub delivered_at: Option<DateTime<Utc>>,
}

/// What has become of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum DeliveryState {
    /// An earlier event of the same call comes first.
    Queued,
    /// It is its turn: it is sent, or tried again at `nextAt`.
    Pending,
    /// The endpoint has it.
    Delivered,
    /// Every attempt has failed.
    GivenUp,
}

impl DeliveryState {
    /// The word in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// A delivery of an event to an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointDeliverySummary {
    /// Id of the event, the `webhook-id` of every attempt.
    #[schema(example = "evt_2a7_51_64b0c2f1a2b3c")]
    pub id: String,
    /// Kind of the event, or `test`.
    #[schema(example = "completed")]
    pub kind: String,
    /// The call; null for a test.
    pub call_id: Option<CallId>,
    /// When the event happened.
    pub at: DateTime<Utc>,
    /// What has become of it.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i32,
    /// When the next attempt is due; null if it is over, or not its turn.
    pub next_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// Status of the latest attempt; null if there was no response.
    pub status: Option<u16>,
    /// Why the latest attempt had no response.
    pub error: Option<String>,
}

/// A delivery of an event of some call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallDelivery {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The delivery.
    pub delivery: EndpointDeliverySummary,
}

/// A delivery with what was sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointDelivery {
    /// The delivery.
    #[serde(flatten)]
    pub summary: EndpointDeliverySummary,
    /// What was sent; null before the first attempt, and once its person is forgotten.
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
    /// The latest attempts, at most 20, oldest first.
    pub log: Vec<EndpointAttempt>,
}

/// An attempt to deliver.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointAttempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub ms: i64,
    /// Status of the response, if there was one.
    pub status: Option<u16>,
    /// Why there was no response.
    pub error: Option<String>,
    /// The beginning of the response.
    pub response: Option<String>,
}
