//! sweep: settles what time has overtaken (P1, P2, P4, P7).

use std::time::Duration;

use pgdial::domain::{Outcome, ReportKind};
use serde_json::json;

use crate::support::{TestDb, by_provider, ended, number, progress, provider_id, run};

async fn in_seconds(db: &TestDb, seconds: u32) -> String {
    db.text(&format!(
        "select to_char(pgdial.now() + interval '{seconds} seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')"
    ))
    .await
}

async fn expiring(db: &TestDb, to: &str, seconds: u32, script: &str) -> pgdial::domain::CallId {
    let at = in_seconds(db, seconds).await;
    db.enqueue_as(json!({ "to": to, "scriptId": script, "expiresAt": at }))
        .await
}

#[tokio::test]
async fn a_dial_whose_worker_fell_silent_is_unresolved_and_not_dialled_again() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(db.sweep().await.counts["unresolved"], 0, "the lease holds");
    db.forward("60 seconds").await;
    assert_eq!(db.sweep().await.counts["unresolved"], 1);
    assert_eq!(
        db.column(call.id, "(state, lease_until is null, claim_no)")
            .await,
        "(unresolved,t,1)"
    );
    assert_eq!(db.story(call.id).await, "waiting active unresolved");
    assert!(db.claim(5).await.is_empty());
    assert_eq!(
        db.event(&call, "1", ended(Outcome::Answered)).await,
        pgdial::flow::webhook::Verdict::Applied,
        "its webhook still settles it"
    );
}

#[tokio::test]
async fn a_call_past_its_deadline_gives_back_its_slot_and_keeps_its_number() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1").await;
    let call = db.in_call(&number(1)).await;
    let deadline = "deadline_at - claimed_at = interval '33 minutes'";
    assert_eq!(db.column(call.id, deadline).await, "true");
    db.forward("32 minutes").await;
    assert_eq!(db.sweep().await.counts["unknown"], 0);
    db.forward("1 minute").await;
    assert_eq!(db.sweep().await.counts["unknown"], 1);
    let facts = "(state, outcome, hold_until - claimed_at, ended_at is not null)";
    assert_eq!(
        db.column(call.id, facts).await,
        "(failed,unknown,01:03:00,t)"
    );
    let twin = db.enqueue(&number(1)).await;
    let other = db.enqueue(&number(2)).await;
    assert_eq!(db.claim(5).await[0].id, other, "the slot is free");
    assert_eq!(db.state(twin).await, "waiting", "the number is not");
}

/// An earlier dial of the same call has shown up meanwhile, and may last longer.
#[tokio::test]
async fn a_deadline_shortens_no_hold_of_an_earlier_dial() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.sql("update pgdial.calls set hold_until = claimed_at + interval '3 hours'")
        .await;
    db.forward("33 minutes").await;
    assert_eq!(db.sweep().await.counts["unknown"], 1);
    let held = db.column(call.id, "hold_until - claimed_at").await;
    assert_eq!(held, "03:00:00");
}

#[tokio::test]
async fn a_call_that_nobody_could_explain_is_redialled_only_where_asked_and_after_its_hold() {
    let db = TestDb::new().await;
    db.sql("update pgdial.campaigns set redial_unknown = true")
        .await;
    let call = db.given_up(&number(1)).await;
    assert_eq!(
        db.column(call.id, "(state, run_at >= hold_until)").await,
        "(waiting,t)"
    );
    let trunks = ["default".to_owned()];
    let claim = db.calls.claim(uuid::Uuid::new_v4(), &trunks, 1);
    let claim = claim.await.unwrap();
    assert!(claim.calls.is_empty());
    let wait = claim.wait.unwrap().as_millis() - 1000;
    db.forward(&format!("{wait} milliseconds")).await;
    assert!(db.claim(1).await.is_empty(), "not a second early");
    db.forward("1 minute").await;
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!((again.claim_no, again.attempt), (2, 2));
    assert_eq!(db.column(call.id, "hold_until").await, "");
}

#[tokio::test]
async fn an_answered_call_past_its_deadline_is_not_redialled() {
    let db = TestDb::new().await;
    db.sql("update pgdial.campaigns set redial_unknown = true")
        .await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", progress(ReportKind::Answered)).await;
    db.forward("1 hour").await;
    db.sweep().await;
    assert_eq!(
        db.column(call.id, "(state, outcome)").await,
        "(failed,unknown)"
    );
}

#[tokio::test]
async fn a_cancel_that_was_never_answered_ends_with_the_deadline() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    db.forward("1 hour").await;
    db.sweep().await;
    assert_eq!(
        db.column(call.id, "(state, hold_until > pgdial.now())")
            .await,
        "(canceled,t)"
    );
}

