//! enqueue: (nothing) → waiting, or the call that the idempotency key already names.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use sqlx::{Connection as _, PgConnection, PgExecutor, types::Json};
use strum::{IntoStaticStr, VariantNames};

use super::{
    Error, Queue,
    batcher::{Batcher, Limits, Try, Verb, Written},
    claim_with::{ENQUEUE, Row},
    health::Health,
    view::Call,
    wake::{Wake, Wakes},
};
use crate::{db::Pool, domain::CallId, metrics::Metrics};

/// Result of one request.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Enqueued {
    /// A new call.
    Created(CallId),
    /// The same key came before with the same request: its call.
    Duplicate(CallId),
    /// The key was used for another request.
    KeyReused(String),
    /// Another transaction holds the key: try again.
    KeyLocked(String),
    /// The number is on the do-not-call list.
    Suppressed(String),
    /// The campaign requires consent, and there is none, or it has expired.
    ConsentMissing(String),
    /// There is no such campaign.
    UnknownCampaign(String),
    /// The campaign has ended, or ends before the call may be dialed.
    CampaignOver(String),
    /// The request is not valid; the text says what to do.
    Invalid(String),
}

/// Why no call was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(String);

impl Enqueued {
    /// The call, new or found by its key; the error says what to do.
    pub fn call(self) -> Result<CallId, NotTaken> {
        match self {
            Self::Created(id) | Self::Duplicate(id) => Ok(id),
            Self::KeyReused(why)
            | Self::KeyLocked(why)
            | Self::Suppressed(why)
            | Self::ConsentMissing(why)
            | Self::UnknownCampaign(why)
            | Self::CampaignOver(why)
            | Self::Invalid(why) => Err(NotTaken(why)),
        }
    }
}

impl Enqueued {
    /// The variant in snake case.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

/// Requests of one batch that are tried alone and wait for a locked key (2 s each), before the rest return
/// `KeyLocked`.
const MOST_WAITS: usize = 3;
/// Parts a batch is split into when it hits a locked key.
const PARTS: usize = 8;

const NUL: &str = "a text contains the character U+0000, which cannot be stored: remove it";

/// One request as JSON text.
#[derive(Debug, Clone)]
pub struct Request {
    json: Box<RawValue>,
    holds_nul: bool,
}

impl Request {
    /// What `POST /calls` takes (see [`crate::domain::CallRequest`]), with `idempotencyKey` inside.
    pub fn new(value: &impl Serialize) -> Result<Self, Error> {
        let json = to_raw_value(value).map_err(Error::encoding)?;
        let holds_nul = holds_nul(json.get());
        Ok(Self { json, holds_nul })
    }
}

/// Result of a single request: with the call itself if it is new.
pub type Shown = (Enqueued, Option<Box<Call>>);

/// Requests tried by one statement.
const TRIED: usize = 1000;

impl Queue {
    /// Enqueues requests as `POST /calls` takes them (see [`crate::domain::CallRequest`]).
    ///
    /// Each may have an `idempotencyKey`, which belongs to `owner`. Returns one result for each request, in
    /// their order; one that is refused does not affect the others. Durable when this returns.
    pub async fn enqueue(&self, owner: &str, requests: &[Value]) -> Result<Vec<Enqueued>, Error> {
        let requests: Vec<Request> = requests
            .iter()
            .map(Request::new)
            .collect::<Result<_, _>>()?;
        self.enqueue_all(owner, &requests).await
    }

    /// As [`Queue::enqueue`], for requests that are JSON text already.
    pub async fn enqueue_all(
        &self,
        owner: &str,
        requests: &[Request],
    ) -> Result<Vec<Enqueued>, Error> {
        let stored = self.enqueue_storable(owner, &storable(requests)).await?;
        for_each(requests, stored)
    }

