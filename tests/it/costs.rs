//! What the verbs of a call's life cost, counted in ways that do not depend on how busy the machine is: pages touched,
//! and functions that Postgres would plan anew at each call. A change that costs more fails here, before anybody
//! measures it.

use sqlx::{Connection, PgConnection};

use crate::support::{TestDb, ask, pages::pages, run};

/// Verbs in the order of a call's life, with `$n` items.
const LIFE: [(&str, &str); 5] = [
    (
        "enqueue",
        "select pgdial.enqueue_many(array['costs'], (select jsonb_agg(jsonb_build_object('to', '+1212' || lpad((2000000 \
         + nextval('costs'))::text, 7, '0'), 'scriptId', 's', 'idempotencyKey', currval('costs')::text)) \
         from generate_series(1, $n)))",
    ),
    (
        "claim",
        "select pgdial.claim('00000000-0000-0000-0000-000000000001', array['default'], $n)",
    ),
    (
        "dialed",
        "select pgdial.dialed((select jsonb_agg(jsonb_build_object('id', id, 'claim_no', claim_no, \
         'provider_call_id', 'p' || id)) from pgdial.calls where state = 'dialing'))",
    ),
    (
        "webhook",
        "select pgdial.webhook((select jsonb_agg(jsonb_build_object('trunk', 'default', 'reference', id || '-' || claim_no, \
         'event_id', 'answered ' || id, 'body', '', 'report', jsonb_build_object('kind', 'progress', 'status', 'answered'))) \
         from pgdial.calls where state = 'in_call'))",
    ),
    (
        "end",
        "select pgdial.webhook((select jsonb_agg(jsonb_build_object('trunk', 'default', 'reference', id || '-' || claim_no, \
         'event_id', 'ended ' || id, 'body', '', 'report', jsonb_build_object('kind', 'ended', 'outcome', 'answered'))) \
         from pgdial.calls where state = 'in_call'))",
    ),
];

/// How dials end that are never accepted. Refusals leave traces that later claims read, so they come last.
const REFUSALS: [&str; 3] = ["blocked", "invalid_number", "provider_fault"];

/// Reports about calls that are over, which are applied one by one.
const LATE: [&str; 3] = [
    r#"{"kind": "progress", "status": "ringing"}"#,
    r#"{"kind": "answered", "status": "in-progress"}"#,
    r#"{"kind": "ended", "outcome": "answered", "result": {"summary": "late"}}"#,
];

const AFTER_ITS_END: &str = "select pgdial.webhook((select jsonb_agg(jsonb_build_object('trunk', 'default', 'reference', \
                             id || '-' || claim_no, 'event_id', md5('$report') || id, 'body', '', 'report', '$report'::jsonb)) \
                             from (select id, claim_no from pgdial.calls where ended_at is not null and claim_no > 0 limit 30) c))";

const SETTLE: &str = "select pgdial.settle((select jsonb_agg(jsonb_build_object('id', id, 'claim_no', claim_no, \
                      'outcome', '$outcome', 'why', 'w')) from pgdial.calls where state = 'dialing'))";

/// Pages of one item, and of each of thirty.
const PINNED: [(&str, i64, i64); 6] = [
    ("enqueue", 25, 23),
    ("claim", 82, 30),
    ("dialed", 50, 33),
    ("webhook", 33, 24),
    ("end", 68, 58),
    ("settle", 47, 36),
];

/// A session with plans and caches as after some use.
async fn used_session(db: &TestDb) -> PgConnection {
    let mut session = PgConnection::connect(&db.url).await.unwrap();
    let setup = "create temp sequence costs; set track_functions = 'all'; \
                 update pgdial.trunks set slots = 1000; \
                 alter table pgdial.calls set (autovacuum_enabled = off)";
    run(&mut session, setup).await.unwrap();
    for _ in 0..2 {
        live(&mut session, 30).await;
    }
    session
}

/// Lets this many calls live, and returns the pages that each verb touched.
async fn live(session: &mut PgConnection, calls: u32) -> Vec<(&'static str, i64)> {
    let mut touched = Vec::new();
    for (verb, sql) in LIFE {
        let sql = sql.replace("$n", &calls.to_string());
        touched.push((verb, pages(session, &sql).await));
    }
    touched.push(("settle", settle(session, calls, "busy").await));
    touched
}

/// Settles this many dials with this outcome, and returns the pages that it touched.
async fn settle(session: &mut PgConnection, calls: u32, outcome: &str) -> i64 {
    for (_, sql) in &LIFE[..2] {
        let sql = sql.replace("$n", &calls.to_string());
        run(session, &sql).await.unwrap();
    }
    pages(session, &SETTLE.replace("$outcome", outcome)).await
}

#[tokio::test]
async fn a_verb_touches_no_more_pages_than_it_did() {
    let db = TestDb::new().await;
    let mut session = used_session(&db).await;
    let one = live(&mut session, 1).await;
    let thirty = live(&mut session, 30).await;
    let counted: Vec<_> = one
        .into_iter()
        .zip(thirty)
        .map(|((verb, one), (_, thirty))| (verb, one, thirty / 30))
        .collect();
    // More is a verb that became slower; half is one whose figure is out of date.
    let is_near = |pinned: i64, now: i64| now * 4 <= pinned * 5 && now * 2 >= pinned;
    let near = PINNED.iter().zip(&counted).all(|((verb, one, each), now)| {
        *verb == now.0 && is_near(*one, now.1) && is_near(*each, now.2)
    });
    assert!(near, "{counted:?}");
}

/// Postgres keeps no plan of an SQL function that it cannot inline: it would parse and plan it at each call. Some calls
/// are those of the planner, which replaces them by their value.
#[tokio::test]
async fn no_verb_calls_a_function_that_is_planned_anew() {
    let db = TestDb::new().await;
    let mut session = used_session(&db).await;
    for outcome in REFUSALS {
        settle(&mut session, 30, outcome).await;
    }
    for report in LATE {
        let sql = AFTER_ITS_END.replace("$report", report);
        run(&mut session, &sql).await.unwrap();
    }
    run(&mut session, "select pg_stat_force_next_flush()")
        .await
        .unwrap();
    let planned = "select coalesce(string_agg(distinct s.funcname, ' '), '') from pg_stat_user_functions s \
                   join pg_proc p on p.oid = s.funcid join pg_language l on l.oid = p.prolang \
                   where l.lanname = 'sql' and s.schemaname = 'pgdial' and s.calls > 10";
    assert_eq!(ask(&mut session, planned).await, "");
    let counted = "select count(*) > 30 from pg_stat_user_functions where schemaname = 'pgdial'";
    assert_eq!(ask(&mut session, counted).await, "true");
}
