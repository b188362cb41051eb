//! Answers of the database that every open screen shows: asked once for all of them.
//!
//! An answer serves for a while, longer where asking took long, so that open screens cost the database a bounded part of
//! its time, however many they are.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::{
    flow::{
        Error, Queue,
        board::Board,
        seat::{Dialling, Lately},
    },
    provider::Stopwatch,
};

/// An answer serves so many times as long as it took.
const REST: u32 = 20;

/// The answers.
#[derive(Debug, Default)]
pub(in crate::http) struct Kept {
    board: Answer<Board>,
    dialling: Answer<Dialling>,
    lately: Answer<Lately>,
    latest: Answer<String>,
}

impl Kept {
    pub(super) async fn board(&self, queue: &Queue) -> Result<Arc<Board>, Error> {
        self.board.get(Duration::from_secs(1), queue.board()).await
    }

    pub(super) async fn dialling(&self, queue: &Queue) -> Result<Arc<Dialling>, Error> {
        self.dialling
            .get(Duration::from_secs(1), queue.dialling())
            .await
    }

    pub(super) async fn lately(&self, queue: &Queue) -> Result<Arc<Lately>, Error> {
        self.lately
            .get(Duration::from_secs(5), queue.lately())
            .await
    }

    pub(super) async fn latest(&self, queue: &Queue) -> Result<Arc<String>, Error> {
        self.latest
            .get(Duration::from_millis(500), queue.latest())
            .await
    }
}

struct Answer<T>(Mutex<Option<(Stopwatch, Duration, Arc<T>)>>);

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
        fresh: Duration,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        let mut kept = self.0.lock().await;
        if let Some((since, fresh_for, answer)) = &*kept
            && since.elapsed() < *fresh_for
        {
            return Ok(Arc::clone(answer));
        }
        let asked = Stopwatch::start();
        let answer = Arc::new(ask.await?);
        *kept = Some((
            Stopwatch::start(),
            fresh.max(asked.elapsed() * REST),
            Arc::clone(&answer),
        ));
        Ok(answer)
    }
}
