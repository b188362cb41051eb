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

// The directory of one cluster, and the lock on it.
mod home;

// Creating a cluster, and the server under its watchdog.
mod server;

// How people and programs reach the server.
mod address;

#[cfg(test)]
mod tests;

pub use error::{Error, Missing, TooOld};
pub use find::FLOOR;

use home::{Claimed, Home};
use server::Server;

/// What of the process environment matters here, as configuration has read it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `PGDIAL_PG_BINDIR`: the folder of `initdb` and `postgres`. Once named, it is used or refused, never passed over.
    pub pg_bindir: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub xdg_data_home: Option<PathBuf>,
}

/// Where the cluster lives, and for how long.
#[derive(Debug, Clone)]
pub enum DataDir {
    /// Under this directory, in a folder `pg<major>`, for as long as somebody wants it.
    Keep(PathBuf),
    /// In a fresh directory that goes when the server goes, even if we are killed.
    Temporary,
}

impl DataDir {
    /// The place for a cluster that a person wants to find again tomorrow.
    ///
    /// Root gets a place outside its home, because the account the server runs
    /// as cannot enter a home of mode 0700.
    pub fn usual(environment: &Environment) -> Self {
        let uid = rustix::process::geteuid();
        let share = || Some(environment.home.as_ref()?.join(".local/share"));
        let data = environment.xdg_data_home.clone().or_else(share);
        Self::Keep(match data {
            _ if uid.is_root() => PathBuf::from("/var/tmp/pgdial-demo"),
            Some(data) => data.join("pgdial"),
            None => PathBuf::from(format!("/var/tmp/pgdial-{}", uid.as_raw())),
        })
    }
}

/// How to start a private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to look for binaries.
    pub environment: Environment,
    /// Where the cluster lives.
    pub data_dir: DataDir,
    /// False gives up every promise about power cuts for speed: tests only.
    pub durable: bool,
    /// `max_connections` of the server.
    pub max_connections: u32,
    /// Further settings, which win over ours.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server with room for 200 connections.
    pub fn new(environment: Environment, data_dir: DataDir) -> Self {
        Self {
            environment,
            data_dir,
            durable: true,
            max_connections: 200,
            settings: Vec::new(),
        }
    }

    /// A server for tests: temporary, and as fast as it can be.
    pub fn for_tests(environment: Environment) -> Self {
        Self {
            durable: false,
            ..Self::new(environment, DataDir::Temporary)
        }
    }
}

/// A running private server: ours, or the one that another process already runs on the same directory.
#[derive(Debug)]
pub struct PrivatePostgres {
    socket_dir: PathBuf,
    data_dir: PathBuf,
    pid: i32,
    major: u32,
    /// None when another process started it, and will stop it.
    server: Option<Server>,
}

impl PrivatePostgres {
    /// Finds binaries, creates the cluster if there is none, and starts the server, or joins the one that runs.
    ///
    /// Blocks until the server takes connections.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let binaries = find::find(&options.environment)?;
        let home = Home::open(&options.data_dir, binaries.major)?;
        match home.claim()? {
            Claimed::Running(running) => Ok(Self {
                socket_dir: running.socket_dir,
                data_dir: home.data(),
                pid: running.pid,
                major: binaries.major,
                server: None,
            }),
            Claimed::Ours(lock) => {
                let path = options.environment.path.as_deref();
                let starting = server::Starting {
                    binaries: &binaries,
                    home: &home,
                    lock,
                    path,
                };
                starting.create_cluster(options.durable)?;
                let sockets = home.make_socket_dir()?;
                let server = starting.run(&sockets, &arguments(options))?;
                Ok(Self {
                    socket_dir: sockets.path,
                    data_dir: home.data(),
                    pid: server.pid(),
                    major: binaries.major,
                    server: Some(server),
                })
            }
        }
    }

    /// The URL of the database that every cluster has, `postgres`.
    pub fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// The URL of one database of this server, as sqlx and libpq take it.
    pub fn url_for(&self, database: &str) -> String {
        address::url(&self.socket_dir, database)
    }

    /// The line that brings a person to the database that [`url`](Self::url) names.
    pub fn psql_line(&self) -> String {
        self.psql_line_for("postgres")
    }

    /// The line that brings a person to one database of this server.
    pub fn psql_line_for(&self, database: &str) -> String {
        address::psql_line(&self.socket_dir, database)
    }

    /// The folder of the Unix socket: what `psql -h` takes.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The data directory of the cluster.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The major version of the binaries, such as 17.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// False when another process runs the server: then it goes when that process goes, and `stop` leaves it alone.
    pub fn is_ours(&self) -> bool {
        self.server.is_some()
    }

    /// Shuts the server down (clients are disconnected, nothing is lost) and waits until it is gone.
    ///
    /// Dropping the value does the same and keeps quiet about a failure.
    pub fn stop(mut self) -> Result<(), Error> {
        self.server.take().map_or(Ok(()), Server::stop)
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
