//! Connections, migrations, and a private server.
//!
//! Only this module and [`crate::flow`] see a pool or a statement.

// A private Postgres server from the machine's own binaries.
pub mod private;

// What the database looks like, brought up to date.
pub mod migrate;

// How it stands to this release.
pub mod doctor;

// Who owns it, and who else may do what.
mod roles;

// Whether the way there is protected.
mod tls;

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub(crate) use migrate::MIGRATION;
pub use migrate::{Migrated, check_schema, migrate, migrate_again};

/// The oldest Postgres that pgdial runs on: `unique` semantics aside, the hashed
/// `<> all` of 15 is what keeps a claim fast behind many taken numbers.
pub const OLDEST_POSTGRES: u32 = 15;

/// How long a connection is taken to be alive without asking it.
const TRUSTED: Duration = Duration::from_secs(1);

/// Why there is no database to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be read.
    #[error(
        "DATABASE_URL is not a Postgres URL, as in postgres://user:password@host:5432/database"
    )]
    BadUrl(#[source] sqlx::Error),
    /// Nobody answers there, or they refuse us.
    #[error("cannot connect to Postgres")]
    Connect(#[source] sqlx::Error),
    /// A statement failed.
    #[error("the database refused a statement")]
    Statement(#[from] sqlx::Error),
    /// Somebody's open transaction holds a table that a migration changes.
    #[error(
        "somebody's open transaction holds a table of pgdial: end it, and run `pgdial migrate` again"
    )]
    Held(#[source] sqlx::Error),
    /// The server is too old.
    #[error("Postgres {found} is too old: pgdial needs {OLDEST_POSTGRES} or newer")]
    TooOld {
        /// Its major version.
        found: u32,
    },
    /// Only its owner may migrate.
    #[error(
        "pgdial in this database belongs to the role {owner}: run `pgdial migrate` as a member of it"
    )]
    NotOwner {
        /// Whose it is.
        owner: String,
    },
    /// It may give the owner's role to others, and not act as it.
    #[error(
        "{login} may give out the role {owner} and not act as it: `grant {owner} to {login}`, then run `pgdial migrate` again"
    )]
    MayNotAct {
        /// Whose the schema is, or will be.
        owner: String,
        /// Who asked.
        login: String,
    },
    /// The database cannot keep every character.
    #[error(
        "the database has the encoding {found}, and pgdial needs UTF8: create one with `create database NAME encoding 'UTF8' template template0`, and move there"
    )]
    Encoding {
        /// What it has.
        found: String,
    },
    /// Row level security hides the schema from this login.
    #[error(
        "row level security hides the rows of pgdial.schema_history from this login; an event trigger may have switched it on: as the owner, `alter table ... disable row level security` for each table of pgdial"
    )]
    RowSecurity,
    /// There is no schema `pgdial`.
    #[error("the database has no schema pgdial yet: run `pgdial migrate`")]
    NoSchema,
    /// The schema is older than this release.
    #[error("the schema is at {found}, this release needs {needed}: run `pgdial migrate`")]
    SchemaOlder {
        /// What is there.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// The schema is newer, and says that this release may not run against it.
    #[error(
        "the schema was made by a newer release ({found}) that this one must not run against: upgrade pgdial"
    )]
    SchemaNewer {
        /// What is there.
        found: String,
    },
    /// A migration that was applied has another text than ours.
    #[error(
        "migration {version} was applied with another text: this database belongs to another build of pgdial"
    )]
    MigrationChanged {
        /// Which one.
        version: i32,
    },
}

/// Opens a pool. `role` is shown in `pg_stat_activity` as `pgdial <role>`.
///
/// Every session is bounded: a statement by 30 s, a wait for a lock by 5 s, an idle
/// transaction by 30 s. Verbs set shorter limits of their own. `pgdial.notify` is off:
/// wakes go out beside the data transactions, see [`crate::flow::wake`].
///
/// The pool asks a connection for a sign of life only after a second without use. Asked before
/// each statement it is a second round trip for each, and proves nothing about the moment
/// after; a server that restarts is away for longer than most connections of a busy process
/// are idle, and a statement that meets a broken one fails as one that was under way does:
/// whoever sent it repeats it.
///
/// `synchronous_commit` is turned on where the server has it off: what is answered 2xx, and
/// a claim before its dial, must outlive a crash (P1, P2). Stronger settings are left alone.
pub async fn connect(url: &str, role: &str, max_connections: u32) -> Result<PgPool, Error> {
    let mut options = PgConnectOptions::from_str(url)
        .map_err(Error::BadUrl)?
        .application_name(&format!("pgdial {role}"))
        .options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
            ("default_transaction_isolation", "read committed"),
            ("pgdial.notify", "off"),
        ]);
    tls::warn_if_undecided(&options);
    // One plain connection first: a pool would only say that it timed out.
    let mut first = PgConnection::connect_with(&options)
        .await
        .map_err(Error::Connect)?;
    let (number, is_synchronous): (i32, bool) = sqlx::query_as(
        "select current_setting('server_version_num')::int, current_setting('synchronous_commit') <> 'off'",
    )
    .fetch_one(&mut first)
    .await?;
    first.close().await?;
    if !is_synchronous {
        options = options.options([("synchronous_commit", "on")]);
    }
    let found = u32::try_from(number / 10_000).unwrap_or(0);
    if found < OLDEST_POSTGRES {
        return Err(Error::TooOld { found });
    }
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for >= TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(Error::Connect)
}

/// Makes an empty database of this name, in place of the one that is there. For a
/// private server only: `admin_url` is its superuser's.
pub async fn recreate_database(admin_url: &str, name: &'static str) -> Result<(), Error> {
    use sqlx::AssertSqlSafe;
    let mut connection = PgConnection::connect(admin_url)
        .await
        .map_err(Error::Connect)?;
    // The name is one of our own constants.
    for sql in [
        format!("drop database if exists {name} with (force)"),
        format!("create database {name}"),
    ] {
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(())
}
