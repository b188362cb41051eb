//! The claim loop: wakes, claims, hands each call to a dial, and never exceeds its permits.
//!
//! A permit is held from the claim until the dial's result is recorded, so that claims and dials of this process
//! under way never exceed `--permits`; `dispatcher/turns.rs` divides them among trunks. The cap over all processes
//! (P3) is the database's; nothing is decided here.

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
        claim_with::Offer,
        wake::Wake,
    },
    metrics::Used,
    provider::Stopwatch,
    telemetry::trace::Span,
};

/// How long trunks without work are left alone while those with work have used their share: otherwise every dial that
/// ends would cause an empty claim.
const LEFT_ALONE: Duration = Duration::from_millis(50);
/// Poll interval while LISTEN is down.
const POLL_WHEN_DEAF: Duration = Duration::from_secs(1);
/// Calls per claim at most: the gate is held for all of them, and their dials begin only when the claim returns.
const MOST_CLAIMED: usize = 250;
/// A claim that takes longer has queued behind other workers' claims.
const CROWDED: Duration = Duration::from_millis(10);
/// Yields to the runtime, at most, while permits keep coming free.
const MOST_TURNS: usize = 16;
/// First and longest pause after a failed claim.
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
    /// Calls per claim: half of the permits, up to `MOST_CLAIMED`, so that the dials of one half are recorded while
    /// the next half is claimed.
    most_claimed: usize,
    /// Set while claims queue behind those of other workers.
    crowd: Option<Crowd>,
    /// Poll interval; `None` means that only wakes and due times end a rest.
    poll: Option<Duration>,
    held: Held,
    /// When a claim last brought fewer calls than it wanted, so that the trunks it was for have no more.
    others_had_nothing: Option<Instant>,
    /// Whether to take requests while resting: not while they only wait, behind a full trunk or a closed hour, because
    /// each would pay for a claim that brings nothing.
    takes_requests: bool,
    dials: TaskTracker,
}

/// Dials held by this worker, which `give_back` must leave alone.
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
            takes_requests: true,
            dials: TaskTracker::new(),
        }
    }

    /// Claims until stopped, then waits for the dials under way. Live calls are left to the database (P4).
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut pause = PAUSE.0;
        let mut reply_lost = false;
        let mut offer = None;
        while let Some(permits) = stop.run_until_cancelled(self.free_permits()).await {
            if reply_lost {
                offer = None;
                reply_lost = !self.give_back().await;
            }
            let room = self.turns.room();
            if let Some(until) = self.nobody_to_claim_for(&room) {
                offer = None;
                drop(permits);
                stop.run_until_cancelled(timeout_at(until, self.turns.dial_ended()))
                    .await;
                continue;
            }
            // The claim itself is never cancelled: a lost reply means lost calls.
            match self.claim(permits, &room, offer.take()).await {
                Ok(rest) => {
                    pause = PAUSE.0;
                    if let Some(rest) = rest {
                        offer = self.rest(&stop, rest, &room).await;
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
        // What was just given back is work for others, and the notifier may have stopped already.
        self.calls.send_wakes().await;
        Ok(())
    }

    /// Gives back what a lost reply of a claim contained. False if not all of it could be.
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

    /// Waits for one permit, and takes as many free ones as a single claim may use.
    async fn free_permits(&self) -> Vec<OwnedSemaphorePermit> {
        let mut permits = Vec::new();
        if let Ok(first) = Arc::clone(&self.permits).acquire_owned().await {
            permits.push(first);
        }
        // Dials recorded by one statement end together, and more end while the process is busy: collect permits as
        // long as every yield brings some, rather than claim for the first.
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

    /// Whether to skip the claim: trunks with work have used their share, and the others had none a moment ago.
    /// Returns until when, unless a dial ends before.
    fn nobody_to_claim_for(&self, room: &Room) -> Option<Instant> {
        if room.shares.is_empty() {
            return Some(Instant::now() + POLL_WHEN_DEAF);
        }
        let until = self.others_had_nothing? + LEFT_ALONE;
        (room.leaves_out && !room.expects_work && until > Instant::now()).then_some(until)
    }

    /// Claims for these permits. `Some(rest)`: nothing was found, so rest.
    async fn claim(
        &mut self,
        mut permits: Vec<OwnedSemaphorePermit>,
        room: &Room,
        offer: Option<Offer>,
    ) -> Result<Option<Rest>, Error> {
        // Started before the claim is sent, so that the lease can only seem shorter than it is.
        let claimed_at = Stopwatch::start();
        let sent = Instant::now();
        let took_requests = offer.as_ref().is_some_and(Offer::asks);
        let took_offer = offer.is_some();
        // What it claims with is itself the hint.
        let hinted = self
            .calls
            .take_hint()
            .or(took_offer.then_some(Duration::ZERO));
        let claiming = self.claimer.claim(&room.shares, permits.len(), offer);
        let claim = claiming.await?;
        self.takes_requests = !claim.calls.is_empty() || self.takes_requests && !took_requests;
        // The next claim says why, or waits for the gate.
        if took_offer && claim.gate_timeout {
            return Ok(None);
        }
        let took = sent.elapsed();
        self.count(&claim, took, hinted);
        self.crowd = (took > CROWDED && !took_offer).then(|| Crowd {
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
            // The others have no work, so those limited to their share may now have more.
            let may_have_more = room.expects_work && room.leaves_out;
            return Ok((!may_have_more).then_some(Rest::Until(claim.wait)));
        }
        for mut call in claim.calls {
            trace(&mut call, took);
            self.start(call, claimed_at, permits.pop());
        }
        // Fewer than wanted, but some: the next claim, at once, says how long to rest.
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
        // Without a call, the hint was about something this worker could not use.
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
            // Not recorded: it may be ringing, so it stays held, and `give_back` leaves it for the sweep to take
            // over.
            if dialer.dial(call, claimed_at).await {
                held.remove(reference);
            }
            drop((permit, used));
        });
    }

    /// Waits for a wake, the next due call or the poll; if a trunk has used its share, also for the end of a dial.
    /// Returns what came meanwhile to claim with.
    async fn rest(&self, stop: &CancellationToken, rest: Rest, room: &Room) -> Option<Offer> {
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
            offer = self.calls.offered(self.takes_requests) => return Some(offer),
        }
        None
    }
}

/// Adds the claim as a span to each call's trace; the dial's spans go under it.
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

/// Behaviour while the gate is crowded: fewer and larger claims, because everyone waits for each. Other dials will
/// have ended by the time the gate opens anyway.
#[derive(Debug)]
struct Crowd {
    most_claimed: usize,
    /// Until when permits gather: a part of the last claim's duration.
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

/// 0.8 to 1.2 times the duration, so that workers do not come all at once.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.8..1.2))
}
