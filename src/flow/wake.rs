//! Wakes between processes: hints that there may be work, never promises.
//!
//! Sending: a wake reaches this process at once, and the others by one NOTIFY outside any data transaction. A
//! process has at most one NOTIFY under way; wakes that arrive meanwhile become the next one. (Not a NOTIFY
//! in every insert: Postgres serializes the commits of notifiers.)
//!
//! Hearing: one dedicated connection listens and reconnects. After each reconnect every loop is woken once,
//! for what was missed. The poll between wakes is what guarantees progress.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{Executor, postgres::PgListener};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Error, Queue, claim_with::Seat};
use crate::{db::pool::answered, provider::Stopwatch};

/// What there may be to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A call may be due, a slot or a number free.
    Claim,
    /// An event is parked, a cancellation requested, or a dial in doubt.
    Sweep,
    /// A worker, possibly this one, was told something.
    Beat,
}

impl Wake {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Sweep => "sweep",
            Self::Beat => "drain",
        }
    }
}

const CHANNEL: &str = "pgdial_wake";

/// The first wake is sent at once; those that follow within this time go together.
const BETWEEN_NOTIFIES: Duration = Duration::from_millis(10);
/// The same while this process finds work itself: its own next claim takes the slots and numbers that it
/// frees, and workers that report each of them to all others spend most of their time listening.
const BETWEEN_NOTIFIES_WHEN_BUSY: Duration = Duration::from_millis(100);

/// A connection that has heard nothing for this long is checked.
const QUIET: Duration = Duration::from_secs(15);
/// Limit for a listening connection to respond.
const ANSWER: Duration = Duration::from_secs(5);

/// Wakes of one process.
#[derive(Debug)]
pub(crate) struct Wakes {
    /// Identifies this process in its own notifications, which it ignores.
    origin: Uuid,
    claim: Notify,
    sweep: Notify,
    beat: Notify,
    outgoing: Notify,
    outgoing_claim: AtomicBool,
    outgoing_sweep: AtomicBool,
    listening: AtomicBool,
    is_busy: AtomicBool,
    has_rested: Notify,
    /// Since when this process knows that there may be work: microseconds after `born`, plus 1; 0 if it does
    /// not.
    hinted: AtomicU64,
    born: Stopwatch,
    /// Where the worker of this process takes what it claims with while it rests.
    pub(super) seat: Seat,
}

impl Default for Wakes {
    fn default() -> Self {
        Self {
            origin: Uuid::new_v4(),
            claim: Notify::new(),
            sweep: Notify::new(),
            beat: Notify::new(),
            outgoing: Notify::new(),
            outgoing_claim: AtomicBool::new(false),
            outgoing_sweep: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            has_rested: Notify::new(),
            hinted: AtomicU64::new(0),
            born: Stopwatch::start(),
            seat: Seat::default(),
        }
    }
}

impl Wakes {
    // notify_one keeps a permit when nobody waits yet: a wake between a claim's query and the wait after it
    // is not lost.
    fn local(&self, wake: Wake) {
        match wake {
            Wake::Claim => {
                self.claim.notify_one();
                // The first hint counts: the next claim covers later ones too.
                let now = self.age() + 1;
                let (relaxed, none) = (Ordering::Relaxed, 0);
                self.hinted
                    .compare_exchange(none, now, relaxed, relaxed)
                    .unwrap_or_default();
            }
            Wake::Sweep => self.sweep.notify_one(),
            Wake::Beat => self.beat.notify_one(),
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }

    /// Wakes this process at once, and the others soon.
    pub(super) fn wake(&self, wake: Wake) {
        self.local(wake);
        self.wake_others(wake);
    }

    /// Wakes the other processes soon.
    pub(super) fn wake_others(&self, wake: Wake) {
        match wake {
            Wake::Claim => self.outgoing_claim.store(true, Ordering::Release),
            Wake::Sweep => self.outgoing_sweep.store(true, Ordering::Release),
            // The verb itself notifies the others, with its commit.
            Wake::Beat => return,
        }
        self.outgoing.notify_one();
    }
}

/// LISTEN does not deliver here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A notification sent on one connection did not reach another.
    #[error(
        "LISTEN is accepted but nothing is delivered: DATABASE_URL leads through a pooler in \
         transaction mode. Connect to Postgres directly, or use the pooler's session mode"
    )]
    Undelivered,
    /// The database failed.
    #[error(transparent)]
    Flow(#[from] Error),
}

impl Queue {
    /// Wakes this process at once, and the others soon.
    pub fn wake(&self, wake: Wake) {
        self.wakes.wake(wake);
    }

    /// Waits for the next wake of this kind. One waiter per kind and process.
    pub async fn woken(&self, wake: Wake) {
        match wake {
            Wake::Claim => self.wakes.claim.notified().await,
            Wake::Sweep => self.wakes.sweep.notified().await,
            Wake::Beat => self.wakes.beat.notified().await,
        }
    }

    /// How long this process has known that there may be work; the next claim resets it.
    pub(crate) fn take_hint(&self) -> Option<Duration> {
        let hinted = self.wakes.hinted.swap(0, Ordering::Relaxed);
        let since = hinted.checked_sub(1)?;
        Some(Duration::from_micros(
            self.wakes.age().saturating_sub(since),
        ))
    }

