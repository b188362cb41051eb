//! ElevenLabs.

use hmac::{Hmac, KeyInit, Mac};
use pgdial_fake_provider::Speak;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    shape::assert_same,
    stage::{KEY, Received, SECRET, Stage, answer, documented},
};

const BY_TWILIO: &str = "/v1/convai/twilio/outbound-call";
const BY_SIP: &str = "/v1/convai/sip-trunk/outbound-call";
const CONVERSATIONS: &str = "/v1/convai/conversations";

async fn stage(rules: &[&str]) -> Stage {
    Stage::new(Speak::ElevenLabs, rules).await
}

async fn post(stage: &Stage, path: &str, body: &Value) -> (u16, Value) {
    let request = stage.client.post(stage.url(path)).header("xi-api-key", KEY);
    answer(request.json(body)).await
}

async fn get(stage: &Stage, path: &str) -> (u16, Value) {
    let request = stage.client.get(stage.url(path)).header("xi-api-key", KEY);
    answer(request).await
}

/// Places the documented call, and returns its conversation's id.
async fn placed(stage: &Stage, path: &str) -> String {
    let (status, placed) = post(stage, path, &documented("elevenlabs/place-rich.json")).await;
    assert_eq!(status, 200);
    let carrier = if path == BY_SIP { "sip" } else { "twilio" };
    let file = format!("elevenlabs/place-200-{carrier}.json");
    assert_same(&documented(&file), &placed, &[]);
    placed["conversation_id"].as_str().unwrap().to_owned()
}

fn assert_signed(webhook: &Received) {
    let signature = webhook.header("elevenlabs-signature");
    let (time, digest) = signature
        .strip_prefix("t=")
        .unwrap()
        .split_once(",v0=")
        .unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac
        .chain_update(format!("{time}."))
        .chain_update(&webhook.body);
    assert_eq!(digest, hex::encode(mac.finalize().into_bytes()));
}

#[tokio::test]
async fn a_conversation_is_told_once_as_it_is_documented() {
    let mut stage = stage(&[]).await;
    let id = placed(&stage, BY_TWILIO).await;
    let webhook = stage.webhook().await;
    assert_signed(&webhook);
    let also = ["/data/conversation_initiation_client_data/dynamic_variables/order"];
    let wanted = documented("elevenlabs/webhook-transcription.json");
    assert_same(&wanted, &webhook.json(), &also);
    assert_eq!(webhook.json()["data"]["conversation_id"], *id);
    let (_, found) = get(&stage, &format!("{CONVERSATIONS}/{id}")).await;
    assert_eq!(found["user_id"], webhook.json()["data"]["user_id"]);
    let reference = found["user_id"].as_str().unwrap();
    let (_, listed) = get(&stage, &format!("{CONVERSATIONS}?user_id={reference}")).await;
    assert_eq!(listed["conversations"][0]["conversation_id"], *id);
    let (_, listed) = get(&stage, &format!("{CONVERSATIONS}?user_id=another")).await;
    assert_eq!(listed["conversations"], json!([]));
}

#[tokio::test]
async fn nobody_picking_up_is_a_failure_in_the_words_of_the_carrier() {
    for (path, rule, file, reason) in [
        (BY_TWILIO, "*=busy", "twilio", "busy"),
        (BY_SIP, "*=declined", "sip", "unknown"),
        (BY_SIP, "*=no_answer", "sip", "no-answer"),
    ] {
        let mut stage = stage(&[rule]).await;
        let id = placed(&stage, path).await;
        let webhook = stage.webhook().await;
        assert_signed(&webhook);
        let wanted = documented(&format!("elevenlabs/webhook-failure-{file}.json"));
        assert_same(&wanted, &webhook.json(), &[]);
        assert_eq!(webhook.json()["data"]["failure_reason"], reason, "{rule}");
        let (_, found) = get(&stage, &format!("{CONVERSATIONS}/{id}")).await;
        assert_eq!(found["status"], "failed", "{rule}");
    }
}

#[tokio::test]
async fn a_machine_and_a_broken_model_are_conversations_too() {
    for (rule, status, result) in [
        ("*=voicemail", "done", "voicemail"),
        ("*=fault", "failed", "answered"),
    ] {
        let mut stage = stage(&[rule]).await;
        placed(&stage, BY_SIP).await;
        let webhook = stage.webhook().await.json();
        assert_eq!(webhook["type"], "post_call_transcription", "{rule}");
        assert_eq!(webhook["data"]["status"], status);
        let metadata = &webhook["data"]["metadata"];
        assert_eq!(metadata["phone_call"]["call_result"], result);
        assert!(metadata["accepted_time_unix_secs"].is_u64(), "{rule}");
    }
}

