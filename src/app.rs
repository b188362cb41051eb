//! The processes: which loops `serve`, `api` and `work` consist of.

use std::net::SocketAddr;

use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{Settings, WorkerSettings},
    db,
    deliverer::Deliverer,
    dialer::Dialer,
    dispatcher::Dispatcher,
    flow::{Queue, heartbeat::Worker},
    heartbeat, http,
    lifecycle::{self, Supervisor},
    sweeper::Sweeper,
    trunks::Trunks,
};

/// Connections for the verbs of the API, at most, beside the one that hears of changed keys.
///
/// The API and the worker have a pool each, so that a flood of requests cannot starve the dialing, nor the
/// reverse. Both are small on purpose: on a few cores more connections only make Postgres switch between
/// them. Writes of many tasks go through batchers (`src/flow/batcher.rs`), so connections do not grow with
/// the load: one statement at a time for each verb, and two for items retried alone. In the API these are
/// webhooks, and enqueues with two concurrent statements; the rest is for all other requests.
pub const API_CONNECTIONS: u32 = 8;
/// Connections for a worker, at most, beside the one that listens.
///
/// Claim, `dialed`, settle, sweep and deliveries each use one while busy; defer, doubt and the heartbeat rarely
/// do. That leaves two for items that wait for a row. When all are in use a task waits for one, usually for
/// milliseconds.
pub const WORKER_CONNECTIONS: u32 = 8;

/// Loops that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// API, webhook endpoint and worker.
    Serve,
    /// API and webhook endpoint only.
    Api,
    /// Worker only.
    Work,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Work => "work",
        }
    }
}

/// Why a process cannot start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// LISTEN does not work.
    #[error(transparent)]
    Listen(#[from] crate::flow::wake::ListenError),
    /// The address is in use, or not of this host.
    #[error("cannot listen on {address}")]
    Bind {
        /// Address to listen on.
        address: SocketAddr,
        /// Cause.
        #[source]
        cause: std::io::Error,
    },
    /// Strangers could order calls.
    #[error(
        "there is no API key: listening on {address} would let everybody who reaches it order calls"
    )]
    NoKeys {
        /// Address to listen on.
        address: SocketAddr,
    },
    /// The keys cannot be read.
    #[error(transparent)]
    Flow(#[from] crate::flow::Error),
    /// A loop died.
    #[error(transparent)]
    Lifecycle(#[from] lifecycle::Error),
}

/// Runs a process until it is told to stop.
pub async fn run(role: Role, settings: Settings) -> Result<(), Error> {
    let url = settings.database_url.expose_secret();
    let connections = if role == Role::Work {
        WORKER_CONNECTIONS
    } else {
        API_CONNECTIONS
    };
    let pool = db::connect(url, role.as_str(), connections).await?;
    if settings.migrate {
        let migrated = db::migrate(&pool).await?;
        tracing::info!("{migrated}");
    }
    db::check_schema(&pool).await?;
    let calls = Queue::new(pool);

    let mut supervisor = Supervisor::new()?;
    if role != Role::Work {
        let is_open = settings.listen.ip().is_loopback();
        // Once there was a key, a server asks for one, so what holds now holds for as long as it runs.
        if !is_open && settings.api_keys.is_empty() && calls.known_keys().await?.is_empty() {
            let address = settings.listen;
            return Err(Error::NoKeys { address });
        }
        let listener = bind(settings.listen)?;
        let trunks = settings.worker.trunks.clone();
        let keys = settings.api_keys.iter();
        let keys = keys.map(|key| (key.name.as_str(), key.key.expose_secret()));
        start_api(
            &mut supervisor,
            calls.clone(),
            listener,
            http::Settings {
                api_keys: keys.collect(),
                is_open,
                is_viewable: settings.open_view,
                trunks,
                most_streams: settings.event_streams,
                largest_webhook: settings.largest_webhook,
                public_url: settings.worker.public_url.clone(),
                ..http::Settings::default()
            },
        );
        tracing::info!(address = %settings.listen, "listening");
    }
    if let Some(address) = settings.metrics_listen {
        let listener = bind(address)?;
        let routes = http::operators_router(calls.clone());
        let stop = supervisor.stop();
        supervisor.spawn("metrics", http::serve(listener, routes, stop));
        tracing::info!(%address, "answering /metrics");
    }
    match role {
        Role::Api => {}
        Role::Work => {
            // A process with only a worker has nothing to do once it is drained.
            let when_drained = supervisor.stop();
            start_worker_until(&mut supervisor, &calls, settings.worker, when_drained).await?;
        }
        Role::Serve => {
            let pool = db::connect(url, "worker", WORKER_CONNECTIONS).await?;
            start_worker(&mut supervisor, &calls.beside(pool), settings.worker).await?;
        }
    }
    start_notifier(&mut supervisor, calls);
    Ok(supervisor.run(settings.grace).await?)
}

/// Length of the accept backlog. The kernel drops connections beyond it, and a client retries after a second
/// or two: longer than any of them waits here.
const BACKLOG: u32 = 4096;

/// Binds an address.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // As the standard library's listener does.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|cause| Error::Bind { address, cause })
}

