//! Flat: drain, pickup and claim with none, a million and five million finished calls in the tables, each with its
//! three events. All in one bed, because filling it takes minutes.

use pgdial::provider::Stopwatch;

use super::{
    Bed, Error, Measure, Options, claims, drain,
    measure::{Better, median, merge},
    pickup,
};

const FINISHED: [usize; 3] = [0, 1_000_000, 5_000_000];
const DRAINED: usize = 60_000;
const PICKED_UP: usize = 100;
const CLAIMS: usize = 20;
const SLOTS: usize = 30;
/// Due calls for the claims.
const DUE: usize = 60;

pub(super) async fn flat(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (mut measures, mut finished) = (Vec::new(), 0);
    for (name, wanted) in ["flat-0", "flat-1m", "flat-5m"].into_iter().zip(FINISHED) {
        let wanted = if wanted == 0 {
            0
        } else {
            options.scaled(wanted)
        };
        let clock = Stopwatch::start();
        bed.seed_finished(wanted.saturating_sub(finished)).await?;
        finished = finished.max(wanted);
        let note = format!(
            "{finished} finished calls; adding what was missing took {:.0} s",
            clock.elapsed().as_secs_f64()
        );
        for _repeat in 0..options.repeats.max(1) {
            let figures = Box::pin(once(bed, options, name)).await?;
            merge(
                &mut measures,
                figures.into_iter().map(|m| m.note(note.clone())).collect(),
            );
        }
        let found = bed.number("select count(*) from pgdial.calls").await?;
        if found != i64::try_from(finished).unwrap_or(i64::MAX) {
            return Err(Error::Wrong(format!("{found} calls instead of {finished}")));
        }
    }
    Ok(measures)
}

/// Measures each once, and removes what it left behind.
async fn once(bed: &Bed, options: &Options, name: &str) -> Result<Vec<Measure>, Error> {
    let drained = options.scaled(DRAINED).max(SLOTS * 2);
    bed.set_slots(SLOTS).await?;
    bed.seed_waiting(drained).await?;
    let drain = drain::drain(bed, &format!("{name} drain-30"), drained, SLOTS, 1).await?;
    forget(bed).await?;

    let pickup = pickup::median_in_one_process(bed, options.scaled(PICKED_UP)).await?;
    forget(bed).await?;

    bed.seed_waiting(DUE).await?;
    let claims = claims::times(bed, 30, CLAIMS).await?;
    forget(bed).await?;
    let claim = median(&claims).ok_or(Error::Slow("a claim"))?;
    let lower = |what, ms| Measure::new(format!("{name} {what}"), "ms", Better::Lower, ms);
    Ok(vec![
        drain,
        lower("request to dial p50", pickup),
        lower("claim of 30 p50", claim),
    ])
}

/// Deletes all calls but the seeded history, with their events.
async fn forget(bed: &Bed) -> Result<(), Error> {
    bed.sql(
        "with gone as (delete from pgdial.calls where provider_call_id is null returning id) \
         delete from pgdial.call_events e using gone g where e.call_id = g.id",
    )
    .await
}
