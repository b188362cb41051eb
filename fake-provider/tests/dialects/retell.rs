//! Retell.

use hmac::{Hmac, KeyInit, Mac};
use pgdial_fake_provider::Speak;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    shape::assert_same,
    stage::{KEY, Received, SECRET, Stage, answer, documented},
};

/// The documented request, with our URL.
fn request(stage: &Stage) -> Value {
    let mut request = documented("retell/place-rich.json");
    request["agent_override"]["agent"]["webhook_url"] = json!(stage.webhook_url);
    request
}

fn assert_signed(webhook: &Received) {
    let signature = webhook.header("x-retell-signature");
    let (time, digest) = signature
        .strip_prefix("v=")
        .unwrap()
        .split_once(",d=")
        .unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(&webhook.body).chain_update(time);
    assert_eq!(digest, hex::encode(mac.finalize().into_bytes()));
}

#[tokio::test]
async fn a_call_is_told_as_it_is_documented() {
    let mut stage = Stage::new(Speak::Retell, &[]).await;
    let (status, placed) = stage.post("/v2/create-phone-call", &request(&stage)).await;
    assert_eq!(status, 201);
    assert_same(&documented("retell/place-201.json"), &placed, &[]);
    for event in ["call_started", "call_ended", "call_analyzed"] {
        let webhook = stage.webhook().await;
        assert_signed(&webhook);
        assert_eq!(webhook.json()["event"], event);
        let mut wanted = documented(&format!("retell/webhook-{event}.json"));
        // What Retell has of its carrier, and how it divides its price.
        let call = wanted["call"].as_object_mut().unwrap();
        call.remove("telephony_identifier");
        call.remove("public_log_url");
        if let Some(cost) = call.get_mut("call_cost") {
            cost["product_costs"] = json!([]);
        }
        assert_same(&wanted, &webhook.json(), &[]);
    }
    let search = documented("retell/list-by-reference.json");
    let (_, listed) = stage.post("/v3/list-calls", &search).await;
    assert_eq!(listed["items"][0]["call_id"], placed["call_id"]);
    let also = [
        "/pagination_key",
        "/items/0/recording_url",
        "/items/0/call_cost",
    ];
    assert_same(&documented("retell/list-200.json"), &listed, &also);
}

#[tokio::test]
async fn what_the_callee_asks_for_is_a_reason() {
    for (rule, reason) in [
        ("*=completed,disposition:do_not_call", "user_requested_dnc"),
        ("*=completed,call_back:2h", "user_requested_callback"),
        ("*=completed,disposition:interested", "user_hangup"),
        ("*=busy,disposition:do_not_call", "dial_busy"),
    ] {
        let mut stage = Stage::new(Speak::Retell, &[rule]).await;
        stage.post("/v2/create-phone-call", &request(&stage)).await;
        let mut told = stage.webhook().await.json();
        if told["event"] == "call_started" {
            told = stage.webhook().await.json();
        }
        assert_eq!(told["call"]["disconnection_reason"], reason, "{rule}");
    }
}

#[tokio::test]
async fn a_busy_line_is_not_connected() {
    let mut stage = Stage::new(Speak::Retell, &["*=busy"]).await;
    stage.post("/v2/create-phone-call", &request(&stage)).await;
    let webhook = stage.webhook().await;
    assert_same(
        &documented("retell/webhook-call_ended-busy.json"),
        &webhook.json(),
        &[],
    );
}

#[tokio::test]
async fn a_repeated_key_is_the_same_call() {
    let stage = Stage::new(Speak::Retell, &[]).await;
    let (_, first) = stage.post("/v2/create-phone-call", &request(&stage)).await;
    let (_, again) = stage.post("/v2/create-phone-call", &request(&stage)).await;
    assert_eq!(first["call_id"], again["call_id"]);
}

#[tokio::test]
async fn refusals_have_the_documented_shape() {
    let stage = Stage::new(Speak::Retell, &["script:gone=reject:422", "*=rate_limit:3"]).await;
    let anonymous = stage.client.post(stage.url("/v2/create-phone-call"));
    let (status, body) = answer(anonymous.json(&json!({}))).await;
    assert_eq!((status, body), (401, documented("retell/error-401.json")));
    let (status, body) = stage.post("/v2/create-phone-call", &json!({})).await;
    assert_eq!(status, 400);
    assert_same(&documented("retell/error-400.json"), &body, &[]);
    let (status, body) = stage.post("/v2/create-phone-call", &request(&stage)).await;
    assert_eq!(status, 429);
    assert_same(&documented("retell/error-429.json"), &body, &[]);
    let gone = stage.client.get(stage.url("/v2/get-call/call_0"));
    let (status, body) = answer(gone.bearer_auth(KEY)).await;
    assert_eq!((status, body), (422, documented("retell/error-422.json")));
}
