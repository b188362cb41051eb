//! More workers than slots, more calls than numbers.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Played, ensure, judge};
use crate::{
    setup::{Setup, TrunkSetup},
    stage::Stage,
    storm::Watch,
};

const SLOTS: usize = 5;
const ROUNDS: usize = 20;
const NUMBERS: usize = 12;

pub(super) async fn play() -> Played {
    let setup = Setup {
        trunks: vec![TrunkSetup {
            slots: SLOTS,
            ..TrunkSetup::new("default", "hint")
        }],
        workers: 4,
        ..Setup::small("claimers")
    };
    let stage = Arc::new(Stage::full(&setup).await);
    let watch = Watch::start(&stage);
    // Committed together with a wake for everyone, so that all of them claim at the same moment.
    let round = format!(
        "select pgdial.enqueue('+14155550' || lpad((n % {NUMBERS})::text, 3, '0'), 'chaos')
         from generate_series(1, {}) n",
        NUMBERS * 3 / 2
    );
    for _ in 0..ROUNDS {
        stage.sql(&round).await;
        sleep(Duration::from_millis(300)).await;
    }
    let over = stage.until_all_over(Duration::from_mins(3)).await;
    let seen = watch.finish().await;
    let rings = judge(&stage).await?;
    let most = seen.get("default").copied().unwrap_or_default();
    let peak = rings.peak.max(most);
    ensure(peak <= SLOTS, || {
        format!("P3: {peak} calls in flight with {SLOTS} slots")
    })?;
    over?;
    Ok(format!(
        "{} rings by 4 workers, at most {peak} at once with {SLOTS} slots",
        rings.count
    ))
}
