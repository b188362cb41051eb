//! Against the data of `tests/providers/vapi`: what Vapi documents, every reason that it knows, and vectors.

use hyper::body::Bytes;
use tokio::net::TcpListener;

use super::*;
use crate::{
    domain::ReportKind,
    provider::platform::testing::{
        DIAL, Vector, WEBHOOK, answer, answering, checked, claimed, order, outcome, word,
    },
};

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../tests/providers/vapi/", $name))
    };
}

const ID: &str = "019d2ad0-6eb1-7aac-9377-0fc25d8bc1ad";
const CREDENTIAL: &str = "9f1c2f7e-1111-4222-8333-444455556666";

fn settings() -> Settings {
    let numbers = "+14155550100=3701f662-ed3e-440e-9a34-9c3eda663145, +14155550101=other";
    let scripts = "welcome=2bec425c-2d0b-4368-bf4d-3f0ff5f25d01, team=squad:5a";
    Settings {
        from: None,
        numbers: numbers.parse().unwrap(),
        scripts: scripts.parse().unwrap(),
        transport: Transport::Twilio,
        webhooks: Webhooks::PerCall {
            credential_id: CREDENTIAL.to_owned(),
        },
    }
}

fn vapi() -> Vapi {
    Vapi::new(ADDRESS, "key".into(), settings()).unwrap()
}

fn body(change: &Value, settings: Settings) -> Result<Value, Refusal> {
    let vapi = Vapi::new(ADDRESS, "key".into(), settings).unwrap();
    vapi.place_body(&order(&claimed(change)))
}

#[test]
fn a_request_is_the_documented_one() {
    let mut documented: Value = serde_json::from_str(data!("place-rich.json")).unwrap();
    let overrides = documented["assistantOverrides"].as_object_mut().unwrap();
    // What to do with a machine is the assistant's own setting.
    overrides.remove("voicemailDetection");
    overrides["server"]["url"] = WEBHOOK.into();
    overrides["metadata"][TRUNK] = "default".into();
    assert_eq!(body(&json!({}), settings()).unwrap(), documented);
}

#[test]
fn a_request_keeps_within_the_limits_of_its_fields() {
    let long = json!({
        "claim_no": 1000, "script_id": "a1@v3", "from_number": "+14155550101",
        "ring_timeout_sec": 700, "max_duration_sec": 5
    });
    let body = body(&long, settings()).unwrap();
    assert_eq!(body["phoneNumberId"], "other");
    assert_eq!(
        (&body["assistantId"], &body["assistantVersion"]),
        (&json!("a1"), &json!("v3"))
    );
    assert_eq!(body.get("name"), None, "it has at most 40 characters");
    let reference = "0197f5e0-0000-7000-8000-000000000001-1000";
    assert_eq!(body["customer"]["externalId"], reference);
    let overrides = &body["assistantOverrides"];
    assert_eq!(overrides["metadata"][REFERENCE], reference);
    assert_eq!(overrides["maxDurationSeconds"], 10);
    assert_eq!(overrides["transportConfigurations"][0]["timeout"], 600);
}

#[test]
fn a_squad_and_a_workflow_are_told_what_they_can_be_told() {
    let sip = Settings {
        transport: Transport::Sip,
        ..settings()
    };
    let squad = body(&json!({"script_id": "team"}), sip).unwrap();
    assert_eq!(squad["squadId"], "5a");
    assert_eq!(squad["squadOverrides"]["server"]["url"], WEBHOOK);
    assert_eq!(squad["squadOverrides"].get("transportConfigurations"), None);
    assert_eq!(
        squad["transport"],
        json!({"provider": "vapi.sip", "dialTimeout": 45})
    );
    let workflow = body(&json!({"script_id": "workflow:7b"}), settings()).unwrap();
    assert_eq!(workflow["workflowId"], "7b");
    let variables = json!({"variableValues": {"name": "Ada", "order": "4711"}});
    assert_eq!(workflow["workflowOverrides"], variables);
    assert_eq!(workflow["name"], DIAL);
    for body in [squad, workflow] {
        assert_eq!(body.get("assistantId"), None);
    }
}

#[test]
fn an_inherited_server_is_left_alone() {
    let inherited = Settings {
        webhooks: Webhooks::Inherited,
        ..settings()
    };
    let overrides = body(&json!({}), inherited).unwrap()["assistantOverrides"].take();
    assert_eq!(
        (overrides.get("server"), overrides.get("serverMessages")),
        (None, None)
    );
    assert_eq!(overrides["metadata"][REFERENCE], DIAL);
}

