//! claim: waiting → dialing (P1, P3, P7).

use std::collections::HashSet;

use futures_util::future::join_all;
use pgdial::{
    domain::{CallId, ClaimedCall, Outcome},
    flow::defer::DeferReason,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestDb, ask, number, refusal, run};

#[tokio::test]
async fn a_claim_takes_due_calls_by_priority_and_then_by_age() {
    let db = TestDb::new().await;
    let old = db.enqueue(&number(1)).await;
    let young = db.enqueue(&number(2)).await;
    let urgent = db
        .enqueue_as(json!({ "to": number(3), "scriptId": "welcome", "priority": 9 }))
        .await;
    let claimed: Vec<_> = db.claim(3).await.into_iter().map(|call| call.id).collect();
    assert_eq!(claimed, [urgent, old, young]);
}

#[tokio::test]
async fn a_claim_takes_the_highest_priority_first_when_room_is_short() {
    let db = TestDb::new().await;
    let mut by_priority = Vec::new();
    for priority in 0..=9 {
        let request = json!({ "to": number(priority), "scriptId": "s", "priority": priority });
        by_priority.push(db.enqueue_as(request).await);
    }
    for expected in by_priority.iter().rev() {
        assert_eq!(db.claim(1).await.pop().unwrap().id, *expected);
    }
}

#[tokio::test]
async fn a_claim_stamps_what_a_dial_needs() {
    let db = TestDb::new().await;
    let worker = Uuid::new_v4();
    let id = db
        .enqueue_as(json!({
            "to": number(1), "scriptId": "welcome", "from": "+14155559999", "metadata": {"a": 1},
        }))
        .await;
    let claim = db
        .calls
        .claim(worker, &["default".to_owned()], 1)
        .await
        .unwrap();
    let call = &claim.calls[0];
    assert_eq!((call.id, call.claim_no, call.attempt), (id, 1, 1));
    assert_eq!(call.phone.as_e164(), number(1));
    assert_eq!(call.from_number.as_ref().unwrap().as_e164(), "+14155559999");
    assert_eq!(call.metadata.get(), "{\"a\": 1}");
    assert_eq!((call.ring_timeout_sec, call.max_duration_sec), (60, 1800));
    let facts = "(lease_until - claimed_at, deadline_at - claimed_at, trunk, claimed_by, started_at = claimed_at)";
    assert_eq!(
        db.column(id, facts).await,
        format!("(00:01:00,00:33:00,default,{worker},t)")
    );
    assert_eq!(db.story(id).await, "waiting active");
    assert_eq!(
        db.detail(id, "active").await["worker"],
        json!(worker.to_string())
    );
}

async fn claim_with_eight(db: &TestDb) -> usize {
    let claims = join_all((0..8).map(|_| db.claim(10))).await;
    claims.iter().map(Vec::len).sum()
}

#[tokio::test]
async fn never_more_in_flight_than_the_trunk_has_slots() {
    let db = TestDb::new().await;
    for n in 0..40 {
        db.enqueue(&number(n)).await;
    }
    assert_eq!(claim_with_eight(&db).await, 30);
    assert_eq!(db.claim(10).await.len(), 0);
    let live = "select count(*) from pgdial.calls where state = 'dialing'";
    assert_eq!(db.number(live).await, 30);
}

#[tokio::test]
async fn every_state_in_flight_holds_its_slot() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 3").await;
    db.dialing(&number(1)).await;
    let doubted = db.dialing(&number(2)).await;
    db.calls
        .doubt(doubted.reference(), "silence")
        .await
        .unwrap();
    let up = db.in_call(&number(3)).await;
    db.enqueue(&number(4)).await;
    assert!(db.claim(1).await.is_empty());
    db.settle(&up, Outcome::Answered).await;
    assert_eq!(db.claim(2).await.len(), 1);
}

