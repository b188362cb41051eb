//! forget: removes a number, and what was said with it, from every table.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use utoipa::ToSchema;

use super::{Error, Queue, groups::ChangeError};
use crate::domain::{CallId, Phone};

/// What to do with the number's entry in the do-not-call list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForgetDoNotCall {
    /// An existing entry stays: without it the person could be called again.
    #[default]
    Keep,
    /// Add an entry; it is then the only place that has the number.
    Add,
    /// Remove the entry as well.
    Remove,
}

impl ForgetDoNotCall {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// Result of a request to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForgetVerdict {
    /// The number is forgotten, or would be.
    Forgotten,
    /// A call to it is in flight; try again when it has ended.
    InFlight,
    /// Whether a call to it still rings is in doubt; try again when the hold has ended.
    Held,
    /// A recent idempotency key contains the number and must stay, so that a repeated request does not ring.
    KeyNeeded,
    /// Another open transaction holds one of its calls; nothing was done.
    LockedOut,
}

/// Result of one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForgetResponse {
    /// What was done, or why nothing was.
    pub verdict: ForgetVerdict,
    /// True if nothing was done and the rest says what would be.
    pub dry_run: bool,
    /// Rows by kind: `calls`, of them `waiting`, `callEvents`, `webhookEvents`, `deliveries`, `acts`, `dials`, `doNotCall`.
    #[serde(default)]
    #[schema(example = json!({"calls": 1, "callEvents": 5}))]
    pub counts: BTreeMap<String, i64>,
    /// There are more calls to the number: repeat the request.
    #[serde(default)]
    pub more: bool,
    /// Call that prevents it, if any.
    #[serde(default)]
    pub call: Option<CallId>,
    /// Until when that call prevents it, if known.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

/// A request to forget a number.
#[derive(Debug, Clone, Copy)]
pub struct Forget<'a> {
    /// Number to forget.
    pub phone: &'a Phone,
    /// Only count.
    pub dry_run: bool,
    /// What to do with the entry in the do-not-call list.
    pub on_the_list: ForgetDoNotCall,
    /// Who requests it, for the audit trail.
    pub by: &'a str,
    /// Legal or other ground, for the audit trail.
    pub why: &'a str,
}

/// Calls in one batch.
const LIMIT: i32 = 1000;

impl Queue {
    /// Forgets one batch of the calls to a number, and with the last one everything else.
    pub async fn forget(&self, wish: &Forget<'_>) -> Result<ForgetResponse, ChangeError> {
        let (Json(answer),): (Json<Value>,) =
            sqlx::query_as("select pgdial.forget($1, $2, $3, $4, $5, $6)")
                .bind(wish.phone.as_e164())
                .bind(wish.why)
                .bind(wish.dry_run)
                .bind(wish.on_the_list.as_str())
                .bind(LIMIT)
                .bind(wish.by)
                .fetch_one(&self.pool)
                .await
                .map_err(ChangeError::of)?;
        serde_json::from_value(answer.clone()).map_err(|_another_shape| {
            ChangeError::Flow(Error::Contract {
                verb: "forget",
                got: answer.to_string(),
            })
        })
    }

    /// Where a number still occurs, as (table, column, rows). Reads everything, which takes minutes in a
    /// large database.
    pub async fn mentions(&self, phone: &Phone) -> Result<Vec<(String, String, i64)>, Error> {
        let sql = "select relation, field, mentioned from pgdial.mentions($1)";
        Ok(sqlx::query_as(sql)
            .bind(phone.as_e164())
            .fetch_all(&self.pool)
            .await?)
    }
}
