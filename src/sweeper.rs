//! The sweep loop: settle what time has overtaken, ask providers to end calls that
//! somebody wishes ended, keep house. Every worker runs it, any of them may die.

use std::{collections::HashMap, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Reference,
    flow::{
        Calls, Error,
        sweep::{CancelWish, Swept},
        wake::Wake,
    },
    provider::Stopwatch,
    trunks::Trunks,
};

/// How often a provider is asked again to end the same call.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Questions under way at once.
const MOST_ASKS: usize = 8;
/// How often partitions and statistics are looked after.
const KEEP_HOUSE: Duration = Duration::from_mins(1);
/// The longest rest: also how long an event that nobody woke us for waits at most.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The sweep loop of one worker.
#[derive(Debug)]
pub struct Sweeper {
    calls: Calls,
    trunks: Trunks,
    /// How long finished calls are kept; none = for ever.
    keep: Option<Duration>,
    asked: HashMap<Reference, Stopwatch>,
    /// Questions under way. Never awaited in the loop: a provider that hangs must not
    /// stop the sweep.
    asks: JoinSet<()>,
}

impl Sweeper {
    /// `keep` is how long finished calls are kept; none = for ever.
    pub fn new(calls: Calls, trunks: Trunks, keep: Option<Duration>) -> Self {
        Self {
            calls,
            trunks,
            keep,
            asked: HashMap::new(),
            asks: JoinSet::new(),
        }
    }

    /// Loop: sweeps until stopped. A failed sweep is logged and tried again.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut kept_house: Option<Stopwatch> = None;
        let mut pause = Duration::from_millis(200);
        while !stop.is_cancelled() {
            if kept_house.is_none_or(|at| at.elapsed() >= KEEP_HOUSE) {
                kept_house = Some(Stopwatch::start());
                self.keep_house().await;
            }
            let rest = match self.calls.sweep(&self.trunks.names(), self.keep).await {
                Ok(swept) => {
                    pause = Duration::from_millis(200);
                    self.follow_up(&swept)
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "sweep failed; trying again"
                    );
                    pause = (pause * 2).min(Duration::from_secs(5));
                    pause
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.calls.woken(Wake::Sweep) => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
        Ok(())
    }

    async fn keep_house(&self) {
        match self.calls.housekeeping(self.keep).await {
            Ok(done) => tracing::debug!(%done, "kept house"),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "housekeeping failed; trying again in a minute"
                );
            }
        }
    }

    fn is_to_be_asked(&self, wish: &CancelWish) -> bool {
        self.asked
            .get(&wish.reference())
            .is_none_or(|at| at.elapsed() >= ASK_AGAIN)
    }

    /// Says what was swept, asks for the cancels, and answers how long to rest.
    fn follow_up(&mut self, swept: &Swept) -> Duration {
        for (kind, count) in swept.counts.iter().filter(|(_, count)| **count > 0) {
            tracing::info!(kind, count, "swept");
        }
        self.asked
            .retain(|dial, _| swept.cancels.iter().any(|wish| wish.reference() == *dial));
        while self.asks.try_join_next().is_some() {}
        for wish in swept
            .cancels
            .iter()
            .filter(|wish| self.is_to_be_asked(wish))
            .collect::<Vec<_>>()
        {
            self.asked.insert(wish.reference(), Stopwatch::start());
            let (trunks, trunk, call) = (
                self.trunks.clone(),
                wish.trunk.clone(),
                wish.reference().call,
            );
            let provider_call_id = wish.provider_call_id.clone();
            self.asks
                .spawn(async move { trunks.ask_to_cancel(&trunk, call, &provider_call_id).await });
            if self.asks.len() >= MOST_ASKS {
                break;
            }
        }
        let mut rest = swept.wait.min(LONGEST_REST);
        if !swept.cancels.is_empty() {
            rest = rest.min(ASK_AGAIN);
        }
        match self.keep {
            // Calls that are not kept go as they finish: looked for once a second.
            Some(keep) if keep < LONGEST_REST => rest.min(keep.max(Duration::from_secs(1))),
            _ => rest,
        }
    }
}
