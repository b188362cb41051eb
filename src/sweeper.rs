//! The sweep loop: settles what time has overtaken, asks providers to end canceled calls, does the housekeeping.
//! Every worker runs it, and any of them may die.

use std::{collections::HashMap, time::Duration};

use tokio_util::sync::CancellationToken;

mod asks;

use self::asks::Asks;
use crate::{
    dialer::Dialer,
    domain::Reference,
    flow::{
        Error, Queue,
        look_up::LookUpDue,
        sweep::{CancelRequest, Swept},
        wake::Wake,
    },
    provider::{LookedUp, Stopwatch},
    trunks::Trunks,
};

/// Interval between requests to a provider to end the same call.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Interval of housekeeping (partitions, statistics).
const HOUSEKEEPING: Duration = Duration::from_mins(1);
/// From the start of a sweep to that of the next, however many wakes come and rows fall due.
const APART: Duration = Duration::from_millis(200);
/// Longest pause; also the longest an event waits whose wake got lost.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The sweep loop of one worker, with its questions to providers that are under way.
#[derive(Debug)]
pub struct Sweeper {
    calls: Queue,
    trunks: Trunks,
    dialer: Dialer,
    /// Retention of finished calls; `None` means for ever.
    keep: Option<Duration>,
    asked: HashMap<Reference, Stopwatch>,
    asks: Asks,
}

impl Sweeper {
    /// `keep` is the retention of finished calls; `None` means for ever.
    pub fn new(calls: Queue, trunks: Trunks, dialer: Dialer, keep: Option<Duration>) -> Self {
        Self {
            asks: Asks::new(trunks.names()),
            calls,
            trunks,
            dialer,
            keep,
            asked: HashMap::new(),
        }
    }

