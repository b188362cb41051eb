//! Connections to Postgres that have silently become useless: those that carry nothing, and those to a server that
//! cannot be written to.

use std::sync::Arc;

use tokio::time::sleep;

use super::{Played, failover::BEFORE};
use crate::{
    faults::RESET,
    load::{Load, lock},
    proxy::{Mode, Upstream},
    recovery::{AFTER_A_HANG, AFTER_A_STANDBY, Recoveries},
    setup::Setup,
    stage::Stage,
    storm::{CALM, Watch},
    verdict::Verdict,
};

const PER_SECOND: f64 = 15.0;

/// Statements on them are given up within our own limits, and new connections are opened.
pub(super) async fn connections(seed: u64) -> Played {
    // A second worker might hide that this one stopped.
    let setup = Setup {
        workers: 1,
        ..Setup::small("hung")
    };
    let stage = Arc::new(Stage::full(&setup).await);
    under_load(&stage, seed, async |recoveries| {
        stage.network.set(Mode::Hang);
        let claims = recoveries.until_claims("hung connections", Some(AFTER_A_HANG));
        tokio::join!(claims, async {
            sleep(RESET).await;
            stage.network.set(Mode::Pass);
        });
    })
    .await
}

/// For some seconds new connections lead to a hot standby. They must be neither used nor kept.
pub(super) async fn standby(seed: u64) -> Played {
    let stage = Arc::new(Stage::full(&Setup::small("read-only")).await);
    let (network, postgres) = (&stage.network, &stage.postgres);
    postgres.start_standby(&stage.path().join("standby")).await;
    let standby = postgres.standby_socket().await.ok_or("no standby")?;
    under_load(&stage, seed, async |recoveries| {
        network.lead_to(Upstream::Unix(standby));
        network.set(Mode::Refuse);
        sleep(RESET).await;
        network.set(Mode::Pass);
        sleep(BEFORE).await;
        network.lead_to(Upstream::Unix(postgres.socket()));
        recoveries
            .until_claims("a standby", Some(AFTER_A_STANDBY))
            .await;
    })
    .await
}

async fn under_load(stage: &Arc<Stage>, seed: u64, fault: impl AsyncFnOnce(&Recoveries)) -> Played {
    let recoveries = Recoveries::new(stage);
    let load = Load::start(stage, seed, PER_SECOND);
    let watch = Watch::start(stage);
    sleep(BEFORE / 2).await;
    fault(&recoveries).await;
    let recovered = recoveries.finish().await;
    if let Some((kind, worst)) = recovered.iter().find(|(_, worst)| worst.over > 0) {
        let seconds = worst.time.as_secs();
        return Err(format!(
            "P2: nothing was claimed for {seconds} s after {kind}"
        ));
    }
    load.stop().await;
    let drained = stage.until_all_over(CALM).await;
    stage.until_silent().await;
    let most = watch.finish().await;
    let known = std::mem::take(&mut *lock(&load.known));
    let mut verdict = Verdict::of(stage, &known, most).await;
    verdict.recoveries = recovered;
    verdict.broken.extend(drained.err());
    // It must not take a restart to recover.
    verdict.broken.append(&mut verdict.deaths);
    match verdict.broken().first() {
        Some(broken) => Err(broken.clone()),
        None => Ok(format!(
            "{} calls accepted, dialled again after {:.1} s",
            verdict.accepted,
            verdict
                .recoveries
                .values()
                .map(|worst| worst.time.as_secs_f64())
                .fold(0.0, f64::max)
        )),
    }
}
