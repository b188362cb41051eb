//! Text that others wrote (callers, providers), made harmless for whatever displays it.
//!
//! A control character moves a terminal's cursor or ends a spreadsheet's cell; a bidirectional override makes a line
//! read as another. A program that reads JSON gets every character: there they are escaped, not removed.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Whether a terminal or spreadsheet would obey this character instead of showing it.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}'      // marks of direction
            | '\u{2028}'..='\u{202e}'                 // line and paragraph ends, embeddings, overrides
            | '\u{2060}'..='\u{206f}'                 // invisible operators, isolates
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The text on one line, with a space in place of each steering character.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) { ' ' } else { c })
        .collect()
}

/// JSON of the same meaning, with such characters escaped. Outside strings, JSON has none but line ends, which stay.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !matches!(c, '\n' | '\r' | '\t') {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a `String` cannot fail.
                write!(out, "\\u{unit:04x}").ok();
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A JSON value on one line, as a cell shows it.
pub fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    };
    plain(&text)
}

/// The detail of an act: `slots 30 -> 60`, `filter (to +141******00)`, `matched 12`, ... `phone` masks numbers.
pub fn detail(detail: &Map<String, Value>, phone: &dyn Fn(&str) -> String) -> Vec<String> {
    let or_none = |one: &Value| match one {
        Value::Null => "none".to_owned(),
        one => value(one),
    };
    let part = |(name, one): (&String, &Value)| match one {
        Value::Object(inner) => format!("{name} ({})", self::detail(inner, phone).join(", ")),
        Value::Array(pair) if name != "state" && name != "outcome" && pair.len() == 2 => {
            let words = pair.iter().map(or_none).collect::<Vec<_>>();
            format!("{name} {}", words.join(" -> "))
        }
        Value::Array(words) => {
            let words = words.iter().map(value).collect::<Vec<_>>();
            format!("{name} {}", words.join("|"))
        }
        Value::String(number) if name == "to" => format!("{name} {}", phone(number)),
        one => format!("{name} {}", value(one)),
    };
    detail.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_shown_as_a_space() {
        assert_eq!(
            plain("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e\u{7}"),
            "a [2Jb c d e "
        );
        // Letters, accents, joined emoji and right-to-left scripts stay.
        for text in ["Żółć", "👩‍👩‍👧", "שלום", "e\u{301}"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}\u{e0041}\n\u{1b}", "b": ["é"] });
        let written = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            !written.chars().any(|c| steers(c) && c != '\n'),
            "{written}"
        );
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    }
}
