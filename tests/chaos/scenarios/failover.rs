//! A standby takes over in the middle of the work: the processes' connections break, and new ones lead to the other
//! server.

use std::{sync::Arc, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::Played;
use crate::{
    load::{Load, lock},
    proxy::{Mode, Upstream},
    setup::Setup,
    stage::{Stage, until},
    storm::{CALM, Watch},
    verdict::Verdict,
};

/// Calls per second, and how long before and after.
const PER_SECOND: f64 = 15.0;
pub(super) const BEFORE: Duration = Duration::from_secs(6);

/// A synchronous standby has every acknowledged commit: every promise is kept.
pub(super) async fn synchronous(seed: u64) -> Played {
    let stage = Arc::new(Stage::full(&Setup::small("failover-sync")).await);
    stage
        .postgres
        .start_standby(&stage.path().join("standby"))
        .await;
    stage
        .sql("alter system set synchronous_standby_names = '*'")
        .await;
    stage.sql("select pg_reload_conf()").await;
    until(
        "the standby is synchronous",
        Duration::from_secs(30),
        async || {
            stage
                .text("select sync_state from pg_stat_replication")
                .await
                == "sync"
        },
    )
    .await;
    let verdict = fail_over(&stage, seed).await;
    match verdict.broken().first() {
        Some(broken) => Err(broken.clone()),
        None => Ok(format!(
            "{} calls accepted, {} rings, nothing lost",
            verdict.accepted, verdict.rings.count
        )),
    }
}

/// An asynchronous standby that is a second behind: what it has not received is lost, which is reported and is not a
/// failure. But `recover` learns from the provider what is ringing, so nobody is rung twice, and the remaining calls
/// must end.
pub(super) async fn asynchronous(seed: u64) -> Played {
    let stage = Arc::new(Stage::full(&Setup::small("failover-async")).await);
    stage
        .postgres
        .start_standby(&stage.path().join("standby"))
        .await;
    let verdict = fail_over(&stage, seed).await;
    if verdict.rings.twice + verdict.rings.overlapping > 0 {
        return Err(format!(
            "P1: {} references rang twice, {} rings overlap",
            verdict.rings.twice, verdict.rings.overlapping
        ));
    }
    if !verdict.open.is_empty() {
        return Err(format!(
            "P2: calls are not terminal at the end: {:?}",
            verdict.open
        ));
    }
    Ok(format!(
        "as documented, LOST {} of {} accepted calls and {} acknowledged webhooks; {} rings, none twice, none overlapping",
        verdict.absent.len(),
        verdict.accepted,
        verdict.events_lost.len(),
        verdict.rings.count
    ))
}

async fn fail_over(stage: &Arc<Stage>, seed: u64) -> Verdict {
    let load = Load::start(stage, seed, PER_SECOND);
    let watch = Watch::start(stage);
    sleep(BEFORE).await;
    let is_async = stage
        .text("select sync_state from pg_stat_replication")
        .await
        == "async";
    if is_async {
        hold_back(stage).await;
    } else {
        // A person vouches for the standby, so there is nothing to recover.
        stage
            .sql("update pgdial.cluster set synchronous = true")
            .await;
    }
    // The network first, so that nobody learns of what the old server commits from here on.
    stage.network.set(Mode::Refuse);
    stage.postgres.die().await;
    stage.postgres.promote().await;
    // Nothing follows the new server, and commits must not wait for a standby.
    stage
        .sql("alter system reset synchronous_standby_names")
        .await;
    stage.sql("select pg_reload_conf()").await;
    stage
        .network
        .lead_to(Upstream::Unix(stage.postgres.socket()));
    stage.network.set(Mode::Pass);
    if is_async {
        recover(stage).await;
    }
    sleep(BEFORE).await;
    load.stop().await;
    let drained = stage.until_all_over(CALM).await;
    stage.until_silent().await;
    let most = watch.finish().await;
    let known = std::mem::take(&mut *lock(&load.known));
    let mut verdict = Verdict::of(stage, &known, most).await;
    verdict.broken.extend(drained.err());
    verdict
}

/// Keeps the last second from reaching the standby.
async fn hold_back(stage: &Stage) {
    let sender = stage.text("select pid from pg_stat_replication").await;
    let sender = Pid::from_raw(sender.parse().unwrap()).unwrap();
    kill_process(sender, Signal::STOP).unwrap();
    sleep(Duration::from_secs(1)).await;
}

/// Nothing was dialled since the other server took over. A person asks the provider and resumes dialing. Dials of lost
/// claims are over by then, because ours take no time.
async fn recover(stage: &Stage) {
    stage.command(&["recover", "--wait", "5s"]).await;
    stage
        .sql("select pgdial.resume('trunk', t.name) from pgdial.trunks t")
        .await;
}
