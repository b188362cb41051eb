//! forget: a person's number, and what was said with it, out of every table.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use utoipa::ToSchema;

use super::{Error, Queue, lanes::ChangeError};
use crate::domain::{CallId, Phone};

/// What becomes of the number's entry in the list of numbers not to ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForgetDoNotCall {
    /// One that is there stays: without it the person would be rung again.
    #[default]
    Keep,
    /// One is made; it is then the one place that has the number.
    Add,
    /// Not even that.
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

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForgetVerdict {
    /// It is, or would be.
    Forgotten,
    /// A call of it is in flight: not before that is over.
    InFlight,
    /// Nobody knows whether a call of it still rings: not before the hold is over.
    Held,
    /// A young idempotency key is made of the number: a repetition of its request must not ring.
    KeyNeeded,
    /// Somebody's open transaction holds one of its calls; nothing was done.
    LockedOut,
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForgetResponse {
    /// How it ended.
    pub verdict: ForgetVerdict,
    /// Nothing was done: this is what would be.
    pub dry_run: bool,
    /// Rows by what they are: `calls`, of them `waiting`, `callEvents`, `webhookEvents`, `acts`, `doNotCall`.
    #[serde(default)]
    #[schema(example = json!({"calls": 1, "callEvents": 5}))]
    pub counts: BTreeMap<String, i64>,
    /// There are more calls to it: do it again.
    #[serde(default)]
    pub more: bool,
    /// The call that stands in the way.
    #[serde(default)]
    pub call: Option<CallId>,
    /// Until when.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

/// Whether, and how.
#[derive(Debug, Clone, Copy)]
pub struct Forget<'a> {
    /// The number.
    pub phone: &'a Phone,
    /// Only count.
    pub dry_run: bool,
    /// What becomes of its entry there.
    pub on_the_list: ForgetDoNotCall,
    /// Who.
    pub by: &'a str,
    /// On which ground.
    pub why: &'a str,
}

/// Calls of one batch.
const LIMIT: i32 = 1000;

impl Queue {
    /// Forgets one batch of the calls to a number, and with the last one all else.
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

    /// Where a number still stands, as (table, column, rows). It reads everything: minutes, where
    /// there is much.
    pub async fn mentions(&self, phone: &Phone) -> Result<Vec<(String, String, i64)>, Error> {
        let sql = "select relation, field, mentioned from pgdial.mentions($1)";
        Ok(sqlx::query_as(sql)
            .bind(phone.as_e164())
            .fetch_all(&self.pool)
            .await?)
    }
}