    /// Records that a list of this name was enqueued, and how many of its rows became what.
    pub async fn note_import(&self, list: &str, counts: &Value, by: &str) -> Result<(), Error> {
        sqlx::query("select pgdial.note_import($1, $2, $3)")
            .bind(list)
            .bind(Json(counts))
            .bind(by)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// As [`Queue::enqueue`], in the caller's transaction. Its commit wakes the workers.
    pub async fn enqueue_in(
        connection: &mut PgConnection,
        owner: &str,
        requests: &[Request],
    ) -> Result<Vec<Enqueued>, Error> {
        let storable = storable(requests);
        let rows = send(&mut *connection, &[owner], &storable, true, false).await?;
        if rows.iter().any(|row| row.1 == CREATED) {
            sqlx::query("select pgdial.wake()")
                .execute(connection)
                .await?;
        }
        let stored = rows.into_iter().map(read_row).collect::<Result<_, _>>()?;
        for_each(requests, stored)
    }

    /// What [`Queue::enqueue`] would return now, which is tried and taken back.
    pub(crate) async fn would_enqueue(
        &self,
        owner: &str,
        requests: &[Value],
    ) -> Result<Vec<Enqueued>, Error> {
        let mut lent = self.pool.acquire().await?;
        let mut tx = lent.begin().await?;
        let mut answers = Vec::with_capacity(requests.len());
        for batch in requests.chunks(TRIED) {
            let batch: Vec<Request> = batch.iter().map(Request::new).collect::<Result<_, _>>()?;
            let rows = send(&mut *tx, &[owner], &storable(&batch), true, false).await?;
            let stored = rows.into_iter().map(read_row).collect::<Result<_, _>>()?;
            answers.extend(for_each(&batch, stored)?);
        }
        tx.rollback().await?;
        Ok(answers)
    }

    /// Enqueues one request, batched with concurrent ones. Returns the call, as [`Queue::show`] does, if it
    /// is new.
    pub async fn enqueue_one(&self, owner: &str, request: &Value) -> Result<Shown, Error> {
        let Request { json, holds_nul } = Request::new(request)?;
        if holds_nul {
            return Ok((Enqueued::Invalid(NUL.to_owned()), None));
        }
        let owner = owner.to_owned();
        self.gathered.enqueue.submit((owner, json)).await?
    }

    async fn enqueue_storable(
        &self,
        owner: &str,
        requests: &[&RawValue],
    ) -> Result<Vec<Enqueued>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.enqueue_rows(owner, requests).await?.into_iter();
        let results: Vec<Enqueued> = rows.map(read_row).collect::<Result<_, _>>()?;
        if results
            .iter()
            .any(|result| matches!(result, Enqueued::Created(_)))
        {
            self.wake(Wake::Claim);
        }
        Ok(results)
    }

    /// A locked key fails the whole batch, and the database does not say which: the requests are retried in
    /// ever smaller parts, of which only single ones wait.
    async fn enqueue_rows(&self, owner: &str, requests: &[&RawValue]) -> Result<Vec<Row>, Error> {
        let mut rows = BTreeMap::new();
        let mut parts: Vec<Vec<_>> = vec![requests.iter().copied().enumerate().collect()];
        let mut waits = 0;
        while waits < MOST_WAITS
            && let Some(part) = parts.pop()
        {
            let (is_first, is_single) = (rows.is_empty(), part.len() == 1);
            let sent: Vec<&RawValue> = part.iter().map(|request| request.1).collect();
            let answers = send(&self.pool, &[owner], &sent, is_first || is_single, false).await?;
            let mut locked = Vec::new();
            for (request, row) in part.into_iter().zip(answers) {
                if row.1 == KEY_LOCKED {
                    locked.push(request);
                }
                rows.insert(request.0, row);
            }
            if is_single {
                waits += locked.len();
            } else {
                let size = locked.len().div_ceil(PARTS).max(1);
                parts.extend(locked.chunks(size).rev().map(<[_]>::to_vec));
            }
        }
        Ok(rows.into_values().collect())
    }
}

/// One statement; returns a row for each request, in their order. `wait`: for a locked key. `shown`: return
/// new calls as well.
async fn send(
    database: impl PgExecutor<'_>,
    owners: &[&str],
    requests: &[&RawValue],
    wait: bool,
    shown: bool,
) -> Result<Vec<Row>, Error> {
    let sql = "select ordinal, verdict, id, detail from pgdial.enqueue_many($1, $2, $3, $4)";
    let mut rows: Vec<Row> = sqlx::query_as(sql)
        .bind(owners)
        .bind(Json(requests))
        .bind(wait)
        .bind(shown)
        .fetch_all(database)
        .await?;
    in_order(&mut rows, requests.len())?;
    Ok(rows)
}

/// Puts the rows in the order of their requests.
fn in_order(rows: &mut [Row], requests: usize) -> Result<(), Error> {
    if rows.len() != requests {
        return Err(no_row());
    }
    rows.sort_unstable_by_key(|row| row.0);
    Ok(())
}

const KEY_LOCKED: &str = "key_locked";

/// Requests that Postgres can store.
fn storable(requests: &[Request]) -> Vec<&RawValue> {
    let storable = requests.iter().filter(|request| !request.holds_nul);
    storable.map(|request| &*request.json).collect()
}

/// Merges the results of the storable requests into one for each request.
fn for_each(requests: &[Request], stored: Vec<Enqueued>) -> Result<Vec<Enqueued>, Error> {
    let mut stored = stored.into_iter();
    let answers = requests.iter().map(|request| {
        if request.holds_nul {
            return Ok(Enqueued::Invalid(NUL.to_owned()));
        }
        stored.next().ok_or_else(no_row)
    });
    answers.collect()
}

pub(crate) fn no_row() -> Error {
    Error::Contract {
        verb: "enqueue",
        got: "no row".to_owned(),
    }
}

/// Single requests of all owners, batched.
#[derive(Debug)]
pub(super) struct Singles {
    wakes: Arc<Wakes>,
}

impl Singles {
    pub(super) fn batcher(
        pool: &Pool,
        wakes: &Arc<Wakes>,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Batcher<Self> {
        let wakes = Arc::clone(wakes);
        let verb = Self { wakes };
        let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
        Batcher::new(verb, pool.clone(), LIMITS, "enqueue", metrics, health)
    }
}

/// Two at a time: while one commits, the other's rows are built.
const LIMITS: Limits = Limits {
    items: 100,
    bytes: 1024 * 1024,
    writers: 2,
};

impl Verb for Singles {
    type Item = (String, Box<RawValue>);
    type Answer = Result<Shown, Error>;

