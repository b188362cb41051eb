//! The bare limit: the same writes in plain SQL, as fast as one process gets them into the same Postgres. The
//! statements are in the files beside this one, and there are no others.
//!
//! Shared with pgdial: columns, indexes, storage parameters, partitioned history, one event per transition with the
//! same detail, batches, one durable commit per batch. Left out: the gate, caps and fair turns, one call in flight
//! per number (its unique index exists, though), verdicts, leases that anyone checks, retries, functions of pgdial,
//! check constraints, and a provider.

mod rows;

use std::{ops::Range, sync::Arc};

use sqlx::{Connection, PgConnection, types::Uuid};
use tokio::{sync::mpsc, task::JoinSet};

use self::rows::Rows;
use super::{Bed, Error, number, server, usage::Used};

/// For reports: what the limit of a drain does.
pub const DRAIN: &str =
    "claim and settle, one statement and one commit a batch each, no more in flight than slots";

/// For reports: what the limit of single enqueues does.
pub const ENQUEUE: &str =
    "inserts of calls and events in one statement, singly or in batches of as many as callers";
/// For reports: what the limit of a bulk import does.
pub const BULK: &str = "COPY of the same calls and events";

const ENQUEUE_SQL: &str = include_str!("bare/enqueue.sql");
const COPY_CALLS: &str = include_str!("bare/copy_calls.sql");
const COPY_EVENTS: &str = include_str!("bare/copy_events.sql");
const CLAIM: &str = include_str!("bare/claim.sql");
const SETTLE: &str = include_str!("bare/settle.sql");

/// Creates the bare tables, empty.
pub async fn make(bed: &Bed) -> Result<(), Error> {
    bed.sql(include_str!("bare/tables.sql")).await
}

/// Copies the rows of pgdial's tables into the bare ones, so that both start from the same.
pub async fn copy_calls(bed: &Bed) -> Result<(), Error> {
    bed.sql("insert into bare.calls select * from pgdial.calls; insert into bare.call_events select * from pgdial.call_events")
        .await
}

/// One way of running the script.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// Name of the form.
    pub how: &'static str,
    /// Calls it moved.
    pub calls: usize,
    /// Time, CPU and memory it took.
    pub used: Used,
}

/// Results of the bare script in all its forms.
#[derive(Debug, Clone, PartialEq)]
pub struct Bare {
    /// What the script does, in words.
    pub what: &'static str,
    /// In the order in which they ran.
    pub forms: Vec<Form>,
}

impl Bare {
    /// The fastest form, which is the limit.
    pub fn best(&self) -> Option<&Form> {
        let rate = |form: &Form| form.used.per_second(form.calls);
        self.forms
            .iter()
            .max_by(|one, two| rate(one).total_cmp(&rate(two)))
    }
}

/// Drains the bare tables: one half sequentially, the other overlapped. At most `batch` calls are in flight, as many
/// as pgdial has slots.
pub async fn drain(bed: &Bed, calls: usize, batch: usize) -> Result<Bare, Error> {
    let meter = bed.meter_as("bare");
    let one = sequential(bed, calls / 2, batch).await?;
    let sequential = Form {
        how: "claim after settle over one connection",
        calls: one,
        used: meter.stop(),
    };
    let meter = bed.meter_as("bare");
    let two = overlapped(bed, batch.div_ceil(2)).await?;
    let overlapped = Form {
        how: "claims and settles overlapped over two connections",
        calls: two,
        used: meter.stop(),
    };
    check(bed, calls).await?;
    Ok(Bare {
        what: DRAIN,
        forms: vec![sequential, overlapped],
    })
}

/// Drains at least `calls`; returns how many it drained.
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

/// Drains the rest; returns how many it drained.
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

/// Returns whatever a dial needs, as pgdial's claim does, although only the ids are used.
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

/// Unless the bare script did the same work, it is not a limit.
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

