//! The server that beds are made on: a private one, or that of `DATABASE_URL`, where the lab makes a database of its
//! own beside the user's and touches nothing else.

use std::{str::FromStr, time::Duration};

use pgdial::db::{self, private};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Error, Machine, machine, usage};

/// The only database that the lab creates, empties and drops.
pub(super) const DATABASE: &str = "pgdial_lab";
/// Comment that marks the database as the lab's: it drops none without it.
const MARK: &str = "made by pgdial-lab, which drops it without asking";

/// Where to measure.
#[derive(Debug)]
pub struct Place {
    /// An existing server; `None` starts a private Postgres.
    pub database_url: Option<SecretString>,
    /// Where to look for Postgres's binaries.
    pub environment: private::Environment,
}

/// A server on which the lab may create databases.
#[derive(Debug)]
pub struct Server {
    /// The database the lab was pointed to; used only to create another one.
    admin_url: SecretString,
    /// `None` for a server on another machine.
    postmaster: Option<u32>,
    machine: Machine,
    // Declared last, so that it is dropped last.
    postgres: Option<private::PrivatePostgres>,
}

impl Server {
    /// Finds or starts the server, and checks that it can be used.
    pub async fn start(place: Place) -> Result<Self, Error> {
        let (admin_url, postgres) = if let Some(url) = place.database_url {
            (url, None)
        } else {
            let postgres = start_private(place.environment).await?;
            (SecretString::from(postgres.url()), Some(postgres))
        };
        let mut admin = connect(&admin_url).await?;
        check(&mut admin).await?;
        remake(&mut admin).await?;
        admin.close().await?;

        let mut server = Self {
            admin_url,
            postmaster: None,
            machine: Machine::default(),
            postgres,
        };
        let pool = server.pool(1).await?;
        let (pid,): (i32,) = sqlx::query_as("select pg_backend_pid()")
            .fetch_one(&pool)
            .await?;
        let pid = u32::try_from(pid).unwrap_or(0);
        server.postmaster = usage::postmaster_of(pid, DATABASE);
        let private = server.postgres.as_ref();
        let data = private.map(private::PrivatePostgres::data_dir);
        server.machine = Machine::look(&pool, data.as_deref()).await?;
        pool.close().await;
        Ok(server)
    }

    /// What the figures are measured on.
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Process id of the postmaster, if it runs on this machine.
    pub(super) const fn postmaster(&self) -> Option<u32> {
        self.postmaster
    }

    /// URL of the lab's database.
    pub(super) fn url(&self) -> String {
        with_database(self.admin_url.expose_secret(), DATABASE)
    }

    /// Recreates the lab's database: empty, and migrated.
    pub(super) async fn fresh_database(&self) -> Result<(), Error> {
        let mut admin = connect(&self.admin_url).await?;
        remake(&mut admin).await?;
        admin.close().await?;
        let pool = db::connect(&self.url(), "lab migrate", 2).await?;
        db::migrate(&pool).await?;
        pool.close().await;
        Ok(())
    }

    /// Connections for the lab's own statements, without the program's limits.
    pub(super) async fn pool(&self, connections: u32) -> Result<PgPool, Error> {
        let options = options(&self.url())?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_mins(10))
            .connect_with(options)
            .await;
        Ok(pool.map_err(db::Error::Connect)?)
    }

    /// Drops the lab's database, and stops the server if it is private.
    pub async fn stop(self) -> Result<(), Error> {
        if let Some(postgres) = self.postgres {
            tokio::task::spawn_blocking(move || postgres.stop()).await??;
            return Ok(());
        }
        let mut admin = connect(&self.admin_url).await?;
        sqlx::query(AssertSqlSafe(format!(
            "drop database if exists {DATABASE} with (force)"
        )))
        .execute(&mut admin)
        .await?;
        admin.close().await?;
        Ok(())
    }
}

async fn start_private(
    environment: private::Environment,
) -> Result<private::PrivatePostgres, Error> {
    // A quarter of the memory, where Postgres's documentation starts from; at most 1 GB.
    let quarter = machine::memory().unwrap_or(0.0) / 4.0 / 1024.0 / 1024.0;
    let options = private::Options {
        settings: vec![(
            "shared_buffers".to_owned(),
            format!("{:.0}MB", quarter.clamp(128.0, 1024.0)),
        )],
        ..private::Options::new(environment)
    };
    let started = tokio::task::spawn_blocking(move || private::PrivatePostgres::start(&options));
    Ok(started.await??)
}

async fn connect(url: &SecretString) -> Result<PgConnection, Error> {
    let connection = PgConnection::connect_with(&options(url.expose_secret())?).await;
    Ok(connection.map_err(db::Error::Connect)?)
}

/// The lab's own statements take long, which is not worth a log line.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, Error> {
    let options =
        PgConnectOptions::from_str(url).map_err(|error| db::Error::BadUrl(error.to_string()))?;
    Ok(options
        .application_name("pgdial lab")
        .disable_statement_logging())
}

/// Whether we may create databases, and a database of our name, if there is one, is ours and unused.
async fn check(admin: &mut PgConnection) -> Result<(), Error> {
    let (role, may): (String, bool) = sqlx::query_as(
        "select rolname::text, rolcreatedb or rolsuper from pg_roles where rolname = current_user",
    )
    .fetch_one(&mut *admin)
    .await?;
    if !may {
        return Err(Error::Refused(format!(
            "the lab makes a database of its own, {DATABASE}, and the role {role} may not create databases: \
             give it the right (alter role {role} createdb), name another role in DATABASE_URL, \
             or leave DATABASE_URL out for a private Postgres"
        )));
    }
    let found: Option<(Option<String>, i64)> = sqlx::query_as(
        "select shobj_description(d.oid, 'pg_database'), \
                (select count(*) from pg_stat_activity a where a.datname = d.datname) \
         from pg_database d where d.datname = $1",
    )
    .bind(DATABASE)
    .fetch_optional(&mut *admin)
    .await?;
    match found {
        Some((mark, _)) if mark.as_deref() != Some(MARK) => Err(Error::Refused(format!(
            "there is a database {DATABASE} that the lab has not made: rename it, the lab would drop it"
        ))),
        Some((_, 1..)) => Err(Error::Refused(format!(
            "somebody uses the database {DATABASE}: the lab runs a second time on this server"
        ))),
        _ => Ok(()),
    }
}

async fn remake(admin: &mut PgConnection) -> Result<(), Error> {
    // All of them are constants of ours.
    for sql in [
        format!("drop database if exists {DATABASE} with (force)"),
        format!("create database {DATABASE} template template0"),
        format!("comment on database {DATABASE} is '{MARK}'"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *admin).await?;
    }
    Ok(())
}

/// URL of another database on the same server.
fn with_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest
        .split_once('/')
        .map_or(rest, |(authority, _)| authority);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}/{name}{mark}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_the_url_changes() {
        for (url, changed) in [
            (
                "postgres://a:b@h:1/x?sslmode=disable",
                "postgres://a:b@h:1/pgdial_lab?sslmode=disable",
            ),
            ("postgres://h", "postgres://h/pgdial_lab"),
            (
                "postgresql://a@localhost:5432/x",
                "postgresql://a@localhost:5432/pgdial_lab",
            ),
            (
                "postgres://pgdial@localhost:5432/postgres?host=%2Ftmp%2Fx&sslmode=disable",
                "postgres://pgdial@localhost:5432/pgdial_lab?host=%2Ftmp%2Fx&sslmode=disable",
            ),
        ] {
            assert_eq!(with_database(url, DATABASE), changed);
        }
    }
}
