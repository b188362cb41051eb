//! Health of this process's work.
//!
//! Each kind of work reports when it is tried and how that ended, so health is the latest result of the work
//! itself and not of a ping beside it. Work that nobody requested has no result: for that an empty write is
//! committed through the same pools.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{Error, Queue};
use crate::db::{
    Pool, Refusal,
    pool::{OfDatabase, SHORT_ANSWER, answered},
};

/// A result outstanding for longer than this is a failure.
const LATE: Duration = Duration::from_secs(3);
/// The same for work that moves many rows.
const LATE_SWEEP: Duration = Duration::from_secs(20);
/// A write this recent counts as current.
const FRESH: Duration = Duration::from_millis(500);
/// How long a health check waits for a write.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kind of work that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// An empty commit.
    Write,
    /// A verb: for requests, webhooks and the results of dials.
    Verb(&'static str),
    Claim,
    Sweep,
    Heartbeat,
    Housekeeping,
    Deliver,
}

impl Work {
    /// Name of the work.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Verb(verb) => verb,
            Self::Claim => "claim",
            Self::Sweep => "sweep",
            Self::Heartbeat => "heartbeat",
            Self::Housekeeping => "housekeeping",
            Self::Deliver => "deliver",
        }
    }

    const fn late(self) -> Duration {
        match self {
            Self::Sweep | Self::Housekeeping | Self::Deliver => LATE_SWEEP,
            _ => LATE,
        }
    }

    /// Whether nothing is served while it fails.
    pub(crate) const fn is_vital(self) -> bool {
        !matches!(self, Self::Housekeeping | Self::Deliver)
    }
}

/// Work that fails, or does not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) work: Work,
    pub(crate) since: Duration,
    pub(crate) why: String,
}

/// Latest results of the loops and batchers of one process.
#[derive(Debug, Default)]
pub(crate) struct Health {
    all: Mutex<BTreeMap<Work, State>>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    under_way: BTreeMap<u64, Instant>,
    failing: Option<Failing>,
    done: Option<Instant>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    why: String,
}

/// Work under way; unregistered when dropped.
#[derive(Debug)]
pub(crate) struct Trying {
    health: Arc<Health>,
    work: Work,
    number: u64,
}

impl Health {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Work, State>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers work that begins.
    pub(crate) fn trying(self: &Arc<Self>, work: Work) -> Trying {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut all = self.all();
        let state = all.entry(work).or_default();
        state.under_way.insert(number, Instant::now());
        Trying {
            health: Arc::clone(self),
            work,
            number,
        }
    }

    /// How long each kind of work has been failing or outstanding; none if it is fine.
    pub(crate) fn failing(&self) -> Vec<(Work, Option<Trouble>)> {
        let all = self.all();
        let written = all.get(&Work::Write).and_then(|state| state.done);
        all.iter()
            .map(|(work, state)| (*work, state.trouble(*work, written)))
            .collect()
    }

    fn done_within(&self, work: Work, age: Duration) -> bool {
        let done = self.all().get(&work).and_then(|state| state.done);
        done.is_some_and(|at| at.elapsed() < age)
    }
}

impl State {
    fn trouble(&self, work: Work, written: Option<Instant>) -> Option<Trouble> {
        let waits = self.under_way.values().min();
        let waits = waits
            .map(Instant::elapsed)
            .filter(|age| *age >= work.late());
        let failing = self.failing.as_ref().filter(|failing| {
            // A batcher only tries again for the next item: a later write vouches for it.
            let is_gathered = matches!(work, Work::Verb(_));
            !(is_gathered && written.is_some_and(|at| at > failing.last))
        });
        let (since, why) = match (failing, waits) {
            (Some(failing), _) => (failing.since.elapsed(), failing.why.clone()),
            (None, Some(age)) => (age, "the database does not answer".to_owned()),
            (None, None) => return None,
        };
        Some(Trouble { work, since, why })
    }
}

impl Trying {
    /// Records the result. An error of a single item says nothing about the work.
    pub(crate) fn ended<T>(self, result: &Result<T, Error>) {
        match result {
            Ok(_) => {
                let mut all = self.health.all();
                let state = all.entry(self.work).or_default();
                state.failing = None;
                state.done = Some(Instant::now());
            }
            Err(error) if matches!(self.work, Work::Verb(_)) && error.may_be_of_one_item() => {}
            Err(error) => self.failed(words_of(error)),
        }
    }

    /// Records a failure and its reason.
    pub(crate) fn failed(self, why: String) {
        let last = Instant::now();
        let mut all = self.health.all();
        let state = all.entry(self.work).or_default();
        let since = state.failing.as_ref().map_or(last, |failing| failing.since);
        state.failing = Some(Failing { since, last, why });
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        if let Some(state) = self.health.all().get_mut(&self.work) {
            state.under_way.remove(&self.number);
        }
    }
}

/// For health checks without a key: the server's message, without detail.
fn words_of(error: &Error) -> String {
    let Some(error) = error.of_database() else {
        return error.to_string();
    };
    match (Refusal::of(error), error) {
        (Some(refusal), _) => refusal.to_string(),
        (None, sqlx::Error::Database(refusal)) => refusal.message().to_owned(),
        (None, sqlx::Error::Io(error)) => format!("no answer from the database ({})", error.kind()),
        (None, sqlx::Error::PoolTimedOut) => {
            "every connection of this process is in use".to_owned()
        }
        _ => "the database cannot be asked".to_owned(),
    }
}

impl Queue {
    /// What this process currently fails to do. Commits an empty write through each of its pools first,
    /// unless a recent one exists.
    pub(crate) async fn troubles(&self) -> Vec<Trouble> {
        if self.pools.await_standby() {
            return vec![Trouble {
                work: Work::Write,
                since: Duration::ZERO,
                why: "commits wait for a synchronous standby that does not answer (synchronous_standby_names)"
                    .to_owned(),
            }];
        }
        if !self.health.done_within(Work::Write, FRESH) {
            let trying = self.health.trying(Work::Write);
            let wrote = timeout(PATIENCE, self.write_nothing()).await;
            trying.ended(&wrote.unwrap_or_else(|_elapsed| {
                let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                let refusal = self.pools.refusal().map(sqlx::Error::from);
                Err(refusal.unwrap_or(sqlx::Error::Io(late)).into())
            }));
        }
        let failing = self.health.failing();
        failing
            .into_iter()
            .filter_map(|(_, trouble)| trouble)
            .collect()
    }

    /// Every kind of work that was tried, with how long it has been failing, in seconds.
    pub(crate) fn failing_seconds(&self) -> Vec<(&'static str, f64)> {
        let seconds = |trouble: Option<Trouble>| trouble.map_or(0.0, |it| it.since.as_secs_f64());
        let failing = self.health.failing().into_iter();
        failing
            .map(|(work, trouble)| (work.as_str(), seconds(trouble)))
            .collect()
    }

    /// Commits a transaction that changes nothing through each pool of this process: it is written to the
    /// server's log and awaited like every other commit.
    pub(crate) async fn write_nothing(&self) -> Result<(), Error> {
        for pool in self.pools.all() {
            // A session that broke since its last use says nothing about the next one.
            if write_nothing(&pool).await.is_err() {
                write_nothing(&pool).await?;
            }
        }
        Ok(())
    }
}

async fn write_nothing(pool: &Pool) -> Result<(), Error> {
    let mut lent = pool.acquire().await?;
    let written = answered(SHORT_ANSWER, async {
        sqlx::query("select pg_current_xact_id()::text")
            .execute(&mut *lent)
            .await
    })
    .await;
    lent.after(&written);
    written?;
    Ok(())
}
