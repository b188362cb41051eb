//! Answering machines: what a provider is told to do about them, and what follows if one answers.

use pgdial::{
    domain::{AnsweringMachine, ClaimedCall, Outcome, Report, ReportKind},
    flow::{groups::GroupKind, settle::Settled, webhook::Verdict},
    provider::Capabilities,
};
use serde_json::{Value, json};

use crate::support::{TestDb, ended, number, progress};

async fn set(db: &TestDb, changes: Value) {
    let set = db
        .calls
        .set_group(GroupKind::Campaign, "default", &changes, "ann", None)
        .await;
    assert!(set.unwrap());
}

async fn retrying() -> TestDb {
    let db = TestDb::new().await;
    db.stop_clock().await;
    set(
        &db,
        json!({ "voicemail": "retry", "voicemailBase": "1 hour", "backoffCap": "1 day" }),
    )
    .await;
    db
}

/// A report that somebody, or a machine, has answered.
fn answered_by(who: &str) -> Report {
    Report {
        result: json!({ "answeredBy": who }),
        ..progress(ReportKind::Answered)
    }
}

/// A platform that can be told to do this about machines.
fn told(answering_machine: &'static [AnsweringMachine]) -> Capabilities {
    Capabilities {
        answering_machine: Some(answering_machine),
        ..Capabilities::UNKNOWN
    }
}

async fn ends(db: &TestDb, call: &ClaimedCall, outcome: Outcome) {
    assert_eq!(
        db.event(call, "end", ended(outcome)).await,
        Verdict::Applied
    );
}

#[tokio::test]
async fn a_dial_is_told_what_its_campaign_says_and_keeps_it() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(call.answering_machine, AnsweringMachine::Ignore);
    assert!(
        db.detail(call.id, "active")
            .await
            .get("answering_machine")
            .is_none()
    );
    set(&db, json!({ "answeringMachine": "leave_message" })).await;
    let call = db.dialing(&number(2)).await;
    assert_eq!(call.answering_machine, AnsweringMachine::LeaveMessage);
    assert_eq!(
        db.detail(call.id, "active").await["answering_machine"],
        "leave_message"
    );
    set(&db, json!({ "answeringMachine": "hang_up" })).await;
    assert_eq!(
        db.column(call.id, "answering_machine").await,
        "leave_message"
    );
    let repeat = format!(
        "select pgdial.dial_order(c, pgdial.now()) ->> 'answering_machine' from pgdial.calls c where id = '{}'",
        call.id
    );
    assert_eq!(db.text(&repeat).await, "leave_message");
}

#[tokio::test]
async fn a_voicemail_completes_the_call_unless_the_campaign_retries_it() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    ends(&db, &call, Outcome::Voicemail).await;
    assert_eq!(db.state(call.id).await, "completed");

    let db = retrying().await;
    let call = db.in_call(&number(1)).await;
    assert_eq!(
        db.event(&call, "answer", progress(ReportKind::Answered))
            .await,
        Verdict::Applied
    );
    ends(&db, &call, Outcome::Voicemail).await;
    let facts = "(state, outcome, attempt, answered_at is null, run_at - pgdial.now() between interval '48 minutes' and interval '72 minutes')";
    assert_eq!(db.column(call.id, facts).await, "(waiting,voicemail,1,t,t)");
    assert_eq!(db.detail(call.id, "retried").await["outcome"], "voicemail");
}

#[tokio::test]
async fn a_voicemail_is_retried_as_often_as_attempts_allow() {
    let db = retrying().await;
    let mut last = None;
    for attempt in 1..=3 {
        let call = match last {
            None => db.in_call(&number(1)).await,
            Some(_) => db.claim(1).await.pop().unwrap(),
        };
        assert_eq!(call.attempt, attempt);
        let settled = db.settle(&call, Outcome::Voicemail).await;
        let expected = if attempt < 3 {
            Settled::Retried
        } else {
            Settled::Completed
        };
        assert_eq!(settled, expected);
        db.forward("1 day").await;
        last = Some(call.id);
    }
    assert_eq!(db.claim(1).await.len(), 0);
}

#[tokio::test]
async fn a_voicemail_is_not_retried_once_a_cancel_was_asked_for() {
    let db = retrying().await;
    let call = db.in_call(&number(1)).await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    ends(&db, &call, Outcome::Voicemail).await;
    assert_eq!(db.state(call.id).await, "completed");
}

#[tokio::test]
async fn what_else_is_reported_of_a_voicemail_ends_no_retry() {
    let db = retrying().await;
    let call = db.in_call(&number(1)).await;
    ends(&db, &call, Outcome::Voicemail).await;
    // In another order than they happened, and once more with an analysis.
    for (event, report) in [
        ("late answer", progress(ReportKind::Answered)),
        ("late detection", answered_by("machine_start")),
        ("analysis", ended(Outcome::Voicemail)),
    ] {
        db.event(&call, event, report).await;
        assert_eq!(db.state(call.id).await, "waiting", "{event}");
    }
    // Unless it says that somebody was there.
    ends_late(&db, &call).await;
    assert_eq!(db.state(call.id).await, "completed");
}

