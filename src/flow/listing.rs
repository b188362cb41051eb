//! listing: pages of calls by a filter, and calls by whatever names them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Error, Queue, groups::ChangeError, view::CallSummary};
use crate::domain::{CallId, CallState, Outcome};

/// Selects calls: every given field must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CallFilter {
    /// Calls with these ids, at most 10,000.
    #[serde(deserialize_with = "several", skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 10000)]
    #[param(style = Form, explode = false, min_items = 1, max_items = 100)]
    pub ids: Option<Vec<CallId>>,
    /// Calls in one of these states.
    #[serde(deserialize_with = "several", skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    #[param(style = Form, explode = false, min_items = 1)]
    pub state: Option<Vec<CallState>>,
    /// Calls whose latest attempt ended with one of these outcomes.
    #[serde(deserialize_with = "several", skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    #[param(style = Form, explode = false, min_items = 1)]
    pub outcome: Option<Vec<Outcome>>,
    /// Calls to this number; in a query write the + as %2B.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+14155550100")]
    #[param(max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: Option<String>,
    /// Region of `to` if it lacks + and country code: two letters, ISO 3166.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    #[param(min_length = 2, max_length = 2, pattern = "^[A-Za-z]{2}$")]
    pub region: Option<String>,
    /// Calls of this campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = r"^[^\u0000]*$")]
    pub campaign: Option<String>,
    /// Calls whose latest claim was on this trunk; of waiting calls those whose campaign dials on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = r"^[^\u0000]*$")]
    pub trunk: Option<String>,
    /// The call whose latest dial has this id at its provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = r"^[^\u0000]*$")]
    pub provider_call_id: Option<String>,
    /// Calls that were enqueued with this key, whoever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(pattern = r"^[^\u0000]*$")]
    pub idempotency_key: Option<String>,
    /// Calls whose metadata has this value under this key, compared as text: `lead=4711`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[^=]+=")]
    #[param(pattern = r"^[^=\u0000]+=[^\u0000]*$")]
    pub metadata: Option<String>,
    /// Calls whose last error has these words; ids and amounts in it are `…`, as in `call … refused: 503`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "call … refused: 503")]
    #[param(pattern = r"^[^\u0000]*$")]
    pub error: Option<String>,
    /// Calls enqueued at or after this instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<DateTime<Utc>>,
    /// Calls enqueued before this instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<DateTime<Utc>>,
    /// Calls whose `runAt` is at or after this instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_after: Option<DateTime<Utc>>,
    /// Calls whose `runAt` is before this instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_before: Option<DateTime<Utc>>,
    /// Calls that ended at or after this instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_after: Option<DateTime<Utc>>,
    /// Calls that ended before this instant (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_before: Option<DateTime<Utc>>,
    /// True: every call. What acts on calls needs this or another field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(ignore)]
    pub all: Option<bool>,
}

/// A list, or as a query and the command line have it, words between commas.
fn several<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    given: D,
) -> Result<Option<Vec<T>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Words(String),
        List(Vec<serde_json::Value>),
    }
    let list = match Given::deserialize(given)? {
        Given::Words(words) => words.split(',').map(serde_json::Value::from).collect(),
        Given::List(list) => list,
    };
    serde_json::from_value(list.into())
        .map(Some)
        .map_err(serde::de::Error::custom)
}

/// One page of calls, newest first.
#[derive(Debug, Clone)]
pub struct Listed {
    /// At most as many as asked for; fewer, or none, do not mean that these were the last.
    pub calls: Vec<CallSummary>,
    /// Where the next page begins; none: that was all.
    pub below: Option<CallId>,
}

/// Which call a beginning of an id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This one.
    One(CallId),
    /// Several; the newest of them.
    Several(Vec<CallId>),
    /// None.
    Nothing,
}

/// What to look for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Find<'a> {
    /// A number in any spelling, an id or its beginning, a provider's id, an idempotency key, or `key=value` of the
    /// metadata.
    pub text: &'a str,
    /// Only calls of this campaign.
    pub campaign: Option<&'a str>,
    /// Region of a national number; none: every region.
    pub region: Option<&'a str>,
}

impl Queue {
    /// A page of the calls that a filter selects, below this one, newest first.
    pub async fn list(
        &self,
        filter: &CallFilter,
        below: Option<CallId>,
        limit: i32,
    ) -> Result<Listed, ChangeError> {
        let (ids, below) = self.list_ids(filter, below, limit).await?;
        let calls = self.summaries(ids).await?;
        Ok(Listed { calls, below })
    }

    /// The newest calls that a filter selects, and whether they are all.
    pub async fn newest(
        &self,
        filter: &CallFilter,
        limit: i32,
    ) -> Result<(Vec<CallId>, bool), ChangeError> {
        let (ids, below) = self.list_ids(filter, None, limit).await?;
        Ok((ids.into_iter().map(CallId).collect(), below.is_none()))
    }

    async fn list_ids(
        &self,
        filter: &CallFilter,
        below: Option<CallId>,
        limit: i32,
    ) -> Result<(Vec<Uuid>, Option<CallId>), ChangeError> {
        let sql = "select ids, below from pgdial.list_calls($1, $2, $3)";
        let (ids, below): (Vec<Uuid>, Option<Uuid>) = sqlx::query_as(sql)
            .bind(Json(filter))
            .bind(below.map(|id| id.0))
            .bind(limit)
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        Ok((ids, below.map(CallId)))
    }

    /// The calls that a text names, newest first.
    pub async fn find(&self, find: &Find<'_>, limit: i32) -> Result<Vec<CallSummary>, Error> {
        let sql = "select array(select pgdial.find_calls($1, $2, $3, $4))";
        let (ids,): (Vec<Uuid>,) = sqlx::query_as(sql)
            .bind(find.text)
            .bind(find.campaign)
            .bind(find.region)
            .bind(limit)
            .fetch_one(&self.pool)
            .await?;
        self.summaries(ids).await
    }

    /// The call whose id begins with this text.
    pub async fn named(&self, beginning: &str) -> Result<Named, Error> {
        if let Ok(id) = beginning.parse() {
            return Ok(Named::One(id));
        }
        let (ids,): (Vec<Uuid>,) = sqlx::query_as("select pgdial.calls_beginning($1, 5)")
            .bind(beginning)
            .fetch_one(&self.pool)
            .await?;
        let ids: Vec<CallId> = ids.into_iter().map(CallId).collect();
        Ok(match ids.as_slice() {
            [] => Named::Nothing,
            [only] => Named::One(*only),
            _ => Named::Several(ids),
        })
    }

    async fn summaries(&self, ids: Vec<Uuid>) -> Result<Vec<CallSummary>, Error> {
        let rows: Vec<(Json<CallSummary>,)> =
            sqlx::query_as(include_str!("../../sql/read/summaries.sql"))
                .bind(ids)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }
}
