//! Does this process do what it is there for?
//!
//! Each kind of work says when it is tried and how that ended, so what is told is the last
//! word of the thing itself, not that of a ping beside it. What waits for work cannot say
//! anything: for that a write of nothing is committed through the same pools.

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

/// How long an answer may be awaited before that is trouble.
const LATE: Duration = Duration::from_secs(3);
/// The same of what moves many rows.
const LATE_SWEEP: Duration = Duration::from_secs(20);
/// So old a write is as good as one just made.
const FRESH: Duration = Duration::from_millis(500);
/// How long somebody who asks waits for one.
const PATIENCE: Duration = Duration::from_secs(2);

/// Work that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// A commit of nothing.
    Write,
    /// Of requests and webhooks, and of what dials came to.
    Verb(&'static str),
    Claim,
    Sweep,
    Heartbeat,
    Housekeeping,
}

impl Work {
    /// Its word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Verb(verb) => verb,
            Self::Claim => "claim",
            Self::Sweep => "sweep",
            Self::Heartbeat => "heartbeat",
            Self::Housekeeping => "housekeeping",
        }
    }

    const fn late(self) -> Duration {
        match self {
            Self::Sweep | Self::Housekeeping => LATE_SWEEP,
            _ => LATE,
        }
    }

    /// Is nobody served while it fails?
    pub(crate) const fn is_vital(self) -> bool {
        !matches!(self, Self::Housekeeping)
    }
}

/// Work that fails, or does not come to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) work: Work,
    pub(crate) since: Duration,
    pub(crate) why: String,
}

/// What the loops and batchers of one process last came to.
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

/// Work under way; forgotten when it is dropped.
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

    /// It begins.
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

    /// How long each kind of work has been failing or awaited; nothing where it is not.
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
            // A batcher tries again only when somebody comes: a later write speaks for it.
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
    /// It came to this. What one item is at fault for says nothing of the work.
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

    /// It failed, of this.
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

/// For whoever may ask without a key: what the server says, without detail.
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
    /// What this process fails to do at the moment. A commit of nothing goes through each of
    /// its pools first, unless one just did.
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

    /// Every kind of work that was tried, with for how long it has failed.
    pub(crate) fn failing_seconds(&self) -> Vec<(&'static str, f64)> {
        let seconds = |trouble: Option<Trouble>| trouble.map_or(0.0, |it| it.since.as_secs_f64());
        let failing = self.health.failing().into_iter();
        failing
            .map(|(work, trouble)| (work.as_str(), seconds(trouble)))
            .collect()
    }

    /// Commits a transaction that changes nothing, through each pool of this process: it is
    /// written to the log of the server, and awaited as every other commit is.
    pub(crate) async fn write_nothing(&self) -> Result<(), Error> {
        for pool in self.pools.all() {
            // A session that broke since it was last used says nothing of the next one.
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