#[tokio::test]
async fn twilio_refuses_in_a_200_and_has_no_conversation() {
    let rules = [
        "*23=account",
        "*24=invalid_number",
        "*25=reject:502:no words,places_anyway",
    ];
    let stage = stage(&rules).await;
    let mut request = documented("elevenlabs/place-minimal.json");
    let refused = post(&stage, BY_TWILIO, &request).await;
    let documented = documented("elevenlabs/place-200-refused.json");
    assert_eq!(refused, (200, documented));
    request["to_number"] = json!("+14155550124");
    let (status, refused) = post(&stage, BY_TWILIO, &request).await;
    assert_eq!((status, &refused["success"]), (200, &json!(false)));
    let (_, listed) = get(&stage, CONVERSATIONS).await;
    assert_eq!(listed["conversations"], json!([]));
    request["to_number"] = json!("+14155550125");
    let (status, refused) = post(&stage, BY_SIP, &request).await;
    assert_eq!((status, &refused["success"]), (200, &json!(false)));
    let (_, listed) = get(&stage, CONVERSATIONS).await;
    assert_eq!(listed["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_conversation_that_is_not_reported_is_still_processed() {
    let stage = stage(&["*=completed,late:1h"]).await;
    let id = placed(&stage, BY_TWILIO).await;
    loop {
        let (_, found) = get(&stage, &format!("{CONVERSATIONS}/{id}")).await;
        match found["status"].as_str().unwrap() {
            "initiated" | "in-progress" => {}
            status => break assert_eq!(status, "processing"),
        }
    }
}

#[tokio::test]
async fn a_list_is_paged_and_deleting_hangs_nothing_up() {
    let mut stage = stage(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(placed(&stage, BY_TWILIO).await);
    }
    let (_, first) = get(&stage, &format!("{CONVERSATIONS}?page_size=2")).await;
    assert_eq!(first["has_more"], true);
    assert_eq!(first["conversations"][0]["conversation_id"], *ids[2]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = format!("{CONVERSATIONS}?page_size=2&cursor={cursor}");
    let (_, second) = get(&stage, &second).await;
    let expected = json!([ids[0], false, null]);
    let row = &second["conversations"][0]["conversation_id"];
    assert_eq!(
        json!([row, second["has_more"], second["next_cursor"]]),
        expected
    );
    let (status, _) = get(&stage, &format!("{CONVERSATIONS}?page_size=101")).await;
    assert_eq!(status, 422);
    let one = format!("{CONVERSATIONS}/{}", ids[0]);
    let delete = stage.client.delete(stage.url(&one));
    assert_eq!(answer(delete.header("xi-api-key", KEY)).await.0, 200);
    assert_eq!(get(&stage, &one).await.0, 404);
    let mut reported = Vec::new();
    for _ in 0..3 {
        let data = stage.webhook().await.json();
        reported.push(data["data"]["conversation_id"].as_str().unwrap().to_owned());
    }
    assert!(reported.contains(&ids[0]));
}

#[tokio::test]
async fn refusals_have_the_documented_shape() {
    let stage = stage(&["script:gone=reject:404", "*=rate_limit:3"]).await;
    let anonymous = stage.client.post(stage.url(BY_TWILIO));
    let (status, body) = answer(anonymous.json(&json!({}))).await;
    let documented_401 = documented("elevenlabs/error-401.json");
    assert_eq!((status, body), (401, documented_401));
    let mut request = documented("elevenlabs/place-minimal.json");
    let (status, body) = post(&stage, BY_TWILIO, &request).await;
    assert_eq!(
        (status, &body["detail"]["status"]),
        (429, &json!("system_busy"))
    );
    request.as_object_mut().unwrap().remove("to_number");
    let refused = post(&stage, BY_TWILIO, &request).await;
    assert_eq!(refused, (422, documented("elevenlabs/error-422.json")));
    assert_eq!(get(&stage, "/v1/convai/agents/gone").await.0, 404);
}

#[tokio::test]
async fn the_workspace_says_where_its_webhook_goes() {
    let stage = stage(&[]).await;
    let (_, settings) = get(&stage, "/v1/convai/settings").await;
    let (_, webhooks) = get(&stage, "/v1/workspace/webhooks").await;
    let webhook = &webhooks["webhooks"][0];
    assert_eq!(webhook["webhook_url"], *stage.webhook_url);
    let used = &settings["webhooks"]["post_call_webhook_id"];
    assert_eq!(used, &webhook["webhook_id"]);
    let (_, number) = get(&stage, "/v1/convai/phone-numbers/phnum_sip14155550177").await;
    let facts = (&number["phone_number"], &number["provider"]);
    assert_eq!(facts, (&json!("+14155550177"), &json!("sip_trunk")));
}

#[tokio::test]
async fn a_machine_is_hung_up_on_where_the_request_says_so() {
    let mut stage = Stage::of_machines(Speak::ElevenLabs).await;
    placed(&stage, BY_TWILIO).await;
    let webhook = stage.webhook().await.json();
    let metadata = &webhook["data"]["metadata"];
    assert_eq!(metadata["phone_call"]["call_result"], "voicemail");
    assert!(
        metadata["call_duration_secs"].as_u64().unwrap() < 3,
        "{webhook}"
    );
}
