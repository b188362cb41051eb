//! A TCP proxy that misbehaves on request: the network between two parties.
//!
//! There is one between our processes and Postgres, one in front of each provider, and one in front of the APIs. It
//! is in one [`Mode`] at a time, which applies to all connections, established ones included.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything passes.
    Pass,
    /// Established and new connections are reset.
    Refuse,
    /// Nothing passes and nobody is told; continues when the mode changes.
    BlackHole,
    /// Existing connections never carry anything again, and nobody is told, as when a firewall forgets them. New ones
    /// work.
    Hang,
    /// Each connection is reset after this many more bytes, anywhere in a message.
    CutAfter(usize),
    /// Requests pass; the next reply is replaced by a reset. A commit takes effect, but its client never learns.
    LoseReply,
    /// Replies are delayed by this.
    Delay(Duration),
    /// The request reaches the other side, whose response is replaced by this.
    ReplyInstead(&'static str),
    /// The HTTP request gets this response; the other side never sees it.
    Instead(&'static str),
}

/// Destination of connections.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    /// A process on this host.
    Tcp(SocketAddr),
    /// The Unix socket of Postgres.
    Unix(PathBuf),
}

/// A proxy; ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _end: Arc<tokio_util::sync::DropGuard>,
}

#[derive(Debug)]
struct Shared {
    mode: watch::Sender<Mode>,
    /// Used in turn: each connection starts with the next one.
    upstreams: Mutex<Vec<Upstream>>,
    turn: AtomicUsize,
    /// What clients have sent, piece by piece, since [`Proxy::listen_in`].
    heard: Mutex<Option<Vec<Vec<u8>>>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Proxy {
    pub(crate) async fn start(upstreams: Vec<Upstream>) -> Self {
        let address = super::processes::free_address();
        let listener = TcpListener::bind(address).await.unwrap();
        let shared = Arc::new(Shared {
            mode: watch::Sender::new(Mode::Pass),
            upstreams: Mutex::new(upstreams),
            turn: AtomicUsize::new(0),
            heard: Mutex::new(None),
        });
        let end = CancellationToken::new();
        let tasks = TaskTracker::new();
        let accepting = accept(listener, Arc::clone(&shared), tasks.clone(), end.clone());
        tasks.spawn_local(accepting);
        Self {
            address,
            shared,
            _end: Arc::new(end.drop_guard()),
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Leads new connections elsewhere; established ones stay.
    pub(crate) fn lead_to(&self, upstream: Upstream) {
        *lock(&self.shared.upstreams) = vec![upstream];
    }

    /// Starts recording what clients send.
    pub(crate) fn listen_in(&self) {
        *lock(&self.shared.heard) = Some(Vec::new());
    }

    /// What clients have sent since.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.heard).clone().unwrap_or_default()
    }
}

impl Shared {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let upstreams = lock(&self.upstreams).clone();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut result = Err(io::ErrorKind::NotConnected.into());
        for at in 0..upstreams.len() {
            let connected: io::Result<Box<dyn Stream>> = match &upstreams
                [(first + at) % upstreams.len()]
            {
                Upstream::Tcp(address) => TcpStream::connect(address).await.map(|s| {
                    // A small reply must not wait for more to send.
                    s.set_nodelay(true).unwrap_or_default();
                    Box::new(s) as _
                }),
                Upstream::Unix(path) => UnixStream::connect(path).await.map(|s| Box::new(s) as _),
            };
            match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => result = Err(error),
            }
        }
        result
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    end: CancellationToken,
) {
    while let Some(accepted) = end.run_until_cancelled(listener.accept()).await {
        if let Ok((client, _)) = accepted {
            let carrying = carry(client, Arc::clone(&shared));
            let end = end.clone();
            tasks.spawn_local(async move {
                end.run_until_cancelled(carrying).await;
            });
        }
    }
}

/// Carries one connection from beginning to end. An error on either side ends both.
async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    client.set_nodelay(true).unwrap_or_default();
    let mut modes = shared.mode.subscribe();
    let carried = pass(&mut client, &shared, &mut modes).await;
    if !matches!(carried, Ok(Ending::Closed)) {
        // With zero linger, closing the socket sends RST instead of FIN.
        client.set_zero_linger().unwrap_or_default();
    }
}

