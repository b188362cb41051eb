//! Against the data of `tests/providers/elevenlabs`: what ElevenLabs documents, and vectors that its own
//! SDK agrees with.

use tokio::net::TcpListener;

use super::*;
use crate::{
    domain::ReportKind,
    provider::platform::testing::{
        DIAL, Vector, answer, answering, checked, claimed, order, outcome, word,
    },
};

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../tests/providers/elevenlabs/", $name))
    };
}

const ID: &str = "conv_01abc";

fn elevenlabs() -> ElevenLabs {
    let settings = Settings {
        numbers: "+14155550100=phnum_01abc,+14155550101=phnum_02"
            .parse()
            .unwrap(),
        scripts: "welcome=agent_01abc".parse().unwrap(),
        ..Settings::default()
    };
    ElevenLabs::new(ADDRESS, "key".into(), settings).unwrap()
}

fn body(change: &Value) -> Result<Value, Refusal> {
    elevenlabs().place_body(&order(&claimed(change)))
}

#[test]
fn a_request_is_the_documented_one() {
    let mut documented: Value = serde_json::from_str(data!("place-rich.json")).unwrap();
    // What to do with a machine is the agent's own setting.
    let config = documented["telephony_call_config"].as_object_mut().unwrap();
    config.remove("twilio_machine_detection");
    assert_eq!(body(&json!({})).unwrap(), documented);
}

#[test]
fn variables_are_plain_and_the_reference_is_ours() {
    let metadata =
        json!({"age": 36, "vip": true, "tags": ["a"], "none": null, REFERENCE: "forged"});
    let change =
        json!({"metadata": metadata, "script_id": "agent_9@spring", "from_number": "+14155550101"});
    let mut body = body(&change).unwrap();
    assert_eq!(body["agent_id"], "agent_9");
    assert_eq!(body["agent_phone_number_id"], "phnum_02");
    let client_data = body["conversation_initiation_client_data"].take();
    assert_eq!(client_data["branch_id"], "spring");
    let variables =
        json!({"age": 36, "vip": true, "tags": "[\"a\"]", "none": "null", REFERENCE: DIAL});
    assert_eq!(client_data["dynamic_variables"], variables);
}

#[test]
fn what_cannot_be_said_is_refused_before_anything_is_sent() {
    for change in [
        json!({"from_number": "+14155550199"}),
        json!({"metadata": {"system__time": "now"}}),
    ] {
        let refused = body(&change).unwrap_err();
        assert_eq!(
            word(&Placement::Refused(refused)),
            "blocked request",
            "{change}"
        );
    }
}

#[test]
fn each_carrier_has_its_path() {
    for (carrier, name) in [
        (Carrier::Twilio, "twilio"),
        (Carrier::Sip, "sip-trunk"),
        (Carrier::Exotel, "exotel"),
    ] {
        assert_eq!(carrier.path(), format!("/v1/convai/{name}/outbound-call"));
    }
}

fn placed(carrier: Carrier, status: u16, body: &str) -> String {
    word(&answers::placement(
        &answer(status, body),
        carrier,
        Some("key"),
    ))
}

