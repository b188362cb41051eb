//! Plans of what providers report, pinned like those of `plans`: the events of a batch and accepted dials reach their
//! rows by key, both with good statistics and with those of empty tables, and a batch runs as many statements as one
//! item.

use sqlx::PgConnection;

use crate::{
    plans::{CLAIM, accesses, plans, session},
    support::run,
};

/// Thirty claimed calls, and thousands of events long since applied: with one reference, without one, and by the
/// provider's id.
async fn history(session: &mut PgConnection) {
    run(session, CLAIM).await.unwrap();
    run(
        session,
        "insert into pgdial.webhook_events (trunk, reference, event_id, received_at, last_delivery_at, \
                                            verdict, try_at, report, body) \
         select 'default', case when n % 2 = 0 then '' else gen_random_uuid() || '-1' end, 'old' || n, now(), now(), \
                case when n % 100 = 0 then 'parked' else 'stale' end, now(), \
                jsonb_build_object('kind', 'progress', 'provider_call_id', 'old' || n), '' \
         from generate_series(1, 20000) n; \
         analyze pgdial.webhook_events",
    )
    .await
    .unwrap();
}

async fn forget_statistics(session: &mut PgConnection) {
    run(
        session,
        "delete from pg_statistic where starelid in ('pgdial.calls'::regclass, 'pgdial.webhook_events'::regclass); \
         update pg_class set reltuples = 0, relpages = 0 where oid in \
         (select indexrelid from pg_index where indrelid in ('pgdial.calls'::regclass, 'pgdial.webhook_events'::regclass) \
          union select 'pgdial.calls'::regclass union select 'pgdial.webhook_events'::regclass)",
    )
    .await
    .unwrap();
}

/// Accepts the dials of this many claimed calls.
fn dialed(items: u32) -> String {
    format!(
        "select pgdial.dialed((select jsonb_agg(jsonb_build_object('id', c.id, 'claim_no', c.claim_no, \
         'provider_call_id', 'p' || c.id)) from (select * from pgdial.calls c where c.state = 'dialing' limit {items}) c))"
    )
}

/// Events of this kind about this many claimed calls; with `by_name` only by the provider's id.
fn webhook(items: u32, kind: &str, by_name: bool) -> String {
    let reference = if by_name {
        "null"
    } else {
        "c.id || '-' || c.claim_no"
    };
    format!(
        "select pgdial.webhook((select jsonb_agg(jsonb_build_object('trunk', c.trunk, 'reference', {reference}, \
         'event_id', '{kind}' || c.id, 'body', '', 'report', jsonb_build_object('kind', '{kind}', 'outcome', 'busy', \
         'status', 's', 'provider_call_id', 'p' || c.id))) \
         from (select * from pgdial.calls c where c.state in ('dialing', 'in_call') order by id limit {items}) c))"
    )
}

/// How a plan reads the events of providers.
fn event_accesses(plan: &str) -> Vec<&str> {
    plan.lines()
        .filter(|line| {
            line.contains(" on webhook_events") || line.contains("Scan on webhook_events_")
        })
        .filter(|line| {
            !line.contains("Insert on")
                && !line.contains("Update on")
                && !line.contains("Bitmap Heap")
        })
        .collect()
}

/// All plans but that of the statement that makes the batch, which is the test's own.
async fn inner_plans(session: &mut PgConnection, sql: &str) -> Vec<String> {
    let mut plans = plans(session, sql).await;
    plans.retain(|plan| {
        !plan.contains("select pgdial.webhook(") && !plan.contains("select pgdial.dialed(")
    });
    plans
}

async fn assert_by_key(session: &mut PgConnection, sql: &str) {
    run(session, "savepoint one").await.unwrap();
    let mut touched = 0;
    for plan in inner_plans(session, sql).await {
        for access in accesses(&plan) {
            let by_key = access.contains("calls_pkey") || access.contains("calls_provider_id");
            assert!(by_key && !access.starts_with("Seq Scan"), "{sql}: {plan}");
            touched += 1;
        }
        for access in event_accesses(&plan) {
            let by_key = [
                "webhook_events_once",
                "webhook_events_pkey",
                "webhook_events_parked_by_provider",
            ]
            .iter()
            .any(|index| access.contains(index));
            assert!(by_key, "{sql}: {plan}");
            // All three columns; otherwise it reads everything that ever came without a reference.
            if access.contains("webhook_events_once") {
                assert!(plan.contains("(event_id = "), "{sql}: {plan}");
            }
        }
        assert!(!plan.contains("Seq Scan on call_events"), "{sql}: {plan}");
    }
    assert!(touched >= 2, "{sql} touched the calls {touched} times");
    run(session, "rollback to one").await.unwrap();
}

async fn assert_all_by_key(session: &mut PgConnection) {
    for items in [1, 20] {
        assert_by_key(session, &dialed(items)).await;
        for kind in ["progress", "answered", "ended", "unknown"] {
            assert_by_key(session, &webhook(items, kind, false)).await;
        }
    }
    run(session, &dialed(20)).await.unwrap();
    for kind in ["progress", "answered", "ended"] {
        assert_by_key(session, &webhook(20, kind, true)).await;
    }
}

#[tokio::test]
async fn what_providers_say_reaches_its_rows_by_key() {
    let (_turn, mut session) = session().await;
    history(&mut session).await;
    assert_all_by_key(&mut session).await;
}

#[tokio::test]
async fn what_providers_say_does_so_with_the_statistics_of_the_empty_tables() {
    let (_turn, mut session) = session().await;
    history(&mut session).await;
    forget_statistics(&mut session).await;
    assert_all_by_key(&mut session).await;
}

/// Number of statements run, not counting those of a session's first time, which fill caches.
async fn statements(session: &mut PgConnection, sql: &str) -> usize {
    run(session, "savepoint one").await.unwrap();
    run(session, sql).await.unwrap();
    run(session, "rollback to one").await.unwrap();
    run(session, "savepoint one").await.unwrap();
    let plans = inner_plans(session, sql).await;
    run(session, "rollback to one").await.unwrap();
    plans.len()
}

#[tokio::test]
async fn a_batch_runs_as_many_statements_as_one_item() {
    let (_turn, mut session) = session().await;
    history(&mut session).await;
    let (one, many) = (
        statements(&mut session, &dialed(1)).await,
        statements(&mut session, &dialed(25)).await,
    );
    assert_eq!(one, many, "dialed");
    for kind in ["progress", "answered"] {
        let (one, many) = (
            statements(&mut session, &webhook(1, kind, false)).await,
            statements(&mut session, &webhook(25, kind, false)).await,
        );
        assert_eq!(one, many, "{kind}");
    }
}
