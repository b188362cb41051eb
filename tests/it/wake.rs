//! wake: hints that travel between processes.

use pgdial::flow::{Queue, groups::GroupKind, wake::Wake};
use sqlx::postgres::PgListener;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{TestDb, eventually, number, processes::PATIENCE, run};

/// A second process: its loops run until the set is dropped.
async fn another_process(db: &TestDb) -> (Queue, JoinSet<()>) {
    let calls = Queue::new(db.pool.clone());
    let mut loops = JoinSet::new();
    for listens in [true, false] {
        let calls = calls.clone();
        loops.spawn(async move {
            let stop = CancellationToken::new();
            if listens {
                calls.run_listener(stop).await;
            } else {
                calls.run_notifier(stop).await;
            }
        });
    }
    eventually("it listens", || async { calls.is_listening() }).await;
    // Connecting itself wakes everyone once, for wakes that were missed.
    woken(&calls, Wake::Claim).await;
    woken(&calls, Wake::Sweep).await;
    (calls, loops)
}

async fn woken(calls: &Queue, wake: Wake) {
    timeout(PATIENCE, calls.woken(wake)).await.unwrap();
}

#[tokio::test]
async fn a_wake_of_one_process_reaches_another() {
    let db = TestDb::new().await;
    let (here, _loops) = another_process(&db).await;
    let (there, _their_loops) = another_process(&db).await;
    for wake in [Wake::Claim, Wake::Sweep] {
        there.wake(wake);
        woken(&here, wake).await;
        woken(&there, wake).await;
    }
}

#[tokio::test]
async fn an_enqueue_in_sql_and_a_plain_update_wake_a_process() {
    let db = TestDb::new().await;
    let (calls, _loops) = another_process(&db).await;
    let mut session = db.session().await;
    for sql in [
        "select pgdial.enqueue('+14155550001', 's')",
        "update pgdial.campaigns set weight = 2",
        "update pgdial.trunks set slots = 31",
        "insert into pgdial.campaigns (name, trunk) values ('fresh', 'default')",
        "select pgdial.wake()",
        "select pgdial.resume('campaign', 'default')",
    ] {
        run(&mut session, sql).await.unwrap();
        woken(&calls, Wake::Claim).await;
    }
    for sql in [
        "select pgdial.wake('sweep')",
        "select pgdial.do_not_call_add('+14155550009', 'asked')",
    ] {
        run(&mut session, sql).await.unwrap();
        woken(&calls, Wake::Sweep).await;
    }
}

#[tokio::test]
async fn verbs_that_free_a_slot_or_a_number_wake_their_process_at_once() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    woken(&db.calls, Wake::Claim).await;
    db.settle(&call, pgdial::domain::Outcome::Answered).await;
    woken(&db.calls, Wake::Claim).await;
    let live = db.in_call(&number(2)).await;
    woken(&db.calls, Wake::Claim).await;
    let report = crate::support::ended(pgdial::domain::Outcome::Answered);
    db.event(&live, "1", report).await;
    woken(&db.calls, Wake::Claim).await;
    let live = db.in_call(&number(3)).await;
    db.calls.cancel(live.id, "ann", None).await.unwrap();
    woken(&db.calls, Wake::Sweep).await;
}

#[tokio::test]
async fn a_listener_that_loses_its_connection_comes_back_and_claims_what_it_missed() {
    let db = TestDb::new().await;
    let (calls, _loops) = another_process(&db).await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where datname = current_database() and query like 'LISTEN%'";
    assert_eq!(db.number(cut).await, 1);
    woken(&calls, Wake::Claim).await;
    let mut session = db.session().await;
    eventually("it listens again", || async { calls.is_listening() }).await;
    run(&mut session, "select pgdial.wake()").await.unwrap();
    woken(&calls, Wake::Claim).await;
}

#[tokio::test]
async fn a_direct_connection_delivers() {
    let db = TestDb::new().await;
    db.calls.check_listen().await.unwrap();
}

#[tokio::test]
async fn many_wakes_become_few_notifications() {
    let db = TestDb::new().await;
    let mut listener = PgListener::connect(&db.url).await.unwrap();
    listener.listen("pgdial_wake").await.unwrap();
    for _ in 0..100 {
        db.calls.wake(Wake::Claim);
    }
    db.calls.send_wakes().await;
    db.calls.send_wakes().await;
    db.sql("select pg_notify('pgdial_wake', 'mark')").await;
    let mut heard = Vec::new();
    loop {
        let payload = listener.recv().await.unwrap().payload().to_owned();
        if payload == "mark" {
            break;
        }
        heard.push(payload);
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("claim "), "{heard:?}");
}

#[tokio::test]
async fn the_pools_of_one_process_share_their_wakes() {
    let db = TestDb::new().await;
    let beside = db.calls.beside(db.pool.clone());
    beside.wake(Wake::Sweep);
    woken(&db.calls, Wake::Sweep).await;
    let kind = GroupKind::Trunk;
    assert!(
        beside
            .resume(kind, "default", "tester", None)
            .await
            .unwrap()
    );
}
