//! One reader for all subscriptions that are up to date.
//!
//! While there are subscriptions, one task of the process polls for new events four times a second and hands
//! each page to all of them; otherwise there is no task and no statement. NOTIFY cannot replace it: inside
//! the transactions that write events it would serialize their commits, and outside of them it is a hint that
//! may be lost.
//!
//! A page names where it begins. A subscription that has not got there, because it is new or slow, reads by
//! itself until it has; so nobody waits for it, and what is kept for the slow is bounded.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, broadcast};

use super::{
    Event, EventCursor, EventError, EventFilter, EventPage, Heartbeat, Position, longer, read,
};
use crate::db::Pool;

/// Time between two polls.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Pages kept for slow subscriptions: at most about 16 MiB.
const KEPT: usize = 16;
/// Events in a page, or about 1 MiB.
const PAGE: i32 = 500;
/// Subscriptions that may catch up at the same time, each on its own connection; the task uses one more.
const READERS: usize = 2;

/// All events between two positions.
#[derive(Debug)]
pub(super) struct Page {
    /// Nothing between here and the first event is missing. None: each subscription must read for itself.
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

    /// Receives the pages from now on.
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

    /// How far the events lag.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.state().heartbeat.clone()
    }

    /// Reads a page for a subscription that is behind.
    pub(super) async fn read(
        &self,
        after: &str,
        filter: &EventFilter,
    ) -> Result<EventPage, EventError> {
        // Never closed; an error would only mean that readers are not limited.
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
        // The last subscription may have gone meanwhile.
        self.pages.send(Arc::new(page)).unwrap_or_default();
        next
    }
}

/// The task. However it ends, the next subscription starts another one.
struct Task {
    tail: Arc<Tail>,
    /// Set under the lock: another task may be running already.
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
                        // What happened between a subscription's read and this one is in no page.
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
                        // The database was restored meanwhile: each subscription finds out what that means
                        // for it.
                        at = None;
                    }
                    tail.state().heartbeat = Heartbeat::default();
                    tokio::time::sleep(longer(&mut pause)).await;
                }
            }
        }
    }

    /// Under the lock, so that no subscription joins between the check and the end.
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
