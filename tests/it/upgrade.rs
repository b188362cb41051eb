//! A rolling upgrade: the next release has migrated the database while this one still runs, restarts, and is even
//! asked to migrate.

use pgdial::{
    db::{self, Error, Migrated},
    domain::Outcome,
    flow::settle::Settled,
};

use crate::support::{TestDb, eventually, number, processes::Machine, run};

/// What the next release leaves behind: a column, a function of its own, a changed function, and its lines in the
/// history. `$from` stands for the oldest migration that may run against it.
const NEXT_RELEASE: &str = "\
    alter table pgdial.calls add column later text default 'x'; \
    create function pgdial.later() returns int language sql as 'select 1'; \
    create or replace function pgdial.backoff(p_base interval, p_cap interval, p_attempt int) returns interval \
    language sql as $$ select p_base /* of the next release */ $$; \
    insert into pgdial.schema_history (kind, version, name, digest, release, compatible_from) \
    values ('migration', 999, '0999_later', 'x', '99.0.0', $from), \
           ('functions', 999, 'functions', 'x', '99.0.0', $from)";

/// Migrates as the next release would.
async fn migrate_further(db: &TestDb, compatible_from: &str) {
    db.sql(&NEXT_RELEASE.replace("$from", compatible_from))
        .await;
}

/// The newest migration this release knows.
async fn ours(db: &TestDb) -> i64 {
    db.number("select max(version) from pgdial.schema_history")
        .await
}

/// Definitions of all functions, and the history.
async fn schema(db: &TestDb) -> String {
    db.text(
        "select md5(string_agg(d, '' order by d)) from (\
         select pg_get_functiondef(p.oid) as d from pg_proc p where p.pronamespace = 'pgdial'::regnamespace \
         union all select h::text from pgdial.schema_history h) t",
    )
    .await
}

#[tokio::test]
async fn this_release_runs_against_the_next_one_and_touches_none_of_its_functions() {
    let db = TestDb::new().await;
    let waiting = db.enqueue(&number(1)).await;
    let from = ours(&db).await;
    migrate_further(&db, &from.to_string()).await;
    let next = schema(&db).await;
    db::check_schema(&db.pool).await.unwrap();
    assert_eq!(db::migrate(&db.pool).await.unwrap(), Migrated::default());
    assert_eq!(schema(&db).await, next);

    // In sessions that had already planned these statements.
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, waiting);
    assert!(
        db.calls
            .dialed(call.reference(), "p")
            .await
            .unwrap()
            .in_call
    );
    assert_eq!(db.settle(&call, Outcome::Busy).await, Settled::Retried);
    let retried = db.detail(waiting, "retried").await;
    assert_eq!(retried["delay_ms"], 300_000, "as the next release counts");
    db.sweep().await;
    db.calls.housekeeping(None).await.unwrap();
    assert_eq!(schema(&db).await, next);
}

#[tokio::test]
async fn this_release_refuses_what_the_next_one_says_it_must_not_run_against() {
    let db = TestDb::new().await;
    let from = ours(&db).await + 1;
    migrate_further(&db, &from.to_string()).await;
    let next = schema(&db).await;
    let refused = db::check_schema(&db.pool).await.unwrap_err();
    assert!(matches!(refused, Error::SchemaNewer { .. }), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "the schema was made by a newer release (99.0.0, migration 999) that this one must not run \
         against: upgrade pgdial"
    );
    assert_eq!(db::migrate(&db.pool).await.unwrap(), Migrated::default());
    assert_eq!(schema(&db).await, next);
}

/// Replacing a view waits for every transaction that has read it.
#[tokio::test]
async fn a_migration_that_waits_for_a_person_holds_up_nobody_else() {
    let db = TestDb::new().await;
    db.sql("update pgdial.schema_history set digest = 'older' where kind = 'functions'")
        .await;
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.call_overview")
        .await
        .unwrap();
    let (migrated, ()) = tokio::join!(db::migrate(&db.pool), async {
        for _ in 0..2 {
            db.until_waiting(1).await;
            db.text("select count(*)::text from pgdial.call_overview")
                .await;
        }
        run(&mut person, "commit").await.unwrap();
    });
    assert!(migrated.unwrap().functions);
}

/// This release's processes go on while the next one migrates, and restart after it.
#[tokio::test(flavor = "multi_thread")]
async fn processes_of_this_release_go_on_and_restart_beside_the_next_one() {
    let machine = Machine::new().await;
    let _provider = machine
        .start_provider(&["--ring", "50ms..100ms", "--talk", "100ms..300ms"])
        .await;
    let _api = machine.start_api().await;
    let worker = machine.start_worker("one", &[]).await;
    let completes = async |n: usize| {
        let id = machine.db.enqueue(&number(n)).await;
        machine.db.calls.send_wakes().await;
        eventually("it rings and ends", || async {
            machine.db.state(id).await == "completed"
        })
        .await;
    };
    completes(1).await;
    let from = ours(&machine.db).await;
    migrate_further(&machine.db, &from.to_string()).await;
    let next = schema(&machine.db).await;
    completes(2).await;
    assert!(worker.stop().await);
    let worker = machine.start_worker("one", &[]).await;
    completes(3).await;
    let output = machine
        .command(&["migrate"])
        .env("DATABASE_URL", machine.db.url_as("deploy"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(worker.stop().await);
    assert_eq!(schema(&machine.db).await, next);

    let line = "update pgdial.schema_history set compatible_from = 999 where version = 999";
    machine.db.sql(line).await;
    let output = machine.command(&["work"]).output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("upgrade pgdial"), "{words}");
    machine.judge(30);
}
