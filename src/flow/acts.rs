//! The audit trail: what was done to the queue, by whom, when and why.
//!
//! The verbs write it in the transaction of the act; a trigger covers every other change of a trunk, a campaign or
//! a caller id (`sql/rules/acts.sql`).

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{Error, Queue, view::Act};

/// Filters of the audit trail.
#[derive(Debug, Clone, Default)]
pub struct ActFilter {
    /// Only acts of this kind: `pause`, `resume`, `set`, `cancel`, ...
    pub act: Option<String>,
    /// Only acts on a `campaign`, `trunk`, `calling_hours`, `calendar`, `contact_limit`, `worker`, `number`,
    /// `caller_id`, `endpoint`, `key`, on `calls` or on the `cluster`.
    pub kind: Option<String>,
    /// Only acts on the campaign, trunk, worker or number with this name.
    pub name: Option<String>,
    /// Only acts by this client, with or without the door that it came by (`api:crm`, `crm`).
    pub by: Option<String>,
    /// Only acts at or after this instant.
    pub after: Option<DateTime<Utc>>,
    /// Only acts before this instant.
    pub before: Option<DateTime<Utc>>,
    /// Only acts below this `seq`: the last of the previous page.
    pub below: Option<i64>,
}

impl Queue {
    /// A page of acts, newest first.
    pub async fn acts(&self, filter: &ActFilter, limit: i64) -> Result<Vec<Act>, Error> {
        let rows: Vec<(Json<Act>,)> = sqlx::query_as(include_str!("../../sql/read/acts.sql"))
            .bind(filter.act.as_deref())
            .bind(filter.kind.as_deref())
            .bind(filter.name.as_deref())
            .bind(filter.by.as_deref())
            .bind(filter.after)
            .bind(filter.before)
            .bind(filter.below)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }
}
