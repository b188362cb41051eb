//! Late signs of life: reports about a dial that was put back, refused or given up (P1). Ringing or talking holds the
//! number until the end is reported, or it cannot last any longer.

use pgdial::{
    domain::{CallId, ClaimedCall, Outcome, ReportKind},
    flow::{
        defer::{DeferReason, Deferred},
        redrive::Redriven,
        release::Released,
        settle::Settled,
        webhook::Verdict,
    },
    provider::LookedUp,
};
use serde_json::json;

use crate::support::{TestDb, ended, number, processes::Machine, progress};

/// Ways in which a dial ends for us without a report of how it ended.
const WAYS: [&str; 5] = ["full", "late", "not placed", "refused", "given up"];

/// A call whose first dial is over in this way.
async fn over(db: &TestDb, way: &str) -> ClaimedCall {
    let call = db.dialing(&number(1)).await;
    match way {
        "full" => put_back(db, &call, DeferReason::Capacity).await,
        "late" => put_back(db, &call, DeferReason::Late).await,
        "not placed" => {
            db.sql("update pgdial.trunks set look_up = 'authoritative'")
                .await;
            db.calls.doubt(call.reference(), "no answer").await.unwrap();
            for pause in ["30 seconds", "30 seconds", "1 second"] {
                let asked = db.calls.look_up(call.reference(), &LookedUp::NotFound);
                asked.await.unwrap();
                db.forward(pause).await;
            }
            let asked = db.calls.look_up(call.reference(), &LookedUp::NotFound);
            asked.await.unwrap();
        }
        "refused" => {
            assert_eq!(db.settle(&call, Outcome::Blocked).await, Settled::Failed);
        }
        _ => {
            db.forward("40 minutes").await;
            db.sweep().await;
            db.forward("40 minutes").await;
        }
    }
    let in_flight = "state in ('dialing', 'unresolved', 'in_call') or coalesce(hold_until > pgdial.now(), false)";
    assert_eq!(db.column(call.id, in_flight).await, "false", "{way}");
    call
}

async fn put_back(db: &TestDb, call: &ClaimedCall, reason: DeferReason) {
    let answer = db.calls.defer(call.reference(), reason, None, "429").await;
    assert_eq!(answer.unwrap(), Deferred::Deferred);
}

/// Seconds for which the call's number is held.
async fn held_for(db: &TestDb, id: CallId) -> String {
    let held = "coalesce(round(extract(epoch from hold_until - pgdial.now())), 0)";
    db.column(id, held).await
}

/// Asserts that nothing dials this number now, neither for this call nor for another.
async fn nobody_rings(db: &TestDb) {
    db.let_trunks_dial().await;
    assert!(db.claim(5).await.is_empty());
}

#[tokio::test]
async fn a_dial_that_is_over_for_us_and_rings_holds_its_number_until_it_cannot_ring() {
    for way in WAYS {
        let db = TestDb::new().await;
        db.stop_clock().await;
        let call = over(&db, way).await;
        db.enqueue(&number(1)).await;
        let verdict = db.event(&call, "1", progress(ReportKind::Progress)).await;
        assert_eq!(verdict, Verdict::Applied, "{way}");
        // 60 s to ring, 30 min to talk, and 2 min of margin.
        assert_eq!(held_for(&db, call.id).await, "1980", "{way}");
        assert!(db.detail(call.id, "held").await["hold_until"].is_string());
        let due = "state <> 'waiting' or run_at >= hold_until";
        assert_eq!(db.column(call.id, due).await, "true", "{way}");
        db.forward("10 seconds").await;
        nobody_rings(&db).await;
        db.forward("32 minutes").await;
        nobody_rings(&db).await;
        db.forward("1 minute").await;
        db.let_trunks_dial().await;
        assert_eq!(db.claim(5).await.len(), 1, "{way}");
    }
}

#[tokio::test]
async fn its_final_report_ends_the_hold() {
    for way in WAYS {
        let db = TestDb::new().await;
        let call = over(&db, way).await;
        let twin = db.enqueue(&number(1)).await;
        db.event(&call, "1", progress(ReportKind::Progress)).await;
        nobody_rings(&db).await;
        let last = db.event(&call, "2", ended(Outcome::NoAnswer)).await;
        assert_eq!(last, Verdict::Applied, "{way}");
        assert_eq!(db.column(call.id, "hold_until is null").await, "true");
        db.let_trunks_dial().await;
        assert_eq!(db.claim(5).await[0].id, twin, "{way}");
        // The phone has just rung: a retry waits as after any attempt with this outcome.
        let due = "state <> 'waiting' or run_at > pgdial.now() + interval '20 minutes'";
        assert_eq!(db.column(call.id, due).await, "true", "{way}");
        // Reports out of order do not hold the number again.
        let ringing = db.event(&call, "3", progress(ReportKind::Progress)).await;
        assert_eq!(ringing, Verdict::Stale, "{way}");
        assert_eq!(held_for(&db, call.id).await, "0", "{way}");
    }
}

