//! drain: tells a worker to finish.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Queue, known_word};

/// Result of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drained {
    /// The worker claims nothing more, and ends when its dials have ended.
    Draining,
    /// It was draining before.
    AlreadyDraining,
    /// It is shutting down anyway.
    Stopping,
    /// There is no such worker.
    NotFound,
}

impl Queue {
    /// Drains a worker. It learns of this at once, or with its next heartbeat.
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
