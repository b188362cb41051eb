//! Retention of finished calls and events (P2).

use std::time::Duration;

use pgdial::domain::Outcome;
use serde_json::json;

use crate::support::{TestDb, number};

const WEEK: Duration = Duration::from_hours(7 * 24);

async fn removed(db: &TestDb, keep: Option<Duration>) -> i64 {
    let swept = db.calls.sweep(&["default".to_owned()], keep).await.unwrap();
    swept.counts["removed"]
}

async fn finished(db: &TestDb, n: usize) -> pgdial::domain::CallId {
    let call = db.in_call(&number(n)).await;
    db.settle(&call, Outcome::Answered).await;
    call.id
}

#[tokio::test]
async fn finished_calls_go_when_their_time_is_over_and_others_stay() {
    let db = TestDb::new().await;
    let old = finished(&db, 1).await;
    let waiting = db
        .enqueue_as(json!({ "to": number(2), "scriptId": "s", "runAt": "2126-01-01T00:00:00Z" }))
        .await;
    db.forward("6 days 23 hours").await;
    assert_eq!(removed(&db, Some(WEEK)).await, 0);
    let young = finished(&db, 3).await;
    db.forward("1 hour").await;
    assert_eq!(removed(&db, Some(WEEK)).await, 1);
    assert_eq!(db.state(old).await, "");
    assert_eq!(db.state(young).await, "completed");
    assert_eq!(db.state(waiting).await, "waiting");
    assert!(db.calls.show(old).await.unwrap().is_none());
}

#[tokio::test]
async fn for_ever_is_for_ever() {
    let db = TestDb::new().await;
    finished(&db, 1).await;
    db.forward("3650 days").await;
    assert_eq!(removed(&db, None).await, 0);
}

#[tokio::test]
async fn nothing_is_kept_when_told_so_except_what_is_not_over() {
    let db = TestDb::new().await;
    finished(&db, 1).await;
    let canceled = db.enqueue(&number(2)).await;
    db.calls.cancel(canceled, "ann", None).await.unwrap();
    let live = db.in_call(&number(3)).await;
    assert_eq!(removed(&db, Some(Duration::ZERO)).await, 2);
    assert_eq!(db.state(live.id).await, "in_call");
}

#[tokio::test]
async fn a_call_with_a_key_is_kept_for_a_day_whatever_the_retention_says() {
    let db = TestDb::new().await;
    let request = json!({ "to": number(1), "scriptId": "s", "idempotencyKey": "k" });
    let id = db.enqueue_as(request.clone()).await;
    let call = db.claim(1).await.pop().unwrap();
    db.settle(&call, Outcome::Answered).await;
    db.forward("23 hours 59 minutes").await;
    assert_eq!(removed(&db, Some(Duration::ZERO)).await, 0);
    let again = db.calls.enqueue("tester", &[request]).await.unwrap();
    assert_eq!(again[0], pgdial::flow::enqueue::Enqueued::Duplicate(id));
    db.forward("2 minutes").await;
    assert_eq!(removed(&db, Some(Duration::ZERO)).await, 1);
}

#[tokio::test]
async fn a_call_that_holds_its_number_is_kept() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    assert_eq!(removed(&db, Some(Duration::ZERO)).await, 0);
    assert_eq!(db.state(call.id).await, "failed");
    db.forward("1 hour").await;
    assert_eq!(removed(&db, Some(Duration::ZERO)).await, 1);
}

#[tokio::test]
async fn webhook_events_are_kept_a_week_at_least() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", crate::support::ended(Outcome::Answered))
        .await;
    let kept = "select count(*) from pgdial.webhook_events";
    db.forward("6 days").await;
    removed(&db, Some(Duration::ZERO)).await;
    assert_eq!(db.number(kept).await, 1, "a repeat must be known");
    db.forward("2 days").await;
    removed(&db, None).await;
    assert_eq!(db.number(kept).await, 1, "for ever");
    removed(&db, Some(Duration::ZERO)).await;
    assert_eq!(db.number(kept).await, 0);
}
