//! A number has one spelling, and shows only its first three and last two digits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgdial::{domain::Phone, provider::http::fuzzing::safe};
use pgdial_fuzz::digits_in_a_row;

fuzz_target!(|text: &str| {
    let said = safe(text);
    assert!(said.chars().count() <= 200, "{said:?}");
    assert!(!said.contains(char::is_control), "{said:?}");
    assert!(digits_in_a_row(&said) < 6, "{said:?}");
    assert_eq!(safe(&said), said);

    let Ok(phone) = Phone::parse(text) else {
        return;
    };
    let whole = phone.as_e164();
    let digits = whole.strip_prefix('+').unwrap();
    assert!((7..=15).contains(&digits.len()), "{whole:?}");
    assert!(
        digits.bytes().all(|byte| byte.is_ascii_digit()),
        "{whole:?}"
    );
    assert_ne!(digits.as_bytes()[0], b'0');
    // Only separators and trunk prefixes were dropped: the number ends as it was written.
    if text.is_ascii() && !text.contains(';') {
        let kept: String = text.chars().filter(char::is_ascii_digit).collect();
        assert!(kept.ends_with(&digits[digits.len() - 4..]), "{whole:?}");
    }

    assert_eq!(Phone::parse(whole).as_ref(), Ok(&phone));
    assert_eq!(Phone::stored(whole).as_ref(), Ok(&phone));
    let json = serde_json::to_string(&phone).unwrap();
    assert_eq!(serde_json::from_str::<Phone>(&json).unwrap(), phone);

    let masked = format!(
        "+{}{}{}",
        &digits[..3],
        "*".repeat(digits.len() - 5),
        &digits[digits.len() - 2..]
    );
    assert_eq!(phone.to_string(), masked);
    assert_eq!(format!("{phone:?}"), format!("Phone({masked})"));
    // However it is spelled, a provider's words do not carry it into a log.
    assert!(digits_in_a_row(&safe(text).replace([' ', '.', '-', '(', ')', '/'], "")) < 6);
});
