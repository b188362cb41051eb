//! deliver: which events go to which endpoint, in which order, from which process.

use std::{collections::HashMap, time::Duration};

use hyper::HeaderMap;
use pgdial::{
    domain::{CallId, Outcome},
    flow::{
        deliver::{Deliveries, Delivery},
        delivered::{Attempted, Delivered, Response},
        events::{EventFilter, Since},
        view::DeliveryState,
    },
    provider::signature::{self, Secrets},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestDb, ended, number, run};

const URL: &str = "https://crm.example.com/hooks";
const PROCESS: Uuid = Uuid::from_u128(1);

impl TestDb {
    /// What this process is to send, with none of it under way.
    pub(crate) async fn deliver_as(&self, process: Uuid) -> Deliveries {
        self.calls
            .deliver(process, &HashMap::new(), true)
            .await
            .unwrap()
    }

    pub(crate) async fn deliver(&self) -> Vec<Delivery> {
        self.deliver_as(PROCESS).await.due
    }

    /// Records that an attempt got this status.
    pub(crate) async fn answered(&self, delivery: &Delivery, status: u16) -> Delivered {
        let response = Response {
            status,
            ..Response::default()
        };
        self.record(delivery, Ok(response)).await
    }

    pub(crate) async fn record(
        &self,
        delivery: &Delivery,
        ended: Result<Response, String>,
    ) -> Delivered {
        let attempt = Attempted::new(delivery, Duration::from_millis(7), ended);
        self.calls.delivered(&[attempt]).await.unwrap()[0]
    }

    /// A call that was answered and completed.
    pub(crate) async fn completed(&self, to: &str) -> CallId {
        let call = self.in_call(to).await;
        self.event(&call, "over", ended(Outcome::Answered)).await;
        call.id
    }
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_str(&delivery.body).unwrap()
}

/// Kinds and last digits of the numbers, in order.
pub(crate) fn told(due: &[Delivery]) -> String {
    let told = due.iter().map(|delivery| {
        let body = body(delivery);
        let (kind, to) = (
            body["data"]["kind"].as_str().unwrap(),
            body["data"]["to"].as_str().unwrap(),
        );
        format!("{} {kind}", &to[to.len() - 2..])
    });
    told.collect::<Vec<_>>().join(", ")
}

fn verify(delivery: &Delivery, secret: &str) -> Result<signature::Verified, signature::Rejection> {
    let mut headers = HeaderMap::new();
    headers.insert(signature::ID, delivery.id.parse().unwrap());
    headers.insert(signature::TIMESTAMP, delivery.signed_at.into());
    headers.insert(signature::SIGNATURE, delivery.signature.parse().unwrap());
    let secrets: Secrets = secret.parse().unwrap();
    signature::verify(&headers, delivery.body.as_bytes(), &secrets)
}

#[tokio::test]
async fn an_event_is_delivered_as_the_api_shows_it_and_signed() {
    let db = TestDb::new().await;
    let secret = db.endpoint("crm", URL, &["active", "completed"]).await;
    db.enqueue_as(json!({
        "to": number(1), "scriptId": "s", "idempotencyKey": "lead-7", "metadata": {"lead": "ä\u{1f600}", "n": 7}
    }))
    .await;
    let call = db.claim(1).await.remove(0);
    let active = db.deliver().await.remove(0);
    assert_eq!(db.answered(&active, 204).await, Delivered::Delivered);
    db.calls.dialed(call.reference(), "prov-1").await.unwrap();
    db.event(&call, "over", ended(Outcome::Answered)).await;
    let completed = db.deliver().await.remove(0);

    let filter = EventFilter {
        kinds: vec!["active".to_owned(), "completed".to_owned()],
        ..EventFilter::default()
    };
    let page = db.calls.events_after(&Since::Start, 10, &filter).await;
    let events = page.unwrap().events;
    for (delivery, event) in [&active, &completed].into_iter().zip(&events) {
        let sent = body(delivery);
        let mut data = sent["data"].clone();
        let extra = data.as_object_mut().unwrap();
        assert_eq!(extra.remove("idempotencyKey"), Some(json!("lead-7")));
        assert_eq!(
            extra.remove("metadata"),
            Some(json!({"lead": "ä\u{1f600}", "n": 7}))
        );
        let mut shown: Value = serde_json::from_str(event.json()).unwrap();
        // The state of its call when it was sent.
        shown["state"] = data["state"].clone();
        assert_eq!(data, shown);
        assert_eq!(sent["type"], format!("call.{}", event.kind));
        assert_eq!(sent["timestamp"], shown["at"]);
        let verified = verify(delivery, &secret).unwrap();
        assert_eq!(verified.event_id, delivery.id);
        assert!(verify(delivery, "whsec_bm90IGl0").is_err());
    }
    assert_eq!(body(&completed)["data"]["detail"]["result"], json!({}));
}

