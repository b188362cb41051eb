//! enqueue: (nothing) → waiting, or the call that the idempotency key already names.

use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Calls, Error, wake::Wake};
use crate::domain::CallId;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// A new call.
    New(CallId),
    /// The same key with the same request: the same call.
    Duplicate(CallId),
    /// The key was used for another request.
    KeyReused(String),
    /// Another transaction holds the key: try again.
    KeyLocked(String),
    /// The number is on the do-not-call list.
    Suppressed(String),
    /// There is no such campaign.
    UnknownCampaign(String),
    /// The request cannot be taken; the text says what to do.
    Invalid(String),
}

/// Locked keys that one batch waits for (2 s each) before the rest is answered `KeyLocked`.
const MOST_WAITS: usize = 3;

impl Calls {
    /// Takes requests as `POST /calls` takes them (see [`crate::domain::CallRequest`]),
    /// with `idempotencyKey` inside; one result for each, in their order. One that
    /// cannot be taken harms none of the others. Durable when this returns.
    ///
    /// `owner` is whose idempotency keys these are.
    pub async fn enqueue(&self, owner: &str, requests: &[Value]) -> Result<Vec<Enqueued>, Error> {
        let storable: Vec<&Value> = requests.iter().filter(|r| !holds_nul(r)).collect();
        let mut stored = self.enqueue_storable(owner, &storable).await?.into_iter();
        requests
            .iter()
            .map(|request| {
                if holds_nul(request) {
                    return Ok(Enqueued::Invalid(
                        "a text contains the character U+0000, which cannot be stored: remove it"
                            .to_owned(),
                    ));
                }
                stored.next().ok_or(Error::Contract {
                    verb: "enqueue",
                    got: "no row".to_owned(),
                })
            })
            .collect()
    }

    async fn enqueue_storable(
        &self,
        owner: &str,
        requests: &[&Value],
    ) -> Result<Vec<Enqueued>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.enqueue_rows(owner, requests).await?;
        if requests.len() > 1 {
            // A key that somebody holds undid the whole batch: each item alone harms nobody.
            // But each may wait 2 s for its key: after a few, the rest is left to the caller.
            let mut waits = 0;
            for (request, row) in requests.iter().zip(&mut rows) {
                if row.1 == "key_locked"
                    && waits < MOST_WAITS
                    && let Some(alone) = self.enqueue_rows(owner, &[request]).await?.pop()
                {
                    waits += usize::from(alone.1 == "key_locked");
                    *row = alone;
                }
            }
        }
        let results: Vec<Enqueued> = rows.into_iter().map(read_row).collect::<Result<_, _>>()?;
        if results
            .iter()
            .any(|result| matches!(result, Enqueued::New(_)))
        {
            self.wake(Wake::Claim);
        }
        Ok(results)
    }

    async fn enqueue_rows(&self, owner: &str, requests: &[&Value]) -> Result<Vec<Row>, Error> {
        let mut rows: Vec<Row> =
            sqlx::query_as("select ordinal, verdict, id, detail from pgdial.enqueue_many($1, $2)")
                .bind(owner)
                .bind(Json(requests))
                .fetch_all(&self.pool)
                .await?;
        rows.sort_by_key(|row| row.0);
        Ok(rows)
    }
}

type Row = (i32, String, Option<Uuid>, Option<String>);

fn read_row((_, verdict, id, detail): Row) -> Result<Enqueued, Error> {
    let detail = detail.unwrap_or_default();
    Ok(match (verdict.as_str(), id) {
        ("new", Some(id)) => Enqueued::New(CallId(id)),
        ("duplicate", Some(id)) => Enqueued::Duplicate(CallId(id)),
        ("key_reused", _) => Enqueued::KeyReused(detail),
        ("key_locked", _) => Enqueued::KeyLocked(detail),
        ("suppressed", _) => Enqueued::Suppressed(detail),
        ("unknown_campaign", _) => Enqueued::UnknownCampaign(detail),
        ("invalid", _) => Enqueued::Invalid(detail),
        (other, _) => {
            return Err(Error::Contract {
                verb: "enqueue",
                got: other.to_owned(),
            });
        }
    })
}

/// Postgres cannot hold U+0000 in a text: it would fail the whole statement.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