enum Ending {
    Closed,
    Reset,
}

async fn pass(
    client: &mut TcpStream,
    shared: &Shared,
    modes: &mut watch::Receiver<Mode>,
) -> io::Result<Ending> {
    let begun = *modes.borrow_and_update();
    match begun {
        Mode::Refuse => return Ok(Ending::Reset),
        Mode::Instead(answer) => return answer_here(client, answer).await,
        _ => {}
    }
    let mut server = shared.connect().await?;
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut mode = begun;
    let mut budget = budget_of(mode);
    loop {
        match mode {
            Mode::Refuse => return Ok(Ending::Reset),
            Mode::BlackHole => {
                modes.changed().await.map_err(io::Error::other)?;
                mode = *modes.borrow_and_update();
                budget = budget_of(mode);
                continue;
            }
            _ => {}
        }
        tokio::select! {
            changed = modes.changed() => {
                changed.map_err(io::Error::other)?;
                mode = *modes.borrow_and_update();
                budget = budget_of(mode);
                if mode == Mode::Hang {
                    return swallow(client).await;
                }
            }
            read = client.read(&mut up) => {
                let Some(bytes) = some(&up, read?) else { return Ok(Ending::Closed) };
                if let Some(heard) = &mut *lock(&shared.heard) {
                    heard.push(bytes.to_vec());
                }
                let (bytes, spent) = within(&mut budget, bytes);
                server.write_all(bytes).await?;
                if spent { return Ok(Ending::Reset) }
            }
            read = server.read(&mut down) => {
                let Some(bytes) = some(&down, read?) else { return Ok(Ending::Closed) };
                match mode {
                    Mode::LoseReply => return Ok(Ending::Reset),
                    Mode::ReplyInstead(answer) => {
                        client.write_all(answer.as_bytes()).await?;
                        return Ok(Ending::Closed);
                    }
                    Mode::Delay(delay) => tokio::time::sleep(delay).await,
                    _ => {}
                }
                let (bytes, spent) = within(&mut budget, bytes);
                client.write_all(bytes).await?;
                if spent { return Ok(Ending::Reset) }
            }
        }
    }
}

/// Reads what the client sends without replying, until the client gives up.
async fn swallow(client: &mut TcpStream) -> io::Result<Ending> {
    let mut buffer = vec![0; 16 * 1024];
    while client.read(&mut buffer).await? > 0 {}
    Ok(Ending::Closed)
}

/// Bytes that may still pass, if limited.
fn budget_of(mode: Mode) -> Option<usize> {
    match mode {
        Mode::CutAfter(bytes) => Some(bytes),
        _ => None,
    }
}

/// The part that may still pass, and whether it is the last.
fn within<'a>(budget: &mut Option<usize>, bytes: &'a [u8]) -> (&'a [u8], bool) {
    let Some(left) = budget else {
        return (bytes, false);
    };
    let part = &bytes[..bytes.len().min(*left)];
    *left -= part.len();
    (part, *left == 0)
}

fn some(buffer: &[u8], read: usize) -> Option<&[u8]> {
    (read > 0).then(|| &buffer[..read])
}

/// Reads one whole HTTP request and sends the response.
async fn answer_here(client: &mut TcpStream, answer: &str) -> io::Result<Ending> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = client.read(&mut buffer).await?;
        let Some(bytes) = some(&buffer, read) else {
            return Ok(Ending::Closed);
        };
        request.extend_from_slice(bytes);
        if is_whole(&request) {
            client.write_all(answer.as_bytes()).await?;
            return Ok(Ending::Closed);
        }
    }
}

/// Whether head and body are complete.
pub(crate) fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let wanted = name.eq_ignore_ascii_case("content-length");
        wanted.then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