/// Enqueues half of the calls in each form.
pub async fn enqueue(bed: &Bed, calls: usize, callers: usize) -> Result<Bare, Error> {
    let rows = Arc::new(Rows::new(bed).await?);
    let each = (calls / 2).div_ceil(callers);
    let mut connections = Vec::new();
    for _ in 0..callers {
        connections.push(connect(bed).await?);
    }
    let meter = bed.meter_as("bare");
    let mut running = JoinSet::new();
    for (nth, mut connection) in connections.into_iter().enumerate() {
        let rows = Arc::clone(&rows);
        running.spawn(async move {
            for row in nth * each..(nth + 1) * each {
                insert(&mut connection, &rows, row..row + 1).await?;
            }
            connection.close().await?;
            Ok::<(), Error>(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let first = each * callers;
    let singly = Form {
        how: "one commit each over as many connections as callers",
        calls: first,
        used: meter.stop(),
    };

    let mut connection = connect(bed).await?;
    let meter = bed.meter_as("bare");
    for nth in 0..each {
        let from = first + nth * callers;
        insert(&mut connection, &rows, from..from + callers).await?;
    }
    let batched = Form {
        how: "batches over one connection",
        calls: first,
        used: meter.stop(),
    };
    connection.close().await?;
    check_waiting(bed, first * 2).await?;
    Ok(Bare {
        what: ENQUEUE,
        forms: vec![singly, batched],
    })
}

async fn insert(
    connection: &mut PgConnection,
    rows: &Rows,
    numbers: Range<usize>,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = numbers.clone().map(|_| rows.id()).collect();
    let phones: Vec<String> = numbers.clone().map(number).collect();
    let metadata: Vec<String> = numbers.clone().map(Rows::metadata).collect();
    let hashes: Vec<Vec<u8>> = numbers.map(Rows::hash).collect();
    sqlx::query(ENQUEUE_SQL)
        .bind(ids)
        .bind(phones)
        .bind(metadata)
        .bind(hashes)
        .execute(connection)
        .await?;
    Ok(())
}

/// Copies all calls in, then all of them again into empty tables in the other form.
pub async fn copy_in(bed: &Bed, calls: usize) -> Result<Bare, Error> {
    let rows = Arc::new(Rows::new(bed).await?);
    let meter = bed.meter_as("bare");
    copy_part(connect(bed).await?, Arc::clone(&rows), 0..calls).await?;
    let one = Form {
        how: "one connection",
        calls,
        used: meter.stop(),
    };
    check_waiting(bed, calls).await?;

    make(bed).await?;
    bed.settle_down().await?;
    let meter = bed.meter_as("bare");
    let mut running = JoinSet::new();
    for part in [0..calls / 2, calls / 2..calls] {
        running.spawn(copy_part(connect(bed).await?, Arc::clone(&rows), part));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let two = Form {
        how: "two connections",
        calls,
        used: meter.stop(),
    };
    check_waiting(bed, calls).await?;
    Ok(Bare {
        what: BULK,
        forms: vec![one, two],
    })
}

/// Rows per COPY, and so per transaction.
const PORTION: usize = 50_000;
/// Lines per message of a COPY.
const MESSAGE: usize = 500;

async fn copy_part(
    mut connection: PgConnection,
    rows: Arc<Rows>,
    part: Range<usize>,
) -> Result<(), Error> {
    for from in part.clone().step_by(PORTION) {
        let to = part.end.min(from + PORTION);
        let mut both = connection.begin().await?;
        copy(&mut both, COPY_CALLS, from..to, |nth, lines| {
            rows.call_line(nth, lines);
        })
        .await?;
        copy(&mut both, COPY_EVENTS, from..to, |nth, lines| {
            rows.event_line(nth, lines);
        })
        .await?;
        both.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

async fn copy(
    connection: &mut PgConnection,
    sql: &'static str,
    part: Range<usize>,
    line: impl Fn(usize, &mut String) + Send + Sync,
) -> Result<(), Error> {
    let mut copy = connection.copy_in_raw(sql).await?;
    let mut lines = String::new();
    for from in part.clone().step_by(MESSAGE) {
        lines.clear();
        (from..part.end.min(from + MESSAGE)).for_each(|nth| line(nth, &mut lines));
        copy.send(lines.as_bytes()).await?;
    }
    copy.finish().await?;
    Ok(())
}

async fn check_waiting(bed: &Bed, calls: usize) -> Result<(), Error> {
    let waiting = bed.number("select count(*) from bare.calls").await?;
    let events = bed.number("select count(*) from bare.call_events").await?;
    let expected = i64::try_from(calls).unwrap_or(i64::MAX);
    if (waiting, events) != (expected, expected) {
        return Err(Error::Wrong(format!(
            "the bare script wrote {waiting} of {calls} calls with {events} events"
        )));
    }
    Ok(())
}
