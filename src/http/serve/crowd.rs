//! Connected clients, and which of them gives way when all places are taken.
//!
//! A client that keeps the server waiting (idle, or sending its request a byte at a time) costs nothing while
//! there are places. When there are none, the one gives way that has kept the server waiting longest, of the
//! network with the most connections. So a crowd of slow clients cannot lock out a health check or a webhook,
//! and harms its own network first. A client that has sent its whole request is never disconnected before its
//! response, and no client before it has had a moment to send one.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::provider::Stopwatch;

/// The places of a server.
#[derive(Debug, Clone)]
pub(super) struct Crowd(Arc<Places>);

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    state: Mutex<State>,
    /// How long a client may keep the server waiting before it gives way.
    patience: Duration,
    /// Notified when a place becomes free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    here: HashMap<u64, Connected>,
}

#[derive(Debug)]
struct Connected {
    network: IpAddr,
    /// Since when it has kept the server waiting; none while it waits for the server.
    waiting: Option<Stopwatch>,
    leave: CancellationToken,
}

impl Crowd {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        Self(Arc::new(Places {
            free: Arc::new(Semaphore::new(most)),
            state: Mutex::default(),
            patience,
            freed: Notify::new(),
        }))
    }

    /// Waits for a place for a connection from this address.
    pub(super) async fn admit(&self, from: IpAddr) -> Guest {
        loop {
            let freed = self.0.freed.notified();
            if let Ok(permit) = Arc::clone(&self.0.free).try_acquire_owned() {
                return self.enter(from, permit);
            }
            self.make_room();
            // No place by then: check again for clients that have become slow.
            timeout(self.0.patience, freed).await.ok();
        }
    }

    /// Disconnects one client, unless one is being disconnected already.
    pub(super) fn make_room(&self) {
        self.0.state().make_room(self.0.patience);
    }

    fn enter(&self, from: IpAddr, permit: OwnedSemaphorePermit) -> Guest {
        let mut state = self.0.state();
        state.last_id += 1;
        let id = state.last_id;
        let leave = CancellationToken::new();
        let connected = Connected {
            network: network(from),
            waiting: Some(Stopwatch::start()),
            leave: leave.clone(),
        };
        state.here.insert(id, connected);
        Guest {
            id,
            leave,
            places: Arc::clone(&self.0),
            permit: Some(permit),
        }
    }
}

impl Places {
    fn state(&self) -> MutexGuard<'_, State> {
        // The guarded state is consistent between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_room(&mut self, patience: Duration) {
        if self.here.values().any(|one| one.leave.is_cancelled()) {
            return;
        }
        let mut crowds: HashMap<IpAddr, usize> = HashMap::new();
        for one in self.here.values() {
            *crowds.entry(one.network).or_default() += 1;
        }
        let slow = self.here.values().filter_map(|one| {
            let since = one.waiting?;
            let crowd = crowds.get(&one.network);
            (since.elapsed() >= patience).then_some(((crowd, Reverse(since)), &one.leave))
        });
        if let Some((_, leave)) = slow.max_by_key(|(order, _)| *order) {
            leave.cancel();
        }
    }
}

/// What one client can have many addresses of: an IPv6 /64 network, or an IPv4 address.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Place of a connection, freed when dropped.
#[derive(Debug)]
pub(super) struct Guest {
    id: u64,
    leave: CancellationToken,
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Guest {
    /// Resolves once it has to give way.
    pub(super) async fn must_leave(&self) {
        self.leave.cancelled().await;
    }

    /// Handle to observe its requests.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            id: self.id,
            places: Arc::clone(&self.places),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.places.state().here.remove(&self.id);
        self.permit = None;
        self.places.freed.notify_one();
    }
}

/// Observes when a client has sent its whole request, and when it has its response.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    id: u64,
    places: Arc<Places>,
}

impl Watch {
    /// Body of the request; at its end the client waits for the server.
    pub(super) fn request(self, body: hyper::body::Incoming) -> Body {
        if body.is_end_stream() {
            self.heard_out();
            return Body::empty();
        }
        Body::new(Incoming { body, watch: self })
    }

    /// Body of the response; once it is dropped the server waits for the client.
    pub(super) fn answer(self, body: Body) -> Body {
        Body::new(Answer { body, watch: self })
    }

    fn heard_out(&self) {
        self.set(None);
    }

    fn set(&self, waiting: Option<Stopwatch>) {
        if let Some(one) = self.places.state().here.get_mut(&self.id) {
            one.waiting = waiting;
        }
    }
}

struct Incoming {
    body: hyper::body::Incoming,
    watch: Watch,
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.watch.heard_out();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Answer {
    body: Body,
    watch: Watch,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.watch.set(Some(Stopwatch::start()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(most: usize) -> Crowd {
        Crowd::new(most, Duration::ZERO)
    }

    async fn enter(crowd: &Crowd, from: &str) -> Guest {
        crowd.admit(from.parse().unwrap()).await
    }

    fn leaving(guests: &[&Guest]) -> Vec<bool> {
        guests.iter().map(|one| one.leave.is_cancelled()).collect()
    }

    #[tokio::test]
    async fn whoever_waits_longest_of_the_largest_crowd_gives_way() {
        let crowd = crowd(4);
        let alone = enter(&crowd, "192.0.2.1").await;
        let first = enter(&crowd, "2001:db8::1").await;
        let second = enter(&crowd, "2001:db8::2").await;
        let third = enter(&crowd, "2001:db8::3").await;
        first.watch().heard_out();
        crowd.make_room();
        assert_eq!(
            leaving(&[&alone, &first, &second, &third]),
            [false, false, true, false]
        );
        // One at a time: the place that it frees may be enough.
        crowd.make_room();
        assert!(!third.leave.is_cancelled());
        drop(second);
        crowd.make_room();
        assert_eq!(leaving(&[&alone, &first, &third]), [false, false, true]);
    }

    #[tokio::test]
    async fn nobody_is_sent_away_before_their_moment() {
        let crowd = Crowd::new(1, Duration::from_mins(1));
        let hasty = enter(&crowd, "192.0.2.1").await;
        crowd.make_room();
        assert!(!hasty.leave.is_cancelled());
    }

    #[tokio::test]
    async fn nobody_is_sent_away_while_we_owe_an_answer() {
        let crowd = crowd(1);
        let busy = enter(&crowd, "192.0.2.1").await;
        busy.watch().heard_out();
        crowd.make_room();
        assert!(!busy.leave.is_cancelled());
        // Its response is written: it gives way, and the next one gets in.
        drop(busy.watch().answer(Body::empty()));
        let gives_way = async {
            busy.must_leave().await;
            drop(busy);
        };
        tokio::join!(enter(&crowd, "192.0.2.2"), gives_way);
    }
}
