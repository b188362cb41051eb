//! Whatever a provider responds: `Placed` only with an id, `Refused` only if it refuses, `NotFound` only if it says
//! so, and no key and no number in the words that are kept.
//!
//! The input is a message: a status, headers, a body.
#![no_main]

use http::{StatusCode, header::RETRY_AFTER};
use libfuzzer_sys::fuzz_target;
use pgdial::{
    domain::{Outcome, Placement, Reference, Refusal, ReportKind},
    provider::{LookedUp, http::fuzzing::Answer},
};
use pgdial_fuzz::{Message, digits_in_a_row, header_map};

const KEY: &str = "Key4QxT9";
const DIAL: &str = "0197f5e0-0000-7000-8000-000000000001-1";

fuzz_target!(|data: &[u8]| {
    let message = Message::split(data);
    let Ok(status) = StatusCode::from_bytes(message.first.trim_ascii()) else {
        return;
    };
    let headers = header_map(message.headers.iter().map(|(name, value)| (name, *value)));
    let retry_after = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let answer = Answer::new(status, headers, message.body, Some(KEY));

    let placement = answer.placement();
    check_placement(status.as_u16(), &placement, retry_after.as_deref());
    if status.is_success() && matches!(placement, Placement::Refused(_)) {
        // With escapes it may be spelled in any way.
        assert!(
            message.body.contains(&b'\\') || message.body.windows(7).any(|word| word == b"success"),
            "a no that was not said"
        );
    }
    if let Err(error) = answer.cancellation() {
        is_safe(&error.to_string());
    }
    let dial: Reference = DIAL.parse().unwrap();
    check_look_up(&answer.by_id(), &[404, 410], status.as_u16());
    let listed = answer.by_reference(dial);
    // An empty list says so too.
    check_look_up(&listed, &[200], status.as_u16());
    if let Ok(LookedUp::Found(report)) = listed {
        assert_eq!(report.reference.as_deref(), Some(DIAL));
    }
});

fn check_placement(status: u16, placement: &Placement, retry_after: Option<&str>) {
    match placement {
        Placement::Placed { provider_call_id } => {
            assert!((200..300).contains(&status));
            assert!(!provider_call_id.is_empty() && !provider_call_id.contains('\0'));
            assert!(provider_call_id.chars().count() <= 255);
        }
        Placement::Late => assert_eq!(status, 412),
        Placement::Unknown { why } => is_safe(why),
        Placement::Refused(refusal) => {
            // Only an explicit refusal counts: apart from our protocol's 503, nobody knows what a 5xx has done. A 2xx
            // may itself say that it failed.
            assert!(
                (200..300).contains(&status)
                    || status == 503
                    || (400..500).contains(&status) && ![408, 409].contains(&status),
                "{status}"
            );
            match refusal {
                Refusal::Permanent { outcome, why, .. } => {
                    assert!(matches!(outcome, Outcome::Blocked | Outcome::InvalidNumber));
                    is_safe(why);
                }
                Refusal::Capacity {
                    retry_after_sec,
                    why,
                } => {
                    assert!(matches!(status, 429 | 503));
                    assert!(retry_after_sec.is_none_or(|wait| wait <= 86_400));
                    if let Some(seconds) =
                        retry_after.and_then(|text| text.trim().parse::<u32>().ok())
                        && seconds < 1_000_000_000
                    {
                        assert_eq!(*retry_after_sec, Some(seconds.min(86_400)));
                    }
                    is_safe(why);
                }
                Refusal::Forbidden { why } | Refusal::Account { why } => is_safe(why),
                other => panic!("no answer means this: {other:?}"),
            }
        }
        other => panic!("nothing here checks this: {other:?}"),
    }
}

fn check_look_up(
    looked_up: &Result<LookedUp, pgdial::provider::Error>,
    not_found: &[u16],
    status: u16,
) {
    match looked_up {
        Ok(LookedUp::Found(report)) => {
            assert_eq!(status, 200);
            assert_ne!(report.kind, ReportKind::Unparsable);
        }
        Ok(LookedUp::NotFound) => assert!(not_found.contains(&status), "{status}"),
        Ok(LookedUp::Unsupported) => assert!([404, 405, 501].contains(&status), "{status}"),
        Ok(other) => panic!("nothing here checks this: {other:?}"),
        Err(error) => is_safe(&error.to_string()),
    }
}

fn is_safe(words: &str) {
    assert!(
        !words
            .to_ascii_lowercase()
            .contains(&KEY.to_ascii_lowercase()),
        "{words:?}"
    );
    assert!(digits_in_a_row(words) < 6, "{words:?}");
    assert!(!words.contains(char::is_control), "{words:?}");
}
