//! Bland.

use hmac::{Hmac, KeyInit, Mac};
use pgdial_fake_provider::Speak;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    shape::assert_same,
    stage::{KEY, SECRET, Stage, answer, documented},
};

/// The documented request, with our URL. Where there is no certificate, `https` is only a word.
fn request(stage: &Stage) -> Value {
    let mut request = documented("bland/place-rich.json");
    request["webhook"] = json!(stage.webhook_url.replacen("http", "https", 1));
    request
}

fn with(stage: &Stage, name: &str, value: Value) -> Value {
    let mut request = request(stage);
    request[name] = value;
    request
}

async fn place(stage: &Stage, request: &Value) -> (u16, Value) {
    post(stage, "/v1/calls", request).await
}

async fn post(stage: &Stage, path: &str, body: &Value) -> (u16, Value) {
    let request = stage.client.post(stage.url(path)).json(body);
    answer(request.header("authorization", KEY)).await
}

async fn get(stage: &Stage, path: &str) -> (u16, Value) {
    answer(
        stage
            .client
            .get(stage.url(path))
            .header("authorization", KEY),
    )
    .await
}

/// The next webhook, whose signature is right.
async fn next(stage: &mut Stage) -> Value {
    let webhook = stage.webhook().await;
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let digest = mac.chain_update(&webhook.body).finalize().into_bytes();
    assert_eq!(webhook.header("x-webhook-signature"), hex::encode(digest));
    webhook.json()
}

/// The next webhook that is a call object.
async fn report(stage: &mut Stage) -> Value {
    loop {
        let webhook = next(stage).await;
        if webhook.get("completed").is_some() {
            return webhook;
        }
    }
}

/// What a call object repeats of a request that says more than that of the documented call.
const ALSO: [&str; 1] = ["/variables"];