#[tokio::test]
async fn a_late_sign_is_about_its_own_call_alone() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let first = db.dialing(&number(1)).await;
    let other = db.dialing(&number(2)).await;
    for call in [&first, &other] {
        put_back(&db, call, DeferReason::Late).await;
    }
    db.event(&first, "1", progress(ReportKind::Progress)).await;
    assert_eq!(held_for(&db, other.id).await, "0");
    db.event(&other, "2", progress(ReportKind::Progress)).await;
    db.event(&first, "3", ended(Outcome::NoAnswer)).await;
    assert_eq!(held_for(&db, first.id).await, "0");
    assert_eq!(held_for(&db, other.id).await, "1980");
    db.event(&first, "4", ended(Outcome::Answered)).await;
    assert_eq!(db.state(first.id).await, "completed");
    assert_eq!(db.state(other.id).await, "waiting");
    // Another answer, even of the same dial, to the call that is over.
    db.event(&first, "5", progress(ReportKind::Answered)).await;
    assert_eq!(db.column(other.id, "answered_at is null").await, "true");
}

/// A final report that comes first is remembered, for reports that come out of order after it.
#[tokio::test]
async fn ringing_that_comes_after_the_end_holds_nothing() {
    let db = TestDb::new().await;
    let call = over(&db, "full").await;
    let last = db.event(&call, "1", ended(Outcome::Busy)).await;
    assert_eq!(last, Verdict::Stale, "there was no hold");
    let ringing = db.event(&call, "2", progress(ReportKind::Progress)).await;
    assert_eq!(ringing, Verdict::Stale);
    assert_eq!(db.story(call.id).await, "waiting active deferred late_end");
}

#[tokio::test]
async fn an_answer_stops_the_retry_and_their_talk_holds_the_number() {
    for way in WAYS {
        let db = TestDb::new().await;
        db.stop_clock().await;
        let call = over(&db, way).await;
        db.event(&call, "1", progress(ReportKind::Answered)).await;
        let state = if way == "refused" {
            "failed"
        } else {
            "completed"
        };
        assert_eq!(db.state(call.id).await, state, "{way}");
        assert_eq!(held_for(&db, call.id).await, "1920", "{way}");
        db.event(&call, "2", ended(Outcome::Answered)).await;
        assert_eq!(held_for(&db, call.id).await, "0", "{way}");
        let answer = db.calls.redrive(call.id, "ann", None, false).await;
        assert_eq!(answer.unwrap().0, Redriven::NeedsForce, "{way}");
        db.forward("1 day").await;
        nobody_rings(&db).await;
    }
}

/// The second dial is under way when the first shows up: the harm is done, but there must be no third.
#[tokio::test]
async fn an_earlier_dial_that_rings_or_was_answered_stops_the_retry_of_a_later_one() {
    for (sign, state, held) in [
        (progress(ReportKind::Progress), "waiting", true),
        (progress(ReportKind::Answered), "failed", true),
        (ended(Outcome::Answered), "failed", false),
    ] {
        let db = TestDb::new().await;
        let first = over(&db, "late").await;
        db.forward("6 seconds").await;
        let second = db.claim(1).await.pop().unwrap();
        db.event(&first, "1", sign).await;
        assert_eq!(db.state(first.id).await, "dialing");
        db.event(&second, "2", ended(Outcome::Busy)).await;
        assert_eq!(db.state(first.id).await, state);
        assert_eq!(held_for(&db, first.id).await != "0", held);
        db.forward("20 minutes").await;
        nobody_rings(&db).await;
    }
}

#[tokio::test]
async fn a_dial_that_is_put_back_after_an_earlier_one_was_answered_does_not_wait_again() {
    let db = TestDb::new().await;
    let first = over(&db, "late").await;
    db.forward("6 seconds").await;
    let second = db.claim(1).await.pop().unwrap();
    let verdict = db.event(&first, "1", ended(Outcome::Answered)).await;
    assert_eq!(verdict, Verdict::LateAnswer);
    let full = db
        .calls
        .defer(second.reference(), DeferReason::Capacity, None, "429");
    assert_eq!(full.await.unwrap(), Deferred::Completed);
    assert_eq!(
        db.column(first.id, "(state, outcome)").await,
        "(completed,answered)"
    );
}

