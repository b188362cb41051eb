//! JSON as providers really send it, made storable.
//!
//! A transcript that somebody cut in the middle of an emoji holds half a surrogate
//! pair (`"\ud83d"`), which JavaScript writes without a word and `serde_json` refuses.
//! The outcome in the same body must not be lost for that, so a body that does not
//! parse is mended and tried once more. Its signature was checked over the raw bytes.

use serde_json::{Map, Value};

/// The value, with every NUL replaced; `None` when it is no JSON even after mending.
pub(in crate::provider) fn parse(body: &[u8]) -> Option<Value> {
    let parsed = serde_json::from_slice(body)
        .or_else(|_| serde_json::from_str(&mend(&String::from_utf8_lossy(body))))
        .ok()?;
    Some(without_nul(parsed))
}

/// Recursion is bounded: the parser takes at most 128 levels.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (clean(key), without_nul(value)))
                .collect::<Map<_, _>>(),
        ),
        plain => plain,
    }
}

fn clean(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

/// Replaces the escapes of lone surrogates by the escape of U+FFFD.
fn mend(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        // An escape is two characters long, `\uXXXX` six, a pair of surrogates twelve.
        let length = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => 12,
            (Some(_), _) => {
                out.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (None, _) => escape.chars().take(2).map(char::len_utf8).sum(),
        };
        let (kept, after) = escape.split_at(length);
        out.push_str(kept);
        rest = after;
    }
    out.push_str(rest);
    out
}

enum Half {
    High,
    Low,
}

/// Which half of a pair the text begins with, if it begins with the escape of one.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_outcome() {
        let body = br#"{"status":"COMPLETED","text":"hi \ud83d","ok":"\ud83d\ude00","low":"\ude00\ud83dx","path":"c:\\ud83d"}"#;
        assert_eq!(
            parse(body).unwrap(),
            json!({"status": "COMPLETED", "text": "hi \u{fffd}", "ok": "😀",
                   "low": "\u{fffd}\u{fffd}x", "path": "c:\\ud83d"})
        );
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        let parsed = parse(b"{\"status\":\"BUSY\",\"why\":\"caf\xe9\"}").unwrap();
        assert_eq!(parsed, json!({"status": "BUSY", "why": "caf\u{fffd}"}));
    }

    #[test]
    fn a_nul_in_a_string_or_a_key_is_replaced() {
        let parsed = parse(br#"{"a\u0000b":["x\u0000",{"c":"\u0000"}]}"#).unwrap();
        assert_eq!(
            parsed,
            json!({"a\u{fffd}b": ["x\u{fffd}", {"c": "\u{fffd}"}]})
        );
    }

    #[test]
    fn a_broken_end_is_no_json() {
        for body in [
            b"{\"a\":\"\\".as_slice(),
            b"{\"a\":\"\\u",
            b"{\"a\":\"\\ud83d",
            b"\\\xc3",
        ] {
            assert_eq!(parse(body), None);
        }
    }
}
