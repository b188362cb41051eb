//! `doctor`: checks this database and its server against this release. Changes nothing.
//!
//! Each check says in one sentence what it found and what to do about it. A check that cannot be made, for lack of a
//! right perhaps, is a warning of its own and does not stop the others.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{AssertSqlSafe, Connection, PgConnection, types::Json};

use super::{Error, Pool, check_schema, pool::answered};

mod drift;
mod endpoints;
mod hours;
mod keys;
mod queue;
mod server;
mod upkeep;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but deserves a look.
    Warn,
    /// Does not work, or will cost calls.
    Fail,
}

impl Verdict {
    /// The word in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name of the check.
    pub check: &'static str,
    /// Severity; findings are listed worst first.
    pub verdict: Verdict,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do, if there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
}

impl Check {
    /// A finding that needs nothing done.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            message: message.into(),
            repair: None,
        }
    }

    /// A finding to look at, with what to do.
    pub fn warn(
        check: &'static str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            check,
            verdict: Verdict::Warn,
            message: message.into(),
            repair: Some(repair.into()),
        }
    }

    /// A fault, with what to do.
    pub fn fail(
        check: &'static str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(check, message, repair)
        }
    }
}

/// Findings of one check, or why it could not be made.
type Looked = Result<Vec<Check>, sqlx::Error>;

/// Time limit of each check, beyond which the session is closed.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs every check this login has the rights for.
pub async fn examine(pool: &Pool) -> Vec<Check> {
    let mut found = Vec::new();
    keep(&mut found, "server", server_settings(pool).await);
    let is_ours = match check_schema(pool).await {
        Ok(()) => true,
        Err(error) => {
            found.push(schema_problem(&error));
            false
        }
    };
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(error) => {
            keep(&mut found, "server", Err(error));
            return found;
        }
    };
    if is_ours {
        keep(&mut found, "schema", schema(&mut connection).await);
        keep(&mut found, "drift", drift::look(&mut connection).await);
        keep(&mut found, "rights", drift::rights(&mut connection).await);
        keep(&mut found, "rights", upkeep::open(&mut connection).await);
        keep(
            &mut found,
            "identity",
            upkeep::identity(&mut connection).await,
        );
        keep(
            &mut found,
            "housekeeping",
            upkeep::housekeeping(&mut connection).await,
        );
        keep(&mut found, "keys", keys::look(&mut connection).await);
        keep(
            &mut found,
            "partitions",
            drift::partitions(&mut connection).await,
        );
    }
    keep(
        &mut found,
        "row security",
        upkeep::row_security(&mut connection).await,
    );
    keep(&mut found, "clock", server::clock(&mut connection).await);
    keep(
        &mut found,
        "snapshots",
        server::snapshots(&mut connection).await,
    );
    if is_ours {
        keep(&mut found, "bloat", server::bloat(&mut connection).await);
        keep(&mut found, "place", queue::place(&mut connection).await);
        keep(&mut found, "workers", queue::workers(&mut connection).await);
        keep(
            &mut found,
            "accounts",
            queue::accounts(&mut connection).await,
        );
        keep(&mut found, "gate", queue::gate(&mut connection).await);
        keep(&mut found, "pauses", queue::pauses(&mut connection).await);
        keep(&mut found, "slots", queue::slots(&mut connection).await);
        keep(&mut found, "inbox", queue::inbox(&mut connection).await);
        keep(&mut found, "hours", hours::look(&mut connection).await);
        keep(
            &mut found,
            "endpoints",
            endpoints::look(&mut connection).await,
        );
    }
    found
}

/// Rows of one of our own statements, with fields named as its columns.
async fn rows<T: DeserializeOwned + Send + Unpin>(
    connection: &mut PgConnection,
    sql: &'static str,
) -> Result<Vec<T>, sqlx::Error>
where
    Json<T>: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let sql = format!("select to_jsonb(r) from ({sql}) r");
    let rows: Vec<(Json<T>,)> = sqlx::query_as(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.0.0).collect())
}

fn keep(found: &mut Vec<Check>, check: &'static str, looked: Looked) {
    match looked {
        Ok(checks) => found.extend(checks),
        Err(error) => {
            // Rights on the server's own functions are for its administrator to grant.
            let repair = if code_of(&error).as_deref() == Some("42501") {
                "give this login what the message names, or connect as a member of pgdial_worker or pgdial_reader (sql/setup/roles.sql)"
            } else {
                "connect as a member of pgdial_worker or pgdial_reader (sql/setup/roles.sql), or as the schema's owner"
            };
            let message = format!("could not be looked at: {error}");
            found.push(Check::warn(check, message, repair));
        }
    }
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    let database = error.as_database_error()?;
    database.code().map(std::borrow::Cow::into_owned)
}

/// Uses a plain session, because those of the pool have settings of their own.
async fn server_settings(pool: &Pool) -> Looked {
    let mut plain = pool.plain().await?;
    let looked = answered(LIMIT, server::settings(&mut plain)).await;
    plain.close().await?;
    looked
}

fn schema_problem(error: &Error) -> Check {
    let repair = match error {
        Error::SchemaNewer { .. } => "install the newer release of pgdial here too",
        Error::NoSchema | Error::SchemaOlder { .. } => {
            "run `pgdial migrate`, as a member of the schema's owner"
        }
        Error::Encoding { .. } => {
            "`pg_dump` it, `create database NAME encoding 'UTF8' template template0`, and `pg_restore` it there"
        }
        Error::RowSecurity => "see the lines about row security",
        _ => "connect as a login that may read the schema pgdial",
    };
    Check::fail("schema", error.to_string(), repair)
}

async fn schema(connection: &mut PgConnection) -> Looked {
    let (release, applied, moved): (String, String, Option<String>) = sqlx::query_as(
        "select h.release, date_trunc('second', h.applied_at)::text, \
                (select nullif(c.ahead, '0')::text from pgdial.clock c) \
         from pgdial.schema_history h where h.kind = 'functions' order by h.seq desc limit 1",
    )
    .fetch_one(connection)
    .await?;
    let ours = format!(
        "{}, migration {}",
        env!("CARGO_PKG_VERSION"),
        super::MIGRATION
    );
    let message = format!(
        "this release is {ours}; the database has the functions of {release}, applied {applied}"
    );
    let mut found = vec![Check::ok("schema", message)];
    if let Some(moved) = moved {
        found.push(Check::fail(
            "clock",
            format!("pgdial's own clock is moved by {moved}, which only tests do"),
            "update pgdial.clock set ahead = '0'",
        ));
    }
    Ok(found)
}
