//! release: a person ends a hold (P1).

use pgdial::flow::release::Released;

use crate::support::{TestDb, ask, number};

#[tokio::test]
async fn a_released_number_may_ring_again() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty());
    let released = db.calls.release(call.id, "ann", "I heard it end").await;
    assert_eq!(released.unwrap(), Released::Released);
    assert_eq!(db.claim(1).await[0].id, twin);
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call failed released"
    );
    let detail = db.detail(call.id, "released").await;
    assert_eq!(
        (&detail["by"], &detail["why"]),
        (&"ann".into(), &"I heard it end".into())
    );
}

#[tokio::test]
async fn what_is_not_held_is_not_released() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let released = db.calls.release(call.id, "ann", "why not").await;
    assert_eq!(released.unwrap(), Released::NotHeld);
    assert_eq!(db.state(call.id).await, "in_call");
    db.sql("delete from pgdial.calls").await;
    let released = db.calls.release(call.id, "ann", "why not").await;
    assert_eq!(released.unwrap(), Released::NotFound);
}

#[tokio::test]
async fn a_hold_that_is_over_is_not_released() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    db.forward("2 hours").await;
    let mut session = db.session().await;
    let sql = format!("pgdial.release('{}', 'late')", call.id);
    assert_eq!(ask(&mut session, &sql).await, "not_held");
}

#[tokio::test]
async fn a_released_call_that_waits_for_its_redial_may_go_at_once() {
    let db = TestDb::new().await;
    db.sql("update pgdial.campaigns set redial_unknown = true")
        .await;
    let call = db.given_up(&number(1)).await;
    assert!(db.claim(1).await.is_empty());
    let released = db.calls.release(call.id, "ann", "it is over").await;
    assert_eq!(released.unwrap(), Released::Released);
    assert_eq!(db.claim(1).await[0].id, call.id);
}
