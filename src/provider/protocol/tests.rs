use proptest::prelude::*;
use serde_json::json;

use super::{bounded::LARGEST as LARGEST_RESULT, *};

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
        ("UNANSWERED", ended(Outcome::NoAnswer)),
        ("DIAL_BUSY", ended(Outcome::Busy)),
        ("REJECTED", ended(Outcome::Declined)),
        ("VOICEMAIL_REACHED", ended(Outcome::Voicemail)),
        ("ANSWERED", (ReportKind::Answered, None)),
    ] {
        let camel: String = word
            .split('_')
            .map(|part| {
                let (first, rest) = part.split_at(1);
                first.to_owned() + &rest.to_lowercase()
            })
            .collect();
        let (first, rest) = camel.split_at(1);
        for spelled in [
            camel.clone(),
            first.to_lowercase() + rest,
            word.replace('_', "\u{2011}"),
            word.replace('_', "\u{a0}"),
            format!("\u{feff}{word}\u{200b}"),
            format!("{word}.\u{fffd}"),
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
        "timeout",
        "machine",
        "hangup",
        "done",
        "not_connected",
        "...",
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
        "[[]]",
        "\"COMPLETED\"",
        "status",
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
fn of_a_large_result_the_largest_part_goes_and_the_outcome_is_kept() {
    let fits = json!({"status": "BUSY", "x": "y".repeat(LARGEST_RESULT - 8)});
    let large = json!({"status": "BUSY", "x": "y".repeat(LARGEST_RESULT - 7), "cost": 1});
    assert_eq!(
        read_report(fits.to_string().as_bytes())
            .result
            .to_string()
            .len(),
        LARGEST_RESULT
    );
    let report = read_report(large.to_string().as_bytes());
    assert_eq!(report.result, json!({"cost": 1, "truncated": ["x"]}));
    assert_eq!(report.outcome, Some(Outcome::Busy));
}

#[test]
fn a_machine_that_answers_is_voicemail() {
    for (field, who) in [
        ("answeredBy", "voicemail"),
        ("answered_by", "Voicemail"),
        ("AnsweredBy", "machine_end_beep"),
        ("AnsweredBy", "machine"),
        ("answered-by", "answering-machine"),
        ("answeredBy", "fax"),
    ] {
        let report = read_report(
            json!({"status": "completed", field: who})
                .to_string()
                .as_bytes(),
        );
        assert_eq!(report.outcome, Some(Outcome::Voicemail), "{field} {who}");
        assert_eq!(report.result, json!({field: who}));
    }
    for (status, field, who) in [
        ("completed", "answeredBy", json!("human")),
        ("completed", "answeredBy", json!("machinery")),
        ("completed", "answeredBy", json!(null)),
        ("completed", "wasAnsweredBy", json!("machine")),
    ] {
        let report = read_report(json!({"status": status, field: who}).to_string().as_bytes());
        assert_eq!(report.outcome, Some(Outcome::Answered), "{field} {who}");
    }
    let busy = read_report(br#"{"status":"busy","answeredBy":"machine"}"#);
    assert_eq!(busy.outcome, Some(Outcome::Busy));
    let up = read_report(br#"{"status":"in-progress","answeredBy":"machine"}"#);
    assert_eq!((up.kind, up.outcome), (ReportKind::Answered, None));
}

#[test]
fn forms_lists_of_one_and_bodies_encoded_twice_are_read() {
    let whole = read_report(br#"{"status":"BUSY","callId":"p-1","sec":"12"}"#);
    for body in [
        "callId=p-1&status=BUSY&sec=12",
        "status=BUSY&sec=12&callId=p%2D1&status=COMPLETED",
        r#"[{"status":"BUSY","callId":"p-1","sec":"12"}]"#,
        r#""{\"status\":\"BUSY\",\"callId\":\"p-1\",\"sec\":\"12\"}""#,
        r#"{"Status":"BUSY","CALLID":"p-1","sec":"12"}"#,
    ] {
        let mut report = read_report(body.as_bytes());
        report.status = Some("BUSY".to_owned());
        assert_eq!(report, whole, "{body}");
    }
    for body in [
        "CallStatus=completed&CallSid=1",
        "status",
        r#"[{"status":"BUSY"},{"status":"COMPLETED"}]"#,
        r#"{"status":"BUSY"} {"status":"COMPLETED"}"#,
    ] {
        assert_eq!(
            read_report(body.as_bytes()).kind,
            ReportKind::Unparsable,
            "{body}"
        );
    }
}

#[test]
fn names_of_uuid_shape_have_one_spelling() {
    let id = "0197F5E0-0000-7000-8000-00000000000A";
    let report = read_report(
        json!({"status": "BUSY", "eventId": id, "reference": format!("{id}-1"), "callId": id})
            .to_string()
            .as_bytes(),
    );
    assert_eq!(report.event_id.unwrap(), id.to_lowercase());
    assert_eq!(
        report.reference.unwrap(),
        format!("{}-1", id.to_lowercase())
    );
    assert_eq!(
        report.provider_call_id.unwrap(),
        id,
        "it is asked about by this name"
    );
    assert_eq!(
        read_report(br#"{"eventId":"Evt-A"}"#).event_id.unwrap(),
        "Evt-A"
    );
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

/// No NUL anywhere. Escaped backslashes are removed first: `\\\\u0000` is six harmless characters.
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
