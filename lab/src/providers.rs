//! In-process providers, so that pgdial and Postgres are measured rather than a network.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::BoxFuture;
use pgdial::{
    domain::{Concerns, Outcome, Placement, Reference, Refusal, Report},
    provider::{self, Cancellation, LookedUp, Order, Provider, Webhook, protocol},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// Says at once that there is no such number, which ends the attempt for good.
#[derive(Debug)]
pub struct Instant {
    /// How many dials to expect in all.
    expected: usize,
    placed: AtomicUsize,
    all: Notify,
    /// Calls of the newest dials.
    newest: Mutex<VecDeque<Uuid>>,
    keep: usize,
}

impl Instant {
    /// Expects `expected` dials; remembers the last `keep` of them.
    pub fn new(expected: usize, keep: usize) -> Arc<Self> {
        Arc::new(Self {
            expected,
            placed: AtomicUsize::new(0),
            all: Notify::new(),
            newest: Mutex::new(VecDeque::with_capacity(keep + 1)),
            keep,
        })
    }

    /// Dials so far.
    pub fn placed(&self) -> usize {
        self.placed.load(Ordering::Acquire)
    }

    /// Waits until all expected dials were placed.
    pub async fn until_all(&self) {
        while self.placed() < self.expected {
            self.all.notified().await;
        }
    }

    /// Calls of the newest dials.
    pub fn newest(&self) -> Vec<Uuid> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.iter().copied().collect()
    }
}

impl Provider for Instant {
    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(async move {
            {
                let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
                newest.push_back(order.call.id.0);
                if newest.len() > self.keep {
                    newest.pop_front();
                }
            }
            if self.placed.fetch_add(1, Ordering::AcqRel) + 1 >= self.expected {
                self.all.notify_one();
            }
            Placement::Refused(Refusal::Permanent {
                outcome: Outcome::InvalidNumber,
                concerns: Concerns::Number,
                why: "no such number".to_owned(),
            })
        })
    }

    fn cancel<'a>(
        &'a self,
        _provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, provider::Error>> {
        Box::pin(async { Ok(Cancellation::AlreadyOver) })
    }

    fn look_up<'a>(
        &'a self,
        _dial: Reference,
        _provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, provider::Error>> {
        Box::pin(async { Ok(LookedUp::Unsupported) })
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        protocol::read_report(webhook.body)
    }
}
