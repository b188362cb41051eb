//! Following events: one at a time, or by handlers.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{
    Event, EventCursor, EventError, EventFilter, EventPage, Heartbeat, Since, longer,
    tail::{Page, Tail},
};
use crate::domain::CallId;

/// What to follow, and from where.
#[derive(Debug, Clone)]
#[must_use]
pub struct Follow {
    tail: Arc<Tail>,
    since: Since,
    filter: EventFilter,
}

impl Follow {
    pub(super) fn new(tail: Arc<Tail>) -> Self {
        Self {
            tail,
            since: Since::default(),
            filter: EventFilter::default(),
        }
    }

    /// Where to begin; default now.
    pub fn since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    /// Events of this kind; repeated calls add kinds.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.filter.kinds.push(kind.into());
        self
    }

    /// Events of calls of this campaign.
    pub fn campaign(mut self, name: impl Into<String>) -> Self {
        self.filter.campaign = Some(name.into());
        self
    }

    /// Events of calls on this trunk.
    pub fn trunk(mut self, name: impl Into<String>) -> Self {
        self.filter.trunk = Some(name.into());
        self
    }

    /// Events of this call.
    pub const fn call(mut self, call: CallId) -> Self {
        self.filter.call = Some(call);
        self
    }

    /// A whole filter at once.
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Begins. Fails if the cursor or the filter is not valid.
    pub async fn subscribe(self) -> Result<Subscription, EventError> {
        // Before the first read, so that no page falls between the two.
        let pages = self.tail.join();
        let page = self
            .tail
            .read(&self.since.to_string(), &self.filter)
            .await?;
        let mut subscription = Subscription {
            tail: self.tail,
            pages,
            filter: self.filter,
            ready: VecDeque::new(),
            seen: page.next.clone(),
            reached: page.next.clone(),
            is_behind: true,
            is_over: false,
        };
        if !page.events.is_empty() {
            // Until these events are handed out none was seen: the cursor stays at the beginning.
            subscription.seen = EventCursor::from(self.since.to_string());
        }
        subscription.keep(page);
        Ok(subscription)
    }

    /// What to do with events of this kind.
    ///
    /// ```no_run
    /// # use pgdial::{EventError, Queue};
    /// # use tokio_util::sync::CancellationToken;
    /// # async fn follow(queue: &Queue, stop: CancellationToken) -> Result<(), EventError> {
    /// queue
    ///     .events()
    ///     .campaign("spring")
    ///     .on("completed", |event| async move { println!("{} was reached", event.call_id) })
    ///     .on("failed", |event| async move { println!("{}: {:?}", event.call_id, event.outcome) })
    ///     .run(stop)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<F, R>(self, kind: impl Into<String>, handler: F) -> Handlers
    where
        F: Fn(Arc<Event>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let follow = Self {
            filter: EventFilter {
                kinds: Vec::new(),
                ..self.filter
            },
            ..self
        };
        let handlers = Handlers {
            follow,
            handlers: Vec::new(),
        };
        handlers.on(kind, handler)
    }
}

type Handler = Box<dyn Fn(Arc<Event>) -> BoxFuture<'static, ()> + Send + Sync>;

/// Handlers by kind of event.
#[must_use]
pub struct Handlers {
    follow: Follow,
    handlers: Vec<(String, Handler)>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&String> = self.handlers.iter().map(|(kind, _)| kind).collect();
        f.debug_struct("Handlers")
            .field("kinds", &kinds)
            .finish_non_exhaustive()
    }
}

impl Handlers {
    /// Adds a handler for this kind. Several handlers of one kind run in their order.
    pub fn on<F, R>(mut self, kind: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Arc<Event>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let kind = kind.into();
        self.follow = self.follow.kind(kind.clone());
        self.handlers
            .push((kind, Box::new(move |event| Box::pin(handler(event)))));
        self
    }

    /// Calls the handlers, one event after another, until stopped; an event is done when its handlers have
    /// returned. Returns the cursor to continue from.
    pub async fn run(self, stop: CancellationToken) -> Result<EventCursor, EventError> {
        let mut events = self.follow.subscribe().await?;
        while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
            let event = event?;
            for (_, handler) in self.handlers.iter().filter(|(kind, _)| *kind == event.kind) {
                handler(Arc::clone(&event)).await;
            }
        }
        Ok(events.cursor().clone())
    }
}

/// Events as they happen.
#[derive(Debug)]
pub struct Subscription {
    tail: Arc<Tail>,
    pages: broadcast::Receiver<Arc<Page>>,
    filter: EventFilter,
    ready: VecDeque<Arc<Event>>,
    /// Last event handed out, or skipped after it.
    seen: EventCursor,
    /// End of what is ready.
    reached: EventCursor,
    is_behind: bool,
    is_over: bool,
}

impl Subscription {
    /// Waits for the next event. None only after an error. Also waits while the database does not respond.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Arc<Event>, EventError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.seen = event.cursor.clone();
                return Some(Ok(event));
            }
            self.seen = self.reached.clone();
            if self.is_over {
                return None;
            }
            if self.is_behind {
                if let Err(error) = self.catch_up().await {
                    self.is_over = true;
                    return Some(Err(error));
                }
            } else {
                match self.pages.recv().await {
                    Ok(page) => self.take(&page),
                    Err(RecvError::Lagged(_)) => self.is_behind = true,
                    Err(RecvError::Closed) => self.is_over = true,
                }
            }
        }
    }

    /// Next event, if one is ready.
    pub fn next_ready(&mut self) -> Option<Arc<Event>> {
        let event = self.ready.pop_front()?;
        self.seen = event.cursor.clone();
        Some(event)
    }

    /// Where to continue after the last event of [`next`](Self::next).
    pub const fn cursor(&self) -> &EventCursor {
        &self.seen
    }

    /// How far the events lag, and because of which sessions.
    pub fn heartbeat(&self) -> Heartbeat {
        self.tail.heartbeat()
    }

    /// Reads one page for this subscription only.
    async fn catch_up(&mut self) -> Result<(), EventError> {
        let mut pause = Duration::from_millis(250);
        loop {
            match self.tail.read(self.reached.as_str(), &self.filter).await {
                Ok(page) => {
                    self.keep(page);
                    return Ok(());
                }
                Err(EventError::Flow(error)) => {
                    tracing::warn!(%error, "events cannot be read; trying again");
                    tokio::time::sleep(longer(&mut pause)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn keep(&mut self, page: EventPage) {
        self.is_behind = page.more;
        self.reached = page.next;
        self.ready.extend(page.events.into_iter().map(Arc::new));
    }

    /// Takes a page of all events, some of which may have been seen.
    fn take(&mut self, page: &Page) {
        let reached = self.reached.position();
        if page.begins.is_none_or(|begins| begins > reached) {
            self.is_behind = true;
            return;
        }
        let new = page
            .events
            .iter()
            .filter(|event| event.cursor.position() > reached);
        self.ready
            .extend(new.filter(|event| self.filter.lets_pass(event)).cloned());
        if page.next.position() > reached {
            self.reached = page.next.clone();
        }
    }
}
