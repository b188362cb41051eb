//! Twilio.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use pgdial_fake_provider::{Ending, FakeOptions, Span, Speak, ledger};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::{
    shape::assert_same,
    stage::{KEY, Received, SECRET, Stage, answer, documented, documented_text},
};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const REFERENCE: &str = "0197f5e0-0000-7000-8000-000000000001-2";

/// The `nth` documented answer to this operation with this status.
fn answered(operation: &str, status: u16, nth: usize) -> Value {
    let all = documented("twilio/answers.json");
    let found = all.as_array().unwrap().iter();
    let mut found = found.filter(|one| one["op"] == operation && one["http"] == status);
    let body = found.nth(nth).unwrap()["body"].as_str().unwrap();
    serde_json::from_str(body).unwrap()
}

fn payload(name: &str) -> Value {
    let all = documented("twilio/payloads.json");
    let mut all = all.as_array().unwrap().iter();
    let found = all.find(|one| one["name"] == name).unwrap();
    let body = found["body"].as_str().unwrap();
    let fields = form_urlencoded::parse(body.as_bytes());
    fields
        .map(|(name, value)| (name.into_owned(), Value::from(value)))
        .collect()
}

fn callback_url(stage: &Stage) -> String {
    format!("{}/default/{REFERENCE}/tag?b=1&a=%20", stage.webhook_url)
}

async fn post(stage: &Stage, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let url = stage.url(&format!("/2010-04-01/Accounts/{ACCOUNT}{path}"));
    let mut body = form_urlencoded::Serializer::new(String::new());
    let request = stage.client.post(url).basic_auth(ACCOUNT, Some(KEY));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    answer(request.body(body.extend_pairs(form).finish())).await
}

async fn get(stage: &Stage, path: &str) -> (u16, Value) {
    let url = stage.url(&format!("/2010-04-01/Accounts/{ACCOUNT}{path}"));
    answer(stage.client.get(url).basic_auth(ACCOUNT, Some(KEY))).await
}

/// Places a call that reports everything; `also` are further fields.
async fn place(stage: &Stage, also: &[(&str, &str)]) -> (u16, Value) {
    // The fragment tells Twilio how to repeat a callback, and is neither sent nor signed.
    let callback = format!("{}#rc=5&rp=all", callback_url(stage));
    let mut form = vec![
        ("To", "+15005550199"),
        ("From", "+15005550100"),
        ("Url", "https://scripts.example.net/v/welcome?name=Ada"),
        ("StatusCallback", &callback),
        ("Timeout", "45"),
        ("TimeLimit", "900"),
    ];
    let events = ["initiated", "ringing", "answered", "completed"];
    form.extend(events.map(|event| ("StatusCallbackEvent", event)));
    form.extend(also);
    post(stage, "/Calls.json", &form).await
}

fn assert_signed(stage: &Stage, webhook: &Received) {
    let fields: BTreeMap<_, _> = form_urlencoded::parse(&webhook.body).collect();
    let text: String = fields.iter().flat_map(|(n, v)| [&**n, &**v]).collect();
    let mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(callback_url(stage)).chain_update(text);
    let signature = BASE64.encode(mac.finalize().into_bytes());
    assert_eq!(webhook.header("x-twilio-signature"), signature);
}

/// The next callback, the last of its call.
async fn last(stage: &mut Stage) -> Value {
    loop {
        let form = stage.webhook().await.form();
        if form.get("CallDuration").is_some() {
            return form;
        }
    }
}

#[tokio::test]
async fn a_call_is_told_as_it_is_documented() {
    let mut stage = Stage::new(Speak::Twilio, &[]).await;
    let (status, placed) = place(&stage, &[]).await;
    assert_eq!(status, 201);
    assert_same(&answered("place", 201, 0), &placed, &[]);
    let told = [
        "initiated",
        "ringing",
        "answered (arrives as in-progress)",
        "completed by a person",
    ];
    for name in told {
        let webhook = stage.webhook().await;
        assert_signed(&stage, &webhook);
        assert!(!webhook.header("i-twilio-idempotency-token").is_empty());
        let (wanted, given) = (payload(name), webhook.form());
        assert_same(&wanted, &given, &[]);
        for field in ["CallStatus", "SequenceNumber", "From", "To"] {
            assert_eq!(wanted[field], given[field], "{name}: {field}");
        }
    }
    let rings = ledger::read(stage.fake.ledger()).unwrap();
    assert_eq!(rings[0].reference, REFERENCE);
}

