use proptest::prelude::*;

use super::*;

fn ended(outcome: Outcome) -> (ReportKind, Option<Outcome>) {
    (ReportKind::Ended, Some(outcome))
}

#[test]
fn every_status_word_of_the_protocol_is_known_in_any_case() {
    for (word, meaning) in [
        ("QUEUED", (ReportKind::Progress, None)),
        ("RINGING", (ReportKind::Progress, None)),
        ("IN_PROGRESS", (ReportKind::Answered, None)),
        ("COMPLETED", ended(Outcome::Answered)),
        ("BUSY", ended(Outcome::Busy)),
        ("NO_ANSWER", ended(Outcome::NoAnswer)),
        ("DECLINED", ended(Outcome::Declined)),
        ("INVALID_NUMBER", ended(Outcome::InvalidNumber)),
        ("VOICEMAIL", ended(Outcome::Voicemail)),
        ("FAILED", ended(Outcome::Unreachable)),
        ("BLOCKED", ended(Outcome::Blocked)),
        ("CAPACITY", ended(Outcome::Capacity)),
        ("ACCOUNT", ended(Outcome::Account)),
        ("CANCELED", ended(Outcome::Canceled)),
        ("CANCELLED", ended(Outcome::Canceled)),
    ] {
        for spelled in [
            word.to_owned(),
            word.to_lowercase(),
            word.replace('_', "-"),
            word.to_lowercase().replace('_', " "),
            format!(" {word} "),
        ] {
            assert_eq!(read_status(&spelled), meaning, "{spelled}");
        }
    }
}

#[test]
fn a_strange_word_is_never_taken_for_the_end() {
    for word in [
        "",
        "ENDED",
        "COMPLETED!",
        "COMPLETE",
        "NO__ANSWER",
        "ＢＵＳＹ",
    ] {
        assert_eq!(read_status(word), (ReportKind::Unknown, None), "{word}");
    }
}

#[test]
fn the_other_fields_are_the_result() {
    let report = read_report(
        br#"{"callId":"prov_1","status":"completed","reference":"r-1","eventId":"e-1",
            "durationSec":42,"completedAt":"2026-01-02T03:04:05Z","transcript":[{"who":"ai"}]}"#,
    );
    assert_eq!(report.kind, ReportKind::Ended);
    assert_eq!(report.outcome, Some(Outcome::Answered));
    assert_eq!(report.provider_call_id.as_deref(), Some("prov_1"));
    assert_eq!(report.reference.as_deref(), Some("r-1"));
    assert_eq!(report.event_id.as_deref(), Some("e-1"));
    assert_eq!(report.status.as_deref(), Some("completed"));
    assert_eq!(
        report.result,
        json!({"durationSec": 42, "completedAt": "2026-01-02T03:04:05Z", "transcript": [{"who": "ai"}]})
    );
}

#[test]
fn what_is_not_of_the_protocols_form_is_unparsable() {
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "not json",
        "null",
        "[]",
        "\"COMPLETED\"",
        "{}",
        r#"{"status":null}"#,
        r#"{"status":["BUSY"]}"#,
        r#"{"status":""}"#,
        r#"{"status":"BUSY""#,
        deep.as_str(),
    ] {
        let report = read_report(body.as_bytes());
        assert_eq!(report.kind, ReportKind::Unparsable, "{body:.20}");
        assert_eq!(report.outcome, None);
    }
}

#[test]
fn an_unparsable_object_still_names_its_call() {
    let report = read_report(br#"{"callId":77,"note":"x"}"#);
    assert_eq!(report.provider_call_id.as_deref(), Some("77"));
    assert_eq!(report.result, json!({"note": "x"}));
}

#[test]
fn a_large_result_is_replaced_and_the_outcome_kept() {
    let fits = json!({"status": "BUSY", "x": "y".repeat(LARGEST_RESULT - 8)});
    let large = json!({"status": "BUSY", "x": "y".repeat(LARGEST_RESULT - 7)});
    assert_eq!(
        read_report(fits.to_string().as_bytes())
            .result
            .to_string()
            .len(),
        LARGEST_RESULT
    );
    let report = read_report(large.to_string().as_bytes());
    assert_eq!(report.result, json!({"truncated": true}));
    assert_eq!(report.outcome, Some(Outcome::Busy));
}

#[test]
fn a_long_name_becomes_its_digest() {
    let long = |c: &str| {
        read_report(
            json!({"status": "BUSY", "eventId": c.repeat(256)})
                .to_string()
                .as_bytes(),
        )
    };
    let (a, b) = (long("a").event_id.unwrap(), long("b").event_id.unwrap());
    assert!(a.starts_with("sha256:") && a.len() == 71);
    assert_ne!(a, b);
}

#[test]
fn a_list_of_calls_is_read_call_by_call() {
    let calls = read_calls(
        br#"{"calls":[{"callId":"a","status":"BUSY","n":1},{"callId":"b","status":"RINGING"},7]}"#,
    )
    .unwrap();
    let alone = read_report(br#"{"callId":"a","status":"BUSY","n":1}"#);
    assert_eq!(calls[0], alone);
    let kinds: Vec<_> = calls.iter().map(|call| call.kind).collect();
    assert_eq!(
        kinds,
        [
            ReportKind::Ended,
            ReportKind::Progress,
            ReportKind::Unparsable
        ]
    );
    assert_eq!(read_calls(br#"{"calls":[]}"#), Some(Vec::new()));
    for body in ["", "[]", "{}", r#"{"calls":null}"#, r#"{"calls":{}}"#] {
        assert_eq!(read_calls(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn a_digest_or_nothing_is_no_name_to_ask_by() {
    let long = name(Some(json!("a".repeat(256)))).unwrap();
    assert!(!is_verbatim(&long) && !is_verbatim(""));
    let longest = name(Some(json!("a".repeat(255)))).unwrap();
    assert!(is_verbatim(&longest) && is_verbatim("call_1"));
}

/// No NUL anywhere. Escaped backslashes are taken out first: `\\\\u0000` is six innocent characters.
fn can_be_stored(report: &Report) -> bool {
    let text = serde_json::to_string(report).unwrap();
    !text.replace("\\\\", "").contains("\\u0000")
}

proptest! {
    #[test]
    fn any_bytes_make_a_report_that_can_be_stored(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let report = read_report(&body);
        prop_assert!(can_be_stored(&report));
    }

    #[test]
    fn any_json_text_makes_a_report_that_can_be_stored(
        body in r#"\{"status":"(BUSY|x\\u0000|\\ud83d)","(a|\\u0000)":"(\\ud800|\\udc00|\\u0000|\\\\|\\n|é){0,6}"\}"#
    ) {
        let report = read_report(body.as_bytes());
        prop_assert_ne!(report.kind, ReportKind::Unparsable, "{}", body);
        prop_assert!(can_be_stored(&report));
    }
}
