//! matching: cancel, redrive, resolve or export all calls that a filter means, a batch at a time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Error, Queue, lanes::ChangeError, wake::Wake};
use crate::domain::Resolution;

/// Which calls, how many at once, and who wants it.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The fields of a filter, see `sql/rules/filter.sql`.
    pub filter: &'a Value,
    /// Calls of one batch, 1 to 10,000.
    pub limit: i32,
    /// Only count.
    pub dry_run: bool,
    /// Where the batch before ended.
    pub cursor: Option<&'a str>,
    /// Who.
    pub by: &'a str,
    /// Why.
    pub why: &'a str,
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// Nothing was done: this is what would become of them.
    pub dry_run: bool,
    /// How many calls the filter found in this batch.
    pub matched: i64,
    /// How many of them came to what: `canceled`, `requested`, `waiting`, `held`, `locked_out`, ...
    #[schema(example = json!({"canceled": 1}))]
    pub verdicts: BTreeMap<String, i64>,
    /// Give it back for the next batch; null: that was all.
    pub cursor: Option<String>,
}

impl Queue {
    /// Cancels one batch of the calls that wait or are in flight.
    pub async fn cancel_matching(&self, batch: &Batch<'_>) -> Result<BatchResponse, ChangeError> {
        let sql = "select pgdial.cancel_matching($1, $2, $3, $4, $5, $6)";
        let answer = sqlx::query_as(sql)
            .bind(Json(batch.filter))
            .bind(batch.why)
            .bind(batch.limit)
            .bind(batch.dry_run)
            .bind(batch.cursor)
            .bind(batch.by)
            .fetch_one(&self.pool)
            .await;
        let batched = read("cancel_matching", answer)?;
        if batched.verdicts.contains_key("requested") && !batched.dry_run {
            self.wake(Wake::Sweep);
        }
        Ok(batched)
    }

    /// Puts one batch of finished calls back; completed ones only with `force`.
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

    /// Ends one batch of doubts by what a person knows of them all.
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

    /// One page of an export, each call as JSON with a summary of its attempts; and where the
    /// next page begins. A page may be empty and not the last: few calls fit.
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
