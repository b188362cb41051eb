//! What the database looks like, brought up to date.
//!
//! `migrations/` say what the data is: numbered, forward only, never edited after a
//! release. `sql/rules`, `sql/flow` and `sql/views` say what may happen to it:
//! functions and views that are `create or replace`d whole after the migrations,
//! so that one file always holds the current text. Both in one transaction under one
//! advisory lock. Nothing migrates by itself: `serve`, `api` and `work` only check.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use super::{Error, Pool, fingerprints, roles};

/// This release.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    /// Binaries that know at least this migration may run against the result. Raised
    /// only by a migration that an older release could not live with.
    compatible_from: i32,
}

macro_rules! migration {
    ($version:literal, $name:literal, compatible_from = $from:literal) => {
        Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../migrations/", $name, ".sql")),
            compatible_from: $from,
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_settings", compatible_from = 1),
    migration!(2, "0002_calls", compatible_from = 1),
    migration!(3, "0003_events", compatible_from = 1),
    migration!(4, "0004_types", compatible_from = 1),
];

macro_rules! functions {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../sql/", $name, ".sql"))),)*]
    };
}

/// Every file of functions and views. Their order matters to nobody but views:
/// bodies are not checked while they are created.
const FUNCTIONS: &[(&str, &str)] = functions![
    "rules/now",
    "rules/phone_plans",
    "rules/normal_phone",
    "rules/iso_8601",
    "rules/same_name",
    "rules/uuid_v7",
    "rules/read_timestamp",
    "rules/read_request",
    "rules/lock_calls",
    "rules/locked_items",
    "rules/each",
    "rules/note",
    "rules/acts",
    "rules/filter",
    "rules/account",
    "rules/dial_order",
    "rules/look_up_due",
    "rules/unheard",
    "rules/retry_base",
    "rules/backoff",
    "rules/judge",
    "rules/breaker",
    "rules/evidence",
    "rules/cluster",
    "rules/in_flight",
    "rules/lanes",
    "rules/heads",
    "rules/skips",
    "rules/pick",
    "rules/next_due",
    "rules/end_attempt",
    "rules/put_back",
    "rules/lost_claim",
    "rules/apply_report",
    "rules/late_report",
    "rules/add_result",
    "flow/wake",
    "flow/enqueue",
    "flow/claim",
    "flow/dialed",
    "flow/settle",
    "flow/doubt",
    "flow/defer",
    "flow/webhook",
    "flow/replay",
    "flow/look_up",
    "flow/repeat",
    "flow/cancel",
    "flow/redrive",
    "flow/resolve",
    "flow/matching",
    "flow/amend",
    "flow/release",
    "flow/recover",
    "flow/sweep",
    "flow/housekeeping",
    "flow/pause",
    "flow/lanes",
    "flow/do_not_call",
    "flow/heartbeat",
    "flow/drain",
    "flow/forget",
    "views/live_workers",
    "views/overview",
    "views/doubts",
    "views/why",
    "views/events_after",
    "rules/grants",
];

/// The last migration that this release knows, and so needs.
pub(crate) const MIGRATION: i32 = match MIGRATIONS.last() {
    Some(last) => last.version,
    None => 0,
};

/// What a migration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were applied now.
    pub applied: Vec<&'static str>,
    /// Whether the functions were applied now.
    pub functions: bool,
    /// How many rights everybody had in the schema, and has no longer: after a restore without
    /// access privileges, every function.
    pub closed: usize,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.closed > 0 {
            writeln!(
                f,
                "took {} rights from PUBLIC, which is to have none",
                self.closed
            )?;
        }
        if self.applied.is_empty() && !self.functions {
            return write!(f, "the schema is up to date (release {RELEASE})");
        }
        for name in &self.applied {
            writeln!(f, "applied migration {name}")?;
        }
        if self.functions {
            write!(f, "applied the functions of release {RELEASE}")?;
        }
        Ok(())
    }
}

/// What `schema_history` says.
struct Found {
    migrations: Vec<(i32, String)>,
    compatible_from: i32,
    functions: Option<(String, String)>,
}

impl Found {
    /// Whether it was applied; an error if it was, with another text.
    fn has(&self, migration: &Migration) -> Result<bool, Error> {
        let Migration { version, sql, .. } = *migration;
        match self.migrations.iter().find(|(found, _)| *found == version) {
            Some((_, applied)) if *applied == digest([sql]) => Ok(true),
            Some(_) => Err(Error::MigrationChanged { version }),
            None => Ok(false),
        }
    }
}