#[test]
fn a_number_without_an_id_is_refused_before_anything_is_sent() {
    for (change, settings) in [
        (json!({"from_number": "+14155550199"}), settings()),
        (json!({}), Settings::default()),
    ] {
        let refused = body(&change, settings).unwrap_err();
        assert_eq!(word(&Placement::Refused(refused)), "blocked request");
    }
}

#[test]
fn every_answer_to_a_dial_has_its_meaning() {
    let said = |message: &str| json!({"message": message, "statusCode": 400}).to_string();
    let over =
        |reason: &str| json!({"id": ID, "status": "ended", "endedReason": reason}).to_string();
    let placed = format!("placed {ID}");
    let waits = data!("place-201.json").replace(
        "\"concurrencyBlocked\":false",
        "\"concurrencyBlocked\":true",
    );
    let table = [
        (201, data!("place-201.json").to_owned(), placed.as_str()),
        (201, waits, &placed),
        (201, data!("place-201-blocked.json").to_owned(), "capacity"),
        (
            201,
            over("call.start.error-subscription-insufficient-credits"),
            "account",
        ),
        (201, over("call.start.error-get-phone-number"), "forbidden"),
        (
            201,
            over("call.start.error-get-assistant"),
            "blocked request",
        ),
        (
            201,
            over("call.start.error-vapi-number-international"),
            "blocked number",
        ),
        (
            201,
            over("call.start.error-vapifault-database-error"),
            "transient",
        ),
        (201, over("call.start.error-not-yet-known"), "transient"),
        // It may have rung.
        (201, over("customer-busy"), &placed),
        (201, over("pipeline-error-openai-llm-failed"), &placed),
        (201, "{}".to_owned(), "unknown"),
        (
            201,
            r#"{"results":[{"id":"x"}],"errors":[]}"#.to_owned(),
            "unknown",
        ),
        (201, "<html>".to_owned(), "unknown"),
        (
            400,
            data!("place-400-concurrency.json").to_owned(),
            "capacity",
        ),
        (400, said("Daily outbound limit reached"), "capacity"),
        (
            400,
            data!("place-400-number.json").to_owned(),
            "invalid_number number",
        ),
        (
            400,
            data!("place-400-property.json").to_owned(),
            "forbidden",
        ),
        (
            400,
            said("assistantOverrides.server.backoffPlan.maxRetries must not be greater than 10"),
            "forbidden",
        ),
        (400, said("Wallet balance too low. Add credits"), "account"),
        (400, said("Couldn't Get Phone Number"), "forbidden"),
        (
            400,
            said("Free numbers cannot make international calls"),
            "blocked number",
        ),
        (400, said("something else"), "forbidden"),
        (401, said("Invalid Key"), "account"),
        (402, said("Payment required"), "account"),
        (403, "<html>cloudflare</html>".to_owned(), "forbidden"),
        (404, said("Not Found"), "forbidden"),
        (408, String::new(), "unknown"),
        (409, said("Conflict"), "unknown"),
        (429, said("Rate limit exceeded"), "capacity"),
        (500, said("Internal server error"), "unknown"),
        (503, String::new(), "unknown"),
        (522, "<html>cloudflare</html>".to_owned(), "unknown"),
        (302, String::new(), "unknown"),
    ];
    for (status, body, expected) in table {
        let placement = answers::placement(&answer(status, &body), Some("key"));
        assert_eq!(word(&placement), expected, "{status} {body}");
    }
}

#[test]
fn a_call_that_failed_at_once_says_why() {
    let failed = answer(201, data!("place-201-blocked.json"));
    let Placement::Refused(Refusal::Capacity { why, .. }) = answers::placement(&failed, None)
    else {
        panic!("there is room");
    };
    assert_eq!(
        why,
        "HTTP 201: call.start.error-subscription-concurrency-limit-reached"
    );
}

