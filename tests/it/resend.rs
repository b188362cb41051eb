//! resend: events that are delivered once more.

use pgdial::flow::{
    delivered::Delivered,
    resend::{ResendOnly, Resent, Span},
};

use crate::{
    deliver::told,
    support::{TestDb, number},
};

const URL: &str = "https://crm.example.com/hooks";

impl TestDb {
    async fn resend(&self, id: &str) -> Resent {
        let resent = self.calls.resend("crm", id, "ann", Some("they lost it"));
        resent.await.unwrap()
    }

    /// Delivers everything; returns what, in order.
    async fn deliver_all(&self) -> String {
        let mut all = Vec::new();
        loop {
            let due = self.deliver().await;
            if due.is_empty() {
                return told(&all);
            }
            for delivery in due {
                self.answered(&delivery, 200).await;
                all.push(delivery);
            }
        }
    }

    /// Delivers all events of the last hour once more, in batches; returns how many.
    async fn resend_hour(&self, only: ResendOnly) -> i64 {
        let now: String = self.text("select to_jsonb(pgdial.now()) #>> '{}'").await;
        let until: chrono::DateTime<chrono::Utc> = now.parse().unwrap();
        let mut span = Span {
            from: until - chrono::TimeDelta::hours(1),
            until,
            only,
            cursor: None,
        };
        let mut events = 0;
        loop {
            let sent = self.calls.resend_span("crm", &span, "ann", None).await;
            let sent = sent.unwrap().unwrap();
            assert!(!sent.full);
            events += sent.events;
            span.cursor = sent.cursor;
            if span.cursor.is_none() {
                return events;
            }
        }
    }
}

#[tokio::test]
async fn an_event_is_delivered_once_more_with_its_id_and_before_later_ones_of_its_call() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting", "active"]).await;
    db.enqueue(&number(1)).await;
    let first = db.deliver().await.remove(0);
    db.answered(&first, 200).await;
    db.claim(1).await;
    let second = db.deliver().await.remove(0);
    assert_eq!(db.answered(&second, 500).await, Delivered::Retried);
    // The later one waits for its next attempt.
    assert_eq!(db.resend(&first.id).await, Resent::Resent);
    let again = db.deliver().await;
    assert_eq!(told(&again), "01 waiting");
    assert_eq!(again[0].id, first.id);
    db.answered(&again[0], 200).await;
    assert_eq!(db.deliver_all().await, "01 active");

    assert_eq!(db.resend(&second.id).await, Resent::Resent);
    assert_eq!(db.resend(&second.id).await, Resent::Pending);
    assert_eq!(db.deliver_all().await, "01 active");
    // Swept, but still in the log.
    db.sql("delete from pgdial.deliveries").await;
    assert_eq!(db.resend(&first.id).await, Resent::Resent);
    assert_eq!(db.deliver_all().await, "01 waiting");
    for id in ["evt_1_2_3", "nonsense", ""] {
        assert_eq!(db.resend(id).await, Resent::UnknownEvent, "{id}");
    }
    let none = db.calls.resend("none", &first.id, "ann", None).await;
    assert_eq!(none.unwrap(), Resent::NotFound);
    let acts = "select count(*) from pgdial.acts where act = 'resend' and why = 'they lost it'";
    assert_eq!(db.number(acts).await, 3);
}

#[tokio::test]
async fn a_span_of_events_is_delivered_once_more() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting", "active"]).await;
    db.enqueue(&number(1)).await;
    db.forward("2 hours").await;
    for n in 2..=4 {
        db.enqueue(&number(n)).await;
    }
    db.claim(1).await;
    db.forward("1 second").await;
    db.deliver_all().await;
    let given_up = "update pgdial.deliveries set state = 'given_up' where kind = 'active'";
    db.sql(given_up).await;
    assert_eq!(db.resend_hour(ResendOnly::GivenUp).await, 1);
    assert_eq!(db.deliver_all().await, "01 active");
    assert_eq!(db.resend_hour(ResendOnly::GivenUp).await, 0);
    assert_eq!(db.resend_hour(ResendOnly::All).await, 4);
    let all = db.deliver_all().await;
    assert_eq!(all, "02 waiting, 03 waiting, 04 waiting, 01 active");
    db.forward("3 hours").await;
    assert_eq!(db.resend_hour(ResendOnly::All).await, 0);
}
