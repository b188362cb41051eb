//! Against the data of `tests/providers/bland`: what Bland documents.

use tokio::net::TcpListener;

use super::*;
use crate::{
    domain::{Outcome, ReportKind},
    provider::platform::testing::{
        DIAL, Vector, WEBHOOK, answer, answering, checked, claimed, order, outcome, word,
    },
};

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../tests/providers/bland/", $name))
    };
}

const ID: &str = "8a9620f6-d634-4b92-8d75-93280a894a71";

fn bland() -> Bland {
    let scripts = "welcome=a0f0d4ed-f5f5-4f16-b3f9-22166594d7a7@3, ada=persona:p1";
    let settings = Settings {
        from: Some("+14155550100".parse().unwrap()),
        scripts: scripts.parse().unwrap(),
        record: true,
    };
    Bland::new(ADDRESS, "key".into(), settings).unwrap()
}

fn body(change: &Value) -> Value {
    bland().place_body(&order(&claimed(change))).unwrap()
}

#[test]
fn a_request_is_the_documented_one() {
    let mut documented: Value = serde_json::from_str(data!("place-rich.json")).unwrap();
    // By default it hangs up on a machine.
    documented.as_object_mut().unwrap().remove("voicemail");
    documented["webhook"] = WEBHOOK.into();
    // Only this line of the log says anything.
    documented["webhook_events"] = json!(["call"]);
    assert_eq!(body(&json!({})), documented);
}

#[test]
fn a_request_keeps_within_the_limits_of_its_fields() {
    for (seconds, minutes) in [(1, 1), (60, 1), (61, 2), (90_000, 720), (i32::MAX, 720)] {
        let body = body(&json!({"max_duration_sec": seconds}));
        assert_eq!(body["max_duration"], minutes, "{seconds}");
    }
    let body = body(&json!({"script_id": "ada", "from_number": "+14155550199", "metadata": 7}));
    assert_eq!(body["persona_id"], "p1");
    assert_eq!(body["from"], "+14155550199");
    assert_eq!(body["request_data"], json!({}));
    // It would ring again by itself.
    for never in ["pathway_id", "pathway_version", "retry", "start_time"] {
        assert_eq!(body.get(never), None);
    }
}

#[test]
fn a_version_may_be_a_word_and_a_number_may_be_of_the_pool() {
    let bland = Bland::new(ADDRESS, "key".into(), Settings::default()).unwrap();
    let call = claimed(&json!({"script_id": "a0@production"}));
    let body = bland.place_body(&order(&call)).unwrap();
    assert_eq!(
        (&body["pathway_id"], &body["pathway_version"]),
        (&json!("a0"), &json!("production"))
    );
    assert_eq!((body.get("from"), &body["record"]), (None, &json!(false)));
}

#[test]
fn a_webhook_that_is_not_https_is_refused_before_anything_is_sent() {
    let call = claimed(&json!({}));
    let webhook_url = WEBHOOK.replace("https", "http");
    let order = Order {
        webhook_url,
        ..order(&call)
    };
    let refused = bland().place_body(&order).unwrap_err();
    assert_eq!(word(&Placement::Refused(refused)), "forbidden");
}

