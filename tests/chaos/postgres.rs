//! A Postgres server of the suite's own, which it may restart, kill and replace.

use std::{
    path::{Path, PathBuf},
    sync::Mutex as StdMutex,
};

use pgdial::db::private::{Environment, Options, PrivatePostgres};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::Mutex;

use crate::standby::Standby;

/// The suite's database, and the role of the processes: an ordinary role, so that a full server is full for it.
const DATABASE: &str = "chaos";
const ROLE: &str = "dialer";
/// Superuser of every private cluster.
const SUPERUSER: &str = "pgdial";
const PORT: u16 = 5432;
/// Few, so that foreign sessions can take them all.
pub(crate) const CONNECTIONS: u32 = 120;
/// Of these, reserved for the superuser.
const RESERVED: u32 = 10;

/// A cluster that outlives its server.
#[derive(Debug)]
pub(crate) struct Postgres {
    options: Options,
    /// `None` while it is down.
    server: Mutex<Option<PrivatePostgres>>,
    /// Socket folder of the server that has the data at present.
    socket_dir: StdMutex<PathBuf>,
    /// The standby, while it follows and after its promotion.
    standby: Mutex<Option<Standby>>,
}

impl Postgres {
    /// Creates a cluster below the folder, or takes the existing one, and starts its server.
    pub(crate) async fn start(base: &Path) -> Self {
        let options = options(base);
        let server = start(options.clone()).await;
        Self {
            socket_dir: StdMutex::new(server.socket_dir().to_owned()),
            options,
            server: Mutex::new(Some(server)),
            standby: Mutex::new(None),
        }
    }

    /// Creates the database and the role that owns it.
    pub(crate) async fn create_database(&self) {
        let url = self.server.lock().await.as_ref().unwrap().url();
        let mut admin = PgConnection::connect(&url).await.unwrap();
        for sql in [
            format!("create role {ROLE} login"),
            format!("create database {DATABASE} owner {ROLE}"),
        ] {
            run(&mut admin, &sql).await.unwrap();
        }
    }

    /// Connects as superuser through the socket, past every proxy; fails while the server is down.
    pub(crate) async fn direct(&self) -> Result<PgConnection, sqlx::Error> {
        connect_to(&self.socket_dir(), SUPERUSER).await
    }

    /// As [`Self::direct`], with the role of the processes.
    pub(crate) async fn as_the_role(&self) -> Result<PgConnection, sqlx::Error> {
        connect_to(&self.socket_dir(), ROLE).await
    }

    /// URL for the processes, through a proxy at this address.
    pub(crate) fn url_through(address: std::net::SocketAddr) -> String {
        format!("postgres://{ROLE}@{address}/{DATABASE}?sslmode=disable")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket_dir().join(format!(".s.PGSQL.{PORT}"))
    }

    fn socket_dir(&self) -> PathBuf {
        self.socket_dir.lock().unwrap().clone()
    }

    /// A fast shutdown, as for an upgrade, and a start.
    pub(crate) async fn restart(&self) {
        let mut server = self.server.lock().await;
        let old = server.take().unwrap();
        tokio::task::spawn_blocking(|| old.stop())
            .await
            .unwrap()
            .unwrap();
        *server = Some(start(self.options.clone()).await);
    }

    /// SIGKILL to the postmaster, and a start, which recovers.
    pub(crate) async fn crash(&self) {
        let mut server = self.server.lock().await;
        die(server.take().unwrap()).await;
        *server = Some(start(self.options.clone()).await);
    }

    /// SIGKILL to the postmaster and every backend, so that nothing commits any more.
    pub(crate) async fn die(&self) {
        let server = self.server.lock().await.take().unwrap();
        die(server).await;
    }

    /// Starts a standby below this folder that follows the server.
    pub(crate) async fn start_standby(&self, base: &Path) {
        let standby = Standby::follow(&self.socket_dir(), base).await;
        *self.standby.lock().await = Some(standby);
    }

    /// Socket folder of the standby while it follows.
    pub(crate) async fn standby_socket(&self) -> Option<PathBuf> {
        let standby = self.standby.lock().await;
        let home = &standby.as_ref()?.home;
        Some(home.join(format!(".s.PGSQL.{PORT}")))
    }

    /// Promotes the standby. The old server is dead already.
    pub(crate) async fn promote(&self) {
        let standby = self.standby.lock().await;
        let socket_dir = &standby.as_ref().unwrap().home;
        let mut admin = connect_to(socket_dir, SUPERUSER).await.unwrap();
        assert_eq!(text(&mut admin, "pg_promote()").await.unwrap(), "true");
        self.socket_dir.lock().unwrap().clone_from(socket_dir);
    }
}

async fn connect_to(socket_dir: &Path, user: &str) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::new()
        .socket(socket_dir)
        .port(PORT)
        .username(user)
        .database(DATABASE);
    PgConnection::connect_with(&options).await
}

fn options(base: &Path) -> Options {
    let environment = Environment {
        pg_bindir: std::env::var_os("PGDIAL_PG_BINDIR").map(Into::into),
        path: std::env::var_os("PATH"),
    };
    Options {
        max_connections: CONNECTIONS,
        settings: vec![(
            "superuser_reserved_connections".to_owned(),
            RESERVED.to_string(),
        )],
        folder: Some(base.to_owned()),
        ..Options::new(environment)
    }
}

async fn start(options: Options) -> PrivatePostgres {
    // Blocks until the last backend of a killed server, which holds the folder's lock, has ended.
    tokio::task::spawn_blocking(move || PrivatePostgres::start(&options))
        .await
        .unwrap()
        .unwrap()
}

async fn die(server: PrivatePostgres) {
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    let backends: Vec<(i32,)> = sqlx::query_as("select pid from pg_stat_activity")
        .fetch_all(&mut admin)
        .await
        .unwrap();
    // The postmaster first: it would take a backend's death as a reason to recover.
    kill_process(Pid::from_raw(server.pid()).unwrap(), Signal::KILL).unwrap();
    for pid in backends.into_iter().filter_map(|(pid,)| Pid::from_raw(pid)) {
        // It may have ended meanwhile.
        kill_process(pid, Signal::KILL).unwrap_or_default();
    }
    // Its watchdog notices the end and has nothing left to stop.
    tokio::task::spawn_blocking(|| drop(server)).await.unwrap();
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .map(drop)
}

/// One value as text; empty for null.
pub(crate) async fn text(connection: &mut PgConnection, sql: &str) -> Result<String, sqlx::Error> {
    let sql = format!("select ({sql})::text");
    let (text,): (Option<String>,) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_one(connection)
        .await?;
    Ok(text.unwrap_or_default())
}
