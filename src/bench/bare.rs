//! The bare limit: the same writes in plain SQL, as fast as one process gets them into the
//! same Postgres. The statements stand beside this file and are all there is.
//!
//! What it shares with pgdial: columns, indexes, storage parameters, partitioned history, one
//! event for each transition with the same detail, batches, one durable commit for a batch.
//! What it does without: the gate, caps and fair turns, one call in flight per number (but
//! the unique index is there), verdicts, leases that anybody looks at, retries, any function
//! of pgdial, any check constraint, and a provider.

use std::fmt;

use sqlx::{Connection, PgConnection, types::Uuid};
use tokio::{sync::mpsc, task::JoinSet};

use super::{Bed, Error, measure, server};
use crate::provider::Stopwatch;

/// What the limit of a drain is.
pub const DRAIN: &str = "claim and settle as one statement each, one commit a batch";

const CLAIM: &str = include_str!("bare/claim.sql");
const SETTLE: &str = include_str!("bare/settle.sql");

/// Makes the bare tables, empty.
pub async fn make(bed: &Bed) -> Result<(), Error> {
    bed.sql(include_str!("bare/tables.sql")).await
}

/// Copies what pgdial's tables hold into the bare ones: the same rows to begin with.
pub async fn copy_calls(bed: &Bed) -> Result<(), Error> {
    bed.sql("insert into bare.calls select * from pgdial.calls; insert into bare.call_events select * from pgdial.call_events")
        .await
}

/// What the bare script moved in its two forms, calls/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drained {
    /// Rows in a batch.
    pub batch: usize,
    /// One connection, claim after settle.
    pub sequential: f64,
    /// Two connections, the next claim while the last batch settles; two halves of a batch in flight.
    pub overlapped: f64,
}

impl Drained {
    /// The better form is the limit.
    pub const fn best(&self) -> f64 {
        self.sequential.max(self.overlapped)
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let better = if self.sequential > self.overlapped {
            "one connection"
        } else {
            "two connections"
        };
        write!(
            f,
            "limit: at most {} in flight; {better} were faster",
            self.batch
        )
    }
}

/// Drains the bare tables: one half by the sequential form, one by the overlapped one. Never
/// more than `batch` calls are in flight, as many as pgdial has slots.
pub async fn drain(bed: &Bed, calls: usize, batch: usize) -> Result<Drained, Error> {
    let half = calls / 2;
    let clock = Stopwatch::start();
    let one = sequential(bed, half, batch).await?;
    let sequential = measure::count(one) / clock.elapsed().as_secs_f64();
    let clock = Stopwatch::start();
    let two = overlapped(bed, batch.div_ceil(2)).await?;
    let overlapped = measure::count(two) / clock.elapsed().as_secs_f64();
    check(bed, calls).await?;
    Ok(Drained {
        batch,
        sequential,
        overlapped,
    })
}

/// At least so many calls; how many it were.
async fn sequential(bed: &Bed, calls: usize, batch: usize) -> Result<usize, Error> {
    let mut connection = connect(bed).await?;
    let mut done = 0;
    while done < calls {
        let claimed = claim(&mut connection, batch.min(calls - done)).await?;
        if claimed.is_empty() {
            break;
        }
        settle(&mut connection, &claimed).await?;
        done += claimed.len();
    }
    connection.close().await?;
    Ok(done)
}

/// All the rest; how many it were.
async fn overlapped(bed: &Bed, batch: usize) -> Result<usize, Error> {
    let mut claims = connect(bed).await?;
    let mut settles = connect(bed).await?;
    // A rendezvous: one batch settles while the next is claimed, and no third one waits.
    let (hand, mut taken) = mpsc::channel::<(Vec<Uuid>, tokio::sync::oneshot::Sender<()>)>(1);
    let mut settling = JoinSet::new();
    settling.spawn(async move {
        let mut done = 0;
        while let Some((claimed, settled)) = taken.recv().await {
            settle(&mut settles, &claimed).await?;
            done += claimed.len();
            settled.send(()).ok();
        }
        settles.close().await?;
        Ok::<usize, Error>(done)
    });
    let mut before: Option<tokio::sync::oneshot::Receiver<()>> = None;
    loop {
        let claimed = claim(&mut claims, batch).await?;
        if let Some(before) = before.take() {
            before.await.ok();
        }
        let (settled, next) = tokio::sync::oneshot::channel();
        if claimed.is_empty() || hand.send((claimed, settled)).await.is_err() {
            break;
        }
        before = Some(next);
    }
    drop(hand);
    claims.close().await?;
    match settling.join_next().await {
        Some(done) => done?,
        None => Ok(0),
    }
}

async fn connect(bed: &Bed) -> Result<PgConnection, Error> {
    Ok(PgConnection::connect_with(&server::options(&bed.url)?).await?)
}

/// What a dial needs comes back, as pgdial's claim answers it; only the ids are used.
async fn claim(connection: &mut PgConnection, batch: usize) -> Result<Vec<Uuid>, Error> {
    let rows = sqlx::query(CLAIM)
        .bind(Uuid::nil())
        .bind(i64::try_from(batch).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok(sqlx::Row::try_get(row, 0)?))
        .collect()
}

async fn settle(connection: &mut PgConnection, claimed: &[Uuid]) -> Result<(), Error> {
    sqlx::query(SETTLE)
        .bind(claimed)
        .execute(connection)
        .await?;
    Ok(())
}

/// The bare script does the same work, or it is no limit.
async fn check(bed: &Bed, calls: usize) -> Result<(), Error> {
    let ended = bed
        .number("select count(*) from bare.calls where state = 'failed' and claim_no = 1")
        .await?;
    let events = bed
        .number("select count(*) from bare.call_events where kind in ('active', 'failed')")
        .await?;
    let expected = i64::try_from(calls).unwrap_or(i64::MAX);
    if (ended, events) != (expected, expected * 2) {
        return Err(Error::Wrong(format!(
            "the bare script ended {ended} of {calls} calls with {events} events"
        )));
    }
    Ok(())
}
