//! Connections, migrations, and a private server.
//!
//! Only this module and [`crate::flow`] see a pool or a statement.

// A private Postgres server from the machine's own binaries.
pub mod private;

// What the database looks like, brought up to date.
pub mod migrate;

// What the catalog holds of ours.
mod fingerprints;

// How it stands to this release.
pub mod doctor;

// Who owns it, and who else may do what.
mod roles;

// Whether the way there is protected.
mod tls;

// Which servers a URL names.
mod targets;

// What a session is told, and whether it keeps it.
mod session;

// The sessions of a process.
pub(crate) mod pool;

use std::time::Duration;

use sqlx::Connection;

pub(crate) use migrate::MIGRATION;
pub use migrate::{Migrated, RELEASE, check_schema, migrate, migrate_again};
pub use pool::{Lent, Pool};
pub use session::Refusal;
pub use sqlx::PgConnection;
pub use targets::Targets;

/// The oldest Postgres that pgdial runs on: `unique` semantics aside, the hashed
/// `<> all` of 15 is what keeps a claim fast behind many taken numbers.
pub const OLDEST_POSTGRES: u32 = 15;

/// How long a second session may take to show that the first is its own.
const SECOND: Duration = Duration::from_secs(2);

/// Why there is no database to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be read, or asks for what cannot be kept.
    #[error("DATABASE_URL {0}; it is as in postgres://user:password@host:5432/database")]
    BadUrl(String),
    /// It is there, and pgdial does not work on it.
    #[error("pgdial does not work there")]
    Refused(#[from] Refusal),
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
        "this database was made by a development build of pgdial: its migration {version} is not the one \
         of this release. Nothing carries its data on: export what you need with that build (`pgdial \
         calls export`), then run `drop schema pgdial cascade` and `pgdial migrate`"
    )]
    MigrationChanged {
        /// Which one.
        version: i32,
    },
}

/// Opens a pool. `role` is shown in `pg_stat_activity` as `pgdial <role>`.
///
/// Refuses a server that is too old or cannot be written to, and a pooler that mixes sessions up.
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
    // A second session that does not come proves nothing.
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

/// Is a session answered by a process of its own, also while there is another? In a pooler's
/// transaction mode two that take turns share one, or one wanders.
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
