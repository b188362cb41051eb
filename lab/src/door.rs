//! A proxy in front of Postgres that counts connections, and statements by reading Postgres's protocol.
//!
//! This way the exact load of one process is known, without an extension or rights in the server, and without anyone
//! else's statements in the figure.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pgdial::db;
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

use super::Error;

/// A counting proxy to the database. Closed when dropped.
#[derive(Debug)]
pub struct Door {
    /// URL of the database through the proxy. Unencrypted, because the proxy reads along.
    pub url: String,
    counts: Arc<Counts>,
    _open: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    statements: AtomicU64,
    connections: AtomicU64,
}

#[derive(Debug, Clone)]
enum Server {
    Socket(PathBuf),
    Address(String, u16),
}

impl Door {
    /// Opens a proxy to the database of this URL.
    pub async fn open(database_url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(database_url)
            .map_err(|error| db::Error::BadUrl(error.to_string()))?;
        let port = options.get_port();
        let named = options.get_host();
        let folder = match options.get_socket() {
            Some(folder) => Some(folder.clone()),
            None => named.starts_with('/').then(|| PathBuf::from(named)),
        };
        let server = folder.map_or_else(
            || Server::Address(named.to_owned(), port),
            |folder| Server::Socket(folder.join(format!(".s.PGSQL.{port}"))),
        );
        let failed = || Error::io("the lab cannot listen on 127.0.0.1");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let counts = Arc::new(Counts::default());
        let mut open = JoinSet::new();
        let seen = Arc::clone(&counts);
        open.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((client, _peer)) = listener.accept().await {
                passing.spawn(pass(client, server.clone(), Arc::clone(&seen)));
                // Drops those that have ended.
                while passing.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            url: through(database_url, &address.to_string()),
            counts,
            _open: open,
        })
    }

    /// Statements so far.
    pub fn statements(&self) -> u64 {
        self.counts.statements.load(Ordering::Acquire)
    }

    /// Connections currently open.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Acquire)
    }
}

async fn pass(client: TcpStream, server: Server, counts: Arc<Counts>) {
    counts.connections.fetch_add(1, Ordering::AcqRel);
    // Whatever breaks, both sides notice, because both streams are closed.
    match server {
        Server::Socket(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                carry(client, server, &counts).await;
            }
        }
        Server::Address(host, port) => {
            if let Ok(server) = TcpStream::connect((host, port)).await {
                carry(client, server, &counts).await;
            }
        }
    }
    counts.connections.fetch_sub(1, Ordering::AcqRel);
}

async fn carry(client: TcpStream, server: impl AsyncRead + AsyncWrite, counts: &Counts) {
    client.set_nodelay(true).ok();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = split(server);
    let asks = async {
        let (mut buffer, mut reader) = (vec![0; 16 * 1024], Reader::default());
        while let Ok(size @ 1..) = from_client.read(&mut buffer).await {
            let bytes = buffer.get(..size).unwrap_or_default();
            let statements = reader.read(bytes);
            counts.statements.fetch_add(statements, Ordering::AcqRel);
            if to_server.write_all(bytes).await.is_err() {
                break;
            }
        }
        to_server.shutdown().await.ok();
    };
    tokio::select! {
        () = asks => {}
        _ended = copy(&mut from_server, &mut to_client) => {}
    }
}

/// Parses what a client sends, in whatever pieces it arrives.
#[derive(Debug, Default)]
struct Reader {
    started: bool,
    header: Vec<u8>,
    /// Bytes left of the current message.
    skip: usize,
}

impl Reader {
    /// Number of statements whose type these bytes complete: simple queries, and executions of prepared ones.
    fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut statements = 0;
        while let Some((byte, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            self.header.push(*byte);
            bytes = rest;
            // The first message has no type byte before its length.
            let complete = if self.started { 5 } else { 4 };
            if self.header.len() == complete {
                let (kind, length) = self.header.split_at(complete - 4);
                statements += u64::from(matches!(kind, [b'Q' | b'E']));
                let length = length
                    .iter()
                    .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                // The length includes itself.
                self.skip = length.saturating_sub(4);
                self.started = true;
                self.header.clear();
            }
        }
        statements
    }
}

/// The same database at another address.
fn through(url: &str, address: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    let who = authority
        .rsplit_once('@')
        .map(|(who, _)| format!("{who}@"))
        .unwrap_or_default();
    format!("{scheme}://{who}{address}/{name}?sslmode=disable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    #[test]
    fn statements_are_counted_however_they_are_cut() {
        let startup = [&[0, 0, 0, 9, 0, 3, 0, 0][..], b"E"].concat();
        let stream = [
            startup,
            message(b'p', b"password E"),
            message(b'Q', b"begin\0"),
            message(b'P', b"\0select 'Q'\0\0\0"),
            message(b'B', b"E"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
            message(b'X', b""),
        ]
        .concat();
        for piece in 1..=stream.len() {
            let mut reader = Reader::default();
            let counted: u64 = stream.chunks(piece).map(|bytes| reader.read(bytes)).sum();
            assert_eq!(counted, 2, "in pieces of {piece}");
        }
    }

    #[test]
    fn only_the_way_to_the_database_changes() {
        for (url, changed) in [
            (
                "postgres://a:b@h:1/x?host=%2Ftmp",
                "postgres://a:b@127.0.0.1:9/x?sslmode=disable",
            ),
            (
                "postgresql://h/x",
                "postgresql://127.0.0.1:9/x?sslmode=disable",
            ),
        ] {
            assert_eq!(through(url, "127.0.0.1:9"), changed);
        }
    }
}
