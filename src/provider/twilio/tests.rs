//! Against the data of `tests/providers/twilio`: what Twilio documents, and vectors that its own SDKs judged.

use std::collections::BTreeMap;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::{
    domain::ReportKind,
    provider::platform::testing::{
        DIAL, WEBHOOK, answer, answering, checked, claimed, headers, order, outcome, word,
    },
};

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../tests/providers/twilio/", $name))
    };
}

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const CALL: &str = "CA00000000000000000000000000000001";
const SCRIPTS: &str = "welcome=https://scripts.example.com/v/hello?ref={reference}&name={name}&order={order}&at={at}, *=https://scripts.example.com/v/{scriptId}";

fn at(address: &str, scripts: &str) -> Twilio {
    let from = "+14155550100".parse().unwrap();
    let scripts = scripts.parse().unwrap();
    Twilio::new(
        address,
        ACCOUNT,
        "SK01:keysecret".into(),
        Some(from),
        scripts,
    )
    .unwrap()
}

fn twilio() -> Twilio {
    at(ADDRESS, SCRIPTS)
}

fn fields(twilio: &Twilio, change: &Value) -> Result<Vec<(&'static str, String)>, Refusal> {
    twilio.place_fields(&order(&claimed(change)))
}

fn url(scripts: &str, script_id: &str) -> Result<String, Refusal> {
    let fields = fields(&at(ADDRESS, scripts), &json!({ "script_id": script_id }))?;
    let url = fields.into_iter().find(|(name, _)| *name == "Url");
    Ok(url.unwrap().1)
}

