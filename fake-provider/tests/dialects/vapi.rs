//! Vapi.

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
    let mut request = documented("vapi/place-rich.json");
    request["assistantOverrides"]["server"]["url"] = json!(stage.webhook_url);
    request
}

async fn get(stage: &Stage, path: &str) -> (u16, Value) {
    answer(stage.client.get(stage.url(path)).bearer_auth(KEY)).await
}

fn assert_signed(webhook: &Received) {
    let time = webhook.header("x-timestamp");
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac
        .chain_update(format!("{time}."))
        .chain_update(&webhook.body);
    let digest = hex::encode(mac.finalize().into_bytes());
    assert_eq!(webhook.header("x-signature"), digest);
}

/// Type and status of the next webhook, and the message itself.
async fn next(stage: &mut Stage) -> (String, Value) {
    let webhook = stage.webhook().await;
    assert_signed(&webhook);
    let message = webhook.json()["message"].take();
    let word = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    (format!("{} {}", word("type"), word("status")), message)
}

#[tokio::test]
async fn a_call_is_told_as_it_is_documented() {
    let mut stage = Stage::new(Speak::Vapi, &[]).await;
    let (status, placed) = stage.post("/call", &request(&stage)).await;
    assert_eq!(status, 201);
    // The documented call was placed with fewer overrides.
    let also = ["/assistantOverrides", "/message/call/assistantOverrides"];
    assert_same(&documented("vapi/place-201.json"), &placed, &also);
    for (event, file) in [
        ("status-update queued", "ringing"),
        ("status-update ringing", "ringing"),
        ("status-update in-progress", "in-progress"),
        ("status-update ended", "ended"),
        ("end-of-call-report ", "report-answered"),
    ] {
        let (told, message) = next(&mut stage).await;
        assert_eq!(told, event);
        let mut also = also.to_vec();
        also.push("/message/costBreakdown");
        if event == "status-update ended" {
            // The documented one was not answered.
            also.push("/message/call");
        }
        let documented = documented(&format!("vapi/webhook-{file}.json"));
        assert_same(&documented, &json!({"message": message}), &also);
    }
    let id = placed["id"].as_str().unwrap();
    let (_, shown) = get(&stage, &format!("/call/{id}")).await;
    assert_eq!(shown["endedReason"], "customer-ended-call");
    assert!(shown["cost"].as_f64().unwrap() > 0.0 && shown["artifact"]["recordingUrl"].is_string());
    let (_, all) = get(&stage, "/call?limit=10&createdAtGe=2026-01-01T00:00:00Z").await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_same(&shown, &all[0], &[]);
    let (_, none) = get(&stage, "/call?createdAtLt=2026-01-01T00:00:00Z").await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn a_busy_line_is_reported_without_a_start() {
    let mut stage = Stage::new(Speak::Vapi, &["*=busy"]).await;
    stage.post("/call", &request(&stage)).await;
    for event in [
        "status-update queued",
        "status-update ringing",
        "status-update ended",
    ] {
        assert_eq!(next(&mut stage).await.0, event);
    }
    let (_, report) = next(&mut stage).await;
    let also = ["/message/call/assistantOverrides"];
    let documented = documented("vapi/webhook-report-busy.json");
    assert_same(&documented, &json!({"message": report}), &also);
}

#[tokio::test]
async fn a_machine_is_an_answer_and_a_lost_answer_shows_at_the_end_alone() {
    for (rule, answer, reason) in [
        ("*=voicemail", true, "voicemail"),
        (
            "*=fault,lost_answer",
            false,
            "pipeline-error-openai-llm-failed",
        ),
    ] {
        let mut stage = Stage::new(Speak::Vapi, &[rule]).await;
        stage.post("/call", &request(&stage)).await;
        let mut seen = Vec::new();
        let report = loop {
            let (event, message) = next(&mut stage).await;
            if event == "end-of-call-report " {
                break message;
            }
            seen.push(event);
        };
        assert_eq!(
            seen.contains(&"status-update in-progress".to_owned()),
            answer,
            "{rule}"
        );
        assert_eq!(report["endedReason"], reason);
        assert!(report["startedAt"].is_string(), "{rule}");
    }
}

#[tokio::test]
async fn the_limit_is_a_refusal_or_a_call_that_is_over() {
    let mut stage = Stage::new(Speak::Vapi, &["*=capacity"]).await;
    let (status, placed) = stage.post("/call", &request(&stage)).await;
    assert_eq!(status, 201);
    let also = ["/assistantOverrides"];
    assert_same(&documented("vapi/place-201-blocked.json"), &placed, &also);
    assert_eq!(placed["subscriptionLimits"]["concurrencyBlocked"], true);
    assert_eq!(next(&mut stage).await.0, "status-update queued");
    let (_, ended) = next(&mut stage).await;
    assert_eq!(ended["endedReason"], placed["endedReason"]);
}

#[tokio::test]
async fn a_second_delivery_has_other_presigned_urls() {
    let mut stage = Stage::new(Speak::Vapi, &["*=dup"]).await;
    stage.post("/call", &request(&stage)).await;
    let mut urls = Vec::new();
    while urls.len() < 2 {
        let (event, message) = next(&mut stage).await;
        if event == "end-of-call-report " {
            urls.push(message["artifact"]["presignedMonoUrl"].clone());
        }
    }
    assert_ne!(urls[0], urls[1]);
}

#[tokio::test]
async fn a_workflow_takes_variables_alone_and_no_request_an_unknown_property() {
    let stage = Stage::new(Speak::Vapi, &[]).await;
    let with = |name: &str, value: Value| {
        let mut request = request(&stage);
        request[name] = value;
        request
    };
    let bad_number = json!({"number": "4155550123"});
    let overrides = json!({"variableValues": {}, "server": {"url": "https://example.com"}});
    for (request, file, message) in [
        (
            with("customer", bad_number),
            "number",
            "customer.number must be a valid phone number in the E.164 format",
        ),
        (
            with("phoneNumber_id", json!("x")),
            "property",
            "property phoneNumber_id should not exist",
        ),
        (
            with("workflowOverrides", overrides),
            "property",
            "workflowOverrides.property server should not exist",
        ),
        (
            with("name", json!("x".repeat(41))),
            "property",
            "name must be shorter than or equal to 40 characters",
        ),
    ] {
        let (status, body) = stage.post("/call", &request).await;
        assert_eq!(status, 400);
        assert_same(
            &documented(&format!("vapi/place-400-{file}.json")),
            &body,
            &[],
        );
        assert_eq!(body["message"], json!([message]));
    }
}

#[tokio::test]
async fn refusals_have_the_documented_shape() {
    let stage = Stage::new(Speak::Vapi, &["script:gone=reject:404", "*=rate_limit:3"]).await;
    let anonymous = stage.client.get(stage.url("/call"));
    assert_eq!(answer(anonymous).await.0, 401);
    let (status, body) = stage.post("/call", &request(&stage)).await;
    assert_eq!(status, 429);
    assert_same(&documented("vapi/place-400-concurrency.json"), &body, &[]);
    let (status, body) = get(&stage, "/assistant/gone").await;
    assert_eq!(status, 404);
    assert_same(&documented("vapi/place-400-concurrency.json"), &body, &[]);
    assert_eq!(get(&stage, "/squad/good").await.0, 200);
}

#[tokio::test]
async fn to_erase_a_call_is_not_to_end_it() {
    let mut stage = Stage::new(Speak::Vapi, &["*=late:10ms"]).await;
    let (_, placed) = stage.post("/call", &request(&stage)).await;
    let url = stage.url(&format!("/call/{}", placed["id"].as_str().unwrap()));
    let erased = stage.client.delete(&url).bearer_auth(KEY);
    assert_eq!(answer(erased).await.0, 200);
    let gone = stage.client.get(&url).bearer_auth(KEY);
    assert_eq!(answer(gone).await.0, 404);
    while next(&mut stage).await.0 != "end-of-call-report " {}
}
