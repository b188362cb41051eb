//! matching: cancel, redrive, resolve, recheck or export all calls a filter selects, in batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Error, Queue, groups::ChangeError, wake::Wake};
use crate::domain::Resolution;

/// One batch of calls selected by a filter.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Fields of the filter, see `sql/rules/filter.sql`.
    pub filter: &'a Value,
    /// Calls in this batch, 1 to 10,000.
    pub limit: i32,
    /// Only count.
    pub dry_run: bool,
    /// `cursor` of the previous batch.
    pub cursor: Option<&'a str>,
    /// Who requests it, for the audit trail.
    pub by: &'a str,
    /// Reason, for the audit trail.
    pub why: &'a str,
}

/// Result of one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// True if nothing was done and `counts` says what would be.
    pub dry_run: bool,
    /// Calls the filter selected in this batch.
    pub matched: i64,
    /// Calls by result: `canceled`, `requested`, `waiting`, `held`, `locked_out`, ...
    #[schema(example = json!({"canceled": 1}))]
    pub verdicts: BTreeMap<String, i64>,
    /// `cursor` of the next batch; null if this was the last.
    pub cursor: Option<String>,
}

impl Queue {
    /// Cancels one batch of the calls that wait or are in flight.
    pub async fn cancel_matching(&self, batch: &Batch<'_>) -> Result<BatchResponse, ChangeError> {
        let sql = "select pgdial.cancel_matching($1, $2, $3, $4, $5, $6)";
        let batched = self.matching("cancel_matching", sql, batch).await?;
        if batched.verdicts.contains_key("requested") && !batched.dry_run {
            self.wake(Wake::Sweep);
        }
        Ok(batched)
    }

    /// Redrives one batch of finished calls; completed ones only with `force`.
    pub async fn redrive_matching(
        &self,
        batch: &Batch<'_>,
        force: bool,
    ) -> Result<BatchResponse, ChangeError> {
        let sql = "select pgdial.redrive_matching($1, $2, $3, $4, $5, $6, $7)";
        let answer = sqlx::query_as(sql)
            .bind(Json(batch.filter))
            .bind(batch.why)
            .bind(batch.limit)
            .bind(batch.dry_run)
            .bind(batch.cursor)
            .bind(force)
            .bind(batch.by)
            .fetch_one(&self.pool)
            .await;
        let batched = read("redrive_matching", answer)?;
        if batched.verdicts.contains_key("waiting") && !batched.dry_run {
            self.wake(Wake::Claim);
        }
        Ok(batched)
    }

    /// Resolves one batch of dials in doubt, all alike.
    pub async fn resolve_matching(
        &self,
        batch: &Batch<'_>,
        r#as: Resolution,
    ) -> Result<BatchResponse, ChangeError> {
        let sql = "select pgdial.resolve_matching($1, $2 #>> '{}', $3, $4, $5, $6, $7)";
        let answer = sqlx::query_as(sql)
            .bind(Json(batch.filter))
            .bind(Json(r#as))
            .bind(batch.why)
            .bind(batch.limit)
            .bind(batch.dry_run)
            .bind(batch.cursor)
            .bind(batch.by)
            .fetch_one(&self.pool)
            .await;
        let batched = read("resolve_matching", answer)?;
        if batched.verdicts.contains_key("resolved") && !batched.dry_run {
            self.wake(Wake::Claim);
        }
        Ok(batched)
    }

    /// Brings one batch of the calls that a contact limit has put aside back to now: the next claim counts again.
    pub async fn recheck_matching(&self, batch: &Batch<'_>) -> Result<BatchResponse, ChangeError> {
        let sql = "select pgdial.recheck_matching($1, $2, $3, $4, $5, $6)";
        let batched = self.matching("recheck_matching", sql, batch).await?;
        if batched.verdicts.contains_key("due") && !batched.dry_run {
            self.wake(Wake::Claim);
        }
        Ok(batched)
    }

    /// One batch of a verb that asks for no more than a batch.
    async fn matching(
        &self,
        verb: &'static str,
        sql: &'static str,
        batch: &Batch<'_>,
    ) -> Result<BatchResponse, ChangeError> {
        let answer = sqlx::query_as(sql)
            .bind(Json(batch.filter))
            .bind(batch.why)
            .bind(batch.limit)
            .bind(batch.dry_run)
            .bind(batch.cursor)
            .bind(batch.by)
            .fetch_one(&self.pool)
            .await;
        read(verb, answer)
    }

    /// One page of an export, each call as JSON with a summary of its attempts, and the cursor of the next
    /// page. A page may be empty without being the last, if few calls match.
    pub async fn export(
        &self,
        filter: &Value,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<Value>, Option<String>), ChangeError> {
        let sql = "select ids, cursor from pgdial.export_ids($1, $2, $3)";
        let (ids, cursor): (Vec<Uuid>, Option<String>) = sqlx::query_as(sql)
            .bind(Json(filter))
            .bind(cursor)
            .bind(limit)
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        let rows: Vec<(Json<Value>,)> = sqlx::query_as(include_str!("../../sql/read/export.sql"))
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        Ok((rows.into_iter().map(|row| row.0.0).collect(), cursor))
    }
}

fn read(
    verb: &'static str,
    answer: Result<(Json<Value>,), sqlx::Error>,
) -> Result<BatchResponse, ChangeError> {
    let (Json(answer),) = answer.map_err(ChangeError::of)?;
    serde_json::from_value(answer.clone()).map_err(|_another_shape| {
        let got = answer.to_string();
        ChangeError::Flow(Error::Contract { verb, got })
    })
}
