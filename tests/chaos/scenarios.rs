//! Stories with a known ending, each on a stage of its own. A promise that was broken is
//! the error.

mod claimers;
mod failover;
mod forged;
mod hung;
mod moved;
mod refused;
mod reports;
mod stopped;

use std::{path::Path, time::Duration};

use pgdial_fake_provider::ledger::{self, Interval};
use tokio::time::{Instant, sleep};

use crate::{rings::Rings, stage::Stage};

/// The story is told, or the promise that it broke.
pub(crate) type Played = Result<String, String>;

/// Which story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// A worker is stopped between claim and dial for longer than lease and reconciliation.
    Stopped,
    /// Webhooks that belong to another call, or are signed by another trunk.
    Forged,
    /// Calls that are cancelled while they ring.
    Canceled,
    /// People who answer a dial that was given up.
    LateAnswer,
    /// Calls that were refused, and that ring all the same.
    LateProgress,
    /// Webhooks that come before the dial's answer.
    Early,
    /// Numbers that the provider refuses, and others beside them.
    Refused,
    /// A trunk whose account is another one while calls are under way.
    Moved,
    /// Many workers and few slots.
    Claimers,
    /// Connections to Postgres on which nothing passes any more.
    Hung,
    /// Connections that lead to a standby for some seconds.
    ReadOnly,
    /// A failover to a synchronous standby.
    FailoverSync,
    /// A failover to an asynchronous standby.
    FailoverAsync,
}

impl Scenario {
    pub(crate) const ALL: [Self; 13] = [
        Self::Stopped,
        Self::Forged,
        Self::Canceled,
        Self::LateAnswer,
        Self::LateProgress,
        Self::Early,
        Self::Refused,
        Self::Moved,
        Self::Claimers,
        Self::Hung,
        Self::ReadOnly,
        Self::FailoverSync,
        Self::FailoverAsync,
    ];

    /// Those that wait for no lease, no deadline, no limit on our side and no standby of their own.
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
            Self::Hung => hung::connections(seed).await,
            Self::ReadOnly => hung::standby(seed).await,
            Self::Claimers => claimers::play().await,
            Self::FailoverSync => failover::synchronous(seed).await,
            Self::FailoverAsync => failover::asynchronous(seed).await,
        }
    }
}

/// The error, unless it is so.
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

/// Nobody was rung twice, says the independent script.
async fn judge(stage: &Stage) -> Result<Rings, String> {
    stage.until_silent().await;
    let rings = Rings::judge(stage.trunks.iter().map(|trunk| trunk.ledger.as_path()));
    match rings.check().first() {
        Some(broken) => Err(broken.clone()),
        None => Ok(rings),
    }
}

/// Waits until it is so; the error if it never is.
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
