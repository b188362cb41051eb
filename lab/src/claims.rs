//! How long one claim takes, as its caller sees it. Claimed calls are put back each time, so that every claim finds
//! the same state.

use std::collections::HashSet;

use pgdial::provider::Stopwatch;
use sqlx::types::Uuid;

use super::{Bed, Error, Measure, Options, dials::percentiles};

/// Measured claims per run.
pub(super) const TIMES: usize = 30;
/// Unmeasured claims before them, during which plans are made.
const WARM_UP: usize = 3;
/// More than any claim here wants.
const SLOTS: usize = 1_000;
/// Due calls that can be dialled, in each of these scenarios.
pub(super) const DUE: usize = 60;

/// Durations in ms of claims of `wanted` calls. At least as many are due, and nothing else runs.
pub(super) async fn times(bed: &Bed, wanted: usize, times: usize) -> Result<Vec<f64>, Error> {
    bed.set_slots(SLOTS).await?;
    with_free_slots(bed, wanted, times).await
}

/// As [`times`], where the trunk has slots for a claim.
pub(super) async fn with_free_slots(
    bed: &Bed,
    wanted: usize,
    times: usize,
) -> Result<Vec<f64>, Error> {
    let (worker, trunks) = (Uuid::new_v4(), ["default".to_owned()]);
    let mut samples = Vec::new();
    for nth in 0..WARM_UP + times {
        let clock = Stopwatch::start();
        let claim = bed.calls.claim(worker, &trunks, wanted).await?;
        let took = clock.elapsed();
        let numbers: HashSet<&str> = claim
            .calls
            .iter()
            .map(|call| call.phone.as_e164())
            .collect();
        if numbers.len() != wanted || claim.calls.len() != wanted || numbers.contains(BUSY) {
            return Err(Error::Wrong(format!(
                "a claim of {wanted} brought {} calls to {} numbers",
                claim.calls.len(),
                numbers.len()
            )));
        }
        if nth >= WARM_UP {
            samples.push(took.as_secs_f64() * 1e3);
        }
        sqlx::query(include_str!("claims/put_back.sql"))
            .bind(worker)
            .execute(&bed.pool)
            .await?;
    }
    Ok(samples)
}

/// A number in flight the whole time.
const BUSY: &str = "+15000000000";

/// Many calls to one number in flight, ahead of all others.
pub(super) async fn twins(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let twins = options.scaled(100_000);
    sqlx::query(include_str!("claims/twins.sql"))
        .bind(BUSY)
        .bind(i64::try_from(twins).unwrap_or(i64::MAX))
        .execute(&bed.pool)
        .await?;
    measure(bed, "twins", twins).await
}

/// Many calls that are due later.
pub(super) async fn scheduled(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let later = options.scaled(300_000);
    sqlx::query(include_str!("claims/later.sql"))
        .bind(i64::try_from(later).unwrap_or(i64::MAX))
        .execute(&bed.pool)
        .await?;
    measure(bed, "scheduled-300k", later).await
}

/// Many campaigns, of which every hundredth has due calls.
pub(super) async fn campaigns(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let campaigns = options.scaled(5_000).max(200);
    sqlx::query(include_str!("claims/campaigns.sql"))
        .bind(i64::try_from(campaigns).unwrap_or(i64::MAX))
        .execute(&bed.pool)
        .await?;
    bed.settle_down().await?;
    let samples = times(bed, 30, TIMES).await?;
    Ok(percentiles("campaigns-5000", &samples))
}

/// Adds the calls that can be dialled, and measures claims of 30.
async fn measure(bed: &Bed, name: &str, beside: usize) -> Result<Vec<Measure>, Error> {
    bed.seed_waiting(DUE).await?;
    let samples = times(bed, 30, TIMES).await?;
    // Everything else must be as it was.
    let waiting = bed
        .number("select count(*) from pgdial.calls where state = 'waiting'")
        .await?;
    if waiting != i64::try_from(DUE + beside).unwrap_or(i64::MAX) {
        return Err(Error::Wrong(format!("{waiting} calls wait in the end")));
    }
    Ok(percentiles(name, &samples))
}