/// How often a migration is tried that finds a table held, and the pause between: a minute.
const TRIES: (u32, Duration) = (25, Duration::from_secs(2));

/// Brings the schema up to date.
///
/// Safe to run from several places at once: the second waits for the first, and finds
/// nothing to do. It runs beside the processes of an older release: behind somebody's open
/// transaction it gives up soon and tries again.
pub async fn migrate(pool: &Pool) -> Result<Migrated, Error> {
    keep_trying(pool, Apply::New).await
}

/// The same, and the functions and views once more, also where they are there already: after
/// somebody has changed one of them. Never over those of a newer release.
pub async fn migrate_again(pool: &Pool) -> Result<Migrated, Error> {
    keep_trying(pool, Apply::Again).await
}

/// Which functions are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apply {
    /// Those that are not there.
    New,
    /// All.
    Again,
}

async fn keep_trying(pool: &Pool, apply: Apply) -> Result<Migrated, Error> {
    for _ in 1..TRIES.0 {
        match try_migrate(pool, apply).await {
            Err(Error::Held(_)) => tokio::time::sleep(TRIES.1).await,
            done => return done,
        }
    }
    try_migrate(pool, apply).await
}

async fn try_migrate(pool: &Pool, apply: Apply) -> Result<Migrated, Error> {
    let mut session = pool.acquire().await?;
    let mut tx = session.begin().await?;
    // Class and key beside those of the gate (1) and of housekeeping (2).
    // Our texts write a backslash as it stands; a session where it escapes would read other patterns.
    sqlx::raw_sql("set local lock_timeout = '60s'; set local standard_conforming_strings = on")
        .execute(&mut *tx)
        .await?;
    sqlx::query("select pg_advisory_xact_lock(x'70676469'::int, 3)")
        .execute(&mut *tx)
        .await?;
    let migrated = bring_up_to_date(&mut tx, apply)
        .await
        .map_err(|error| match error {
            Error::Statement(error) if is_held(&error) => Error::Held(error),
            error => error,
        })?;
    tx.commit().await?;
    Ok(migrated)
}

async fn bring_up_to_date(tx: &mut PgConnection, apply: Apply) -> Result<Migrated, Error> {
    // Every verb queues behind a change of its table that waits for somebody's open
    // transaction: so it waits for less than any of them does.
    sqlx::query("set local lock_timeout = '500ms'")
        .execute(&mut *tx)
        .await?;
    check_encoding(tx).await?;
    roles::become_owner(tx).await?;
    let found = read_history(tx).await?;
    let before = fingerprints::there(tx).await?;
    let mut migrated = Migrated {
        closed: roles::open_to_public(tx)
            .await?
            .iter()
            .filter(|open| open.is_ours)
            .count(),
        ..Migrated::default()
    };
    for migration in MIGRATIONS {
        if !found
            .as_ref()
            .map_or(Ok(false), |found| found.has(migration))?
        {
            sqlx::raw_sql(migration.sql).execute(&mut *tx).await?;
            write_history(tx, "migration", migration, &digest([migration.sql])).await?;
            migrated.applied.push(migration.name);
        }
    }
    migrated.functions = apply_functions(tx, found.as_ref(), apply).await?;
    if migrated.functions || !migrated.applied.is_empty() {
        fingerprints::keep(tx, &before).await?;
    }
    make_partitions(tx).await?;
    // Once: from then on it is for `recover` to say that the place is another.
    sqlx::query("select pgdial.note_place() where not exists (select from pgdial.cluster)")
        .execute(&mut *tx)
        .await?;
    roles::close_to_public(tx).await?;
    roles::grant(tx).await?;
    Ok(migrated)
}

/// Weeks ahead. What stands in the way of one keeps nothing else from being done: housekeeping
/// tries again, and says so.
async fn make_partitions(tx: &mut PgConnection) -> Result<(), Error> {
    let (trouble,): (Option<String>,) =
        sqlx::query_as("select trouble from pgdial.ensure_partitions(pgdial.now(), 8)")
            .fetch_one(tx)
            .await?;
    if let Some(trouble) = trouble {
        tracing::warn!(trouble, "not every week of events has its partition yet");
    }
    Ok(())
}