#[tokio::test]
async fn never_more_in_flight_than_a_campaign_may_have() {
    let db = TestDb::new().await;
    db.campaign("small", json!({ "cap": 7 })).await;
    for n in 0..40 {
        db.enqueue_as(json!({ "to": number(n), "scriptId": "s", "campaign": "small" }))
            .await;
    }
    assert_eq!(claim_with_eight(&db).await, 7);
    assert!(db.claim(1).await.is_empty());
}

#[tokio::test]
async fn one_call_in_flight_per_number_however_many_claim() {
    let db = TestDb::new().await;
    for _ in 0..10 {
        db.enqueue(&number(1)).await;
    }
    let claims = (0..4).map(|_| db.claim(10));
    let mut claimed: Vec<_> = join_all(claims).await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 1);
    let first = claimed.pop().unwrap();
    db.settle(&first, Outcome::Answered).await;
    assert_eq!(db.claim(10).await.len(), 1);
}

#[tokio::test]
async fn twins_at_the_head_hold_up_no_other_number() {
    let db = TestDb::new().await;
    for n in 0..40 {
        let twin = json!({ "to": number(n), "scriptId": "s" });
        db.calls.enqueue("tester", &vec![twin; 20]).await.unwrap();
    }
    let mut numbers = HashSet::new();
    // Each claim brings at least one new number, or the queue is stuck behind its twins.
    while numbers.len() < 30 {
        let claimed = db.claim(30 - numbers.len()).await;
        assert!(!claimed.is_empty(), "stuck at {} numbers", numbers.len());
        for call in claimed {
            assert!(
                numbers.insert(call.phone.as_e164().to_owned()),
                "a number twice"
            );
        }
    }
    assert!(db.claim(5).await.is_empty());
}

#[tokio::test]
async fn a_taken_number_holds_up_no_other_even_with_many_twins() {
    let db = TestDb::new().await;
    db.in_call(&number(1)).await;
    let twin = json!({ "to": number(1), "scriptId": "s" });
    db.calls.enqueue("tester", &vec![twin; 500]).await.unwrap();
    let other = db.enqueue(&number(2)).await;
    let claimed = db.claim(5).await;
    assert_eq!(
        claimed.iter().map(|call| call.id).collect::<Vec<_>>(),
        [other]
    );
}

#[tokio::test]
async fn a_second_call_in_flight_to_a_number_cannot_exist() {
    let db = TestDb::new().await;
    db.dialing(&number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    let (code, message) = db
        .refusal(&format!(
            "update pgdial.calls set state = 'dialing', claim_no = 1, claimed_at = now(), trunk = 'default', \
             claimed_by = gen_random_uuid(), lease_until = now(), deadline_at = now() where id = '{twin}'"
        ))
        .await;
    assert_eq!(code, "23505");
    assert!(
        message.contains("calls_one_in_flight_per_phone"),
        "{message}"
    );
}

#[tokio::test]
async fn a_naive_update_of_a_live_call_fails() {
    let db = TestDb::new().await;
    let dialing = db.dialing(&number(1)).await;
    let live = db.in_call(&number(2)).await;
    for (id, set, constraint) in [
        (live.id, "state = 'waiting'", "calls_waiting_holds_nothing"),
        (
            dialing.id,
            "state = 'waiting'",
            "calls_waiting_holds_nothing",
        ),
        (live.id, "state = 'completed'", "calls_finished_has_outcome"),
        (live.id, "state = 'canceled'", "calls_terminal_has_ended_at"),
        (live.id, "claim_no = 0", "calls_in_flight_is_claimed"),
        (live.id, "state = 'dialing'", "calls_dialing_has_lease"),
        (dialing.id, "phone = '0123'", "calls_phone_is_e164"),
    ] {
        let (code, message) = db
            .refusal(&format!("update pgdial.calls set {set} where id = '{id}'"))
            .await;
        assert_eq!(code, "23514", "{set}");
        assert!(message.contains(constraint), "{set}: {message}");
    }
}

#[tokio::test]
async fn a_scheduled_call_is_not_taken_and_the_claim_says_when_to_come_back() {
    let db = TestDb::new().await;
    let at = db
        .text("select to_char(pgdial.now() + interval '90 seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')")
        .await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "runAt": at }))
        .await;
    let claim = db
        .calls
        .claim(Uuid::new_v4(), &["default".to_owned()], 5)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    let wait = claim.wait.unwrap().as_millis();
    assert!((1..=90_000).contains(&wait), "{wait} ms");
    db.forward(&format!("{wait} milliseconds")).await;
    assert_eq!(db.claim(5).await.pop().unwrap().id, id);
}

