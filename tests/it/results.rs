//! Results: what arrives after the end is merged into them, and changes nothing else.

use pgdial::{
    domain::{ClaimedCall, Outcome, Report, ReportKind},
    flow::webhook::Verdict,
};
use serde_json::{Value, json};

use crate::support::{TestDb, by_provider, ended, number, progress};

fn with(report: Report, result: Value) -> Report {
    Report { result, ..report }
}

/// A call that ended answered, with a result.
async fn completed(db: &TestDb) -> ClaimedCall {
    let call = db.in_call(&number(1)).await;
    let last = with(
        ended(Outcome::Answered),
        json!({"durationSec": 42, "analysis": {"ok": true}}),
    );
    assert_eq!(db.event(&call, "end", last).await, Verdict::Applied);
    call
}

async fn result(db: &TestDb, call: &ClaimedCall) -> Value {
    let shown = db.calls.show(call.id).await.unwrap().unwrap();
    let attempt = shown.attempts.last().unwrap();
    assert_eq!(shown.result, attempt.result);
    json!(shown.result)
}

/// By the provider's clock; the column says when we were told.
#[tokio::test]
async fn the_instant_of_the_answer_is_part_of_the_result() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let report = Report {
        answered_at: "2026-01-02T03:04:05Z".parse().ok(),
        ..ended(Outcome::Answered)
    };
    db.event(&call, "1", report).await;
    let at = db.column(call.id, "result ->> 'answeredAt'").await;
    assert_eq!(at, "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn what_comes_after_the_end_is_added_once() {
    let db = TestDb::new().await;
    let call = completed(&db).await;
    let later = || {
        with(
            progress(ReportKind::Unknown),
            json!({"cost": 0.12, "durationSec": null, "analysis": {"summary": "s"}, "recordingUrl": "u"}),
        )
    };
    assert_eq!(db.event(&call, "later", later()).await, Verdict::Applied);
    let whole = json!({"durationSec": 42, "cost": 0.12, "recordingUrl": "u",
                       "analysis": {"ok": true, "summary": "s"}});
    assert_eq!(result(&db, &call).await, whole);
    assert_eq!(db.event(&call, "later", later()).await, Verdict::Duplicate);
    // The same facts again, in another event.
    assert_eq!(db.event(&call, "again", later()).await, Verdict::Noted);
    assert_eq!(result(&db, &call).await, whole);
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call completed result_added"
    );
    assert_eq!(
        db.detail(call.id, "result_added").await["result"],
        json!({"cost": 0.12, "recordingUrl": "u", "analysis": {"ok": true, "summary": "s"}})
    );
}

#[tokio::test]
async fn a_body_without_a_status_adds_too_but_only_after_the_end() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let analysis = || with(progress(ReportKind::Unparsable), json!({"summary": "s"}));
    assert_eq!(db.event(&call, "1", analysis()).await, Verdict::Unparsable);
    db.event(&call, "2", ended(Outcome::Answered)).await;
    assert_eq!(db.event(&call, "3", analysis()).await, Verdict::Applied);
    assert_eq!(result(&db, &call).await, json!({"summary": "s"}));
    let foreign = Report {
        reference: Some("another".to_owned()),
        ..analysis()
    };
    assert_eq!(
        db.event(&call, "4", with(foreign, json!({"x": 1}))).await,
        Verdict::Unparsable
    );
}

#[tokio::test]
async fn an_end_that_contradicts_adds_what_was_missing_and_changes_nothing_else() {
    let db = TestDb::new().await;
    let call = completed(&db).await;
    let facts = "(state, outcome, ended_at, answered_at, attempt, claim_no)";
    let before = db.column(call.id, facts).await;
    let busy = with(
        ended(Outcome::Busy),
        json!({"durationSec": 0, "cost": 1, "hangup": "x"}),
    );
    assert_eq!(db.event(&call, "busy", busy).await, Verdict::Applied);
    assert_eq!(
        result(&db, &call).await,
        json!({"durationSec": 42, "cost": 1, "hangup": "x", "analysis": {"ok": true}})
    );
    assert_eq!(db.column(call.id, facts).await, before);
}

