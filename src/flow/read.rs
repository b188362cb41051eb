//! Read-only queries.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Error, Queue,
    view::{Call, Evidence, Stats, WhyReason, Worker},
};
use crate::{
    db::pool::{ANSWER, answered},
    domain::{CallId, Reference},
    metrics::queue::{Depths, Server},
};

/// Waiting calls that a scrape counts at most.
const MOST_COUNTED: i64 = 300_000;
/// Campaigns with their own line in a scrape.
const MOST_CAMPAIGNS: i64 = 200;

/// A reason why a call is not being dialed, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Stable code; `in_line` behind other calls, `in_turn` if only the claim can tell, or `next`.
    #[schema(value_type = WhyReason)]
    pub reason: String,
    /// Explanation in one sentence.
    #[schema(example = "the trunk is paused")]
    pub message: String,
    /// Trunk, campaign or call that it concerns; null if none.
    pub object: Option<String>,
    /// When it changes by itself, if known.
    pub until: Option<DateTime<Utc>>,
}

/// An event of a call's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When it happened, by the database's clock.
    pub at: DateTime<Utc>,
    /// What happened: `waiting`, `active`, `in_call`, `retried`, `completed`, ...
    pub kind: String,
    /// Claim it belongs to.
    pub dial: Reference,
    /// Outcome of the attempt, if the event ended one.
    pub outcome: Option<String>,
}

impl Queue {
    /// One call with its attempts and events.
    pub async fn show(&self, id: CallId) -> Result<Option<Call>, Error> {
        let row: Option<(Json<Call>,)> = sqlx::query_as(include_str!("../../sql/read/call.sql"))
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.0.0))
    }

    /// Campaign of a call; none if there is no such call.
    pub async fn campaign_of(&self, id: CallId) -> Result<Option<String>, Error> {
        let row: Option<(String,)> =
            sqlx::query_as("select c.campaign from pgdial.calls c where c.id = $1")
                .bind(id.0)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|row| row.0))
    }

    /// Why each dial of a call was allowed, and what came of it.
    pub async fn evidence(&self, id: CallId) -> Result<Option<Evidence>, Error> {
        let (evidence,): (Option<Json<Evidence>>,) = sqlx::query_as("select pgdial.evidence($1)")
            .bind(id.0)
            .fetch_one(&self.pool)
            .await?;
        Ok(evidence.map(|evidence| evidence.0))
    }

    /// Reasons why this call is not being dialed, in the order in which they have to be resolved. Empty if
    /// there is no such call.
    pub async fn why(&self, id: CallId) -> Result<Vec<Reason>, Error> {
        type Row = (String, String, Option<String>, Option<DateTime<Utc>>);
        let rows: Vec<Row> = sqlx::query_as(
            "select reason, message, object, until from pgdial.why($1) order by ord",
        )
        .bind(id.0)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(reason, message, object, until)| Reason {
                reason,
                message,
                object,
                until,
            })
            .collect())
    }

    /// Worker processes, latest start first.
    pub async fn workers(&self) -> Result<Vec<Worker>, Error> {
        let rows: Vec<(Json<Worker>,)> = sqlx::query_as(include_str!("../../sql/read/workers.sql"))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// State of the queue in numbers.
    pub async fn stats(&self) -> Result<Stats, Error> {
        let (stats,): (Json<Stats>,) = sqlx::query_as(include_str!("../../sql/read/stats.sql"))
            .fetch_one(&self.pool)
            .await?;
        Ok(stats.0)
    }

    /// State of the queue for /metrics.
    pub(crate) async fn queue(&self) -> Result<Depths, Error> {
        // If many calls wait and vacuum has not run, the planner would rather scan the whole table with its
        // history.
        let mut lent = self.pool.acquire().await?;
        let asked = async {
            let mut tx = lent.begin().await?;
            sqlx::query(
                "select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)",
            )
            .execute(&mut *tx)
            .await?;
            let (Json(queue),): (Json<Depths>,) =
                sqlx::query_as(include_str!("../../sql/read/metrics.sql"))
                    .bind(MOST_COUNTED)
                    .bind(MOST_CAMPAIGNS)
                    .fetch_one(&mut *tx)
                    .await?;
            tx.commit().await?;
            Ok::<_, Error>(queue)
        };
        let queue = answered(ANSWER, asked).await;
        lent.after(&queue);
        let mut queue = queue?;
        let asked = sqlx::query_as(include_str!("../../sql/read/metrics_server.sql"))
            .fetch_one(&self.pool)
            .await;
        match asked {
            Ok((Json::<Server>(server),)) => queue.server = Some(server),
            Err(error) => tracing::debug!(%error, "the server does not say how it is"),
        }
        Ok(queue)
    }

    /// `traceparent` of the call's request; none also if it cannot be read now.
    pub(crate) async fn traceparent(&self, id: CallId) -> Option<String> {
        let asked = sqlx::query_as("select c.traceparent from pgdial.calls c where c.id = $1")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await;
        let row: Option<(Option<String>,)> = asked.unwrap_or_default();
        row.and_then(|row| row.0)
    }

    /// Current time by the database's clock; also checks that the database responds.
    pub async fn now(&self) -> Result<DateTime<Utc>, Error> {
        let (now,) = sqlx::query_as("select pgdial.now()")
            .fetch_one(&self.pool)
            .await?;
        Ok(now)
    }

    /// Events of one owner's calls, in order.
    pub async fn timeline(&self, owner: &str) -> Result<Vec<Happened>, Error> {
        type Row = (DateTime<Utc>, String, Uuid, i64, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/read/timeline.sql"))
            .bind(owner)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(at, kind, call, claim_no, outcome)| {
                let dial = Reference {
                    call: CallId(call),
                    claim_no,
                };
                Happened {
                    at,
                    kind,
                    dial,
                    outcome,
                }
            })
            .collect())
    }
}
