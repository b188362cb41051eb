//! Live picture of the queue, for a screen.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use super::{Error, Queue};
use crate::domain::{CallId, CallState, Phone};

/// Live picture of the queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Board {
    /// Time of the picture, by the database's clock.
    pub now: DateTime<Utc>,
    /// Number of calls in flight.
    pub in_flight: i64,
    /// How many of them are in doubt.
    pub in_doubt: i64,
    /// Up to how many waiting calls of a campaign were counted: 10,000, or fewer where there are many campaigns.
    pub counted: i64,
    /// The oldest calls in flight, at most 200.
    pub live: Vec<LiveCall>,
    /// Campaigns, at most 100.
    pub campaigns: Vec<CampaignGroup>,
    /// All trunks.
    pub trunks: Vec<TrunkGroup>,
}

/// A call in flight.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveCall {
    /// Id of the call.
    pub id: CallId,
    /// Number that rings.
    pub to: Phone,
    /// Name of the campaign.
    pub campaign: String,
    /// Name of the trunk of the dial.
    pub trunk: String,
    /// One of the states in flight.
    pub state: CallState,
    /// Since when it holds its slot.
    pub claimed_at: DateTime<Utc>,
    /// When the sweep takes it up if it has not ended by then.
    pub deadline_at: DateTime<Utc>,
    /// When the call was answered; none until then.
    pub answered_at: Option<DateTime<Utc>>,
    /// Host and process id of the worker that dialed it; none if that worker is long gone.
    pub worker: Option<String>,
}

/// A campaign and its backlog.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignGroup {
    /// Name of the campaign.
    pub name: String,
    /// Name of its trunk.
    pub trunk: Option<String>,
    /// Limit of calls in flight; none means only the trunk's slots limit it.
    pub cap: Option<i64>,
    /// Whether it is paused.
    pub paused: bool,
    /// Reason of the pause.
    pub paused_why: Option<String>,
    /// Name of its calling hours; none means at any time.
    pub calling_hours: Option<String>,
    /// Calls in flight.
    pub in_flight: i64,
    /// Further calls that may be claimed now.
    pub room: Option<i64>,
    /// Why `room` is 0.
    pub reason: Option<String>,
    /// Waiting calls; one more than were counted stands for more than that.
    pub waiting: i64,
}

/// A trunk and its slots.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrunkGroup {
    /// Name of the trunk.
    pub name: String,
    /// Limit of calls in flight.
    pub slots: i64,
    /// Whether it is paused.
    pub paused: bool,
    /// Reason of the pause.
    pub paused_why: Option<String>,
    /// When the breaker opened; none if it is closed.
    pub breaker_opened_at: Option<DateTime<Utc>>,
    /// Calls in flight.
    pub in_flight: i64,
}

impl Queue {
    /// Live picture of the queue. The cost is bounded by what is in flight and waiting.
    pub async fn board(&self) -> Result<Board, Error> {
        let (board,): (Json<Board>,) = sqlx::query_as(include_str!("../../sql/read/board.sql"))
            .fetch_one(&self.pool)
            .await?;
        Ok(board.0)
    }
}
