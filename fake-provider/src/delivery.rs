//! Signed webhooks, sent again until they are accepted, as real providers do.
//!
//! Each call has an [`Outbox`], whose carrier makes the first attempt for its events in order; a failed one
//! is retried by a task of its own, so that a refused event does not delay the next, and events may overtake
//! each other, as they do at real providers. An event keeps its id across deliveries, and is signed anew each
//! time.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::{Request, Uri, body::Bytes, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    clock,
    dialect::{Dialect, Webhook},
    options::FakeOptions,
    rules::{Behaviour, Plan},
};

const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Limit for one attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signs and sends webhooks.
#[derive(Debug)]
pub(super) struct Courier {
    client: Sender,
    dialect: Arc<dyn Dialect>,
    redeliver_for: Duration,
    redeliver_times: u32,
    undelivered: AtomicUsize,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Without TLS on systems without certificates: a fake provider mostly talks to its own host.
#[derive(Debug)]
enum Sender {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Courier {
    pub(super) fn new(
        options: &FakeOptions,
        dialect: Arc<dyn Dialect>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let builder = Client::builder(Tracked {
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let client = match hyper_rustls::HttpsConnectorBuilder::new().with_native_roots() {
            Ok(tls) => Sender::Tls(builder.build(tls.https_or_http().enable_http1().build())),
            Err(_no_roots) => Sender::Plain(builder.build_http()),
        };
        Self {
            client,
            dialect,
            redeliver_for: options.redeliver_for,
            redeliver_times: options.redeliver_times,
            undelivered: AtomicUsize::new(0),
            tasks,
            stop,
        }
    }

    /// Webhooks still to be delivered.
    pub(super) fn undelivered(&self) -> usize {
        self.undelivered.load(Ordering::SeqCst)
    }

    /// Makes the first attempt; retries in the background if it fails.
    async fn deliver(self: &Arc<Self>, url: &Uri, webhook: Webhook) {
        if self.attempt(url, &webhook).await {
            self.undelivered.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let (courier, url) = (Arc::clone(self), url.clone());
        self.tasks.spawn(async move {
            let again = courier.redeliver(&url, &webhook);
            courier.stop.run_until_cancelled(again).await;
            courier.undelivered.fetch_sub(1, Ordering::SeqCst);
        });
    }

    async fn redeliver(&self, url: &Uri, webhook: &Webhook) {
        let began = Instant::now();
        let usual = || {
            let times = usize::try_from(self.redeliver_times).unwrap_or(usize::MAX);
            let pauses = PAUSES.into_iter().chain(iter::repeat(LAST_PAUSE));
            pauses.take(times).collect()
        };
        for pause in webhook.pauses.clone().unwrap_or_else(usual) {
            tokio::time::sleep(pause).await;
            if self.attempt(url, webhook).await {
                return;
            }
            if began.elapsed() >= self.redeliver_for {
                break;
            }
        }
        tracing::warn!(
            event.id = webhook.event_id,
            "gave up a webhook that nobody accepts"
        );
    }

    /// One attempt; true if it was accepted.
    async fn attempt(&self, url: &Uri, webhook: &Webhook) -> bool {
        let Ok(request) = self.signed(url, webhook) else {
            return false;
        };
        let answer = match &self.client {
            Sender::Plain(client) => client.request(request),
            Sender::Tls(client) => client.request(request),
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(response)) => self.dialect.is_accepted(response.status()),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    fn signed(
        &self,
        url: &Uri,
        webhook: &Webhook,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let request = Request::post(url.clone()).header(header::CONTENT_TYPE, webhook.content_type);
        let webhook = self.dialect.delivered(webhook);
        let request = self.dialect.sign(request, url, &webhook, clock::unix_ms());
        request.body(Full::new(webhook.body))
    }
}

/// Webhooks of one call, in the order of its events. Closed by dropping it.
#[derive(Debug)]
pub(super) struct Outbox {
    courier: Arc<Courier>,
    queue: Option<mpsc::UnboundedSender<(Instant, Webhook)>>,
}

impl Outbox {
    /// Opens one; `reported` is cancelled when it is closed and every first attempt has been made.
    pub(super) fn open(
        courier: &Arc<Courier>,
        url: Option<Uri>,
        plan: &Plan,
        reported: CancellationToken,
    ) -> Self {
        let (sender, queue) = mpsc::unbounded_channel();
        let url = url.filter(|_| !plan.does(&Behaviour::Lost));
        if url.is_none() {
            reported.cancel();
        }
        let queued = url.map(|url| {
            let carrier = Carrier {
                courier: Arc::clone(courier),
                url,
                late: plan.late.unwrap_or_default(),
                copies: if plan.does(&Behaviour::Dup) { 2 } else { 1 },
                reorder: plan.does(&Behaviour::Reorder),
                queue,
            };
            let stop = courier.stop.clone();
            courier.tasks.spawn(async move {
                stop.run_until_cancelled(carrier.carry()).await;
                reported.cancel();
            });
            sender
        });
        Self {
            courier: Arc::clone(courier),
            queue: queued,
        }
    }

    /// Appends a webhook. Dropped if there is no URL, or if webhooks are to get lost.
    pub(super) fn post(&self, webhook: Webhook) {
        let Some(queue) = &self.queue else {
            return;
        };
        // Counted before it can be delivered, or the count could go below zero.
        self.courier.undelivered.fetch_add(1, Ordering::SeqCst);
        if queue.send((Instant::now(), webhook)).is_err() {
            self.courier.undelivered.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Takes the webhooks of one call to their first attempt.
#[derive(Debug)]
struct Carrier {
    courier: Arc<Courier>,
    url: Uri,
    late: Duration,
    copies: usize,
    reorder: bool,
    queue: mpsc::UnboundedReceiver<(Instant, Webhook)>,
}

impl Carrier {
    async fn carry(mut self) {
        let mut held = Vec::new();
        while let Some((posted, webhook)) = self.queue.recv().await {
            // Even an expired timer costs its rounding, up to a millisecond.
            if !self.late.is_zero() {
                tokio::time::sleep_until(posted + self.late).await;
            }
            if self.reorder && !webhook.is_last {
                held.push(webhook);
                continue;
            }
            self.reorder &= !webhook.is_last;
            self.deliver(webhook).await;
            for webhook in held.drain(..) {
                self.deliver(webhook).await;
            }
        }
    }

    async fn deliver(&self, webhook: Webhook) {
        for _copy in 1..self.copies {
            self.courier.undelivered.fetch_add(1, Ordering::SeqCst);
            self.courier.deliver(&self.url, webhook.clone()).await;
        }
        self.courier.deliver(&self.url, webhook).await;
    }
}

/// Runs the client's connections as tracked tasks, so that none outlives the fake provider.
#[derive(Debug, Clone)]
struct Tracked {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(future).await;
        });
    }
}
