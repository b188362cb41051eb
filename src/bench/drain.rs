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

    let measure = drain(bed, &format!("drain-{slots}"), calls, slots, 1).await?;
    bed.settle_down().await?;
    let limit = bare::drain(bed, calls, options.batch.unwrap_or(slots)).await?;
    Ok(vec![
        measure
            .with_limit(bare::DRAIN, limit.best())
            .note(limit.to_string()),
    ])
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
    Ok(Measure::rate(name, calls, &used))
}

async fn first_death(workers: &mut [super::bed::Worker]) -> Error {
    let deaths = workers.iter_mut().map(|worker| Box::pin(worker.died()));
    futures_util::future::select_all(deaths).await.0
}
