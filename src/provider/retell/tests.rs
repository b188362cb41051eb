//! Against the data of `tests/providers/retell`: what Retell documents, and vectors that its own SDK made.

use std::time::Duration;

use hyper::{HeaderMap, Method, StatusCode, body::Bytes, header::HeaderName};
use serde::Deserialize;

use super::*;
use crate::{
    domain::{ClaimedCall, ReportKind},
    provider::{
        Deadline, Stopwatch,
        answer::Answer,
        platform::testing::{checked, word},
    },
};

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../tests/providers/retell/", $name))
    };
}

const DIAL: &str = "0197f5e0-0000-7000-8000-000000000001-1";

fn retell() -> Retell {
    let scripts = "welcome=agent_0123456789abcdef0123456789@latest_published".parse();
    let from = "+14155550100".parse().unwrap();
    Retell::new(ADDRESS, "key".into(), Some(from), scripts.unwrap()).unwrap()
}

fn call(change: &Value) -> ClaimedCall {
    let mut call = json!({
        "id": "0197f5e0-0000-7000-8000-000000000001", "claim_no": 1, "attempt": 1,
        "phone": "+14155550123", "from_number": null, "script_id": "welcome",
        "metadata": {"name": "Ada", "order": 4711}, "trunk": "default", "campaign": "default",
        "lease_until": "2026-01-02T03:04:05.678901Z", "lease_sec": 60, "ring_timeout_sec": 45, "max_duration_sec": 1800
    });
    for (name, value) in change.as_object().unwrap() {
        call[name] = value.clone();
    }
    serde_json::from_value(call).unwrap()
}

fn body(call: &ClaimedCall) -> Result<Value, Refusal> {
    let order = Order {
        call,
        webhook_url: "https://calls.example.com/callbacks/call-status/default/x/y".to_owned(),
        deadline: Deadline::of_claim(Stopwatch::start(), Duration::from_mins(1)),
    };
    let retell = retell();
    let body = retell.place_body(&order)?;
    Ok(serde_json::to_value(&body).unwrap())
}

#[test]
fn a_request_is_the_documented_one() {
    let mut documented: Value = serde_json::from_str(data!("place-rich.json")).unwrap();
    let agent = &mut documented["agent_override"]["agent"];
    // What to do with a machine is the agent's own setting.
    agent.as_object_mut().unwrap().remove("voicemail_option");
    agent["webhook_url"] = "https://calls.example.com/callbacks/call-status/default/x/y".into();
    assert_eq!(body(&call(&json!({}))).unwrap(), documented);
}

#[test]
fn a_request_keeps_within_the_limits_of_its_fields() {
    let long = call(&json!({
        "script_id": "agent_9@3", "from_number": "+14155550199", "metadata": [1],
        "ring_timeout_sec": 1, "max_duration_sec": 36000
    }));
    let body = body(&long).unwrap();
    assert_eq!(body["from_number"], "+14155550199");
    assert_eq!(body["override_agent_id"], "agent_9");
    assert_eq!(body["override_agent_version"], 3);
    assert_eq!(body["retell_llm_dynamic_variables"], json!({}));
    let agent = &body["agent_override"]["agent"];
    assert_eq!(agent["ring_duration_ms"], 5_000);
    assert_eq!(agent["max_call_duration_ms"], 7_200_000);
}

