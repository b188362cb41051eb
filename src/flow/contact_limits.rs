//! contact limits: how often a number may be rung.

use serde_json::Value;
use sqlx::types::Json;

use super::{Error, Queue, groups::ChangeError, hours::Deletion, view::ContactLimit};

impl Queue {
    /// All contact limits, or the one with this name.
    pub async fn contact_limits(&self, name: Option<&str>) -> Result<Vec<ContactLimit>, Error> {
        let sql = include_str!("../../sql/read/contact_limits.sql");
        let rows: Vec<(Json<ContactLimit>,)> =
            sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Creates or replaces a contact limit; true if it is new.
    pub async fn set_contact_limit(
        &self,
        name: &str,
        limit: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let answer = sqlx::query_as("select pgdial.set_contact_limit($1, $2, $3, $4)")
            .bind(name)
            .bind(Json(limit))
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        answer.map(|(created,)| created).map_err(ChangeError::of)
    }

    /// Deletes a contact limit, unless a campaign has it.
    pub async fn delete_contact_limit(
        &self,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<Deletion, ChangeError> {
        let sql = "select verdict, used_by from pgdial.delete_contact_limit($1, $2, $3)";
        let deleted = sqlx::query_as(sql)
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        Deletion::of("delete_contact_limit", deleted)
    }
}
