//! Text that crosses the edge: the provider's words made safe to store and log, and our names made safe for a URL.
//!
//! [`safe`] returns no telephone number, no control character and at most 200 characters. It does not parse numbers
//! and so cannot miss a spelling: it masks whatever *looks* like a number, and would rather mask a date too many.

use std::fmt::Write as _;

use crate::shown;

/// Characters kept of what a provider says.
const LONGEST: usize = 200;
/// Digits in a row, ignoring separators, that are taken for a telephone number. Error codes have up to five.
const NUMBER_DIGITS: usize = 6;

/// The text on one line, with every number masked, cut to 200 characters.
pub(crate) fn safe(text: &str) -> String {
    let line: Vec<char> = text
        .chars()
        .map(|c| if shown::steers(c) { ' ' } else { c })
        .collect();
    let masked: String = mask(line).into_iter().collect();
    let masked = masked.trim();
    if masked.chars().count() <= LONGEST {
        return masked.to_owned();
    }
    masked.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// Replaces the digits of everything that looks like a telephone number by `*`.
fn mask(mut line: Vec<char>) -> Vec<char> {
    let mut run: Vec<usize> = Vec::new();
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for (at, c) in line.iter().enumerate() {
        if c.is_numeric() {
            run.push(at);
        } else if !separates(*c) {
            runs.push(std::mem::take(&mut run));
        }
    }
    runs.push(run);
    for at in runs
        .into_iter()
        .filter(|run| run.len() >= NUMBER_DIGITS)
        .flatten()
    {
        if let Some(c) = line.get_mut(at) {
            *c = '*';
        }
    }
    line
}

/// Whether the character may occur, repeatedly, between two digits of one number: also typographic hyphens and
/// spaces, and invisible characters.
fn separates(c: char) -> bool {
    c.is_whitespace()
        || ".-()/_,\u{ad}\u{2212}\u{feff}".contains(c)
        || ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{2010}'..='\u{2015}').contains(&c)
        || ('\u{2060}'..='\u{2064}').contains(&c)
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Dots too, because a segment `..` would change the path. Writing to a `String` cannot fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

/// The error and its sources as one safe line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // Some errors include their source in their own message.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    safe(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_number_is_masked_in_any_spelling() {
        for text in [
            "+14155550100",
            "1 (415) 555-0100",
            "415.555.0100",
            "4 1 5 5 5 5 0 1 0 0",
            "%2B14155550100",
            "415 ----- (555) ..... 0100",
            "+1\u{2011}415\u{202f}555\u{200b}0100",
            "tel:+1-415-555-0100",
            "١٤١٥٥٥٥٠١٠٠",
        ] {
            let said = safe(&format!("cannot ring {text} now"));
            let digits = said.chars().filter(|c| c.is_numeric()).count();
            assert!(digits <= 1, "{said}");
        }
    }

    #[test]
    fn codes_and_words_stay() {
        let text = "error 21211: 'To' is not valid, try 3 times";
        assert_eq!(safe(text), text);
    }

    #[test]
    fn a_long_text_is_cut_and_stays_on_one_line() {
        let said = safe(&format!("a\nb\0{}", "x".repeat(5000)));
        assert_eq!(said.chars().count(), 200);
        assert!(said.starts_with("a b x"));
    }

    #[test]
    fn an_id_cannot_leave_its_segment_of_a_path() {
        assert_eq!(percent("../a?b#c d"), "%2E%2E%2Fa%3Fb%23c%20d");
        assert_eq!(percent("call_01-x~"), "call_01-x~");
    }

    proptest! {
        #[test]
        fn no_e164_number_survives(
            before in "[^0-9]{0,40}", digits in "[1-9][0-9]{6,14}", after in "[^0-9]{0,40}"
        ) {
            let said = safe(&format!("{before}+{digits}{after}"));
            prop_assert!(!said.contains(&digits));
            prop_assert!(said.chars().count() <= LONGEST);
        }
    }
}
