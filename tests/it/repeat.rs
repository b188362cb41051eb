//! `repeat`: the request of a dial in doubt is sent again with the same key, if the trunk declares that its provider
//! then rings only once (P1).

use pgdial::{
    domain::{CallId, ClaimedCall, Outcome},
    flow::{defer::DeferReason, defer::Deferred, settle::Settled},
    provider::LookedUp,
};
use serde_json::json;

use crate::support::{TestDb, each, number, processes::Machine, provider_id};

async fn idempotent() -> TestDb {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    db
}

/// A dial in doubt that is old enough to be sent again.
async fn in_doubt(db: &TestDb, n: usize) -> ClaimedCall {
    let call = db.dialing(&number(n)).await;
    assert!(db.calls.doubt(call.reference(), "no answer").await.unwrap());
    db.forward("6 seconds").await;
    call
}

async fn due(db: &TestDb) -> Vec<ClaimedCall> {
    db.calls
        .repeats_due(&each(&["default"], 100))
        .await
        .unwrap()
}

async fn is_due(db: &TestDb, id: CallId) -> bool {
    due(db).await.iter().any(|call| call.id == id)
}

#[tokio::test]
async fn only_where_the_trunk_says_so() {
    let db = TestDb::new().await;
    let call = in_doubt(&db, 1).await;
    assert!(due(&db).await.is_empty());
    db.sql("update pgdial.trunks set idempotent = true").await;
    assert!(is_due(&db, call.id).await);
}

#[tokio::test]
async fn it_is_the_same_request_and_one_worker_sends_it() {
    let db = idempotent().await;
    let first = in_doubt(&db, 1).await;
    let again = due(&db).await.pop().unwrap();
    assert_eq!(
        (again.reference(), again.phone.as_e164(), &again.script_id),
        (first.reference(), first.phone.as_e164(), &first.script_id)
    );
    assert_eq!(again.max_duration_sec, first.max_duration_sec);
    assert!(again.lease_until > first.lease_until);
    let ends_in_time = db.text(
        "select repeated_at + interval '34 minutes' > deadline_at and repeated_at + interval '33 minutes' <= deadline_at \
         from pgdial.calls",
    );
    assert_eq!(ends_in_time.await, "true", "the deadline moves with it");
    assert!(due(&db).await.is_empty(), "booked");
    db.forward("6 seconds").await;
    assert!(
        is_due(&db, first.id).await,
        "and again, less and less often"
    );
    assert_eq!(
        db.story(first.id).await,
        "waiting active unresolved repeated repeated"
    );
}

/// The facts a dial needs are produced twice: as the claim's columns and as JSON for a repetition.
#[tokio::test]
async fn it_asks_for_the_same_call_in_every_field() {
    let db = idempotent().await;
    let policies = json!({ "ringTimeout": "41 seconds", "maxDuration": "12 minutes" });
    db.campaign("spring", policies).await;
    let metadata = json!({ "name": "Ada", "n": 1.5, "of": [null, { "a": "ä" }] });
    db.enqueue_as(
        json!({ "to": number(1), "from": number(2), "scriptId": "welcome", "campaign": "spring",
                          "metadata": metadata }),
    )
    .await;
    let first = db.claim(1).await.pop().unwrap();
    assert_eq!((first.ring_timeout_sec, first.max_duration_sec), (41, 720));
    assert!(first.from_number.is_some() && first.metadata.get().contains("Ada"));
    db.calls.doubt(first.reference(), "?").await.unwrap();
    db.forward("6 seconds").await;
    let mut again = due(&db).await.pop().unwrap();
    again.lease_until = first.lease_until;
    assert_eq!(format!("{again:?}"), format!("{first:?}"));
}

#[tokio::test]
async fn not_so_late_that_the_provider_may_have_forgotten_the_key() {
    let db = idempotent().await;
    let call = in_doubt(&db, 1).await;
    db.forward("5 minutes").await;
    assert!(!is_due(&db, call.id).await);
}

/// The first request may not have arrived, so that this one would ring.
#[tokio::test]
async fn not_where_a_new_dial_would_be_wrong() {
    let db = idempotent().await;
    let call = in_doubt(&db, 1).await;
    for (wrong, right) in [
        (
            "update pgdial.trunks set paused = true",
            "update pgdial.trunks set paused = false",
        ),
        (
            "update pgdial.campaigns set paused = true",
            "update pgdial.campaigns set paused = false",
        ),
        (
            "insert into pgdial.trunk_breaker (trunk, not_before) values ('default', pgdial.now() + '1 minute')",
            "delete from pgdial.trunk_breaker",
        ),
        (
            "insert into pgdial.trunk_breaker (trunk, opened_at) values ('default', pgdial.now())",
            "delete from pgdial.trunk_breaker",
        ),
        (
            "update pgdial.trunks set held_until = pgdial.now() + '1 minute'",
            "update pgdial.trunks set held_until = null",
        ),
        (
            "insert into pgdial.do_not_call (phone, reason, by) select phone, 'asked', 'me' from pgdial.calls",
            "delete from pgdial.do_not_call",
        ),
        (
            "update pgdial.calls set expires_at = pgdial.now() - interval '1 second'",
            "update pgdial.calls set expires_at = null",
        ),
        (
            "select pgdial.cancel(id) from pgdial.calls",
            "update pgdial.calls set cancel_requested_at = null",
        ),
    ] {
        db.let_trunks_dial().await;
        db.sql(wrong).await;
        assert!(!is_due(&db, call.id).await, "{wrong}");
        db.sql(right).await;
    }
    assert!(is_due(&db, call.id).await);
}

