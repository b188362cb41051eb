//! Settings of a session, and whether it keeps them.
//!
//! They are set by `set_config` after connecting, not in the startup packet, which poolers reject or strip, and are
//! read back by the next statement. So whoever has a session has all of its settings.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Upper bounds; verbs set shorter ones of their own. `pgdial.notify` is off because wakes are sent outside the
/// data's transactions, see [`crate::flow::wake`].
const SETTINGS: [(&str, &str); 6] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("default_transaction_isolation", "read committed"),
    ("standard_conforming_strings", "on"),
    ("pgdial.notify", "off"),
];

/// How soon the server notices that we are gone. Not read back: a Unix socket has no keepalives.
const KEEPALIVES: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "60"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "6"),
    ("tcp_user_timeout", "60s"),
];

/// Why pgdial does not work on a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The server cannot be written to.
    #[error("this Postgres is a standby, or still recovering: nothing can be written to it")]
    Standby,
    /// The session may not write.
    #[error(
        "transactions are read-only here: default_transaction_read_only is on for the server, the database or the login"
    )]
    ReadOnly,
    /// Settings that were set are missing.
    #[error(
        "sessions do not keep their settings ({names}): DATABASE_URL leads through a pooler that takes them away"
    )]
    Forgetful {
        /// Names of the missing settings, separated by commas.
        names: String,
    },
    /// Statements of one session reach different server sessions.
    #[error("DATABASE_URL leads through a pooler in transaction mode, where a session is not one")]
    TransactionMode,
}

impl Refusal {
    /// What to do about it.
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::Standby => {
                "let DATABASE_URL lead to the primary; it may name several servers, as in postgres://...@one,other/pgdial"
            }
            Self::ReadOnly => {
                "alter role ... (or database ...) reset default_transaction_read_only, or use another login"
            }
            Self::Forgetful { .. } | Self::TransactionMode => {
                "connect to Postgres directly, or through the pooler's session mode (PgBouncer: pool_mode = session)"
            }
        }
    }

    /// Whether it may be over in a moment, after a failover.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Standby | Self::ReadOnly)
    }

    /// The refusal behind a failed statement, if there is one.
    pub fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Configuration(inner) => inner.downcast_ref().cloned(),
            sqlx::Error::Database(error) => match error.code().as_deref() {
                Some("25006") => Some(Self::ReadOnly),
                // A prepared statement that already exists, or no longer does.
                Some("42P05" | "26000") => Some(Self::TransactionMode),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<Refusal> for sqlx::Error {
    fn from(refusal: Refusal) -> Self {
        Self::Configuration(refusal.into())
    }
}

/// The server process of a session. Its start tells it from a later process with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) pid: i32,
    pub(super) since: DateTime<Utc>,
}

/// Process, its start, in recovery, read-only, names of missing settings.
type Found = (i32, DateTime<Utc>, bool, bool, Option<String>);

/// Sets up a fresh session and checks the result.
///
/// Turns `synchronous_commit` on if the server has it off: what was acknowledged with 2xx, and a claim before its
/// dial, must outlive a crash (P1, P2). Stronger settings are left alone.
pub(super) async fn prepare(
    session: &mut PgConnection,
    application: &str,
) -> Result<Backend, sqlx::Error> {
    let own = SETTINGS
        .into_iter()
        .chain([("application_name", application)]);
    let (names, values): (Vec<&str>, Vec<&str>) = own.unzip();
    // Not kept as a prepared statement: a pooler that mixes sessions shows at the next one.
    sqlx::query(
        "select set_config(s.name, s.value, false) \
         from (select * from unnest($1::text[], $2::text[]) \
               union all select 'synchronous_commit', 'on' where current_setting('synchronous_commit') = 'off') as s (name, value)",
    )
    .persistent(false)
    .bind(names.iter().chain(KEEPALIVES.iter().map(|(name, _)| name)).copied().collect::<Vec<_>>())
    .bind(values.iter().chain(KEEPALIVES.iter().map(|(_, value)| value)).copied().collect::<Vec<_>>())
    .execute(&mut *session)
    .await?;
    let (pid, since, in_recovery, read_only, forgotten): Found = sqlx::query_as(
        "select a.pid, a.backend_start, pg_is_in_recovery(), current_setting('transaction_read_only')::bool, \
                (select string_agg(s.name, ', ') from unnest($1::text[], $2::text[]) as s (name, value) \
                 where current_setting(s.name, true) is distinct from s.value \
                    or current_setting('synchronous_commit') = 'off') \
         from pg_stat_get_activity(pg_backend_pid()) a",
    )
    .persistent(false)
    .bind(&names)
    .bind(&values)
    .fetch_one(session)
    .await?;
    match forgotten {
        _ if in_recovery => Err(Refusal::Standby.into()),
        _ if read_only => Err(Refusal::ReadOnly.into()),
        Some(names) => Err(Refusal::Forgetful { names }.into()),
        None => Ok(Backend { pid, since }),
    }
}

/// The server process that serves this session now.
pub(super) async fn answering(session: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let (pid,) = sqlx::query_as("select pg_backend_pid()")
        .persistent(false)
        .fetch_one(session)
        .await?;
    Ok(pid)
}
