//! settle: in flight → completed, waiting again, failed or canceled (P2, P6).

use pgdial::{
    domain::{CallId, Outcome, Reference, ReportKind},
    flow::{
        defer::{DeferReason, Deferred},
        settle::Settled,
    },
};
use serde_json::json;

use crate::support::{TestDb, ended, number, progress, provider_id, run};

/// What the rules say about each outcome of an unanswered attempt with attempts left: the verdict, and the base of
/// its backoff in seconds.
const ENDS: [(Outcome, Settled, Option<f64>); 13] = [
    (Outcome::Answered, Settled::Completed, None),
    (Outcome::Voicemail, Settled::Completed, None),
    (Outcome::Busy, Settled::Retried, Some(300.0)),
    (Outcome::NoAnswer, Settled::Retried, Some(1800.0)),
    (Outcome::Unreachable, Settled::Retried, Some(5.0)),
    (Outcome::ProviderFault, Settled::Retried, Some(5.0)),
    (Outcome::Declined, Settled::Failed, None),
    (Outcome::InvalidNumber, Settled::Failed, None),
    (Outcome::Blocked, Settled::Failed, None),
    (Outcome::Capacity, Settled::Failed, None),
    (Outcome::Account, Settled::Failed, None),
    (Outcome::Unknown, Settled::Failed, None),
    (Outcome::Canceled, Settled::Canceled, None),
];

async fn delay(db: &TestDb, id: CallId) -> f64 {
    db.detail(id, "retried").await["delay_ms"].as_f64().unwrap() / 1000.0
}

#[tokio::test]
async fn each_outcome_ends_the_call_or_brings_its_retry() {
    let db = TestDb::new().await;
    for (n, (outcome, expected, base)) in ENDS.into_iter().enumerate() {
        let call = db.dialing(&number(n)).await;
        assert_eq!(db.settle(&call, outcome).await, expected, "{outcome}");
        assert_eq!(
            db.column(call.id, "outcome").await,
            outcome.as_str(),
            "the row keeps the outcome"
        );
        let state = db.state(call.id).await;
        if let Some(base) = base {
            assert_eq!(state, "waiting", "{outcome}");
            let delay = delay(&db, call.id).await;
            assert!(
                (base * 0.799..=base * 1.201).contains(&delay),
                "{outcome}: {delay} s"
            );
            let nothing = "(trunk, claimed_by, lease_until, deadline_at, provider_call_id)";
            assert_eq!(db.column(call.id, nothing).await, "(,,,,)");
            db.calls.cancel(call.id, "tester", None).await.unwrap();
        } else {
            let facts = "(ended_at is not null, trunk, claimed_by is not null, last_error is null)";
            let well = if expected == Settled::Completed {
                "t"
            } else {
                "f"
            };
            assert_eq!(
                db.column(call.id, facts).await,
                format!("(t,default,t,{well})"),
                "{outcome}"
            );
        }
        let held = db.column(call.id, "hold_until is not null").await;
        assert_eq!(held, (outcome == Outcome::Unknown).to_string(), "{outcome}");
    }
    assert_eq!(ENDS.map(|(outcome, ..)| outcome).len(), Outcome::ALL.len());
    assert!(
        Outcome::ALL
            .iter()
            .all(|outcome| ENDS.iter().any(|(listed, ..)| listed == outcome))
    );
}

#[tokio::test]
async fn what_is_over_still_names_its_dial_and_what_waits_names_none() {
    let db = TestDb::new().await;
    for (n, outcome) in [Outcome::Answered, Outcome::Declined, Outcome::Busy]
        .into_iter()
        .enumerate()
    {
        let call = db.in_call(&number(n)).await;
        db.event(&call, &n.to_string(), ended(outcome)).await;
        let expected = if outcome == Outcome::Busy {
            "(,,)".to_owned()
        } else {
            format!("(default,{},t)", provider_id(&number(n)))
        };
        let facts = "(trunk, provider_call_id, nullif(claimed_by is not null, false))";
        assert_eq!(db.column(call.id, facts).await, expected, "{outcome}");
    }
}

