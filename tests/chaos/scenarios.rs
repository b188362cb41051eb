//! Scenarios with a known ending, each on a stage of its own. The error is the promise that was broken.

mod claimers;
mod failover;
mod forged;
mod hung;
mod moved;
mod refused;
mod reports;
mod rules;
mod serve;
mod stopped;
mod webhooks;

use std::{path::Path, time::Duration};

use pgdial_fake_provider::ledger::{self, Interval};
use tokio::time::{Instant, sleep};

use crate::{rings::Rings, stage::Stage};

/// A summary, or the promise that was broken.
pub(crate) type Played = Result<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// A worker is stopped between claim and dial for longer than lease and reconciliation.
    Stopped,
    /// Webhooks that belong to another call, or are signed by another trunk.
    Forged,
    /// Calls that are canceled while they ring.
    Canceled,
    /// People who answer a dial that was given up.
    LateAnswer,
    /// Calls that were refused but ring all the same.
    LateProgress,
    /// Webhooks that arrive before the response to the dial.
    Early,
    /// Numbers that the provider refuses, next to others.
    Refused,
    /// A trunk whose account changes while calls are under way.
    Moved,
    /// Many workers and few slots.
    Claimers,
    /// Workers that rest, and enqueue the requests of their own processes.
    Serve,
    /// Connections to Postgres that carry nothing any more.
    Hung,
    /// Connections that lead to a standby for some seconds.
    ReadOnly,
    /// A failover to a synchronous standby.
    FailoverSync,
    /// A failover to an asynchronous standby.
    FailoverAsync,
    /// Events delivered to endpoints, one dead and one slow, while everything is killed. Not among the others: it also
    /// judges how soon they come, for which it needs the machine to itself.
    Webhooks,
    /// 20,000 calls over twelve countries at closing times, clock changes and holidays. Not among the others: it takes
    /// a quarter of an hour, and as much of the machine.
    Rules,
}

impl Scenario {
    pub(crate) const ALL: [Self; 14] = [
        Self::Stopped,
        Self::Forged,
        Self::Canceled,
        Self::LateAnswer,
        Self::LateProgress,
        Self::Early,
        Self::Refused,
        Self::Moved,
        Self::Claimers,
        Self::Serve,
        Self::Hung,
        Self::ReadOnly,
        Self::FailoverSync,
        Self::FailoverAsync,
    ];

    /// Scenarios that wait for no lease, deadline or limit of ours, and need no standby of their own.
    pub(crate) const SHORT: [Self; 7] = [
        Self::Forged,
        Self::Canceled,
        Self::LateProgress,
        Self::Early,
        Self::Refused,
        Self::Moved,
        Self::Claimers,
    ];

    pub(crate) fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .unwrap()
            .get_name()
            .to_owned()
    }

    pub(crate) async fn play(self, seed: u64) -> Played {
        match self {
            Self::Stopped => stopped::play().await,
            Self::Forged => forged::play().await,
            Self::Canceled => reports::canceled().await,
            Self::LateAnswer => reports::late_answer().await,
            Self::LateProgress => reports::late_progress().await,
            Self::Early => reports::early().await,
            Self::Refused => refused::play().await,
            Self::Moved => moved::play().await,
            Self::Serve => serve::play(seed).await,
            Self::Hung => hung::connections(seed).await,
            Self::ReadOnly => hung::standby(seed).await,
            Self::Claimers => claimers::play().await,
            Self::FailoverSync => failover::synchronous(seed).await,
            Self::FailoverAsync => failover::asynchronous(seed).await,
            Self::Webhooks => webhooks::play().await,
            Self::Rules => rules::play().await,
        }
    }
}

/// The error unless `is_so`.
fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// Every ring in the stage's ledgers so far.
fn rings(stage: &Stage) -> Vec<Interval> {
    let of = |ledger: &Path| ledger::read(ledger).unwrap_or_default();
    stage
        .trunks
        .iter()
        .flat_map(|trunk| of(&trunk.ledger))
        .collect()
}

/// Checks with the independent script that nobody was rung twice.
async fn judge(stage: &Stage) -> Result<Rings, String> {
    stage.until_silent().await;
    let rings = Rings::judge(stage.trunks.iter().map(|trunk| trunk.ledger.as_path()));
    match rings.check().first() {
        Some(broken) => Err(broken.clone()),
        None => Ok(rings),
    }
}

/// Waits for the condition; returns an error if it never holds.
async fn comes(
    what: &str,
    patience: Duration,
    is_so: impl AsyncFn() -> bool,
) -> Result<(), String> {
    let began = Instant::now();
    while !is_so().await {
        ensure(began.elapsed() < patience, || {
            format!("not within {} s: {what}", patience.as_secs())
        })?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