#[tokio::test]
async fn a_claim_with_nothing_to_wait_for_says_so() {
    let db = TestDb::new().await;
    let claim = db
        .calls
        .claim(Uuid::new_v4(), &["default".to_owned()], 5)
        .await
        .unwrap();
    assert!(claim.calls.is_empty() && claim.wait.is_none() && !claim.gate_timeout);
}

#[tokio::test]
async fn a_claim_takes_only_from_the_trunks_that_it_names() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    db.campaign("elsewhere", json!({ "trunk": "other" })).await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "campaign": "elsewhere" }))
        .await;
    assert!(db.claim(5).await.is_empty());
    let trunks = ["default".to_owned(), "other".to_owned()];
    let claim = db.calls.claim(Uuid::new_v4(), &trunks, 5).await.unwrap();
    assert_eq!(claim.calls[0].id, id);
    assert_eq!(claim.calls[0].trunk, "other");
}

#[tokio::test]
async fn numbers_not_to_ring_and_expired_calls_are_passed_over() {
    let db = TestDb::new().await;
    let unwanted = db.enqueue(&number(1)).await;
    let soon = db
        .text(
            "select to_char(pgdial.now() + interval '5 seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')",
        )
        .await;
    let brief = db
        .enqueue_as(json!({ "to": number(2), "scriptId": "s", "expiresAt": soon }))
        .await;
    let fine = db.enqueue(&number(3)).await;
    let phone = number(1).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "tester", "asked")
        .await
        .unwrap();
    db.forward("5 seconds").await;
    let claimed = db.claim(5).await;
    assert_eq!(
        claimed.iter().map(|call| call.id).collect::<Vec<_>>(),
        [fine]
    );
    assert_eq!(db.state(unwanted).await, "waiting");
    assert_eq!(db.state(brief).await, "waiting");
}

#[tokio::test]
async fn rows_that_a_person_holds_are_passed_over() {
    let db = TestDb::new().await;
    for n in 0..90 {
        db.enqueue(&number(n)).await;
    }
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; select from pgdial.calls where id in \
         (select id from pgdial.calls order by run_at, id limit 60) for update",
    )
    .await
    .unwrap();
    assert_eq!(db.claim(30).await.len(), 30);
}

#[tokio::test]
async fn a_claim_that_passed_rows_over_comes_back_for_them() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; update pgdial.calls set metadata = '{\"mine\": 1}'",
    )
    .await
    .unwrap();
    let claim = db
        .calls
        .claim(Uuid::new_v4(), &["default".to_owned()], 5)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    assert_eq!(claim.wait.unwrap().as_millis(), 1000);
    run(&mut person, "commit").await.unwrap();
    assert_eq!(db.claim(5).await[0].id, id);
}