#[test]
fn every_reason_ends_a_call_as_the_table_says() {
    let mut rows = 0;
    for row in data!("reasons.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [reason, expected, answered] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        let call = |started: Value| {
            let call =
                json!({"id": ID, "status": "ended", "endedReason": reason, "startedAt": started});
            report::of_call(call, ADDRESS).unwrap()
        };
        let (silent, started) = (call(Value::Null), call("2026-01-02T03:04:14.000Z".into()));
        let expected = outcome(expected);
        assert_eq!(silent.kind, ReportKind::Ended, "{reason}");
        assert_eq!(silent.outcome, Some(expected), "{reason}");
        // A fault that may have come after the answer is not retried: somebody may have heard silence.
        let fault = expected == Outcome::ProviderFault;
        let said_so = match answered {
            "yes" | "machine" => true,
            "maybe" => fault,
            "no" => false,
            other => panic!("{other}"),
        };
        assert_eq!(silent.answered, said_so, "{reason} {answered}");
        // Whoever was connected is not rung again, but where the word itself says that nobody was.
        let nobody = answered == "no"
            && matches!(
                expected,
                Outcome::Busy
                    | Outcome::NoAnswer
                    | Outcome::Declined
                    | Outcome::InvalidNumber
                    | Outcome::Unreachable
            );
        assert_eq!(started.answered, !nobody, "{reason}");
        assert_eq!(started.answered_at.is_some(), !nobody, "{reason}");
        let put_back = [Some(Outcome::Account), Some(Outcome::Capacity)];
        assert!(!put_back.contains(&started.outcome), "{reason}");
    }
    assert_eq!(rows, 609);
}

#[test]
fn a_reason_that_nobody_knows_ends_it_without_a_retry() {
    for (reason, silent) in [
        ("teleported", Outcome::Unknown),
        (
            "pipeline-error-next-years-llm-failed",
            Outcome::ProviderFault,
        ),
        (
            "call.in-progress.error-next-years-voice",
            Outcome::ProviderFault,
        ),
        ("call.ending.hook-executed-other", Outcome::Answered),
    ] {
        let call = json!({"id": ID, "status": "ended", "endedReason": reason});
        let report = report::of_call(call, ADDRESS).unwrap();
        assert_eq!(
            (report.outcome, report.answered),
            (Some(silent), silent != Outcome::Unknown)
        );
        let call = json!({"id": ID, "status": "ended", "endedReason": reason, "startedAt": "2026-01-02T03:04:14Z"});
        assert!(report::of_call(call, ADDRESS).unwrap().answered, "{reason}");
    }
}

fn read(body: &str) -> Report {
    vapi().read(&Webhook::kept(body.as_bytes()))
}

#[test]
fn its_webhooks_tell_a_call_from_its_ring_to_its_report() {
    let ringing = read(data!("webhook-ringing.json"));
    assert_eq!(ringing.kind, ReportKind::Progress);
    let talks = read(data!("webhook-in-progress.json"));
    assert_eq!(
        (talks.kind, talks.status.as_deref()),
        (ReportKind::Answered, Some("in-progress"))
    );
    assert_eq!(talks.answered_at, "2026-01-02T03:04:12Z".parse().ok());

    let missed = read(data!("webhook-ended.json"));
    assert_eq!(
        (missed.outcome, missed.answered),
        (Some(Outcome::NoAnswer), false)
    );
    let busy = read(data!("webhook-report-busy.json"));
    assert_eq!(
        (busy.outcome, busy.answered, busy.answered_at),
        (Some(Outcome::Busy), false, None)
    );
    assert_eq!(busy.result["cost"], 0.0);

    let ended = read(data!("webhook-report-answered.json"));
    assert_eq!(
        (ended.kind, ended.outcome),
        (ReportKind::Ended, Some(Outcome::Answered))
    );
    assert_eq!(ended.answered_at, "2026-01-02T03:04:14Z".parse().ok());
    assert_eq!(ended.status.as_deref(), Some("customer-ended-call"));
    for (name, value) in [
        ("durationSec", json!(47.0)),
        ("cost", json!(0.0612)),
        ("costCurrency", json!("USD")),
        ("endedReason", json!("customer-ended-call")),
        ("transcript", json!("AI: Hello Ada\nUser: Hi")),
        ("summary", json!("Ada confirmed.")),
        (
            "recordingUrl",
            json!(format!("{ADDRESS}/call/{ID}/mono-recording")),
        ),
        (
            "phoneCallProviderId",
            json!("CA00000000000000000000000000000001"),
        ),
    ] {
        assert_eq!(ended.result[name], value, "{name}");
    }
    for report in [ringing, talks, missed, busy, ended] {
        assert_eq!(report.reference.as_deref(), Some(DIAL));
        assert_eq!(report.provider_call_id.as_deref(), Some(ID));
        for secret in ["assistant", "assistantOverrides", "customer", "messages"] {
            assert_eq!(report.result.get(secret), None);
        }
    }
}