#[tokio::test]
async fn only_chosen_events_go_to_an_endpoint_and_only_those_since_it_exists() {
    let db = TestDb::new().await;
    db.campaign("spring", json!({})).await;
    db.enqueue(&number(1)).await;
    db.endpoint("all", URL, &["waiting"]).await;
    db.endpoint("spring", URL, &["waiting"]).await;
    let changes = json!({ "campaigns": ["spring"] });
    let set = db.calls.set_endpoint("spring", &changes, "ann", None);
    assert!(set.await.unwrap());
    db.enqueue(&number(2)).await;
    db.enqueue_as(json!({"to": number(3), "scriptId": "s", "campaign": "spring"}))
        .await;
    db.claim(9).await;
    let due = db.deliver().await;
    let to = |name: &str| {
        let its: Vec<_> = due
            .iter()
            .filter(|delivery| delivery.name == name)
            .cloned()
            .collect();
        told(&its)
    };
    assert_eq!(
        (to("all").as_str(), to("spring").as_str()),
        ("02 waiting, 03 waiting", "03 waiting")
    );
    assert_eq!(db.deliver().await.len(), 0);
}

#[tokio::test]
async fn the_events_of_a_call_come_one_after_the_other_and_others_pass_them() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting", "active", "completed"])
        .await;
    db.completed(&number(1)).await;
    db.enqueue(&number(2)).await;
    let first = db.deliver().await;
    assert_eq!(told(&first), "01 waiting, 02 waiting");
    assert_eq!(db.answered(&first[0], 500).await, Delivered::Retried);
    assert_eq!(db.answered(&first[1], 200).await, Delivered::Delivered);
    assert_eq!(told(&db.deliver().await), "");
    db.forward("10 seconds").await;
    let again = db.deliver().await.remove(0);
    assert_eq!((&again.id, &again.body), (&first[0].id, &first[0].body));
    assert_ne!(again.signed_at, first[0].signed_at);
    db.answered(&again, 200).await;
    for kind in ["01 active", "01 completed"] {
        let next = db.deliver().await;
        assert_eq!(told(&next), kind);
        db.answered(&next[0], 200).await;
    }
    assert_eq!(db.deliver().await.len(), 0);
    let unfinished = db.calls.endpoints(None).await.unwrap()[0].unfinished;
    assert_eq!(unfinished, 0);
}

#[tokio::test]
async fn one_process_delivers_to_an_endpoint_and_the_next_takes_over_when_it_dies() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    db.enqueue(&number(1)).await;
    let lost = db.deliver_as(one).await.due.remove(0);
    db.enqueue(&number(2)).await;
    let nothing = db.deliver_as(other).await;
    assert_eq!((nothing.due.len(), nothing.mine, nothing.others), (0, 0, 1));
    // It is killed. What it has sent may have arrived, so it counts as lost only later.
    db.forward("6 seconds").await;
    assert_eq!(told(&db.deliver_as(other).await.due), "02 waiting");
    assert_eq!(db.deliver_as(one).await.mine, 0);
    db.forward("25 seconds").await;
    let again = db.deliver_as(other).await.due.remove(0);
    assert_eq!(again.id, lost.id);
    assert_eq!(db.answered(&lost, 200).await, Delivered::Stale);
    assert_eq!(db.answered(&again, 200).await, Delivered::Delivered);

    db.calls.deliver_no_more(other).await.unwrap();
    db.enqueue(&number(3)).await;
    assert_eq!(told(&db.deliver_as(one).await.due), "03 waiting");
}