#[tokio::test]
async fn a_claim_in_repeatable_read_is_refused() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    for level in ["repeatable read", "serializable"] {
        let mut session = db.session().await;
        run(&mut session, &format!("begin isolation level {level}"))
            .await
            .unwrap();
        let claim = "select pgdial.claim(gen_random_uuid(), '{default}', 5)";
        let (code, message) = refusal(&mut session, claim).await;
        assert_eq!(code, "25000");
        assert!(message.contains(level), "{message}");
    }
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn a_claimer_that_keeps_the_gate_is_named_and_harms_nobody() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    let mut other = db.session().await;
    run(&mut other, "begin").await.unwrap();
    assert_eq!(ask(&mut other, "select pgdial.gate()").await, "true");
    let claim = db
        .calls
        .claim(Uuid::new_v4(), &["default".to_owned()], 5)
        .await
        .unwrap();
    assert!(claim.gate_timeout && claim.calls.is_empty());
    run(&mut other, "rollback").await.unwrap();
    assert_eq!(db.claim(5).await.len(), 1);
}

#[tokio::test]
async fn the_lease_begins_after_the_gate() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let mut other = db.session().await;
    run(&mut other, "begin").await.unwrap();
    ask(&mut other, "select pgdial.gate()").await;
    let ((), claimed) = tokio::join!(
        async {
            db.until_waiting(1).await;
            db.forward("1 hour").await;
            run(&mut other, "commit").await.unwrap();
        },
        db.claim(1)
    );
    assert_eq!(claimed.len(), 1);
    assert_eq!(
        db.column(id, "lease_until > pgdial.now() + interval '30 seconds'")
            .await,
        "true"
    );
}

#[tokio::test]
async fn a_campaign_that_moves_leaves_its_live_calls_on_their_trunk() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name, slots) values ('other', 2); update pgdial.trunks set slots = 3 where name = 'default'")
        .await;
    for n in 0..10 {
        db.enqueue(&number(n)).await;
    }
    assert_eq!(db.claim(10).await.len(), 3);
    db.sql("update pgdial.campaigns set trunk = 'other'").await;
    let both = ["default".to_owned(), "other".to_owned()];
    let moved = db.calls.claim(Uuid::new_v4(), &both, 10).await.unwrap();
    assert_eq!(moved.calls.len(), 2);
    assert!(moved.calls.iter().all(|call| call.trunk == "other"));
    db.sql("update pgdial.campaigns set trunk = 'default'")
        .await;
    assert!(db.claim(10).await.is_empty(), "default is still full");
    let counts = "select string_agg(n, ' ' order by n) from (select trunk || count(*) as n \
                  from pgdial.calls where state = 'dialing' group by trunk) t";
    assert_eq!(db.text(counts).await, "default3 other2");
}

async fn again(db: &TestDb, id: CallId) -> ClaimedCall {
    db.forward("5 hours").await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, id);
    call
}

#[tokio::test]
async fn claim_no_grows_over_retry_defer_and_redrive_and_is_never_reset() {
    let db = TestDb::new().await;
    let first = db.dialing(&number(1)).await;
    db.settle(&first, Outcome::Busy).await;
    let second = again(&db, first.id).await;
    db.calls
        .defer(second.reference(), DeferReason::Late, None, "late")
        .await
        .unwrap();
    let third = again(&db, first.id).await;
    db.settle(&third, Outcome::Declined).await;
    db.calls
        .redrive(first.id, "tester", None, false)
        .await
        .unwrap();
    db.calls
        .amend(first.id, "tester", &json!({ "priority": 3 }))
        .await
        .unwrap();
    let fourth = again(&db, first.id).await;
    let numbers = [&first, &second, &third, &fourth].map(|call| (call.claim_no, call.attempt));
    assert_eq!(numbers, [(1, 1), (2, 2), (3, 2), (4, 1)]);
}

#[tokio::test]
async fn a_held_number_is_passed_over_until_its_hold_ends() {
    let db = TestDb::new().await;
    db.given_up(&number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    let claim = db
        .calls
        .claim(Uuid::new_v4(), &["default".to_owned()], 5)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    let wait = claim.wait.unwrap().as_millis();
    db.forward(&format!("{wait} milliseconds")).await;
    assert_eq!(db.claim(5).await[0].id, twin);
}
