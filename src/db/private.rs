//! A private Postgres server, started from the machine's own server binaries.
//!
//! `pgdial demo` and the tests use it when no database is given. The server listens only on a Unix socket in
//! a directory of mode 0700, so `trust` admits only the user who owns it (and root).
//!
//! The invariant: **no server outlives the process that started it**, however that process ends. The server
//! runs under a small shell that holds the other end of a pipe; when the pipe closes, by drop, panic or
//! SIGKILL alike, the shell shuts the server down (see `server`).
//!
//! Everything here blocks, usually for less than a second: an async caller wraps `PrivatePostgres::start` in
//! `spawn_blocking`. Nothing here reads the process environment; `Environment` carries what configuration has
//! read.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

// The account that runs the server if we are root.
mod account;

// Errors, each with its remedy.
mod error;

// Finding the server binaries.
mod find;

// The folder of a server, and the lock on it.
mod home;

// Creating a cluster, and running the server under its watchdog.
mod server;

// URLs and psql command lines.
mod address;

#[cfg(test)]
mod tests;

pub use error::{Error, Missing, TooOld};

use home::Home;
use server::Server;

/// Relevant variables of the process environment, as configuration has read them.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `PGDIAL_PG_BINDIR`: the folder of `initdb` and `postgres`. If set it is used or refused, never
    /// skipped.
    pub pg_bindir: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
}

/// Options of a private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to search for binaries.
    pub environment: Environment,
    /// Folder of the server, created if missing, and kept: for tests that restart a server. Its path must be
    /// short, like that of any socket. None: a new one, removed with the server, even if we are killed.
    pub folder: Option<PathBuf>,
    /// False gives up durability across power cuts for speed.
    pub durable: bool,
    /// `max_connections` of the server; default 200.
    pub max_connections: u32,
    /// Further settings, which override ours.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server with room for 200 connections, in a folder that is removed with it.
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            folder: None,
            durable: true,
            max_connections: 200,
            settings: Vec::new(),
        }
    }

    /// As `new`, but as fast as possible, for data that need not last.
    pub fn careless(environment: Environment) -> Self {
        Self {
            durable: false,
            ..Self::new(environment)
        }
    }
}

/// A running private server.
#[derive(Debug)]
pub struct PrivatePostgres {
    folder: PathBuf,
    server: Server,
}

impl PrivatePostgres {
    /// Finds binaries, creates the cluster if there is none, and starts the server.
    ///
    /// Blocks until the server accepts connections; in a kept folder it first waits until an earlier server
    /// is gone.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let binaries = find::find(&options.environment)?;
        let home = Home::open(options.folder.as_deref())?;
        let starting = server::Starting {
            binaries: &binaries,
            home: &home,
            lock: home.lock()?,
            path: options.environment.path.as_deref(),
        };
        starting.create_cluster(options.durable)?;
        Ok(Self {
            server: starting.run(&arguments(options))?,
            folder: home.path().to_owned(),
        })
    }

    /// URL of the database that every cluster has, `postgres`.
    pub fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// URL of one database of this server, as sqlx and libpq take it.
    pub fn url_for(&self, database: &str) -> String {
        address::url(&self.folder, database)
    }

    /// Command line that opens psql on the database of [`url`](Self::url).
    pub fn psql_line(&self) -> String {
        address::psql_line(&self.folder, "postgres")
    }

    /// Folder of the Unix socket, as for `psql -h`.
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// Data directory of the cluster.
    pub fn data_dir(&self) -> PathBuf {
        home::data_in(&self.folder)
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> i32 {
        self.server.pid()
    }

    /// Shuts the server down (clients are disconnected, nothing is lost) and waits until it is gone.
    ///
    /// Dropping the value does the same, but ignores a failure.
    pub fn stop(self) -> Result<(), Error> {
        self.server.stop()
    }
}

/// Settings as arguments of the server: of equal names the later wins.
fn arguments(options: &Options) -> Vec<String> {
    let ours = [
        ("listen_addresses", String::new()),
        ("max_connections", options.max_connections.to_string()),
    ];
    let careless =
        ["fsync", "synchronous_commit", "full_page_writes"].map(|name| (name, "off".to_owned()));
    let careless = careless.into_iter().filter(|_| !options.durable);
    let settings = options
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    ours.into_iter()
        .chain(careless)
        .chain(settings)
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
        .collect()
}
