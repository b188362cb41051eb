//! The life of a call, one verb a file; the only way to a row.
//!
//! SQL decides, Rust names: each verb is one SQL function of the same name in
//! `sql/flow/`, and a method of [`Queue`] here that turns its verdicts into a type.
//! A verdict such as `Stale` is an expected result, never an error: the row had
//! moved on, the first writer won, and nothing was applied.
//!
//! Nobody outside this module sees the pool.

// (nothing) → waiting.
pub mod enqueue;

// waiting → dialing.
pub mod claim;

// dialing, unresolved → `in_call`.
pub mod dialed;

// in flight → completed, waiting again, failed or canceled.
pub mod settle;

// dialing → unresolved.
pub mod doubt;

// in flight → waiting, the attempt not counted.
pub mod defer;

// An event of the provider: kept once, applied once.
pub mod webhook;

// Kept events, judged once more.
pub mod replay;

// What a provider said when it was asked.
pub mod look_up;

// The same dial request again, with the same key.
pub mod repeat;

// waiting → canceled; a wish for a call in flight.
pub mod cancel;

// terminal → waiting.
pub mod redrive;

// Cancel, redrive and export by a filter.
pub mod matching;

// waiting → waiting, changed.
pub mod amend;

// A person ends a doubt.
pub mod resolve;

// The end of a hold.
pub mod release;

// After a restore, or a failover that may have lost commits.
pub mod recover;

// What time has overtaken.
pub mod sweep;

// Partitions, statistics, what is to be forgotten.
pub mod housekeeping;

// Campaigns and trunks.
pub mod lanes;

// Their dialing, stopped and started.
pub mod pause;

// Numbers not to ring.
pub mod do_not_call;

// Numbers that wait already.
pub mod queued;

// A number, out of every table.
pub mod forget;

// Workers that are alive.
pub mod heartbeat;

// A worker is told to go.
pub mod drain;

// The audit.
pub mod acts;

// Wakes between processes.
pub mod wake;

// Questions.
pub mod read;

// What they return.
pub mod view;

// How full the pools are.
mod pools;

// What this process fails to do.
pub(crate) mod health;

// Questions of people.
pub mod ops;

// What is going on now, for a screen.
pub mod board;

// What happened, for those who follow.
pub mod events;

// How much of something each trunk may have.
pub mod shares;

// Many writers, one statement.
pub(crate) mod batcher;

// The batchers of the verbs.
mod gathered;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::types::Json;

use self::{gathered::Batchers, health::Health, pools::Pools, wake::Wakes};
use crate::{
    db::{Pool, pool::OfDatabase},
    metrics::Metrics,
};

/// The queue, as everybody but `flow` and `db` sees it: its verbs.
#[derive(Debug, Clone)]
pub struct Queue {
    pool: Pool,
    wakes: Arc<Wakes>,
    gathered: Arc<Batchers>,
    tail: Arc<events::Tail>,
    metrics: Arc<Metrics>,
    pools: Arc<Pools>,
    health: Arc<Health>,
    /// Where the trunks of this process dial.
    accounts: Arc<BTreeMap<String, String>>,
}

/// What nobody expected of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement failed, or its connection.
    #[error("the database did not answer as it should")]
    Database(#[from] sqlx::Error),
    /// A function answered with a word or a shape that this release does not know.
    #[error(
        "the database answered {got:?} to {verb}: another release of pgdial is installed there"
    )]
    Contract {
        /// The verb.
        verb: &'static str,
        /// What it said.
        got: String,
    },
    /// Somebody's open transaction holds the row of the call.
    #[error("somebody's open transaction holds the call: try again")]
    LockedOut,
    /// The row of this call cannot be written so; other calls are not concerned.
    #[error("the database refuses to change the call: {why}")]
    Refused {
        /// What the constraint or the trigger says.
        why: String,
    },
    /// The statement was written for several callers, and failed for all of them.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// Whoever was to write it is gone; whether it was done is unknown.
    #[error("the statement was given up before the database answered")]
    Abandoned,
}

impl Error {
    fn encoding(error: serde_json::Error) -> Self {
        Self::Database(sqlx::Error::Encode(error.into()))
    }

    /// May the statement have failed for what one of its items is? Not when the database
    /// is gone, going, full or read-only, or a table is locked: then trying again item by
    /// item only adds to it.
    fn may_be_of_one_item(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        let code = error.code().unwrap_or_default();
        !["08", "25", "26", "42P05", "53", "55P03", "57P", "58"]
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

/// One line of a verb's answer.
#[derive(Debug)]
pub(crate) struct Answer<V> {
    pub(crate) verdict: V,
    pub(crate) detail: Value,
}

/// What comes with a verdict, as its type. The verdict is committed already, so a detail
/// of another shape is no failure of the verb: it is logged, and taken as none.
pub(crate) fn read_detail<D: DeserializeOwned + Default>(verb: &'static str, detail: Value) -> D {
    serde_json::from_value(detail).unwrap_or_else(|error| {
        tracing::error!(verb, %error, "the verdict's detail cannot be read: another release is installed there");
        D::default()
    })
}

/// The accounts of these trunks, in their order; none where the process does not say.
fn accounts_of(
    accounts: &BTreeMap<String, String>,
    trunks: &[String],
) -> Option<Vec<Option<String>>> {
    let account = |trunk: &String| accounts.get(trunk).cloned();
    (!accounts.is_empty()).then(|| trunks.iter().map(account).collect())
}

impl Queue {
    /// The verbs over this pool.
    pub fn new(pool: Pool) -> Self {
        Self::with(
            pool,
            Arc::default(),
            Arc::default(),
            Arc::default(),
            Arc::default(),
        )
    }

    /// The same queue over another pool: it hears and sends the same wakes, and counts in the same place. A process
    /// that serves and works has one pool for each, so that neither starves the other.
    #[must_use]
    pub fn beside(&self, pool: Pool) -> Self {
        let beside = Self::with(
            pool,
            Arc::clone(&self.wakes),
            Arc::clone(&self.metrics),
            Arc::clone(&self.pools),
            Arc::clone(&self.health),
        );
        beside.at((*self.accounts).clone())
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
            accounts: Arc::default(),
        }
    }

    /// The same queue for a process whose trunks dial at these accounts.
    #[must_use]
    pub fn at(mut self, accounts: BTreeMap<String, String>) -> Self {
        self.accounts = Arc::new(accounts);
        self
    }

    fn accounts_of(&self, trunks: &[String]) -> Option<Vec<Option<String>>> {
        accounts_of(&self.accounts, trunks)
    }

    /// Its connections, for `crate::db`.
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What this process counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends one item through a verb, which waits a little for its row.
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

/// A verdict's word and its detail, unless it is one that any verb may answer.
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