#[tokio::test]
async fn a_report_brings_the_retry_of_its_own_campaign() {
    let db = TestDb::new().await;
    db.campaign("first", json!({ "busyBase": "10 seconds" }))
        .await;
    db.campaign("second", json!({ "busyBase": "20 seconds" }))
        .await;
    for (n, (campaign, base)) in [("first", 10.0), ("second", 20.0), ("default", 300.0)]
        .into_iter()
        .enumerate()
    {
        let id = db
            .enqueue_as(json!({ "to": number(n), "scriptId": "s", "campaign": campaign }))
            .await;
        let call = db.claim(1).await.pop().unwrap();
        db.event(&call, campaign, ended(Outcome::Busy)).await;
        let delay = delay(&db, id).await;
        assert!(
            (base * 0.799..=base * 1.201).contains(&delay),
            "{campaign}: {delay} s"
        );
    }
}

#[tokio::test]
async fn the_backoff_doubles_up_to_its_cap() {
    let db = TestDb::new().await;
    db.campaign(
        "patient",
        json!({ "maxAttempts": 20, "busyBase": "10 seconds", "backoffCap": "60 seconds" }),
    )
    .await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "campaign": "patient" }))
        .await;
    for expected in [10.0, 20.0, 40.0, 60.0, 60.0] {
        let call = db.claim(1).await.pop().unwrap();
        assert_eq!(db.settle(&call, Outcome::Busy).await, Settled::Retried);
        let delay = delay(&db, id).await;
        assert!(
            (expected * 0.799..=expected * 1.201).contains(&delay),
            "{delay} s, expected {expected} s"
        );
        db.forward("2 minutes").await;
    }
}

#[tokio::test]
async fn the_jitter_keeps_its_bounds_and_does_spread() {
    let db = TestDb::new().await;
    let spread = "select (min(d) >= 80 and max(d) <= 120 and count(distinct d) > 900)::text from \
                  (select extract(epoch from pgdial.backoff('100 seconds', '1 hour', 1)) as d \
                   from generate_series(1, 1000)) t";
    assert_eq!(db.text(spread).await, "true");
    let huge = "select pgdial.backoff('30 minutes', '4 hours', 20) <= interval '4.8 hours'";
    assert_eq!(db.text(huge).await, "true");
}

#[tokio::test]
async fn a_call_fails_when_its_attempts_are_used_up() {
    let db = TestDb::new().await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "maxAttempts": 2 }))
        .await;
    let first = db.claim(1).await.pop().unwrap();
    assert_eq!(db.settle(&first, Outcome::NoAnswer).await, Settled::Retried);
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!(db.settle(&second, Outcome::NoAnswer).await, Settled::Failed);
    assert_eq!(db.state(id).await, "failed");
    assert_eq!(db.story(id).await, "waiting active retried active failed");
}

#[tokio::test]
async fn nothing_is_retried_after_an_answer() {
    let db = TestDb::new().await;
    for (n, (outcome, kept)) in [
        (Outcome::Unreachable, "provider_fault"),
        (Outcome::Busy, "busy"),
        (Outcome::NoAnswer, "no_answer"),
    ]
    .into_iter()
    .enumerate()
    {
        let call = db.in_call(&number(n)).await;
        db.event(&call, "up", progress(ReportKind::Answered)).await;
        assert_eq!(
            db.settle(&call, outcome).await,
            Settled::Failed,
            "{outcome}"
        );
        assert_eq!(db.column(call.id, "outcome").await, kept);
    }
}

#[tokio::test]
async fn a_call_that_somebody_wishes_ended_never_goes_back_to_waiting() {
    let db = TestDb::new().await;
    for (n, outcome) in Outcome::ALL.into_iter().enumerate() {
        let call = db.in_call(&number(n)).await;
        db.calls.cancel(call.id, "tester", None).await.unwrap();
        let settled = db.settle(&call, outcome).await;
        let expected = match outcome {
            Outcome::Answered | Outcome::Voicemail => Settled::Completed,
            // It is ringing, whatever the response to its dial was: its webhook ends it.
            Outcome::ProviderFault | Outcome::Blocked | Outcome::InvalidNumber => Settled::Stale,
            _ => Settled::Canceled,
        };
        assert_eq!(settled, expected, "{outcome}");
        assert_ne!(db.state(call.id).await, "waiting", "{outcome}");
    }
}

