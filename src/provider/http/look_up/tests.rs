use std::{
    fs::File,
    io::{Read as _, Seek as _},
    sync::Arc,
};

use hyper::{HeaderMap, StatusCode, body::Bytes};
use proptest::prelude::*;

use super::*;

const REFERENCE: &str = "0197f5e0-0000-7000-8000-000000000001-2";
const OTHER: &str = "0197f5e0-0000-7000-8000-000000000001-1";

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn spoken(looked_up: Result<LookedUp, Error>) -> String {
    match looked_up {
        Ok(LookedUp::Found(report)) => format!(
            "found {} {}",
            report.provider_call_id.unwrap_or_default(),
            report.status.unwrap_or_default()
        ),
        Ok(LookedUp::NotFound) => "not found".to_owned(),
        Ok(LookedUp::Unsupported) => "unsupported".to_owned(),
        Ok(LookedUp::Inconclusive) => "inconclusive".to_owned(),
        Err(Error::NoAnswer { why }) => format!("no answer: {why}"),
        Err(Error::Refused { status, .. }) => format!("refused {status}"),
        Err(other) => panic!("{other:?}"),
    }
}

fn list(status: u16, body: &str) -> String {
    let dial = REFERENCE.parse().unwrap();
    spoken(by_reference(&answer(status, body), dial, None))
}

/// A response with one call per pair of id and status word.
fn calls(reference: &str, pairs: &[(&str, &str)]) -> String {
    let calls: Vec<_> = pairs
        .iter()
        .map(|(id, word)| serde_json::json!({"callId": id, "status": word, "reference": reference}))
        .collect();
    serde_json::json!({ "calls": calls }).to_string()
}

