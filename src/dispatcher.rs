//! The claim loop: wake, claim, hand each call to a dial, never more than the permits.
//!
//! A permit is held from the claim until the dial's result is recorded, so that this
//! process never has more claims and dials under way than `--permits`; which trunk they are
//! for is shared out (`dispatcher/turns.rs`). The cap of all processes together (P3) is the
//! database's; nothing is decided here.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

mod turns;

use self::turns::{Room, Turns};
use crate::{
    dialer::Dialer,
    domain::{ClaimedCall, Outcome, Reference},
    flow::{
        Error, Queue,
        claim::{Claim, Claimer},
        wake::Wake,
    },
    metrics::Used,
    provider::Stopwatch,
    telemetry::trace::Span,
};

/// How long it leaves trunks alone that had nothing, while those that have work have their share:
/// each dial that ends would be a claim for nothing.
const LEFT_ALONE: Duration = Duration::from_millis(50);
/// How often a worker looks without having been woken, when LISTEN is down.
const POLL_WHEN_DEAF: Duration = Duration::from_secs(1);
/// Calls in one claim at most: the gate is held for all of them, and their dials begin only
/// when it answers.
const MOST_CLAIMED: usize = 250;
/// A claim that takes longer has stood in line behind the claims of other workers.
const CROWDED: Duration = Duration::from_millis(10);
/// Turns of the runtime that it lets pass at most while permits come free.
const MOST_TURNS: usize = 16;
/// The first pause after a failed claim, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The claim loop of one worker.
#[derive(Debug)]
pub struct Dispatcher {
    calls: Queue,
    dialer: Dialer,
    worker: Uuid,
    claimer: Claimer,
    permits: Arc<Semaphore>,
    permits_in_all: usize,
    turns: Arc<Turns>,
    /// Calls in one claim: half of the permits, so that the dials of one half are
    /// recorded while the next half is claimed.
    most_claimed: usize,
    /// Set while claims stand in line behind those of other workers.
    crowd: Option<Crowd>,
    /// How often it looks without having been woken; none = never (wakes and due times only).
    poll: Option<Duration>,
    held: Held,
    /// When a claim last showed that trunks which it brought no calls of have none.
    others_had_nothing: Option<Instant>,
    dials: TaskTracker,
}

/// The dials that this worker holds: what `give_back` must leave alone.
#[derive(Debug, Clone, Default)]
struct Held(Arc<Mutex<HashSet<Reference>>>);

impl Held {
    fn insert(&self, dial: Reference) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(dial);
    }

    fn remove(&self, dial: Reference) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&dial);
    }

    fn all(&self) -> Vec<Reference> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect()
    }
}

impl Dispatcher {
    /// A worker that dials at most `permits` calls at once.
    pub fn new(
        calls: Queue,
        dialer: Dialer,
        worker: Uuid,
        trunks: &[String],
        permits: usize,
        poll: Option<Duration>,
    ) -> Self {
        calls
            .metrics()
            .permits
            .set(i64::try_from(permits).unwrap_or(i64::MAX));
        Self {
            turns: Arc::new(Turns::new(trunks, permits)),
            claimer: calls.claimer(worker),
            calls,
            dialer,
            worker,
            permits: Arc::new(Semaphore::new(permits)),
            permits_in_all: permits,
            most_claimed: permits.div_ceil(2).min(MOST_CLAIMED),
            crowd: None,
            poll,
            held: Held::default(),
            others_had_nothing: None,
            dials: TaskTracker::new(),
        }
    }

