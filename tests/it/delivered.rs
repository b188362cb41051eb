//! delivered: what follows from how an attempt ended.

use std::time::Duration;

use chrono::Utc;
use pgdial::flow::{
    deliver::Delivery,
    delivered::{Delivered, Response},
    view::Endpoint,
};

use crate::support::{TestDb, number};

const URL: &str = "https://crm.example.com/hooks";

impl TestDb {
    async fn crm(&self) -> Endpoint {
        let mut found = self.calls.endpoints(Some("crm")).await.unwrap();
        found.remove(0)
    }

    /// Seconds until the only pending delivery is due.
    async fn wait(&self) -> f64 {
        let wait = "select extract(epoch from next_at - pgdial.now()) from pgdial.deliveries where state = 'pending'";
        self.text(wait).await.parse().unwrap()
    }

    async fn only(&self) -> Delivery {
        let mut due = self.deliver().await;
        assert_eq!(due.len(), 1);
        due.remove(0)
    }
}

async fn with_one_event() -> TestDb {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    db.enqueue(&number(1)).await;
    db
}

#[tokio::test]
async fn a_failed_delivery_is_tried_ten_times_within_three_days() {
    let db = with_one_event().await;
    let hours = |hours: u32| f64::from(hours) * 3600.0;
    for delay in [
        5.0,
        300.0,
        1800.0,
        hours(2),
        hours(5),
        hours(10),
        hours(14),
        hours(20),
        hours(24),
    ] {
        // Another event gets through meanwhile, so the endpoint is not at fault.
        db.sql("update pgdial.endpoint_progress set failures = 0, failing_since = null, held_until = null")
            .await;
        let due = db.only().await;
        assert_eq!(
            db.record(&due, Err("connection reset".to_owned())).await,
            Delivered::Retried
        );
        let wait = db.wait().await;
        assert!((delay..=delay * 1.2).contains(&wait), "{wait}, not {delay}");
        db.forward(&format!("{wait} seconds")).await;
    }
    let last = db.only().await;
    assert_eq!(db.answered(&last, 500).await, Delivered::GivenUp);
    db.forward("10 days").await;
    assert_eq!(db.deliver().await.len(), 0);
    assert!(!db.crm().await.paused);
    let shown = db.calls.endpoint_delivery("crm", &last.id).await;
    let shown = shown.unwrap().unwrap();
    assert_eq!((shown.summary.attempts, shown.log.len()), (10, 10));
    assert_eq!(shown.log[0].error.as_deref(), Some("connection reset"));
}

#[tokio::test]
async fn a_given_up_event_makes_room_for_the_next_of_its_call() {
    let db = with_one_event().await;
    db.sql("update pgdial.endpoints set kinds = array['waiting', 'active']")
        .await;
    db.claim(1).await;
    let due = db.only().await;
    db.sql("update pgdial.deliveries set tries = 10 where kind = 'waiting'")
        .await;
    assert_eq!(db.answered(&due, 500).await, Delivered::GivenUp);
    assert!(db.only().await.body.contains("call.active"));
}

#[tokio::test]
async fn whoever_asks_for_a_pause_gets_it() {
    for (status, holds_all) in [(429, true), (503, true), (500, false), (404, false)] {
        let db = with_one_event().await;
        let due = db.only().await;
        let response = Response {
            status,
            retry_after_sec: Some(600),
            ..Response::default()
        };
        db.record(&due, Ok(response)).await;
        assert!(db.wait().await >= 600.0, "{status}");
        db.enqueue(&number(2)).await;
        assert_eq!(db.deliver().await.is_empty(), holds_all, "{status}");
        db.forward("11 minutes").await;
        assert!(!db.deliver().await.is_empty(), "{status}");
    }
}

