//! The trace of a request is stored with the call, but is not part of the request that idempotency compares.

use serde_json::{Value, json};

use crate::support::{Send, World};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

async fn ask(world: &World, trace: &str, key: &str) -> (u16, Value) {
    let request = json!({"to": "+14155550100", "scriptId": "s", "idempotencyKey": key});
    let answer = world
        .ask("POST", "/api/v1/calls")
        .header("traceparent", trace)
        .json(&request)
        .answer()
        .await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn the_trace_of_a_request_goes_with_the_call_to_its_dial() {
    let world = World::new().await;
    let (status, call) = ask(&world, TRACE, "one").await;
    assert_eq!(status, 201, "{call}");
    assert!(!call.to_string().contains("4bf92f"), "{call}");
    let claimed = world.claim().await;
    assert_eq!(claimed[0].traceparent.as_deref(), Some(TRACE));
}

#[tokio::test]
async fn the_same_request_in_another_trace_is_the_same_call() {
    let world = World::new().await;
    let (_, first) = ask(&world, TRACE, "one").await;
    let (status, again) = ask(&world, OTHER, "one").await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let claimed = world.claim().await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].traceparent.as_deref(), Some(TRACE));
}

#[tokio::test]
async fn a_trace_that_cannot_be_read_costs_nobody_a_call() {
    let world = World::new().await;
    for wrong in [
        "",
        "00-1-2-3",
        &TRACE.to_uppercase(),
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let (status, call) = ask(&world, wrong, &format!("key {wrong}")).await;
        assert_eq!(status, 201, "{wrong}: {call}");
    }
    let kept = "select count(*) from pgdial.calls where traceparent is not null";
    assert_eq!(world.number(kept).await, 0);
}

#[tokio::test]
async fn the_items_of_a_batch_may_name_their_own() {
    let world = World::new().await;
    let item = |to: &str, trace: Value| json!({"to": to, "scriptId": "s", "traceparent": trace});
    let items = [
        item("+14155550100", json!(null)),
        item("+14155550101", json!(OTHER)),
        item("+14155550102", json!("not one")),
        item("+14155550103", json!(1)),
    ];
    let answer = world
        .ask("POST", "/api/v1/calls/batch")
        .header("traceparent", TRACE)
        .json(&items)
        .answer()
        .await;
    let statuses: Vec<&str> = (0..4)
        .map(|n| answer.body[n]["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["created", "created", "error", "error"],
        "{}",
        answer.text
    );
    let detail = answer.body[2]["detail"].as_str().unwrap();
    assert!(detail.contains("must be as W3C says"), "{detail}");
    let mut claimed = world.claim().await;
    claimed.sort_by_key(|call| call.phone.as_e164().to_owned());
    let traces: Vec<_> = claimed
        .iter()
        .map(|call| call.traceparent.as_deref())
        .collect();
    assert_eq!(traces, [Some(TRACE), Some(OTHER)]);
}
