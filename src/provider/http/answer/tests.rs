use hyper::{HeaderMap, body::Bytes, header::HeaderValue};
use proptest::prelude::*;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: hyper::StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn meaning(status: u16, body: &str) -> String {
    match placement(&answer(status, body), None) {
        Placement::Placed { provider_call_id } => format!("placed {provider_call_id}"),
        Placement::Late => "late".to_owned(),
        Placement::Unknown { .. } => "unknown".to_owned(),
        Placement::Refused(Refusal::Permanent { outcome, .. }) => format!("permanent {outcome}"),
        Placement::Refused(Refusal::Transient { .. }) => "transient".to_owned(),
        Placement::Refused(Refusal::Capacity {
            retry_after_sec, ..
        }) => {
            format!("capacity {retry_after_sec:?}")
        }
        Placement::Refused(Refusal::NumberLimit { .. }) => "number limit".to_owned(),
        Placement::Refused(Refusal::Forbidden { .. }) => "forbidden".to_owned(),
        Placement::Refused(Refusal::Account { .. }) => "account".to_owned(),
    }
}

#[test]
fn every_line_of_the_table_holds() {
    for (status, body, expected) in [
        (202, r#"{"callId":"prov_1"}"#, "placed prov_1"),
        (200, r#"{"callId":17,"more":{}}"#, "placed 17"),
        (
            200,
            r#"{"callId":"prov_1","success":true}"#,
            "placed prov_1",
        ),
        (200, r#"{"callId":"prov_1","success":false}"#, "unknown"),
        (200, r#"{"callId":"prov_1","success":"false"}"#, "unknown"),
        (
            200,
            r#"{"success":false,"message":"no agent"}"#,
            "permanent blocked",
        ),
        (200, r#"{"success":true}"#, "unknown"),
        (200, r#"{"status":"error","message":"no agent"}"#, "unknown"),
        (200, r#"{"callId":""}"#, "unknown"),
        (200, r#"{"id":"prov_1"}"#, "unknown"),
        (204, "", "unknown"),
        (200, "<html>", "unknown"),
        (301, r#"{"callId":"x"}"#, "unknown"),
        (307, "", "unknown"),
        (400, "", "permanent blocked"),
        (401, "", "account"),
        (402, "", "account"),
        (403, "", "forbidden"),
        (403, r#"{"code":"D35"}"#, "forbidden"),
        (
            403,
            r#"{"code":"INVALID_NUMBER"}"#,
            "permanent invalid_number",
        ),
        (403, r#"{"code":"number_blocked"}"#, "permanent blocked"),
        (404, "", "forbidden"),
        (404, "<html>nginx</html>", "forbidden"),
        (404, r#"{"code":"script_unknown"}"#, "permanent blocked"),
        (405, "", "forbidden"),
        (408, "", "unknown"),
        (409, r#"{"code":"idempotency_state_unknown"}"#, "unknown"),
        (412, r#"{"code":"late"}"#, "late"),
        (412, r#"{"code":"other"}"#, "permanent blocked"),
        (412, "", "permanent blocked"),
        (
            422,
            r#"{"code":"invalid_number"}"#,
            "permanent invalid_number",
        ),
        (
            422,
            r#"{"status":"Invalid-Number"}"#,
            "permanent invalid_number",
        ),
        (
            400,
            r#"{"error":{"code":"invalid_destination"}}"#,
            "permanent invalid_number",
        ),
        (422, r#"{"code":"script_unknown"}"#, "permanent blocked"),
        (429, "", "capacity None"),
        (
            429,
            r#"{"code":"too_many_concurrent_requests"}"#,
            "capacity None",
        ),
        (429, r#"{"code":"BLACKLISTED"}"#, "permanent blocked"),
        (429, r#"{"error":"blocked"}"#, "permanent blocked"),
        (
            429,
            r#"{"message":"This number is blacklisted"}"#,
            "permanent blocked",
        ),
        (500, r#"{"callId":"x"}"#, "unknown"),
        (501, "", "unknown"),
        (502, "", "unknown"),
        (503, "", "capacity None"),
        (503, r#"{"callId":"x"}"#, "capacity None"),
        (529, "", "unknown"),
        (504, "", "unknown"),
        (599, "", "unknown"),
    ] {
        assert_eq!(meaning(status, body), expected, "{status} {body}");
    }
}

#[test]
fn a_late_word_counts_with_its_own_status_only() {
    assert_eq!(meaning(500, r#"{"code":"late"}"#), "unknown");
    assert_eq!(meaning(400, r#"{"code":"late"}"#), "permanent blocked");
}

#[test]
fn a_503_says_not_accepted_and_how_long_to_wait() {
    let mut busy = answer(503, "");
    busy.headers
        .insert("retry-after", HeaderValue::from_static("2.5"));
    let Placement::Refused(Refusal::Capacity {
        retry_after_sec, ..
    }) = placement(&busy, None)
    else {
        panic!("not a refusal");
    };
    assert_eq!(retry_after_sec, Some(3));
}

#[test]
fn the_words_are_kept_without_the_number_and_the_key() {
    let body = r#"{"code":"bad_to","message":"cannot ring +1 415 555 0100 for Key-7aZ"}"#;
    let Placement::Refused(Refusal::Permanent { why, .. }) =
        placement(&answer(422, body), Some("key-7Az"))
    else {
        panic!("not a refusal");
    };
    assert_eq!(
        why,
        "HTTP 422: BAD_TO: cannot ring +* *** *** **** for [key]"
    );
}

#[test]
fn a_long_message_is_cut_and_a_web_page_is_not_repeated() {
    let why = |body: &str| match placement(&answer(500, body), None) {
        Placement::Unknown { why } => why,
        other => panic!("{other:?}"),
    };
    let long = why(&format!(r#"{{"message":"{}"}}"#, "no ".repeat(500)));
    assert!(long.starts_with("HTTP 500: no no") && long.chars().count() == 200);
    assert_eq!(why("<html><body>oops</body></html>"), "HTTP 500");
    assert_eq!(why("upstream gone"), "HTTP 500: upstream gone");
    assert_eq!(
        why(r#"{"status":500,"message":["scriptId must be a UUID"],"error":"Bad Request"}"#),
        "HTTP 500: BAD_REQUEST: scriptId must be a UUID"
    );
}

#[test]
fn every_answer_to_a_cancel_has_a_meaning() {
    for (status, expected) in [
        (200, Some(Cancellation::Agreed)),
        (202, Some(Cancellation::Agreed)),
        (404, Some(Cancellation::AlreadyOver)),
        (409, Some(Cancellation::AlreadyOver)),
        (410, Some(Cancellation::AlreadyOver)),
        (405, Some(Cancellation::Unsupported)),
        (501, Some(Cancellation::Unsupported)),
        (401, None),
        (429, None),
        (500, None),
        (302, None),
    ] {
        assert_eq!(
            cancellation(&answer(status, ""), None).ok(),
            expected,
            "{status}"
        );
    }
}

proptest! {
    #[test]
    fn no_answer_panics_and_only_a_2xx_places(status in 100u16..600, body in "\\PC{0,80}") {
        if let Placement::Placed { .. } = placement(&answer(status, &body), Some("k")) {
            prop_assert!((200..300).contains(&status));
        }
    }
}