#[test]
fn every_answer_to_a_dial_has_its_meaning() {
    let said = |message: &str| json!({"status": "error", "message": message}).to_string();
    let placed = format!("placed {ID}");
    let table = [
        (200, data!("place-200.json").to_owned(), placed.as_str()),
        (200, "{}".to_owned(), "unknown"),
        (200, said("something went wrong"), "unknown"),
        (200, said("This number is blacklisted."), "blocked number"),
        (200, said("Insufficient balance."), "account"),
        (
            200,
            json!({"status": "error", "call_id": ID}).to_string(),
            "unknown",
        ),
        (
            400,
            data!("error-400-dnc.json").to_owned(),
            "blocked number",
        ),
        (
            400,
            said("Cannot dial sensitive numbers."),
            "blocked number",
        ),
        (
            400,
            said("Invalid phone number: too short"),
            "invalid_number number",
        ),
        (
            400,
            r#"{"error":"Invalid phone number format"}"#.to_owned(),
            "invalid_number number",
        ),
        (
            400,
            said("Invalid from number: must have 10 or 12 digits"),
            "blocked request",
        ),
        (400, said("Invalid 'from' phone number"), "blocked request"),
        (400, said("Flagged Node"), "blocked request"),
        (400, said("Content flagged"), "blocked request"),
        (400, said("Invalid pathway_id"), "blocked request"),
        (400, said("Invalid webhook"), "forbidden"),
        (
            400,
            said("Additional properties are not allowed"),
            "forbidden",
        ),
        (400, said("Unable to queue call."), "unknown"),
        (400, said("Unable to save request body."), "unknown"),
        (401, data!("error-401.json").to_owned(), "account"),
        (402, said("No billing record found."), "account"),
        (403, said("Your account has been flagged"), "forbidden"),
        (404, said("Pathway with ID a0 not found"), "blocked request"),
        (404, said("Pathway version 3 not found"), "blocked request"),
        (404, "<html>not found</html>".to_owned(), "forbidden"),
        (408, String::new(), "unknown"),
        (
            418,
            r#"{"error":"OBJECTIVE_VALIDATION_ERROR"}"#.to_owned(),
            "blocked request",
        ),
        (
            429,
            data!("error-429-blacklist.json").to_owned(),
            "blocked number",
        ),
        (
            429,
            data!("error-429-same-number.json").to_owned(),
            "number limit",
        ),
        (429, said("Rate limit exceeded"), "capacity"),
        (429, said("Limited for newly created accounts"), "capacity"),
        (429, said("International rate limit exceeded"), "capacity"),
        (429, String::new(), "capacity"),
        (500, said("Error triggering call"), "unknown"),
        (500, said("Invalid phone number"), "unknown"),
        (503, String::new(), "unknown"),
        (302, String::new(), "unknown"),
    ];
    for (status, body, expected) in table {
        let placement = answers::placement(&answer(status, &body), Some("key"));
        assert_eq!(word(&placement), expected, "{status} {body}");
    }
    let same = answers::placement(&answer(429, data!("error-429-same-number.json")), None);
    let Placement::Refused(Refusal::NumberLimit {
        retry_after_sec, ..
    }) = same
    else {
        panic!("{same:?}");
    };
    assert_eq!(retry_after_sec, Some(10));
}

/// A cell of the table as a field of a call.
fn cell(text: &str) -> Value {
    match text {
        "" | "*" | "null" => Value::Null,
        text => text.into(),
    }
}

