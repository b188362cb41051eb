//! replay: judges stored webhook events again.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use super::{Error, Queue, read_detail, view::WebhookEvent, wake::Wake, webhook::Verdict};
use crate::domain::{CallId, Report};

/// Result for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replayed {
    /// It moved the call.
    Applied,
    /// It has nothing that moves a call.
    Noted,
    /// The call had moved on.
    Stale,
    /// An earlier dial was answered after all, and a later one is in flight.
    LateAnswer,
    /// It is not about the call that its URL names.
    Mismatch,
    /// Its call is still unknown, or locked: the sweep tries it again.
    Parked,
    /// Still not in the protocol's format.
    Unparsable,
    /// Nothing in it names a known call.
    Unmatched,
    /// It was judged before; nothing changes.
    AlreadyJudged,
    /// There is no such event.
    NotFound,
}

/// Which stored events to list.
#[derive(Debug, Clone, Default)]
pub struct Kept<'a> {
    /// Only with this verdict.
    pub verdict: Option<Verdict>,
    /// Only of this trunk.
    pub trunk: Option<&'a str>,
    /// At most this many, the newest.
    pub limit: i64,
}

/// Stored events with their bodies.
#[derive(Debug)]
pub struct KeptPage {
    /// Each event with its body as received.
    pub events: Vec<(WebhookEvent, Vec<u8>)>,
    /// There are older ones.
    pub more: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    id: i64,
    report: Option<&'a Report>,
    by: &'a str,
    why: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    freed: bool,
}

impl Queue {
    /// Judges one stored event again; `report` is its body read afresh, none to keep the first reading.
    pub async fn replay(
        &self,
        event: i64,
        report: Option<&Report>,
        by: &str,
        why: Option<&str>,
    ) -> Result<Replayed, Error> {
        let item = Item {
            id: event,
            report,
            by,
            why,
        };
        let sql = "select ordinal, verdict, detail from pgdial.replay_many($1, true)";
        let answer = self.apply::<_, Replayed>("replay", sql, item).await?;
        let detail: Detail = read_detail("replay", answer.detail);
        if detail.freed {
            self.wake(Wake::Claim);
        }
        if answer.verdict == Replayed::Parked {
            self.wake(Wake::Sweep);
        }
        Ok(answer.verdict)
    }

    /// Stored events, newest first, without their bodies.
    pub async fn webhook_events(&self, which: &Kept<'_>) -> Result<Vec<WebhookEvent>, Error> {
        let rows: Vec<(Json<WebhookEvent>,)> =
            sqlx::query_as(include_str!("../../sql/read/webhook_events.sql"))
                .bind(which.verdict.map(Verdict::as_str))
                .bind(which.trunk)
                .bind(which.limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Stored events about one call, newest first, limited in number and in bytes of bodies, but always at
    /// least one whole event.
    pub async fn call_webhooks(
        &self,
        call: CallId,
        below: Option<i64>,
        limit: i64,
        bytes: i64,
    ) -> Result<KeptPage, Error> {
        let rows: Vec<(Json<WebhookEvent>, Vec<u8>, bool)> =
            sqlx::query_as(include_str!("../../sql/read/call_webhooks.sql"))
                .bind(call.0)
                .bind(below)
                .bind(limit)
                .bind(bytes)
                .fetch_all(&self.pool)
                .await?;
        let more = rows.last().is_some_and(|row| row.2);
        let events = rows.into_iter().map(|row| (row.0.0, row.1)).collect();
        Ok(KeptPage { events, more })
    }

    /// Trunk and body of a stored event; none if there is no such event.
    pub async fn webhook_body(&self, event: i64) -> Result<Option<(String, Vec<u8>)>, Error> {
        let row = sqlx::query_as(include_str!("../../sql/read/webhook_body.sql"))
            .bind(event)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row)
    }
}