#[test]
fn every_answer_by_id_has_a_meaning() {
    let no_report = "no answer: HTTP 200: it cannot be read as a report";
    for (status, body, expected) in [
        (
            200,
            r#"{"callId":"a","status":"RINGING"}"#,
            "found a RINGING",
        ),
        (200, r#"{"callId":"a","status":"busy"}"#, "found a busy"),
        (200, r#"{"status":"COMPLETED"}"#, "found  COMPLETED"),
        (
            200,
            r#"{"callId":"a","status":"TELEPORTED"}"#,
            "found a TELEPORTED",
        ),
        // About another call: the database compares the names, and counts it.
        (200, r#"{"callId":"b","status":"BUSY"}"#, "found b BUSY"),
        (200, "", no_report),
        (200, "<html>", no_report),
        (200, "null", no_report),
        (200, r#"{"callId":"a"}"#, no_report),
        (200, r#"{"callId":"a","status":"BUS"#, no_report),
        (
            202,
            r#"{"status":"BUSY"}"#,
            "no answer: HTTP 202: it is no whole answer",
        ),
        (204, "", "no answer: HTTP 204: it is no whole answer"),
        (404, "", "not found"),
        (404, r#"{"code":"unknown_call"}"#, "not found"),
        (410, "", "not found"),
        (405, "", "unsupported"),
        (501, "", "unsupported"),
        (302, "", "refused 302"),
        (400, "", "refused 400"),
        (401, r#"{"status":"BUSY"}"#, "refused 401"),
        (403, "", "refused 403"),
        (408, "", "refused 408"),
        (409, "", "refused 409"),
        (429, "", "refused 429"),
        (500, r#"{"callId":"a","status":"BUSY"}"#, "refused 500"),
        (503, "", "refused 503"),
    ] {
        assert_eq!(
            spoken(by_id(&answer(status, body), None)),
            expected,
            "{status} {body}"
        );
    }
}

#[test]
fn every_answer_by_reference_has_a_meaning() {
    let no_list = "no answer: HTTP 200: it cannot be read as a list of calls";
    let no_call = "no answer: HTTP 200: a call in the list cannot be read";
    for (status, body, expected) in [
        (200, r#"{"calls":[]}"#, "not found"),
        (
            200,
            &calls(REFERENCE, &[("a", "RINGING")]),
            "found a RINGING",
        ),
        (
            200,
            &calls(REFERENCE, &[("a", "NO_ANSWER")]),
            "found a NO_ANSWER",
        ),
        (200, "", no_list),
        (200, "<html>", no_list),
        (200, "[]", no_list),
        (200, "null", no_list),
        (200, "{}", no_list),
        (200, r#"{"calls":null}"#, no_list),
        (200, r#"{"calls":{}}"#, no_list),
        (200, r#"{"calls":["#, no_list),
        (200, r#"{"calls":[null]}"#, no_call),
        (200, r#"{"calls":[{"callId":"a"}]}"#, no_call),
        (
            200,
            &format!(r#"{{"calls":[{{"status":"BUSY","reference":"{REFERENCE}"}},{{}}]}}"#),
            no_call,
        ),
        (
            206,
            r#"{"calls":[]}"#,
            "no answer: HTTP 206: it is no whole answer",
        ),
        (404, "", "unsupported"),
        (404, r#"{"code":"unknown_call"}"#, "unsupported"),
        (405, "", "unsupported"),
        (501, "", "unsupported"),
        (302, "", "refused 302"),
        (400, "", "refused 400"),
        (401, r#"{"calls":[]}"#, "refused 401"),
        (410, "", "refused 410"),
        (429, "", "refused 429"),
        (500, r#"{"calls":[]}"#, "refused 500"),
    ] {
        assert_eq!(list(status, body), expected, "{status} {body}");
    }
}

#[test]
fn a_call_that_does_not_name_the_reference_is_not_ours() {
    let none = "no answer: HTTP 200: no call in the list names the reference";
    let nameless = r#"{"calls":[{"callId":"a","status":"COMPLETED"}]}"#;
    assert_eq!(list(200, nameless), none);
    assert_eq!(list(200, &calls(OTHER, &[("a", "COMPLETED")])), none);
    let mixed = format!(
        r#"{{"calls":[{{"callId":"a","status":"COMPLETED"}},
            {{"callId":"b","status":"COMPLETED","reference":"{OTHER}"}},
            {{"callId":"c","status":"BUSY","reference":"{REFERENCE}"}}]}}"#
    );
    assert_eq!(list(200, &mixed), "found c BUSY");
}

#[test]
fn of_several_calls_the_one_that_says_most_counts() {
    let falling = [
        "COMPLETED",
        "IN_PROGRESS",
        "RINGING",
        "TELEPORTED",
        "VOICEMAIL",
        "BUSY",
    ];
    for (at, more) in falling.iter().enumerate() {
        for less in &falling[at + 1..] {
            for pairs in [[("a", *more), ("b", *less)], [("b", *less), ("a", *more)]] {
                let found = list(200, &calls(REFERENCE, &pairs));
                assert_eq!(found, format!("found a {more}"), "{pairs:?}");
            }
        }
    }
}

/// What is logged while a list is read.
fn log_of(body: &str) -> String {
    let mut file = tempfile::tempfile().unwrap();
    let writer: Arc<File> = Arc::new(file.try_clone().unwrap());
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(writer)
        .finish();
    tracing::subscriber::with_default(subscriber, || list(200, body));
    let mut log = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut log).unwrap();
    log
}

#[test]
fn a_reference_that_was_rung_twice_is_an_error_in_the_log() {
    let log = log_of(&calls(REFERENCE, &[("a", "BUSY"), ("b", "BUSY")]));
    assert!(log.contains("ERROR"), "{log}");
    assert!(log.contains(&format!("reference={REFERENCE}")), "{log}");
    assert!(log.contains("calls=2"), "{log}");
    assert_eq!(log_of(&calls(REFERENCE, &[("a", "BUSY")])), "");
    assert_eq!(log_of(&calls(OTHER, &[("a", "BUSY"), ("b", "BUSY")])), "");
}

#[test]
fn the_words_are_kept_without_the_number_and_the_key() {
    let body = r#"{"message":"cannot find +1 415 555 0100 for key-7"}"#;
    let error = by_id(&answer(500, body), Some("key-7")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the provider answered 500: HTTP 500: cannot find +* *** *** **** for [key]"
    );
}

proptest! {
    #[test]
    fn only_a_readable_200_finds_and_no_answer_panics(
        status in 200u16..600, body in r#"(\PC{0,40}|\{"calls":\[\]\}|\{"status":"\PC{0,9}"\})"#
    ) {
        let dial = REFERENCE.parse().unwrap();
        let answer = answer(status, &body);
        for looked_up in [by_id(&answer, None), by_reference(&answer, dial, None)] {
            if let Ok(LookedUp::Found(report)) = looked_up {
                prop_assert_eq!(status, 200);
                prop_assert_ne!(report.kind, ReportKind::Unparsable);
            }
        }
    }
}