/// By what that dial was told, rather than by the campaign's present settings or those of a later dial.
#[tokio::test]
async fn the_hold_is_as_long_as_that_dial_may_last() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.sql("update pgdial.campaigns set max_duration = '2 hours'")
        .await;
    let first = over(&db, "late").await;
    db.sql("update pgdial.campaigns set max_duration = '1 minute', ring_timeout = '10 seconds'")
        .await;
    db.forward("6 seconds").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!((second.claim_no, second.max_duration_sec), (2, 60));
    put_back(&db, &second, DeferReason::Late).await;
    db.event(&second, "1", progress(ReportKind::Progress)).await;
    assert_eq!(held_for(&db, first.id).await, "190");
    db.event(&first, "2", progress(ReportKind::Progress)).await;
    assert_eq!(held_for(&db, first.id).await, "7380");
    // Each report ends its own part of the hold.
    db.event(&first, "3", ended(Outcome::NoAnswer)).await;
    assert_eq!(held_for(&db, first.id).await, "190");
    db.event(&second, "4", ended(Outcome::NoAnswer)).await;
    assert_eq!(held_for(&db, first.id).await, "0");
}

#[tokio::test]
async fn a_person_may_release_it() {
    let db = TestDb::new().await;
    let call = over(&db, "full").await;
    db.event(&call, "1", progress(ReportKind::Progress)).await;
    let released = db
        .calls
        .release(call.id, "ann", "their console says so")
        .await;
    assert_eq!(released.unwrap(), Released::Released);
    db.let_trunks_dial().await;
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn a_redriven_call_is_held_by_its_old_dials_but_not_ended_by_them() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", ended(Outcome::Answered)).await;
    let answer = db
        .calls
        .redrive(call.id, "ann", Some("asked to"), true)
        .await;
    assert_eq!(answer.unwrap().0, Redriven::Waiting);
    assert_eq!(db.detail(call.id, "redriven").await["force"], json!(true));
    for (n, late) in [ended(Outcome::Answered), ended(Outcome::Busy)]
        .into_iter()
        .enumerate()
    {
        let verdict = db.event(&call, &format!("late {n}"), late).await;
        assert_eq!(verdict, Verdict::Stale);
    }
    assert_eq!(db.state(call.id).await, "waiting");
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!(again.claim_no, 2);
    // The new dial is retried: they have not answered since.
    db.event(&again, "2", ended(Outcome::Busy)).await;
    assert_eq!(db.state(call.id).await, "waiting");
    db.forward("1 hour").await;
    let third = db.claim(1).await.pop().unwrap();
    db.event(&third, "3", ended(Outcome::Answered)).await;
    assert_eq!(db.state(call.id).await, "completed");
}

/// Redriven as unknown; then it turns out that they had answered.
#[tokio::test]
async fn a_call_that_was_redriven_without_force_is_ended_by_a_late_answer() {
    let db = TestDb::new().await;
    let call = over(&db, "given up").await;
    let answer = db.calls.redrive(call.id, "ann", None, false).await;
    assert_eq!(answer.unwrap().0, Redriven::Waiting);
    let busy = db.event(&call, "1", ended(Outcome::Busy)).await;
    assert_eq!(busy, Verdict::Stale, "the attempts are its own");
    let verdict = db.event(&call, "2", ended(Outcome::Answered)).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(db.state(call.id).await, "completed");
}

/// Over real HTTP: the provider returns 429 and rings all the same, and its webhook says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_and_rings_all_the_same_rings_once() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let _api = machine.start_api().await;
    let call = db.dialing(&number(1)).await;
    put_back(db, &call, DeferReason::Capacity).await;
    db.event(&call, "1", progress(ReportKind::Progress)).await;
    let _provider = machine
        .start_provider(&["--ring", "50ms", "--talk", "100ms"])
        .await;
    let _worker = machine.start_worker("one", &[]).await;
    let other = db.enqueue(&number(2)).await;
    db.calls.send_wakes().await;
    db.until(&format!(
        "select state = 'completed' from pgdial.calls where id = '{other}'"
    ))
    .await;
    assert_eq!(db.state(call.id).await, "waiting");
    assert_eq!(machine.rings_begun(), 1, "the other number alone");
    machine.judge(30);
}
