//! Differences between the database and what the last migration left there, and who may use it.

use sqlx::{Connection, PgConnection};

use super::{Check, Looked};
use crate::db::fingerprints;

const AGAIN: &str =
    "`pgdial migrate --again`: it applies all functions and views of this release once more";

/// Compares functions, views, triggers, indexes, constraints, columns and table settings. Objects that others added
/// are left alone.
pub(super) async fn look(connection: &mut PgConnection) -> Looked {
    let mut tx = connection.begin().await?;
    let (expected, server) = fingerprints::expected(&mut tx).await?;
    let major = fingerprints::major(&mut tx).await?;
    let there = fingerprints::there(&mut tx).await?;
    tx.rollback().await?;
    let is_same_server = server == Some(major);
    let mut found = Vec::new();
    for ((kind, name), made) in &expected {
        match there.get(&(kind.clone(), name.clone())) {
            None => found.push(differs(kind, name, made, None)),
            Some(now) if now != made && is_same_server => {
                found.push(differs(kind, name, made, Some(now)));
            }
            Some(_) => {}
        }
    }
    found.extend(invalid(connection).await?);
    if !is_same_server {
        let message = "the server has another major version than when this database was migrated: \
                       definitions cannot be compared";
        found.push(Check::warn("drift", message, AGAIN));
    }
    if found.is_empty() {
        let message = format!(
            "{} things are as the last migration left them",
            expected.len()
        );
        found.push(Check::ok("drift", message));
    }
    Ok(found)
}

/// `now` is the definition found; `None` means that it is missing.
fn differs(kind: &str, name: &str, made: &str, now: Option<&String>) -> Check {
    let how = match now {
        None => "is missing".to_owned(),
        Some(now) if matches!(kind, "function" | "view") && now.len() + made.len() > 200 => {
            "is not as this release makes it: somebody has changed it".to_owned()
        }
        Some(now) => format!("is not as this release makes it, but {now}"),
    };
    let short = name.split('(').next().unwrap_or(name); // of a function, without its arguments
    let message = match kind {
        "trigger" | "constraint" => format!("{kind} {name} {how}"),
        "settings" => format!("table pgdial.{name} is not set to {made}"),
        _ => format!("{kind} pgdial.{short} {how}"),
    };
    match kind {
        "function" | "view" => Check::fail("drift", message, AGAIN),
        "trigger" => Check::warn("drift", message, AGAIN),
        "settings" => {
            let repair = format!("alter table pgdial.{name} set ({made})");
            Check::warn("drift", message, repair)
        }
        "index" => {
            // An index on a partitioned table cannot be created concurrently.
            let repair = if made.contains(" ON pgdial.call_events ") {
                made.to_owned()
            } else {
                made.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1)
            };
            let message = format!("{message}: what needs it reads whole tables");
            Check::fail("drift", message, repair)
        }
        "constraint" => {
            let message = format!("{message}: rows may be what no verb makes");
            let (constraint, table) = name.split_once(" on ").unwrap_or((name, ""));
            let drop = now.map_or_else(String::new, |_| format!("drop constraint {constraint}, "));
            let repair = format!(
                "alter table {table} {drop}add constraint {constraint} {made} not valid; \
                 alter table {table} validate constraint {constraint}"
            );
            Check::fail("drift", message, repair)
        }
        _ => {
            let repair = format!("make it {made} again; `pgdial calls export` first");
            Check::fail("drift", message, repair)
        }
    }
}

/// Finds indexes left invalid by a failed `create index concurrently`.
async fn invalid(connection: &mut PgConnection) -> Looked {
    let there: Vec<(String,)> = sqlx::query_as(
        "select k.relname::text from pg_index i join pg_class k on k.oid = i.indexrelid \
         where k.relnamespace = 'pgdial'::regnamespace and not (i.indisvalid and i.indisready)",
    )
    .fetch_all(connection)
    .await?;
    let checks = there.into_iter().map(|(name,)| {
        let message = format!("index pgdial.{name} is not valid: it costs, and serves nobody");
        let repair = format!("reindex index concurrently pgdial.{name}");
        Check::fail("drift", message, repair)
    });
    Ok(checks.collect())
}

/// Whether this login may do what the program does, which is whatever `pgdial_worker` may do, or everything if there
/// is no such role.
pub(super) async fn rights(connection: &mut PgConnection) -> Looked {
    let (login, refused): (String, Vec<String>) = sqlx::query_as(
        "select session_user::text, array(select distinct p.proname::text from pg_proc p \
             where p.pronamespace = 'pgdial'::regnamespace and not has_function_privilege(p.oid, 'execute') \
               and not exists (select from pg_roles r where r.rolname = 'pgdial_worker' \
                               and not has_function_privilege(r.oid, p.oid, 'execute')) order by 1)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (unread,): (Vec<String>,) = sqlx::query_as(
        // Secrets are read by the verbs alone.
        "select array(select k.relname::text from pg_class k \
             where k.relnamespace = 'pgdial'::regnamespace and k.relkind in ('r', 'p', 'v') and k.relname <> 'endpoint_secrets' \
               and not has_table_privilege(k.oid, 'select') order by 1)",
    )
    .fetch_one(connection)
    .await?;
    let repair = format!("grant pgdial_worker to {login}, then `pgdial migrate` once more");
    Ok(vec![if let Some(first) = refused.first() {
        let message = format!(
            "{login} may not call {} verbs, pgdial.{first} among them",
            refused.len()
        );
        Check::fail("rights", message, repair)
    } else if let Some(first) = unread.first() {
        let message = format!(
            "{login} may not read {} tables, pgdial.{first} among them",
            unread.len()
        );
        Check::fail("rights", message, repair)
    } else {
        Check::ok(
            "rights",
            format!("{login} may call every verb and read every table"),
        )
    }])
}

/// Whether the weeks ahead have partitions, and whether events fell into the default one.
pub(super) async fn partitions(connection: &mut PgConnection) -> Looked {
    let (ahead, beside): (i64, bool) = sqlx::query_as(
        "select (select count(*) from pg_inherits i join pg_class k on k.oid = i.inhrelid \
                 where i.inhparent = 'pgdial.call_events'::regclass and k.relname ~ '^call_events_[0-9]{4}w[0-9]{2}$' \
                   and to_date(substr(k.relname, 13), 'IYYY\"w\"IW') > ((select pgdial.now()) at time zone 'UTC')::date), \
                exists (select from pgdial.call_events_default)",
    )
    .fetch_one(connection)
    .await?;
    let repair = "each worker makes them once a minute: is one alive? By hand: select pgdial.housekeeping(null)";
    Ok(vec![if beside {
        let message =
            "events lie in call_events_default: their weeks had no partition when they came";
        Check::warn("partitions", message, repair)
    } else if ahead < 2 {
        let message = format!("only {ahead} weeks of call_events are made ahead");
        Check::warn("partitions", message, repair)
    } else {
        Check::ok(
            "partitions",
            format!("{ahead} weeks of call_events are made ahead"),
        )
    }])
}
