//! The interface for programs that embed pgdial: the queue and a worker, without the verbs below them.

use std::{error::Error as StdError, fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    app,
    config::WorkerSettings,
    db::{self, PgConnection},
    domain::{CallId, CallRequest, Networks},
    flow::{
        self,
        cancel::Canceled,
        enqueue::{Enqueued, Request},
        events::Follow,
        view::Call,
        webhook::{Event as ProviderEvent, Verdict},
    },
    http,
    lifecycle::Supervisor,
    provider::{Provider, signature::Secrets},
    trunks::{Trunk, Trunks},
};

/// Defaults of a worker: concurrent dials, and retention of finished calls.
const PERMITS: usize = 30;
const POLL: Duration = Duration::from_secs(30);
const KEEP_FINISHED: Duration = Duration::from_hours(7 * 24);

/// What failed, with its causes as [`source`](StdError::source).
pub struct Error(Box<dyn StdError + Send + Sync>);

impl Error {
    fn of(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self(Box::new(cause))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// The calls of one database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Queue {
    verbs: flow::Queue,
    url: Arc<str>,
    name: Arc<str>,
}

impl Queue {
    /// Connects to the database at `url`, with at most eight connections.
    ///
    /// `name` identifies the program: the history shows it, and idempotency keys are scoped to it.
    pub async fn connect(url: &str, name: &str) -> Result<Self, Error> {
        let pool = db::connect(url, name, app::API_CONNECTIONS).await;
        Ok(Self {
            verbs: flow::Queue::new(pool.map_err(Error::of)?),
            url: url.into(),
            name: name.into(),
        })
    }

    /// Creates the schema `pgdial`, or upgrades it to this release. Must run as the schema's owner: the role
    /// that ran this, or `pgdial migrate`, first.
    pub async fn migrate(&self) -> Result<(), Error> {
        let migrated = db::migrate(self.verbs.pool()).await;
        migrated.map(drop).map_err(Error::of)
    }

    /// Enqueues a call. Durable when this returns.
    pub async fn enqueue(&self, request: &CallRequest) -> Result<Enqueued, Error> {
        let answers = self.enqueue_many(std::slice::from_ref(request)).await?;
        one(answers)
    }

    /// Enqueues calls in one statement; returns one result for each, in their order. A request that is
    /// refused does not affect the others.
    pub async fn enqueue_many(&self, requests: &[CallRequest]) -> Result<Vec<Enqueued>, Error> {
        let requests = written(requests)?;
        let answers = self.verbs.enqueue_all(&self.name, &requests).await;
        self.verbs.send_wakes().await;
        answers.map_err(Error::of)
    }

    /// Enqueues a call in the transaction of this connection.
    ///
    /// It is dialed once that commits, and never if it is rolled back. The commit wakes the workers. The
    /// connection's role needs the rights of `pgdial_worker`, like every user of the queue.
    pub async fn enqueue_in(
        &self,
        connection: &mut PgConnection,
        request: &CallRequest,
    ) -> Result<Enqueued, Error> {
        let requests = std::slice::from_ref(request);
        one(self.enqueue_many_in(connection, requests).await?)
    }

    /// As [`Queue::enqueue_in`], for many calls; returns one result for each, in their order.
    pub async fn enqueue_many_in(
        &self,
        connection: &mut PgConnection,
        requests: &[CallRequest],
    ) -> Result<Vec<Enqueued>, Error> {
        let requests = written(requests)?;
        let answers = flow::Queue::enqueue_in(connection, &self.name, &requests).await;
        answers.map_err(Error::of)
    }

    /// A call with its attempts and its history; none if there is no such call.
    pub async fn call(&self, id: CallId) -> Result<Option<Call>, Error> {
        self.verbs.show(id).await.map_err(Error::of)
    }

    /// Cancels a waiting call; asks the provider to end one in flight.
    pub async fn cancel(&self, id: CallId, why: Option<&str>) -> Result<Canceled, Error> {
        let canceled = self.verbs.cancel(id, &self.name, why).await;
        self.verbs.send_wakes().await;
        canceled.map_err(Error::of)
    }

    /// Follows events in an order that never skips one.
    pub fn events(&self) -> Follow {
        self.verbs.events()
    }

