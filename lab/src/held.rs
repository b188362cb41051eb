//! Held snapshot: a session keeps a snapshot open, as a forgotten psql or a dump does, so that no dead row and no
//! dead index entry can be removed. Meanwhile calls run at 500/s for `--hold`; then a backlog is drained at full
//! speed with the snapshot still held, and once more after it is released.

use std::time::Duration;

use pgdial::provider::Stopwatch;
use sqlx::{Connection, PgConnection, types::Uuid};
use tokio::time::MissedTickBehavior;

use super::{
    Bed, Error, Measure, Options, claims,
    dials::{Served, new_call, request},
    drain,
    measure::{Better, count, median, merge},
    providers::Instant,
};

const DRAINED: usize = 60_000;
const SLOTS: usize = 30;
/// Calls per enqueue of the load.
const PORTION: usize = 10;
const EVERY: Duration = Duration::from_millis(20);
const CLAIMS: usize = 20;
const DUE: usize = 60;

pub(super) async fn held(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let mut measures = Vec::new();
    let mut lives = 0;
    turn(bed, options, "before", &mut measures, &mut lives).await?;
    let before = Sizes::look(bed).await?;

    let mut snapshot = PgConnection::connect(&bed.url).await?;
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from pgdial.trunks")
        .execute(&mut snapshot)
        .await?;
    let load = load(bed, options.hold).await?;
    lives += load.calls;
    turn(bed, options, "held", &mut measures, &mut lives).await?;
    let after = Sizes::look(bed).await?;
    let claimed = i64::try_from(load.calls).unwrap_or(i64::MAX);
    if after.dead < claimed {
        return Err(Error::Wrong(format!(
            "{} dead rows after {claimed} calls: the snapshot holds nothing",
            after.dead
        )));
    }
    sqlx::raw_sql("select count(*) from pgdial.trunks; commit")
        .execute(&mut snapshot)
        .await?;
    snapshot.close().await?;
    turn(bed, options, "released", &mut measures, &mut lives).await?;
    bed.check_lives(lives, "failed", &["waiting", "active", "failed"])
        .await?;

    for when in ["held", "released"] {
        compare(&mut measures, &format!("held-snapshot drain-30, {when}"));
    }
    let note = format!(
        "held for {:.0} s of {:.0} calls/s, {} calls in all, then for the drains",
        load.seconds,
        count(load.calls) / load.seconds,
        load.calls
    );
    let held = measures
        .iter_mut()
        .find(|measure| measure.name.ends_with("held"));
    if let Some(first) = held {
        first.notes.push(note);
    }
    measures.extend(after.measures(&before));
    Ok(measures)
}

/// Drains and claims repeatedly; adds the number of drained calls to `lives`.
async fn turn(
    bed: &Bed,
    options: &Options,
    when: &str,
    measures: &mut Vec<Measure>,
    lives: &mut usize,
) -> Result<(), Error> {
    let drained = options.scaled(DRAINED).max(SLOTS * 2);
    let repeats = options.repeats.max(1);
    for _repeat in 0..repeats {
        bed.set_slots(SLOTS).await?;
        bed.seed_waiting(drained).await?;
        let name = format!("held-snapshot drain-30, {when}");
        merge(
            measures,
            vec![drain::run(bed, &name, drained, SLOTS, 1).await?],
        );
        *lives += drained;
    }
    bed.seed_waiting(DUE).await?;
    for wanted in [1, 30] {
        let times = claims::times(bed, wanted, CLAIMS).await?;
        let claim = median(&times).ok_or(Error::Slow("a claim"))?;
        let name = format!("held-snapshot claim of {wanted}, {when}");
        measures.push(Measure::new(name, "ms", Better::Lower, claim));
    }
    // Claimed more than once, they would fail the check of lives.
    bed.sql(
        "with gone as (delete from pgdial.calls where state = 'waiting' returning id) \
         delete from pgdial.call_events e using gone g where e.call_id = g.id",
    )
    .await?;
    Ok(())
}

struct Load {
    calls: usize,
    seconds: f64,
}

/// Enqueues calls at a steady rate for this long, each dialled and refused at once.
async fn load(bed: &Bed, long: Duration) -> Result<Load, Error> {
    bed.set_slots(SLOTS).await?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time of minutes, by one of milliseconds"
    )]
    let portions = (long.as_secs_f64() / EVERY.as_secs_f64()).ceil().max(1.0) as usize;
    let calls = portions * PORTION;
    let provider = Instant::new(calls, SLOTS);
    let served = Served::start(bed, provider.clone(), SLOTS).await?;
    let clock = Stopwatch::start();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut last = Vec::new();
    for portion in 0..portions {
        every.tick().await;
        let requests: Vec<_> = (0..PORTION)
            .map(|n| request(portion * PORTION + n))
            .collect();
        last.clear();
        for enqueued in bed.calls.enqueue("lab", &requests).await? {
            last.push(new_call(enqueued)?.0);
        }
    }
    let all = tokio::time::timeout(super::bed::PATIENCE, provider.until_all()).await;
    all.map_err(|_elapsed| Error::Slow("the load"))?;
    let newest: Vec<Uuid> = provider.newest();
    bed.until_ended(&newest).await?;
    let seconds = clock.elapsed().as_secs_f64();
    served.stop().await?;
    Ok(Load { calls, seconds })
}

/// Uses the drain before the snapshot as the limit of a later one.
fn compare(measures: &mut [Measure], name: &str) {
    let before = "held-snapshot drain-30, before";
    let Some(before) = measures.iter().find(|measure| measure.name == before) else {
        return;
    };
    let limit = super::Limit {
        what: "the same before the snapshot",
        samples: before.samples.clone(),
    };
    if let Some(measure) = measures.iter_mut().find(|measure| measure.name == name) {
        measure.limit = Some(limit);
    }
}

/// What grows under a held snapshot.
#[derive(Debug, Clone)]
struct Sizes {
    dead: i64,
    calls: i64,
    table: i64,
    indexes: i64,
    events: i64,
}

impl Sizes {
    async fn look(bed: &Bed) -> Result<Self, Error> {
        let (dead, calls, table, indexes, events) = sqlx::query_as(include_str!("held/sizes.sql"))
            .fetch_one(&bed.pool)
            .await?;
        Ok(Self {
            dead,
            calls,
            table,
            indexes,
            events,
        })
    }

    fn measures(&self, before: &Self) -> Vec<Measure> {
        [
            ("dead rows", "rows", self.dead, before.dead, 1.0),
            ("calls", "rows", self.calls, before.calls, 1.0),
            ("table calls", "MB", self.table, before.table, 1e6),
            ("indexes of calls", "MB", self.indexes, before.indexes, 1e6),
            ("events with indexes", "MB", self.events, before.events, 1e6),
        ]
        .into_iter()
        .map(|(what, unit, now, before, by)| {
            #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 bytes here")]
            let (now, before) = (now as f64 / by, before as f64 / by);
            Measure::new(format!("held-snapshot {what}"), unit, Better::Lower, now)
                .note(format!("{before:.0} before the snapshot"))
        })
        .collect()
    }
}