#[tokio::test]
async fn a_call_is_told_as_it_is_documented() {
    let mut stage = Stage::new(Speak::Bland, &[]).await;
    let request = with(
        &stage,
        "webhook_events",
        json!(["queue", "call", "citations"]),
    );
    let (status, placed) = place(&stage, &request).await;
    assert_eq!(status, 200);
    assert_same(&documented("bland/place-200.json"), &placed, &[]);
    for line in ["queue", "call"] {
        let line = documented(&format!("bland/webhook-event-{line}.json"));
        let told = next(&mut stage).await;
        assert_same(&line, &told, &[]);
        assert_eq!(told["message"], line["message"]);
    }
    let told = next(&mut stage).await;
    assert_same(&documented("bland/webhook-answered.json"), &told, &ALSO);
    let citations = next(&mut stage).await;
    assert_same(&documented("bland/webhook-citations.json"), &citations, &[]);

    let id = placed["call_id"].as_str().unwrap();
    assert_eq!(get(&stage, &format!("/v1/calls/{id}")).await, (200, told));
    let since = "2026-01-01T00:00:00%2B00:00";
    let page = |from: usize| format!("/v1/calls?start_date={since}&from={from}&to={}", from + 1);
    let (_, first) = get(&stage, &page(0)).await;
    assert_eq!(
        (&first["total_count"], &first["count"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(first["calls"][0]["call_id"], id);
    let (_, second) = get(&stage, &page(1)).await;
    assert_eq!(second["calls"], json!([]));
}

#[tokio::test]
async fn what_the_conversation_came_to_is_a_tag() {
    for (rule, tag) in [
        ("*=completed,disposition:do_not_call", "DO_NOT_CONTACT"),
        ("*=completed,disposition:interested", "INTERESTED"),
        ("*=busy,disposition:interested", "BUSY"),
    ] {
        let mut stage = Stage::new(Speak::Bland, &[rule]).await;
        place(&stage, &request(&stage)).await;
        assert_eq!(report(&mut stage).await["disposition_tag"], tag, "{rule}");
    }
}

#[tokio::test]
async fn what_is_not_answered_has_its_own_words() {
    for (rule, file) in [
        ("*=declined", "no-answer"),
        ("*=invalid_number", "failed-404"),
    ] {
        let mut stage = Stage::new(Speak::Bland, &[rule]).await;
        place(&stage, &request(&stage)).await;
        let told = report(&mut stage).await;
        let documented = documented(&format!("bland/webhook-{file}.json"));
        assert_same(&documented, &told, &ALSO);
        for name in ["status", "error_message", "disposition_tag", "price"] {
            assert_eq!(told[name], documented[name], "{rule}");
        }
    }
}

#[tokio::test]
async fn a_machine_completes_a_call_and_a_fault_fails_one_that_was_answered() {
    let mut stage = Stage::new(Speak::Bland, &["*=voicemail"]).await;
    place(&stage, &request(&stage)).await;
    let told = report(&mut stage).await;
    assert_eq!(
        (&told["status"], &told["answered_by"]),
        (&json!("completed"), &json!("voicemail"))
    );
    let mut stage = Stage::new(Speak::Bland, &["*=fault"]).await;
    place(&stage, &request(&stage)).await;
    let told = report(&mut stage).await;
    assert_eq!(
        (&told["status"], &told["queue_status"]),
        (&json!("failed"), &json!("call_error"))
    );
    assert_eq!(told["corrected_duration"], "1");
}

#[tokio::test]
async fn a_number_is_rung_once_in_ten_seconds() {
    let stage = Stage::new(Speak::Bland, &[]).await;
    place(&stage, &request(&stage)).await;
    let refused = place(&stage, &request(&stage)).await;
    assert_eq!(
        refused,
        (429, documented("bland/error-429-same-number.json"))
    );
    let other = with(&stage, "phone_number", json!("+14155550124"));
    assert_eq!(place(&stage, &other).await.0, 200);
}

#[tokio::test]
async fn a_call_that_is_over_has_no_line_to_stop() {
    let mut stage = Stage::new(Speak::Bland, &[]).await;
    let (_, placed) = place(&stage, &request(&stage)).await;
    report(&mut stage).await;
    let stop = format!("/v1/calls/{}/stop", placed["call_id"].as_str().unwrap());
    let (_, body) = post(&stage, &stop, &json!({})).await;
    assert_eq!(body, documented("bland/stop-error.json"));
}

#[tokio::test]
async fn refusals_have_the_documented_words() {
    let dnc = documented("bland/error-400-dnc.json");
    let dnc_words = dnc["message"].as_str().unwrap();
    let rules = [
        &format!("*66=reject:400:{dnc_words}"),
        "*77=reject:429:This number is blacklisted.",
        "script:gone=reject:404",
    ];
    let stage = Stage::new(Speak::Bland, &rules).await;
    let anonymous = stage.client.get(stage.url("/v1/me"));
    let (status, body) = answer(anonymous).await;
    assert_eq!((status, body), (401, documented("bland/error-401.json")));
    let to = |number: &str| with(&stage, "phone_number", json!(number));
    assert_eq!(place(&stage, &to("+14155550166")).await, (400, dnc));
    let blacklisted = documented("bland/error-429-blacklist.json");
    assert_eq!(place(&stage, &to("+14155550177")).await, (429, blacklisted));
    for (request, words) in [
        (to("4155550123"), "Invalid phone number."),
        (
            with(&stage, "webhook", json!(stage.webhook_url)),
            "starts with https://",
        ),
        (with(&stage, "max_duration", json!(0)), "at least 1"),
        (with(&stage, "batch", json!(true)), "Additional properties"),
        (with(&stage, "from", json!("Ada")), "Invalid 'from'"),
        (
            json!({"phone_number": "+14155550123"}),
            "Missing required parameter: task.",
        ),
    ] {
        let (status, body) = place(&stage, &request).await;
        assert_eq!((status, &body["status"]), (400, &json!("error")));
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(get(&stage, "/v1/pathway/gone").await.0, 404);
    let (_, version) = get(&stage, "/v1/pathway/good/version/3").await;
    assert_eq!(version["version_number"], 3);
}

#[tokio::test]
async fn a_machine_is_hung_up_on_unless_there_is_a_message() {
    for (voicemail, is_hung_up) in [
        (json!({"action": "hangup"}), true),
        (
            json!({"action": "hangup", "message": "Call us back."}),
            false,
        ),
    ] {
        let mut stage = Stage::of_machines(Speak::Bland).await;
        place(&stage, &with(&stage, "voicemail", voicemail)).await;
        let told = report(&mut stage).await;
        assert_eq!(told["answered_by"], "voicemail");
        let seconds: u64 = told["corrected_duration"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(seconds < 3, is_hung_up, "{seconds}");
    }
}
