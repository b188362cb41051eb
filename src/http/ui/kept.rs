//! Answers of the database that every open screen shows: asked once for all of them.
//!
//! An answer serves for a while, longer where asking took long, so that open screens cost the database a small part of
//! its time, however many they are.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Mutex;

use crate::{
    flow::{
        Error, Queue,
        board::Board,
        seat::{Dialling, Lately, Latest},
    },
    provider::Stopwatch,
};

/// An answer serves so many times as long as it took, within bounds: the first question of a connection takes far longer
/// than the next.
const REST: u32 = 100;
/// The bounds: at least, and at most.
const OFTEN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(500));
const USUAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
const SELDOM: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));

/// The answers.
#[derive(Debug, Default)]
pub(in crate::http) struct Kept {
    board: Answer<Board>,
    dialling: Answer<Dialling>,
    lately: Answer<Lately>,
    latest: Answer<Latest>,
    /// How often somebody has acted since. What was asked before an act no longer serves: whoever acts looks at once
    /// what came of it.
    acts: AtomicU64,
    /// The newest act that is counted in it.
    newest_act: AtomicI64,
}

impl Kept {
    pub(super) async fn board(&self, queue: &Queue) -> Result<Arc<Board>, Error> {
        self.board.get(self.acts(), USUAL, queue.board()).await
    }

    pub(super) async fn dialling(&self, queue: &Queue) -> Result<Arc<Dialling>, Error> {
        self.dialling
            .get(self.acts(), USUAL, queue.dialling())
            .await
    }

    pub(super) async fn lately(&self, queue: &Queue) -> Result<Arc<Lately>, Error> {
        self.lately.get(0, SELDOM, queue.lately()).await
    }

    pub(super) async fn latest(&self, queue: &Queue) -> Result<Arc<Latest>, Error> {
        let latest = self.latest.get(0, OFTEN, queue.latest()).await?;
        if self.newest_act.swap(latest.act, Relaxed) != latest.act {
            self.acted();
        }
        Ok(latest)
    }

    /// Somebody has acted through this process.
    pub(super) fn acted(&self) {
        self.acts.fetch_add(1, Relaxed);
    }

    fn acts(&self) -> u64 {
        self.acts.load(Relaxed)
    }
}

struct Answer<T>(Mutex<Option<Answered<T>>>);

struct Answered<T> {
    answer: Arc<T>,
    /// Acts before it was asked.
    acts: u64,
    since: Stopwatch,
    serves: Duration,
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl<T> Answer<T> {
    /// Whoever finds it too old asks, and the others wait for that.
    async fn get(
        &self,
        acts: u64,
        (fresh, longest): (Duration, Duration),
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        let mut kept = self.0.lock().await;
        if let Some(kept) = &*kept
            && kept.acts >= acts
            && kept.since.elapsed() < kept.serves
        {
            return Ok(Arc::clone(&kept.answer));
        }
        let asked = Stopwatch::start();
        let answer = Arc::new(ask.await?);
        *kept = Some(Answered {
            answer: Arc::clone(&answer),
            acts,
            since: Stopwatch::start(),
            serves: (asked.elapsed() * REST).clamp(fresh, longest),
        });
        Ok(answer)
    }
}