#[tokio::test]
async fn gone_pauses_the_endpoint_and_what_it_has_not_got_is_kept() {
    let db = with_one_event().await;
    let due = db.only().await;
    assert_eq!(db.answered(&due, 410).await, Delivered::Retried);
    let crm = db.crm().await;
    assert_eq!(
        (crm.paused, crm.paused_by.as_deref()),
        (true, Some("pgdial"))
    );
    assert!(crm.paused_why.unwrap().contains("410"));
    db.forward("1 day").await;
    assert_eq!(db.deliver().await.len(), 0);
    db.calls
        .resume_endpoint("crm", "ann", Some("moved"))
        .await
        .unwrap();
    assert_eq!(db.only().await.id, due.id);
}

/// Nothing of a dead endpoint is given up: it is paused before that.
#[tokio::test]
async fn three_days_without_a_success_pause_the_endpoint_before_anything_is_given_up() {
    let db = with_one_event().await;
    let mut attempts = 0;
    while !db.crm().await.paused {
        if let Some(due) = db.deliver().await.pop() {
            attempts += 1;
            assert_eq!(db.answered(&due, 502).await, Delivered::Retried);
        }
        db.forward("30 minutes").await;
    }
    assert!((8..=10).contains(&attempts), "{attempts}");
    let crm = db.crm().await;
    assert_eq!(
        crm.paused_why.as_deref(),
        Some("nothing has been delivered for 3 days: HTTP 502")
    );
    assert_eq!(crm.failures, attempts);
    let given_up = "select count(*) from pgdial.deliveries where state <> 'pending'";
    assert_eq!(db.number(given_up).await, 0);
    db.calls.resume_endpoint("crm", "ann", None).await.unwrap();
    assert_eq!(db.crm().await.failing_since, None);
    let due = db.only().await;
    assert_eq!(db.answered(&due, 200).await, Delivered::Delivered);
    assert!(db.crm().await.delivered_at.is_some());
}

#[tokio::test]
async fn a_failing_endpoint_is_asked_less_and_less_often() {
    let db = with_one_event().await;
    for n in 2..=40 {
        db.enqueue(&number(n)).await;
    }
    let mut waits = Vec::new();
    for _ in 0..20 {
        for due in db.deliver().await {
            db.answered(&due, 500).await;
        }
        let held = db.crm().await.held_until;
        let wait = match held {
            Some(until) => until - db.now().await,
            None => chrono::TimeDelta::zero(),
        };
        waits.push(wait.num_seconds());
        db.forward(&format!("{} milliseconds", wait.num_milliseconds() + 1))
            .await;
    }
    assert!(waits[0] >= 5, "{waits:?}");
    assert!((300..=360).contains(waits.last().unwrap()), "{waits:?}");
}

impl TestDb {
    async fn now(&self) -> chrono::DateTime<Utc> {
        let text = self.text("select to_jsonb(pgdial.now()) #>> '{}'").await;
        text.parse().unwrap()
    }
}

#[tokio::test]
async fn what_is_over_is_removed_after_a_week_and_what_is_left_of_a_deleted_endpoint_at_once() {
    let db = with_one_event().await;
    let due = db.only().await;
    db.answered(&due, 200).await;
    db.enqueue(&number(2)).await;
    db.deliver().await;
    let count = "select count(*) from pgdial.deliveries";
    let sweep = async |keep| {
        db.calls.housekeeping(keep).await.unwrap();
        db.number(count).await
    };
    db.forward("6 days 23 hours").await;
    assert_eq!(sweep(None).await, 2);
    db.forward("2 hours").await;
    assert_eq!(sweep(None).await, 1, "what is unfinished stays");
    let due = db.only().await;
    db.answered(&due, 200).await;
    db.forward("2 hours").await;
    assert_eq!(sweep(Some(Duration::from_hours(1))).await, 0);
    db.enqueue(&number(3)).await;
    db.deliver().await;
    db.calls.delete_endpoint("crm", "ann", None).await.unwrap();
    assert_eq!(sweep(None).await, 0);
    assert_eq!(
        db.number("select count(*) from pgdial.endpoint_secrets")
            .await,
        0
    );
}