#[test]
fn an_answer_whose_event_was_lost_is_in_the_report() {
    let failed = data!("webhook-report-answered.json")
        .replace("customer-ended-call", "pipeline-error-openai-llm-failed");
    let report = read(&failed);
    assert_eq!(report.outcome, Some(Outcome::ProviderFault));
    assert!(report.answered && report.answered_at.is_some());
}

#[test]
fn one_event_delivered_twice_is_one() {
    let whole = data!("webhook-report-answered.json");
    let again = whole.replace(
        "https://example.invalid/short-lived",
        "https://example.invalid/other",
    );
    let event_id = read(whole).event_id;
    assert_eq!(
        event_id.as_deref(),
        Some(format!("{ID}:end-of-call-report").as_str())
    );
    assert_eq!(read(&again).event_id, event_id);
    let ended = read(data!("webhook-ended.json")).event_id.unwrap();
    assert_eq!(ended, format!("{ID}:status-update:ended"));
}

#[test]
fn the_reference_is_found_wherever_it_is_carried() {
    for (call, expected) in [
        (
            json!({"assistantOverrides": {"metadata": {REFERENCE: DIAL}}}),
            Some(DIAL),
        ),
        (
            json!({"squadOverrides": {"metadata": {REFERENCE: DIAL}}}),
            Some(DIAL),
        ),
        (json!({"customer": {"externalId": DIAL}}), Some(DIAL)),
        (json!({"name": DIAL}), Some(DIAL)),
        (
            json!({"name": "spring campaign", "customer": {"externalId": "4711"}}),
            None,
        ),
        (json!({"assistantOverrides": {"metadata": "x"}}), None),
    ] {
        assert_eq!(report::reference(&call).as_deref(), expected, "{call}");
    }
}

#[test]
fn a_call_is_foreign_only_if_it_shows_that_we_did_not_place_it() {
    for (call, foreign) in [
        (json!({"type": "inboundPhoneCall"}), true),
        (json!({"type": "webCall", "name": "x"}), true),
        (
            json!({"type": "outboundPhoneCall", "customer": {"externalId": "4711"}}),
            true,
        ),
        (
            json!({"type": "outboundPhoneCall", "customer": {"externalId": DIAL}}),
            false,
        ),
        (json!({"type": "inboundPhoneCall", "name": DIAL}), false),
        // Too little to tell.
        (json!({"type": "outboundPhoneCall"}), false),
        (json!({"status": "ended"}), false),
    ] {
        let mut call = call;
        call["id"] = "c".into();
        let body = json!({"message": {"type": "end-of-call-report", "call": call}}).to_string();
        assert_eq!(read(&body).foreign, foreign, "{body}");
    }
}

