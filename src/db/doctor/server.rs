//! Settings, sessions, connections and clock of the server, and what keeps vacuum from its work.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Check, Looked, rows};

/// Seconds; an older transaction keeps vacuum from removing dead rows.
const OLD_SEC: f64 = 900.0;
/// Seconds; a greater difference between clocks makes log lines hard to compare.
const SKEW_SEC: f64 = 2.0;

#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as the server says it")]
struct Settings {
    version: String,
    login: String,
    is_superuser: bool,
    fsync: bool,
    full_page_writes: bool,
    autovacuum: bool,
    synchronous_commit: String,
    idle_limit: String,
    most: i64,
    used: i64,
    login_most: i64,
    login_used: i64,
    database_most: i64,
    database_used: i64,
}

/// Settings as a session without ours sees them.
pub(super) async fn settings(plain: &mut PgConnection) -> Looked {
    let settings: Vec<Settings> = rows(
        plain,
        "select current_setting('server_version') as version, session_user::text as login, \
                (select r.rolsuper from pg_roles r where r.rolname = session_user) as is_superuser, \
                current_setting('fsync')::bool as fsync, current_setting('full_page_writes')::bool as full_page_writes, \
                current_setting('autovacuum')::bool as autovacuum, \
                current_setting('synchronous_commit') as synchronous_commit, \
                current_setting('idle_in_transaction_session_timeout') as idle_limit, \
                current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
                    - coalesce(current_setting('reserved_connections', true)::int8, 0) as most, \
                (select count(*) from pg_stat_activity a where a.backend_type = 'client backend') as used, \
                (select r.rolconnlimit from pg_roles r where r.rolname = session_user) as login_most, \
                (select count(*) from pg_stat_activity a where a.usename = session_user and a.backend_type = 'client backend') as login_used, \
                d.datconnlimit as database_most, \
                (select count(*) from pg_stat_activity a where a.datname = d.datname and a.backend_type = 'client backend') as database_used \
         from pg_database d where d.datname = current_database()",
    )
    .await?;
    let Some(settings) = settings.into_iter().next() else {
        return Ok(Vec::new());
    };
    let mut found = vec![Check::ok(
        "connection",
        format!(
            "Postgres {} answers, as {}",
            settings.version, settings.login
        ),
    )];
    found.extend(durability(&settings));
    found.extend(room(&settings));
    if settings.is_superuser {
        found.push(Check::warn(
            "rights",
            format!(
                "{} is a superuser, whom no right and no guard stops",
                settings.login
            ),
            "make a login that is a member of pgdial_worker: sql/setup/roles.sql",
        ));
    }
    Ok(found)
}

fn durability(settings: &Settings) -> Vec<Check> {
    let mut found = Vec::new();
    for (name, on) in [
        ("fsync", settings.fsync),
        ("full_page_writes", settings.full_page_writes),
    ] {
        if !on {
            found.push(Check::fail(
                "durability",
                format!("{name} is off: a crash of the machine may lose or break what was answered as kept"),
                format!("alter system set {name} = on; select pg_reload_conf()"),
            ));
        }
    }
    if settings.synchronous_commit == "off" {
        found.push(Check::warn(
            "durability",
            "synchronous_commit is off: pgdial turns it on for itself, enqueues from SQL do not",
            "alter database ... set synchronous_commit = on",
        ));
    }
    if found.is_empty() {
        let message = format!(
            "fsync is on, synchronous_commit is {}",
            settings.synchronous_commit
        );
        found.push(Check::ok("durability", message));
    }
    found
}

fn room(settings: &Settings) -> Vec<Check> {
    let mut found = Vec::new();
    if !settings.autovacuum {
        found.push(Check::fail(
            "autovacuum",
            "autovacuum is off: claims become slower with every call that ends",
            "alter system set autovacuum = on; select pg_reload_conf()",
        ));
    }
    if settings.idle_limit == "0" {
        found.push(Check::warn(
            "idle transactions",
            "nobody ends a transaction that somebody forgets: it holds rows, and keeps vacuum from its work",
            "alter database ... set idle_in_transaction_session_timeout = '5min'",
        ));
    }
    found.push(connections(settings));
    found
}

/// Checks whichever limit is closest. -1 means none, and a superuser is not bound by those of a login or database.
fn connections(settings: &Settings) -> Check {
    let limits = [
        (settings.most, settings.used, "", "raise max_connections"),
        (
            settings.login_most,
            settings.login_used,
            " of this login",
            "alter role ... connection limit",
        ),
        (
            settings.database_most,
            settings.database_used,
            " of this database",
            "alter database ... connection limit",
        ),
    ];
    let [server, ..] = limits;
    let counted = limits
        .into_iter()
        .filter(|(most, ..)| *most >= 0 && !settings.is_superuser);
    let first = counted.min_by_key(|(most, used, ..)| most - used);
    let (most, used, whose, raise) = first.unwrap_or(server);
    let left = most - used;
    let message = format!("{left} of {most} connections{whose} are free");
    if left < 20 {
        let repair = format!(
            "a serve process takes up to 18, an api or a work 9: {raise}, or look who has them (pg_stat_activity)"
        );
        Check::warn("connections", message, repair)
    } else {
        Check::ok("connections", message)
    }
}

