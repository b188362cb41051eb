//! When a call is dialled again: its backoff, moved into the calling hours of the callee, or by their clock.

use pgdial::{
    domain::{CallId, Outcome},
    flow::{
        groups::{ChangeError, GroupKind},
        settle::Settled,
    },
};
use serde_json::{Value, json};

use crate::support::{TestDb, number};

/// Weekdays from nine to eight, wherever the caller says that the callee is.
async fn office(now: &str, changes: Value) -> TestDb {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    db.sql(
        "insert into pgdial.calling_hours (name, week, zone_basis) \
         values ('office', pgdial.read_hours('mon-fri 09:00-20:00'), 'given'), \
                ('daily', pgdial.read_hours('mon-sun 09:00-20:00'), 'given')",
    )
    .await;
    let mut all = json!({ "callingHours": "office", "maxAttempts": 9, "guard": null });
    let fields = all.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    db.campaign("spring", all).await;
    it_is(&db, now).await;
    db
}

async fn it_is(db: &TestDb, now: &str) {
    db.sql(&format!(
        "update pgdial.clock set ahead = ahead + ('{now}'::timestamptz - pgdial.now())"
    ))
    .await;
}

async fn enqueue(db: &TestDb, n: usize, more: Value) -> CallId {
    let mut call = json!({ "to": number(n), "scriptId": "s", "campaign": "spring", "timezone": "Europe/Berlin" });
    let fields = call.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let id = db.enqueue_as(call).await;
    db.sweep().await; // which interns the place
    id
}

/// Dials, ends so, and returns when it is dialled again: by the clock in Berlin if to the minute.
async fn again(db: &TestDb, outcome: Outcome) -> String {
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(db.settle(&call, outcome).await, Settled::Retried);
    db.column(
        call.id,
        "to_char(run_at at time zone 'Europe/Berlin', 'Dy DD HH24:MI')",
    )
    .await
}

