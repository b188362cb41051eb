//! delivered: how attempts to deliver ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use strum::{IntoStaticStr, VariantNames};

use super::{Error, Queue, deliver::Delivery, known_word};

/// How one attempt ended, for the endpoint and for people.
#[derive(Debug, Clone, Serialize)]
pub struct Attempted {
    endpoint: i64,
    xid: String,
    seq: i64,
    attempt: i32,
    ms: u64,
    status: Option<u16>,
    error: Option<String>,
    response: Option<String>,
    retry_after_sec: Option<u32>,
}

/// What an endpoint said, as far as it matters.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// How long it wants to be left alone.
    pub retry_after_sec: Option<u32>,
    /// The beginning of its body, as text.
    pub body: String,
}

impl Attempted {
    /// What became of an attempt that took so long: a response, or why there is none.
    pub fn new(delivery: &Delivery, took: Duration, ended: Result<Response, String>) -> Self {
        let (response, error) = match ended {
            Ok(response) => (Some(response), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            endpoint: delivery.endpoint,
            xid: delivery.xid.clone(),
            seq: delivery.seq,
            attempt: delivery.attempt,
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: response.as_ref().map(|response| response.status),
            retry_after_sec: response
                .as_ref()
                .and_then(|response| response.retry_after_sec),
            response: response
                .map(|response| response.body)
                .filter(|body| !body.is_empty()),
            error,
        }
    }
}

/// What the database made of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Delivered {
    /// It succeeded.
    Delivered,
    /// It failed, and is tried again.
    Retried,
    /// It failed for the last time.
    GivenUp,
    /// Another attempt has begun since.
    Stale,
}

impl Queue {
    /// Records attempts; returns what became of each.
    pub async fn delivered(&self, attempts: &[Attempted]) -> Result<Vec<Delivered>, Error> {
        let rows: Vec<(String,)> =
            sqlx::query_as("select verdict from pgdial.delivered($1) order by ordinal")
                .bind(Json(attempts))
                .fetch_all(&self.pool)
                .await?;
        let verdicts = rows
            .into_iter()
            .map(|(word,)| known_word("delivered", &word));
        verdicts.collect()
    }
}