#[test]
fn strange_bodies_end_nothing() {
    let message = |kind: &str, status: &str| {
        json!({"message": {"type": kind, "status": status, "call": {"id": ID}}}).to_string()
    };
    for (body, kind) in [
        (String::new(), ReportKind::Unparsable),
        ("[]".to_owned(), ReportKind::Unparsable),
        (r#"{"message":7}"#.to_owned(), ReportKind::Unparsable),
        (
            r#"{"message":{"type":"end-of-call-report"}}"#.to_owned(),
            ReportKind::Unparsable,
        ),
        (
            r#"{"message":{"type":"end-of-call-report","call":{"id":[]}}}"#.to_owned(),
            ReportKind::Unparsable,
        ),
        (message("status-update", "forwarding"), ReportKind::Unknown),
        (message("status-update", "teleported"), ReportKind::Unknown),
        // The report will say why.
        (message("status-update", "ended"), ReportKind::Unknown),
        (message("call.deleted", "ended"), ReportKind::Unknown),
        (message("transcript", "ended"), ReportKind::Unknown),
        (message("hang", ""), ReportKind::Unknown),
    ] {
        assert_eq!(read(&body).kind, kind, "{body}");
    }
    let bare = read(&message("end-of-call-report", ""));
    assert_eq!(bare.outcome, Some(Outcome::Unknown));
    let whole = data!("webhook-report-answered.json");
    for end in (0..whole.trim_end().len()).step_by(53) {
        let half = whole.get(..end).unwrap();
        assert_eq!(read(half).kind, ReportKind::Unparsable, "{half}");
    }
}

#[test]
fn a_duration_is_as_precise_as_its_times() {
    let mut body: Value = serde_json::from_str(data!("webhook-report-answered.json")).unwrap();
    body["message"]["endedAt"] = json!("2026-01-02T03:04:16.562Z");
    assert_eq!(read(&body.to_string()).result["durationSec"], 2.562);
}

#[test]
fn a_talk_of_a_megabyte_keeps_its_facts() {
    let mut body: Value = serde_json::from_str(data!("webhook-report-answered.json")).unwrap();
    let artifact = &mut body["message"]["artifact"];
    artifact["messages"] =
        vec![json!({"role": "bot", "message": "word ".repeat(100)}); 2000].into();
    artifact["transcript"] = "word ".repeat(50_000).into();
    let report = read(&body.to_string());
    assert_eq!(report.result["durationSec"], 47.0);
    assert_eq!(report.result["truncated"], json!(["transcript"]));
}

#[test]
fn every_signature_is_judged_by_its_settings() {
    let vectors: Vec<Vector> = serde_json::from_str(data!("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let verified = vector.verified(&vapi());
        assert_eq!(verified.is_some(), vector.valid, "{}", vector.name);
        let signed_at = verified.and_then(|verified| verified.signed_at);
        if vector.valid && vector.name != "body-only" {
            let unix = signed_at.unwrap().unix_ms / 1000;
            assert_eq!(unix, 1_767_323_045, "{}", vector.name);
        } else {
            assert_eq!(signed_at, None);
        }
    }
}

#[test]
fn a_signed_time_is_not_stripped_or_moved() {
    let vectors = data!("vectors.json");
    let with = |from: &str, to: &str| {
        let vectors: Vec<Vector> = serde_json::from_str(&vectors.replace(from, to)).unwrap();
        let first = &vectors[0];
        first.verified(&vapi())
    };
    assert!(with("", "").is_some());
    assert!(with("\"x-timestamp\"", "\"x-other\"").is_none());
    assert!(
        with(
            "\"x-timestamp\": \"1767323045\"",
            "\"x-timestamp\": \"1767323046\""
        )
        .is_none()
    );
    assert!(with("\"x-timestamp\": \"1767323045\"", "\"x-timestamp\": \"\"").is_none());
    assert!(with("\"x-signature\"", "\"x-hub-signature-256\"").is_none());
}

#[test]
fn a_look_up_tells_where_a_call_stands() {
    let by_id = |status: u16, body: &str| answers::by_id(&answer(status, body), ADDRESS, None);
    let kind = |status: &str| {
        let body = json!({"id": ID, "status": status, "endedReason": "customer-busy"});
        match by_id(200, &body.to_string()).unwrap() {
            LookedUp::Found(report) => report.kind,
            other => panic!("{other:?}"),
        }
    };
    for (status, expected) in [
        ("scheduled", ReportKind::Progress),
        ("queued", ReportKind::Progress),
        ("ringing", ReportKind::Progress),
        ("in-progress", ReportKind::Answered),
        ("forwarding", ReportKind::Unknown),
        ("ended", ReportKind::Ended),
        ("not-found", ReportKind::Unknown),
        ("deletion-failed", ReportKind::Unknown),
    ] {
        assert_eq!(kind(status), expected, "{status}");
    }
    assert_eq!(by_id(404, "").unwrap(), LookedUp::NotFound);
    assert!(by_id(200, "<html>").is_err());
    assert!(by_id(200, "[]").is_err());
    assert!(by_id(500, "").is_err());
}

#[test]
fn a_list_is_whole_only_below_its_limit() {
    let page = |status: u16, body: &str| answers::page(&answer(status, body), 2, None);
    assert_eq!(page(200, "[{}]").unwrap(), Page::Whole(vec![json!({})]));
    assert_eq!(page(200, "[{},{}]").unwrap(), Page::Cut);
    // Too large to be read.
    assert_eq!(page(200, "").unwrap(), Page::Cut);
    assert!(page(200, "{}").is_err());
    assert!(page(400, "[]").is_err());
}

#[test]
fn only_an_address_of_vapi_is_told_to_end_a_call() {
    let path = format!("{ID}/control");
    for (url, is_good) in [
        (
            format!(
                "https://phone-call-websocket.aws-us-west-2-backend-production1.vapi.ai/{path}"
            ),
            true,
        ),
        (format!("https://x.vapi.ai/a/{path}"), true),
        (format!("https://api.example.com:8443/{path}"), true),
        (format!("http://x.vapi.ai/{path}"), false),
        (format!("https://x.vapi.ai.example.com/{path}"), false),
        (format!("https://evilvapi.ai/{path}"), false),
        (format!("https://user@x.vapi.ai/{path}"), false),
        (format!("https://x.vapi.ai:22/{path}"), false),
        ("https://x.vapi.ai/other/control".to_owned(), false),
        (String::new(), false),
    ] {
        let call = json!({"monitor": {"controlUrl": url}});
        let found = answers::control_url(&call, ID, "https://api.example.com:8443");
        assert_eq!(found.is_some(), is_good, "{url}");
    }
}

async fn listen() -> (TcpListener, Vapi) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (
        listener,
        Vapi::new(&address, "key".into(), settings()).unwrap(),
    )
}

fn listed(count: usize, reference: &str) -> String {
    let call = json!({
        "id": ID, "type": "outboundPhoneCall", "status": "ended", "endedReason": "customer-busy",
        "name": reference, "customer": {"number": "+14155550123"}
    });
    Value::from(vec![call; count]).to_string()
}

#[tokio::test]
async fn a_dial_is_found_in_halves_of_a_busy_time() {
    let (listener, vapi) = listen().await;
    let pages = [listed(PAGE, "others"), listed(3, "others"), listed(1, DIAL)];
    let dial = DIAL.parse().unwrap();
    let (found, seen) = tokio::join!(vapi.look_up(dial, None), answering(listener, &pages));
    let LookedUp::Found(report) = found.unwrap() else {
        panic!("it is in the list");
    };
    assert_eq!(report.outcome, Some(Outcome::Busy));
    let times: Vec<_> = seen
        .iter()
        .map(|request| request.lines().next().unwrap())
        .collect();
    assert!(!times[0].contains("createdAtLt"), "{times:?}");
    assert!(
        !times[1].contains("createdAtLt"),
        "the newest half first: {times:?}"
    );
    let middle = times[1].split("createdAtGe=").nth(1).unwrap();
    assert!(
        times[2].contains(&format!("createdAtLt={middle}")),
        "{times:?}"
    );
}

#[tokio::test]
async fn a_whole_list_without_the_dial_denies_it() {
    let (listener, vapi) = listen().await;
    let dial = DIAL.parse().unwrap();
    let pages = [listed(3, "others")];
    let (found, _) = tokio::join!(vapi.look_up(dial, None), answering(listener, &pages));
    assert_eq!(found.unwrap(), LookedUp::NotFound);
}

#[tokio::test]
async fn every_call_since_a_time_is_listed_with_its_number() {
    let (listener, vapi) = listen().await;
    let since = "2026-01-02T03:00:00Z".parse().unwrap();
    let pages = [listed(2, DIAL)];
    let (calls, _) = tokio::join!(vapi.calls_since(since), answering(listener, &pages));
    let calls = calls.unwrap().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].result["to"], "+14155550123");
    assert_eq!(calls[0].reference.as_deref(), Some(DIAL));
}

