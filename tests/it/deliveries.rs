//! Deliveries over HTTP, to receivers that check every signature.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use pgdial::{
    deliverer::Deliverer,
    domain::Networks,
    flow::{Queue, endpoints::DeliveryFilter},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{
    TestDb, eventually, number,
    receiver::{Receiver, status},
};

const LOOPBACK: &str = "127.0.0.1";

/// A process that delivers, until it is dropped (killed) or stopped.
struct Process {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Process {
    fn start(calls: &Queue, networks: &str) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let networks: Networks = networks.parse().unwrap();
        let deliverer = Deliverer::new(calls.clone(), networks);
        let its_stop = stop.clone();
        tasks.spawn(async move { deliverer.run(its_stop).await.unwrap() });
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}

impl TestDb {
    async fn receiver(&self, name: &str, receiver: &Receiver, kinds: &[&str]) {
        let secret = self.endpoint(name, &receiver.url(), kinds).await;
        receiver.expect(&secret);
    }

    /// Why the latest attempt at an endpoint got no response.
    async fn error(&self, name: &str) -> String {
        let all = DeliveryFilter::default();
        let deliveries = self.calls.endpoint_deliveries(name, &all, 1).await;
        let latest = deliveries.unwrap().pop();
        latest.and_then(|latest| latest.error).unwrap_or_default()
    }
}

/// The kinds of each call's events, in the order in which they came.
fn by_call(receiver: &Receiver) -> HashMap<String, Vec<String>> {
    let mut calls: HashMap<String, Vec<String>> = HashMap::new();
    for received in receiver.received() {
        let kinds = calls.entry(received.call().to_owned()).or_default();
        kinds.push(received.kind().to_owned());
    }
    calls
}

const KINDS: [&str; 4] = ["waiting", "active", "in_call", "completed"];

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_and_a_slow_endpoint_cost_a_good_one_nothing() {
    let db = TestDb::new().await;
    let good = Receiver::new().await;
    let slow = Receiver::that(|_| Box::pin(std::future::pending())).await;
    // Nobody listens, and nobody else gets the port.
    let dead = tokio::net::TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = (format!("http://{}", dead.local_addr().unwrap()), dead);
    db.receiver("good", &good, &KINDS).await;
    db.receiver("slow", &slow, &KINDS).await;
    db.endpoint("dead", &dead.0, &KINDS).await;
    let _process = Process::start(&db.calls, LOOPBACK);
    for n in 0..20 {
        db.completed(&number(n)).await;
    }
    eventually("the good one has everything", || async {
        good.received().len() >= 80
    })
    .await;
    for (call, kinds) in by_call(&good) {
        let all = KINDS.map(|kind| format!("call.{kind}"));
        assert_eq!(kinds, all, "{call}");
    }
    let ids: HashSet<_> = good.received().into_iter().map(|r| r.id).collect();
    assert_eq!(ids.len(), 80);
    eventually("the dead one fails", || async {
        let dead = db.calls.endpoints(Some("dead")).await.unwrap().remove(0);
        let error = dead.last_error.unwrap_or_default();
        error.contains("no connection")
    })
    .await;
    assert!(slow.received().len() <= 32);
}

/// What a killed process has sent and not recorded comes again, with the same id; nothing is lost, and the events of a
/// call stay in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_loses_nothing() {
    let db = TestDb::new().await;
    let receiver = Receiver::new().await;
    db.receiver("crm", &receiver, &KINDS).await;
    for round in 0..3 {
        let process = Process::start(&db.calls, LOOPBACK);
        for n in 0..4 {
            db.completed(&number(10 * round + n)).await;
        }
        let seen = receiver.received().len();
        eventually("some have come", || async {
            receiver.received().len() > seen
        })
        .await;
        drop(process);
        db.forward("31 seconds").await;
    }
    let process = Process::start(&db.calls, LOOPBACK);
    eventually("all have come", || async {
        let unfinished = db.calls.endpoints(None).await.unwrap()[0].unfinished;
        let ids: HashSet<_> = receiver.received().into_iter().map(|r| r.id).collect();
        unfinished == 0 && ids.len() == 48
    })
    .await;
    process.stop().await;
    for (call, kinds) in by_call(&receiver) {
        let mut kinds = kinds;
        kinds.dedup();
        let all = KINDS.map(|kind| format!("call.{kind}"));
        assert_eq!(kinds, all, "{call}");
    }
}

