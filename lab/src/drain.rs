//! Drain: waiting calls become terminal as fast as the slots allow, with an instant in-process provider that refuses
//! each for good. Two transitions and three events per call, through the dispatcher, dialer and verbs of every
//! worker.

use super::{Bed, Error, Measure, Options, bare, providers::Instant};

/// Calls at scale 1.
const CALLS: usize = 60_000;

pub(super) async fn with_slots(
    bed: &Bed,
    options: &Options,
    slots: usize,
) -> Result<Vec<Measure>, Error> {
    // Enough rounds of the slots that start and end do not matter.
    let calls = options.scaled(CALLS).max(slots * 2);
    bed.set_slots(slots).await?;
    bed.seed_waiting(calls).await?;
    bare::make(bed).await?;
    bare::copy_calls(bed).await?;
    bed.settle_down().await?;

    let name = if slots > 500 { "slots" } else { "drain" };
    let measure = drain(bed, &format!("{name}-{slots}"), calls, slots, 1).await?;
    bed.settle_down().await?;
    // Larger batches are no faster, and no claim takes more.
    let batch = options.batch.unwrap_or(slots.min(500));
    let limit = bare::drain(bed, calls, batch).await?;
    Ok(vec![measure.with_bare(&limit)])
}

/// Total slots of the scenarios with several workers.
const SHARED_SLOTS: usize = 500;

pub(super) async fn with_workers(
    bed: &Bed,
    options: &Options,
    workers: usize,
) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS).max(SHARED_SLOTS * 2);
    bed.set_slots(SHARED_SLOTS).await?;
    bed.seed_waiting(calls).await?;
    let name = format!("workers-{workers}");
    let measure = drain(bed, &name, calls, SHARED_SLOTS, workers).await?;
    Ok(vec![measure.note(format!(
        "{SHARED_SLOTS} slots in all; the workers share this process, each with its own connections and loops"
    ))])
}

/// Drains what is waiting with `workers` workers, and checks every call's events.
pub(super) async fn drain(
    bed: &Bed,
    name: &str,
    calls: usize,
    slots: usize,
    workers: usize,
) -> Result<Measure, Error> {
    let measure = run(bed, name, calls, slots, workers).await?;
    bed.check_lives(calls, "failed", &["waiting", "active", "failed"])
        .await?;
    Ok(measure)
}

/// As [`drain`] without checking events, because other calls have ended in this bed before.
pub(super) async fn run(
    bed: &Bed,
    name: &str,
    calls: usize,
    slots: usize,
    workers: usize,
) -> Result<Measure, Error> {
    let provider = Instant::new(calls, slots);
    let mut meter = bed.meter();
    let mut running = Vec::new();
    meter.restart();
    for nth in 0..workers {
        // Slots are divided; the first workers take the remainder.
        let permits = slots / workers + usize::from(nth < slots % workers);
        running.push(bed.start_worker(provider.clone(), permits).await?);
    }
    tokio::select! {
        () = provider.until_all() => {}
        died = first_death(&mut running) => return Err(died),
        () = tokio::time::sleep(super::bed::PATIENCE) => return Err(Error::Slow("the drain")),
    }
    // By primary key, so that polling costs next to nothing.
    bed.until_ended(&provider.newest()).await?;
    let used = meter.stop();
    for worker in running {
        worker.stop().await?;
    }
    if provider.placed() != calls {
        return Err(Error::Wrong(format!(
            "{} dials for {calls} calls",
            provider.placed()
        )));
    }
    let claims = transactions(bed, "active").await?;
    let settles = transactions(bed, "failed").await?;
    Ok(Measure::rate(name, calls, &used).note(format!(
        "{claims} calls in a claim and {settles} in a settle on the average"
    )))
}

/// Average number of events of this kind, among the newest, written per transaction.
async fn transactions(bed: &Bed, kind: &str) -> Result<i64, Error> {
    bed.number(&format!(
        "select count(*) / greatest(count(distinct e.xid), 1) from (select xid from pgdial.call_events \
         where kind = '{kind}' order by seq desc limit 20000) e"
    ))
    .await
}

async fn first_death(workers: &mut [super::bed::Worker]) -> Error {
    let deaths = workers.iter_mut().map(|worker| Box::pin(worker.died()));
    futures_util::future::select_all(deaths).await.0
}
