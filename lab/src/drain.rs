//! Drain: waiting calls become terminal as fast as the slots allow, with an instant provider
//! in this process that refuses each for good. Two transitions and three events a call, by
//! the dispatcher, the dialer and the verbs that every worker runs.

use super::{Bed, Error, Measure, Options, bare, providers::Instant};

/// Calls at scale 1: some seconds of work.
const CALLS: usize = 60_000;

pub(super) async fn with_slots(
    bed: &Bed,
    options: &Options,
    slots: usize,
) -> Result<Vec<Measure>, Error> {
    // Enough turns of the slots that the beginning and the end do not count.
    let calls = options.scaled(CALLS).max(slots * 2);
    bed.set_slots(slots).await?;
    bed.seed_waiting(calls).await?;
    bare::make(bed).await?;
    bare::copy_calls(bed).await?;
    bed.settle_down().await?;

    let name = if slots > 500 { "slots" } else { "drain" };
    let measure = drain(bed, &format!("{name}-{slots}"), calls, slots, 1).await?;
    bed.settle_down().await?;
    // Larger batches are no faster, and nobody claims more than that at once.
    let batch = options.batch.unwrap_or(slots.min(500));
    let limit = bare::drain(bed, calls, batch).await?;
    Ok(vec![measure.with_bare(&limit)])
}

/// The slots of the scenarios with several workers, in all.
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

/// Drains what waits with so many workers, and checks every life.
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

/// The same without looking at the lives: other calls have ended here before.
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
        // The slots are shared out: the first ones take what does not divide.
        let permits = slots / workers + usize::from(nth < slots % workers);
        running.push(bed.start_worker(provider.clone(), permits).await?);
    }
    tokio::select! {
        () = provider.until_all() => {}
        died = first_death(&mut running) => return Err(died),
        () = tokio::time::sleep(super::bed::PATIENCE) => return Err(Error::Slow("the drain")),
    }
    // By their keys, so that looking costs nothing.
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

/// How many of the newest events of this kind one transaction wrote, on the average.
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
