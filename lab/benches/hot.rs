//! The pure functions that every call passes through, each measured alone: `cargo bench -p pgdial-lab --bench hot
//! --features fuzzing`.
//!
//! Each input is checked before it is measured, so that no figure is the price of a rejection.
#![expect(
    clippy::unwrap_used,
    reason = "a bench whose own input is wrong can only end"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use hyper::{
    HeaderMap, Uri,
    header::{HeaderName, HeaderValue},
};
use pgdial::{
    domain::{Phone, ReportKind},
    http::fuzzing::{cursor, webhook},
    provider::{
        http::HttpProvider,
        protocol::read_report,
        signature::{self, Secrets},
        tag,
    },
    trunks::{Trunk, Trunks},
};
use serde_json::json;

const DIAL: &str = "0197f5e0-0000-7000-8000-000000000001-1";
const SIGNED_AT: i64 = 1_700_000_000;

// Without criterion's macros, whose public items lack the documentation our lints demand.
fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    signatures(&mut criterion);
    phones(&mut criterion);
    cursors(&mut criterion);
    reports(&mut criterion);
    criterion.final_summary();
}

/// A final report as a provider sends it, with `transcript` bytes of transcript.
fn report(transcript: usize) -> Vec<u8> {
    let line = "agent: Is this a good moment? caller: Yes, go on. ";
    let body = json!({
        "callId": "fc-0197f5e0", "reference": DIAL, "eventId": "evt-1", "status": "COMPLETED",
        "durationSec": 93, "costUsd": "0.0412", "answers": {"moment": "yes", "rating": 9},
        "transcript": line.chars().cycle().take(transcript).collect::<String>(),
    });
    body.to_string().into_bytes()
}

fn secrets(text: &str) -> Secrets {
    text.parse().unwrap()
}

fn headers<const N: usize>(pairs: [(&'static str, String); N]) -> HeaderMap {
    pairs
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).unwrap(),
            )
        })
        .collect()
}

fn plain(by: &Secrets, body: &[u8]) -> HeaderMap {
    headers([(signature::PLAIN, signature::sign_plain(by, body))])
}

fn standard(by: &Secrets, body: &[u8]) -> HeaderMap {
    headers([
        (signature::ID, "msg-1".to_owned()),
        (signature::TIMESTAMP, SIGNED_AT.to_string()),
        (
            signature::SIGNATURE,
            signature::sign_standard(by, "msg-1", SIGNED_AT, body),
        ),
    ])
}

/// A webhook's signature; `accepted` is everything its handler does before it reads the body.
fn signatures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signature");
    let (one, two) = (secrets("current"), secrets("next,current"));
    let trunks: Trunks = [Trunk {
        name: "default".to_owned(),
        provider: std::sync::Arc::new(HttpProvider::new("http://127.0.0.1:1", None).unwrap()),
        secrets: one.clone(),
    }]
    .into_iter()
    .collect();
    let address: Uri =
        tag::webhook_url("http://127.0.0.1:1", "default", DIAL.parse().unwrap(), &one)
            .parse()
            .unwrap();

    for transcript in [0, 16 * 1024] {
        let body = report(transcript);
        let size = body.len();
        group.throughput(Throughput::Bytes(size.try_into().unwrap()));
        for (name, headers, secrets) in [
            ("plain", plain(&one, &body), &one),
            ("standard", standard(&one, &body), &one),
            // During a rotation both secrets are tried.
            ("standard-two-secrets", standard(&one, &body), &two),
        ] {
            assert!(signature::verify(&headers, &body, secrets).is_ok());
            group.bench_function(BenchmarkId::new(name, size), |bench| {
                bench.iter(|| signature::verify(black_box(&headers), black_box(&body), secrets));
            });
        }
        let headers = standard(&one, &body);
        let accepted = webhook(&trunks, &address, &headers, &body).unwrap();
        assert_eq!(accepted.1.unwrap().to_string(), DIAL);
        group.bench_function(BenchmarkId::new("accepted", size), |bench| {
            bench.iter(|| webhook(&trunks, black_box(&address), &headers, black_box(&body)));
        });
    }
    group.finish();
}

fn phones(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("phone");
    for (name, text) in [("bare", "+14155550100"), ("spelled", "+1 (415) 555-01.00")] {
        assert_eq!(Phone::parse(text).unwrap().as_e164(), "+14155550100");
        group.bench_function(BenchmarkId::new("parse", name), |bench| {
            bench.iter(|| Phone::parse(black_box(text)));
        });
    }
    let phone = Phone::parse("+14155550100").unwrap();
    assert_eq!(phone.to_string(), "+141******00");
    group.bench_function("mask", |bench| {
        bench.iter(|| black_box(&phone).to_string());
    });
    group.finish();
}

/// Decodes a cursor and encodes it again.
fn cursors(criterion: &mut Criterion) {
    let text = "AQGX9eAAAHAAgAAAAAAAAAE";
    assert_eq!(cursor(text).unwrap(), text);
    criterion.bench_function("cursor", |bench| bench.iter(|| cursor(black_box(text))));
}

fn reports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("report");
    for transcript in [0, 16 * 1024] {
        let body = report(transcript);
        assert_eq!(read_report(&body).kind, ReportKind::Ended);
        group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
        group.bench_function(BenchmarkId::new("read", body.len()), |bench| {
            bench.iter(|| read_report(black_box(&body)));
        });
    }
    group.finish();
}