    /// Applies a provider's report that arrived by another way than the webhook. It is stored once and
    /// applied once; durable when this returns.
    pub async fn report(&self, event: ProviderEvent<'_>) -> Result<Verdict, Error> {
        let verdict = self.verbs.webhook(event).await;
        self.verbs.send_wakes().await;
        verdict.map_err(Error::of)
    }
}

fn written(requests: &[CallRequest]) -> Result<Vec<Request>, Error> {
    let requests = requests.iter().map(Request::new);
    requests.collect::<Result<_, _>>().map_err(Error::of)
}

fn one(mut answers: Vec<Enqueued>) -> Result<Enqueued, Error> {
    answers
        .pop()
        .ok_or_else(|| Error::of(flow::enqueue::no_row()))
}

/// Dials the calls of a queue: claims them, asks their providers, learns how they end, and retries. Any
/// number of workers share a queue.
#[derive(Debug)]
#[must_use]
pub struct Worker {
    queue: Queue,
    trunks: Vec<Trunk>,
    public_url: String,
    permits: usize,
    keep_finished: Option<Duration>,
    webhooks: Option<SocketAddr>,
    endpoint_networks: Networks,
}

impl Worker {
    /// A worker without trunks. `public_url` is where providers reach a webhook endpoint: this worker's
    /// ([`Worker::webhooks_on`]), another worker's, or that of `pgdial api`.
    pub fn new(queue: &Queue, public_url: impl Into<String>) -> Self {
        Self {
            queue: queue.clone(),
            trunks: Vec::new(),
            public_url: public_url.into(),
            permits: PERMITS,
            keep_finished: Some(KEEP_FINISHED),
            webhooks: None,
            endpoint_networks: Networks::default(),
        }
    }

    /// Dials this trunk's calls with this provider.
    ///
    /// `default` exists in every database; others are created with `pgdial trunks create`. The first of the
    /// secrets also protects the URLs that the provider reports to.
    pub fn trunk(
        mut self,
        name: impl Into<String>,
        provider: Arc<dyn Provider>,
        secrets: Secrets,
    ) -> Self {
        self.trunks.push(Trunk {
            name: name.into(),
            provider,
            secrets,
        });
        self
    }

    /// Limit of dial requests under way; default 30. The limit of calls in flight is the trunk's, in the
    /// database.
    pub const fn permits(mut self, permits: usize) -> Self {
        self.permits = permits;
        self
    }

    /// Retention of finished calls; default 7 days, `None` keeps them for ever.
    pub const fn keep_finished(mut self, keep: Option<Duration>) -> Self {
        self.keep_finished = keep;
        self
    }

    /// Networks that events may be delivered to although they are not public, and over `http://` too; default none.
    pub fn endpoint_networks(mut self, networks: Networks) -> Self {
        self.endpoint_networks = networks;
        self
    }

    /// Listens on this address for webhooks, and serves `/healthz`, `/readyz` and `/metrics` there.
    pub const fn webhooks_on(mut self, address: SocketAddr) -> Self {
        self.webhooks = Some(address);
        self
    }

    /// Works until `stop` is cancelled, and then until the dials under way are recorded. Returns the reason
    /// if a part of it fails permanently.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Queue { verbs, url, name } = self.queue;
        db::check_schema(verbs.pool()).await.map_err(Error::of)?;
        let trunks: Trunks = self.trunks.into_iter().collect();
        let grace = trunks.grace();
        let mut supervisor = Supervisor::until(&stop);
        if let Some(address) = self.webhooks {
            let listener = app::bind(address).map_err(Error::of)?;
            let settings = http::Settings {
                trunks: trunks.clone(),
                ..http::Settings::default()
            };
            let routes = http::webhooks_router(verbs.clone(), settings);
            let stop = supervisor.stop();
            supervisor.spawn("webhooks", http::serve(listener, routes, stop));
        }
        let pool = db::connect(&url, &format!("{name} worker"), app::WORKER_CONNECTIONS).await;
        let beside = verbs.beside(pool.map_err(Error::of)?);
        let settings = WorkerSettings {
            trunks,
            public_url: self.public_url,
            permits: self.permits,
            poll: Some(POLL),
            keep_finished: self.keep_finished,
            endpoint_networks: self.endpoint_networks,
        };
        let started = app::start_worker(&mut supervisor, &beside, settings).await;
        started.map_err(Error::of)?;
        app::start_notifier(&mut supervisor, verbs);
        supervisor.run(grace).await.map_err(Error::of)
    }
}
