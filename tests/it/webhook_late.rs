//! webhook, late: events of a dial that was given up (P1, P6).

use pgdial::{
    domain::{Outcome, Report, ReportKind},
    flow::webhook::Verdict,
};
use serde_json::json;

use crate::support::{TestDb, ended, number, progress};

#[tokio::test]
async fn a_late_answer_completes_a_call_that_waits_for_its_retry() {
    for kind in [
        progress(ReportKind::Answered),
        ended(Outcome::Answered),
        ended(Outcome::Voicemail),
    ] {
        let db = TestDb::new().await;
        let call = db.in_call(&number(1)).await;
        db.event(&call, "1", ended(Outcome::NoAnswer)).await;
        assert_eq!(db.state(call.id).await, "waiting");
        assert_eq!(db.event(&call, "2", kind).await, Verdict::Applied);
        assert_eq!(db.state(call.id).await, "completed");
        assert_eq!(db.detail(call.id, "completed").await["late"], json!(true));
        db.forward("1 day").await;
        assert!(db.claim(5).await.is_empty(), "its retry is off");
    }
}

#[tokio::test]
async fn a_late_answer_completes_a_call_that_nobody_could_explain() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    let verdict = db.event(&call, "1", ended(Outcome::Answered)).await;
    assert_eq!(verdict, Verdict::Applied);
    let facts = "(state, outcome, hold_until is null, last_error is null)";
    assert_eq!(db.column(call.id, facts).await, "(completed,answered,t,t)");
}

#[tokio::test]
async fn a_late_answer_that_still_talks_keeps_its_number() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    assert_eq!(
        db.event(&call, "1", progress(ReportKind::Answered)).await,
        Verdict::Applied
    );
    assert_eq!(db.state(call.id).await, "completed");
    let twin = db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty(), "somebody is on the phone");
    db.forward("40 minutes").await;
    assert_eq!(db.claim(1).await[0].id, twin);
}

#[tokio::test]
async fn the_final_report_of_a_held_dial_frees_its_number() {
    for (first, last) in [
        (
            Some(progress(ReportKind::Answered)),
            ended(Outcome::Answered),
        ),
        (None, ended(Outcome::NoAnswer)),
    ] {
        let db = TestDb::new().await;
        let call = db.given_up(&number(1)).await;
        let twin = db.enqueue(&number(1)).await;
        if let Some(first) = first {
            db.event(&call, "1", first).await;
        }
        assert!(db.claim(1).await.is_empty());
        let state = db.state(call.id).await;
        assert_eq!(db.event(&call, "2", last).await, Verdict::Applied);
        assert_eq!(db.state(call.id).await, state, "the outcome stands");
        assert_eq!(db.claim(1).await[0].id, twin);
    }
}

#[tokio::test]
async fn a_final_report_of_an_earlier_claim_ends_no_later_hold() {
    for (last, verdict) in [
        (ended(Outcome::NoAnswer), Verdict::Stale),
        // It completes the call, but the later dial may still ring.
        (ended(Outcome::Answered), Verdict::Applied),
    ] {
        let db = TestDb::new().await;
        let first = db.in_call(&number(1)).await;
        db.event(&first, "1", ended(Outcome::Busy)).await;
        db.forward("1 hour").await;
        let second = db.claim(1).await.pop().unwrap();
        db.calls.dialed(second.reference(), "p2").await.unwrap();
        db.forward("1 hour").await;
        db.sweep().await;
        assert_eq!(db.event(&first, "2", last).await, verdict);
        let held = db.column(first.id, "hold_until > pgdial.now()").await;
        assert_eq!(held, "true");
    }
}

#[tokio::test]
async fn a_later_report_ends_no_talk_of_an_earlier_dial() {
    let db = TestDb::new().await;
    let first = db.in_call(&number(1)).await;
    db.event(&first, "1", ended(Outcome::NoAnswer)).await;
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    db.event(&second, "2", ended(Outcome::Busy)).await;
    let answered = progress(ReportKind::Answered);
    assert_eq!(db.event(&first, "3", answered).await, Verdict::Applied);
    // The second dial is reported again; the first one is still talking.
    let again = ended(Outcome::Busy);
    assert_eq!(db.event(&second, "4", again).await, Verdict::Stale);
    db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty(), "somebody is on the phone");
    db.forward("40 minutes").await;
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn a_result_too_large_to_keep_does_not_lose_the_outcome() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let report = Report {
        result: json!({ "transcript": "word ".repeat(40_000) }),
        ..ended(Outcome::Answered)
    };
    assert_eq!(db.event(&call, "1", report).await, Verdict::Applied);
    assert_eq!(
        db.column(call.id, "(state, result)").await,
        "(completed,\"{\"\"truncated\"\": true}\")"
    );
}

#[tokio::test]
async fn a_late_answer_during_a_later_dial_is_recorded_and_moves_nothing() {
    let db = TestDb::new().await;
    let first = db.in_call(&number(1)).await;
    db.event(&first, "1", ended(Outcome::Busy)).await;
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!(
        db.event(&first, "2", progress(ReportKind::Progress)).await,
        Verdict::Stale
    );
    assert_eq!(
        db.event(&first, "3", ended(Outcome::Declined)).await,
        Verdict::Stale
    );
    assert_eq!(
        db.event(&first, "4", ended(Outcome::Answered)).await,
        Verdict::LateAnswer
    );
    assert_eq!(
        db.column(first.id, "(state, claim_no, provider_call_id is null)")
            .await,
        "(dialing,2,t)"
    );
    assert_eq!(
        db.story(first.id).await,
        "waiting active in_call retried active late_answer"
    );
    assert_eq!(
        db.event(&second, "5", ended(Outcome::Answered)).await,
        Verdict::Applied
    );
}

#[tokio::test]
async fn a_late_answer_of_an_earlier_trunk_is_its_own() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    let first = db.in_call(&number(1)).await;
    db.event(&first, "1", ended(Outcome::Busy)).await;
    db.sql("update pgdial.campaigns set trunk = 'other'").await;
    let reference = Some(first.reference());
    let report = ended(Outcome::Answered);
    assert_eq!(
        db.event_from("other", reference, "2", &report).await,
        Verdict::Mismatch,
        "claim 1 was the trunk default's"
    );
    assert_eq!(
        db.event_from("default", reference, "3", &report).await,
        Verdict::Applied
    );
}

#[tokio::test]
async fn calls_that_were_called_off_never_change() {
    let db = TestDb::new().await;
    let first = db.in_call(&number(1)).await;
    db.event(&first, "1", ended(Outcome::Busy)).await;
    db.calls.cancel(first.id, "tester", None).await.unwrap();
    assert_eq!(
        db.event(&first, "2", ended(Outcome::Answered)).await,
        Verdict::LateAnswer
    );
    assert_eq!(db.state(first.id).await, "canceled");
}
