//! Bodies of `POST /calls` and of a batch: refused with a sentence, or read into values that the database can hold
//! and that survive a round trip unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgdial::{
    domain::CallRequest,
    http::fuzzing::{batch_array, batch_lines, object},
};
use pgdial_fuzz::{holds_nul, levels};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    match object(body) {
        Ok(value) => {
            assert!(value.is_object() && !holds_nul(&value));
            is_stable(&value);
            read_as_request(value);
        }
        Err(code) => assert!(
            ["malformed_json", "invalid_request"].contains(&code),
            "{code}"
        ),
    }
    let lines = body.split(|byte| *byte == b'\n').count();
    for (items, most) in [(batch_array(body), body.len()), (batch_lines(body), lines)] {
        match items {
            Ok(items) => {
                assert!(items.len() <= most.min(1000));
                items.iter().flatten().for_each(is_stable);
            }
            Err(code) => {
                let known = ["malformed_json", "invalid_request", "batch_too_large"];
                assert!(known.contains(&code), "{code}");
            }
        }
    }
});

/// The parser bounds the depth, and a value survives its way to the database.
fn is_stable(value: &Value) {
    assert!(levels(value) <= 128);
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(
        &serde_json::from_str::<Value>(&text).unwrap(),
        value,
        "{text}"
    );
}

/// Whatever the OpenAPI document's type accepts serialises without loss.
fn read_as_request(value: Value) {
    if let Ok(request) = serde_json::from_value::<CallRequest>(value) {
        let written = serde_json::to_value(&request).unwrap();
        assert_eq!(
            serde_json::from_value::<CallRequest>(written).unwrap(),
            request
        );
    }
}