#[test]
fn every_answer_to_a_dial_has_its_meaning() {
    let detail = |status: &str| json!({"detail": {"status": status, "message": "no"}}).to_string();
    let table = [
        (
            200,
            data!("place-200-twilio.json").to_owned(),
            "placed conv_01abc",
        ),
        (
            200,
            data!("place-200-sip.json").to_owned(),
            "placed conv_01abc",
        ),
        (200, data!("place-200-refused.json").to_owned(), "account"),
        (
            200,
            r#"{"success":true,"conversation_id":null,"callSid":"CA1"}"#.to_owned(),
            "unknown",
        ),
        (
            200,
            r#"{"conversation_id":"conv_01abc"}"#.to_owned(),
            "unknown",
        ),
        (200, "{}".to_owned(), "unknown"),
        (400, detail("invalid_api_key"), "account"),
        (400, detail("quota_exceeded"), "account"),
        (400, detail("other"), "forbidden"),
        (401, data!("error-401.json").to_owned(), "account"),
        (401, detail("quota_exceeded"), "account"),
        (402, String::new(), "account"),
        (403, detail("missing_permissions"), "forbidden"),
        (404, detail("agent_not_found"), "forbidden"),
        (404, "<html>not found</html>".to_owned(), "forbidden"),
        (408, String::new(), "unknown"),
        (409, String::new(), "unknown"),
        (
            422,
            data!("error-422.json").to_owned(),
            "invalid_number number",
        ),
        (
            422,
            data!("error-422.json").replace("to_number", "agent_id"),
            "forbidden",
        ),
        (422, r#"{"detail":[{"loc":[]},7]}"#.to_owned(), "forbidden"),
        (425, String::new(), "unknown"),
        (429, detail("too_many_concurrent_requests"), "capacity"),
        (429, detail("system_busy"), "capacity"),
        (500, String::new(), "unknown"),
        (522, "<html>cloudflare</html>".to_owned(), "unknown"),
        (302, String::new(), "unknown"),
    ];
    for (status, body, expected) in table {
        assert_eq!(
            placed(Carrier::Twilio, status, &body),
            expected,
            "{status} {body}"
        );
    }
}

#[test]
fn a_success_that_is_none_is_certain_only_where_nothing_rang() {
    let mut rows = 0;
    for row in data!("refused.tsv").lines().skip(1) {
        let (message, expected) = row.split_once('\t').unwrap();
        rows += 1;
        let said = |change: Value| {
            let mut body = json!({"success": false, "message": message});
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            body.to_string()
        };
        assert_eq!(
            placed(Carrier::Twilio, 200, &said(json!({}))),
            expected,
            "{message}"
        );
        // An INVITE may have gone out, or Twilio has a call.
        assert_eq!(placed(Carrier::Sip, 200, &said(json!({}))), "unknown");
        assert_eq!(placed(Carrier::Exotel, 200, &said(json!({}))), "unknown");
        assert_eq!(
            placed(Carrier::Twilio, 200, &said(json!({"callSid": "CA1"}))),
            "unknown"
        );
        assert_eq!(
            placed(Carrier::Twilio, 200, &said(json!({"conversation_id": ID}))),
            "unknown"
        );
    }
    assert_eq!(rows, 15);
}

fn read(body: &str) -> Report {
    elevenlabs().read(&Webhook::kept(body.as_bytes()))
}

#[test]
fn every_failure_ends_a_call_as_the_table_says() {
    let mut rows = 0;
    for row in data!("failures.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [reason, status, code, expected] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        for code in code.split(' ') {
            // The types of its numbers are loose.
            for (name, code) in [
                ("SipResponseCode", json!(code)),
                ("sip_status_code", json!(code.parse::<u64>().ok())),
            ] {
                let body = json!({name: code, "CallStatus": status, "To": "+14155550123"});
                let data = json!({
                    "conversation_id": ID, "failure_reason": reason, "metadata": {"type": "x", "body": body}
                });
                let event = json!({"type": "call_initiation_failure", "data": data});
                let report = read(&event.to_string());
                assert_eq!(report.outcome, Some(outcome(expected)), "{event}");
                assert!(!report.answered, "{event}");
                assert_eq!((report.reference, report.result.get("To")), (None, None));
            }
        }
    }
    assert_eq!(rows, 19);
}

#[test]
fn every_conversation_means_what_the_table_says() {
    let mut rows = 0;
    for row in data!("conversations.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [status, result, voicemail, seconds, expected, answered] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        let conversation = json!({
            "conversation_id": ID, "status": status,
            "metadata": {
                "call_duration_secs": seconds.parse::<u32>().ok(),
                "start_time_unix_secs": 1_767_323_050,
                "phone_call": {"call_result": Some(result).filter(|word| !word.is_empty())},
                "features_usage": {"voicemail_detection": {"used": voicemail == "used"}},
            }
        });
        let report = report::of_conversation(conversation, ADDRESS).unwrap();
        let kind = match expected {
            "progress" => ReportKind::Progress,
            "answers" => ReportKind::Answered,
            "unknown kind" => ReportKind::Unknown,
            _ => ReportKind::Ended,
        };
        assert_eq!(report.kind, kind, "{row}");
        if kind == ReportKind::Ended {
            assert_eq!(report.outcome, Some(outcome(expected)), "{row}");
        }
        assert_eq!(report.answered, answered == "yes", "{row}");
        assert_eq!(report.answered_at.is_some(), report.answered, "{row}");
    }
    assert_eq!(rows, 17);
}