/// Starts the API and the webhook endpoint.
pub fn start_api(
    supervisor: &mut Supervisor,
    calls: Queue,
    listener: TcpListener,
    settings: http::Settings,
) {
    let stop = supervisor.stop();
    let settings = http::Settings {
        stop: stop.clone(),
        ..settings
    };
    let (listener_of_keys, until) = (calls.clone(), stop.clone());
    supervisor.spawn("keys", async move {
        listener_of_keys.run_key_listener(until).await;
        Ok::<(), std::convert::Infallible>(())
    });
    supervisor.spawn(
        "api",
        http::serve(listener, http::router(calls, settings), stop),
    );
}

/// Starts the task that sends this process's wakes to the others: one per process.
pub fn start_notifier(supervisor: &mut Supervisor, calls: Queue) {
    let stop = supervisor.stop();
    supervisor.spawn("notifier", async move {
        calls.run_notifier(stop).await;
        Ok::<(), std::convert::Infallible>(())
    });
}

/// Starts a worker: it listens, claims, dials, sweeps, delivers events, and sends heartbeats.
///
/// Refuses a pooler through which LISTEN does not deliver. Once drained, it claims nothing more, and the rest
/// of the process goes on.
pub async fn start_worker(
    supervisor: &mut Supervisor,
    calls: &Queue,
    settings: WorkerSettings,
) -> Result<(), Error> {
    let drained = supervisor.stop().child_token();
    start_worker_until(supervisor, calls, settings, drained).await
}

/// A trunk of the settings alone gets no calls, which looks like idleness.
async fn warn_of_unknown(calls: &Queue, trunks: &Trunks) {
    let known = match calls.trunks(None).await {
        Ok(known) => known,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot read which trunks the database has");
            return;
        }
    };
    let names = trunks.names().into_iter();
    for trunk in names.filter(|name| !known.iter().any(|trunk| trunk.name == *name)) {
        tracing::warn!(
            trunk,
            "the database has no trunk of this name: pgdial trunks create {trunk}, then pgdial campaigns set NAME --trunk {trunk}"
        );
    }
}

/// As `start_worker`; `drained` is cancelled when the worker is drained, and ends its claims.
async fn start_worker_until(
    supervisor: &mut Supervisor,
    calls: &Queue,
    settings: WorkerSettings,
    drained: CancellationToken,
) -> Result<(), Error> {
    let calls = &calls.clone().at(settings.trunks.declared());
    calls.check_listen().await?;
    warn_of_unknown(calls, &settings.trunks).await;
    let stop = supervisor.stop();
    let worker = Worker {
        id: Uuid::new_v4(),
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        pid: std::process::id(),
        release: env!("CARGO_PKG_VERSION"),
        permits: settings.permits,
        trunks: settings.trunks.names(),
        stopping: false,
    };
    let dialer = Dialer::new(
        calls.clone(),
        settings.trunks.clone(),
        &settings.public_url,
        stop.clone(),
    );
    let dispatcher = Dispatcher::new(
        calls.clone(),
        dialer.clone(),
        worker.id,
        &worker.trunks,
        settings.permits,
        settings.poll,
    );
    let sweeper = Sweeper::new(
        calls.clone(),
        settings.trunks,
        dialer,
        settings.keep_finished,
    );
    tracing::info!(worker.id = %worker.id, worker.permits = worker.permits, worker.trunks = worker.trunks.join(","), "working");

    let listener = calls.clone();
    let listener_stop = stop.clone();
    supervisor.spawn("listener", async move {
        listener.run_listener(listener_stop).await;
        Ok::<(), std::convert::Infallible>(())
    });
    supervisor.spawn(
        "heartbeat",
        heartbeat::run(calls.clone(), worker, stop.clone(), drained.clone()),
    );
    let until = stop.clone();
    supervisor.spawn("dispatcher", async move {
        dispatcher.run(drained).await?;
        // Drained, it is done; a loop that ended before the process would count as dead.
        until.cancelled().await;
        Ok::<(), crate::flow::Error>(())
    });
    supervisor.spawn("sweeper", sweeper.run(stop.clone()));
    let deliverer = Deliverer::new(calls.clone(), settings.endpoint_networks);
    supervisor.spawn("deliverer", deliverer.run(stop));
    Ok(())
}
