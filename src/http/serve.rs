//! Connections: accepted, bounded, watched, and closed in good order.
//!
//! `axum::serve` does not limit how long a client may take to send its headers, so a few slow clients could
//! hold every connection. This loop limits that, the size of headers, the number of connections, and how long
//! a response may stay unread; on stop it lets requests under way finish, for a bounded time. When all places
//! are taken, a client that keeps the server waiting gives way to the next ([`crowd`]).

use std::{convert::Infallible, io, time::Duration};

use axum::{Router, body::Body, response::Response};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

// Clients that do not read.
mod stall;

// Clients that keep the server waiting.
mod crowd;

mod descriptors;

use self::{
    crowd::{Crowd, Guest, Watch},
    stall::Watched,
};

/// Pause after a failed accept (out of file descriptors, for example).
const PAUSE: Duration = Duration::from_millis(100);
/// Of consecutive failures, one in this many is logged.
const LOG_EVERY: u32 = 100;

/// Limits for clients.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Limit for a client to send its headers; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// Size limit of the headers, in bytes.
    pub largest_headers: usize,
    /// Limit of the number of headers.
    pub most_headers: usize,
    /// How long a client may leave a pending response unread.
    pub stall_timeout: Duration,
    /// Limit of connections. For a further one, a client that keeps the server waiting gives way; if there is
    /// none, the new one waits. Default: half of the process's file descriptors, 2048 at most.
    pub most_connections: usize,
    /// How long a client may keep the server waiting (idle, or with a part of its request) before it gives
    /// way to a further connection.
    pub patience: Duration,
    /// On stop, limit for requests under way to finish.
    pub drain: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            largest_headers: 32 * 1024,
            most_headers: 64,
            stall_timeout: Duration::from_secs(30),
            most_connections: descriptors::most_connections(),
            patience: Duration::from_millis(100),
            drain: Duration::from_secs(20),
        }
    }
}

/// Why a server ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listener is broken.
    #[error("the listener gives no more connections")]
    Accept(#[source] io::Error),
}

/// Serves until stopped, with the default limits.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> Result<(), Error> {
    Server::default().serve(listener, router, stop).await
}

impl Server {
    /// Serves until stopped; requests under way then have `drain` to finish.
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
        // New clients are refused at once instead of waiting in a backlog.
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
        let crowd = Crowd::new(self.most_connections, self.patience);
        let mut failures: u32 = 0;
        while let Some(accepted) = stop.run_until_cancelled(accept(listener, &crowd)).await {
            match accepted {
                Ok((stream, guest)) => {
                    failures = 0;
                    tasks.spawn(connections.clone().run(stream, guest));
                }
                Err(error) if passes(&error) => {
                    if failures.is_multiple_of(LOG_EVERY) {
                        tracing::warn!(%error, failures, "a connection could not be accepted; trying again");
                    }
                    failures = failures.saturating_add(1);
                    // Out of descriptors: a client that keeps the server waiting has one.
                    crowd.make_room();
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
            // The parser's minimum is 8 KiB.
            .max_buf_size(self.largest_headers.max(8 * 1024))
            .max_headers(self.most_headers);
        http
    }
}

async fn accept(listener: &TcpListener, crowd: &Crowd) -> io::Result<(TcpStream, Guest)> {
    let (stream, peer) = listener.accept().await?;
    let guest = crowd.admit(peer.ip()).await;
    // A client that has gone already is detected by its first read.
    stream.set_nodelay(true).ok();
    Ok((stream, guest))
}

/// Whether the next accept may succeed. A process must not die because it ran out of something, or because a
/// client or its network gave up; only an error of the listener itself is permanent.
fn passes(error: &io::Error) -> bool {
    !matches!(
        Errno::from_io_error(error),
        Some(Errno::BADF | Errno::FAULT | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)
    )
}

/// State that every connection gets.
#[derive(Clone)]
struct Connections {
    http: http1::Builder,
    stall_timeout: Duration,
    router: Router,
    stop: CancellationToken,
    end: CancellationToken,
}

impl Connections {
    async fn run(self, stream: TcpStream, guest: Guest) {
        let (router, watch) = (self.router, guest.watch());
        let service = service_fn(move |request| answer(router.clone(), watch.clone(), request));
        let stream = TokioIo::new(Watched::new(stream, self.stall_timeout));
        let connection = self.http.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let stopped = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = guest.must_leave() => return,
            () = self.stop.cancelled() => None,
        };
        let ended = if stopped.is_some() {
            stopped
        } else {
            connection.as_mut().graceful_shutdown();
            self.end.run_until_cancelled(connection).await
        };
        if let Some(Err(error)) = ended {
            // Slow, broken or vanished clients are not worth a warning, and too many.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

async fn answer(
    router: Router,
    watch: Watch,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let request = request.map(|body| watch.clone().request(body));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body: Body| watch.answer(body)))
}