#[test]
fn a_transcription_is_of_a_call_that_was_picked_up() {
    let ended = read(data!("webhook-transcription.json"));
    assert_eq!(
        (ended.kind, ended.outcome),
        (ReportKind::Ended, Some(Outcome::Answered))
    );
    assert_eq!(ended.reference.as_deref(), Some(DIAL));
    assert_eq!(ended.provider_call_id.as_deref(), Some(ID));
    assert_eq!(
        (ended.answered, ended.answered_at),
        (true, "2026-01-02T03:04:13Z".parse().ok())
    );
    for (name, value) in [
        ("durationSec", json!(47.0)),
        ("costCurrency", json!("USD")),
        ("endedReason", json!("Client disconnected: 1000")),
        (
            "recordingUrl",
            json!(format!("{ADDRESS}/v1/convai/conversations/{ID}/audio")),
        ),
        ("transcript", json!("agent: Hello Ada\nuser: Hi")),
        ("summary", json!("Ada confirmed.")),
        ("agent_id", json!("agent_01abc")),
    ] {
        assert_eq!(ended.result[name], value, "{name}");
    }
    // Credits are not money.
    assert_eq!(ended.result["cost"], 0.052);
    let in_credits = data!("webhook-transcription.json").replace(r#","cost_fiat":0.052"#, "");
    assert_eq!(read(&in_credits).result.get("cost"), None);
    for private in [
        "phone_call",
        "conversation_initiation_client_data",
        "user_id",
    ] {
        assert_eq!(ended.result.get(private), None);
    }

    // The model failed, and nothing else says that somebody listened.
    let failed = data!("webhook-transcription.json")
        .replace("\"done\"", "\"failed\"")
        .replace("\"call_result\":\"answered\",", "")
        .replace(
            "\"accepted_time_unix_secs\":1767323053,\"call_duration_secs\":47,",
            "",
        );
    let failed = read(&failed);
    assert_eq!(
        (failed.outcome, failed.answered),
        (Some(Outcome::ProviderFault), true)
    );
    assert_eq!(failed.answered_at, "2026-01-02T03:04:10Z".parse().ok());
}

#[test]
fn a_call_that_nobody_picked_up_names_its_conversation_alone() {
    let busy = read(data!("webhook-failure-twilio.json"));
    assert_eq!((busy.outcome, busy.answered), (Some(Outcome::Busy), false));
    assert_eq!(
        (busy.reference, busy.provider_call_id.as_deref()),
        (None, Some(ID))
    );
    assert_eq!(busy.result["CallSid"], "CA00000000000000000000000000000001");
    assert_eq!(
        (busy.result.get("To"), busy.result.get("From")),
        (None, None)
    );
    let declined = read(data!("webhook-failure-sip.json"));
    assert_eq!(declined.outcome, Some(Outcome::Declined));
    assert_eq!(declined.result["sip_status"], "Decline");
}

#[test]
fn the_calls_of_other_agents_carry_no_reference() {
    for other in ["", "\"\"", "\"customer-7\"", "7", "{}"] {
        let user = if other.is_empty() {
            String::new()
        } else {
            format!(",\"user_id\":{other}")
        };
        let body = format!(
            r#"{{"type":"post_call_transcription","data":{{"conversation_id":"conv_9","status":"done"{user}}}}}"#
        );
        let report = read(&body);
        assert_eq!(
            (report.kind, report.reference),
            (ReportKind::Ended, None),
            "{body}"
        );
    }
    let by_user = json!({"conversation_id": ID, "user_id": DIAL, "status": "done"});
    let report = report::of_conversation(by_user, ADDRESS).unwrap();
    assert_eq!(report.reference.as_deref(), Some(DIAL));
}

#[test]
fn a_transcription_is_foreign_only_if_it_shows_that_we_did_not_call() {
    let inbound = json!({"phone_call": {"direction": "inbound"}});
    let began_with = |variables: Value| json!({ "dynamic_variables": variables });
    for (metadata, client_data, foreign) in [
        (inbound, Value::Null, true),
        (Value::Null, began_with(json!({"name": "Bo"})), true),
        (Value::Null, began_with(json!({REFERENCE: "no"})), true),
        (Value::Null, began_with(json!({REFERENCE: DIAL})), false),
        // Without variables nothing is certain: something may have removed them.
        (Value::Null, began_with(json!({})), false),
        (Value::Null, Value::Null, false),
    ] {
        let data = json!({"conversation_id": ID, "status": "done", "metadata": metadata,
                          "conversation_initiation_client_data": client_data});
        let body = json!({"type": "post_call_transcription", "data": data}).to_string();
        assert_eq!(read(&body).foreign, foreign, "{body}");
    }
    let unanswered = include_str!("../../../tests/providers/elevenlabs/webhook-failure-sip.json");
    assert!(!read(unanswered).foreign, "it never has a reference");
}

#[test]
fn one_event_delivered_twice_is_one() {
    let whole = data!("webhook-transcription.json");
    let again = whole.replace("1767323130", "1767323190");
    let event_id = read(whole).event_id;
    assert_eq!(
        event_id.as_deref(),
        Some("conv_01abc:post_call_transcription")
    );
    assert_eq!(read(&again).event_id, event_id);
}

#[test]
fn strange_bodies_end_nothing() {
    let event = |kind: &str, data: Value| json!({"type": kind, "data": data}).to_string();
    let named = json!({"conversation_id": ID, "status": "done", "answered_by": "machine_start"});
    for (body, kind) in [
        (String::new(), ReportKind::Unparsable),
        ("[]".to_owned(), ReportKind::Unparsable),
        (
            event("post_call_transcription", json!({})),
            ReportKind::Unparsable,
        ),
        (
            event("call_initiation_failure", json!([])),
            ReportKind::Unparsable,
        ),
        (
            event(
                "post_call_audio",
                json!({"conversation_id": ID, "full_audio": "aaaa"}),
            ),
            ReportKind::Unknown,
        ),
        (
            event("answering_machine_detection", named.clone()),
            ReportKind::Unknown,
        ),
        (
            event("unredacted_post_call_transcription", named.clone()),
            ReportKind::Unknown,
        ),
        (event("", named.clone()), ReportKind::Unknown),
    ] {
        assert_eq!(read(&body).kind, kind, "{body}");
    }
    let verdict = read(&event("answering_machine_detection", named));
    assert_eq!(verdict.result, json!({"answeredBy": "machine_start"}));
    let strange = event(
        "call_initiation_failure",
        json!({"conversation_id": ID, "metadata": 7}),
    );
    assert_eq!(read(&strange).outcome, Some(Outcome::Unreachable));
    let whole = data!("webhook-transcription.json");
    for end in (0..whole.trim_end().len()).step_by(31) {
        let half = whole.get(..end).unwrap();
        assert_eq!(read(half).kind, ReportKind::Unparsable, "{half}");
    }
}

#[test]
fn a_talk_of_a_megabyte_keeps_its_facts() {
    let mut body: Value = serde_json::from_str(data!("webhook-transcription.json")).unwrap();
    let turn = json!({"role": "agent", "message": "word ".repeat(100)});
    body["data"]["transcript"] = vec![turn; 2000].into();
    let report = read(&body.to_string());
    assert_eq!(report.result["durationSec"], 47.0);
    assert_eq!(report.result["truncated"], json!(["transcript"]));
}

#[test]
fn every_signature_is_judged_as_its_sdk_judges_it() {
    let vectors: Vec<Vector> = serde_json::from_str(data!("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        // The database compares the times, to the millisecond.
        let in_time = vector.verified(&elevenlabs()).is_some_and(|verified| {
            let (signed, now) = (verified.signed_at.unwrap(), vector.now_s.unwrap());
            (now * 1000 - signed.unix_ms).abs() <= i64::from(signed.within_sec) * 1000
        });
        // Its SDKs have no bound for a time to come, and so none for a replay.
        let valid = vector.valid && vector.name != "future";
        assert_eq!(in_time, valid, "{}", vector.name);
    }
}

#[test]
fn a_look_up_by_id_proves_only_what_it_says() {
    let by_id = |status: u16, body: &str| answers::by_id(&answer(status, body), ADDRESS, None);
    assert_eq!(by_id(404, "").unwrap(), LookedUp::NotFound);
    assert!(by_id(200, "{}").is_err());
    assert!(by_id(401, data!("error-401.json")).is_err());
    assert!(by_id(500, "").is_err());
    let listed = |body: &str| answers::listed(&answer(200, body), None);
    assert_eq!(
        listed(r#"{"conversations":[]}"#).unwrap(),
        Vec::<String>::new()
    );
    assert!(listed("[]").is_err());
    assert!(listed(r#"{"conversations":[{}]}"#).is_err());
}

async fn look_up(answers: Vec<Value>) -> (Result<LookedUp, Error>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let elevenlabs = ElevenLabs::new(&address, "key".into(), Settings::default()).unwrap();
    let answers: Vec<_> = answers.iter().map(Value::to_string).collect();
    let dial = DIAL.parse().unwrap();
    tokio::join!(
        elevenlabs.look_up(dial, None),
        answering(listener, &answers)
    )
}

#[tokio::test]
async fn a_dial_is_found_by_its_user_and_only_if_it_carries_the_reference() {
    let listed = |ids: &[&str]| {
        let items: Vec<_> = ids
            .iter()
            .map(|id| json!({"conversation_id": id}))
            .collect();
        json!({"conversations": items, "has_more": false})
    };
    let of = |user: &str| json!({"conversation_id": ID, "status": "initiated", "user_id": user});
    let (found, seen) = look_up(vec![listed(&[ID]), of(DIAL)]).await;
    assert!(
        matches!(found.unwrap(), LookedUp::Found(report) if report.kind == ReportKind::Progress)
    );
    let first = format!("GET /v1/convai/conversations?user_id={DIAL}&page_size=100 ");
    assert!(seen[0].starts_with(&first), "{}", seen[0]);
    assert!(seen[0].contains("\r\nxi-api-key: key\r\n"), "{}", seen[0]);
    let (found, _) = look_up(vec![listed(&[])]).await;
    assert_eq!(found.unwrap(), LookedUp::NotFound);
    let (found, _) = look_up(vec![listed(&["a", "b"]), of("others"), of("others")]).await;
    assert!(found.is_err(), "a filter that was passed over");
}

#[tokio::test]
async fn a_call_cannot_be_ended() {
    let ended = elevenlabs().cancel(ID).await.unwrap();
    assert_eq!(ended, Cancellation::Unsupported);
}

#[tokio::test]
async fn a_workspace_is_asked_about_all_that_a_call_needs() {
    const URL: &str = "https://calls.example.com/callbacks/default";
    let labs = |address: &str| {
        let settings = Settings {
            numbers: "+14155550100=phnum_1".parse().unwrap(),
            scripts: "welcome=agent_1".parse().unwrap(),
            ..Settings::default()
        };
        ElevenLabs::new(address, "sk_0123".into(), settings).unwrap()
    };
    let number = |provider: &str| json!({"phone_number": "+14155550100", "phone_number_id": "phnum_1", "provider": provider});
    let set =
        |events: &[&str]| json!({"webhooks": {"post_call_webhook_id": "wh_1", "events": events}});
    let webhook = |url: &str, off: bool| json!({"webhooks": [{"webhook_id": "wh_0", "webhook_url": "https://x.example"}, {"webhook_id": "wh_1", "webhook_url": url, "is_disabled": false, "is_auto_disabled": off}]});
    let agent = json!({"agent_id": "agent_1", "name": "Welcome"});
    let (found, asked) = checked(
        labs,
        URL,
        &[
            (200, json!({"conversations": []})),
            (200, json!({"status": "active", "tier": "pro", "character_count": 10, "character_limit": 100})),
            (200, number("twilio")),
            (200, agent.clone()),
            (200, set(&["transcript", "call_initiation_failure"])),
            (200, webhook(URL, false)),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
    assert_eq!(
        asked,
        [
            "/v1/convai/conversations?page_size=1",
            "/v1/user/subscription",
            "/v1/convai/phone-numbers/phnum_1",
            "/v1/convai/agents/agent_1",
            "/v1/convai/settings",
            "/v1/workspace/webhooks",
        ]
    );
    let missing = json!({"detail": {"status": "missing_permissions", "message": "The API key is missing the permission user_read"}});
    let mut own = agent;
    own["platform_settings"]["workspace_overrides"]["webhooks"] =
        json!({"post_call_webhook_id": "wh_0"});
    let (found, _) = checked(
        labs,
        URL,
        &[
            (200, json!({"conversations": []})),
            (401, missing),
            (200, number("sip_trunk")),
            (200, own),
            (200, set(&["transcript"])),
            (200, webhook(URL, true)),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
    let (found, _) = checked(
        labs,
        URL,
        &[
            (200, json!({"conversations": []})),
            (200, json!({})),
            (
                404,
                json!({"detail": {"status": "not_found", "message": "No such number"}}),
            ),
            (
                404,
                json!({"detail": {"status": "not_found", "message": "No such agent"}}),
            ),
            (200, json!({"webhooks": null})),
            (200, json!({"webhooks": []})),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn twilio_is_told_to_hang_up_on_machines_and_other_carriers_nothing() {
    let mut documented: Value = serde_json::from_str(data!("place-rich.json")).unwrap();
    let hang_up = documented["telephony_call_config"]["twilio_machine_detection"].take();
    for (carrier, told, expected) in [
        (Carrier::Twilio, "ignore", &Value::Null),
        (Carrier::Twilio, "hang_up", &hang_up),
        (Carrier::Twilio, "leave_message", &Value::Null),
        (Carrier::Sip, "hang_up", &Value::Null),
    ] {
        let mut agents = elevenlabs();
        agents.settings.carrier = carrier;
        let call = claimed(&json!({"answering_machine": told}));
        let body = agents.place_body(&order(&call)).unwrap();
        let detection = &body["telephony_call_config"]["twilio_machine_detection"];
        assert_eq!(detection, expected, "{carrier:?} {told}");
        let known = agents.capabilities().answering_machine.unwrap();
        assert_eq!(
            known.contains(&AnsweringMachine::HangUp),
            carrier == Carrier::Twilio
        );
    }
}