#[tokio::test]
async fn a_live_call_is_ended_at_its_own_address_without_the_key() {
    let (listener, vapi) = listen().await;
    let url = format!("{}/{ID}/control", vapi.client.url(""));
    let call = json!({"id": ID, "status": "in-progress", "monitor": {"controlUrl": url}});
    let answers = [call.to_string(), "{}".to_owned()];
    let (ended, seen) = tokio::join!(vapi.cancel(ID), answering(listener, &answers));
    assert_eq!(ended.unwrap(), Cancellation::Agreed);
    assert!(
        seen[0].starts_with(&format!("GET /call/{ID} ")),
        "{}",
        seen[0]
    );
    assert!(seen[0].contains("Bearer key"));
    assert!(
        seen[1].starts_with(&format!("POST /{ID}/control ")),
        "{}",
        seen[1]
    );
    assert!(seen[1].ends_with(r#"{"type":"end-call"}"#) && !seen[1].contains("Bearer"));
}

#[tokio::test]
async fn a_call_that_is_over_is_not_ended_again() {
    let (listener, vapi) = listen().await;
    let call = [json!({"id": ID, "status": "ended"}).to_string()];
    let (ended, _) = tokio::join!(vapi.cancel(ID), answering(listener, &call));
    assert_eq!(ended.unwrap(), Cancellation::AlreadyOver);
    // Nothing is documented of one that waits or rings.
    let (listener, vapi) = listen().await;
    let call = [json!({"id": ID, "status": "queued"}).to_string()];
    let (ended, _) = tokio::join!(vapi.cancel(ID), answering(listener, &call));
    assert!(ended.is_err());
}

#[test]
fn a_page_that_has_no_date_cannot_be_split() {
    let page = Answer {
        body: Bytes::from_static(b"[]"),
        ..answer(200, "")
    };
    assert_eq!(date(&page), None);
    let at: DateTime<Utc> = "2026-01-02T03:00:00Z".parse().unwrap();
    assert_eq!(middle(at, at), None);
    assert_eq!(middle(at, at - TimeDelta::hours(1)), None);
}

#[tokio::test]
async fn an_organization_is_asked_about_all_that_a_call_needs() {
    let vapi = |webhooks: Webhooks| {
        move |address: &str| {
            let settings = Settings {
                numbers: "+14155550100=p1,+14155550101=p2,+14155550102=p3"
                    .parse()
                    .unwrap(),
                scripts: "a=a1@v3,b=a2,c=squad:s1,d=a3".parse().unwrap(),
                transport: Transport::Twilio,
                webhooks,
                ..Settings::default()
            };
            Vapi::new(address, "sk_0123".into(), settings).unwrap()
        }
    };
    let url = "https://calls.example.com/callbacks/default";
    let server = |url: &str| json!({ "url": url });
    let answers = [
        (200, json!([])),
        (
            200,
            json!({"id": "p1", "number": "+14155550100", "provider": "twilio", "status": "active"}),
        ),
        (
            200,
            json!({"id": "p2", "number": "+14155550199", "provider": "twilio"}),
        ),
        (
            200,
            json!({"id": "p3", "provider": "byo-phone-number", "status": "active"}),
        ),
        (200, json!({"id": "a1", "server": server(url)})),
        (
            200,
            json!({"id": "a2", "server": server("https://elsewhere.example.com")}),
        ),
        (
            404,
            json!({"message": "Couldn't get squad.", "statusCode": 404}),
        ),
        (
            200,
            json!({"id": "a3", "server": server(url), "serverMessages": ["end-of-call-report"]}),
        ),
    ];
    let (found, asked) = checked(vapi(Webhooks::Inherited), url, &answers).await;
    insta::assert_snapshot!(found.join("\n"));
    assert_eq!(
        asked,
        [
            "/call?limit=1",
            "/phone-number/p1",
            "/phone-number/p2",
            "/phone-number/p3",
            "/assistant/a1",
            "/assistant/a2",
            "/squad/s1",
            "/assistant/a3",
        ]
    );
    let credential_id = "c1".to_owned();
    let (found, _) = checked(vapi(Webhooks::PerCall { credential_id }), url, &answers).await;
    assert!(
        !found.iter().any(|line| line.contains("server")),
        "{found:?}"
    );
}

#[test]
fn what_to_do_with_a_machine_overrides_the_assistant() {
    let with_text = json!({"voicemailMessage": " Call us back. "});
    for (told, metadata, detection, message) in [
        ("ignore", &with_text, Value::Null, Value::Null),
        (
            "hang_up",
            &with_text,
            json!({"provider": "vapi"}),
            json!(""),
        ),
        (
            "leave_message",
            &with_text,
            json!({"provider": "vapi"}),
            json!("Call us back."),
        ),
        // The assistant's own.
        (
            "leave_message",
            &json!({}),
            json!({"provider": "vapi"}),
            Value::Null,
        ),
    ] {
        let change = json!({"answering_machine": told, "metadata": metadata});
        let body = body(&change, settings()).unwrap();
        let overrides = &body["assistantOverrides"];
        assert_eq!(
            (
                &overrides["voicemailDetection"],
                &overrides["voicemailMessage"]
            ),
            (&detection, &message),
            "{told}"
        );
    }
}