#[tokio::test]
async fn a_call_can_be_looked_up_and_listed() {
    let mut stage = Stage::new(Speak::Twilio, &[]).await;
    let mut sids = Vec::new();
    for _ in 0..3 {
        let (_, placed) = place(&stage, &[("MachineDetection", "Enable")]).await;
        sids.push(placed["sid"].as_str().unwrap().to_owned());
        last(&mut stage).await;
    }
    let (_, shown) = get(&stage, &format!("/Calls/{}.json", sids[0])).await;
    let mut wanted = answered("look_up", 200, 1);
    // Not there at first.
    wanted["price"] = shown["price"].clone();
    wanted["date_created"] = json!("");
    assert_same(&wanted, &shown, &[]);
    // The newest first; a parameter with a word that Twilio does not know narrows nothing.
    let mut next = String::from(
        "/Calls.json?PageSize=2&StartTime%3E=2026-01-01&StartTimeAfter=2999-01-01&To=%2B15005550199",
    );
    for page in [&sids[1..], &sids[..1]] {
        let (_, listed) = get(&stage, &next).await;
        let calls = listed["calls"].as_array().unwrap();
        let mut found: Vec<_> = calls
            .iter()
            .map(|call| call["sid"].as_str().unwrap())
            .collect();
        found.reverse();
        assert_eq!(found, page);
        let following = listed["next_page_uri"].as_str().unwrap_or_default();
        next = following.replace(&format!("/2010-04-01/Accounts/{ACCOUNT}"), "");
    }
    assert_eq!(next, "");
    for none in [
        "Status=busy",
        "To=%2B1500",
        "StartTime%3E=2999-01-01",
        "EndTime%3C=2020-01-01",
    ] {
        let (_, listed) = get(&stage, &format!("/Calls.json?{none}")).await;
        assert_eq!(listed["calls"], json!([]), "{none}");
    }
}

#[tokio::test]
async fn every_ending_has_its_words() {
    let table = documented_text("twilio/statuses.tsv");
    let rows: Vec<Vec<_>> = table.lines().map(|row| row.split('\t').collect()).collect();
    for (word, ending) in Ending::ALL {
        let mut stage = Stage::new(Speak::Twilio, &[&format!("*={word}")]).await;
        place(&stage, &[("MachineDetection", "Enable")]).await;
        let told = last(&mut stage).await;
        let field = |name: &str| told[name].as_str().unwrap_or_default();
        let is_row = |row: &&Vec<&str>| {
            let sip = field("SipResponseCode");
            row[..2] == [field("CallStatus"), field("AnsweredBy")] && ["", sip].contains(&row[2])
        };
        let found = rows.iter().filter(is_row);
        let outcome = found.max_by_key(|row| row[2].len()).unwrap()[4];
        let expected = match ending {
            Ending::Completed | Ending::Fault => "answered",
            Ending::Failed => "unreachable",
            Ending::Capacity => "provider_fault",
            _ => word,
        };
        assert_eq!(outcome, expected, "{told}");
        let events_before = match field("CallDuration") {
            "0" if ending.rings() => "2",
            "0" => "1",
            _ => "3",
        };
        assert_eq!(field("SequenceNumber"), events_before, "{word}");
        let talked = field("CallDuration") != "0";
        assert_eq!(
            talked,
            ["answered", "voicemail"].contains(&outcome),
            "{word}"
        );
    }
}

#[tokio::test]
async fn without_machine_detection_voicemail_is_a_completed_call() {
    let mut stage = Stage::new(Speak::Twilio, &["*=voicemail"]).await;
    place(&stage, &[]).await;
    assert_same(
        &payload("completed by a person"),
        &last(&mut stage).await,
        &[],
    );
}

#[tokio::test]
async fn only_the_end_is_told_unless_more_is_asked_for() {
    let mut stage = Stage::new(Speak::Twilio, &[]).await;
    let url = callback_url(&stage);
    let mut form = vec![
        ("To", "+15005550199"),
        ("From", "+15005550100"),
        ("Url", "https://x.example"),
    ];
    form.push(("StatusCallback", &url));
    post(&stage, "/Calls.json", &form).await;
    let told = stage.webhook().await.form();
    assert_eq!(told["CallStatus"], "completed");
    assert_eq!(told["SequenceNumber"], "0");
}

#[tokio::test]
async fn a_call_is_canceled_in_the_queue_and_does_not_ring() {
    let mut stage = Stage::new(Speak::Twilio, &["*=queued:1h"]).await;
    let (_, placed) = place(&stage, &[]).await;
    let path = format!("/Calls/{}.json", placed["sid"].as_str().unwrap());
    let (_, shown) = get(&stage, &path).await;
    assert_eq!(
        (&shown["status"], &shown["start_time"]),
        (&json!("queued"), &Value::Null)
    );
    // Deletes the record.
    let url = stage.url(&format!("/2010-04-01/Accounts/{ACCOUNT}{path}"));
    answer(stage.client.delete(url).basic_auth(ACCOUNT, Some(KEY))).await;
    assert_eq!(get(&stage, &path).await.1["status"], "queued");
    let (status, canceled) = post(&stage, &path, &[("Status", "canceled")]).await;
    assert_eq!(status, 200);
    assert_same(&answered("cancel", 200, 0), &canceled, &[]);
    assert_eq!(canceled["status"], "canceled");
    let told = stage.webhook().await.form();
    assert_same(&payload("canceled"), &told, &[]);
    assert_eq!(told["SequenceNumber"], "0");
    assert!(ledger::read(stage.fake.ledger()).unwrap().is_empty());
    let (status, over) = post(&stage, &path, &[("Status", "completed")]).await;
    assert_eq!((status, &over["code"]), (400, &json!(21220)));
}