#[tokio::test]
async fn calls_that_nobody_dialled_in_time_expire() {
    let db = TestDb::new().await;
    let brief = expiring(&db, &number(1), 60, "s").await;
    let longer = expiring(&db, &number(2), 600, "s").await;
    db.forward("60 seconds").await;
    assert_eq!(db.sweep().await.counts["expired"], 1);
    assert_eq!(
        db.column(brief, "(state, ended_at is not null)").await,
        "(expired,t)"
    );
    assert_eq!(db.state(longer).await, "waiting");
    assert_eq!(db.story(brief).await, "waiting expired");
}

#[tokio::test]
async fn waiting_calls_to_a_number_not_to_ring_are_suppressed() {
    let db = TestDb::new().await;
    let live = db.in_call(&number(2)).await;
    let waiting = db.enqueue(&number(1)).await;
    let later = json!({ "to": number(1), "scriptId": "s", "runAt": "2126-01-01T00:00:00Z" });
    let later = db.enqueue_as(later).await;
    for n in [1, 2] {
        let phone = number(n).parse().unwrap();
        db.calls
            .do_not_call_add(&phone, "ann", "asked us")
            .await
            .unwrap();
    }
    assert_eq!(db.sweep().await.counts["suppressed"], 2);
    for id in [waiting, later] {
        assert_eq!(
            db.column(id, "(state, last_error, ended_at is not null)")
                .await,
            "(suppressed,\"asked us\",t)"
        );
    }
    assert_eq!(
        db.state(live.id).await,
        "in_call",
        "a live one is left alone"
    );
    db.forward("2 minutes").await;
    assert_eq!(
        db.sweep().await.counts["suppressed"],
        0,
        "no call, no count"
    );
    let pending = "select count(*) from pgdial.do_not_call where pending";
    assert_eq!(db.number(pending).await, 0);
}

#[tokio::test]
async fn a_waiting_call_that_somebody_holds_is_suppressed_once_it_is_free() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let phone = number(1).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "ann", "asked us")
        .await
        .unwrap();
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    db.forward("2 minutes").await;
    db.sweep().await;
    run(&mut person, "commit").await.unwrap();
    assert_eq!(db.state(id).await, "waiting");
    db.sweep().await;
    assert_eq!(db.state(id).await, "suppressed");
}

#[tokio::test]
async fn live_calls_that_somebody_wishes_ended_are_listed_until_they_end() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let unknown = db.dialing(&number(2)).await;
    for id in [call.id, unknown.id] {
        db.calls.cancel(id, "ann", None).await.unwrap();
    }
    for _ in 0..2 {
        let cancels = db.sweep().await.cancels;
        assert_eq!(
            cancels.len(),
            1,
            "the other has no name at the provider yet"
        );
        assert_eq!(cancels[0].reference(), call.reference());
        assert_eq!(cancels[0].provider_call_id, provider_id(&number(1)));
        assert_eq!(cancels[0].trunk, "default");
    }
    let elsewhere = db.calls.sweep(&["other".to_owned()], None).await.unwrap();
    assert!(elsewhere.cancels.is_empty(), "not our trunk");
    db.settle(&call, Outcome::Canceled).await;
    assert!(db.sweep().await.cancels.is_empty());
}

#[tokio::test]
async fn a_row_that_cannot_be_moved_is_put_off_and_stops_no_other() {
    let db = TestDb::new().await;
    let silent_bad = db.enqueue_poison(&number(1)).await;
    let overdue_bad = db.enqueue_poison(&number(2)).await;
    let silent = db.enqueue(&number(3)).await;
    let overdue = db.enqueue(&number(4)).await;
    let claimed = db.claim(4).await;
    for call in claimed
        .iter()
        .filter(|call| [overdue_bad, overdue].contains(&call.id))
    {
        db.calls
            .dialed(call.reference(), &call.id.to_string())
            .await
            .unwrap();
    }
    let expired_bad = expiring(&db, &number(5), 60, "poison").await;
    let expired = expiring(&db, &number(6), 61, "s").await;
    let unwanted_bad = db.enqueue_poison(&number(7)).await;
    let unwanted = db.enqueue(&number(8)).await;
    for n in [7, 8] {
        let phone = number(n).parse().unwrap();
        db.calls.do_not_call_add(&phone, "ann", "no").await.unwrap();
    }
    db.sql(
        "alter table pgdial.calls add constraint poison check \
         (script_id <> 'poison' or state in ('waiting', 'dialing', 'in_call'))",
    )
    .await;
    db.forward("2 minutes").await;
    let first = db.sweep().await;
    assert!(first.wait >= Duration::from_millis(900), "{:?}", first.wait);
    for (id, state) in [
        (silent_bad, "dialing"),
        (silent, "unresolved"),
        (expired_bad, "waiting"),
        (expired, "expired"),
        (unwanted_bad, "waiting"),
        (unwanted, "suppressed"),
    ] {
        assert_eq!(db.state(id).await, state);
    }
    for id in [silent_bad, expired_bad, unwanted_bad] {
        assert!(db.story(id).await.ends_with("put_off"));
    }
    assert_eq!(
        db.column(silent_bad, "lease_until > pgdial.now()").await,
        "true"
    );
    db.sweep().await;
    let stories = "select count(*) from pgdial.call_events where kind = 'put_off'";
    assert_eq!(db.number(stories).await, 3, "not one at every sweep");

    db.forward("1 hour").await;
    db.sweep().await;
    assert_eq!(db.state(overdue_bad).await, "in_call");
    assert_eq!(db.state(overdue).await, "failed");
    assert!(db.story(overdue_bad).await.ends_with("put_off"));
    db.sql("alter table pgdial.calls drop constraint poison")
        .await;
    db.forward("1 hour").await;
    db.sweep().await;
    assert_eq!(db.state(overdue_bad).await, "failed");
    assert_eq!(db.state(expired_bad).await, "expired");
    assert_eq!(db.state(unwanted_bad).await, "suppressed");
}