    fn bytes((owner, json): &Self::Item) -> usize {
        owner.len() + json.get().len()
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[&Self::Item],
        how: Try,
    ) -> Result<Vec<Written<Self::Answer>>, Error> {
        let owners: Vec<&str> = items.iter().map(|item| item.0.as_str()).collect();
        let requests: Vec<&RawValue> = items.iter().map(|item| &*item.1).collect();
        // Tried alone, it waits for its key, and a worker has other things to do.
        let taken = if how == Try::Gathered {
            let seat = &self.wakes.seat;
            seat.record(ENQUEUE, &owners, &requests).await
        } else {
            None
        };
        let (rows, claimed) = if let Some(taken) = taken {
            let mut taken = taken?;
            in_order(&mut taken.rows, requests.len())?;
            (taken.rows, taken.claimed)
        } else {
            let rows = send(connection, &owners, &requests, how == Try::Alone, true).await?;
            (rows, Vec::new())
        };
        // If all of them are claimed, nobody else need know.
        let is_left = |row: &Row| row.1 == CREATED && row.2.is_none_or(|id| !claimed.contains(&id));
        if rows.iter().any(is_left) {
            self.wakes.wake(Wake::Claim);
        }
        let written = rows.into_iter().map(|mut row| {
            if how == Try::Gathered && row.1 == KEY_LOCKED {
                return Written::NotYet;
            }
            let call = (row.1 == CREATED).then(|| row.3.take()).flatten();
            // The call is enqueued whatever the returned value looks like; a reader then fetches it.
            let call = call.and_then(|call| {
                let read = serde_json::from_str(&call);
                // Not the error's text: it may quote the number.
                read.inspect_err(|error: &serde_json::Error| {
                    tracing::error!(column = error.column(), "a new call cannot be read");
                })
                .ok()
            });
            Written::Done(read_row(row).map(|enqueued| (enqueued, call)))
        });
        Ok(written.collect())
    }
}

const CREATED: &str = "created";

fn read_row((_, verdict, id, detail): Row) -> Result<Enqueued, Error> {
    let detail = detail.unwrap_or_default();
    Ok(match (verdict.as_str(), id) {
        (CREATED, Some(id)) => Enqueued::Created(CallId(id)),
        ("duplicate", Some(id)) => Enqueued::Duplicate(CallId(id)),
        ("key_reused", _) => Enqueued::KeyReused(detail),
        (KEY_LOCKED, _) => Enqueued::KeyLocked(detail),
        ("suppressed", _) => Enqueued::Suppressed(detail),
        ("consent_missing", _) => Enqueued::ConsentMissing(detail),
        ("unknown_campaign", _) => Enqueued::UnknownCampaign(detail),
        ("campaign_over", _) => Enqueued::CampaignOver(detail),
        ("invalid", _) => Enqueued::Invalid(detail),
        (other, _) => {
            return Err(Error::Contract {
                verb: "enqueue",
                got: other.to_owned(),
            });
        }
    })
}

/// Postgres cannot store U+0000 in a text: it would fail the whole statement. Our JSON has it as `\u0000`,
/// unless that backslash is itself escaped.
fn holds_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json.as_bytes().get(..at).unwrap_or_default();
        let escapes = before.iter().rev().take_while(|byte| **byte == b'\\');
        escapes.count() % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_found_and_what_only_looks_like_one_is_not() {
        for (value, holds) in [
            (json!({"a": "\0"}), true),
            (json!({"\0": 1}), true),
            (json!(["x", {"a": ["\\\0"]}]), true),
            (json!("\\u0000"), false),
            (json!("\\\\u0000"), false),
            (json!("u0000"), false),
            (json!({"a": "\u{1}"}), false),
        ] {
            let request = Request::new(&value).unwrap();
            assert_eq!(request.holds_nul, holds, "{value}");
        }
    }
}