#[tokio::test]
async fn late_progress_adds_nothing() {
    let db = TestDb::new().await;
    let call = completed(&db).await;
    for kind in [ReportKind::Progress, ReportKind::Answered] {
        let late = with(progress(kind), json!({"durationSec": 0, "x": 1}));
        assert_eq!(
            db.event(&call, &format!("{kind:?}"), late).await,
            Verdict::Stale
        );
    }
    assert_eq!(result(&db, &call).await["durationSec"], 42);
}

#[tokio::test]
async fn of_an_attempt_that_is_retried_it_is_that_attempts() {
    let db = TestDb::new().await;
    let first = db.in_call(&number(1)).await;
    db.event(&first, "busy", with(ended(Outcome::Busy), json!({"n": 1})))
        .await;
    let cost = |n: u32| with(progress(ReportKind::Unknown), json!({"cost": n}));
    assert_eq!(db.event(&first, "cost", cost(1)).await, Verdict::Applied);
    assert_eq!(
        db.column(first.id, "result").await,
        r#"{"n": 1, "cost": 1}"#
    );
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    let named = by_provider("second", ended(Outcome::Answered));
    db.event(&second, "end", with(named, json!({"n": 2}))).await;
    assert_eq!(db.event(&first, "more", cost(3)).await, Verdict::Applied);
    let shown = db.calls.show(first.id).await.unwrap().unwrap();
    assert_eq!(shown.result.unwrap(), json!({"n": 2}));
    assert_eq!(
        shown.attempts[0].result.clone().unwrap(),
        json!({"n": 1, "cost": 3})
    );
    assert_eq!(shown.attempts[1].result.clone().unwrap(), json!({"n": 2}));
}

#[tokio::test]
async fn a_result_stays_bounded() {
    let db = TestDb::new().await;
    let call = completed(&db).await;
    let large = || json!({"transcript": "t".repeat(60_000), "cost": 1});
    let of = |id: &str| json!({ id: large() });
    for id in ["a", "b"] {
        assert_eq!(
            db.event(&call, id, with(progress(ReportKind::Unknown), of(id)))
                .await,
            Verdict::Applied
        );
    }
    // The third is too large; its small facts still fit.
    let mut third = of("c");
    third["recordingUrl"] = json!("u");
    let third = with(progress(ReportKind::Unknown), third);
    assert_eq!(db.event(&call, "c", third).await, Verdict::Applied);
    let kept = result(&db, &call).await;
    assert_eq!(
        (&kept["recordingUrl"], &kept["c"]),
        (&json!("u"), &Value::Null)
    );
    let mut verdicts = Vec::new();
    for n in 0..30 {
        let more = with(progress(ReportKind::Unknown), json!({"n": n}));
        verdicts.push(db.event(&call, &format!("n{n}"), more).await);
    }
    let added = verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::Applied);
    assert_eq!(added.count(), 17, "20 times a call, with the three before");
}

#[tokio::test]
async fn what_was_said_of_a_call_is_read_page_by_page() {
    let db = TestDb::new().await;
    let call = completed(&db).await;
    let other = db.in_call(&number(2)).await;
    db.event(&other, "x", ended(Outcome::Answered)).await;
    db.event(&call, "1", progress(ReportKind::Unknown)).await;
    db.event(&call, "22", progress(ReportKind::Unknown)).await;
    let ids = |page: &pgdial::flow::replay::KeptPage| {
        let ids = page.events.iter().map(|event| event.0.event_id.clone());
        (ids.collect::<Vec<_>>().join(" "), page.more)
    };
    let page = db
        .calls
        .call_webhooks(call.id, None, 10, 1000)
        .await
        .unwrap();
    assert_eq!(ids(&page), ("22 1 end".to_owned(), false));
    assert_eq!(page.events[0].1, b"22");
    let page = db
        .calls
        .call_webhooks(call.id, None, 2, 1000)
        .await
        .unwrap();
    assert_eq!(ids(&page), ("22 1".to_owned(), true));
    let below = Some(page.events[1].0.id);
    let page = db
        .calls
        .call_webhooks(call.id, below, 2, 1000)
        .await
        .unwrap();
    assert_eq!(ids(&page), ("end".to_owned(), false));
    let page = db.calls.call_webhooks(call.id, None, 10, 1).await.unwrap();
    assert_eq!(ids(&page), ("22".to_owned(), true), "one whole");
}
