//! drain: a worker is told to go.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Queue, known_word};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drained {
    /// It claims no more, and ends when its dials have ended.
    Draining,
    /// It had been told before.
    AlreadyDraining,
    /// It is going already.
    Stopping,
    /// There is no such worker.
    NotFound,
}

impl Queue {
    /// Tells a worker to go. It hears of it at once, or with its next heartbeat.
    pub async fn drain(&self, worker: Uuid, by: &str, why: &str) -> Result<Drained, Error> {
        let (word,): (String,) = sqlx::query_as("select pgdial.drain($1, $2, $3)")
            .bind(worker)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        known_word("drain", &word)
    }
}