#[tokio::test]
async fn an_application_keeps_its_own_callback() {
    // Every webhook comes before the response, and none is for want of a URL.
    let without = |options: &mut FakeOptions| options.webhook_url = None;
    let mut stage = Stage::with(Speak::Twilio, &["*=early"], without).await;
    let application = ("ApplicationSid", "AP00000000000000000000000000000001");
    place(&stage, &[application]).await;
    let (_, placed) = place(&stage, &[]).await;
    assert_eq!(stage.webhook().await.form()["CallSid"], placed["sid"]);
}

#[tokio::test]
async fn refusals_have_the_documented_shape() {
    let rules = [
        "*1=reject:400:21211 no such number",
        "*2=rate_limit:3",
        "*3=reject:503",
    ];
    let stage = Stage::new(Speak::Twilio, &rules).await;
    for (to, status, code) in [
        ("+15005550191", 400, 21211),
        ("+15005550192", 429, 20429),
        ("+15005550193", 503, 20503),
        ("5005550199", 400, 21211),
    ] {
        let form = [
            ("To", to),
            ("From", "+15005550100"),
            ("Url", "https://x.example"),
        ];
        let (given, refused) = post(&stage, "/Calls.json", &form).await;
        assert_eq!((given, &refused["code"]), (status, &json!(code)), "{to}");
        assert_same(&answered("place", 400, 0), &refused, &[]);
    }
    let both = ("StatusCallbackEvent", "initiated completed");
    assert_eq!(place(&stage, &[both]).await.1["code"], 21626);
    assert_eq!(get(&stage, "/Calls/CA0.json").await.1["code"], 20404);
    let url = stage.url(&format!("/2010-04-01/Accounts/{ACCOUNT}/Balance.json"));
    for (user, password) in [(ACCOUNT, "wrong"), ("AC0", KEY), ("SK0", KEY)] {
        let request = stage.client.get(&url).basic_auth(user, Some(password));
        let (status, refused) = answer(request).await;
        assert_eq!((status, &refused["code"]), (401, &json!(20003)), "{user}");
    }
}

#[tokio::test]
async fn an_api_key_places_calls_and_does_not_show_the_account() {
    let key = |options: &mut FakeOptions| options.key = Some("SK01:secret".into());
    let stage = Stage::with(Speak::Twilio, &[], key).await;
    for (path, user, password, expected) in [
        ("/Balance.json", "SK01", "secret", 200),
        ("/Balance.json", "SK02", "secret", 401),
        ("/Balance.json", ACCOUNT, "SK01:secret", 401),
        (".json", "SK01", "secret", 401),
    ] {
        let url = stage.url(&format!("/2010-04-01/Accounts/{ACCOUNT}{path}"));
        let request = stage.client.get(url).basic_auth(user, Some(password));
        assert_eq!(answer(request).await.0, expected, "{path} {user}");
    }
}

#[tokio::test]
async fn without_a_free_slot_a_call_is_refused() {
    let one = |options: &mut FakeOptions| options.slots = Some(1);
    let stage = Stage::with(Speak::Twilio, &["*=queued:1h"], one).await;
    assert_eq!(place(&stage, &[]).await.0, 201);
    let (status, refused) = place(&stage, &[]).await;
    assert_eq!((status, &refused["code"]), (429, &json!(10004)));
}

#[tokio::test]
async fn canceled_spares_a_conversation_and_completed_ends_it() {
    let endless = |options: &mut FakeOptions| options.talk = Span::exactly(Duration::from_hours(1));
    let mut stage = Stage::with(Speak::Twilio, &[], endless).await;
    let (_, placed) = place(&stage, &[]).await;
    let path = format!("/Calls/{}.json", placed["sid"].as_str().unwrap());
    while stage.webhook().await.form()["CallStatus"] != "in-progress" {}
    for (status, shown) in [("canceled", "in-progress"), ("completed", "completed")] {
        let (_, updated) = post(&stage, &path, &[("Status", status)]).await;
        assert_eq!(updated["status"], shown);
    }
    assert_eq!(last(&mut stage).await["CallStatus"], "completed");
}
