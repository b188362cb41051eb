//! Scheduled: calls with a `runAt`, on an idle system. How much later is the provider asked? `runAt` is in database
//! time, so the offset of the database's clock from ours is measured before and after.

use std::{collections::HashMap, time::Duration};

use sqlx::types::Uuid;

use super::{
    Bed, Error, Measure, Options,
    dials::{Answer, Dials, Served, Witness, percentiles, request},
    measure::count,
};

const CALLS: usize = 200;
/// Milliseconds between due times.
const APART_MS: usize = 20;
/// Milliseconds from the enqueue to the first due time.
const AHEAD_MS: usize = 1_500;
const SLOTS: usize = 30;

pub(super) async fn scheduled(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS);
    bed.set_slots(SLOTS).await?;
    let (witness, mut dials) = Witness::new(Answer::Refuse);
    let served = Served::start(bed, witness, SLOTS).await?;
    let before = DatabaseClock::look(bed, &dials).await?;
    let due = enqueue(bed, calls).await?;
    let mut began = Vec::new();
    for _call in 0..calls {
        began.push(dials.next().await?);
    }
    let after = DatabaseClock::look(bed, &dials).await?;
    let ids: Vec<Uuid> = due.keys().copied().collect();
    bed.until_ended(&ids).await?;
    dials.none_more()?;
    bed.check_lives(calls, "failed", &["waiting", "active", "failed"])
        .await?;
    served.stop().await?;

    // Two clocks of one machine keep their offset; those of two machines drift, but little within seconds.
    let ahead = f64::midpoint(before.ahead, after.ahead);
    let error = before.error.max(after.error) + (before.ahead - after.ahead).abs();
    let mut late = Vec::new();
    for dial in began {
        let run_at = due
            .get(&dial.reference.call.0)
            .ok_or_else(|| Error::Wrong(format!("nobody asked for {}", dial.reference)))?;
        let by = dial.at.as_secs_f64() + ahead - run_at;
        if by < -error {
            return Err(Error::Wrong(format!(
                "{} was dialled {:.3} ms before its time",
                dial.reference,
                -by * 1e3
            )));
        }
        late.push(by.max(0.0) * 1e3);
    }
    let note = format!("the database's clock is known to {:.3} ms", error * 1e3);
    let mut measures = percentiles("scheduled", &late);
    if let Some(first) = measures.first_mut() {
        first.notes.push(note);
    }
    Ok(measures)
}

/// Enqueues the calls; returns when each is due, in seconds of the database's clock.
async fn enqueue(bed: &Bed, calls: usize) -> Result<HashMap<Uuid, f64>, Error> {
    let (times,): (Vec<String>,) = sqlx::query_as(
        "select array_agg(to_char((now.at + n * $2 * interval '1 ms') at time zone 'UTC', \
                                  'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') order by n) \
         from (select pgdial.now() + $3 * interval '1 ms' as at) now, generate_series(0, $1 - 1) n",
    )
    .bind(i32::try_from(calls).unwrap_or(i32::MAX))
    .bind(count(APART_MS))
    .bind(count(AHEAD_MS))
    .fetch_one(&bed.pool)
    .await?;
    let requests: Vec<_> = (0..)
        .zip(times)
        .map(|(nth, at)| {
            let mut request = request(nth);
            if let Some(fields) = request.as_object_mut() {
                fields.insert("runAt".to_owned(), at.into());
            }
            request
        })
        .collect();
    for portion in requests.chunks(500) {
        for enqueued in bed.calls.enqueue("lab", portion).await? {
            super::dials::new_call(enqueued)?;
        }
    }
    let due: Vec<(Uuid, f64)> =
        sqlx::query_as("select id, extract(epoch from run_at)::float8 from pgdial.calls")
            .fetch_all(&bed.pool)
            .await?;
    if due.len() != calls {
        return Err(Error::Wrong(format!(
            "{} of {calls} calls were taken",
            due.len()
        )));
    }
    Ok(due.into_iter().collect())
}

/// Offset of the database's clock from the witness's.
#[derive(Debug, Clone, Copy)]
struct DatabaseClock {
    /// Seconds to add to a time of the witness.
    ahead: f64,
    /// Uncertainty of `ahead`, in seconds.
    error: f64,
}

impl DatabaseClock {
    /// Asks several times and keeps the quickest response, which has the smallest error.
    async fn look(bed: &Bed, dials: &Dials) -> Result<Self, Error> {
        let mut connection = bed.pool.acquire().await?;
        let mut best: Option<Self> = None;
        for _look in 0..50 {
            let asked = dials.now();
            let (at,): (f64,) = sqlx::query_as("select extract(epoch from pgdial.now())::float8")
                .fetch_one(&mut *connection)
                .await?;
            let half = (dials.now().saturating_sub(asked) / 2).max(Duration::from_micros(1));
            let look = Self {
                ahead: at - (asked + half).as_secs_f64(),
                error: half.as_secs_f64(),
            };
            if best.is_none_or(|best| look.error < best.error) {
                best = Some(look);
            }
        }
        best.ok_or(Error::Slow("the database's clock"))
    }
}
