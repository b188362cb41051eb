//! Telnyx.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pgdial_fake_provider::{Ending, FakeOptions, Span, Speak, ledger};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::{
    shape::assert_same,
    stage::{KEY, Received, Stage, answer, documented, documented_text},
};

const CONNECTION: &str = "7267000000000000001";

/// The `nth` documented answer to this operation with this status.
fn answered(operation: &str, status: u16, nth: usize) -> Value {
    let all = documented("telnyx/answers.json");
    let found = all.as_array().unwrap().iter();
    let mut found = found.filter(|one| one["op"] == operation && one["http"] == status);
    let body = found.nth(nth).unwrap()["body"].as_str().unwrap();
    serde_json::from_str(body).unwrap()
}

fn payload(name: &str) -> Value {
    let all = documented("telnyx/payloads.json");
    let mut all = all.as_array().unwrap().iter();
    let found = all.find(|one| one["name"] == name).unwrap();
    serde_json::from_str(found["body"].as_str().unwrap()).unwrap()
}

/// The documented request with our URL, and with these fields changed.
fn request(stage: &Stage, change: &Value) -> Value {
    let mut request = documented("telnyx/place.json");
    request["webhook_url"] = json!(stage.webhook_url);
    for (name, value) in change.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

async fn place(stage: &Stage, change: &Value) -> (u16, Value) {
    stage.post("/v2/calls", &request(stage, change)).await
}

async fn get(stage: &Stage, path: &str) -> (u16, Value) {
    answer(stage.client.get(stage.url(path)).bearer_auth(KEY)).await
}

/// Calls that last until they are hung up.
fn endless(options: &mut FakeOptions) {
    options.talk = Span::exactly(Duration::from_hours(1));
}

fn assert_signed(stage: &Stage, webhook: &Received) {
    let key = BASE64.decode(stage.fake.public_key().unwrap()).unwrap();
    let signature = webhook.header("telnyx-signature-ed25519");
    let signature = BASE64.decode(signature).unwrap();
    let time = webhook.header("telnyx-timestamp");
    let signed = [time.as_bytes(), b"|", &webhook.body].concat();
    let key = UnparsedPublicKey::new(&ED25519, key);
    key.verify(&signed, &signature).unwrap();
}

/// The payload of the next event of this type.
async fn told(stage: &mut Stage, event: &str) -> Value {
    loop {
        let body = stage.webhook().await.json();
        if body["data"]["event_type"] == event {
            return body["data"]["payload"].clone();
        }
    }
}

#[tokio::test]
async fn a_call_is_told_as_it_is_documented() {
    let mut stage = Stage::new(Speak::Telnyx, &[]).await;
    let (status, placed) = place(&stage, &json!({})).await;
    assert_eq!(status, 200);
    assert_same(&answered("place", 200, 0), &placed, &[]);
    let events = [
        "initiated",
        "answered",
        "hang-up after talk",
        "cost, after the end",
    ];
    for name in events {
        let webhook = stage.webhook().await;
        assert_signed(&stage, &webhook);
        let (wanted, given) = (payload(name), webhook.json());
        assert_same(&wanted, &given, &[]);
        assert_eq!(wanted["data"]["event_type"], given["data"]["event_type"]);
    }
    let rings = ledger::read(stage.fake.ledger()).unwrap();
    assert_eq!(
        rings[0].reference,
        request(&stage, &json!({}))["command_id"]
    );
}

#[tokio::test]
async fn a_call_is_looked_up_listed_and_hung_up() {
    let mut stage = Stage::with(Speak::Telnyx, &[], endless).await;
    let (_, placed) = place(&stage, &json!({})).await;
    let id = placed["data"]["call_control_id"].as_str().unwrap();
    let path = format!("/v2/calls/{}", id.replace(':', "%3A"));
    told(&mut stage, "call.answered").await;
    assert_same(
        &answered("look_up", 200, 0),
        &get(&stage, &path).await.1,
        &[],
    );
    let active = format!("/v2/connections/{CONNECTION}/active_calls");
    let (_, listed) = get(&stage, &active).await;
    assert_eq!(
        listed["data"][0]["client_state"],
        placed["data"]["client_state"]
    );
    assert_eq!(listed["meta"]["total_pages"], 1);

    let hang_up = format!("{path}/actions/hangup");
    let (_, agreed) = stage.post(&hang_up, &json!({})).await;
    assert_eq!(agreed, answered("cancel", 200, 0));
    told(&mut stage, "call.hangup").await;
    assert_same(
        &answered("look_up", 200, 1),
        &get(&stage, &path).await.1,
        &[],
    );
    assert_eq!(get(&stage, &active).await.1["data"], json!([]));
    let nobody = "/v2/calls/v3%3A0/actions/hangup".to_owned();
    for (nth, path) in [&hang_up, &nobody].into_iter().enumerate() {
        let (status, refused) = stage.post(path, &json!({})).await;
        let wanted = answered("cancel", 422, nth);
        assert_same(&wanted, &refused, &[]);
        let code = |refused: &Value| refused["errors"][0]["code"].clone();
        assert_eq!((status, code(&refused)), (422, code(&wanted)));
    }
}

#[tokio::test]
async fn events_are_listed_even_if_their_webhooks_are_lost() {
    let mut stage = Stage::new(Speak::Telnyx, &["*1=lost"]).await;
    let (_, lost) = place(&stage, &json!({"to": "+14155550121", "command_id": "1"})).await;
    place(&stage, &json!({"command_id": "2"})).await;
    told(&mut stage, "call.cost").await;
    let leg = lost["data"]["call_leg_id"].as_str().unwrap();
    let mut names = Vec::new();
    for page in 1..=2 {
        let paging = format!("page%5Bsize%5D=3&page%5Bnumber%5D={page}");
        let path = format!("/v2/call_events?filter%5Bleg_id%5D={leg}&{paging}");
        let (_, listed) = get(&stage, &path).await;
        for event in listed["data"].as_array().unwrap() {
            assert_eq!(event["call_leg_id"], leg);
            assert_eq!(event["metadata"]["payload"]["call_leg_id"], leg);
            names.push(event["name"].as_str().unwrap().to_owned());
        }
    }
    let all = [
        "call.initiated",
        "call.answered",
        "call.hangup",
        "call.cost",
    ];
    assert_eq!(names, all);
    for none in [
        "name%5D=call.teleported",
        "occurred_at%5D%5Bgte%5D=2999-01-01T00:00:00Z",
    ] {
        let path = format!("/v2/call_events?filter%5B{none}");
        assert_eq!(get(&stage, &path).await.1["data"], json!([]), "{none}");
    }
}

#[tokio::test]
async fn every_ending_has_its_words() {
    let (events, codes) = ("telnyx/events.tsv", "telnyx/d-codes.tsv");
    let [events, codes] = [events, codes].map(documented_text);
    for (word, ending) in Ending::ALL {
        let mut stage = Stage::new(Speak::Telnyx, &[&format!("*={word}")]).await;
        place(&stage, &json!({})).await;
        let end = told(&mut stage, "call.hangup").await;
        let field = |name: &str| end[name].as_str().unwrap_or_default();
        let sip = field("sip_hangup_cause").replace("unspecified", "");
        let reason = end.pointer("/sip_headers/0/value").and_then(Value::as_str);
        let of_code = codes.lines().find_map(|row| {
            let (code, row) = row.split_once(&format!("\t{sip}\t"))?;
            reason?.contains(&format!("\"{code}\"")).then_some(row)
        });
        let of_cause = events.lines().find_map(|row| {
            row.strip_prefix(&format!(
                "call.hangup\t{}\t{sip}\tended\t",
                field("hangup_cause")
            ))
        });
        let outcome = of_code.or(of_cause).unwrap();
        let expected = match ending {
            Ending::Completed | Ending::Voicemail => "answered",
            Ending::Fault => "unknown",
            Ending::Failed => "unreachable",
            _ => word,
        };
        assert_eq!(outcome, expected, "{end}");
    }
}

#[tokio::test]
async fn a_ring_that_goes_on_ends_with_another_word() {
    let mut stage = Stage::new(Speak::Telnyx, &["*=no_answer"]).await;
    place(&stage, &json!({"retry_on_timeout": true})).await;
    let end = told(&mut stage, "call.hangup").await;
    let wanted = &payload("ring time over")["data"]["payload"];
    assert_eq!(end["hangup_cause"], wanted["hangup_cause"]);
}

#[tokio::test]
async fn without_a_free_slot_a_call_is_accepted_and_ends() {
    let one = |options: &mut FakeOptions| {
        endless(options);
        options.slots = Some(1);
    };
    let mut stage = Stage::with(Speak::Telnyx, &[], one).await;
    place(&stage, &json!({"command_id": "1"})).await;
    let (status, _) = place(&stage, &json!({"command_id": "2"})).await;
    assert_eq!(status, 200);
    let end = told(&mut stage, "call.hangup").await;
    assert_eq!(end["sip_headers"][0]["value"], "SIP;cause=403;text=\"D1\"");
    assert_eq!(stage.fake.active(), 1);
}

#[tokio::test]
async fn a_repeated_command_is_ignored() {
    let stage = Stage::new(Speak::Telnyx, &[]).await;
    let (_, first) = place(&stage, &json!({})).await;
    let (_, again) = place(&stage, &json!({"timeout_secs": 9})).await;
    assert_eq!(
        first["data"]["call_control_id"],
        again["data"]["call_control_id"]
    );
}

#[tokio::test]
async fn machines_and_recordings_are_told_where_they_are_asked_for() {
    let mut stage = Stage::new(Speak::Telnyx, &["*=voicemail"]).await;
    let change = json!({"answering_machine_detection": "detect", "record": "record-from-answer"});
    place(&stage, &change).await;
    let found = told(&mut stage, "call.machine.detection.ended").await;
    assert_same(&payload("AMD machine")["data"]["payload"], &found, &[]);
    assert_eq!(found["result"], "machine");
    let saved = told(&mut stage, "call.recording.saved").await;
    assert!(saved["recording_urls"]["mp3"].is_string());
}

#[tokio::test]
async fn refusals_have_the_documented_shape() {
    let rules = [
        "*1=reject:422:10016 /to no such number",
        "*2=rate_limit:2",
        "*3=reject:503",
    ];
    let stage = Stage::new(Speak::Telnyx, &rules).await;
    let fields = |refused: &Value| {
        let error = &refused["errors"][0];
        (error["code"].clone(), error["source"]["pointer"].clone())
    };
    for (change, status, code, field) in [
        (json!({"to": "+14155550121"}), 422, "10016", json!("/to")),
        (json!({"to": "4155550121"}), 422, "10016", json!("/to")),
        (json!({"from": "4155550100"}), 422, "10016", json!("/from")),
        (
            json!({"connection_id": null}),
            422,
            "10004",
            json!("/connection_id"),
        ),
        (json!({"to": "+14155550122"}), 429, "10011", Value::Null),
        (json!({"to": "+14155550123"}), 503, "10007", Value::Null),
    ] {
        let (given, refused) = place(&stage, &change).await;
        assert_eq!(
            (given, fields(&refused)),
            (status, (json!(code), field)),
            "{change}"
        );
        let of_field = if status == 422 { 422 } else { 401 };
        assert_same(&answered("place", of_field, 0), &refused, &[]);
    }
    let slow = stage.client.post(stage.url("/v2/calls")).bearer_auth(KEY);
    let slow = slow.json(&request(&stage, &json!({"to": "+14155550122"})));
    assert_eq!(
        slow.send().await.unwrap().headers()["x-ratelimit-reset"],
        "2"
    );
    let balance = || stage.client.get(stage.url("/v2/balance"));
    let (status, refused) = answer(balance().bearer_auth("wrong")).await;
    assert_eq!((status, fields(&refused).0), (401, json!("10009")));
    // As if it did not exist.
    let (status, refused) = answer(balance()).await;
    assert_eq!((status, fields(&refused).0), (404, json!("10005")));
}
