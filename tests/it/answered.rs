//! A person who has answered is not rung again, neither by a retry nor after a put-back or redrive, unless someone
//! says so with `force` (P1).

use pgdial::{
    domain::{ClaimedCall, Outcome, Report, ReportKind},
    flow::redrive::Redriven,
    provider::LookedUp,
};
use serde_json::json;

use crate::support::{TestDb, ended, number, progress};

/// A call that ended with this outcome although the report proves that it had been answered.
fn dropped(outcome: Outcome) -> Report {
    Report {
        answered: true,
        ..ended(outcome)
    }
}

/// Answered calls that each ended in a different unsuccessful way.
async fn answered_and_failed(db: &TestDb) -> Vec<ClaimedCall> {
    let by_webhook = db.in_call(&number(1)).await;
    db.event(&by_webhook, "1", progress(ReportKind::Answered))
        .await;
    db.event(&by_webhook, "2", ended(Outcome::Unreachable))
        .await;
    let by_its_end = db.in_call(&number(2)).await;
    db.event(&by_its_end, "1", dropped(Outcome::Unreachable))
        .await;
    let lost = db.in_call(&number(3)).await;
    db.event(&lost, "1", progress(ReportKind::Answered)).await;
    db.forward("40 minutes").await;
    db.sweep().await;
    db.forward("40 minutes").await;
    vec![by_webhook, by_its_end, lost]
}

#[tokio::test]
async fn no_redrive_without_force_rings_somebody_who_has_answered() {
    let db = TestDb::new().await;
    let calls = answered_and_failed(&db).await;
    for call in &calls {
        assert_eq!(db.state(call.id).await, "failed");
        let one = db.calls.redrive(call.id, "ann", None, false).await.unwrap();
        assert_eq!(one.0, Redriven::NeedsForce);
    }
    for (dry_run, name) in [("true", "dry run"), ("false", "run")] {
        let many = db
            .text(&format!(
                "select pgdial.redrive_matching('{{\"outcome\": [\"unknown\", \"provider_fault\", \"unreachable\"]}}', \
                 'outage', p_dry_run => {dry_run})::text"
            ))
            .await;
        let answer: serde_json::Value = serde_json::from_str(&many).unwrap();
        assert_eq!(answer["verdicts"], json!({ "needs_force": 3 }), "{name}");
    }
    db.forward("1 day").await;
    assert!(db.claim(5).await.is_empty());
}

#[tokio::test]
async fn with_force_they_are_rung_until_they_answer_and_the_next_redrive_needs_it_again() {
    let db = TestDb::new().await;
    for call in answered_and_failed(&db).await {
        let with_force = db.calls.redrive(call.id, "ann", None, true).await.unwrap();
        assert_eq!(with_force.0, Redriven::Waiting);
    }
    let again = db.claim(5).await;
    assert_eq!(again.len(), 3);
    for call in &again {
        db.event(call, "busy", ended(Outcome::Busy)).await;
        assert_eq!(db.state(call.id).await, "waiting", "retried");
    }
    db.forward("1 hour").await;
    for call in db.claim(5).await {
        db.event(&call, "declined", ended(Outcome::Declined)).await;
        assert_eq!(db.state(call.id).await, "failed");
        assert_eq!(db.column(call.id, "answered_at is null").await, "true");
        let without = db.calls.redrive(call.id, "ann", None, false).await.unwrap();
        assert_eq!(without.0, Redriven::NeedsForce);
    }
}

/// However often it is reported, by webhook or look-up.
#[tokio::test]
async fn an_answer_is_written_once() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    for event in ["1", "2"] {
        db.event(&call, event, progress(ReportKind::Answered)).await;
        let found = LookedUp::Found(progress(ReportKind::Answered));
        db.calls.look_up(call.reference(), &found).await.unwrap();
    }
    assert_eq!(db.story(call.id).await, "waiting active in_call answered");
}

/// It turns out to have been answered before it was redriven with force.
#[tokio::test]
async fn what_is_learned_of_one_forced_call_says_nothing_of_another() {
    for report in [progress(ReportKind::Answered), ended(Outcome::Answered)] {
        let db = TestDb::new().await;
        let calls = [db.dialing(&number(1)).await, db.dialing(&number(2)).await];
        for call in &calls {
            db.settle(call, Outcome::Declined).await;
            let forced = db.calls.redrive(call.id, "ann", None, true).await.unwrap();
            assert_eq!(forced.0, Redriven::Waiting);
        }
        db.event(&calls[0], "1", report).await;
        for (call, expected) in calls.iter().zip(["true", "false"]) {
            let answered = "answered_before is not null";
            assert_eq!(db.column(call.id, answered).await, expected);
        }
    }
}

/// The webhook of the answer was lost, but the final one proves it.
#[tokio::test]
async fn a_final_report_that_proves_an_answer_is_not_retried() {
    for (outcome, expected) in [
        (Outcome::Unreachable, "(failed,provider_fault,t)"),
        (Outcome::ProviderFault, "(failed,provider_fault,t)"),
        (Outcome::Busy, "(failed,busy,t)"),
        (Outcome::NoAnswer, "(failed,no_answer,t)"),
        (Outcome::Capacity, "(failed,capacity,t)"),
        (Outcome::Account, "(failed,account,t)"),
        (Outcome::Canceled, "(completed,answered,t)"),
        (Outcome::Voicemail, "(completed,voicemail,t)"),
    ] {
        let db = TestDb::new().await;
        let facts = "(state, outcome, answered_at is not null)";
        let call = db.in_call(&number(1)).await;
        db.event(&call, "1", dropped(outcome)).await;
        assert_eq!(db.column(call.id, facts).await, expected);
        assert_eq!(
            db.number("select count(*) from pgdial.trunks where paused")
                .await,
            0
        );
        // The same for a call that waits for its retry.
        let late = db.dialing(&number(2)).await;
        db.calls
            .defer(
                late.reference(),
                pgdial::flow::defer::DeferReason::Late,
                None,
                "late",
            )
            .await
            .unwrap();
        db.event(&late, "1", dropped(outcome)).await;
        assert_eq!(db.column(late.id, facts).await, expected, "late");
        let says_why = "(last_error is not null) = (state = 'failed')";
        assert_eq!(db.column(late.id, says_why).await, "true", "{outcome}");
    }
}

#[tokio::test]
async fn a_waiting_call_that_was_answered_cannot_exist() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let sql = format!("update pgdial.calls set answered_at = pgdial.now() where id = '{id}'");
    let (_, why) = db.refusal(&sql).await;
    assert!(why.contains("calls_waiting_holds_nothing"), "{why}");
}

/// Canceled after it was answered: the conversation took place.
#[tokio::test]
async fn a_cancel_after_an_answer_counts_as_answered() {
    for wished in [false, true] {
        let db = TestDb::new().await;
        let call = db.in_call(&number(1)).await;
        db.event(&call, "1", progress(ReportKind::Answered)).await;
        if wished {
            db.calls.cancel(call.id, "ann", None).await.unwrap();
        }
        db.event(&call, "2", ended(Outcome::Canceled)).await;
        assert_eq!(
            db.column(call.id, "(state, outcome)").await,
            "(completed,answered)"
        );
    }
}
