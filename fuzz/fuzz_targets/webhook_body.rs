//! Any bytes can be signed, verify under either scheme and with no other secret, and parse to a report that the
//! database can hold.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use pgdial::{
    domain::{Outcome, Report, ReportKind},
    provider::{
        protocol::{read_report, read_status},
        signature::{self, Rejection, Secrets},
    },
};
use pgdial_fuzz::{holds_nul, levels};

/// Longest stored name in characters; a longer one becomes `sha256:` and 64 hex digits.
const LONGEST_NAME: usize = 255;

fuzz_target!(|body: &[u8]| {
    let report = read_report(body);
    is_storable(&report);
    assert_eq!(report.outcome.is_some(), report.kind == ReportKind::Ended);
    match &report.status {
        Some(word) if word.starts_with("sha256:") => {}
        Some(word) => {
            let (kind, outcome) = read_status(word);
            // A call may be completed by a machine.
            let machine = (Some(Outcome::Answered), Some(Outcome::Voicemail));
            assert_eq!(kind, report.kind);
            assert!(outcome == report.outcome || (outcome, report.outcome) == machine);
        }
        None => assert_eq!(report.kind, ReportKind::Unparsable),
    }
    assert_eq!(read_report(body), report);
    is_believed_with_its_secret_alone(body);
});

fn is_storable(report: &Report) {
    let names = [
        &report.provider_call_id,
        &report.reference,
        &report.event_id,
        &report.status,
    ];
    for name in names.into_iter().flatten() {
        assert!(!name.is_empty() && !name.contains('\0'), "{name:?}");
        assert!(name.chars().count() <= LONGEST_NAME, "{name:?}");
    }
    assert!(report.result.is_object());
    assert!(!holds_nul(&report.result));
    assert!(levels(&report.result) <= 33, "{}", report.result);
    assert!(report.result.to_string().len() <= 64 * 1024);
    // The whole report goes to the database as JSON.
    serde_json::to_string(report).unwrap();
}

fn is_believed_with_its_secret_alone(body: &[u8]) {
    let secrets: Secrets = "new,old".parse().unwrap();
    let another: Secrets = "another".parse().unwrap();
    for by in ["new", "old"].map(|text| text.parse::<Secrets>().unwrap()) {
        let mut plain = HeaderMap::new();
        put(
            &mut plain,
            signature::PLAIN,
            &signature::sign_plain(&by, body),
        );
        let mut standard = HeaderMap::new();
        put(&mut standard, signature::ID, "msg-1");
        put(&mut standard, signature::TIMESTAMP, "1700000000");
        let signed = signature::sign_standard(&by, "msg-1", 1_700_000_000, body);
        put(&mut standard, signature::SIGNATURE, &signed);
        for headers in [plain, standard] {
            assert!(signature::verify(&headers, body, &secrets).is_ok());
            let refused = signature::verify(&headers, body, &another);
            assert_eq!(refused, Err(Rejection::Mismatch));
            let longer = [body, b" "].concat();
            let refused = signature::verify(&headers, &longer, &secrets);
            assert_eq!(refused, Err(Rejection::Mismatch));
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).unwrap());
}
