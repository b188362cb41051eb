//! The database did as asked, but the connection broke before it could say so: everything is repeated until a reply
//! arrives, nobody is rung twice, and nothing is lost (P1, P2).

use futures_util::future::join_all;
use pgdial::{
    db,
    domain::Outcome,
    flow::{
        Error, Queue,
        cancel::Canceled,
        defer::{DeferReason, Deferred},
        enqueue::Enqueued,
        settle::Settled,
        webhook::{Event, Verdict},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestDb, ended, number, processes::Machine, wire::Wire};

/// The verbs over this wire, which can lose replies.
async fn over(wire: &Wire) -> Queue {
    Queue::new(db::connect(&wire.url, "test", 2).await.unwrap())
}

/// The same verb twice; the first reply is lost.
macro_rules! twice {
    ($wire:ident, $statement:literal, $verb:expr) => {{
        $wire.lose(1, $statement);
        let first = $verb.await;
        assert!(matches!(first, Err(Error::Database(_))), "{first:?}");
        assert_eq!($wire.to_lose(), 0);
        $verb.await.unwrap()
    }};
}

#[tokio::test]
async fn what_a_lost_reply_of_a_claim_brought_is_given_back_and_can_be_claimed_again() {
    let db = TestDb::new().await;
    let wire = Wire::to(&db).await;
    let calls = over(&wire).await;
    for n in 0..5 {
        db.enqueue(&number(n)).await;
    }
    let (worker, trunks) = (Uuid::new_v4(), ["default".to_owned()]);
    wire.lose(1, "pgdial.claim(");
    let lost = calls.claim(worker, &trunks, 5).await;
    assert!(matches!(lost, Err(Error::Database(_))), "{lost:?}");
    let states = "select string_agg(distinct state || ' ' || attempt, ', ') from pgdial.calls";
    assert_eq!(db.text(states).await, "dialing 1");
    assert!(db.claim(5).await.is_empty(), "they are somebody's");
    // The reply to this one is lost, too.
    assert!(twice!(
        wire,
        "pgdial.give_back(",
        calls.give_back(worker, &[])
    ));
    assert_eq!(db.text(states).await, "waiting 0");
    let again = calls.claim(worker, &trunks, 5).await.unwrap().calls;
    assert_eq!(again.len(), 5);
    assert!(
        again
            .iter()
            .all(|call| (call.claim_no, call.attempt) == (2, 1))
    );
    for call in again {
        assert_eq!(
            db.story(call.id).await,
            "waiting active deferred active",
            "given back once"
        );
    }
}

#[tokio::test]
async fn a_result_that_is_recorded_again_changes_nothing() {
    let db = TestDb::new().await;
    let wire = Wire::to(&db).await;
    let calls = over(&wire).await;

    let call = db.dialing(&number(1)).await;
    let dial = call.reference();
    let dialed = twice!(wire, "pgdial.dialed(", calls.dialed(dial, "p"));
    assert!(dialed.in_call && !dialed.conflict);
    assert_eq!(db.story(call.id).await, "waiting active in_call");
    let settled = twice!(
        wire,
        "pgdial.settle(",
        calls.settle(dial, Outcome::Busy, "busy")
    );
    assert_eq!(settled, Settled::Stale);
    assert_eq!(db.story(call.id).await, "waiting active in_call retried");
    assert_eq!(db.column(call.id, "attempt").await, "1");

    let call = db.dialing(&number(2)).await;
    let reason = DeferReason::Capacity;
    let deferred = twice!(
        wire,
        "pgdial.defer(",
        calls.defer(call.reference(), reason, None, "full")
    );
    assert_eq!(deferred, Deferred::Stale);
    assert_eq!(db.story(call.id).await, "waiting active deferred");
    assert_eq!(
        db.column(call.id, "(attempt, deferrals)").await,
        "(0,1)",
        "given back once"
    );

    db.let_trunks_dial().await;
    let call = db.dialing(&number(3)).await;
    let doubted = twice!(
        wire,
        "pgdial.doubt(",
        calls.doubt(call.reference(), "reset")
    );
    assert!(!doubted);
    assert_eq!(db.story(call.id).await, "waiting active unresolved");
    let faults = "select faults from pgdial.trunk_breaker";
    assert_eq!(db.text(faults).await, "1", "one fault");
}

/// Between the lost reply and the repetition, another worker may have claimed the call.
#[tokio::test]
async fn a_result_that_is_recorded_again_cannot_touch_a_later_claim() {
    let db = TestDb::new().await;
    let wire = Wire::to(&db).await;
    let calls = over(&wire).await;
    let first = db.dialing(&number(1)).await;
    wire.lose(1, "pgdial.settle(");
    let lost = calls.settle(first.reference(), Outcome::Busy, "busy").await;
    assert!(lost.is_err());
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!((second.id, second.claim_no), (first.id, 2));
    let again = calls.settle(first.reference(), Outcome::Busy, "busy").await;
    assert_eq!(again.unwrap(), Settled::Stale);
    assert!(!calls.dialed(first.reference(), "p").await.unwrap().in_call);
    assert_eq!(db.state(first.id).await, "dialing");
    assert_eq!(db.story(first.id).await, "waiting active retried active");
}

#[tokio::test]
async fn what_callers_and_providers_repeat_is_the_same_once_more() {
    let db = TestDb::new().await;
    let wire = Wire::to(&db).await;
    let calls = over(&wire).await;
    let request = [json!({ "to": number(1), "scriptId": "s", "idempotencyKey": "k" })];
    let again = twice!(
        wire,
        "pgdial.enqueue_many(",
        calls.enqueue("tester", &request)
    );
    let [Enqueued::Duplicate(id)] = again[..] else {
        panic!("{again:?}");
    };
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, id);
    let report = ended(Outcome::Answered);
    let event = Event {
        trunk: "default",
        reference: Some(call.reference()),
        event_id: "1",
        signed_at: None,
        body: b"{}",
        report: &report,
    };
    let repeated = twice!(wire, "pgdial.webhook(", calls.webhook(event));
    assert_eq!(repeated, Verdict::Duplicate);
    assert_eq!(db.story(id).await, "waiting active completed");

    let unwanted = db.enqueue(&number(2)).await;
    let canceled = twice!(
        wire,
        "pgdial.cancel_many(",
        calls.cancel(unwanted, "ann", None)
    );
    assert_eq!(canceled, Canceled::AlreadyOver);
    assert_eq!(db.story(unwanted).await, "waiting canceled");
}

