//! The life of a call, one verb per file, and the only way to its row.
//!
//! SQL decides, Rust names: each verb is one SQL function of the same name in `sql/flow/`, and a method of
//! [`Queue`] here that turns its verdicts into a type. A verdict such as `Stale` is an expected result, never
//! an error: the row had moved on, the first writer won, and nothing was applied.
//!
//! The pool is not visible outside this module.

// (nothing) → waiting.
pub mod enqueue;

// waiting → dialing.
pub mod claim;
// enqueue and claim, with one commit.
pub(crate) mod claim_with;

// dialing, unresolved → `in_call`.
pub mod dialed;

// in flight → completed, waiting again, failed or canceled.
pub mod settle;

// dialing → unresolved.
pub mod doubt;

// in flight → waiting, the attempt not counted.
pub mod defer;

// A provider's event: stored once, applied once.
pub mod webhook;

// Judges stored events again.
pub mod replay;

// Applies what a provider answered about a call.
pub mod look_up;

// Dials in doubt to send again with the same idempotency key.
pub mod repeat;

// waiting → canceled; for a call in flight a request.
pub mod cancel;

// terminal → waiting.
pub mod redrive;

// Cancel, redrive, resolve and export by a filter.
pub mod matching;

// Pages of calls by a filter; calls by what names them.
pub mod listing;

// Failed calls by what they failed of.
pub mod failures;

// Changes a waiting call.
pub mod amend;

// A person ends a doubt.
pub mod resolve;

// A person ends a hold.
pub mod release;

// After a restore, or a failover that may have lost commits.
pub mod recover;

// Settles or reconciles what time has overtaken.
pub mod sweep;

// Partitions, statistics, expired rows.
pub mod housekeeping;

// Campaigns and trunks.
pub mod groups;

// The numbers that calls are dialed from.
pub mod caller_ids;
// How often a number may be rung.
pub mod contact_limits;
// Calling hours and calendars.
pub mod hours;

// Where events are delivered to.
pub mod endpoints;

// Hands out deliveries, and records how they ended.
pub mod deliver;
pub mod delivered;

// Delivers events once more.
pub mod resend;

// Pausing and resuming campaigns and trunks.
pub mod pause;

// Puts a campaign or trunk out of sight, or removes it.
pub mod archive;

// Changes that depend on what somebody has seen.
pub mod version;

// The do-not-call list.
pub mod do_not_call;

// Numbers that have a call waiting or in flight.
pub mod queued;

// Removes a number from every table.
pub mod forget;

// Keys of the API.
pub mod keys;

// Sessions of people who signed in with a key.
pub mod sessions;

// Liveness of workers.
pub mod heartbeat;

// Draining workers.
pub mod drain;

// The audit trail.
pub mod acts;

// Wakes between processes.
pub mod wake;

// Read-only queries.
pub mod read;

// Types that queries return.
pub mod view;

// Use of the pools.
mod pools;

// Failing work of this process.
pub(crate) mod health;

// Queries of `sql/ops`.
pub mod ops;

// Live picture of the queue, for a screen.
pub mod board;

// What an operator's screens ask.
pub mod seat;

// Following events.
pub mod events;

// Limits per trunk.
pub mod shares;

// Gathers the items of many callers into one statement.
pub(crate) mod batcher;

// The verbs that have a batcher, and what each tells it.
mod gathered;
mod statement;

// Verdicts of the verbs, for the metrics that count them.
mod words;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::types::Json;

pub(crate) use self::words::VERDICTS;
use self::{gathered::Batchers, health::Health, pools::Pools, wake::Wakes};
use crate::{
    db::{
        Pool,
        pool::{OfDatabase, is_broken},
    },
    metrics::Metrics,
    trunks::Declared,
};

/// The queue as all modules but `flow` and `db` see it: its verbs.
#[derive(Debug, Clone)]
pub struct Queue {
    pool: Pool,
    wakes: Arc<Wakes>,
    gathered: Arc<Batchers>,
    tail: Arc<events::Tail>,
    metrics: Arc<Metrics>,
    pools: Arc<Pools>,
    health: Arc<Health>,
    key_changes: Arc<keys::KeyChanges>,
    /// What is known of the trunks of this process, by name.
    trunks: Arc<BTreeMap<String, Declared>>,
}

/// An unexpected failure of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement or its connection failed.
    #[error("the database did not answer as it should")]
    Database(#[from] sqlx::Error),
    /// A function returned a word or a shape that this release does not know.
    #[error(
        "the database answered {got:?} to {verb}: another release of pgdial is installed there"
    )]
    Contract {
        /// Name of the verb.
        verb: &'static str,
        /// What it returned.
        got: String,
    },
    /// Another open transaction holds the row of the call.
    #[error("somebody's open transaction holds the call: try again")]
    LockedOut,
    /// The row of this call cannot be changed like this; other calls are not affected.
    #[error("the database refuses to change the call: {why}")]
    Refused {
        /// Message of the constraint or the trigger.
        why: String,
    },
    /// The statement was shared by several callers, and failed for all of them.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The writer of the batch is gone; whether the statement was done is unknown.
    #[error("the statement was given up before the database answered")]
    Abandoned,
}

