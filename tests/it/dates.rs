//! Campaign dates (P9): nothing is dialled before a campaign starts, and nothing at or after its end.

use std::time::Duration;

use pgdial::{
    domain::{CallId, Outcome},
    flow::{
        enqueue::Enqueued,
        groups::{ChangeError, GroupKind},
        read::Reason,
        redrive::Redriven,
        settle::Settled,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestDb, each, number};

/// A stopped clock, and a campaign with these dates, in minutes from now.
async fn dated(starts: Option<i32>, ends: Option<i32>) -> TestDb {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    db.campaign("spring", json!({})).await;
    db.sql(&format!(
        "update pgdial.campaigns set starts_at = {}, ends_at = {} where name = 'spring'",
        from_now(starts),
        from_now(ends),
    ))
    .await;
    db
}

fn from_now(minutes: Option<i32>) -> String {
    minutes.map_or_else(
        || "null".to_owned(),
        |n| format!("pgdial.now() + interval '{n} minutes'"),
    )
}

async fn enqueue(db: &TestDb, n: usize) -> CallId {
    db.enqueue_as(json!({ "to": number(n), "scriptId": "s", "campaign": "spring" }))
        .await
}

async fn first_reason(db: &TestDb, id: CallId) -> Reason {
    db.calls.why(id).await.unwrap().remove(0)
}

async fn set(db: &TestDb, changes: Value) -> Result<bool, ChangeError> {
    db.calls
        .set_group(GroupKind::Campaign, "spring", &changes, "ann", None)
        .await
}

#[tokio::test]
async fn nothing_is_dialled_before_the_start_and_the_claim_wakes_for_it() {
    let db = dated(Some(10), None).await;
    let id = enqueue(&db, 1).await;
    let claim = db
        .calls
        .claim(Uuid::new_v4(), &["default".to_owned()], 1)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    assert_eq!(claim.wait, Some(Duration::from_mins(10)));
    let why = first_reason(&db, id).await;
    assert_eq!(why.reason, "campaign_not_started");
    assert!(
        why.message.starts_with("campaign spring starts at 20"),
        "{why:?}"
    );
    assert!(why.until.is_some());
    db.forward("599.999 seconds").await;
    assert!(db.claim(1).await.is_empty());
    db.forward("1 millisecond").await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn a_dial_that_could_ring_after_the_end_is_not_begun() {
    let db = dated(None, Some(10)).await;
    enqueue(&db, 1).await;
    enqueue(&db, 2).await;
    db.forward("8 minutes 59.999 seconds").await;
    let id = db.claim(1).await[0].id;
    db.forward("1 millisecond").await;
    assert!(
        db.claim(1).await.is_empty(),
        "its lease would outlast the end"
    );
    let waiting = db
        .text("select id from pgdial.calls where state = 'waiting'")
        .await;
    let why = first_reason(&db, waiting.parse().unwrap()).await;
    assert_eq!(why.reason, "campaign_over");
    assert!(
        why.message.contains("a dial begun now could still ring"),
        "{why:?}"
    );
    let claimed = db.column(
        id,
        "lease_until < (select g.ends_at from pgdial.campaigns g where g.name = 'spring')",
    );
    assert_eq!(claimed.await, "true");
}

#[tokio::test]
async fn the_lease_that_the_adapter_declares_counts() {
    let db = dated(None, Some(10)).await;
    db.sql(
        "insert into pgdial.trunk_adapter values ('default', 'a', '{\"placeTimeout\": \"PT4M30S\"}', pgdial.now())",
    )
    .await;
    enqueue(&db, 1).await;
    enqueue(&db, 2).await;
    db.forward("4 minutes 59 seconds").await;
    assert_eq!(db.claim(1).await.len(), 1);
    db.forward("1 second").await;
    assert!(db.claim(1).await.is_empty());
}

/// A worker whose lease is longer than the declared one gets no call that could ring after the end.
#[tokio::test]
async fn the_claim_knows_the_real_lease() {
    let db = dated(None, Some(3)).await;
    enqueue(&db, 1).await;
    let claimed = |what: &str, lease: i32| {
        format!(
            "select {what} from pgdial.claim(gen_random_uuid(), '{{default}}', 1, null, null, array[{lease}])"
        )
    };
    assert_eq!(db.number(&claimed("count(id)", 180)).await, 0);
    let looks_again_at_once = claimed("count(*) filter (where wait_ms = 0)", 180);
    assert_eq!(db.number(&looks_again_at_once).await, 0);
    assert_eq!(db.number(&claimed("count(id)", 179)).await, 1);
}

#[tokio::test]
async fn a_dial_in_doubt_is_not_repeated_after_the_end() {
    for (ends, repeats) in [(4, 1), (2, 0)] {
        let db = dated(None, Some(ends)).await;
        db.sql("update pgdial.trunks set idempotent = true").await;
        enqueue(&db, 1).await;
        let call = db.claim(1).await.pop().unwrap();
        assert!(db.calls.doubt(call.reference(), "no answer").await.unwrap());
        db.forward("1 minute").await;
        let due = db.calls.repeats_due(&each(&["default"], 9)).await.unwrap();
        assert_eq!(due.len(), repeats, "an end after {ends} minutes");
    }
}

#[tokio::test]
async fn what_waits_at_the_end_expires_and_live_calls_go_on() {
    let db = dated(None, Some(10)).await;
    let live = enqueue(&db, 1).await;
    let call = db.claim(1).await.pop().unwrap();
    assert!(
        db.calls
            .dialed(call.reference(), "p")
            .await
            .unwrap()
            .in_call
    );
    let id = enqueue(&db, 2).await;
    let other = db.enqueue(&number(3)).await;
    db.forward("10 minutes").await;
    db.sweep().await;
    assert_eq!(db.state(live).await, "in_call");
    assert_eq!(db.state(other).await, "waiting");
    assert_eq!(db.state(id).await, "expired");
    let detail = db.detail(id, "expired").await;
    assert!(
        detail["why"]
            .as_str()
            .unwrap()
            .starts_with("campaign spring ended at 20"),
        "{detail}"
    );
    assert!(detail["ends_at"].is_string());
    let why = first_reason(&db, id).await;
    assert_eq!(why.reason, "expired");
    assert!(why.message.contains("campaign spring ended at"), "{why:?}");
    assert_eq!(
        db.settle(&call, Outcome::Answered).await,
        Settled::Completed
    );
}

#[tokio::test]
async fn a_later_end_keeps_what_waits() {
    let db = dated(None, Some(10)).await;
    let id = enqueue(&db, 1).await;
    db.forward("10 minutes").await;
    assert_eq!(first_reason(&db, id).await.reason, "campaign_over");
    assert!(set(&db, json!({ "endsAt": null })).await.unwrap());
    db.sweep().await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn one_that_cannot_be_written_holds_up_no_other() {
    let db = dated(None, Some(10)).await;
    let request = json!({ "to": number(1), "scriptId": "poison", "campaign": "spring" });
    let bad = db.enqueue_as(request).await;
    let good = enqueue(&db, 2).await;
    db.poison("expired").await;
    db.forward("10 minutes").await;
    db.sweep().await;
    assert_eq!(db.state(bad).await, "waiting");
    assert_eq!(db.state(good).await, "expired");
    assert_eq!(db.story(bad).await, "waiting put_off");
}

/// The verb restates what the sweep found: meanwhile somebody may have set a later end.
#[tokio::test]
async fn each_row_is_ended_on_its_own_guard() {
    let db = dated(None, Some(10)).await;
    let id = enqueue(&db, 1).await;
    let end =
        format!("select pgdial.end_waiting_together(array['{id}'::uuid], 'expired', pgdial.now())");
    assert_eq!(db.number(&end).await, 0);
    db.forward("10 minutes").await;
    assert_eq!(db.number(&end).await, 1);
}

#[tokio::test]
async fn an_attempt_that_ends_after_the_end_is_not_retried() {
    let db = dated(None, Some(10)).await;
    let id = enqueue(&db, 1).await;
    let call = db.claim(1).await.pop().unwrap();
    db.forward("10 minutes").await;
    assert_eq!(db.settle(&call, Outcome::Busy).await, Settled::Expired);
    assert_eq!(db.column(id, "outcome").await, "busy");
    let words = db.column(id, "last_error").await;
    assert!(
        words.starts_with("said so; campaign spring ended at 20"),
        "{words}"
    );
    let ended_as = db.text("select ended_as || ' ' || outcome from pgdial.attempts");
    assert_eq!(ended_as.await, "expired busy");
}

#[tokio::test]
async fn no_call_is_taken_for_a_campaign_that_is_over() {
    let db = dated(None, Some(10)).await;
    let request = |run_at: Option<&str>| {
        json!({ "to": number(1), "scriptId": "s", "campaign": "spring", "runAt": run_at,
                "idempotencyKey": "k" })
    };
    let ask = async |request: Value| {
        let mut made = db.calls.enqueue("ann", &[request]).await.unwrap();
        made.pop().unwrap()
    };
    let Enqueued::CampaignOver(words) = ask(request(Some("2126-01-01T00:00:00Z"))).await else {
        panic!("taken")
    };
    assert!(
        words.contains("after the end of campaign spring, 20"),
        "{words}"
    );
    let Enqueued::Created(id) = ask(request(None)).await else {
        panic!("not taken")
    };
    db.forward("10 minutes").await;
    let Enqueued::Duplicate(known) = ask(request(None)).await else {
        panic!("a known key returns its call")
    };
    assert_eq!(known, id);
    let mut other = request(None);
    other["idempotencyKey"] = json!("other");
    let Enqueued::CampaignOver(words) = ask(other).await else {
        panic!("taken")
    };
    assert!(
        words.starts_with("campaign spring ended at 20") && words.contains("set a later end"),
        "{words}"
    );
}

#[tokio::test]
async fn a_redrive_waits_for_a_later_end() {
    let db = dated(None, Some(10)).await;
    let id = enqueue(&db, 1).await;
    db.forward("10 minutes").await;
    db.sweep().await;
    let redrive = async || db.calls.redrive(id, "ann", None, false).await.unwrap().0;
    assert_eq!(redrive().await, Redriven::CampaignOver);
    assert!(set(&db, json!({ "endsAt": null })).await.unwrap());
    assert_eq!(redrive().await, Redriven::Waiting);
}

#[tokio::test]
async fn dates_that_make_no_sense_are_refused() {
    let db = dated(None, None).await;
    let dates =
        json!({ "startsAt": "2126-03-01T09:00:00+01:00", "endsAt": "2126-03-02T00:00:00Z" });
    assert!(set(&db, dates).await.unwrap());
    let shown = json!(db.calls.campaigns(Some("spring")).await.unwrap()[0]);
    assert_eq!(shown["startsAt"], "2126-03-01T08:00:00Z");
    assert_eq!(shown["endsAt"], "2126-03-02T00:00:00Z");
    for (changes, words) in [
        (
            json!({ "endsAt": "2126-03-01T08:00:00Z" }),
            "\"endsAt\" must be later than \"startsAt\"",
        ),
        (
            json!({ "startsAt": "2126-03-01 09:00" }),
            "\"startsAt\" must be an RFC 3339 time with an offset",
        ),
    ] {
        let Err(ChangeError::Refused(said)) = set(&db, changes).await else {
            panic!("taken")
        };
        assert!(said.contains(words), "{said}");
    }
    assert!(set(&db, json!({ "startsAt": null })).await.unwrap());
}
