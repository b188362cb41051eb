//! dialed: dialing, unresolved → `in_call` (P1, P4, P6).

use pgdial::{
    domain::{Outcome, Reference, ReportKind},
    flow::{wake::Wake, webhook::Verdict},
};

use crate::support::{
    TestDb, by_provider, ended, number, processes::PATIENCE, progress, provider_id,
};

#[tokio::test]
async fn an_accepted_dial_is_in_call_under_the_providers_id() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let facts = "(state, lease_until is null, provider_call_id, answered_at is null)";
    assert_eq!(
        db.column(call.id, facts).await,
        format!("(in_call,t,{},t)", provider_id(&number(1)))
    );
    assert_eq!(db.story(call.id).await, "waiting active in_call");
}

#[tokio::test]
async fn an_answer_that_comes_after_the_doubt_still_counts() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    assert!(db.calls.doubt(call.reference(), "slow").await.unwrap());
    assert!(
        db.calls
            .dialed(call.reference(), "p")
            .await
            .unwrap()
            .in_call
    );
    assert_eq!(db.state(call.id).await, "in_call");
}

#[tokio::test]
async fn an_answer_about_another_claim_moves_nothing() {
    let db = TestDb::new().await;
    let first = db.dialing(&number(1)).await;
    db.settle(&first, Outcome::Busy).await;
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    let dialed = db.calls.dialed(first.reference(), "old").await.unwrap();
    assert!(!dialed.in_call && !dialed.conflict);
    assert_eq!(db.state(second.id).await, "dialing");
    assert_eq!(db.column(second.id, "provider_call_id").await, "");
    let unborn = Reference {
        claim_no: 3,
        ..second.reference()
    };
    assert!(!db.calls.dialed(unborn, "new").await.unwrap().in_call);
    assert_eq!(db.state(second.id).await, "dialing");
}

#[tokio::test]
async fn an_answer_that_comes_after_the_end_moves_nothing() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(
        db.event(&call, "e1", ended(Outcome::Answered)).await,
        Verdict::Applied
    );
    let dialed = db.calls.dialed(call.reference(), "p").await.unwrap();
    assert!(!dialed.in_call);
    assert_eq!(db.story(call.id).await, "waiting active completed");
}

#[tokio::test]
async fn an_answer_slower_than_its_webhook_still_stores_the_providers_id() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let ringing = progress(ReportKind::Progress);
    assert_eq!(db.event(&call, "e1", ringing).await, Verdict::Applied);
    assert_eq!(db.column(call.id, "provider_call_id").await, "");
    db.calls.cancel(call.id, "tester", None).await.unwrap();
    let dialed = db.calls.dialed(call.reference(), "p").await.unwrap();
    assert!(dialed.in_call, "the webhook was faster, not another claim");
    let cancels = db.sweep().await.cancels;
    assert_eq!(
        cancels[0].provider_call_id, "p",
        "the wish must reach the provider"
    );
    assert_eq!(db.column(call.id, "provider_call_id").await, "p");
    let seen = db.story(call.id).await;
    assert_eq!(seen, "waiting active in_call cancel_requested");
}

#[tokio::test]
async fn another_id_than_the_webhooks_is_a_conflict_and_changes_nothing() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let ringing = by_provider("theirs", progress(ReportKind::Progress));
    db.event(&call, "e1", ringing).await;
    let dialed = db.calls.dialed(call.reference(), "ours").await.unwrap();
    assert!(dialed.in_call && dialed.conflict);
    assert_eq!(db.column(call.id, "provider_call_id").await, "theirs");
    assert_eq!(
        db.detail(call.id, "conflict").await["provider_call_id"],
        "ours"
    );
}

#[tokio::test]
async fn an_answer_wakes_the_sweep_when_somebody_wishes_the_call_ended() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    db.calls.cancel(call.id, "tester", None).await.unwrap();
    db.calls.woken(Wake::Sweep).await;
    assert!(db.sweep().await.cancels.is_empty(), "it has no name yet");
    let dialed = db.calls.dialed(call.reference(), "p").await.unwrap();
    assert!(dialed.in_call);
    let woken = tokio::time::timeout(PATIENCE, db.calls.woken(Wake::Sweep));
    woken.await.unwrap();
    assert_eq!(db.sweep().await.cancels[0].provider_call_id, "p");
}

#[tokio::test]
async fn an_event_that_knew_only_the_providers_id_is_applied_when_the_id_is_stored() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let answered = by_provider("p-1", ended(Outcome::Answered));
    let verdict = db.event_from("default", None, "e1", &answered).await;
    assert_eq!(verdict, Verdict::Parked);
    assert_eq!(db.state(call.id).await, "dialing");
    db.calls.dialed(call.reference(), "p-1").await.unwrap();
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(
        db.text("select verdict from pgdial.webhook_events").await,
        "applied"
    );
}

#[tokio::test]
async fn an_answer_for_a_call_that_is_gone_is_no_error() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    db.sql("delete from pgdial.calls").await;
    assert!(
        !db.calls
            .dialed(call.reference(), "p")
            .await
            .unwrap()
            .in_call
    );
}