async fn ends_late(db: &TestDb, call: &ClaimedCall) {
    let verdict = db.event(call, "correction", ended(Outcome::Answered)).await;
    assert_eq!(verdict, Verdict::Applied);
}

#[tokio::test]
async fn a_machine_that_was_reported_before_the_end_makes_it_a_voicemail() {
    let table = [
        (&["machine"][..], "voicemail"),
        (&["machine_end_beep"], "voicemail"),
        (&["fax"], "voicemail"),
        (&["unknown"], "answered"),
        (&["human"], "answered"),
        (&[], "answered"),
        // After a call screening, somebody came to the telephone.
        (&["machine", "human"], "answered"),
        (&["human", "machine"], "answered"),
    ];
    let db = TestDb::new().await;
    for (n, (heard, outcome)) in table.into_iter().enumerate() {
        let call = db.in_call(&number(n)).await;
        db.event(&call, "answer", progress(ReportKind::Answered))
            .await;
        for who in heard {
            db.event(&call, who, answered_by(who)).await;
        }
        ends(&db, &call, Outcome::Answered).await;
        assert_eq!(db.column(call.id, "outcome").await, outcome, "{heard:?}");
    }
}

#[tokio::test]
async fn whoever_has_answered_is_not_rung_again_after_a_machine() {
    // In the same dial.
    let db = retrying().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "who", answered_by("human")).await;
    ends(&db, &call, Outcome::Voicemail).await;
    assert_eq!(db.state(call.id).await, "completed");
    // In an earlier one, which was thought to be over.
    let first = db.in_call(&number(2)).await;
    ends(&db, &first, Outcome::NoAnswer).await;
    db.forward("1 day").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!(second.id, first.id);
    let late = db.event(&first, "late", ended(Outcome::Answered)).await;
    assert_eq!(late, Verdict::LateAnswer);
    assert_eq!(
        db.settle(&second, Outcome::Voicemail).await,
        Settled::Completed
    );
}

const ONE_A_DAY: &str = "select pgdial.set_contact_limit('one-message', '{\"counts\": \"voicemails\", \"period\": \"1 day\"}'); \
    update pgdial.campaigns set contact_limits = '{one-message}'";

#[tokio::test]
async fn after_enough_voicemails_the_next_dial_leaves_none() {
    let db = retrying().await;
    set(&db, json!({ "answeringMachine": "leave_message" })).await;
    db.sql(ONE_A_DAY).await;
    db.working(
        "acme",
        told(&[AnsweringMachine::HangUp, AnsweringMachine::LeaveMessage]),
    )
    .await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(call.answering_machine, AnsweringMachine::LeaveMessage);
    assert_eq!(db.settle(&call, Outcome::Voicemail).await, Settled::Retried);
    db.forward("2 hours").await;
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!(again.answering_machine, AnsweringMachine::HangUp);
    // Another number has had none.
    let other = db.dialing(&number(2)).await;
    assert_eq!(other.answering_machine, AnsweringMachine::LeaveMessage);
    assert_eq!(db.settle(&again, Outcome::NoAnswer).await, Settled::Retried);
    db.forward("1 day").await;
    let later = db.claim(1).await.pop().unwrap();
    assert_eq!(later.answering_machine, AnsweringMachine::LeaveMessage);
}

#[tokio::test]
async fn where_nobody_can_be_told_to_hang_up_enough_voicemails_hold_the_call() {
    let db = retrying().await;
    db.sql(ONE_A_DAY).await;
    db.working("acme", told(&[])).await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(db.settle(&call, Outcome::Voicemail).await, Settled::Retried);
    db.forward("2 hours").await;
    assert_eq!(db.claim(1).await.len(), 0);
    assert_eq!(
        db.calls.why(call.id).await.unwrap()[0].object.as_deref(),
        Some("one-message")
    );
    db.forward("22 hours").await;
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn a_setting_that_the_platform_does_not_take_is_said() {
    let db = TestDb::new().await;
    let conflicts = async || {
        db.calls
            .campaigns(None)
            .await
            .unwrap()
            .swap_remove(0)
            .conflicts
    };
    set(&db, json!({ "answeringMachine": "leave_message" })).await;
    assert_eq!(
        conflicts().await,
        Vec::<String>::new(),
        "nothing is known of it"
    );
    db.working("acme", told(&[AnsweringMachine::HangUp])).await;
    assert_eq!(
        conflicts().await,
        [
            "the platform of trunk default cannot be told with a call to leave a message: set up its script to do so"
        ]
    );
    set(&db, json!({ "answeringMachine": "hang_up" })).await;
    assert_eq!(conflicts().await, Vec::<String>::new());
}