/// A process that stops finishes what it sends, and the next one need not wait for its lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_hands_over() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let receiver = Receiver::new().await;
    db.receiver("crm", &receiver, &["waiting"]).await;
    let first = Process::start(&db.calls, LOOPBACK);
    db.enqueue(&number(1)).await;
    eventually("the first", || async { receiver.received().len() == 1 }).await;
    first.stop().await;
    assert_eq!(db.calls.endpoints(None).await.unwrap()[0].unfinished, 0);
    let _second = Process::start(&db.calls, LOOPBACK);
    db.enqueue(&number(2)).await;
    eventually("the second", || async { receiver.received().len() == 2 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_public_are_refused() {
    let db = TestDb::new().await;
    let receiver = Receiver::new().await;
    let port = receiver.address.port();
    let urls = [
        format!("http://127.0.0.1:{port}/hooks?from=pgdial"),
        format!("http://localhost:{port}/hooks?from=pgdial"),
        format!("http://127.1:{port}/hooks?from=pgdial"),
        format!("http://2130706433:{port}/hooks?from=pgdial"),
        format!("http://0x7f000001:{port}/hooks?from=pgdial"),
        format!("http://[::ffff:127.0.0.1]:{port}/hooks?from=pgdial"),
        format!("http://[::ffff:7f00:1]:{port}/hooks?from=pgdial"),
        format!("http://[64:ff9b::7f00:1]:{port}/hooks?from=pgdial"),
        format!("http://0.0.0.0:{port}/hooks?from=pgdial"),
        format!("https://127.0.0.1:{port}/hooks?from=pgdial"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ];
    for (n, url) in urls.iter().enumerate() {
        let secret = db.endpoint(&format!("e{n}"), url, &["waiting"]).await;
        receiver.expect(&secret);
    }
    let _process = Process::start(&db.calls, "10.0.0.0/8");
    db.enqueue(&number(1)).await;
    for (n, url) in urls.iter().enumerate() {
        let name = format!("e{n}");
        eventually(url, || async { !db.error(&name).await.is_empty() }).await;
        let error = db.error(&name).await;
        assert!(
            error.contains("is not on the public internet"),
            "{url}: {error}"
        );
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let db = TestDb::new().await;
    let target = Receiver::new().await;
    let location = target.url();
    let receiver = Receiver::that(move |_| {
        let mut response = status(307);
        let location = location.parse().unwrap();
        response.headers_mut().insert("location", location);
        Box::pin(async { response })
    })
    .await;
    db.receiver("crm", &receiver, &["waiting"]).await;
    let _process = Process::start(&db.calls, LOOPBACK);
    db.enqueue(&number(1)).await;
    eventually("it has failed", || async {
        db.calls.endpoints(None).await.unwrap()[0]
            .last_error
            .as_deref()
            == Some("HTTP 307")
    })
    .await;
    assert_eq!(target.received().len(), 0);
}

/// Who opens its mouth and never ends has still said what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_end_is_cut() {
    use axum::{body::Body, response::Response};
    let db = TestDb::new().await;
    let receiver = Receiver::that(|_| {
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>("\u{0}talk ".repeat(100))
        });
        let body = Body::from_stream(endless);
        Box::pin(async { Response::builder().status(500).body(body).unwrap() })
    })
    .await;
    db.receiver("crm", &receiver, &["waiting"]).await;
    let process = Process::start(&db.calls, LOOPBACK);
    db.enqueue(&number(1)).await;
    let log = "select log -> 0 ->> 'response' from pgdial.deliveries";
    eventually("it is recorded", || async {
        db.text(log).await.starts_with("talk talk ")
    })
    .await;
    assert!(db.text(log).await.len() <= 1000);
    drop(process);
}

/// Nothing that is sent delays whoever settles a call: no lock is shared.
#[tokio::test]
async fn a_stuck_endpoint_holds_up_no_call() {
    let db = TestDb::new().await;
    db.endpoint("crm", "https://crm.example.com", &KINDS).await;
    let mut session = db.session().await;
    crate::support::run(
        &mut session,
        "begin; lock table pgdial.endpoints, pgdial.endpoint_progress, pgdial.deliveries in access exclusive mode",
    )
    .await
    .unwrap();
    let to = number(1);
    let call = tokio::time::timeout(Duration::from_mins(1), db.completed(&to));
    let call = call.await.unwrap();
    assert_eq!(db.state(call).await, "completed");
}
