//! Plans of the statements inside the functions, pinned on 100,000 waiting and 100,000 finished calls, both with good
//! statistics and with those of an empty table. A claim that scans the whole table still returns the right calls,
//! only late.

use std::{fmt::Debug, sync::Arc};

use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tracing::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use crate::support::{TestDb, ask, pages::pages, run};

/// Postgres's notices, as sqlx logs them.
#[derive(Clone, Default)]
struct Notices(Arc<std::sync::Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Notices {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::postgres::notice" {
            event.record(&mut Message(self));
        }
    }
}

struct Message<'a>(&'a Notices);

impl Visit for Message<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            // A plan with an array of numbers may be long; what matters is at its beginning.
            let lines = value
                .lines()
                .map(|line| line.chars().take(400).collect::<String>());
            self.0
                .0
                .lock()
                .unwrap()
                .push(lines.collect::<Vec<_>>().join("\n"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// A session on the large fixture, in a transaction that is never committed. One at a time: a claim keeps the gate
/// until its transaction ends.
pub(crate) async fn session() -> (MutexGuard<'static, ()>, PgConnection) {
    static TURN: Mutex<()> = Mutex::const_new(());
    static URL: OnceCell<String> = OnceCell::const_new();
    let url = URL
        .get_or_init(|| async {
            let db = TestDb::new().await;
            db.sql(
                "alter table pgdial.calls set (autovacuum_enabled = off); \
                 insert into pgdial.calls (id, phone, campaign, script_id, run_at, priority, max_attempts, owner, \
                                           request_hash, created_at, state, outcome, ended_at, claim_no) \
                 select pgdial.uuid_v7(now()), '+1' || (2000000000 + n), 'default', 's', \
                        now() + (n % 1000 - 500) * interval '1 second', n % 3, 3, 't', '', now(), \
                        case when n % 2 = 0 then 'waiting' else 'failed' end::pgdial.call_state, \
                        case when n % 2 = 1 then 'busy' end::pgdial.outcome, case when n % 2 = 1 then now() end, n % 2 \
                 from generate_series(1, 200000) n; \
                 analyze pgdial.calls",
            )
            .await;
            db.url
        })
        .await;
    let turn = TURN.lock().await;
    let mut session = PgConnection::connect(url).await.unwrap();
    run(&mut session, "begin").await.unwrap();
    (turn, session)
}

/// As if the table had been analysed while empty.
async fn forget_statistics(session: &mut PgConnection) {
    run(
        session,
        "delete from pg_statistic where starelid = 'pgdial.calls'::regclass; \
         update pg_class set reltuples = 0, relpages = 0 where oid in \
         (select indexrelid from pg_index where indrelid = 'pgdial.calls'::regclass union select 'pgdial.calls'::regclass)",
    )
    .await
    .unwrap();
}

/// Plans of all statements this one runs, including those inside functions.
pub(crate) async fn plans(session: &mut PgConnection, sql: &str) -> Vec<String> {
    run(
        session,
        "load 'auto_explain'; set auto_explain.log_min_duration = 0; \
         set auto_explain.log_nested_statements = on; set client_min_messages = log",
    )
    .await
    .unwrap();
    let notices = Notices::default();
    let subscriber = tracing_subscriber::registry().with(notices.clone());
    {
        let _listening = tracing::subscriber::set_default(subscriber);
        run(session, sql).await.unwrap();
    }
    run(
        session,
        "set auto_explain.log_min_duration = -1; set client_min_messages = warning",
    )
    .await
    .unwrap();
    let plans: Vec<String> = std::mem::take(&mut *notices.0.lock().unwrap())
        .into_iter()
        .filter(|notice| notice.contains("plan:"))
        .collect();
    assert!(plans.len() > 1, "no plans were logged: {plans:?}");
    plans
}

/// Indexes of calls that a plan reads, and any other way it reads the table.
pub(crate) fn accesses(plan: &str) -> Vec<String> {
    plan.lines()
        .map(|line| line.trim().trim_start_matches("->").trim())
        .filter(|line| {
            line.starts_with("Seq Scan on calls")
                || line.contains("Scan using calls_")
                || line.contains("Bitmap Index Scan on calls_")
        })
        .map(|line| line.split("  (").next().unwrap_or(line).to_owned())
        .collect()
}

fn assert_no_seq_scan(plans: &[String]) {
    for plan in plans {
        assert!(!plan.contains("Seq Scan on calls"), "{plan}");
    }
}

pub(crate) const CLAIM: &str = "select pgdial.claim(gen_random_uuid(), '{default}', 30)";

async fn assert_claim_reads_in_order(session: &mut PgConnection) {
    let plans = plans(session, CLAIM).await;
    assert_no_seq_scan(&plans);
    let picks: Vec<_> = plans
        .iter()
        .filter(|plan| plan.contains("one_per_number as"))
        .collect();
    assert!(!picks.is_empty());
    for plan in picks {
        // Candidates come only from the ordered index, and each is locked by its key as it comes: nothing is sorted
        // before the limit.
        let due: Vec<&str> = plan
            .lines()
            .skip_while(|line| !line.contains("CTE due"))
            .take_while(|line| !line.contains("InitPlan 10") && !line.contains("Unique"))
            .collect();
        let due = due.join("\n");
        assert!(due.contains("LockRows"), "{plan}");
        assert!(
            due.contains("Index Only Scan using calls_claimable on calls c"),
            "{plan}"
        );
        assert!(due.contains("Index Scan using calls_pkey"), "{plan}");
        assert!(!due.contains("Sort"), "{plan}");
        assert!(!due.contains("Bitmap"), "{plan}");
        let bound = due
            .lines()
            .find(|line| line.contains("Index Cond"))
            .unwrap_or_default();
        assert!(
            bound.contains("run_at <=") && bound.contains("ROW(run_at, id) >"),
            "run_at bounds the scan on both sides: {plan}"
        );
        // From Postgres 17 on, more words surround it.
        assert!(due.contains("hashed SubPlan 1"), "{plan}");
    }
    let stamp: Vec<_> = plans
        .iter()
        .filter(|plan| plan.contains("with stamped as"))
        .collect();
    assert!(!stamp.is_empty());
    for plan in stamp {
        let accesses = accesses(plan);
        assert_eq!(accesses.len(), 1, "{plan}");
        assert!(
            accesses[0].starts_with("Index Scan using calls_pkey"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn a_claim_reads_the_queue_in_order_and_stamps_by_key() {
    let (_turn, mut session) = session().await;
    assert_claim_reads_in_order(&mut session).await;
}

#[tokio::test]
async fn a_claim_does_so_with_the_statistics_of_the_empty_table() {
    let (_turn, mut session) = session().await;
    forget_statistics(&mut session).await;
    assert_claim_reads_in_order(&mut session).await;
}

async fn assert_dials_are_counted_by_number(session: &mut PgConnection) {
    let mut counted = 0;
    for plan in plans(session, CLAIM).await {
        assert!(!plan.contains("Seq Scan on dials"), "{plan}");
        assert!(!plan.contains("Seq Scan on calls"), "{plan}");
        if plan.contains("rule as materialized") {
            assert!(
                plan.contains("Index Scan Backward using dials_pkey"),
                "{plan}"
            );
            assert!(
                plan.contains("Index Cond: ((phone = n.n) AND (at >"),
                "{plan}"
            );
            counted += 1;
        }
    }
    assert_eq!(counted, 1);
    let settle = "select pgdial.settle((select jsonb_agg(jsonb_build_object('id', id, 'claim_no', claim_no, 'outcome', 'busy')) \
         from pgdial.calls where state = 'dialing'))";
    let ended: Vec<_> = plans(session, settle)
        .await
        .into_iter()
        .filter(|plan| plan.contains("update pgdial.dials"))
        .collect();
    assert!(!ended.is_empty());
    for plan in ended {
        assert!(plan.contains("Index Scan using dials_pkey"), "{plan}");
    }
}

/// 100,000 dials of the waiting numbers, and a limit that holds none of them.
const DIALS: &str = "insert into pgdial.dials (phone, at, campaign, call_id, claim_no) \
     select '+1' || (2000000000 + n), now() - interval '1 hour', 'default', gen_random_uuid(), 1 from generate_series(1, 100000) n; \
     insert into pgdial.contact_limits (name, counts, at_most, period, all_campaigns) values ('few', 'attempts', 9, '1 day', true)";

#[tokio::test]
async fn a_claim_counts_dials_by_number() {
    let (_turn, mut session) = session().await;
    // With the statistics of an empty table, and then with its own.
    for sql in [DIALS, "analyze pgdial.dials; discard plans"] {
        run(&mut session, sql).await.unwrap();
        assert_dials_are_counted_by_number(&mut session).await;
    }
}

#[tokio::test]
async fn a_claim_behind_many_taken_numbers_hashes_them_and_keeps_its_order() {
    let (_turn, mut session) = session().await;
    run(
        &mut session,
        "update pgdial.calls set hold_until = now() + interval '1 hour' \
         where id in (select id from pgdial.calls where state = 'failed' limit 5000)",
    )
    .await
    .unwrap();
    assert_claim_reads_in_order(&mut session).await;
}

/// Every verb on known ids: its statement, and the state it needs.
const BY_ID: [(&str, &str); 9] = [
    (
        "settle",
        "select pgdial.settle(jsonb_build_array(jsonb_build_object('id', $id, 'claim_no', 1, 'outcome', 'busy'), \
         jsonb_build_object('id', $other, 'claim_no', 1, 'outcome', 'answered')))",
    ),
    (
        "dialed",
        "select pgdial.dialed(jsonb_build_array(jsonb_build_object('id', $id, 'claim_no', 1, 'provider_call_id', 'p')))",
    ),
    (
        "doubt",
        "select pgdial.doubt(jsonb_build_array(jsonb_build_object('id', $id, 'claim_no', 1, 'why', 'w')))",
    ),
    (
        "defer",
        "select pgdial.defer(jsonb_build_array(jsonb_build_object('id', $id, 'claim_no', 1, 'reason', 'late')))",
    ),
    (
        "webhook",
        "select pgdial.webhook(jsonb_build_array(jsonb_build_object('trunk', 'default', 'reference', $id || '-1', \
         'event_id', 'e', 'body', '', 'report', '{\"kind\": \"ended\", \"outcome\": \"busy\"}'::jsonb)))",
    ),
    (
        "cancel",
        "select pgdial.cancel_many(jsonb_build_array(jsonb_build_object('id', $id, 'by', 'b'), \
         jsonb_build_object('id', $waiting, 'by', 'b')))",
    ),
    (
        "redrive",
        "select pgdial.redrive_many(jsonb_build_array(jsonb_build_object('id', $failed, 'by', 'b')))",
    ),
    (
        "amend",
        "select pgdial.amend_many(jsonb_build_array(jsonb_build_object('id', $waiting, 'by', 'b', \
         'changes', '{\"priority\": 5}'::jsonb)))",
    ),
    ("release", "select pgdial.release($failed, 'w')"),
];

async fn assert_by_key(session: &mut PgConnection) {
    run(session, CLAIM).await.unwrap();
    let mut ids = Vec::new();
    for (name, state, offset) in [
        ("$id", "dialing", 0),
        ("$other", "dialing", 1),
        ("$waiting", "waiting", 0),
        ("$failed", "failed", 0),
    ] {
        let id = format!(
            "select id from pgdial.calls where state = '{state}' order by id offset {offset} limit 1"
        );
        ids.push((name, ask(session, &id).await));
    }
    for (verb, sql) in BY_ID {
        let mut sql = sql.to_owned();
        for (name, id) in &ids {
            sql = sql.replace(name, &format!("'{id}'::uuid"));
        }
        run(session, "savepoint one").await.unwrap();
        let plans = plans(session, &sql).await;
        let mut touched = 0;
        for plan in &plans {
            for access in accesses(plan) {
                let by_key = access.contains("Scan using calls_pkey")
                    || access.ends_with("Scan on calls_pkey");
                // The other way to find an event's call; not used if there is a reference.
                let by_provider = verb == "webhook" && access.contains("calls_provider_id");
                assert!(by_key || by_provider, "{verb}: {plan}");
                touched += 1;
            }
        }
        assert!(touched >= 2, "{verb} touched the table {touched} times");
        run(session, "rollback to one").await.unwrap();
    }
}

#[tokio::test]
async fn verbs_on_known_ids_reach_their_row_by_key() {
    let (_turn, mut session) = session().await;
    assert_by_key(&mut session).await;
}

#[tokio::test]
async fn verbs_on_known_ids_do_so_with_the_statistics_of_the_empty_table() {
    let (_turn, mut session) = session().await;
    forget_statistics(&mut session).await;
    assert_by_key(&mut session).await;
}

#[tokio::test]
async fn what_runs_all_the_time_never_reads_the_table_from_end_to_end() {
    let (_turn, mut session) = session().await;
    let id = ask(
        &mut session,
        "select id from pgdial.calls where state = 'waiting' limit 1",
    )
    .await;
    for sql in [
        "select pgdial.sweep('{default}', interval '7 days')".to_owned(),
        "select pgdial.give_back(gen_random_uuid(), '[]')".to_owned(),
        "select * from pgdial.lanes(null, pgdial.now())".to_owned(),
        format!("select * from pgdial.why('{id}')"),
        "select pgdial.enqueue('+14155550001', 's', p_idempotency_key => 'k')".to_owned(),
        "select pgdial.webhook(jsonb_build_array(jsonb_build_object('trunk', 'default', 'event_id', 'e', 'body', '', \
         'report', '{\"kind\": \"ended\", \"outcome\": \"busy\", \"provider_call_id\": \"p\"}'::jsonb)))"
            .to_owned(),
    ] {
        assert_no_seq_scan(&plans(&mut session, &sql).await);
    }
}

#[tokio::test]
async fn a_claim_touches_few_pages_however_many_calls_wait_or_are_scheduled() {
    let (_turn, mut session) = session().await;
    // A session's first claim fills its catalog caches.
    run(&mut session, "savepoint one").await.unwrap();
    run(&mut session, CLAIM).await.unwrap();
    run(&mut session, "rollback to one").await.unwrap();
    let touched = pages(&mut session, CLAIM).await;
    assert!(touched < 4000, "{touched} pages for 30 calls");
    let scheduled =
        "update pgdial.calls set run_at = now() + interval '1 day' where state = 'waiting'";
    run(&mut session, scheduled).await.unwrap();
    run(&mut session, "analyze pgdial.calls").await.unwrap();
    let touched = pages(&mut session, CLAIM).await;
    assert!(touched < 4000, "{touched} pages for none");
}
