//! Brings the schema up to date.
//!
//! `migrations/` say what the data is: numbered, forward only, never edited after a release. `sql/rules`, `sql/flow`
//! and `sql/views` say what may happen to it: functions and views, replaced whole after the migrations, so that one
//! file always holds the current text. What their comments say goes into the catalog ([`comments`]). All of it happens
//! in one transaction under one advisory lock. Nothing migrates unasked: `serve`, `api` and `work` only check.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use super::{Error, Pool, fingerprints, roles};

mod comments;

/// Version of this binary, also recorded in `schema_history`.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    /// Oldest migration a binary must know to run against the result. Raised only by a migration that an older
    /// release could not work with.
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
    migration!(5, "0005_places", compatible_from = 1),
    migration!(6, "0006_presets", compatible_from = 1),
    migration!(7, "0007_limits", compatible_from = 1),
    migration!(8, "0008_caller_ids", compatible_from = 1),
    migration!(9, "0009_keys", compatible_from = 1),
    migration!(10, "0010_endpoints", compatible_from = 1),
];

macro_rules! functions {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../sql/", $name, ".sql"))),)*]
    };
}

/// All files of functions and views. Only the order of views matters: bodies of functions are not checked on
/// creation.
const FUNCTIONS: &[(&str, &str)] = functions![
    "rules/now",
    "rules/phone_plans",
    "rules/phone_areas",
    "rules/normal_phone",
    "rules/iso_8601",
    "rules/same_name",
    "rules/uuid_v7",
    "rules/read_timestamp",
    "rules/areas",
    "rules/numbers",
    "rules/read_request",
    "rules/lock_calls",
    "rules/locked_items",
    "rules/each",
    "rules/note",
    "rules/acts",
    "rules/may_call",
    "rules/hours",
    "rules/error_words",
    "rules/filter",
    "rules/account",
    "rules/terms",
    "rules/dial_order",
    "rules/look_up_due",
    "rules/unheard",
    "rules/dates",
    "rules/retry_base",
    "rules/retry_at",
    "rules/backoff",
    "rules/judge",
    "rules/breaker",
    "rules/evidence",
    "rules/goals",
    "rules/cluster",
    "rules/in_flight",
    "rules/caller_ids",
    "rules/machines",
    "rules/lanes",
    "rules/heads",
    "rules/skips",
    "rules/limits",
    "rules/pick",
    "rules/next_due",
    "rules/end_attempt",
    "rules/disposition",
    "rules/allowed",
    "rules/put_back",
    "rules/lost_claim",
    "rules/apply_report",
    "rules/late_report",
    "rules/add_result",
    "rules/deliveries",
    "flow/wake",
    "flow/enqueue",
    "flow/claim",
    "flow/claim_with",
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
    "flow/archive",
    "flow/version",
    "flow/contact_limits",
    "flow/groups",
    "flow/caller_ids",
    "flow/endpoints",
    "flow/deliver",
    "flow/delivered",
    "flow/resend",
    "flow/hours",
    "flow/do_not_call",
    "flow/heartbeat",
    "flow/drain",
    "flow/forget",
    "flow/keys",
    "flow/sessions",
    "views/live_workers",
    "views/overview",
    "views/doubts",
    "views/why",
    "views/why_groups",
    "views/preview",
    "views/evidence",
    "views/events_after",
    "views/listing",
    "views/verbs",
    "rules/grants",
];

/// The last migration this release knows, and therefore needs.
pub(crate) const MIGRATION: i32 = match MIGRATIONS.last() {
    Some(last) => last.version,
    None => 0,
};

/// What one run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Names of the migrations applied.
    pub applied: Vec<&'static str>,
    /// Whether functions and views were applied.
    pub functions: bool,
    /// Number of rights PUBLIC had in the schema and has lost. After a restore without access privileges this is
    /// every function.
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

/// Contents of `schema_history`.
struct Found {
    migrations: Vec<(i32, String)>,
    compatible_from: i32,
    functions: Option<(String, String)>,
}

impl Found {
    /// Whether it has been applied. An error if it was applied with different text.
    fn has(&self, migration: &Migration) -> Result<bool, Error> {
        let Migration { version, sql, .. } = *migration;
        match self.migrations.iter().find(|(found, _)| *found == version) {
            Some((_, applied)) if *applied == digest([sql]) => Ok(true),
            Some(_) => Err(Error::MigrationChanged { version }),
            None => Ok(false),
        }
    }
}

/// Tries if a table is locked, and the pause between them: about a minute altogether.
const TRIES: (u32, Duration) = (25, Duration::from_secs(2));

/// Brings the schema up to date.
///
/// Safe to run concurrently: the second run waits for the first and finds nothing to do. Runs beside processes of an
/// older release: if an open transaction holds a table it gives up quickly and tries again.
pub async fn migrate(pool: &Pool) -> Result<Migrated, Error> {
    keep_trying(pool, Apply::New).await
}

/// As [`migrate`], but also reapplies functions and views that are already current: after someone changed one. Never
/// over those of a newer release.
pub async fn migrate_again(pool: &Pool) -> Result<Migrated, Error> {
    keep_trying(pool, Apply::Again).await
}

/// While a change of a table waits for somebody's open transaction, every verb queues behind it. So it waits for less
/// time than a verb does.
const WAIT_BRIEFLY: &str = "set local lock_timeout = '500ms'";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apply {
    /// Only if missing or older.
    New,
    /// Also if current.
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
    // Advisory locks of this class: 1 is the gate, 2 housekeeping, 3 this one. Our SQL contains literal backslashes,
    // which a session without standard_conforming_strings would take for escapes.
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
    sqlx::raw_sql(WAIT_BRIEFLY).execute(&mut *tx).await?;
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
        let migrations = MIGRATIONS.iter().map(|migration| migration.sql);
        let functions = FUNCTIONS.iter().map(|(_, sql)| *sql);
        comments::apply(tx, &comments::read(migrations.chain(functions))).await?;
    }
    make_partitions(tx).await?;
    // Only the first time: later it is `recover` that accepts a new place.
    sqlx::query("select pgdial.note_place() where not exists (select from pgdial.cluster)")
        .execute(&mut *tx)
        .await?;
    roles::close_to_public(tx).await?;
    roles::grant(tx).await?;
    Ok(migrated)
}

/// Creates partitions for the weeks ahead. An obstacle to one must not stop the migration: housekeeping tries again
/// and reports it.
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

/// Whether the error is `lock_not_available`.
fn is_held(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// Applies the functions unless current or newer ones are there: a binary never replaces functions with older ones.
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

/// The encoding must have room for every character. A database of another encoding rejects some, and with them the
/// webhook that contains one, each time it is redelivered.
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

/// Whether this release may run against the database. It has to know every migration there.
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

/// Whether row level security hides the history from this login.
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
        // Writing to a `String` cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether release `a` is newer than `b`, by number: 0.10.0 is newer than 0.9.0.
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