#[test]
fn every_status_ends_a_call_as_the_table_says() {
    let mut rows = 0;
    for row in data!("outcomes.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [status, by_whom, said, expected, answered] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        let words = said.split(" (SIP").next().unwrap().trim_matches('*').trim();
        let call = |status: Value, queue: Value, length: Value| {
            let call = json!({
                "call_id": ID, "status": status, "answered_by": cell(by_whom), "error_message": cell(words),
                "queue_status": queue, "call_length": length, "created_at": "2026-01-02T03:04:05Z",
            });
            report::of_call(call).unwrap()
        };
        let queues = status.strip_prefix("(none) queue_status=");
        for queue in queues.unwrap_or("complete").split('|') {
            let status = if queues.is_some() {
                Value::Null
            } else {
                status.into()
            };
            let silent = call(status.clone(), queue.into(), 0.into());
            let talked = call(status.clone(), queue.into(), json!(0.7));
            let unsaid = call(status, queue.into(), Value::Null);
            match expected {
                "progress" => assert_eq!(silent.kind, ReportKind::Progress, "{row}"),
                "unknown kind" => assert_eq!(silent.kind, ReportKind::Unknown, "{row}"),
                word => {
                    let expected = outcome(word);
                    assert_eq!(silent.outcome, Some(expected), "{row}");
                    let said_so = ["yes", "machine"].contains(&answered);
                    assert_eq!(silent.answered, said_so, "{row}");
                    let nobody = [Outcome::Busy, Outcome::NoAnswer, Outcome::InvalidNumber];
                    assert_eq!(talked.answered, !nobody.contains(&expected), "{row}");
                    let fault = expected == Outcome::ProviderFault && answered == "maybe";
                    assert_eq!(unsaid.answered, said_so || fault, "{row}");
                }
            }
        }
    }
    assert_eq!(rows, 25);
}

#[test]
fn whoever_was_connected_is_not_rung_again() {
    let failed = |change: Value| {
        let mut call = json!({
            "call_id": ID, "status": "failed", "error_message": "A database error occurred.",
            "call_length": 0, "created_at": "2026-01-02T03:04:05Z"
        });
        call.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        report::of_call(call).unwrap()
    };
    assert!(!failed(json!({})).answered);
    for change in [
        json!({"corrected_duration": "4"}),
        json!({"corrected_duration": 4}),
        json!({"call_length": 0.1}),
        json!({"answered_by": "human"}),
        json!({"answered_by": "voicemail"}),
        json!({"started_at": "2026-01-02T03:04:14Z"}),
    ] {
        let report = failed(change.clone());
        assert!(report.answered, "{change}");
        assert_eq!(report.outcome, Some(Outcome::ProviderFault));
    }
    // Bland's samples show the time at which the call was made.
    assert!(!failed(json!({"started_at": "2026-01-02T03:04:05Z"})).answered);
}

#[test]
fn a_word_that_nobody_knows_ends_only_what_is_over() {
    let call = |change: Value| {
        let mut call = json!({"call_id": ID, "status": "teleported"});
        call.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        report::of_call(call).unwrap()
    };
    assert_eq!(call(json!({})).kind, ReportKind::Unknown);
    assert_eq!(
        call(json!({"completed": false, "queue_status": "started"})).kind,
        ReportKind::Progress
    );
    assert_eq!(
        call(json!({"completed": false, "status": "completed"})).kind,
        ReportKind::Unknown
    );
    assert_eq!(
        call(json!({"completed": true})).outcome,
        Some(Outcome::Unknown)
    );
    let talked = call(json!({"completed": true, "call_length": 1}));
    assert_eq!(
        (talked.outcome, talked.answered),
        (Some(Outcome::Answered), true)
    );
    let other = call(json!({"status": "failed", "error_message": "Call exploded."}));
    assert_eq!(other.outcome, Some(Outcome::Unreachable));
}

fn read(body: &str) -> Report {
    bland().read(&Webhook::kept(body.as_bytes()))
}

#[test]
fn its_webhooks_tell_a_call_from_its_answer_to_its_citations() {
    let connected = read(data!("webhook-event-call.json"));
    assert_eq!(
        (connected.kind, connected.reference),
        (ReportKind::Answered, None)
    );
    assert_eq!(connected.provider_call_id.as_deref(), Some(ID));
    assert_eq!(
        read(data!("webhook-event-queue.json")).kind,
        ReportKind::Unknown
    );
    let other = data!("webhook-event-call.json").replace("connected", "transferred");
    assert_eq!(read(&other).kind, ReportKind::Unknown);

    let ended = read(data!("webhook-answered.json"));
    assert_eq!(
        (ended.outcome, ended.answered),
        (Some(Outcome::Answered), true)
    );
    assert_eq!(ended.reference.as_deref(), Some(DIAL));
    assert_eq!(ended.answered_at, "2026-01-02T03:04:14Z".parse().ok());
    for (name, value) in [
        ("durationSec", json!(47.0)),
        ("cost", json!(0.071)),
        ("costCurrency", json!("USD")),
        ("answeredBy", json!("human")),
        ("disposition_tag", json!("COMPLETED_ACTION")),
        ("transcript", json!("assistant: Hello Ada \n user: Hi \n ")),
        ("summary", json!("Ada confirmed.")),
        ("call_ended_by", json!("USER")),
    ] {
        assert_eq!(ended.result[name], value, "{name}");
    }
    assert!(ended.result["recordingUrl"].as_str().unwrap().ends_with(ID));
    for private in ["to", "from", "variables"] {
        assert_eq!(ended.result.get(private), None);
    }

    let missed = read(data!("webhook-no-answer.json"));
    assert_eq!(
        (missed.outcome, missed.answered),
        (Some(Outcome::NoAnswer), false)
    );
    assert_eq!(
        (missed.result.get("durationSec"), &missed.result["cost"]),
        (None, &json!(0.015))
    );
    let nobody = read(data!("webhook-failed-404.json"));
    assert_eq!(
        (nobody.outcome, nobody.answered),
        (Some(Outcome::InvalidNumber), false)
    );

    let later = read(data!("webhook-citations.json"));
    assert_eq!(
        (later.kind, later.status.as_deref()),
        (ReportKind::Unknown, Some("citations"))
    );
    assert_eq!(later.result["citations"], json!([]));
}

#[test]
fn one_event_delivered_twice_is_one() {
    let whole = data!("webhook-answered.json");
    let again = whole.replace("/recordings/", "/recordings/expiring/");
    let event_id = read(whole).event_id;
    assert_eq!(event_id.as_deref(), Some(format!("{ID}:final").as_str()));
    assert_eq!(read(&again).event_id, event_id);
    assert_eq!(
        read(data!("webhook-citations.json")).event_id,
        Some(format!("{ID}:citations"))
    );
    // Lines of the log have no name: their bytes are it.
    assert_eq!(read(data!("webhook-event-call.json")).event_id, None);
}

#[test]
fn strange_bodies_end_nothing() {
    for body in [
        "",
        "[]",
        "7",
        "{}",
        r#"{"call_id":[],"status":"completed"}"#,
    ] {
        assert_eq!(read(body).kind, ReportKind::Unparsable, "{body}");
    }
    let bare = json!({"call_id": ID, "metadata": 7}).to_string();
    assert_eq!(read(&bare).kind, ReportKind::Unknown);
    let whole = data!("webhook-answered.json");
    for end in (0..whole.trim_end().len()).step_by(31) {
        let half = whole.get(..end).unwrap();
        assert_eq!(read(half).kind, ReportKind::Unparsable, "{half}");
    }
}

#[test]
fn a_talk_of_a_megabyte_keeps_its_facts() {
    let mut body: Value = serde_json::from_str(data!("webhook-answered.json")).unwrap();
    body["transcripts"] =
        vec![json!({"user": "assistant", "text": "word ".repeat(100)}); 2000].into();
    body["concatenated_transcript"] = "word ".repeat(50_000).into();
    let report = read(&body.to_string());
    assert_eq!(report.result["durationSec"], 47.0);
    assert_eq!(report.result["truncated"], json!(["transcript"]));
}

#[test]
fn every_signature_is_judged_over_the_raw_bytes() {
    let vectors: Vec<Vector> = serde_json::from_str(data!("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        assert_eq!(
            vector.verified(&bland()).is_some(),
            vector.valid,
            "{}",
            vector.name
        );
    }
}

#[test]
fn a_look_up_by_id_proves_only_what_it_says() {
    let by_id = |status: u16, body: &str| answers::by_id(&answer(status, body), None);
    let LookedUp::Found(report) = by_id(200, data!("webhook-answered.json")).unwrap() else {
        panic!("it is a call");
    };
    assert_eq!(report.outcome, Some(Outcome::Answered));
    assert_eq!(by_id(404, "").unwrap(), LookedUp::NotFound);
    assert!(by_id(200, r#"{"status":"error","message":"no"}"#).is_err());
    assert!(by_id(400, "").is_err());
    assert!(by_id(500, "").is_err());
    assert!(answers::page(&answer(200, r#"{"calls":[]}"#), None).is_err());
    assert!(answers::page(&answer(401, data!("error-401.json")), None).is_err());
}

async fn listen() -> (TcpListener, Bland) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (
        listener,
        Bland::new(&address, "key".into(), Settings::default()).unwrap(),
    )
}

#[tokio::test]
async fn a_dial_is_found_in_the_list_or_by_asking_for_what_it_lists() {
    let dial = DIAL.parse().unwrap();
    let ours = json!({"call_id": ID, "status": "busy", "metadata": {REFERENCE: DIAL}});
    let other = json!({"call_id": "x", "status": "busy", "metadata": null});
    let silent = json!({"call_id": ID});
    let page =
        |calls: Value, total: usize| json!({"calls": calls, "total_count": total}).to_string();
    let full = Value::from(vec![other.clone(); PAGE]);
    for pages in [
        vec![page(json!([other, ours]), 2)],
        vec![page(full, PAGE + 1), page(json!([ours]), PAGE + 1)],
        vec![page(json!([silent]), 1), ours.to_string()],
    ] {
        let (listener, bland) = listen().await;
        let (found, seen) = tokio::join!(bland.look_up(dial, None), answering(listener, &pages));
        let LookedUp::Found(report) = found.unwrap() else {
            panic!("it is there");
        };
        assert_eq!(report.outcome, Some(Outcome::Busy));
        assert!(
            seen[0].contains("ascending=false&from=0&to=100 "),
            "{}",
            seen[0]
        );
        assert!(
            seen[0].contains("\r\nauthorization: key\r\n"),
            "{}",
            seen[0]
        );
    }
    let (listener, bland) = listen().await;
    let pages = vec![page(json!([other]), 1)];
    let (found, _) = tokio::join!(bland.look_up(dial, None), answering(listener, &pages));
    assert_eq!(found.unwrap(), LookedUp::NotFound);
}

#[tokio::test]
async fn a_call_is_stopped_unless_it_is_over() {
    let over = data!("webhook-no-answer.json").to_owned();
    let waits = json!({"call_id": ID, "queue_status": "queued"}).to_string();
    let error = data!("stop-error.json").to_owned();
    for (answers, expected) in [
        (
            vec![data!("stop-200.json").to_owned()],
            Some(Cancellation::Agreed),
        ),
        (vec![error.clone(), over], Some(Cancellation::AlreadyOver)),
        (vec![error, waits], None),
    ] {
        let (listener, bland) = listen().await;
        let (ended, seen) = tokio::join!(bland.cancel(ID), answering(listener, &answers));
        assert_eq!(ended.ok(), expected);
        assert!(
            seen[0].starts_with(&format!("POST /v1/calls/{ID}/stop ")),
            "{}",
            seen[0]
        );
    }
}

#[tokio::test]
async fn an_account_is_asked_about_all_that_a_call_needs() {
    let bland = |address: &str| {
        let settings = Settings {
            from: Some("+14155550100".parse().unwrap()),
            scripts: "a=p1@3,b=persona:x1,c=p2@production".parse().unwrap(),
            record: false,
        };
        Bland::new(address, "sk_0123".into(), settings).unwrap()
    };
    let me = |balance: f64| json!({"status": "active", "billing": {"current_balance": balance}, "total_calls": 7});
    let none = json!({"inbound_numbers": []});
    let (found, asked) = checked(
        bland,
        "https://calls.example.com/callbacks/default",
        &[
            (200, me(12.5)),
            (200, none.clone()),
            (
                200,
                json!({"outbound_numbers": [{"phone_number": "+14155550100"}]}),
            ),
            (200, json!({"name": "Welcome", "nodes": [], "edges": []})),
            (
                200,
                json!({"data": {"id": "x1", "name": "Ada"}, "errors": null}),
            ),
            (
                200,
                json!({"status": "error", "message": "Pathway not found"}),
            ),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
    assert_eq!(
        asked,
        [
            "/v1/me",
            "/v1/inbound",
            "/v1/outbound",
            "/v1/pathway/p1/version/3",
            "/v1/personas/x1",
            "/v1/pathway/p2",
        ]
    );
    let gone =
        json!({"data": null, "errors": [{"error": "NOT_FOUND", "message": "Persona not found"}]});
    let (found, _) = checked(
        bland,
        "http://calls.example.com/callbacks/default",
        &[
            (200, me(0.0)),
            (200, none),
            (200, json!({"outbound_numbers": []})),
            (404, gone.clone()),
            (404, gone.clone()),
            (404, gone),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_machine_gets_the_message_or_nothing() {
    let with_text = json!({"voicemailMessage": "Call us back."});
    let message = json!({"action": "leave_message", "message": "Call us back."});
    for (told, metadata, expected) in [
        ("ignore", &with_text, Value::Null),
        ("hang_up", &with_text, json!({"action": "hangup"})),
        ("leave_message", &with_text, message),
        ("leave_message", &json!({}), json!({"action": "hangup"})),
    ] {
        let body = body(&json!({"answering_machine": told, "metadata": metadata}));
        assert_eq!(body["voicemail"], expected, "{told}");
    }
}

#[test]
fn the_tag_is_the_disposition() {
    for (tag, disposition) in [
        (json!("DO_NOT_CONTACT"), Some("do_not_call")),
        (json!("COMPLETED_ACTION"), Some("completed_action")),
        (json!("Call them, on Monday"), None),
        (Value::Null, None),
    ] {
        let call = json!({ "call_id": "c", "status": "completed", "completed": true, "answered_by": "human",
            "disposition_tag": tag });
        let report = read(&call.to_string());
        assert_eq!(report.disposition.as_deref(), disposition, "{tag}");
        assert_eq!(report.result["disposition_tag"], tag);
    }
}