/// `lock_not_available`
fn is_held(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// Applies the functions, unless they are there, or newer ones are: a binary never
/// puts older functions over newer ones.
async fn apply_functions(
    tx: &mut PgConnection,
    found: Option<&Found>,
    apply: Apply,
) -> Result<bool, Error> {
    let digest = functions_digest();
    if let Some((release, applied)) = found.and_then(|found| found.functions.as_ref())
        && (*applied == digest && apply == Apply::New || is_newer(release, RELEASE))
    {
        return Ok(false);
    }
    sqlx::query("set local check_function_bodies = off")
        .execute(&mut *tx)
        .await?;
    for &(_, sql) in FUNCTIONS {
        sqlx::raw_sql(sql).execute(&mut *tx).await?;
    }
    if let Some(newest) = MIGRATIONS.last() {
        write_history(tx, "functions", newest, &digest).await?;
    }
    Ok(true)
}

/// Every character that a person may write must have its place: a database of another encoding
/// refuses some, with them the webhook that brings one, and says the same of each repetition.
async fn check_encoding(connection: &mut PgConnection) -> Result<(), Error> {
    let (found,): (String,) = sqlx::query_as("select current_setting('server_encoding')")
        .fetch_one(connection)
        .await?;
    if found == "UTF8" {
        Ok(())
    } else {
        Err(Error::Encoding { found })
    }
}

/// May this release run against the database? It must know what is there.
pub async fn check_schema(pool: &Pool) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    check_encoding(&mut connection).await?;
    let found = read_history(&mut connection)
        .await?
        .ok_or(Error::NoSchema)?;
    let newest = found
        .migrations
        .iter()
        .map(|(version, _)| *version)
        .max()
        .unwrap_or(0);
    let ours = MIGRATION;
    for migration in MIGRATIONS {
        found.has(migration)?;
    }
    let Some((release, digest)) = found.functions else {
        return Err(if hides_rows(&mut connection).await? {
            Error::RowSecurity
        } else {
            Error::NoSchema
        });
    };
    if found.compatible_from > ours {
        return Err(Error::SchemaNewer {
            found: format!("{release}, migration {newest}"),
        });
    }
    if newest < ours || (digest != functions_digest() && !is_newer(&release, RELEASE)) {
        return Err(Error::SchemaOlder {
            found: format!("release {release}, migration {newest}"),
            needed: format!("release {RELEASE}, migration {ours}"),
        });
    }
    Ok(())
}

/// Row level security lets this login see none of the history.
async fn hides_rows(connection: &mut PgConnection) -> Result<bool, Error> {
    let (hides,): (bool,) = sqlx::query_as("select row_security_active('pgdial.schema_history')")
        .fetch_one(connection)
        .await?;
    Ok(hides)
}

async fn read_history(connection: &mut PgConnection) -> Result<Option<Found>, Error> {
    let (exists,): (bool,) =
        sqlx::query_as("select to_regclass('pgdial.schema_history') is not null")
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        return Ok(None);
    }
    let rows: Vec<(String, i32, String, String, i32)> = sqlx::query_as(
        "select h.kind, h.version, h.digest, h.release, h.compatible_from \
         from pgdial.schema_history h order by h.seq",
    )
    .fetch_all(connection)
    .await?;
    let mut found = Found {
        migrations: Vec::new(),
        compatible_from: 0,
        functions: None,
    };
    for (kind, version, digest, release, compatible_from) in rows {
        found.compatible_from = found.compatible_from.max(compatible_from);
        if kind == "migration" {
            found.migrations.push((version, digest));
        } else {
            found.functions = Some((release, digest));
        }
    }
    Ok(Some(found))
}

async fn write_history(
    connection: &mut PgConnection,
    kind: &str,
    migration: &Migration,
    digest: &str,
) -> Result<(), Error> {
    sqlx::query(
        "insert into pgdial.schema_history (kind, version, name, digest, release, compatible_from) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(kind)
    .bind(migration.version)
    .bind(if kind == "migration" {
        migration.name
    } else {
        "functions"
    })
    .bind(digest)
    .bind(RELEASE)
    .bind(migration.compatible_from)
    .execute(connection)
    .await?;
    Ok(())
}

fn functions_digest() -> String {
    digest(FUNCTIONS.iter().map(|(_, sql)| *sql))
}

fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
        hash.update([0]);
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

/// Is release `a` newer than `b`? Numbers compare as numbers: 0.10.0 is newer than 0.9.0.
fn is_newer(a: &str, b: &str) -> bool {
    let numbers = |release: &str| -> Vec<u64> {
        release
            .split(['.', '-'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(a) > numbers(b)
}

#[cfg(test)]
mod tests;