/// Postgres asks for the endpoint itself when a transaction changes its progress for the second time.
#[tokio::test]
async fn an_endpoint_is_deleted_while_something_is_delivered_to_it() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    let change = "update pgdial.endpoint_progress set cursor = cursor";
    let mut delivering = db.session().await;
    run(&mut delivering, "begin").await.unwrap();
    run(&mut delivering, change).await.unwrap();
    let (deleted, ()) = tokio::join!(db.calls.delete_endpoint("crm", "ann", None), async {
        db.until_waiting(1).await;
        run(&mut delivering, change).await.unwrap();
        run(&mut delivering, "commit").await.unwrap();
    });
    assert!(deleted.unwrap());
}

#[tokio::test]
async fn an_endpoint_gets_32_requests_at_once_and_one_while_it_fails() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    for n in 1..=70 {
        db.enqueue(&number(n)).await;
    }
    let first = db.deliver().await;
    assert_eq!(first.len(), 32);
    let endpoint = first[0].endpoint;
    let under_way = HashMap::from([(endpoint, 30)]);
    let more = db.calls.deliver(PROCESS, &under_way, true);
    assert_eq!(more.await.unwrap().due.len(), 2);
    for delivery in &first[..5] {
        db.answered(delivery, 500).await;
    }
    assert_eq!(db.deliver().await.len(), 0, "it is held for a moment");
    db.forward("7 seconds").await;
    let probe = db.deliver().await;
    assert_eq!(probe.len(), 1);
    let under_way = HashMap::from([(endpoint, 1)]);
    let busy = db.calls.deliver(PROCESS, &under_way, true);
    assert_eq!(busy.await.unwrap().due.len(), 0);
    // As after more attempts. It works again, and nothing has to wait for the next one.
    db.sql(
        "update pgdial.deliveries set next_at = next_at + interval '1 hour' \
         where state = 'pending' and sent_at is null",
    )
    .await;
    db.answered(&probe[0], 200).await;
    assert_eq!(db.deliver().await.len(), 32);
}

#[tokio::test]
async fn a_paused_endpoint_misses_nothing() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    db.calls
        .pause_endpoint("crm", "ann", "moving")
        .await
        .unwrap();
    db.enqueue(&number(1)).await;
    db.forward("2 minutes").await;
    assert_eq!(db.deliver().await.len(), 0);
    let lag = db.calls.endpoints(None).await.unwrap()[0].lag_sec;
    assert!(lag.unwrap() >= 120.0, "{lag:?}");
    db.calls.resume_endpoint("crm", "ann", None).await.unwrap();
    assert_eq!(told(&db.deliver().await), "01 waiting");
}

/// What is unfinished is bounded; the log is the backlog.
#[tokio::test]
async fn a_backlog_stays_in_the_log() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    db.sql(
        "insert into pgdial.deliveries (endpoint, xid, seq, at, kind, call_id, state, next_at) \
         select e.id, '5', n, pgdial.now(), 'waiting', gen_random_uuid(), 'pending', pgdial.now() + interval '1 day' \
         from pgdial.endpoints e, generate_series(1, 9999) n; \
         update pgdial.endpoint_progress set unfinished = 9999",
    )
    .await;
    for n in 1..=3 {
        db.enqueue(&number(n)).await;
    }
    let first = db.deliver().await;
    assert_eq!(told(&first), "01 waiting");
    assert_eq!(told(&db.deliver().await), "");
    db.answered(&first[0], 200).await;
    assert_eq!(told(&db.deliver().await), "02 waiting");
}

#[tokio::test]
async fn an_endpoint_whose_place_in_the_log_is_gone_goes_on_and_says_so() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    db.endpoint("crm", URL, &["waiting", "amended"]).await;
    // As after the week of the event was dropped.
    db.sql(
        "update pgdial.endpoint_progress set cursor = regexp_replace(cursor, '[^-]*$', '1'); \
         delete from pgdial.call_events",
    )
    .await;
    db.enqueue(&number(2)).await;
    db.deliver().await;
    let due = db.deliver().await;
    assert!(told(&due).contains("02 waiting"), "{}", told(&due));
    let why = db
        .text("select why from pgdial.acts where act = 'gap' and name = 'crm'")
        .await;
    assert!(why.contains("older than the events that are kept"), "{why}");
}