/// The claim's worker was suspended before it sent anything, and wakes up now.
#[tokio::test]
async fn what_the_first_sender_says_of_its_own_dial_counts_no_more() {
    let db = idempotent().await;
    let call = in_doubt(&db, 1).await;
    assert!(is_due(&db, call.id).await);
    let late = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "late");
    assert_eq!(late.await.unwrap(), Deferred::Stale);
    assert_eq!(
        db.settle(&call, Outcome::ProviderFault).await,
        Settled::Stale
    );
    assert_eq!(db.state(call.id).await, "unresolved");
    let id = provider_id(&number(1));
    assert!(
        db.calls
            .dialed(call.reference(), &id)
            .await
            .unwrap()
            .in_call
    );
}

/// That the provider did not know the dial before the repetition proves nothing.
#[tokio::test]
async fn not_found_starts_again() {
    let db = idempotent().await;
    db.sql("update pgdial.trunks set look_up = 'authoritative'")
        .await;
    let call = in_doubt(&db, 1).await;
    let not_found = || db.calls.look_up(call.reference(), &LookedUp::NotFound);
    for _ in 0..3 {
        not_found().await.unwrap();
    }
    db.forward("61 seconds").await;
    assert!(is_due(&db, call.id).await);
    not_found().await.unwrap();
    assert_eq!(db.state(call.id).await, "unresolved");
}

#[tokio::test]
async fn a_new_claim_knows_nothing_of_it() {
    let db = idempotent().await;
    let call = in_doubt(&db, 1).await;
    assert!(is_due(&db, call.id).await);
    db.forward("1 hour").await;
    db.campaign("patient", json!({ "redialUnknown": true }))
        .await;
    db.sql("update pgdial.calls set campaign = 'patient'").await;
    db.sweep().await;
    db.forward("2 hours").await;
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!((again.id, again.claim_no), (call.id, 2));
    assert_eq!(
        db.settle(&again, Outcome::ProviderFault).await,
        Settled::Retried
    );
}

#[tokio::test]
async fn they_take_their_turn_in_the_pace() {
    let db = idempotent().await;
    for n in 1..=3 {
        let call = db.dialing(&number(n)).await;
        db.calls.doubt(call.reference(), "no answer").await.unwrap();
    }
    db.let_trunks_dial().await;
    db.sql("update pgdial.trunks set calls_per_second = 1")
        .await;
    db.forward("6 seconds").await;
    assert_eq!(due(&db).await.len(), 1);
    assert!(due(&db).await.is_empty());
    db.enqueue(&number(4)).await;
    assert!(db.claim(1).await.is_empty(), "it was the claim's turn too");
    db.forward("1 second").await;
    assert_eq!(due(&db).await.len(), 1);
}

#[tokio::test]
async fn one_that_cannot_be_written_holds_up_no_other() {
    let db = idempotent().await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        let call = db.dialing(&number(n)).await;
        db.calls.doubt(call.reference(), "no answer").await.unwrap();
        ids.push(call.id);
    }
    db.let_trunks_dial().await;
    db.sql(&format!(
        "alter table pgdial.calls add constraint poison check (id <> '{}') not valid",
        ids[1]
    ))
    .await;
    db.forward("6 seconds").await;
    assert_eq!(due(&db).await.len(), 2);
}

/// The provider accepts the call, its response and webhooks are lost, and it cannot be asked: the same key returns
/// the same call.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_by_sending_the_same_key_again() {
    let machine = Machine::new().await;
    let db = &machine.db;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let _provider = machine
        .start_provider(&["--idempotent", "--rule", "*=error_after_accept,lost"])
        .await;
    let _worker = machine.start_worker("one", &[]).await;
    let id = db.enqueue(&number(1)).await;
    db.calls.send_wakes().await;
    db.until(&format!(
        "select state = 'in_call' from pgdial.calls where id = '{id}'"
    ))
    .await;
    assert_eq!(
        db.story(id).await,
        "waiting active unresolved repeated in_call"
    );
    assert_eq!(machine.rings_begun(), 1);
    machine.judge(30);
}

/// The worker died between claim and dial: another one sends the request, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_was_never_sent_is_sent_by_another_worker() {
    let machine = Machine::new().await;
    let db = &machine.db;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let call = db.dialing(&number(1)).await;
    db.forward("61 seconds").await;
    let _provider = machine
        .start_provider(&["--idempotent", "--ring", "50ms", "--talk", "100ms"])
        .await;
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("one", &[]).await;
    machine.until_all_over().await;
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(machine.rings_begun(), 1);
    machine.judge(30);
}
