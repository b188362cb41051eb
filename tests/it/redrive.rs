//! redrive: terminal → waiting, with all attempts again (P1, P6).

use pgdial::{domain::Outcome, flow::redrive::Redriven};

use crate::support::{TestDb, ask, number};

async fn redrive(db: &TestDb, id: pgdial::domain::CallId, force: bool) -> Redriven {
    let answer = db.calls.redrive(id, "ann", Some("again"), force).await;
    answer.unwrap().0
}

#[tokio::test]
async fn a_failed_call_waits_again_with_all_its_attempts() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Declined).await;
    assert_eq!(redrive(&db, call.id, false).await, Redriven::Waiting);
    let facts = "(state, attempt, claim_no, outcome is null, last_error is null, ended_at is null, trunk is null)";
    assert_eq!(db.column(call.id, facts).await, "(waiting,0,1,t,t,t,t)");
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call failed redriven"
    );
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!((again.claim_no, again.attempt), (2, 1));
}

#[tokio::test]
async fn a_completed_call_is_redriven_only_with_force() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Answered).await;
    assert_eq!(redrive(&db, call.id, false).await, Redriven::NeedsForce);
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(redrive(&db, call.id, true).await, Redriven::Waiting);
}

#[tokio::test]
async fn a_call_whose_number_is_held_is_not_redriven_even_with_force() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    let (redriven, until) = db.calls.redrive(call.id, "ann", None, true).await.unwrap();
    assert_eq!(redriven, Redriven::Held);
    assert!(until.unwrap() > db.calls.now().await.unwrap());
    db.forward("2 hours").await;
    assert_eq!(redrive(&db, call.id, false).await, Redriven::Waiting);
}

#[tokio::test]
async fn a_call_that_is_not_over_is_not_redriven() {
    let db = TestDb::new().await;
    let waiting = db.enqueue(&number(1)).await;
    assert_eq!(redrive(&db, waiting, true).await, Redriven::NotOver);
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(redrive(&db, call.id, true).await, Redriven::NotOver);
    db.calls.dialed(call.reference(), "p").await.unwrap();
    assert_eq!(redrive(&db, call.id, true).await, Redriven::NotOver);
    db.sql("delete from pgdial.calls").await;
    assert_eq!(redrive(&db, call.id, true).await, Redriven::NotFound);
}

#[tokio::test]
async fn a_number_not_to_ring_is_not_redriven() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Declined).await;
    let phone = number(1).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "ann", "asked")
        .await
        .unwrap();
    assert_eq!(redrive(&db, call.id, true).await, Redriven::Suppressed);
    db.calls
        .do_not_call_remove(&phone, "tester", None)
        .await
        .unwrap();
    assert_eq!(redrive(&db, call.id, false).await, Redriven::Waiting);
}

#[tokio::test]
async fn a_canceled_call_that_is_redriven_carries_no_wish() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    db.settle(&call, Outcome::Canceled).await;
    assert_eq!(redrive(&db, call.id, false).await, Redriven::Waiting);
    let again = db.claim(1).await.pop().unwrap();
    let dialed = db.calls.dialed(again.reference(), "p2").await.unwrap();
    assert!(dialed.in_call);
    assert!(db.sweep().await.cancels.is_empty());
}

#[tokio::test]
async fn sql_redrives_as_the_program_does() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Answered).await;
    let mut session = db.session().await;
    let sql = format!("pgdial.redrive('{}', 'again')", call.id);
    assert_eq!(ask(&mut session, &sql).await, "needs_force");
    let sql = format!("pgdial.redrive('{}', 'again', true)", call.id);
    assert_eq!(ask(&mut session, &sql).await, "waiting");
}

#[tokio::test]
async fn a_call_whose_campaign_is_gone_is_not_redriven() {
    let db = TestDb::new().await;
    db.campaign("brief", serde_json::json!({})).await;
    let id = db
        .enqueue_as(serde_json::json!({ "to": number(1), "scriptId": "s", "campaign": "brief" }))
        .await;
    db.calls.cancel(id, "ann", None).await.unwrap();
    db.sql("delete from pgdial.campaigns where name = 'brief'")
        .await;
    assert_eq!(redrive(&db, id, true).await, Redriven::UnknownCampaign);
}
