//! release: a person ends a hold.

use serde::Deserialize;

use super::{Error, Queue, known_word};
use crate::domain::CallId;

/// Result of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Released {
    /// The number is free.
    Released,
    /// The number was not held.
    NotHeld,
    /// There is no such call.
    NotFound,
}

impl Queue {
    /// Frees the number of a call that failed as unknown.
    pub async fn release(&self, id: CallId, by: &str, why: &str) -> Result<Released, Error> {
        let (word,): (String,) = sqlx::query_as("select pgdial.release($1, $2, $3)")
            .bind(id.0)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        if word == super::LOCKED_OUT {
            Err(Error::LockedOut)
        } else {
            known_word("release", &word)
        }
    }
}
