//! How long one claim takes, seen from its caller. What it took is put back after each, so
//! that every claim sees the same.

use std::collections::HashSet;

use pgdial::provider::Stopwatch;
use sqlx::types::Uuid;

use super::{Bed, Error, Measure, Options, dials::percentiles};

/// Claims of one turn.
const TIMES: usize = 30;
/// Before them, not measured: plans are made.
const WARM_UP: usize = 3;
/// More than any claim here wants.
const SLOTS: usize = 1_000;
/// Due calls that can be dialled, in every scenario here.
const DUE: usize = 60;

/// How long claims of `wanted` took, ms. So many are due, and nothing else runs.
pub(super) async fn times(bed: &Bed, wanted: usize, times: usize) -> Result<Vec<f64>, Error> {
    bed.set_slots(SLOTS).await?;
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

/// A number that is being called the whole time.
const BUSY: &str = "+15000000000";

/// 100,000 calls to one number that is in flight, before all others.
pub(super) async fn twins(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let twins = options.scaled(100_000);
    sqlx::query(include_str!("claims/twins.sql"))
        .bind(BUSY)
        .bind(i64::try_from(twins).unwrap_or(i64::MAX))
        .execute(&bed.pool)
        .await?;
    measure(bed, "twins", twins).await
}

/// 300,000 calls that are due later.
pub(super) async fn scheduled(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let later = options.scaled(300_000);
    sqlx::query(include_str!("claims/later.sql"))
        .bind(i64::try_from(later).unwrap_or(i64::MAX))
        .execute(&bed.pool)
        .await?;
    measure(bed, "scheduled-300k", later).await
}

/// 5,000 campaigns; each hundredth has due calls.
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

/// Adds the calls that can be dialled, and measures.
async fn measure(bed: &Bed, name: &str, beside: usize) -> Result<Vec<Measure>, Error> {
    bed.seed_waiting(DUE).await?;
    let samples = times(bed, 30, TIMES).await?;
    // The rest is as it was.
    let waiting = bed
        .number("select count(*) from pgdial.calls where state = 'waiting'")
        .await?;
    if waiting != i64::try_from(DUE + beside).unwrap_or(i64::MAX) {
        return Err(Error::Wrong(format!("{waiting} calls wait in the end")));
    }
    Ok(percentiles(name, &samples))
}