#[tokio::test]
async fn a_retry_that_would_come_after_hours_comes_when_they_open() {
    let db = office("2026-06-01 19:50 Europe/Berlin", json!({})).await;
    let id = enqueue(&db, 1, json!({})).await;
    assert_eq!(again(&db, Outcome::NoAnswer).await, "Tue 02 09:00");
    assert_eq!(db.detail(id, "retried").await["retry_at"], "opening");
    it_is(&db, "2026-06-02 08:59:59 Europe/Berlin").await;
    assert!(db.claim(1).await.is_empty());
    db.forward("1 second").await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn within_hours_it_is_the_backoff_alone() {
    let db = office("2026-06-01 10:00 Europe/Berlin", json!({})).await;
    let id = enqueue(&db, 1, json!({})).await;
    again(&db, Outcome::NoAnswer).await;
    let minutes = db.column(id, "extract(epoch from run_at - pgdial.now()) / 60");
    let minutes: f64 = minutes.await.parse().unwrap();
    assert!((24.0..=36.0).contains(&minutes), "{minutes}");
    assert_eq!(db.detail(id, "retried").await.get("retry_at"), None);
}

/// A dial takes a while: in the last minute of the hours none begins.
#[tokio::test]
async fn the_last_minute_is_no_allowed_time() {
    let db = office("2026-06-01 10:00 Europe/Berlin", json!({})).await;
    enqueue(&db, 1, json!({})).await;
    for (from, allowed) in [
        ("19:58:59", "2026-06-01 19:58:59"),
        ("19:59:00", "2026-06-02 09:00:00"),
        ("08:00:00", "2026-06-01 09:00:00"),
    ] {
        let at = format!(
            "select to_char(pgdial.next_allowed(g, c.area, '2026-06-01 {from} Europe/Berlin') at time zone 'Europe/Berlin', \
             'YYYY-MM-DD HH24:MI:SS') from pgdial.calls c join pgdial.campaigns g on g.name = c.campaign"
        );
        assert_eq!(db.text(&at).await, allowed, "{from}");
    }
}

#[tokio::test]
async fn each_part_of_the_day_is_tried_once() {
    let db = office(
        "2026-06-01 10:00 Europe/Berlin",
        json!({ "retryAt": "other_part" }),
    )
    .await;
    let id = enqueue(&db, 1, json!({})).await;
    assert_eq!(again(&db, Outcome::NoAnswer).await, "Mon 01 12:00");
    assert_eq!(db.detail(id, "retried").await["retry_at"], "other_part");
    it_is(&db, "2026-06-01 18:00 Europe/Berlin").await;
    assert_eq!(
        again(&db, Outcome::Busy).await,
        "Tue 02 12:00",
        "it was dialled in the evening instead"
    );
    it_is(&db, "2026-06-02 12:00 Europe/Berlin").await;
    let next = again(&db, Outcome::NoAnswer).await;
    assert!(
        next.starts_with("Tue 02 1"),
        "all were tried: the backoff alone, {next}"
    );
    db.sql(
        "update pgdial.calls set state = 'failed', outcome = 'no_answer', ended_at = pgdial.now()",
    )
    .await;
    db.calls.redrive(id, "ann", None, false).await.unwrap();
    assert_eq!(
        again(&db, Outcome::NoAnswer).await,
        "Tue 02 17:00",
        "a redrive begins anew"
    );
}

#[tokio::test]
async fn no_part_before_nine_or_after_eight_is_chosen() {
    let db = office(
        "2026-06-01 18:00 Europe/Berlin",
        json!({ "retryAt": "other_part" }),
    )
    .await;
    db.sql("update pgdial.calling_hours set week = pgdial.read_hours('mon-fri 07:00-22:00')")
        .await;
    enqueue(&db, 1, json!({})).await;
    assert_eq!(again(&db, Outcome::NoAnswer).await, "Tue 02 09:00");
}

/// Hours that open in one part of the day only leave no other part.
#[tokio::test]
async fn without_another_part_it_is_the_backoff() {
    let db = office(
        "2026-06-01 10:00 Europe/Berlin",
        json!({ "retryAt": "other_part" }),
    )
    .await;
    db.sql("update pgdial.calling_hours set week = pgdial.read_hours('mon-fri 09:00-12:00')")
        .await;
    let id = enqueue(&db, 1, json!({})).await;
    assert!(
        again(&db, Outcome::NoAnswer)
            .await
            .starts_with("Mon 01 10:")
    );
    assert_eq!(db.detail(id, "retried").await.get("retry_at"), None);
}

#[tokio::test]
async fn the_same_time_on_the_next_day_that_is_open() {
    let db = office(
        "2026-06-05 15:00 Europe/Berlin",
        json!({ "retryAt": "next_day" }),
    )
    .await;
    let id = enqueue(&db, 1, json!({})).await;
    assert_eq!(again(&db, Outcome::NoAnswer).await, "Mon 08 15:00");
    assert_eq!(db.detail(id, "retried").await["retry_at"], "next_day");
}

#[tokio::test]
async fn the_same_time_is_that_of_the_callees_clock() {
    let changes = json!({ "retryAt": "next_day", "callingHours": "daily" });
    let db = office("2026-10-24 15:00 Europe/Berlin", changes).await;
    let id = enqueue(&db, 1, json!({})).await;
    assert_eq!(again(&db, Outcome::NoAnswer).await, "Sun 25 15:00");
    let later = db.column(id, "run_at - pgdial.now()");
    assert_eq!(later.await, "1 day 01:00:00", "clocks were set back");
}

#[tokio::test]
async fn what_failed_by_itself_is_retried_soon() {
    let db = office(
        "2026-06-01 10:00 Europe/Berlin",
        json!({ "retryAt": "next_day" }),
    )
    .await;
    enqueue(&db, 1, json!({})).await;
    assert_eq!(again(&db, Outcome::Unreachable).await, "Mon 01 10:00");
}

/// The wait is a plan: a callee of whom nobody knows the zone simply waits.
#[tokio::test]
async fn an_unknown_place_keeps_the_backoff() {
    let db = office(
        "2026-06-01 10:00 Europe/Berlin",
        json!({ "retryAt": "next_day" }),
    )
    .await;
    let id = enqueue(&db, 1, json!({})).await;
    let call = db.claim(1).await.pop().unwrap();
    db.sql("update pgdial.calls set area = 0").await;
    assert_eq!(db.settle(&call, Outcome::Busy).await, Settled::Retried);
    let soon = db.column(id, "run_at < pgdial.now() + interval '7 minutes'");
    assert_eq!(soon.await, "true");
}

#[tokio::test]
async fn one_number_of_attempts_holds_for_every_rule() {
    let changes = json!({ "retryAt": "other_part", "maxAttempts": 2 });
    let db = office("2026-06-01 10:00 Europe/Berlin", changes).await;
    enqueue(&db, 1, json!({})).await;
    again(&db, Outcome::NoAnswer).await;
    it_is(&db, "2026-06-01 12:00 Europe/Berlin").await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(db.settle(&call, Outcome::NoAnswer).await, Settled::Failed);
}

#[tokio::test]
async fn why_says_that_a_retry_comes_too_late() {
    let db = office("2026-06-01 19:50 Europe/Berlin", json!({})).await;
    let expires = json!({ "expiresAt": "2026-06-02T06:00:00Z" });
    let id = enqueue(&db, 1, expires).await;
    again(&db, Outcome::NoAnswer).await;
    let message = async || db.calls.why(id).await.unwrap().remove(0).message;
    assert_eq!(
        message().await,
        "attempt 1 of 9 ended no_answer; the next one is due at 2026-06-02 07:00:00Z, too late: its expiresAt is \
         2026-06-02 06:00:00Z, and it expires then"
    );
    db.sql("update pgdial.campaigns set ends_at = '2026-06-02T05:00:00Z' where name = 'spring'")
        .await;
    assert!(
        message().await.ends_with(
            "too late: campaign spring ends at 2026-06-02 05:00:00Z, and it expires then"
        )
    );
    db.sql("update pgdial.campaigns set ends_at = null; update pgdial.calls set expires_at = null")
        .await;
    assert!(message().await.ends_with("due at 2026-06-02 07:00:00Z"));
}

#[tokio::test]
async fn a_retry_by_a_clock_needs_hours() {
    let db = office(
        "2026-06-01 10:00 Europe/Berlin",
        json!({ "retryAt": "next_day" }),
    )
    .await;
    let set = async |name: &str, changes: Value| {
        db.calls
            .set_group(GroupKind::Campaign, name, &changes, "ann", None)
            .await
    };
    for (name, changes) in [
        ("default", json!({ "retryAt": "next_day" })),
        ("spring", json!({ "callingHours": null })),
    ] {
        let Err(ChangeError::Refused(said)) = set(name, changes).await else {
            panic!("taken")
        };
        assert!(said.contains("without \"callingHours\""), "{said}");
    }
    let both = json!({ "callingHours": null, "retryAt": "backoff" });
    assert!(set("spring", both).await.unwrap());
}
