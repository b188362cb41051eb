//! claim: waiting → dialing (P1, P3, P7).

use pgdial::domain::Outcome;
use serde_json::json;

use crate::support::{TestDb, number};

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
async fn never_more_in_flight_than_the_trunk_has_slots() {
    let db = TestDb::new().await;
    for n in 0..40 {
        db.enqueue(&number(n)).await;
    }
    let claims = (0..8).map(|_| db.claim(10));
    let claimed: usize = futures_util::future::join_all(claims)
        .await
        .iter()
        .map(Vec::len)
        .sum();
    assert_eq!(claimed, 30);
    assert_eq!(db.claim(10).await.len(), 0);
}

#[tokio::test]
async fn one_call_in_flight_per_number_however_many_claim() {
    let db = TestDb::new().await;
    for _ in 0..10 {
        db.enqueue(&number(1)).await;
    }
    let claims = (0..4).map(|_| db.claim(10));
    let mut claimed: Vec<_> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(claimed.len(), 1);
    let first = claimed.pop().unwrap();
    db.calls
        .settle(first.reference(), Outcome::Answered, "")
        .await
        .unwrap();
    assert_eq!(db.claim(10).await.len(), 1);
}
