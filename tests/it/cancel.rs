//! cancel: waiting → canceled; in flight it leaves a request on the row (P2, P6).

use pgdial::{domain::Outcome, flow::cancel::Canceled};
use serde_json::json;

use crate::support::{TestDb, ask, number, run};

#[tokio::test]
async fn a_waiting_call_is_canceled_and_never_rings() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let canceled = db.calls.cancel(id, "ann", Some("mistake")).await.unwrap();
    assert_eq!(canceled, Canceled::Canceled);
    assert_eq!(
        db.column(id, "(state, outcome, last_error, ended_at is not null)")
            .await,
        "(canceled,canceled,mistake,t)"
    );
    assert_eq!(
        db.detail(id, "canceled").await,
        json!({"by": "ann", "why": "mistake"})
    );
    assert!(db.claim(5).await.is_empty());
}

#[tokio::test]
async fn a_live_call_keeps_the_wish_and_its_slot() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    for _ in 0..2 {
        let canceled = db.calls.cancel(call.id, "ann", Some("stop")).await.unwrap();
        assert_eq!(canceled, Canceled::Requested);
    }
    let facts =
        "(state, cancel_requested_by, cancel_requested_why, cancel_requested_at is not null)";
    assert_eq!(db.column(call.id, facts).await, "(in_call,ann,stop,t)");
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call cancel_requested",
        "the first wish counts"
    );
}

#[tokio::test]
async fn a_call_that_is_over_stays_as_it_is() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Answered).await;
    let canceled = db.calls.cancel(call.id, "ann", None).await.unwrap();
    assert_eq!(canceled, Canceled::AlreadyOver);
    assert_eq!(db.state(call.id).await, "completed");
    db.sql("delete from pgdial.calls").await;
    let canceled = db.calls.cancel(call.id, "ann", None).await.unwrap();
    assert_eq!(canceled, Canceled::NotFound);
}

#[tokio::test]
async fn a_cancel_that_races_a_claim_is_lost_by_neither() {
    let db = TestDb::new().await;
    for n in 0..20 {
        let id = db.enqueue(&number(n)).await;
        let (canceled, claimed) = tokio::join!(db.calls.cancel(id, "ann", None), db.claim(1));
        match canceled.unwrap() {
            Canceled::Canceled => assert!(claimed.is_empty()),
            Canceled::Requested => {
                assert_eq!(claimed.len(), 1);
                assert_ne!(db.column(id, "cancel_requested_at").await, "");
            }
            other => panic!("{other:?}"),
        }
        if let Some(call) = claimed.first() {
            db.settle(call, Outcome::Busy).await;
        }
        assert_eq!(db.state(id).await, "canceled");
    }
}

#[tokio::test]
async fn sql_cancels_as_the_program_does() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let mut session = db.session().await;
    let sql = format!("pgdial.cancel('{id}', 'wrong list')");
    assert_eq!(ask(&mut session, &sql).await, "canceled");
    assert_eq!(ask(&mut session, &sql).await, "already_over");
    let unknown = "pgdial.cancel(gen_random_uuid())";
    assert_eq!(ask(&mut session, unknown).await, "not_found");
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_named() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    assert!(matches!(
        db.calls.cancel(id, "ann", None).await,
        Err(pgdial::flow::Error::LockedOut)
    ));
}