#[test]
fn a_request_is_the_documented_one() {
    let callback = format!("{WEBHOOK}#rc=5&rp=all");
    let expected = [
        ("To", "+14155550123"),
        ("From", "+14155550100"),
        (
            "Url",
            "https://scripts.example.com/v/hello?ref=0197f5e0-0000-7000-8000-000000000001-1&name=Ada%20L%2E&order=4711&at=",
        ),
        ("StatusCallback", &callback),
        ("Timeout", "45"),
        ("TimeLimit", "1800"),
        ("StatusCallbackEvent", "initiated"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
    ];
    let metadata = json!({ "metadata": {"name": "Ada L.", "order": 4711} });
    let fields = fields(&twilio(), &metadata).unwrap();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn a_request_keeps_within_the_limits_of_its_fields() {
    let change = json!({
        "from_number": "+14155550199", "ring_timeout_sec": 3600, "max_duration_sec": 36000
    });
    let fields: BTreeMap<_, _> = fields(&twilio(), &change).unwrap().into_iter().collect();
    assert_eq!(fields["From"], "+14155550199");
    assert_eq!(fields["Timeout"], "600");
    assert_eq!(fields["TimeLimit"], "14400");
}

#[test]
fn a_script_is_an_address_or_the_name_of_one() {
    let named = "https://scripts.example.com/v/spring";
    assert_eq!(url(SCRIPTS, "spring").unwrap(), named);
    assert_eq!(
        url("", "https://scripts.example.com/v?id={reference}").unwrap(),
        format!("https://scripts.example.com/v?id={DIAL}")
    );
    assert_eq!(
        url("", "https://x.example/{open").unwrap(),
        "https://x.example/{open"
    );
    // What a script is called leaves no path that the trunk names.
    assert_eq!(
        url(SCRIPTS, "../admin?x=").unwrap(),
        "https://scripts.example.com/v/%2E%2E%2Fadmin%3Fx%3D"
    );
}

#[test]
fn an_application_swallows_the_callback_and_is_refused() {
    let application = "AP0123456789abcdef0123456789abcdef";
    for scripts in [SCRIPTS, "", &format!("{application}={application}")] {
        let Err(Refusal::Permanent { concerns, why, .. }) = url(scripts, application) else {
            panic!("it was accepted");
        };
        assert_eq!(concerns, Concerns::Script);
        assert!(why.contains("callback"), "{why}");
    }
    assert!(url("", "welcome").is_err(), "no address");
}

#[test]
fn a_call_without_a_number_to_call_from_is_not_sent() {
    let twilio = Twilio::new(
        ADDRESS,
        ACCOUNT,
        "token".into(),
        None,
        SCRIPTS.parse().unwrap(),
    );
    let refusal = fields(&twilio.unwrap(), &json!({})).unwrap_err();
    assert!(matches!(
        refusal,
        Refusal::Permanent {
            concerns: Concerns::CallerId,
            ..
        }
    ));
}

fn body_of(code: &str) -> String {
    match code {
        "-" => String::new(),
        "other" => json!({"code": 29999, "message": "text", "status": 400}).to_string(),
        code => format!(r#"{{"code": {code}, "message": "text", "status": 400}}"#),
    }
}

fn placed(status: u16, body: &str) -> String {
    word(&answers::placement(&answer(status, body), false, None))
}

#[test]
fn every_answer_to_a_dial_has_its_meaning() {
    let mut rows = 0;
    for row in data!("answers.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [http, code, _name, class, outcome, read, why] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        let said = if class == "permanent" { outcome } else { class };
        assert!(
            read.starts_with(said) || !why.is_empty(),
            "no reason: {row}"
        );
        let body = if read == "placed" {
            format!(r#"{{"sid": "{CALL}"}}"#)
        } else {
            body_of(code)
        };
        let expected = if read == "placed" {
            format!("placed {CALL}")
        } else {
            read.to_owned()
        };
        for http in http.split('/') {
            let status = http.replace("xx", "00").parse().unwrap();
            assert_eq!(placed(status, &body), expected, "{row}");
            // Newer bodies have the code as a text.
            let text = body.replace(&format!(": {code},"), &format!(r#": "{code}","#));
            assert_eq!(placed(status, &text), expected, "{row}");
        }
    }
    assert_eq!(rows, 42);
}

#[test]
fn without_a_code_the_status_decides() {
    for (status, expected) in [
        (201, "unknown"),
        (307, "unknown"),
        (400, "forbidden"),
        (401, "account"),
        (402, "account"),
        (403, "forbidden"),
        (404, "forbidden"),
        (408, "unknown"),
        (429, "capacity"),
        (500, "unknown"),
        (503, "unknown"),
    ] {
        assert_eq!(placed(status, "<html>a proxy</html>"), expected, "{status}");
    }
    // No name of a call.
    assert_eq!(placed(201, r#"{"sid": "SM01"}"#), "unknown");
    // An error of Twilio's own may have placed it, whatever its code.
    assert_eq!(placed(500, &body_of("21211")), "unknown");
}

#[test]
fn the_number_of_one_call_does_not_pause_the_trunk() {
    for code in ["21210", "21212"] {
        let answer = answer(400, &body_of(code));
        assert_eq!(
            word(&answers::placement(&answer, true, None)),
            "blocked request"
        );
        assert_eq!(word(&answers::placement(&answer, false, None)), "forbidden");
    }
}

#[derive(Deserialize)]
struct Documented {
    op: String,
    http: u16,
    headers: BTreeMap<String, String>,
    body: String,
    class: String,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    retry_after_sec: Option<u32>,
    #[serde(default)]
    duration_sec: Option<f64>,
    #[serde(default)]
    price: Option<String>,
}

#[test]
fn every_documented_answer_is_read() {
    let documented: Vec<Documented> = serde_json::from_str(data!("answers.json")).unwrap();
    assert_eq!(documented.len(), 21);
    for row in documented {
        let mut answer = answer(row.http, &row.body);
        answer.headers = headers(&row.headers);
        match (row.op.as_str(), row.class.as_str()) {
            ("place", class) => {
                let placement = answers::placement(&answer, false, None);
                let expected = match (class, row.id, row.outcome) {
                    ("placed", Some(id), _) => format!("placed {id}"),
                    // The trunk's number: see answers.tsv.
                    ("account", ..) if row.body.contains("21210") => "forbidden".to_owned(),
                    ("permanent", _, Some(outcome)) => outcome,
                    (class, ..) => class.to_owned(),
                };
                assert!(word(&placement).starts_with(&expected), "{}", row.body);
                if let Placement::Refused(Refusal::Capacity {
                    retry_after_sec, ..
                }) = placement
                {
                    assert_eq!(retry_after_sec, row.retry_after_sec);
                }
            }
            ("look_up", "found") => {
                let Ok(LookedUp::Found(report)) = answers::by_id(&answer, None) else {
                    panic!("{}", row.body);
                };
                assert_eq!(report.provider_call_id.as_deref(), Some(CALL));
                assert_eq!(report.outcome, row.outcome.as_deref().map(outcome));
                let fact = |name| report.result.get(name).and_then(Value::as_f64);
                assert_eq!(fact("durationSec"), row.duration_sec, "{}", row.body);
                assert_eq!(fact("cost"), row.price.map(|price| price.parse().unwrap()));
            }
            ("look_up", _) => {
                assert_eq!(answers::by_id(&answer, None).unwrap(), LookedUp::NotFound);
            }
            (_, class) => {
                let word = match answers::cancellation(&answer, None).unwrap() {
                    Cancellation::Agreed => "agreed",
                    Cancellation::AlreadyOver => "already_over",
                    Cancellation::Unsupported => "unsupported",
                };
                assert_eq!(word, class);
            }
        }
    }
}

#[test]
fn a_look_up_tells_where_a_call_stands() {
    let report = |call: Value| report::of_call(&call).unwrap();
    let kind = |status: &str| report(json!({ "sid": CALL, "status": status })).kind;
    assert_eq!(kind("queued"), ReportKind::Progress);
    assert_eq!(kind("ringing"), ReportKind::Progress);
    assert_eq!(kind("in-progress"), ReportKind::Answered);
    assert_eq!(kind("canceled"), ReportKind::Ended);
    assert_eq!(kind("teleported"), ReportKind::Unknown);

    let unpaid = report(
        json!({"sid": CALL, "status": "completed", "duration": "42", "price": null, "price_unit": "USD"}),
    );
    assert_eq!(
        unpaid.result,
        json!({"durationSec": 42.0, "endedReason": "completed"})
    );
    let paid = report(
        json!({"sid": CALL, "status": "completed", "price": "-0.01400", "price_unit": "eur"}),
    );
    assert_eq!(
        (&paid.result["cost"], &paid.result["costCurrency"]),
        (&json!(0.014), &json!("EUR"))
    );

    let nothing = |status: u16, body: &str| answers::by_id(&answer(status, body), None).is_err();
    assert!(nothing(200, "<html>"));
    assert!(nothing(200, r#"{"calls": []}"#));
    // Nothing says that this is Twilio's word.
    assert!(nothing(404, "<html>not found</html>"));
    assert!(nothing(500, &body_of("20500")));
}

#[test]
fn what_cannot_be_ended_is_asked_about_again() {
    let ended = |status: u16, body: &str| answers::cancellation(&answer(status, body), None);
    assert!(ended(404, "<html>not found</html>").is_err());
    assert!(ended(400, &body_of("21200")).is_err());
    assert!(ended(429, &body_of("20429")).is_err());
    assert!(ended(503, "").is_err());
}

#[tokio::test]
async fn a_call_is_placed_and_ended_by_forms() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let twilio = at(
        &format!("http://{}", listener.local_addr().unwrap()),
        SCRIPTS,
    );
    let call = claimed(&json!({}));
    let talk = async {
        let placement = twilio.place(order(&call)).await;
        assert_eq!(word(&placement), format!("placed {CALL}"));
        // What waits in Twilio's own queue is not ended by the word for a talk.
        assert_eq!(twilio.cancel(CALL).await.unwrap(), Cancellation::Agreed);
    };
    let sid = format!(r#"{{"sid": "{CALL}", "status": "queued"}}"#);
    let answers = [sid.as_str(); 3];
    let (asked, ()) = tokio::join!(answering(listener, &answers), talk);
    let path = format!("POST /2010-04-01/Accounts/{ACCOUNT}/Calls");
    assert!(
        asked[0].starts_with(&format!("{path}.json HTTP/1.1\r\n")),
        "{}",
        asked[0]
    );
    // printf 'SK01:keysecret' | base64
    assert!(
        asked[0].contains("authorization: Basic U0swMTprZXlzZWNyZXQ=\r\n"),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("\r\n\r\nTo=%2B14155550123&From=%2B14155550100&Url=https%3A%2F%2F"));
    assert!(asked[0].contains("%23rc%3D5%26rp%3Dall&"), "{}", asked[0]);
    for (request, status) in [(&asked[1], "completed"), (&asked[2], "canceled")] {
        assert!(
            request.starts_with(&format!("{path}/{CALL}.json HTTP/1.1\r\n")),
            "{request}"
        );
        assert!(
            request.ends_with(&format!("\r\n\r\nStatus={status}")),
            "{request}"
        );
    }
}

#[test]
fn a_talk_is_ended_by_one_request() {
    let waits = |status: u16, body: Value| answers::still_waits(&answer(status, &body.to_string()));
    assert!(waits(200, json!({"status": "ringing"})));
    for status in ["in-progress", "completed", "canceled", "no-answer"] {
        assert!(!waits(200, json!({ "status": status })));
    }
    assert!(!waits(400, json!({"status": "queued"})));
}

#[tokio::test]
async fn it_cannot_be_asked_by_our_reference() {
    let dial = claimed(&json!({})).reference();
    assert_eq!(
        twilio().look_up(dial, None).await.unwrap(),
        LookedUp::Unsupported
    );
    assert!(
        twilio()
            .calls_since("2026-01-02T03:04:05Z".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    note: String,
    expect: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    secrets: String,
}

#[test]
fn every_signature_is_judged_as_its_sdk_judges_it() {
    let vectors: Vec<Vector> = serde_json::from_str(data!("vectors.json")).unwrap();
    assert_eq!(vectors.len(), 38);
    let twilio = twilio();
    for vector in vectors {
        let method: Method = vector.method.parse().unwrap();
        let headers = headers(&vector.headers);
        let webhook = Webhook {
            method: &method,
            url: &vector.url,
            headers: &headers,
            body: vector.body.as_bytes(),
        };
        let is_claimed = twilio.claims_signature(&headers).is_ok();
        let judged = is_claimed
            && twilio
                .verify(&webhook, &vector.secrets.parse().unwrap())
                .is_ok();
        assert_eq!(
            judged,
            vector.expect == "accept",
            "{} {}",
            vector.id,
            vector.note
        );
    }
}

#[test]
fn a_signature_given_twice_is_none() {
    let vectors: Vec<Vector> = serde_json::from_str(data!("vectors.json")).unwrap();
    let vector = &vectors[0];
    let mut headers = headers(&vector.headers);
    let signature = headers["x-twilio-signature"].clone();
    headers.append("x-twilio-signature", signature);
    let webhook = Webhook {
        method: &Method::POST,
        url: &vector.url,
        headers: &headers,
        body: vector.body.as_bytes(),
    };
    let secrets = vector.secrets.parse().unwrap();
    let judged = twilio().verify(&webhook, &secrets);
    assert_eq!(judged, Err(Rejection::Malformed("x-twilio-signature")));
}

fn read(body: &str) -> Report {
    report::of_webhook(body.as_bytes())
}

#[derive(Deserialize)]
struct Payload {
    name: String,
    body: String,
    read: Read,
}

#[derive(Deserialize)]
struct Read {
    kind: String,
    #[serde(default)]
    outcome: Option<String>,
    provider_call_id: String,
    #[serde(default)]
    answered_at: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default)]
    duration_sec: Option<f64>,
    #[serde(default)]
    answered_by: Option<String>,
    dedupe: String,
}

#[test]
fn every_callback_is_read() {
    let payloads: Vec<Payload> = serde_json::from_str(data!("payloads.json")).unwrap();
    assert_eq!(payloads.len(), 14);
    let twilio = twilio();
    for Payload {
        name,
        body,
        read: wanted,
    } in payloads
    {
        let report = twilio.read(&Webhook::kept(body.as_bytes()));
        assert_eq!(json!(report.kind), wanted.kind, "{name}");
        assert_eq!(
            report.outcome,
            wanted.outcome.as_deref().map(outcome),
            "{name}"
        );
        assert_eq!(
            report.provider_call_id,
            Some(wanted.provider_call_id),
            "{name}"
        );
        assert_eq!(report.answered_at, wanted.answered_at, "{name}");
        let fact = |field| report.result.get(field).cloned();
        assert_eq!(
            fact("durationSec"),
            wanted.duration_sec.map(Value::from),
            "{name}"
        );
        assert_eq!(
            fact("answeredBy"),
            wanted.answered_by.map(Value::from),
            "{name}"
        );
        // The other part of its name there: what stands behind "else".
        let dedupe = wanted.dedupe.rsplit("else ").next().unwrap();
        assert_eq!(
            report.event_id.unwrap().trim_end_matches('/'),
            dedupe,
            "{name}"
        );
    }
}

#[test]
fn every_status_ends_a_call_as_the_table_says() {
    let mut rows = 0;
    for row in data!("statuses.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [status, by, sip, kind, outcome_word] = columns[..] else {
            panic!("{row}");
        };
        rows += 1;
        let mut body = format!("CallSid={CALL}&CallStatus={status}");
        for (name, value) in [("AnsweredBy", by), ("SipResponseCode", sip)] {
            if !value.is_empty() {
                body = format!("{body}&{name}={value}");
            }
        }
        let report = read(&body);
        assert_eq!(json!(report.kind), kind, "{row}");
        let expected = (outcome_word != "-").then(|| outcome(outcome_word));
        assert_eq!(report.outcome, expected, "{row}");
        let says_answer = ["in-progress", "completed"].contains(&status);
        assert_eq!(report.answered, says_answer, "{row}");
    }
    assert_eq!(rows, 40);
}

#[test]
fn an_end_after_an_answer_proves_the_answer() {
    for (rest, expected) in [
        (
            "CallStatus=failed&SipResponseCode=500&CallDuration=7",
            Outcome::ProviderFault,
        ),
        (
            "CallStatus=failed&SipResponseCode=407&CallDuration=7",
            Outcome::Answered,
        ),
        (
            "CallStatus=failed&SipResponseCode=402&AnsweredBy=human",
            Outcome::Answered,
        ),
        ("CallStatus=canceled&CallDuration=7", Outcome::Canceled),
        ("CallStatus=completed&CallDuration=0", Outcome::Answered),
    ] {
        let report = read(&format!("CallSid={CALL}&{rest}"));
        assert!(report.answered, "{rest}");
        assert_eq!(report.outcome, Some(expected), "{rest}");
    }
    for rest in [
        "CallStatus=no-answer&CallDuration=30",
        "CallStatus=failed&CallDuration=0",
        "CallStatus=failed&SipResponseCode=407",
        "CallStatus=canceled&CallDuration=soon",
    ] {
        assert!(!read(&format!("CallSid={CALL}&{rest}")).answered, "{rest}");
    }
}

#[test]
fn minutes_are_no_seconds_and_ringing_is_no_talk() {
    let result = |rest: &str| read(&format!("CallSid={CALL}&{rest}")).result;
    let completed = result("CallStatus=completed&Duration=1");
    assert!(completed.get("durationSec").is_none(), "{completed}");
    let silent = result("CallStatus=no-answer&CallDuration=0&Duration=0");
    assert!(silent.get("durationSec").is_none(), "{silent}");
    let numbers =
        result("CallStatus=completed&To=%2B14155550123&Called=%2B14155550123&SipResponseCode=200");
    assert_eq!(
        numbers,
        json!({"endedReason": "completed", "SipResponseCode": "200"})
    );
}

#[test]
fn strange_bodies_end_nothing() {
    for (body, kind) in [
        ("", ReportKind::Unparsable),
        ("{}", ReportKind::Unparsable),
        (
            r#"{"CallSid":"CA1","CallStatus":"completed"}"#,
            ReportKind::Unparsable,
        ),
        ("CallStatus=completed", ReportKind::Unparsable),
        ("CallSid=&CallStatus=completed", ReportKind::Unparsable),
        ("CallSid=CA1", ReportKind::Unknown),
        ("CallSid=CA1&CallStatus=Completed!", ReportKind::Unknown),
        ("CallSid=CA1&CallStatus=%ff%00", ReportKind::Unknown),
        (
            "CallSid=CA1&CallStatus=ringing&CallStatus=completed",
            ReportKind::Progress,
        ),
    ] {
        assert_eq!(read(body).kind, kind, "{body}");
    }
    let payloads: Vec<Payload> = serde_json::from_str(data!("payloads.json")).unwrap();
    let whole = &payloads[3].body;
    for end in 0..whole.len() {
        let half = read(whole.get(..end).unwrap());
        assert!(half.kind != ReportKind::Ended || half.outcome == Some(Outcome::Answered));
    }
}

#[test]
fn no_value_of_any_field_is_too_strange() {
    let call = json!({
        "sid": CALL, "status": "completed", "duration": "42", "price": "-0.014",
        "price_unit": "USD", "answered_by": null, "start_time": null
    });
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!(-1e300),
        json!("nan"),
        json!("inf"),
        json!("9".repeat(300)),
    ];
    for (name, odd) in call
        .as_object()
        .unwrap()
        .keys()
        .flat_map(|name| odd.iter().map(move |odd| (name, odd)))
    {
        let mut strange = call.clone();
        strange[name] = odd.clone();
        let report = report::of_call(&strange);
        let is_named = !["sid", "status"].contains(&name.as_str());
        assert!(!is_named || report.unwrap().outcome.is_some(), "{strange}");
    }
    let value = "9".repeat(300);
    for name in [
        "CallDuration",
        "SipResponseCode",
        "Timestamp",
        "SequenceNumber",
        "AnsweredBy",
    ] {
        let report = read(&format!(
            "CallSid={CALL}&CallStatus=failed&{name}={value}&{name}=%00"
        ));
        assert_eq!(report.kind, ReportKind::Ended, "{name}");
    }
}

#[test]
fn a_large_or_broken_form_is_judged_all_the_same() {
    let mut signed = HeaderMap::new();
    signed.insert(
        "x-twilio-signature",
        "c+PDI/g5PU1GYy+IUFG+7SPySyo=".parse().unwrap(),
    );
    signed.insert(
        "content-type",
        "application/x-www-form-urlencoded".parse().unwrap(),
    );
    let large = "a=b&".repeat(256 * 1024);
    for body in [large.as_bytes(), b"%ff=%zz&=&&%", b"\xff\xfe=\x00"] {
        let webhook = Webhook {
            method: &Method::POST,
            url: WEBHOOK,
            headers: &signed,
            body,
        };
        let judged = twilio().verify(&webhook, &"secret".parse().unwrap());
        assert_eq!(judged, Err(Rejection::Mismatch));
    }
}

#[test]
fn the_secret_and_numbers_stay_out_of_its_words() {
    let body = r#"{"code": 20003, "message": "KEYSECRET may not call +14155550123"}"#;
    let placement = answers::placement(&answer(401, body), false, twilio().client.key());
    let Placement::Refused(Refusal::Account { why }) = placement else {
        panic!("{placement:?}");
    };
    assert_eq!(why, "HTTP 401: 20003: [key] may not call +***********");
}

#[test]
fn another_account_is_another() {
    let of = |account: &str| {
        let twilio = Twilio::new(ADDRESS, account, "token".into(), None, Scripts::default());
        twilio.unwrap().account().unwrap()
    };
    assert_ne!(of("AC1"), of("AC2"));
    assert_eq!(twilio().account().unwrap(), of(ACCOUNT));
}

#[tokio::test]
async fn an_account_is_asked_about_all_that_a_call_needs() {
    let twilio = |key: &'static str| {
        move |address: &str| {
            let from = Some("+14155550100".parse().unwrap());
            Twilio::new(address, "AC1", key.into(), from, Scripts::default()).unwrap()
        }
    };
    let balance = (
        200,
        json!({"account_sid": "AC1", "balance": "12.50", "currency": "USD"}),
    );
    let other = json!({"phone_number": "+14155550199"});
    let (found, asked) = checked(
        twilio("token"),
        "http://calls.example.com/callbacks/default",
        &[
            (
                200,
                json!({"sid": "AC1", "status": "active", "type": "Trial"}),
            ),
            balance.clone(),
            // A filter that was ignored.
            (200, json!({"incoming_phone_numbers": [other.clone()]})),
            (
                200,
                json!({"outgoing_caller_ids": [{"phone_number": "+14155550100"}]}),
            ),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
    let account = "/2010-04-01/Accounts/AC1";
    assert_eq!(
        asked,
        [
            format!("{account}.json"),
            format!("{account}/Balance.json"),
            format!("{account}/IncomingPhoneNumbers.json?PhoneNumber=%2B14155550100"),
            format!("{account}/OutgoingCallerIds.json?PhoneNumber=%2B14155550100"),
        ]
    );
    let (found, asked) = checked(
        twilio("SK1:secret"),
        "https://calls.example.com/callbacks/default",
        &[
            (200, json!({"calls": []})),
            (401, json!({"code": 20003, "message": "Authenticate"})),
            (200, json!({"incoming_phone_numbers": []})),
            (200, json!({"outgoing_caller_ids": [other]})),
        ],
    )
    .await;
    assert_eq!(asked[0], format!("{account}/Calls.json?PageSize=1"));
    assert!(
        found.contains(
            &"unknown balance: the key may not read it: HTTP 401: Authenticate".to_owned()
        ),
        "{found:?}"
    );
    let missing = "wrong number: number +14155550100 is neither of the account nor verified";
    assert!(
        found.iter().any(|line| line.starts_with(missing)),
        "{found:?}"
    );
}

#[test]
fn machines_are_detected_where_the_campaign_says_what_to_do_with_them() {
    for (told, expected) in [
        ("ignore", None),
        ("hang_up", Some("Enable")),
        ("leave_message", Some("DetectMessageEnd")),
    ] {
        let fields = fields(&twilio(), &json!({ "answering_machine": told })).unwrap();
        let detection = fields.iter().find(|(name, _)| *name == "MachineDetection");
        assert_eq!(
            detection.map(|(_, value)| value.as_str()),
            expected,
            "{told}"
        );
    }
}