    /// Loop: claims until stopped, then waits for the dials under way. Live calls are
    /// left to the database (P4).
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut pause = PAUSE.0;
        let mut reply_lost = false;
        while let Some(permits) = stop.run_until_cancelled(self.free_permits()).await {
            if reply_lost {
                reply_lost = !self.give_back().await;
            }
            let room = self.turns.room();
            if let Some(until) = self.nobody_to_claim_for(&room) {
                drop(permits);
                stop.run_until_cancelled(timeout_at(until, self.turns.dial_ended()))
                    .await;
                continue;
            }
            // The claim itself is never cancelled: a lost reply would be lost calls.
            match self.claim(permits, &room).await {
                Ok(rest) => {
                    pause = PAUSE.0;
                    if let Some(rest) = rest {
                        self.rest(&stop, rest, &room).await;
                    }
                }
                Err(error) => {
                    self.calls.metrics().claims.add("error");
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "claim failed; trying again"
                    );
                    reply_lost = true;
                    stop.run_until_cancelled(tokio::time::sleep(jittered(pause)))
                        .await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
        self.dials.close();
        self.dials.wait().await;
        if reply_lost {
            self.give_back().await;
        }
        // What went back just now is work for others, and the notifier may have stopped.
        self.calls.send_wakes().await;
        Ok(())
    }

    /// Returns what a lost reply of a claim had brought. False: not all of it yet.
    async fn give_back(&self) -> bool {
        match self.calls.give_back(self.worker, &self.held.all()).await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "give_back failed; trying again"
                );
                false
            }
        }
    }

    /// At least one permit, and as many as one claim may use of those that are free now.
    async fn free_permits(&self) -> Vec<OwnedSemaphorePermit> {
        let mut permits = Vec::new();
        if let Ok(first) = Arc::clone(&self.permits).acquire_owned().await {
            permits.push(first);
        }
        // Dials that are recorded by one statement end together, and others follow while the
        // process is busy: as many of their permits as come from turn to turn, not the first.
        for _ in 0..MOST_TURNS {
            tokio::task::yield_now().await;
            let before = permits.len();
            while permits.len() < self.most_claimed
                && let Ok(next) = Arc::clone(&self.permits).try_acquire_owned()
            {
                permits.push(next);
            }
            if permits.len() == before {
                break;
            }
        }
        if let Some(crowd) = &self.crowd {
            while permits.len() < crowd.most_claimed
                && let Ok(Ok(next)) =
                    timeout_at(crowd.until, Arc::clone(&self.permits).acquire_owned()).await
            {
                permits.push(next);
            }
        }
        permits
    }

    /// Those that have work have their share of the permits, and the others had nothing a moment
    /// ago: until then, or until a dial ends, nobody is claimed for.
    fn nobody_to_claim_for(&self, room: &Room) -> Option<Instant> {
        if room.shares.is_empty() {
            return Some(Instant::now() + POLL_WHEN_DEAF);
        }
        let until = self.others_had_nothing? + LEFT_ALONE;
        (room.leaves_out && !room.expects_work && until > Instant::now()).then_some(until)
    }

    /// Claims for these permits. `Some(rest)`: nothing was there, rest that long.
    async fn claim(
        &mut self,
        mut permits: Vec<OwnedSemaphorePermit>,
        room: &Room,
    ) -> Result<Option<Rest>, Error> {
        // Started before the claim is sent, so that the lease can only look shorter than it is.
        let claimed_at = Stopwatch::start();
        let sent = Instant::now();
        let hinted = self.calls.take_hint();
        let claim = self.claimer.claim(&room.shares, permits.len()).await?;
        let took = sent.elapsed();
        self.count(&claim, took, hinted);
        self.crowd = (took > CROWDED).then(|| Crowd {
            most_claimed: self.permits_in_all.min(MOST_CLAIMED),
            until: Instant::now() + took / 4,
        });
        self.calls.finds_work(!claim.calls.is_empty());
        if claim.gate_timeout {
            return Ok(Some(Rest::Briefly));
        }
        self.turns.claimed(room, permits.len(), &claim.calls);
        if claim.calls.len() < permits.len() {
            self.others_had_nothing = Some(Instant::now());
        }
        for dial in claim.unreadable {
            tracing::error!(call.id = %dial.call, "a claimed call cannot be read; it fails");
            self.calls
                .settle(dial, Outcome::Blocked, "pgdial could not read the call")
                .await?;
        }
        if claim.calls.is_empty() {
            // Those that had their share may have more, now that the others have no work.
            let may_have_more = room.expects_work && room.leaves_out;
            return Ok((!may_have_more).then_some(Rest::Until(claim.wait)));
        }
        for mut call in claim.calls {
            trace(&mut call, took);
            self.start(call, claimed_at, permits.pop());
        }
        // Fewer than wanted but some: the next claim at once says how long to rest.
        Ok(None)
    }

    fn count(&self, claim: &Claim, took: Duration, hinted: Option<Duration>) {
        let metrics = self.calls.metrics();
        metrics.claim_seconds.observe(took.as_secs_f64());
        let claimed = claim.calls.len() + claim.unreadable.len();
        metrics.claims.add(match claimed {
            _ if claim.gate_timeout => "gate_timeout",
            0 => "none",
            _ => "calls",
        });
        metrics.claimed.inc_by(claimed as u64);
        // Without a call the hint was about something that this worker could not use.
        if let (Some(hinted), 1..) = (hinted, claimed) {
            let refill = hinted + took;
            metrics.refill_seconds.observe(refill.as_secs_f64());
        }
    }

    fn start(
        &self,
        call: ClaimedCall,
        claimed_at: Stopwatch,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let (dialer, held, reference) = (self.dialer.clone(), self.held.clone(), call.reference());
        held.insert(reference);
        let used = Used::of(&self.calls.metrics().permits_used);
        let permit = self.turns.take(&call.trunk, permit);
        self.dials.spawn(async move {
            // Not recorded: it may ring, so it stays held, and give_back leaves it alone for
            // the sweep to take over.
            if dialer.dial(call, claimed_at).await {
                held.remove(reference);
            }
            drop((permit, used));
        });
    }

    /// Waits for a wake, for the next due call, or for the poll; where a trunk has its share of
    /// the permits, for the end of a dial too.
    async fn rest(&self, stop: &CancellationToken, rest: Rest, room: &Room) {
        let due = match rest {
            Rest::Briefly => Some(jittered(Duration::from_millis(50))),
            Rest::Until(due) => due.map(|due| due.max(Duration::from_millis(1))),
        };
        let poll = self.poll.map(|poll| {
            jittered(if self.calls.is_listening() {
                poll
            } else {
                poll.min(POLL_WHEN_DEAF)
            })
        });
        let longest = [due, poll].into_iter().flatten().min();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.calls.woken(Wake::Claim) => {}
            () = self.turns.dial_ended(), if room.leaves_out => {}
            () = sleep_or_never(longest) => {}
        }
    }
}

/// The claim as a span of each of its calls; what follows belongs to it.
fn trace(call: &mut ClaimedCall, took: Duration) {
    let span = Span::began("claim", call.traceparent.as_deref(), took).with(&[
        ("call.id", &call.id),
        ("call.claim_no", &call.claim_no),
        ("call.attempt", &call.attempt),
        ("trunk", &call.trunk),
        ("campaign", &call.campaign),
    ]);
    call.traceparent = span.traceparent().or(call.traceparent.take());
}

/// What a worker does while the gate is crowded: fewer and larger claims, because all wait
/// for each. By the time the gate opens its other dials have ended anyway.
#[derive(Debug)]
struct Crowd {
    most_claimed: usize,
    /// How long it lets permits gather: a part of what the last claim took.
    until: Instant,
}

enum Rest {
    Briefly,
    Until(Option<Duration>),
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// 0.8 to 1.2 times as long, so that many workers do not come at once.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.8..1.2))
}
