//! Connections: accepted, bounded, watched, and let go in good order.
//!
//! `axum::serve` has no limit on how long a client may take to send its headers, so
//! that a few slow ones could hold every connection. This loop sets one, bounds what
//! headers may hold, how many connections there are and how long one may leave our answer
//! unread, and on stop lets requests that are under way end, for a bounded time.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};

// Clients that do not read.
mod stall;

use self::stall::Watched;

/// Between two attempts to accept after one failed (out of file descriptors, for one).
const PAUSE: Duration = Duration::from_millis(100);
/// So many failures in a row are no passing trouble.
const MOST_FAILURES: u32 = 100;

/// What a client may take of us.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// How long a client may take to send its headers; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// How large the headers may be, in bytes.
    pub largest_headers: usize,
    /// How many headers there may be.
    pub most_headers: usize,
    /// How long a client may read nothing of an answer that waits for it.
    pub stall_timeout: Duration,
    /// How many connections there may be; further ones wait to be accepted.
    pub most_connections: usize,
    /// On stop, how long requests under way may take to end.
    pub drain: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            largest_headers: 32 * 1024,
            most_headers: 64,
            stall_timeout: Duration::from_secs(30),
            most_connections: 2048,
            drain: Duration::from_secs(20),
        }
    }
}

/// Why a server ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listener no longer gives connections.
    #[error("no connection could be accepted for 10 s")]
    Accept(#[source] io::Error),
}

/// Serves until stopped, with the usual limits.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> Result<(), Error> {
    Server::default().serve(listener, router, stop).await
}

impl Server {
    /// Serves until stopped; requests under way then have `drain` to end.
    pub async fn serve(
        self,
        listener: TcpListener,
        router: Router,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let tasks = TaskTracker::new();
        let end = CancellationToken::new();
        let connections = Connections {
            http: self.http(),
            stall_timeout: self.stall_timeout,
            router,
            stop: stop.clone(),
            end: end.clone(),
        };
        let accepted = self
            .accept_all(&listener, &connections, &tasks, &stop)
            .await;
        // Whoever connects from here on is refused at once instead of waiting in a backlog.
        drop(listener);
        stop.cancel();
        tasks.close();
        if timeout(self.drain, tasks.wait()).await.is_err() {
            tracing::warn!(
                open = tasks.len(),
                "requests did not end in time and are cut off"
            );
            end.cancel();
            tasks.wait().await;
        }
        accepted
    }

    async fn accept_all(
        &self,
        listener: &TcpListener,
        connections: &Connections,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let permits = Arc::new(Semaphore::new(self.most_connections));
        let mut failures = 0;
        while let Some(accepted) = stop.run_until_cancelled(accept(listener, &permits)).await {
            match accepted {
                Ok((stream, permit)) => {
                    failures = 0;
                    tasks.spawn(connections.clone().run(stream, permit));
                }
                Err(error) if failures < MOST_FAILURES => {
                    failures += 1;
                    tracing::warn!(%error, "a connection could not be accepted");
                    stop.run_until_cancelled(sleep(PAUSE)).await;
                }
                Err(error) => return Err(Error::Accept(error)),
            }
        }
        Ok(())
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            // The parser's floor is 8 KiB.
            .max_buf_size(self.largest_headers.max(8 * 1024))
            .max_headers(self.most_headers);
        http
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

/// What every connection gets.
#[derive(Clone)]
struct Connections {
    http: http1::Builder,
    stall_timeout: Duration,
    router: Router,
    stop: CancellationToken,
    end: CancellationToken,
}

impl Connections {
    async fn run(self, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        let service = TowerToHyperService::new(service(self.router));
        let stream = TokioIo::new(Watched::new(stream, self.stall_timeout));
        let connection = self.http.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let stopped = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
        };
        let ended = if stopped.is_some() {
            stopped
        } else {
            connection.as_mut().graceful_shutdown();
            self.end.run_until_cancelled(connection).await
        };
        if let Some(Err(error)) = ended {
            // Slow, broken or vanished clients: their business, and too many to warn about.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn service(
    router: Router,
) -> impl Service<hyper::Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send {
    router.map_request(|request: hyper::Request<Incoming>| -> Request { request.map(Body::new) })
}