#[test]
fn variables_are_texts() {
    let call = call(
        &json!({ "metadata": {"name": "Ada", "age": 36, "vip": true, "tags": ["a"], "none": null} }),
    );
    let variables = body(&call).unwrap()["retell_llm_dynamic_variables"].take();
    let texts =
        json!({"name": "Ada", "age": "36", "vip": "true", "tags": "[\"a\"]", "none": "null"});
    assert_eq!(variables, texts);
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn placed(status: u16, body: &str) -> Placement {
    answers::placement(&answer(status, body), Some("key"))
}

#[test]
fn every_answer_to_a_dial_has_its_meaning() {
    let said = |message: &str| json!({"status": "error", "message": message}).to_string();
    let table = [
        (
            201,
            data!("place-201.json").to_owned(),
            "placed call_0123456789abcdef0123456789a",
        ),
        (201, "{}".to_owned(), "unknown"),
        (400, data!("error-400.json").to_owned(), "forbidden"),
        (
            400,
            said("The contact is marked do_not_call"),
            "blocked number",
        ),
        (
            400,
            said("to_number is not a valid E.164 number"),
            "invalid_number number",
        ),
        (
            400,
            said("from_number is not in this workspace"),
            "blocked request",
        ),
        (401, data!("error-401.json").to_owned(), "account"),
        (402, data!("error-402.json").to_owned(), "account"),
        (403, said("not allowed"), "forbidden"),
        (404, "<html>not found</html>".to_owned(), "forbidden"),
        (408, String::new(), "unknown"),
        (409, said("already in progress"), "unknown"),
        (422, data!("error-422.json").to_owned(), "forbidden"),
        (429, data!("error-429.json").to_owned(), "capacity"),
        (500, data!("error-500.json").to_owned(), "unknown"),
        (503, String::new(), "unknown"),
        (522, "<html>cloudflare</html>".to_owned(), "unknown"),
        (302, String::new(), "unknown"),
    ];
    for (status, body, expected) in table {
        assert_eq!(word(&placed(status, &body)), expected, "{status} {body}");
    }
}

#[test]
fn the_key_and_numbers_stay_out_of_its_words() {
    let Placement::Refused(Refusal::Account { why }) = placed(
        401,
        r#"{"message": "key KEY is not valid for +14155550123"}"#,
    ) else {
        panic!("no refusal of the account");
    };
    assert_eq!(why, "HTTP 401: [key] [key] is not valid for +***********");
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
    now_ms: i64,
    valid: bool,
}

#[test]
fn every_signature_is_judged_as_its_sdk_judges_it() {
    let vectors: Vec<Vector> = serde_json::from_str(data!("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 13);
    for vector in vectors {
        let headers: HeaderMap = vector
            .headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let webhook = Webhook {
            method: &Method::POST,
            url: "https://calls.example.com/",
            headers: &headers,
            body: vector.body.as_bytes(),
        };
        let secrets = vector.secret.parse().unwrap();
        // The database compares the times, to the millisecond.
        let in_time = |verified: Verified| {
            let signed = verified.signed_at.unwrap();
            (vector.now_ms - signed.unix_ms).abs() <= i64::from(signed.within_sec) * 1000
        };
        let judged = retell().verify(&webhook, &secrets).is_ok_and(in_time);
        assert_eq!(judged, vector.valid, "{}", vector.name);
    }
}

#[test]
fn what_claims_no_signature_is_refused_before_its_body_is_read() {
    let mut headers = HeaderMap::new();
    headers.insert("x-signature", "v=1,d=00".parse().unwrap());
    assert!(retell().claims_signature(&headers).is_err());
    headers.insert("x-retell-signature", "v=1,d=00".parse().unwrap());
    assert!(retell().claims_signature(&headers).is_ok());
}

#[test]
fn every_reason_ends_a_call_as_the_table_says() {
    let mut rows = 0;
    for row in data!("reasons.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [reason, status, outcome, answered, ..] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        let call = |start: Option<i64>| {
            let mut call =
                json!({ "call_id": "c", "call_status": status, "disconnection_reason": reason });
            if let Some(start) = start {
                call["start_timestamp"] = start.into();
            }
            report::of_call(call).unwrap()
        };
        let (unanswered, connected) = (call(None), call(Some(1_767_323_053_000)));
        assert_eq!(unanswered.kind, ReportKind::Ended, "{reason}");
        assert_eq!(unanswered.outcome.unwrap().as_str(), outcome, "{reason}");
        let said_so = ["answered", "voicemail"].contains(&outcome);
        assert_eq!(unanswered.answered, said_so, "{reason} {answered}");
        // Whoever was connected is not rung again, whatever the end is called.
        assert!(connected.answered, "{reason}");
        let put_back = [Some(Outcome::Account), Some(Outcome::Capacity)];
        assert!(
            outcome == "capacity" || !put_back.contains(&connected.outcome),
            "{reason}"
        );
    }
    assert_eq!(rows, 39);
}

#[test]
fn a_reason_that_nobody_knows_ends_it_without_a_retry() {
    let ended = |call: Value| report::of_call(call).unwrap();
    let strange =
        json!({ "call_id": "c", "call_status": "ended", "disconnection_reason": "teleported" });
    assert_eq!(ended(strange).outcome, Some(Outcome::Unknown));
    let talked = json!({ "call_id": "c", "call_status": "ended", "disconnection_reason": "teleported", "start_timestamp": 1_767_323_053_000_i64 });
    assert_eq!(ended(talked).outcome, Some(Outcome::Answered));
}

fn read(body: &str) -> Report {
    retell().read(&Webhook::kept(body.as_bytes()))
}

#[test]
fn its_webhooks_tell_a_call_from_its_answer_to_its_analysis() {
    let started = read(data!("webhook-call_started.json"));
    assert_eq!(
        (started.kind, started.reference.as_deref()),
        (ReportKind::Answered, Some(DIAL))
    );
    let at = "2026-01-02T03:04:13Z".parse().ok();
    assert_eq!(started.answered_at, at);

    let ended = read(data!("webhook-call_ended.json"));
    assert_eq!(
        (ended.kind, ended.outcome),
        (ReportKind::Ended, Some(Outcome::Answered))
    );
    assert_eq!((ended.answered, ended.answered_at), (true, at));
    assert_eq!(ended.status.as_deref(), Some("user_hangup"));
    for (name, value) in [
        ("durationSec", json!(47.0)),
        ("cost", json!(0.094)),
        ("costCurrency", json!("USD")),
        ("endedReason", json!("user_hangup")),
        ("transcript", json!("Agent: Hello Ada\nUser: Hi")),
    ] {
        assert_eq!(ended.result[name], value, "{name}");
    }
    assert!(
        ended.result["recordingUrl"]
            .as_str()
            .unwrap()
            .ends_with("recording.wav")
    );
    assert!(ended.result.get("to_number").is_none(), "{}", ended.result);

    let analysed = read(data!("webhook-call_analyzed.json"));
    assert_eq!(analysed.outcome, Some(Outcome::Answered));
    assert_eq!(analysed.result["summary"], "Ada confirmed.");
    assert_eq!(analysed.result["answeredBy"], "human");
    assert_ne!(analysed.event_id, ended.event_id);

    let busy = read(data!("webhook-call_ended-busy.json"));
    assert_eq!(
        (busy.outcome, busy.answered, busy.answered_at),
        (Some(Outcome::Busy), false, None)
    );
    // Analyzed although nobody answered.
    let mut unanswered: Value =
        serde_json::from_str(data!("webhook-call_ended-busy.json")).unwrap();
    unanswered["event"] = json!("call_analyzed");
    unanswered["call"]["call_analysis"] = json!({"in_voicemail": false});
    let unanswered = read(&unanswered.to_string());
    assert_eq!(unanswered.outcome, Some(Outcome::Busy));
    assert_eq!(unanswered.result.get("answeredBy"), None);
}

#[test]
fn one_event_delivered_twice_is_one() {
    let first = read(data!("webhook-call_ended.json"));
    let again =
        data!("webhook-call_ended.json").replace("recording.wav", "recording.wav?expires=1");
    assert_eq!(read(&again).event_id, first.event_id);
    assert!(first.event_id.unwrap().ends_with(":call_ended"));
}

#[test]
fn strange_bodies_end_nothing() {
    for (body, kind) in [
        ("", ReportKind::Unparsable),
        ("[]", ReportKind::Unparsable),
        (r#"{"event":"call_ended"}"#, ReportKind::Unparsable),
        (
            r#"{"event":"call_ended","call":{}}"#,
            ReportKind::Unparsable,
        ),
        (
            r#"{"event":"transfer_started","call":{"call_id":"c"}}"#,
            ReportKind::Unknown,
        ),
        (
            r#"{"event":"transcript_updated","call":{"call_id":"c","call_status":"ongoing"}}"#,
            ReportKind::Unknown,
        ),
    ] {
        assert_eq!(read(body).kind, kind, "{body}");
    }
    let whole = data!("webhook-call_ended.json");
    for end in 0..whole.len() {
        let half = whole.get(..end).unwrap();
        assert_eq!(read(half).kind, ReportKind::Unparsable, "{half}");
    }
}

#[test]
fn a_talk_of_a_megabyte_keeps_its_facts() {
    let mut body: Value = serde_json::from_str(data!("webhook-call_ended.json")).unwrap();
    body["call"]["transcript_object"] =
        vec![json!({"role": "agent", "content": "word ".repeat(100)}); 2000].into();
    body["call"]["transcript"] = "word ".repeat(50_000).into();
    let report = read(&body.to_string());
    assert_eq!(report.result["durationSec"], 47.0);
    assert_eq!(report.result["truncated"], json!(["transcript"]));
}

#[test]
fn a_look_up_tells_where_a_call_stands() {
    let by_id = |status: u16, body: &str| answers::by_id(&answer(status, body), None);
    let kind = |status: &str, start: &str| {
        let body = format!(r#"{{"call_id":"c","call_status":"{status}"{start}}}"#);
        match by_id(200, &body).unwrap() {
            LookedUp::Found(report) => report.kind,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kind("registered", ""), ReportKind::Progress);
    assert_eq!(kind("ongoing", ""), ReportKind::Progress);
    assert_eq!(
        kind("ongoing", r#","start_timestamp":1767323053000"#),
        ReportKind::Answered
    );
    assert_eq!(kind("not_connected", ""), ReportKind::Ended);
    assert_eq!(kind("teleported", ""), ReportKind::Unknown);
    assert_eq!(
        by_id(422, data!("error-422.json")).unwrap(),
        LookedUp::NotFound
    );
    assert_eq!(by_id(404, "").unwrap(), LookedUp::NotFound);
    assert!(by_id(422, r#"{"message":"call_id is malformed"}"#).is_err());
    assert!(by_id(200, "<html>").is_err());
    assert!(by_id(500, data!("error-500.json")).is_err());
}

#[test]
fn a_list_proves_only_what_carries_the_reference() {
    let listed = |status: u16, body: &str| {
        answers::by_reference(&answer(status, body), DIAL.parse().unwrap(), None)
    };
    let LookedUp::Found(report) = listed(200, data!("list-200.json")).unwrap() else {
        panic!("it is in the list");
    };
    assert_eq!(report.outcome, Some(Outcome::Answered));
    assert_eq!(
        listed(200, r#"{"items":[],"has_more":false}"#).unwrap(),
        LookedUp::NotFound
    );
    let of_others = data!("list-200.json").replace("-8000-000000000001", "-8000-000000000002");
    assert!(
        listed(200, &of_others).is_err(),
        "a filter that was passed over"
    );
    assert!(listed(200, "[]").is_err());
    assert!(listed(422, data!("error-422.json")).is_err());
}

#[test]
fn the_end_of_a_call_is_asked_for_once_more_unless_it_is_over() {
    let ended = |status: u16, body: &str| answers::cancellation(&answer(status, body), None);
    assert_eq!(ended(204, "").unwrap(), Cancellation::Agreed);
    assert_eq!(
        ended(422, data!("error-422.json")).unwrap(),
        Cancellation::AlreadyOver
    );
    assert!(ended(400, data!("error-400.json")).is_err());
    assert!(ended(429, data!("error-429.json")).is_err());
}

#[tokio::test]
async fn a_workspace_is_asked_about_all_that_a_call_needs() {
    let retell = |address: &str| {
        let scripts = "spring=agent_2@3,welcome=agent_1".parse().unwrap();
        let from = Some("+14155550100".parse().unwrap());
        Retell::new(address, "sk_0123".into(), from, scripts).unwrap()
    };
    let room = json!({"current_concurrency": 3, "concurrency_limit": 20});
    let number = json!({"phone_number": "+14155550100", "phone_number_type": "custom"});
    let unknown =
        json!({"status": "error", "message": "Cannot find requested asset under given api key."});
    let (found, asked) = checked(
        retell,
        "",
        &[
            (200, room.clone()),
            (200, number),
            (422, unknown.clone()),
            (200, json!({"agent_id": "agent_1", "version": 0})),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
    assert_eq!(
        asked,
        [
            "/get-concurrency",
            "/get-phone-number/%2B14155550100",
            "/get-agent/agent_2?version=3",
            "/get-agent/agent_1",
        ]
    );
    let refused = json!({"status": "error", "message": "API key is missing or invalid: sk_0123"});
    let (found, _) = checked(retell, "", &[(401, refused)]).await;
    assert_eq!(
        found,
        [
            "wrong key: the key is refused: HTTP 401: API key is missing or invalid: [key] -> set PROVIDER_KEY to a key of the account"
        ]
    );
    let (found, _) = checked(retell, "", &[(500, json!({}))]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("warn key: the platform does not say: HTTP 500"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_platform_that_nobody_reaches_is_a_warning() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let retell = Retell::new(&address, "sk_0123".into(), None, Scripts::default()).unwrap();
    let found = retell.check("").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].about, found[0].severity.as_str()),
        ("key", "warn")
    );
}

#[test]
fn what_to_do_with_a_machine_overrides_the_agent() {
    let with_text = json!({"voicemailMessage": "Call us back."});
    let documented: Value = serde_json::from_str(data!("place-rich.json")).unwrap();
    let hang_up = documented["agent_override"]["agent"]["voicemail_option"].clone();
    let text = json!({"action": {"type": "static_text", "text": "Call us back."}});
    for (told, metadata, expected) in [
        ("ignore", &with_text, Value::Null),
        ("hang_up", &with_text, hang_up),
        ("leave_message", &with_text, text),
        // The agent's own.
        (
            "leave_message",
            &json!({"voicemailMessage": " "}),
            Value::Null,
        ),
    ] {
        let call = call(&json!({"answering_machine": told, "metadata": metadata}));
        let body = body(&call).unwrap();
        assert_eq!(
            body["agent_override"]["agent"]["voicemail_option"], expected,
            "{told}"
        );
    }
}

#[test]
fn what_the_callee_asks_for_is_a_disposition() {
    for (reason, disposition) in [
        ("user_requested_dnc", Some("do_not_call")),
        ("user_requested_callback", Some("callback")),
        ("user_hangup", None),
    ] {
        let call = json!({ "call_id": "c", "call_status": "ended", "disconnection_reason": reason,
            "start_timestamp": 1_767_323_053_000_u64 });
        let report = read(&json!({ "event": "call_ended", "call": call }).to_string());
        assert_eq!(report.disposition.as_deref(), disposition, "{reason}");
        assert_eq!(report.outcome, Some(Outcome::Answered), "{reason}");
    }
}