#[tokio::test]
async fn a_copy_of_the_database_delivers_nothing() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting"]).await;
    db.enqueue(&number(1)).await;
    db.sql("update pgdial.cluster set system_identifier = 7")
        .await;
    let refused = db.calls.deliver(PROCESS, &HashMap::new(), true).await;
    let words = format!("{:?}", refused.unwrap_err());
    assert!(words.contains("the database is a copy"), "{words}");
}

#[tokio::test]
async fn deliveries_are_listed_and_shown_with_what_was_sent_and_answered() {
    let db = TestDb::new().await;
    db.endpoint("crm", URL, &["waiting", "active"]).await;
    let call = db.dialing(&number(1)).await;
    let due = db.deliver().await.remove(0);
    let response = Response {
        status: 500,
        body: "we are\nsorry".to_owned(),
        ..Response::default()
    };
    db.record(&due, Ok(response)).await;
    db.enqueue(&number(2)).await;
    db.deliver().await;
    let list = async |state: Option<DeliveryState>, call: Option<CallId>| {
        let filter = pgdial::flow::endpoints::DeliveryFilter {
            state,
            call,
            before: None,
        };
        let page = db.calls.endpoint_deliveries("crm", &filter, 10).await;
        page.unwrap()
    };
    let states = |list: Vec<pgdial::flow::view::EndpointDeliverySummary>| {
        let states = list
            .iter()
            .map(|delivery| format!("{} {}", delivery.kind, delivery.state.as_str()));
        states.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        states(list(None, None).await),
        "waiting pending, active queued, waiting pending"
    );
    assert_eq!(
        states(list(Some(DeliveryState::Queued), None).await),
        "active queued"
    );
    assert_eq!(
        states(list(None, Some(call.id)).await),
        "active queued, waiting pending"
    );
    assert_eq!(states(list(Some(DeliveryState::Delivered), None).await), "");
    let shown = db.calls.endpoint_delivery("crm", &due.id).await;
    let shown = shown.unwrap().unwrap();
    assert_eq!(shown.summary.status, Some(500));
    assert_eq!(shown.body.unwrap(), body(&due));
    assert_eq!(
        (shown.log[0].ms, shown.log[0].response.as_deref()),
        (7, Some("we are\nsorry"))
    );
    assert!(
        db.calls
            .endpoint_delivery("crm", "evt_1_2_3")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn both_secrets_sign_while_one_replaces_the_other() {
    let db = TestDb::new().await;
    let first = db.endpoint("crm", URL, &["waiting"]).await;
    let rotate = async |overlap: &str| {
        let rotated = db.calls.rotate_endpoint("crm", Some(overlap), "ann", None);
        rotated.await.unwrap().unwrap()
    };
    let second = rotate("1 hour").await;
    assert_ne!(first, second);
    let signers = async |n: usize, secrets: &[&String]| {
        db.enqueue(&number(n)).await;
        let due = db.deliver().await.remove(0);
        let good = secrets
            .iter()
            .map(|secret| verify(&due, secret).is_ok())
            .collect::<Vec<_>>();
        db.answered(&due, 200).await;
        good
    };
    assert_eq!(signers(1, &[&first, &second]).await, [true, true]);
    db.forward("61 minutes").await;
    assert_eq!(signers(2, &[&first, &second]).await, [false, true]);
    let third = rotate("1 hour").await;
    let fourth = rotate("1 hour").await;
    let all = [&second, &third, &fourth];
    assert_eq!(signers(3, &all).await, [false, true, true]);
    let fifth = rotate("0 seconds").await;
    assert_eq!(signers(4, &[&fourth, &fifth]).await, [false, true]);
}

#[tokio::test]
async fn a_test_is_delivered_to_its_endpoint_alone() {
    let db = TestDb::new().await;
    let secret = db.endpoint("crm", URL, &["failed"]).await;
    db.endpoint("other", URL, &["failed"]).await;
    let id = db
        .calls
        .test_endpoint("crm", "ann", None)
        .await
        .unwrap()
        .unwrap();
    let due = db.deliver().await;
    assert_eq!(due.len(), 1);
    assert_eq!(
        (&due[0].id, body(&due[0])["type"].as_str()),
        (&id, Some("test"))
    );
    assert_eq!(verify(&due[0], &secret).unwrap().event_id, id);
}