#[tokio::test]
async fn the_sweep_says_when_the_next_row_falls_due() {
    let db = TestDb::new().await;
    let idle = Duration::from_secs(30);
    assert_eq!(db.sweep().await.wait, idle);
    expiring(&db, &number(1), 20, "s").await;
    let wait = db.sweep().await.wait;
    assert!(
        wait <= Duration::from_secs(20) && wait > Duration::from_millis(10),
        "{wait:?}"
    );
    db.forward("20 seconds").await;
    db.sweep().await;
    assert_eq!(db.sweep().await.wait, idle);
    db.dialing(&number(2)).await;
    db.forward("50 seconds").await;
    let wait = db.sweep().await.wait;
    assert!(wait <= Duration::from_secs(10), "{wait:?}");
    db.forward("10 seconds").await;
    db.sweep().await;
    assert_eq!(db.sweep().await.wait, idle);
    let stray = by_provider("nobody", ended(Outcome::Busy));
    db.event_from("default", None, "1", &stray).await;
    let wait = db.sweep().await.wait;
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
}

#[tokio::test]
async fn full_batches_are_swept_without_a_rest() {
    let db = TestDb::new().await;
    let at = in_seconds(&db, 60).await;
    for batch in [0..1050, 1050..2100] {
        let batch: Vec<_> = batch
            .map(|n| json!({ "to": number(n), "scriptId": "s", "expiresAt": at }))
            .collect();
        db.calls.enqueue("tester", &batch).await.unwrap();
    }
    db.forward("1 minute").await;
    let first = db.sweep().await;
    assert_eq!(
        (first.counts["expired"], first.wait),
        (2000, Duration::ZERO)
    );
    assert_eq!(db.sweep().await.counts["expired"], 100);
}

#[tokio::test]
async fn a_row_that_somebody_holds_does_not_make_the_sweep_spin() {
    let db = TestDb::new().await;
    let held = expiring(&db, &number(1), 60, "s").await;
    let free = expiring(&db, &number(2), 60, "s").await;
    db.forward("2 minutes").await;
    let mut person = db.session().await;
    run(
        &mut person,
        &format!("begin; select from pgdial.calls where id = '{held}' for update"),
    )
    .await
    .unwrap();
    let swept = db.sweep().await;
    assert_eq!(db.state(free).await, "expired");
    assert_eq!(swept.wait, Duration::from_secs(1));
    run(&mut person, "rollback").await.unwrap();
    db.sweep().await;
    assert_eq!(db.state(held).await, "expired");
}

#[tokio::test]
async fn many_sweeps_at_once_move_each_row_once() {
    let db = TestDb::new().await;
    for n in 0..30 {
        db.enqueue(&number(n)).await;
    }
    db.claim(30).await;
    db.forward("2 minutes").await;
    let swept = futures_util::future::join_all((0..6).map(|_| db.sweep())).await;
    let moved: i64 = swept.iter().map(|swept| swept.counts["unresolved"]).sum();
    assert_eq!(moved, 30);
    let events = "select count(*) from pgdial.call_events where kind = 'unresolved'";
    assert_eq!(db.number(events).await, 30);
}

/// A whole campaign expires at six o'clock: all together, and around the one that cannot be moved.
#[tokio::test]
async fn many_that_expire_at_one_moment_go_together_and_around_one_that_cannot() {
    let db = TestDb::new().await;
    for n in 0..30 {
        let at = "to_char(pgdial.now() + interval '30 seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')";
        let at = db.text(&format!("select {at}")).await;
        db.enqueue_as(json!({ "to": number(n), "scriptId": "s", "expiresAt": at }))
            .await;
    }
    let poisoned = format!(
        "alter table pgdial.calls add constraint never check (phone <> '{}' or state <> 'expired') not valid",
        number(7)
    );
    db.sql(&poisoned).await;
    db.forward("1 minute").await;
    db.sweep().await;
    assert_eq!(
        db.number("select count(*) from pgdial.calls where state = 'expired'")
            .await,
        29
    );
    assert_eq!(
        db.number("select count(*) from pgdial.call_events where kind = 'expired' and detail ? 'expires_at'").await,
        29
    );
    assert_eq!(
        db.number("select count(*) from pgdial.call_events where kind = 'put_off'")
            .await,
        1
    );
}
