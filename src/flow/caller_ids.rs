//! Caller ids: list, add, set, remove.

use serde_json::Value;
use sqlx::types::Json;

use super::{Error, Queue, groups::ChangeError, view::CallerId};
use crate::domain::Phone;

impl Queue {
    /// All caller ids, those of this pool, or the one with this number.
    pub async fn caller_ids(
        &self,
        pool: Option<&str>,
        number: Option<&Phone>,
    ) -> Result<Vec<CallerId>, Error> {
        let sql = include_str!("../../sql/read/caller_ids.sql");
        let rows: Vec<(Json<CallerId>,)> = sqlx::query_as(sql)
            .bind(pool)
            .bind(number.map(Phone::as_e164))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Adds a number to a pool; false if it is in one.
    pub async fn add_caller_id(
        &self,
        number: &Phone,
        changes: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = "select pgdial.add_caller_id($1, $2, $3, $4)";
        self.change(sql, number.as_e164(), changes, (by, why)).await
    }

    /// Changes a number's pool, trunk, cap, pause or rest; false if it is in no pool.
    pub async fn set_caller_id(
        &self,
        number: &Phone,
        changes: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = "select pgdial.set_caller_id($1, $2, $3, $4)";
        self.change(sql, number.as_e164(), changes, (by, why)).await
    }

    /// Removes a number from its pool; false if it was in none. Live calls from it go on.
    pub async fn remove_caller_id(
        &self,
        number: &Phone,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, Error> {
        let (found,) = sqlx::query_as("select pgdial.remove_caller_id($1, $2, $3)")
            .bind(number.as_e164())
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        Ok(found)
    }
}
