//! doubt: dialing → unresolved (P1, P6).

use pgdial::domain::Outcome;

use crate::support::{TestDb, number};

#[tokio::test]
async fn a_dial_in_doubt_keeps_its_slot_and_its_number_and_is_not_dialled_again() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1").await;
    let call = db.dialing(&number(1)).await;
    assert!(db.calls.doubt(call.reference(), "reset").await.unwrap());
    let facts = "(state, lease_until is null, last_error, deadline_at is null)";
    assert_eq!(db.column(call.id, facts).await, "(unresolved,t,reset,f)");
    assert_eq!(db.story(call.id).await, "waiting active unresolved");
    db.enqueue(&number(2)).await;
    db.forward("10 minutes").await;
    assert!(db.claim(5).await.is_empty(), "the slot");
    db.sql("update pgdial.trunks set slots = 30").await;
    db.enqueue(&number(1)).await;
    let claimed = db.claim(5).await;
    assert_eq!(claimed.len(), 1, "the number");
    assert_eq!(claimed[0].phone.as_e164(), number(2));
}

#[tokio::test]
async fn a_doubt_about_another_claim_or_another_state_is_stale() {
    let db = TestDb::new().await;
    let first = db.dialing(&number(1)).await;
    db.settle(&first, Outcome::Busy).await;
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    assert!(!db.calls.doubt(first.reference(), "late").await.unwrap());
    assert_eq!(db.state(first.id).await, "dialing");
    db.calls.dialed(second.reference(), "p").await.unwrap();
    assert!(!db.calls.doubt(second.reference(), "late").await.unwrap());
    assert_eq!(db.state(first.id).await, "in_call");
}
