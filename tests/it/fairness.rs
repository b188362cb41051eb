//! Trunks sharing one process: a slow provider takes nothing away from another (P7).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::support::{
    TestDb, eventually, number,
    processes::{Machine, Process, SECRET},
};

/// A machine whose trunk `default` dials at its provider's address, and whose trunk `quick` dials at a provider that
/// responds at once.
async fn two_trunks() -> (Machine, [Process; 2]) {
    let machine = Machine::new().await;
    let db = &machine.db;
    db.sql("update pgdial.trunks set look_up = 'hint', slots = 300")
        .await;
    db.sql("insert into pgdial.trunks (name, look_up, slots) values ('quick', 'hint', 300)")
        .await;
    db.campaign("quick", json!({ "trunk": "quick" })).await;
    let lost = ["--rule", "*0001=error_after_accept,lost"];
    let short = [
        "--ring",
        "50ms",
        "--talk",
        "50ms",
        "--endings",
        "completed=1",
    ];
    let (quick, at) = machine
        .start_another_provider(&[lost.as_slice(), &short].concat())
        .await;
    let mut serve = machine.command(&["serve"]);
    serve
        .env("PGDIAL_TRUNK_QUICK_PROVIDER_URL", format!("http://{at}"))
        .env("PGDIAL_TRUNK_QUICK_WEBHOOK_SECRETS", SECRET);
    let serve = machine.start_command("serve", serve);
    (machine, [quick, serve])
}

async fn enqueue(db: &TestDb, campaign: &str, numbers: std::ops::Range<usize>) {
    let request = |n| json!({ "to": number(n), "scriptId": "welcome", "campaign": campaign });
    let requests: Vec<_> = numbers.map(request).collect();
    db.calls.enqueue("tester", &requests).await.unwrap();
    db.calls.send_wakes().await;
}

/// Each dial of the slow trunk holds a permit for longer than all others take.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_long_to_answer_leaves_the_others_their_permits() {
    let (machine, _processes) = two_trunks().await;
    let _slow = machine.start_provider(&["--rule", "*=slow:29s,lost"]).await;
    let db = &machine.db;
    enqueue(db, "default", 100..160).await;
    let dialing =
        "select count(*) from pgdial.calls where campaign = 'default' and state = 'dialing'";
    eventually("it has all permits that it may have", || async {
        db.number(dialing).await == 29
    })
    .await;
    enqueue(db, "quick", 200..300).await;
    let over = "select count(*) from pgdial.calls where campaign = 'quick' and state = 'completed'";
    eventually("the others are through", || async {
        db.number(over).await == 100
    })
    .await;
    let ended = "select count(*) from pgdial.call_events e join pgdial.calls c on c.id = e.call_id \
                 where c.campaign = 'default' and e.kind not in ('waiting', 'active')";
    assert_eq!(
        db.number(ended).await,
        0,
        "no slow dial had to end for them"
    );
}

/// Every dial of the slow trunk is in doubt, and no question about them gets a response.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_no_question_delays_none_of_another() {
    let (machine, _processes) = two_trunks().await;
    let db = &machine.db;
    let asked = Arc::new(AtomicUsize::new(0));
    let questions = Arc::clone(&asked);
    let ask = get(move || {
        questions.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<StatusCode>()
    });
    let calls = ask.post(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    let hangs = Router::new().route("/api/v1/calls", calls);
    let listener = tokio::net::TcpListener::bind(machine.provider)
        .await
        .unwrap();
    let serving = TaskTracker::new().spawn(async move { axum::serve(listener, hangs).await });

    enqueue(db, "default", 100..130).await;
    eventually("as many questions as may be are under way", || async {
        asked.load(Ordering::Relaxed) == 8
    })
    .await;
    enqueue(db, "quick", 1..2).await;
    let over = "select count(*) from pgdial.calls where campaign = 'quick' and state = 'completed'";
    eventually("the other one is found", || async {
        db.number(over).await == 1
    })
    .await;
    assert_eq!(
        asked.load(Ordering::Relaxed),
        8,
        "no question had to end for it"
    );
    serving.abort();
}
