//! How long one claim takes under rules of calling: closed areas, and contact limits over a long history of dials.

use pgdial::provider::Stopwatch;
use sqlx::types::Uuid;

use super::{Bed, Better, Error, Measure, Options, claims};

const WANTED: usize = 30;
const TIMES: usize = 40;

/// What is open, and the hours of the week that make it so at [`NOON`]: about half of the places are west of Denver.
const ALL: (&str, &str) = ("all open", "mon-sun 00:00-24:00");
const HALF: (&str, &str) = ("half open", "mon-sun 00:00-13:00");
const NONE: (&str, &str) = ("none open", "closed");
/// Of a Monday in New York.
const NOON: &str = "2026-11-30 17:00:00Z";

/// Due calls of ten campaigns in thirteen zones: a claim without hours, and with all, half or none of the areas open.
pub(super) async fn hours(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    fill(bed, options.scaled(500_000), 10, 30).await?;
    let mut measures = vec![median("claim without hours", &mut times(bed).await?)];
    for (name, week) in [ALL, HALF] {
        open(bed, week).await?;
        measures.push(median(&format!("claim, {name}"), &mut times(bed).await?));
    }
    open(bed, NONE.1).await?;
    let name = format!("claim, {}", NONE.0);
    measures.push(median(&name, &mut idle(bed).await?));
    Ok(measures)
}

/// A hundred campaigns in thirty areas each.
pub(super) async fn areas(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    fill(bed, options.scaled(300_000), 100, 30).await?;
    let mut measures = vec![median("claim without hours", &mut times(bed).await?)];
    for (name, week) in [ALL, HALF] {
        open(bed, week).await?;
        measures.push(median(&format!("claim, {name}"), &mut times(bed).await?));
    }
    Ok(measures)
}

/// Millions of dials: a claim without limits and with one; and how many claims it takes to pass a crowd that is capped.
pub(super) async fn limits(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (dials, numbers) = (options.scaled(5_000_000), options.scaled(1_000_000));
    fill(bed, options.scaled(100_000), 1, 1).await?;
    sqlx::query(include_str!("rules/dials.sql"))
        .bind(i64::try_from(dials).unwrap_or(i64::MAX))
        .bind(i64::try_from(numbers).unwrap_or(i64::MAX))
        .execute(&bed.pool)
        .await?;
    bed.settle_down().await?;
    let mut measures = vec![median("claim without limits", &mut times(bed).await?)];
    limit(bed, 50).await?;
    measures.push(median("claim under a limit", &mut times(bed).await?));
    // All numbers that were dialled in this week are capped now; those behind them were not.
    bed.sql(
        "delete from pgdial.calls where state = 'waiting' and id not in ( \
           select id from pgdial.calls where state = 'waiting' order by run_at limit 20000)",
    )
    .await?;
    bed.seed_waiting(WANTED).await?;
    bed.sql("update pgdial.calls set campaign = 'rules-1' where campaign = 'default'")
        .await?;
    limit(bed, 1).await?;
    let (worker, trunks) = (Uuid::new_v4(), ["default".to_owned()]);
    let (mut claims, mut found) = (0_u32, 0);
    while found < WANTED && claims < 1_000 {
        found += bed.calls.claim(worker, &trunks, WANTED).await?.calls.len();
        claims += 1;
    }
    measures.push(Measure::new(
        "claims past 20,000 capped calls",
        "claims",
        Better::Lower,
        f64::from(claims),
    ));
    Ok(measures)
}

async fn fill(bed: &Bed, calls: usize, campaigns: i64, places: i64) -> Result<(), Error> {
    bed.sql(&format!(
        "update pgdial.clock set ahead = '{NOON}'::timestamptz - clock_timestamp()"
    ))
    .await?;
    sqlx::query(include_str!("rules/waiting.sql"))
        .bind(i64::try_from(calls).unwrap_or(i64::MAX))
        .bind(campaigns)
        .bind(places)
        .execute(&bed.pool)
        .await?;
    bed.settle_down().await
}

/// Gives every campaign these hours.
async fn open(bed: &Bed, week: &str) -> Result<(), Error> {
    bed.sql(&format!(
        "insert into pgdial.calling_hours (name, week) values ('lab', pgdial.read_hours('{week}')) \
         on conflict (name) do update set week = excluded.week"
    ))
    .await?;
    bed.sql("update pgdial.campaigns set calling_hours = 'lab' where name like 'rules-%'")
        .await?;
    bed.settle_down().await
}

async fn limit(bed: &Bed, at_most: u32) -> Result<(), Error> {
    bed.sql(&format!(
        "insert into pgdial.contact_limits (name, counts, at_most, period) values ('lab', 'attempts', {at_most}, '7 days') \
         on conflict (name) do update set at_most = excluded.at_most"
    ))
    .await?;
    bed.sql("update pgdial.campaigns set contact_limits = '{lab}' where name like 'rules-%'")
        .await
}

/// Durations in ms of claims that are full.
async fn times(bed: &Bed) -> Result<Vec<f64>, Error> {
    claims::times(bed, WANTED, TIMES).await
}

/// Durations in ms of claims that find nothing open.
async fn idle(bed: &Bed) -> Result<Vec<f64>, Error> {
    let (worker, trunks) = (Uuid::new_v4(), ["default".to_owned()]);
    let mut samples = Vec::new();
    for _ in 0..TIMES {
        let clock = Stopwatch::start();
        let claim = bed.calls.claim(worker, &trunks, WANTED).await?;
        samples.push(clock.elapsed().as_secs_f64() * 1e3);
        if !claim.calls.is_empty() {
            return Err(Error::Wrong("a closed area was dialled".to_owned()));
        }
    }
    Ok(samples)
}

fn median(name: &str, samples: &mut [f64]) -> Measure {
    samples.sort_by(f64::total_cmp);
    let median = samples.get(samples.len() / 2).copied().unwrap_or_default();
    Measure::new(name, "ms", Better::Lower, median)
}