    /// Whether a connection is listening now. If not, poll faster.
    pub fn is_listening(&self) -> bool {
        self.wakes.listening.load(Ordering::Acquire)
    }

    /// Loop: sends this process's wakes to the others, until stopped. A failure is logged and not retried:
    /// the others' poll finds the work.
    pub async fn run_notifier(&self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.wakes.outgoing.notified())
            .await
            .is_some()
        {
            self.send_wakes().await;
            stop.run_until_cancelled(self.pause_between_notifies())
                .await;
        }
        self.send_wakes().await;
    }

    async fn pause_between_notifies(&self) {
        tokio::time::sleep(BETWEEN_NOTIFIES).await;
        if self.wakes.is_busy.load(Ordering::Acquire) {
            let rest = BETWEEN_NOTIFIES_WHEN_BUSY.saturating_sub(BETWEEN_NOTIFIES);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.wakes.has_rested.notified() => {}
            }
        }
    }

    /// Sets whether the claims of this process currently find work.
    pub fn finds_work(&self, is_busy: bool) {
        let was_busy = self.wakes.is_busy.swap(is_busy, Ordering::AcqRel);
        if was_busy && !is_busy {
            self.wakes.has_rested.notify_one();
        }
    }

    /// Sends outstanding wakes. A short-lived process calls it before it ends.
    pub async fn send_wakes(&self) {
        for (flag, wake) in [
            (&self.wakes.outgoing_claim, Wake::Claim),
            (&self.wakes.outgoing_sweep, Wake::Sweep),
        ] {
            if flag.swap(false, Ordering::AcqRel) {
                #[cfg(feature = "crash-points")]
                crate::crash::point("recorded");
                let payload = format!("{} {}", wake.as_str(), self.wakes.origin);
                let sent = sqlx::query("select pgdial.wake($1)")
                    .bind(payload)
                    .execute(&self.pool)
                    .await;
                let result = if sent.is_ok() { "sent" } else { "error" };
                self.metrics.notifies.add(result);
                if let Err(error) = sent {
                    tracing::warn!(%error, wake = wake.as_str(), "wake not sent; the poll will find the work");
                }
            }
        }
    }

    /// Checks that a notification arrives. Done once, before a worker starts.
    pub async fn check_listen(&self) -> Result<(), ListenError> {
        let probe = format!("probe {}", Uuid::new_v4());
        let mut listener = self.listening().await?;
        sqlx::query("select pgdial.wake($1)")
            .bind(&probe)
            .execute(&self.pool)
            .await
            .map_err(Error::from)?;
        let heard = timeout(Duration::from_secs(5), async {
            loop {
                match listener.recv().await {
                    Ok(notification) if notification.payload() == probe => return Ok(()),
                    Ok(_) => {}
                    Err(error) => return Err(Error::from(error)),
                }
            }
        });
        heard
            .await
            .map_err(|_elapsed| ListenError::Undelivered)?
            .map_err(ListenError::from)
    }

    /// Loop: listens and wakes this process, until stopped. Reconnects for ever, with a pause that grows to 5
    /// s; meanwhile the poll is faster.
    pub async fn run_listener(&self, stop: CancellationToken) {
        let mut pause = Duration::from_millis(100);
        while !stop.is_cancelled() {
            let listening = Box::pin(self.listen_once(&mut pause));
            let listened = stop.run_until_cancelled(listening).await;
            self.wakes.listening.store(false, Ordering::Release);
            self.metrics.listening.set(0);
            if let Some(Err(error)) = listened {
                tracing::warn!(%error, "listener lost its connection; polling faster until it is back");
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }

    async fn listen_once(&self, pause: &mut Duration) -> Result<(), Error> {
        let mut listener = self.listening().await?;
        self.wakes.listening.store(true, Ordering::Release);
        self.metrics.listening.set(1);
        self.metrics.listens.inc();
        *pause = Duration::from_millis(100);
        self.wakes.local(Wake::Claim);
        self.wakes.local(Wake::Sweep);
        self.wakes.local(Wake::Beat);
        loop {
            let Ok(heard) = timeout(QUIET, listener.try_recv()).await else {
                // A silently lost connection is not reported by the socket.
                answered(ANSWER, listener.execute("select")).await?;
                continue;
            };
            // None: the connection was lost. Not reconnected by the library, so that we notice, and wake.
            let Some(notification) = heard? else {
                return Err(Error::Database(sqlx::Error::WorkerCrashed));
            };
            self.metrics.heard.inc();
            self.hear(notification.payload());
        }
    }

    async fn listening(&self) -> Result<PgListener, Error> {
        let listening = Box::pin(async {
            let mut listener = PgListener::connect_with(&self.pool.for_listener()).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        });
        answered(ANSWER, listening).await
    }

    fn hear(&self, payload: &str) {
        let (what, origin) = payload.split_once(' ').unwrap_or((payload, ""));
        if origin == self.wakes.origin.to_string() || what == "probe" {
            return;
        }
        let mut others = [Wake::Sweep, Wake::Beat].into_iter();
        let wake = others.find(|wake| wake.as_str() == what);
        self.wakes.local(wake.unwrap_or(Wake::Claim));
    }
}
