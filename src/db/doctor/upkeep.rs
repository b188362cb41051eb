//! Housekeeping, and what others have set up around our tables.

use serde::Deserialize;
use sqlx::PgConnection;

use super::{Check, Looked, rows};
use crate::db::roles;

/// Failures in a row, one a minute, after which a step is not expected to recover by itself.
const LASTING: i32 = 5;

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "step")]
    name: String,
    failures: i32,
    error: Option<String>,
    done_sec: Option<f64>,
    overdue: bool,
}

/// Whether each step of housekeeping succeeds.
pub(super) async fn housekeeping(connection: &mut PgConnection) -> Looked {
    let steps: Vec<Step> = rows(
        connection,
        // A step counts as overdue only if a worker has been alive long enough to have done it.
        "select s.step, s.failures, s.error, extract(epoch from n.now - s.done_at)::float8 as done_sec, \
                coalesce(s.done_at < n.now - interval '10 minutes', true) \
                and exists (select from pgdial.live_workers w where w.started_at < n.now - interval '10 minutes') as overdue \
         from pgdial.housekeeping_steps s, (select pgdial.now()) n (now) order by s.ordinal",
    )
    .await?;
    let found: Vec<Check> = steps.iter().filter_map(of_step).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let oldest = steps.iter().filter_map(|step| step.done_sec);
    let oldest = oldest.fold(0.0_f64, f64::max);
    let never = steps.iter().filter(|step| step.done_sec.is_none()).count();
    let message = if never == 0 {
        format!(
            "each of its {} steps was done within the last {:.0} s",
            steps.len(),
            oldest
        )
    } else {
        format!("{never} of its {} steps were never done yet", steps.len())
    };
    Ok(vec![Check::ok("housekeeping", message)])
}

fn of_step(step: &Step) -> Option<Check> {
    let Step { name, .. } = step;
    let last = step.done_sec.map_or_else(
        || "it has never succeeded".to_owned(),
        |sec| format!("it last succeeded {:.0} min ago", sec / 60.0),
    );
    if step.failures > 0 {
        let error = step.error.as_deref().unwrap_or("no words");
        let times = step.failures;
        let message = format!("{name} has failed {times} times in a row, {last}: {error}");
        let repair = format!(
            "remove what stands in its way: whatever depends on one week of call_events, an event trigger, an open transaction; \
             then `select pgdial.housekeeping(null, '{name}')`"
        );
        let check = if times >= LASTING {
            Check::fail
        } else {
            Check::warn
        };
        return Some(check("housekeeping", message, repair));
    }
    step.overdue.then(|| {
        Check::fail(
            "housekeeping",
            format!("{name} is not done, though a worker is alive; {last}"),
            format!(
                "look into the workers' logs; by hand: select pgdial.housekeeping(null, '{name}')"
            ),
        )
    })
}

/// What PUBLIC may do in the schema, which should be nothing.
pub(super) async fn open(connection: &mut PgConnection) -> Looked {
    let open = roles::open_to_public(connection).await?;
    let (ours, others): (Vec<_>, Vec<_>) = open.iter().partition(|open| open.is_ours);
    let mut found = Vec::new();
    if let Some(first) = ours.first() {
        let message = format!(
            "PUBLIC, which is everybody who may connect, has rights here that it is not to have: {} of them, as {}",
            ours.len(),
            first.what
        );
        let repair = "`pgdial migrate`, as a member of the schema's owner, takes them back; grant to a role instead";
        found.push(Check::fail("rights", message, repair));
    }
    found.extend(others.into_iter().map(|open| {
        let message = format!(
            "PUBLIC has rights here that it is not to have: {}",
            open.what
        );
        Check::warn("rights", message, open.revoke.clone())
    }));
    Ok(found)
}

/// A published table, or one that will be, accepts updates only if it has a replica identity.
pub(super) async fn identity(connection: &mut PgConnection) -> Looked {
    let (without,): (Vec<String>,) = sqlx::query_as(
        "select array(select k.relname::text from pg_class k \
             where k.relnamespace = 'pgdial'::regnamespace and k.relkind in ('r', 'p') \
               and not case k.relreplident when 'f' then true when 'n' then false \
                       else exists (select from pg_index i where i.indrelid = k.oid \
                                      and case k.relreplident when 'i' then i.indisreplident else i.indisprimary end) end \
             order by 1)",
    )
    .fetch_one(connection)
    .await?;
    let told = |table: &String| {
        Check::fail(
            "identity",
            format!(
                "pgdial.{table} has no replica identity: once a publication has it, its rows can neither change nor go"
            ),
            format!(
                "alter table pgdial.{table} replica identity default, with its primary key as migrations/ say"
            ),
        )
    };
    let mut found: Vec<Check> = without.iter().map(told).collect();
    if found.is_empty() {
        found.push(Check::ok(
            "identity",
            "every table can be published and changed",
        ));
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Hidden {
    table: String,
    active: bool,
    login: String,
    triggers: Option<String>,
}

/// Row level security silently hides rows. Nothing of ours enables it.
pub(super) async fn row_security(connection: &mut PgConnection) -> Looked {
    let hidden: Vec<Hidden> = rows(
        connection,
        "select k.relname as table, row_security_active(k.oid) as active, session_user::text as login, \
                (select string_agg(e.evtname, ', ') from pg_event_trigger e \
                 where e.evtenabled <> 'D' and e.evtevent = 'ddl_command_end') as triggers \
         from pg_class k where k.relnamespace = to_regnamespace('pgdial') and k.relkind in ('r', 'p') \
           and not k.relispartition and k.relrowsecurity order by 1",
    )
    .await?;
    Ok(hidden.iter().map(of_hidden).collect())
}

fn of_hidden(hidden: &Hidden) -> Check {
    let Hidden { table, login, .. } = hidden;
    let by = hidden.triggers.as_ref().map_or_else(String::new, |names| {
        format!("; an event trigger may have done it: {names}")
    });
    let repair = format!("as the owner: alter table pgdial.{table} disable row level security");
    if hidden.active {
        let message =
            format!("row level security of pgdial.{table} decides which rows {login} sees{by}");
        Check::fail("row security", message, repair)
    } else {
        let message =
            format!("row level security of pgdial.{table} hides rows from others than {login}{by}");
        Check::warn("row security", message, repair)
    }
}
