//! The audit: what people did to the queue, who, when and why.
//!
//! It is written by the verbs themselves, in the transaction of the act, and by a trigger for
//! whatever changes a trunk or a campaign (`sql/rules/acts.sql`).

use sqlx::types::Json;

use super::{Error, Queue, view::Act};

/// Which acts a page shows.
#[derive(Debug, Clone, Default)]
pub struct ActFilter {
    /// `pause`, `resume`, `set`, `cancel`, ... only.
    pub act: Option<String>,
    /// On a `campaign`, `trunk`, `worker`, `number`, on `calls` or the `cluster` only.
    pub kind: Option<String>,
    /// On the one of this name only.
    pub name: Option<String>,
    /// By them only.
    pub by: Option<String>,
    /// Before this one only: the last of the page before.
    pub below: Option<i64>,
}

impl Queue {
    /// One page of acts, newest first.
    pub async fn acts(&self, filter: &ActFilter, limit: i64) -> Result<Vec<Act>, Error> {
        let rows: Vec<(Json<Act>,)> = sqlx::query_as(include_str!("../../sql/read/acts.sql"))
            .bind(filter.act.as_deref())
            .bind(filter.kind.as_deref())
            .bind(filter.name.as_deref())
            .bind(filter.by.as_deref())
            .bind(filter.below)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }
}