impl Error {
    fn encoding(error: serde_json::Error) -> Self {
        Self::Database(sqlx::Error::Encode(error.into()))
    }

    /// Whether one of the items may have made the statement fail. Not when the session failed, which may have been after
    /// the commit; nor when the database is full or read-only, or a table is locked: then retrying item by item only
    /// adds load.
    fn may_be_of_one_item(&self) -> bool {
        let Self::Database(error @ sqlx::Error::Database(said)) = self else {
            return false;
        };
        let code = said.code().unwrap_or_default();
        !is_broken(error)
            && !["25", "26", "42P05", "53", "55P03", "58"]
                .iter()
                .any(|class| code.starts_with(class))
    }
}

impl OfDatabase for Error {
    fn of_database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Shared(error) => error.of_database(),
            _ => None,
        }
    }
}

/// One row of a verb's result.
#[derive(Debug)]
pub(crate) struct Answer<V> {
    pub(crate) verdict: V,
    pub(crate) detail: Value,
}

/// Detail of a verdict as its type. The verdict is committed already, so a detail of another shape does not
/// fail the verb: it is logged and replaced by the default.
pub(crate) fn read_detail<D: DeserializeOwned + Default>(verb: &'static str, detail: Value) -> D {
    serde_json::from_value(detail).unwrap_or_else(|error| {
        tracing::error!(verb, %error, "the verdict's detail cannot be read: another release is installed there");
        D::default()
    })
}

/// Accounts of these trunks, in their order; none if the process knows none.
fn accounts_of(
    known: &BTreeMap<String, Declared>,
    trunks: &[String],
) -> Option<Vec<Option<String>>> {
    let account = |trunk: &String| known.get(trunk)?.account.clone();
    let is_known = known.values().any(|trunk| trunk.account.is_some());
    is_known.then(|| trunks.iter().map(account).collect())
}

impl Queue {
    /// The verbs over this pool.
    pub fn new(pool: Pool) -> Self {
        Self::with(
            pool,
            Arc::default(),
            Arc::new(Metrics::new(&VERDICTS)),
            Arc::default(),
            Arc::default(),
        )
    }

    /// The same queue over another pool, with the same wakes and metrics.
    ///
    /// A process that both serves and works has a pool for each, so that neither starves the other.
    #[must_use]
    pub fn beside(&self, pool: Pool) -> Self {
        let beside = Self::with(
            pool,
            Arc::clone(&self.wakes),
            Arc::clone(&self.metrics),
            Arc::clone(&self.pools),
            Arc::clone(&self.health),
        );
        beside.at((*self.trunks).clone())
    }

    fn with(
        pool: Pool,
        wakes: Arc<Wakes>,
        metrics: Arc<Metrics>,
        pools: Arc<Pools>,
        health: Arc<Health>,
    ) -> Self {
        let gathered = Arc::new(Batchers::new(&pool, &wakes, &metrics, &health));
        pools.add(&pool);
        Self {
            tail: events::Tail::new(pool.clone()),
            pool,
            wakes,
            gathered,
            metrics,
            pools,
            health,
            key_changes: Arc::default(),
            trunks: Arc::default(),
        }
    }

    /// The same queue in a process that dials on these trunks.
    #[must_use]
    pub fn at(mut self, trunks: BTreeMap<String, Declared>) -> Self {
        self.trunks = Arc::new(trunks);
        self
    }

    fn accounts_of(&self, trunks: &[String]) -> Option<Vec<Option<String>>> {
        accounts_of(&self.trunks, trunks)
    }

    /// Its connections, for `crate::db`.
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Metrics of this process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends one item through a verb, which waits briefly for its row.
    pub(crate) async fn apply<I: Serialize, V: DeserializeOwned>(
        &self,
        verb: &'static str,
        sql: &'static str,
        item: I,
    ) -> Result<Answer<V>, Error> {
        let (_, word, detail): Row = sqlx::query_as(sql)
            .bind(Json([item]))
            .fetch_one(&self.pool)
            .await?;
        let (word, detail) = read_row(word, detail)?;
        let verdict = known_word(verb, &word)?;
        Ok(Answer { verdict, detail })
    }
}

type Row = (i32, String, Option<Json<Value>>);

const LOCKED_OUT: &str = "locked_out";
const REFUSED: &str = "refused";

/// Verdict's word and detail, unless the word is an error that any verb may return.
fn read_row(word: String, detail: Option<Json<Value>>) -> Result<(String, Value), Error> {
    let detail = detail.map_or(Value::Null, |detail| detail.0);
    match word.as_str() {
        LOCKED_OUT => Err(Error::LockedOut),
        REFUSED => Err(Error::Refused {
            why: detail
                .get("why")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        }),
        _ => Ok((word, detail)),
    }
}

/// A verdict's word as its type.
pub(crate) fn known_word<V: DeserializeOwned>(verb: &'static str, word: &str) -> Result<V, Error> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|_not_a_word| Error::Contract {
        verb,
        got: word.to_owned(),
    })
}