/// Compares the database's clock with this host's, on which nothing depends (P5).
pub(super) async fn clock(connection: &mut PgConnection) -> Looked {
    let asked = host_now();
    let (theirs,): (DateTime<Utc>,) = sqlx::query_as("select clock_timestamp()")
        .fetch_one(connection)
        .await?;
    let answered = host_now();
    let middle = asked + (answered - asked) / 2;
    let ahead = (theirs - middle).as_seconds_f64();
    let message = format!("the database's clock is {ahead:+.1} s from this host's");
    Ok(vec![if ahead.abs() > SKEW_SEC {
        let repair = "nothing is decided by this host's clock, but log lines will not agree: let both follow NTP";
        Check::warn("clock", message, repair)
    } else {
        Check::ok("clock", message)
    }])
}

#[expect(
    clippy::disallowed_methods,
    reason = "only to say how far apart the two clocks are; nothing is decided by it"
)]
fn host_now() -> DateTime<Utc> {
    Utc::now()
}

#[derive(Deserialize)]
struct Holder {
    what: String,
    age_sec: f64,
    repair: String,
}

/// Sessions that keep vacuum from removing dead rows.
pub(super) async fn snapshots(connection: &mut PgConnection) -> Looked {
    let holders: Vec<Holder> = rows(
        &mut *connection,
        "select format('%s (pid %s, %s) has had a transaction open', coalesce(nullif(a.application_name, ''), 'a session'), \
                       a.pid, a.usename) as what, \
                extract(epoch from clock_timestamp() - a.xact_start)::float8 as age_sec, \
                format('select pg_terminate_backend(%s), unless somebody needs it', a.pid) as repair \
         from pg_stat_activity a \
         where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start is not null \
           and a.backend_type in ('client backend', 'walsender') \
         union all \
         select format('a prepared transaction %L has been waiting', p.gid), \
                extract(epoch from clock_timestamp() - p.prepared)::float8, format('commit prepared %L, or rollback prepared', p.gid) \
         from pg_prepared_xacts p where p.database = current_database() \
         order by 2 desc limit 1",
    )
    .await?;
    let (sees_all,): (bool,) = sqlx::query_as("select pg_has_role('pg_read_all_stats', 'usage')")
        .fetch_one(connection)
        .await?;
    let hidden = if sees_all {
        ""
    } else {
        " (of the sessions that this login may see: grant it pg_read_all_stats)"
    };
    Ok(vec![match holders.first() {
        Some(holder) if holder.age_sec > OLD_SEC => Check::warn(
            "snapshots",
            format!(
                "{} for {:.0} min{hidden}",
                holder.what,
                holder.age_sec / 60.0
            ),
            holder.repair.clone(),
        ),
        _ => Check::ok("snapshots", format!("no transaction is old{hidden}")),
    }])
}

#[derive(Deserialize)]
struct Table {
    name: String,
    live: i64,
    dead: i64,
}

/// Dead rows, and the notification queue.
pub(super) async fn bloat(connection: &mut PgConnection) -> Looked {
    let tables: Vec<Table> = rows(
        &mut *connection,
        "select s.relname::text as name, s.n_live_tup as live, s.n_dead_tup as dead from pg_stat_user_tables s \
         where s.schemaname = 'pgdial' and s.n_dead_tup > greatest(10000, s.n_live_tup / 5) order by 1",
    )
    .await?;
    let (queue,): (f64,) = sqlx::query_as("select pg_notification_queue_usage()")
        .fetch_one(connection)
        .await?;
    let mut found: Vec<Check> = tables
        .iter()
        .map(|table| {
            Check::warn(
                "bloat",
                format!(
                    "{} has {} dead rows beside {} live ones",
                    table.name, table.dead, table.live
                ),
                format!(
                    "look for an old transaction; then `vacuum pgdial.{}`",
                    table.name
                ),
            )
        })
        .collect();
    if queue > 0.1 {
        found.push(Check::warn(
            "notifications",
            format!(
                "the server's queue of notifications is {:.0} % full",
                queue * 100.0
            ),
            "end the session that listens inside an open transaction",
        ));
    }
    if found.is_empty() {
        found.push(Check::ok(
            "bloat",
            "vacuum keeps up, and notifications are read",
        ));
    }
    Ok(found)
}
