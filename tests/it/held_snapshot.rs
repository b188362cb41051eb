//! While a session holds an old snapshot, index entries of ended calls cannot be removed. A claim steps over them
//! once and not again, and its counts stay exact.

use pgdial::{domain::Outcome, flow::settle::Settled};
use serde_json::json;
use sqlx::PgConnection;

use crate::support::{TestDb, ask, number, pages::pages, run};

const CLAIM_ONE: &str = "select id from pgdial.claim(gen_random_uuid(), '{default}', 1)";
const COMMIT: &str = "commit; begin";
/// Enough entries that walking them touches more pages than any claim.
const GONE: usize = 50_000;

/// A database in which 50,000 calls have gone, with all of them still in the indexes, and the session that keeps them
/// there.
async fn with_the_gone(state: &str) -> (TestDb, PgConnection) {
    let db = TestDb::new().await;
    let in_flight = "claim_no, claim_seq, claimed_at, claimed_by, lease_until, deadline_at, trunk";
    let (columns, values) = match state {
        "waiting" => (String::new(), ""),
        _ => (
            format!(", {in_flight}"),
            ", 1, n, now(), gen_random_uuid(), now(), now(), 'default'",
        ),
    };
    db.sql(&format!(
        "alter table pgdial.calls set (autovacuum_enabled = off); \
         insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, \
                                   created_at, state{columns}) \
         select pgdial.uuid_v7(now()), '+1' || (2000000000 + n), 'default', 's', now() - interval '1 hour', 3, 't', '', \
                now(), '{state}'{values} from generate_series(1, {GONE}) n; \
         select setval('pgdial.claim_order', {GONE})"
    ))
    .await;
    let mut holder = db.session().await;
    run(&mut holder, "begin isolation level repeatable read")
        .await
        .unwrap();
    ask(&mut holder, "select count(*)::text from pgdial.calls").await;
    db.sql(
        "update pgdial.calls set state = 'failed', outcome = 'busy', ended_at = now(), lease_until = null, \
                deadline_at = null, claim_seq = default",
    )
    .await;
    (db, holder)
}

/// Pages of a claim that finds one call, after a claim that has walked everything.
async fn second_claim(db: &TestDb) -> (i64, i64) {
    let mut session = db.session().await;
    run(&mut session, "begin").await.unwrap();
    db.enqueue(&number(1)).await;
    let first = pages(&mut session, CLAIM_ONE).await;
    run(&mut session, COMMIT).await.unwrap();
    db.enqueue(&number(2)).await;
    let second = pages(&mut session, CLAIM_ONE).await;
    run(&mut session, "commit").await.unwrap();
    assert_eq!(db.number("select count(*) from pgdial.live_calls").await, 2);
    (first, second)
}

#[tokio::test]
async fn a_claim_steps_once_over_what_was_in_flight() {
    let (db, _holder) = with_the_gone("dialing").await;
    let (first, second) = second_claim(&db).await;
    assert!(
        second * 4 < first,
        "{second} pages, and {first} when it saw them first"
    );
}

#[tokio::test]
async fn a_claim_steps_once_over_what_has_waited() {
    let (db, _holder) = with_the_gone("waiting").await;
    let (first, second) = second_claim(&db).await;
    assert!(
        second * 4 < first,
        "{second} pages, and {first} when it saw them first"
    );
}

/// What a full walk would find is not forgotten: the claim says when it will look again.
#[tokio::test]
async fn a_campaign_that_is_new_is_found_when_all_are_looked_for_again() {
    let (db, _holder) = with_the_gone("waiting").await;
    let mut session = db.session().await;
    ask(
        &mut session,
        "select count(*)::text from pgdial.claim(gen_random_uuid(), '{default}', 1)",
    )
    .await;
    db.campaign("new", json!({})).await;
    let call = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "campaign": "new" }))
        .await;
    let wait = "select concat_ws(' ', verdict, wait_ms between 0 and 5000) \
                from pgdial.claim(gen_random_uuid(), '{default}', 1)";
    assert_eq!(ask(&mut session, wait).await, "none t");
    db.forward("5 seconds").await;
    assert_eq!(
        ask(
            &mut session,
            "select id::text from pgdial.claim(gen_random_uuid(), '{default}', 1)"
        )
        .await,
        call.to_string()
    );
}

/// Two sessions, each with its own memory: the cap counts what the other has claimed since.
#[tokio::test]
async fn the_cap_counts_what_others_have_claimed_since() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 2").await;
    for n in 1..=5 {
        db.enqueue(&number(n)).await;
    }
    let [mut one, mut other] = [db.session().await, db.session().await];
    let claim = "select count(id)::text from pgdial.claim(gen_random_uuid(), '{default}', 9)";
    let claim_one = "select count(id)::text from pgdial.claim(gen_random_uuid(), '{default}', 1)";
    assert_eq!(ask(&mut one, claim_one).await, "1");
    assert_eq!(ask(&mut other, claim_one).await, "1");
    end_all(&db).await;
    assert_eq!(ask(&mut other, claim_one).await, "1");
    assert_eq!(ask(&mut one, claim).await, "1", "the other's is counted");
    assert_eq!(ask(&mut other, claim).await, "0");
}

/// Calls that came in flight other than by a claim are above every floor.
#[tokio::test]
async fn the_cap_counts_what_nobody_has_claimed() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 2").await;
    let mut session = db.session().await;
    let claim = "select count(id)::text from pgdial.claim(gen_random_uuid(), '{default}', 9)";
    let first = db.enqueue(&number(1)).await;
    assert_eq!(ask(&mut session, claim).await, "1");
    end_all(&db).await;
    for n in 2..=4 {
        db.enqueue(&number(n)).await;
    }
    db.sql(&format!(
        "update pgdial.calls set state = 'in_call', outcome = null, ended_at = null, deadline_at = now() \
         where id = '{first}'"
    ))
    .await;
    assert_eq!(ask(&mut session, claim).await, "1");
}

async fn end_all(db: &TestDb) {
    let live: Vec<(uuid::Uuid, i64)> = sqlx::query_as("select id, claim_no from pgdial.live_calls")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    for (id, claim_no) in live {
        let dial = pgdial::domain::Reference {
            call: pgdial::domain::CallId(id),
            claim_no,
        };
        let settled = db
            .calls
            .settle(dial, Outcome::Declined, "over")
            .await
            .unwrap();
        assert!(matches!(settled, Settled::Failed), "{settled:?}");
    }
}

/// A table emptied together with its sequence: another session's claims restart at one, below what this session knew.
#[tokio::test]
async fn the_cap_holds_when_the_numbers_of_claims_begin_anew() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 3").await;
    let claim = "select count(id)::text from pgdial.claim(gen_random_uuid(), '{default}', 2)";
    let claim = format!("({claim})");
    let (mut one, mut other) = (db.session().await, db.session().await);
    for n in 0..6 {
        db.enqueue(&number(n)).await;
        ask(&mut one, &claim).await;
        db.sql("update pgdial.calls set state = 'failed', outcome = 'busy', ended_at = now(), lease_until = null, \
                deadline_at = null, claim_seq = default where state = 'dialing'").await;
    }
    db.enqueue(&number(6)).await;
    ask(&mut one, &claim).await;
    db.sql("truncate pgdial.calls restart identity").await;
    for n in 10..20 {
        db.enqueue(&number(n)).await;
    }
    assert_eq!(ask(&mut other, &claim).await, "2");
    assert_eq!(ask(&mut one, &claim).await, "1");
    assert_eq!(ask(&mut one, &claim).await, "0");
}
