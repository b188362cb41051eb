//! A call keeps the limits its provider was told: changing a campaign does not touch live calls.

use pgdial::{
    domain::{ClaimedCall, Outcome, ReportKind},
    flow::{look_up::Verdict, shares::Shares},
    provider::LookedUp,
};
use serde_json::json;

use crate::support::{TestDb, by_provider, number, progress, provider_id};

fn some() -> Shares {
    [("default".to_owned(), 9)].into_iter().collect()
}

/// A call that was told it may ring a minute and talk two hours; then its campaign changes.
async fn told_two_hours(db: &TestDb) -> ClaimedCall {
    db.sql(
        "update pgdial.campaigns set max_duration = '2 hours'; \
            update pgdial.trunks set look_up = 'hint', idempotent = true",
    )
    .await;
    let call = db.dialing(&number(1)).await;
    db.sql("update pgdial.campaigns set max_duration = '10 seconds', ring_timeout = '1 second'")
        .await;
    call
}

#[tokio::test]
async fn a_live_call_is_not_hung_up_when_its_campaign_is_cut_short() {
    let db = TestDb::new().await;
    let call = told_two_hours(&db).await;
    db.calls
        .dialed(call.reference(), &provider_id(&number(1)))
        .await
        .unwrap();
    let up = by_provider(&provider_id(&number(1)), progress(ReportKind::Answered));
    db.forward("1 hour").await;
    db.sweep().await;
    let asked = db
        .calls
        .look_up(call.reference(), &LookedUp::Found(up.clone()))
        .await;
    let asked = asked.unwrap().unwrap();
    assert_eq!((asked.verdict, asked.hang_up), (Verdict::Applied, false));
    let unknown = db
        .calls
        .look_up(call.reference(), &LookedUp::NotFound)
        .await;
    assert_eq!(unknown.unwrap().unwrap().verdict, Verdict::NotFound);
    assert_eq!(db.state(call.id).await, "in_call");
    // It is past its own deadline.
    db.forward("64 minutes").await;
    let asked = db
        .calls
        .look_up(call.reference(), &LookedUp::Found(up))
        .await;
    assert!(asked.unwrap().unwrap().hang_up);
}

#[tokio::test]
async fn it_is_asked_about_and_held_by_what_it_was_told() {
    let db = TestDb::new().await;
    let call = told_two_hours(&db).await;
    db.calls.dialed(call.reference(), "p").await.unwrap();
    db.forward("124 minutes").await;
    db.sweep().await;
    assert_eq!(db.story(call.id).await, "waiting active in_call overdue");
    db.forward("118 minutes").await;
    db.sweep().await;
    assert_eq!(db.state(call.id).await, "in_call", "its provider is asked");
    db.forward("2 minutes").await;
    db.sweep().await;
    assert_eq!(db.column(call.id, "outcome").await, "unknown");
    let held = "hold_until > pgdial.now() + interval '118 minutes'";
    assert_eq!(db.column(call.id, held).await, "true");
}

#[tokio::test]
async fn a_repetition_asks_for_the_very_same_call() {
    let db = TestDb::new().await;
    let first = told_two_hours(&db).await;
    db.calls
        .doubt(first.reference(), "no answer")
        .await
        .unwrap();
    db.forward("6 seconds").await;
    let due = db.calls.repeats_due(&some()).await;
    let mut again = due.unwrap().pop().unwrap();
    again.lease_until = first.lease_until;
    assert_eq!(format!("{again:?}"), format!("{first:?}"));
    let deadline = "deadline_at = repeated_at + interval '2 hours 3 minutes'";
    assert_eq!(db.column(first.id, deadline).await, "true");
}

#[tokio::test]
async fn the_next_claim_is_told_what_the_campaign_says_then() {
    let db = TestDb::new().await;
    let first = told_two_hours(&db).await;
    db.settle(&first, Outcome::ProviderFault).await;
    db.forward("1 minute").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!((second.ring_timeout_sec, second.max_duration_sec), (1, 10));
    let detail = db.detail(first.id, "active").await;
    assert_eq!(detail["max_duration_sec"], json!(10), "of the latest");
}