    /// Sweeps until stopped. A failed sweep is logged and tried again.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut housekept: Option<Stopwatch> = None;
        let mut pause = Duration::from_millis(200);
        while !stop.is_cancelled() {
            if housekept.is_none_or(|at| at.elapsed() >= HOUSEKEEPING) {
                housekept = Some(Stopwatch::start());
                self.do_housekeeping().await;
            }
            let began = Stopwatch::start();
            let rest = match self.calls.sweep(&self.trunks.names(), self.keep).await {
                Ok(swept) => {
                    self.count(&swept, began.elapsed());
                    pause = Duration::from_millis(200);
                    // Repeat before looking up: the response to a repetition says more.
                    self.repeat().await;
                    self.look_up().await;
                    self.follow_up(&swept)
                }
                Err(error) => {
                    self.calls.metrics().sweeps.add("error");
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "sweep failed; trying again"
                    );
                    pause = (pause * 2).min(Duration::from_secs(5));
                    pause
                }
            };
            // A full batch has more behind it.
            let at_least = if rest.is_zero() {
                Duration::ZERO
            } else {
                APART.saturating_sub(began.elapsed())
            };
            let woken = async {
                self.calls.woken(Wake::Sweep).await;
                tokio::time::sleep(at_least).await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken => {}
                () = tokio::time::sleep(rest.max(at_least)) => {}
            }
        }
        Ok(())
    }

    fn count(&self, swept: &Swept, took: Duration) {
        let metrics = self.calls.metrics();
        metrics.sweeps.add("done");
        metrics.sweep_seconds.observe(took.as_secs_f64());
        for (kind, count) in &swept.counts {
            let moved = u64::try_from(*count).unwrap_or(0);
            metrics.swept.with_label_values(&[kind]).inc_by(moved);
        }
    }

    async fn do_housekeeping(&self) {
        match self.calls.housekeeping(self.keep).await {
            Ok(done) => {
                tracing::debug!(%done, "kept house");
                if let Some(failed) = done.get("failed") {
                    tracing::warn!(%failed, "steps of housekeeping failed; trying again in a minute");
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "housekeeping failed; trying again in a minute"
                );
            }
        }
    }

    /// Sends requests whose responses were lost once more, on trunks that allow it.
    async fn repeat(&mut self) {
        let (asked_at, free) = (Stopwatch::start(), self.asks.free());
        match self.calls.repeats_due(&free).await {
            Ok(due) => {
                for call in due {
                    let (dialer, trunk) = (self.dialer.clone(), call.trunk.clone());
                    self.asks
                        .spawn(&trunk, async move { dialer.repeat(call, asked_at).await });
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot tell which dials to send again; trying again"
                );
            }
        }
    }

    /// Asks providers about unexplained dials. Their answers are handled like webhooks.
    async fn look_up(&mut self) {
        match self.calls.look_ups_due(&self.asks.free()).await {
            Ok(due) => {
                for dial in due {
                    let (calls, trunks) = (self.calls.clone(), self.trunks.clone());
                    let trunk = dial.trunk.clone();
                    self.asks
                        .spawn(&trunk, async move { look_up(&calls, &trunks, &dial).await });
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot tell which dials to look up; trying again"
                );
            }
        }
    }

    fn is_to_be_asked(&self, request: &CancelRequest) -> bool {
        let asked = self.asked.get(&request.reference());
        asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN) && self.asks.has_room(&request.trunk)
    }

    /// Logs what was swept, sends cancel requests, and returns how long to rest.
    fn follow_up(&mut self, swept: &Swept) -> Duration {
        for (kind, count) in swept.counts.iter().filter(|(_, count)| **count > 0) {
            tracing::info!(kind, count, "swept");
        }
        self.asked.retain(|dial, _| {
            swept
                .cancels
                .iter()
                .any(|request| request.reference() == *dial)
        });
        for request in &swept.cancels {
            if !self.is_to_be_asked(request) {
                continue;
            }
            self.asked.insert(request.reference(), Stopwatch::start());
            let (trunks, call) = (self.trunks.clone(), request.reference().call);
            let (trunk, id) = (request.trunk.clone(), request.provider_call_id.clone());
            self.asks.spawn(&request.trunk, async move {
                trunks.ask_to_cancel(&trunk, call, &id).await;
            });
        }
        let mut rest = swept.wait.min(LONGEST_REST);
        if !swept.cancels.is_empty() {
            rest = rest.min(ASK_AGAIN);
        }
        match self.keep {
            // Such calls are removed as they finish, so look once a second.
            Some(keep) if keep < LONGEST_REST => rest.min(keep.max(Duration::from_secs(1))),
            _ => rest,
        }
    }
}

/// Asks one question about one dial. A missing response decides nothing: the dial was booked, and is asked about
/// again.
async fn look_up(calls: &Queue, trunks: &Trunks, due: &LookUpDue) {
    let (dial, trunk) = (due.reference(), trunks.get(&due.trunk));
    let Some(trunk) = trunk else { return };
    let answer = match trunk
        .provider
        .look_up(dial, due.provider_call_id.as_deref())
        .await
    {
        Ok(answer) => answer,
        Err(error) => {
            calls.metrics().look_ups.add("error");
            tracing::warn!(call.id = %dial.call, call.claim_no = dial.claim_no, %error, "look-up failed; asked again later");
            return;
        }
    };
    match calls.look_up(dial, &answer).await {
        Ok(Some(answered)) => {
            calls.metrics().look_ups.add(answered.verdict.as_str());
            tracing::info!(call.id = %dial.call, call.claim_no = dial.claim_no, verdict = ?answered.verdict, "looked up");
            if let (true, Some(id)) = (answered.hang_up, &due.provider_call_id) {
                trunks.ask_to_cancel(&trunk.name, dial.call, id).await;
            }
        }
        Ok(None) if answer == LookedUp::Inconclusive => {
            calls.metrics().look_ups.add("inconclusive");
        }
        Ok(None) => {
            calls.metrics().look_ups.add("unsupported");
            tracing::warn!(
                trunk = trunk.name,
                "the trunk says that it can be asked, its provider cannot: pgdial trunks set --look-up none"
            );
        }
        Err(error) => {
            tracing::warn!(call.id = %dial.call, error = &error as &dyn std::error::Error, "look-up not recorded; asked again later");
        }
    }
}
