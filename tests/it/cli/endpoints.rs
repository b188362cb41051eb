use serde_json::json;

use super::{REFUSED, USAGE, pgdial};
use crate::support::{
    number,
    processes::Machine,
    receiver::{Receiver, status},
};

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_created_tested_and_asked_about() {
    let machine = Machine::new().await;
    let _provider = machine.start_provider(&[]).await;
    let receiver = Receiver::new().await;
    let url = receiver.url();
    let create = [
        "endpoints",
        "create",
        "crm",
        "--url",
        &url,
        "--kinds",
        "waiting",
    ];
    let secret = pgdial(&machine, &create).done();
    receiver.expect(secret.trim());
    assert_eq!(pgdial(&machine, &create).code, REFUSED);
    let bad = [
        "endpoints",
        "create",
        "x",
        "--url",
        "ftp://x",
        "--kinds",
        "rung",
    ];
    pgdial(&machine, &bad).refused(USAGE, "\"url\" must be");

    let worker = ["--endpoint-networks", "127.0.0.0/8"];
    let _worker = machine.start_worker("worker", &worker).await;
    let test = pgdial(&machine, &["endpoints", "test", "crm"]).done();
    assert!(
        test.contains("delivered") && test.contains("HTTP 204"),
        "{test}"
    );
    assert_eq!(receiver.received()[0].kind(), "test");

    let call = machine.db.enqueue(&number(1)).await;
    machine
        .db
        .until("select exists (select from pgdial.deliveries where kind = 'waiting' and state = 'delivered')")
        .await;
    assert_eq!(receiver.received()[1].call(), call.to_string());
    let list = pgdial(&machine, &["endpoints", "list"]).done();
    assert!(list.contains("crm") && list.contains("ok"), "{list}");
    let deliveries = ["endpoints", "deliveries", "crm", "--json"];
    let deliveries = pgdial(&machine, &deliveries).json();
    assert_eq!(deliveries[0]["callId"], json!(call));
    let id = deliveries[0]["id"].as_str().unwrap();
    let shown = pgdial(&machine, &["endpoints", "delivery", "crm", id]).done();
    assert!(shown.contains("call.waiting"), "{shown}");
    let resend = ["endpoints", "resend", "crm", id];
    pgdial(&machine, &resend).done();
    machine
        .db
        .until("select attempts = 2 and state = 'delivered' from pgdial.deliveries where kind = 'waiting'")
        .await;
    assert_eq!(receiver.received()[2].id, id);
    let span = [
        &resend[..3],
        &[
            "--from",
            "2026-01-01T00:00:00Z",
            "--until",
            "2126-01-01T00:00:00Z",
        ],
    ]
    .concat();
    let span = pgdial(&machine, &span).done();
    assert!(span.starts_with("1 events"), "{span}");

    let pause = ["endpoints", "pause", "crm", "--why", "moving"];
    assert!(pgdial(&machine, &pause).done().contains("paused"));
    pgdial(&machine, &["endpoints", "test", "crm"]).refused(USAGE, "is paused");
    pgdial(&machine, &["endpoints", "resume", "crm"]).done();
    let set = ["endpoints", "set", "crm", "--campaigns", "default"];
    assert!(pgdial(&machine, &set).done().contains("default"));
    let set = ["endpoints", "set", "crm", "--campaigns", "all", "--json"];
    assert_eq!(pgdial(&machine, &set).json()["campaigns"], json!(null));
    let rotate = ["endpoints", "rotate", "crm", "--overlap", "1h"];
    assert_ne!(pgdial(&machine, &rotate).done(), secret);
    pgdial(&machine, &["endpoints", "delete", "crm"]).done();
    for gone in [
        &["endpoints", "show", "crm"][..],
        &["endpoints", "test", "crm"],
        &["endpoints", "deliveries", "crm"],
        &["endpoints", "delivery", "crm", id],
        &resend,
        &["endpoints", "delete", "crm"],
    ] {
        assert_eq!(pgdial(&machine, gone).code, REFUSED, "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_fails_says_how() {
    let machine = Machine::new().await;
    let receiver = Receiver::that(|_| Box::pin(async { status(418) })).await;
    let secret = machine
        .db
        .endpoint("crm", &receiver.url(), &["failed"])
        .await;
    receiver.expect(&secret);
    let worker = ["--endpoint-networks", "127.0.0.0/8"];
    let _worker = machine.start_worker("worker", &worker).await;
    let test = pgdial(&machine, &["endpoints", "test", "crm"]);
    assert_eq!(test.code, REFUSED);
    assert!(test.data.contains("HTTP 418"), "{}", test.data);
}
