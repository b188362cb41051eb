//! A cursor has one spelling; a listing's query is refused, or parses to values within bounds.
#![no_main]

use http::Uri;
use libfuzzer_sys::fuzz_target;
use pgdial::http::fuzzing::{cursor, listing};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(printed) = cursor(text)
    {
        assert_eq!(printed, text);
    }
    let query = [b"/api/v1/calls?", data].concat();
    let Ok(uri) = Uri::try_from(query) else {
        return;
    };
    match listing(&uri) {
        Ok((filter, limit)) => {
            assert!((1..=200).contains(&limit));
            assert!(!filter.campaign.unwrap_or_default().contains('\0'));
        }
        Err(code) => assert_eq!(code, "invalid_query"),
    }
});