/// Nobody knows what became of a batch whose answer is the error of a pooler: none of it is tried again alone.
#[tokio::test]
async fn an_error_of_a_pooler_makes_one_request_no_two_calls() {
    let db = TestDb::new().await;
    let wire = Wire::to(&db).await;
    let calls = over(&wire).await;
    for code in ["08P01", "58000"] {
        wire.refuse("pgdial.enqueue_many(", code);
        let requests = (0..3).map(|n| json!({ "to": number(n), "scriptId": "s" }));
        let asked = requests.map(|request| {
            let calls = calls.clone();
            async move { calls.enqueue_one("tester", &request).await }
        });
        for answer in join_all(asked).await {
            assert!(answer.is_err(), "{code}: {answer:?}");
        }
    }
    let enqueued = "select count(*) from pgdial.calls";
    assert_eq!(db.number(enqueued).await, 6);
}

/// The whole program behind such a wire, judged by the provider's ledger.
#[tokio::test(flavor = "multi_thread")]
async fn processes_whose_replies_are_lost_ring_everybody_once() {
    let mut machine = Machine::new().await;
    let wire = Wire::to(&machine.db).await;
    machine.db.url.clone_from(&wire.url);
    let _provider = machine
        .start_provider(&[
            "--ring",
            "50ms..100ms",
            "--talk",
            "100ms..300ms",
            "--rule",
            "*6=reject:422",
        ])
        .await;
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("one", &[]).await;
    for statement in [
        "pgdial.claim(",
        "pgdial.dialed(",
        "pgdial.settle(",
        "pgdial.webhook(",
    ] {
        wire.lose(3, statement);
    }
    let requests: Vec<_> = (0..60)
        .map(|n| json!({ "to": number(n), "scriptId": "s" }))
        .collect();
    machine.db.calls.enqueue("tester", &requests).await.unwrap();
    machine.db.calls.send_wakes().await;
    machine.until_all_over().await;
    assert_eq!(wire.to_lose(), 0);
    let ends = "select string_agg(n, ', ' order by n) from (select state || ' ' || outcome || ' ' || count(*) as n \
                from pgdial.calls group by state, outcome) t";
    assert_eq!(
        machine.db.text(ends).await,
        "completed answered 54, failed blocked 6"
    );
    machine.judge(30);
    assert_eq!(machine.rings_begun(), 54);
}
