//! Connections, migrations, and a private server.
//!
//! Only this module and [`crate::flow`] see a pool or a statement.

// A private Postgres server from the machine's own binaries.
pub mod private;

// Creating and upgrading the schema.
pub mod migrate;

// Our objects in the catalog.
mod fingerprints;

// Checks of the database against this release.
pub mod doctor;

// Owner and rights.
mod roles;

mod tls;

// Servers that a URL names.
mod targets;

// Session settings, and whether a pooler keeps them.
mod session;

pub(crate) mod pool;

use std::time::Duration;

use sqlx::Connection;

pub(crate) use migrate::MIGRATION;
pub use migrate::{Migrated, RELEASE, check_schema, migrate, migrate_again};
pub use pool::{Lent, Pool};
pub use session::Refusal;
pub use sqlx::PgConnection;
pub use targets::Targets;

/// The oldest supported Postgres: the hashed `<> all` of 15 keeps a claim fast behind many taken numbers.
pub const OLDEST_POSTGRES: u32 = 15;

/// Limit for a second session to show that the first is not shared.
const SECOND: Duration = Duration::from_secs(2);

/// Why there is no usable database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not valid, or asks for something unsupported.
    #[error("DATABASE_URL {0}; it is as in postgres://user:password@host:5432/database")]
    BadUrl(String),
    /// The server is there, but pgdial does not work on it.
    #[error("pgdial does not work there")]
    Refused(#[from] Refusal),
    /// No server responds, or it refuses us.
    #[error("cannot connect to Postgres")]
    Connect(#[source] sqlx::Error),
    /// A statement failed.
    #[error("the database refused a statement")]
    Statement(#[from] sqlx::Error),
    /// Another open transaction holds a table that a migration changes.
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
    /// Only the owner may migrate.
    #[error(
        "pgdial in this database belongs to the role {owner}: run `pgdial migrate` as a member of it"
    )]
    NotOwner {
        /// Owner of the schema.
        owner: String,
    },
    /// The login may grant the owner's role, but not act as it.
    #[error(
        "{login} may give out the role {owner} and not act as it: `grant {owner} to {login}`, then run `pgdial migrate` again"
    )]
    MayNotAct {
        /// Present or future owner of the schema.
        owner: String,
        /// Role of the login.
        login: String,
    },
    /// The database's encoding is not UTF-8.
    #[error(
        "the database has the encoding {found}, and pgdial needs UTF8: create one with `create database NAME encoding 'UTF8' template template0`, and move there"
    )]
    Encoding {
        /// Its encoding.
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
        /// Present version.
        found: String,
        /// Required version.
        needed: String,
    },
    /// The schema is newer, and declares that this release may not run against it.
    #[error(
        "the schema was made by a newer release ({found}) that this one must not run against: upgrade pgdial"
    )]
    SchemaNewer {
        /// Present version.
        found: String,
    },
    /// The text of an applied migration differs from ours.
    #[error(
        "this database was made by a development build of pgdial: its migration {version} is not the one \
         of this release. Nothing carries its data on: export what you need with that build (`pgdial \
         calls export`), then run `drop schema pgdial cascade` and `pgdial migrate`"
    )]
    MigrationChanged {
        /// Version of the migration.
        version: i32,
    },
}

/// Opens a pool. `role` is shown in `pg_stat_activity` as `pgdial <role>`.
///
/// Refuses a server that is too old or read-only, and a pooler that mixes sessions.
pub async fn connect(url: &str, role: &str, max_connections: u32) -> Result<Pool, Error> {
    let targets = Targets::read(url).map_err(Error::BadUrl)?;
    for server in targets.servers() {
        tls::warn_if_undecided(server);
    }
    let pool = Pool::new(targets, format!("pgdial {role}"), max_connections);
    let mut first = pool
        .open_first()
        .await
        .map_err(|error| match Refusal::of(&error) {
            Some(refusal) => Error::Refused(refusal),
            None => Error::Connect(error),
        })?;
    let number = pool::answered(pool::SHORT_ANSWER, server_version(&mut first)).await;
    first.after(&number);
    let found = u32::try_from(number? / 10_000).unwrap_or(0);
    if found < OLDEST_POSTGRES {
        return Err(Error::TooOld { found });
    }
    let own = pool::answered(SECOND, has_its_own(&mut first, &pool)).await;
    first.after(&own);
    // A second session that cannot be opened proves nothing.
    if matches!(own, Ok(false)) {
        return Err(Refusal::TransactionMode.into());
    }
    Ok(pool)
}

async fn server_version(session: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let (number,) = sqlx::query_as("select current_setting('server_version_num')::int")
        .persistent(false)
        .fetch_one(session)
        .await?;
    Ok(number)
}

/// Whether a session keeps a server process of its own while there is another one. In a pooler's transaction
/// mode two sessions share a process, or one changes it.
async fn has_its_own(first: &mut PgConnection, pool: &Pool) -> Result<bool, sqlx::Error> {
    let mut other = pool.plain().await?;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push((
            session::answering(&mut *first).await?,
            session::answering(&mut other).await?,
        ));
    }
    other.close().await?;
    Ok(seen
        .iter()
        .all(|pair| pair.0 != pair.1 && Some(pair) == seen.first()))
}