#[tokio::test]
async fn a_call_that_was_answered_and_then_called_off_is_completed() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "up", progress(ReportKind::Answered)).await;
    db.calls.cancel(call.id, "tester", None).await.unwrap();
    assert_eq!(
        db.settle(&call, Outcome::Canceled).await,
        Settled::Completed
    );
}

#[tokio::test]
async fn a_result_of_another_claim_is_stale_and_changes_nothing() {
    let db = TestDb::new().await;
    let first = db.dialing(&number(1)).await;
    db.settle(&first, Outcome::Busy).await;
    assert_eq!(
        db.settle(&first, Outcome::Answered).await,
        Settled::Stale,
        "it is waiting"
    );
    db.forward("1 hour").await;
    let second = db.claim(1).await.pop().unwrap();
    let row = "(select r::text from pgdial.calls r where r.id = calls.id)";
    let before = db.column(first.id, row).await;
    for claim_no in [0, 1, 3, i64::MAX] {
        let other = Reference {
            claim_no,
            ..second.reference()
        };
        let settled = db
            .calls
            .settle(other, Outcome::Answered, "late")
            .await
            .unwrap();
        assert_eq!(settled, Settled::Stale, "claim {claim_no}");
    }
    let after = db.column(first.id, row).await;
    assert_eq!(before, after);
    assert_eq!(db.story(first.id).await, "waiting active retried active");
}

#[tokio::test]
async fn of_two_results_the_first_decides() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    assert_eq!(db.settle(&call, Outcome::Declined).await, Settled::Failed);
    assert_eq!(db.settle(&call, Outcome::Answered).await, Settled::Stale);
    assert_eq!(db.column(call.id, "outcome").await, "declined");
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_named_and_does_not_hold_up_the_others() {
    let db = TestDb::new().await;
    let held = db.dialing(&number(1)).await;
    let free = db.dialing(&number(2)).await;
    let mut person = db.session().await;
    run(
        &mut person,
        &format!(
            "begin; select from pgdial.calls where id = '{}' for update",
            held.id
        ),
    )
    .await
    .unwrap();
    let items = json!([
        { "id": held.id, "claim_no": 1, "outcome": "answered" },
        { "id": free.id, "claim_no": 1, "outcome": "answered" },
        { "id": "00000000-0000-7000-8000-000000000000", "claim_no": 1, "outcome": "answered" },
    ]);
    let verdicts = db
        .text(&format!(
            "select string_agg(verdict, ' ' order by ordinal) from pgdial.settle('{items}')"
        ))
        .await;
    assert_eq!(verdicts, "locked_out completed not_found");
    assert!(matches!(
        db.calls.settle(held.reference(), Outcome::Busy, "").await,
        Err(pgdial::flow::Error::LockedOut)
    ));
    assert_eq!(db.state(held.id).await, "dialing");
}

#[tokio::test]
async fn a_number_that_joined_the_list_during_the_call_is_not_retried() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let phone = number(1).parse().unwrap();
    db.calls.do_not_call_add(&phone, "ann", "no").await.unwrap();
    assert_eq!(db.settle(&call, Outcome::Busy).await, Settled::Suppressed);
    assert_eq!(
        db.column(call.id, "(state, outcome)").await,
        "(suppressed,busy)"
    );
    let other = db.in_call(&number(2)).await;
    let phone = number(2).parse().unwrap();
    db.calls.do_not_call_add(&phone, "ann", "no").await.unwrap();
    assert_eq!(
        db.settle(&other, Outcome::Answered).await,
        Settled::Completed
    );
}

/// A provider that reports ringing and then refuses the dial contradicts itself; a retry could ring a second phone
/// call while the first still rings.
#[tokio::test]
async fn a_refusal_of_a_dial_that_rings_already_brings_no_retry() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    db.event(&call, "1", progress(ReportKind::Progress)).await;
    for outcome in [
        Outcome::ProviderFault,
        Outcome::Blocked,
        Outcome::InvalidNumber,
    ] {
        assert_eq!(db.settle(&call, outcome).await, Settled::Stale);
    }
    let deferred = db
        .calls
        .defer(call.reference(), DeferReason::Capacity, None, "429")
        .await;
    assert_eq!(deferred.unwrap(), Deferred::Stale);
    assert_eq!(db.state(call.id).await, "in_call");
}
