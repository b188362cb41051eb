//! Failed calls of a span, by outcome and words.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{Error, Queue, view::Failures};

/// Ended calls that are visited at most.
const MOST_VISITED: i64 = 10_000;
/// Groups at most.
const MOST_GROUPS: i64 = 50;

/// Which calls.
#[derive(Debug, Clone)]
pub struct Span<'a> {
    /// Those that ended at or after this instant.
    pub after: DateTime<Utc>,
    /// And before this one.
    pub before: DateTime<Utc>,
    /// Only of this campaign.
    pub campaign: Option<&'a str>,
    /// Only on this trunk.
    pub trunk: Option<&'a str>,
}

impl Queue {
    /// The calls that ended as failed, by what they failed of.
    pub async fn failures(&self, span: &Span<'_>) -> Result<Failures, Error> {
        let (Json(failures),) = sqlx::query_as(include_str!("../../sql/read/failures.sql"))
            // Each span needs its own plan.
            .persistent(false)
            .bind(span.after)
            .bind(span.before)
            .bind(span.campaign)
            .bind(span.trunk)
            .bind(MOST_VISITED)
            .bind(MOST_GROUPS)
            .fetch_one(&self.pool)
            .await?;
        Ok(failures)
    }
}
