//! A private Postgres server, started from the machine's own server binaries.
//!
//! `pgdial demo` and the tests use it when nobody names a database. The server
//! listens on a Unix socket in a directory of mode 0700 and nowhere else, so
//! `trust` lets in the one user who owns it (and root).
//!
//! The invariant: **no server outlives the process that started it**, however
//! that process ends. The server runs under a small shell that holds the other
//! end of a pipe; when the pipe closes, by drop, panic or SIGKILL alike, the
//! shell shuts the server down (see `server`).
//!
//! Everything here blocks, for less than a second as a rule: an async caller
//! wraps `PrivatePostgres::start` in `spawn_blocking`. Nothing here reads the
//! process environment; `Environment` carries what configuration has read.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

// Who runs the server when we are root.
mod account;

// What can go wrong, each with its way out.
mod error;

// Where the server binaries are.
mod find;

// The folder of one server, and the lock on it.
mod home;

// Creating a cluster, and the server under its watchdog.
mod server;

// How people and programs reach the server.
mod address;

#[cfg(test)]
mod tests;

pub use error::{Error, Missing, TooOld};

use home::Home;
use server::Server;

/// What of the process environment matters here, as configuration has read it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `PGDIAL_PG_BINDIR`: the folder of `initdb` and `postgres`. Once named, it is used or refused, never passed over.
    pub pg_bindir: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
}

/// How to start a private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to look for binaries.
    pub environment: Environment,
    /// A folder for the server, made where it is missing, and kept: for tests that stop a server and start it
    /// again. Its path is short, as that of a socket must be. None: a fresh one, which goes when the server
    /// goes, even if we are killed.
    pub folder: Option<PathBuf>,
    /// False gives up every promise about power cuts for speed.
    pub durable: bool,
    /// `max_connections` of the server.
    pub max_connections: u32,
    /// Further settings, which win over ours.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server with room for 200 connections, in a folder that goes with it.
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            folder: None,
            durable: true,
            max_connections: 200,
            settings: Vec::new(),
        }
    }

    /// The same, as fast as it can be: for what nobody wants to keep.
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
    /// Blocks until the server takes connections; in a folder that is kept, first until an earlier server is
    /// gone from there.
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

    /// The URL of the database that every cluster has, `postgres`.
    pub fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// The URL of one database of this server, as sqlx and libpq take it.
    pub fn url_for(&self, database: &str) -> String {
        address::url(&self.folder, database)
    }

    /// The line that brings a person to the database that [`url`](Self::url) names.
    pub fn psql_line(&self) -> String {
        address::psql_line(&self.folder, "postgres")
    }

    /// The folder of the Unix socket: what `psql -h` takes.
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// The data directory of the cluster.
    pub fn data_dir(&self) -> PathBuf {
        home::data_in(&self.folder)
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> i32 {
        self.server.pid()
    }

    /// Shuts the server down (clients are disconnected, nothing is lost) and waits until it is gone.
    ///
    /// Dropping the value does the same and keeps quiet about a failure.
    pub fn stop(self) -> Result<(), Error> {
        self.server.stop()
    }
}

/// The settings as the server's arguments: of two equal names the later wins.
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
