//! One reader for all who are up to date.
//!
//! While somebody follows, one task of the process asks for what is new, four times a second,
//! and gives each page to all of them; without followers there is no task and no statement.
//! NOTIFY cannot take its place: inside the transactions that write events it would serialise
//! their commits, and outside of them it is a hint that may be lost.
//!
//! A page names where it begins. Whoever is not there yet, because they have just come or do not
//! keep up, reads by themselves until they are; so nobody is waited for, and what is kept for
//! the slow is bounded.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, broadcast};

use super::{
    Event, EventCursor, EventError, EventFilter, EventPage, Heartbeat, Position, longer, read,
};
use crate::db::Pool;

/// How often to ask for what is new.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Pages kept for those who do not keep up: at most some 16 MiB.
const KEPT: usize = 16;
/// Events in a page, or about 1 MiB.
const PAGE: i32 = 500;
/// How many of those who are behind may read at the same time: so many connections, and one of the task.
const READERS: usize = 2;

/// Everything between two places.
#[derive(Debug)]
pub(super) struct Page {
    /// Nothing between here and the first event is missing. None: everybody must look for themselves.
    pub(super) begins: Option<Position>,
    pub(super) events: Vec<Arc<Event>>,
    pub(super) next: EventCursor,
}

#[derive(Debug)]
pub(in crate::flow) struct Tail {
    pool: Pool,
    pages: broadcast::Sender<Arc<Page>>,
    readers: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    heartbeat: Heartbeat,
}

impl Tail {
    pub(in crate::flow) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            pool,
            pages: broadcast::channel(KEPT).0,
            readers: Semaphore::new(READERS),
            state: Mutex::default(),
        })
    }

    /// The pages from now on.
    pub(super) fn join(self: &Arc<Self>) -> broadcast::Receiver<Arc<Page>> {
        let pages = self.pages.subscribe();
        let mut state = self.state();
        if !state.is_running {
            state.is_running = true;
            let task = Task {
                tail: Arc::clone(self),
                has_ended: false,
            };
            start(task.run());
        }
        pages
    }

    /// How far behind the events are.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.state().heartbeat.clone()
    }

    /// For one who is behind.
    pub(super) async fn read(
        &self,
        after: &str,
        filter: &EventFilter,
    ) -> Result<EventPage, EventError> {
        // Never closed; an error would only mean that nobody is counted.
        let _turn = self.readers.acquire().await;
        let page = read(&self.pool, after, PAGE, filter).await?;
        self.state().heartbeat = page.heartbeat.clone();
        Ok(page)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, begins: Option<Position>, page: EventPage) -> EventCursor {
        let next = page.next.clone();
        let page = Page {
            begins,
            events: page.events.into_iter().map(Arc::new).collect(),
            next: page.next,
        };
        // The last follower may have gone meanwhile.
        self.pages.send(Arc::new(page)).unwrap_or_default();
        next
    }
}

/// The task. However it ends, the next follower starts another one.
struct Task {
    tail: Arc<Tail>,
    /// Said under the lock: another one may be running already.
    has_ended: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.has_ended {
            self.tail.state().is_running = false;
        }
    }
}

impl Task {
    async fn run(mut self) {
        let tail = Arc::clone(&self.tail);
        let mut at: Option<EventCursor> = None;
        let mut pause = BETWEEN_LOOKS;
        while !self.is_left_alone() {
            let after = at.as_ref().map_or("now", EventCursor::as_str);
            match read(&tail.pool, after, PAGE, &EventFilter::default()).await {
                Ok(page) => {
                    pause = BETWEEN_LOOKS;
                    tail.state().heartbeat = page.heartbeat.clone();
                    let more = page.more;
                    if at.is_none() {
                        // What happened between a follower's look and this one is in no page.
                        at = Some(tail.send(None, page));
                    } else if !page.events.is_empty() {
                        at = Some(tail.send(at.as_ref().map(EventCursor::position), page));
                    }
                    if more {
                        continue;
                    }
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "events cannot be read; trying again");
                    if !matches!(error, EventError::Flow(_)) {
                        // Restored under our feet: each follower finds out what that means for it.
                        at = None;
                    }
                    tail.state().heartbeat = Heartbeat::default();
                    tokio::time::sleep(longer(&mut pause)).await;
                }
            }
        }
    }

    /// Under the lock, so that nobody joins between the look and the end.
    fn is_left_alone(&mut self) -> bool {
        let mut state = self.tail.state();
        self.has_ended = self.tail.pages.receiver_count() == 0;
        state.is_running = !self.has_ended;
        self.has_ended
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "its followers watch it: it ends with the last of them, and a dead one is replaced"
)]
fn start(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
