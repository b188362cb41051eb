//! What is going on now, for a screen.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use super::{Error, Queue};
use crate::domain::{CallId, CallState, Phone};

/// What is going on now.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Board {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// How many calls are in flight.
    pub in_flight: i64,
    /// The oldest of them, at most 200.
    pub live: Vec<LiveCall>,
    /// Campaigns, at most 100.
    pub campaigns: Vec<CampaignLane>,
    /// Trunks.
    pub trunks: Vec<TrunkLane>,
}

/// A call in flight.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveCall {
    /// The call.
    pub id: CallId,
    /// Its number.
    pub to: Phone,
    /// Its campaign.
    pub campaign: String,
    /// The trunk that dialled it.
    pub trunk: String,
    /// Where it stands.
    pub state: CallState,
    /// Since when it holds its slot.
    pub claimed_at: DateTime<Utc>,
    /// When it must be over.
    pub deadline_at: DateTime<Utc>,
    /// When somebody answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// Host and process of the worker that dialled it; null: it is long gone.
    pub worker: Option<String>,
}

/// A campaign, and what waits in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignLane {
    /// Its name.
    pub name: String,
    /// Its trunk.
    pub trunk: Option<String>,
    /// Calls in flight at most.
    pub cap: Option<i64>,
    /// Whether it is paused.
    pub paused: bool,
    /// Why.
    pub paused_why: Option<String>,
    /// Calls in flight.
    pub in_flight: i64,
    /// Calls that may be claimed now.
    pub room: Option<i64>,
    /// Why there is no room.
    pub reason: Option<String>,
    /// Calls that wait; 10,001 stands for more than 10,000.
    pub waiting: i64,
}

/// A trunk and its slots.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrunkLane {
    /// Its name.
    pub name: String,
    /// Calls in flight at most.
    pub slots: i64,
    /// Whether it is paused.
    pub paused: bool,
    /// Why.
    pub paused_why: Option<String>,
    /// Since when its breaker is open.
    pub breaker_opened_at: Option<DateTime<Utc>>,
    /// Calls in flight.
    pub in_flight: i64,
}

impl Queue {
    /// What is going on now. Bounded by what is in flight and waiting.
    pub async fn board(&self) -> Result<Board, Error> {
        let (board,): (Json<Board>,) = sqlx::query_as(include_str!("../../sql/read/board.sql"))
            .fetch_one(&self.pool)
            .await?;
        Ok(board.0)
    }
}
