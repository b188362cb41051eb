//! JSON as providers really send it, made storable.
//!
//! A transcript cut inside an emoji contains half a surrogate pair (`"\ud83d"`), Python writes `NaN`, a template
//! forgets a comma or escapes no line end, a gateway sends UTF-16. The outcome in the same body must not be lost for
//! that, so a body that does not parse is repaired and parsed once more. Its signature was checked over the raw
//! bytes.
//!
//! Only what has a single meaning is repaired. A body that was cut off, or two in a row, stay unread.

use std::{fmt::Write as _, iter::Peekable, str::Chars};

use serde_json::{Map, Value};

/// Deeper levels are dropped: the parser accepts at most 128.
const DEEPEST: usize = 100;

/// The value, with every NUL replaced; `None` if it is not JSON even after repair.
pub(in crate::provider) fn parse(body: &[u8]) -> Option<Value> {
    let plain = str::from_utf8(body).ok().and_then(read);
    plain.or_else(|| read(&mend(&text(body))))
}

fn read(json: &str) -> Option<Value> {
    let value = serde_json::from_str(json).ok()?;
    // JSON has no other way to write a NUL. To rebuild a large value costs as much as to parse it.
    Some(if json.contains(r"\u0000") {
        without_nul(value)
    } else {
        value
    })
}

/// Recursion is bounded because the parser's is.
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

/// The bytes as text, without a byte order mark and trailing NULs.
fn text(body: &[u8]) -> String {
    let text = match body {
        // A byte order mark, or an ASCII character two bytes wide.
        [0xff, 0xfe, ..] | [1..=0x7f, 0, ..] => utf16(body, u16::from_le_bytes),
        [0xfe, 0xff, ..] | [0, 1..=0x7f, ..] => utf16(body, u16::from_be_bytes),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let text = text.trim_start_matches('\u{feff}');
    let padding = |c: char| c == '\0' || c.is_whitespace();
    text.trim_end_matches(padding).to_owned()
}

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (units, _odd) = body.as_chunks::<2>();
    char::decode_utf16(units.iter().map(|pair| unit(*pair)))
        .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Near-JSON as JSON. What cannot be repaired comes out unchanged, for the parser to refuse.
fn mend(text: &str) -> String {
    let mut mender = Mender {
        rest: text.chars().peekable(),
        out: String::with_capacity(text.len()),
        depth: 0,
    };
    while let Some(c) = mender.rest.next() {
        mender.token(c);
    }
    mender.out
}

struct Mender<'t> {
    rest: Peekable<Chars<'t>>,
    out: String,
    depth: usize,
}

impl Mender<'_> {
    fn token(&mut self, c: char) {
        match c {
            '"' | '\'' => self.string(c),
            '{' | '[' if self.depth == DEEPEST => self.skip(),
            '{' | '[' => {
                self.depth += 1;
                self.out.push(c);
            }
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.drop_comma();
                self.out.push(c);
            }
            ',' | ':' => self.out.push(c),
            c if c.is_whitespace() => self.out.push(' '),
            c => self.word(c),
        }
    }

    /// As in `[1, 2, ]`.
    fn drop_comma(&mut self) {
        let kept = self.out.trim_end_matches(' ');
        if let Some(kept) = kept.strip_suffix(',') {
            self.out.truncate(kept.len());
        }
    }

    /// Skips a list or object that is too deep, with everything in it.
    fn skip(&mut self) {
        let (length, mut open) = (self.out.len(), 1_usize);
        while open > 0 {
            match self.rest.next() {
                Some(quote @ ('"' | '\'')) => {
                    self.string(quote);
                    self.out.truncate(length);
                }
                Some('{' | '[') => open += 1,
                Some('}' | ']') => open -= 1,
                Some(_) => {}
                None => return,
            }
        }
        self.out.push_str("null");
    }

    /// A number, a literal, or whatever is written in their place.
    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        let ends = |c: &char| c.is_whitespace() || ",:{}[]\"'".contains(*c);
        while let Some(c) = self.rest.next_if(|c| !ends(c)) {
            word.push(c);
        }
        let number = word.parse::<f64>();
        match (word.as_str(), number) {
            ("True", _) => self.out.push_str("true"),
            ("False", _) => self.out.push_str("false"),
            ("None" | "undefined", _) => self.out.push_str("null"),
            // NaN, Infinity, 1e400: not numbers in JSON.
            (_, Ok(number)) if !number.is_finite() => self.out.push_str("null"),
            // 007, +5, .5
            (word, Ok(number)) if serde_json::from_str::<Value>(word).is_err() => {
                self.out.push_str(&number.to_string());
            }
            (word, _) => self.out.push_str(word),
        }
    }

    fn string(&mut self, quote: char) {
        self.out.push('"');
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                c if c == quote => {
                    self.out.push('"');
                    return;
                }
                '"' => self.out.push_str("\\\""),
                // For example a raw line end.
                c if c < ' ' => self.code(u32::from(c)),
                c => self.out.push(c),
            }
        }
    }

    fn escape(&mut self) {
        match self.rest.next() {
            Some('u') => self.unicode(),
            Some(c @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => {
                self.out.push('\\');
                self.out.push(c);
            }
            Some('\'') => self.out.push('\''),
            // `C:\dir`: a backslash that escapes nothing.
            Some(c) if c >= ' ' => {
                self.out.push_str("\\\\");
                self.out.push(c);
            }
            Some(c) => self.code(u32::from(c)),
            None => self.out.push('\\'),
        }
    }

    /// The escape of a character, or of half a surrogate pair, which becomes U+FFFD.
    fn unicode(&mut self) {
        let Some(code) = self.digits() else {
            self.out.push_str("\\\\u");
            return;
        };
        if !(0xd800..=0xdfff).contains(&code) {
            self.code(code);
            return;
        }
        let mut ahead = self.rest.clone();
        let low = (ahead.next() == Some('\\') && ahead.next() == Some('u'))
            .then(|| hex(&mut ahead))
            .flatten()
            .filter(|low| code < 0xdc00 && (0xdc00..=0xdfff).contains(low));
        if let Some(low) = low {
            self.rest = ahead;
            self.code(code);
            self.code(low);
        } else {
            self.code(u32::from(char::REPLACEMENT_CHARACTER));
        }
    }

    fn digits(&mut self) -> Option<u32> {
        let mut ahead = self.rest.clone();
        let code = hex(&mut ahead)?;
        self.rest = ahead;
        Some(code)
    }

    fn code(&mut self, code: u32) {
        // Writing to a `String` cannot fail.
        write!(self.out, "\\u{code:04x}").ok();
    }
}

/// Reads four hexadecimal digits.
fn hex(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    (0..4).try_fold(0, |code, _| Some(code * 16 + rest.next()?.to_digit(16)?))
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
        // Raw, which JSON does not allow.
        assert_eq!(
            parse(b"{\"a\":\"x\0\"}").unwrap(),
            json!({"a": "x\u{fffd}"})
        );
    }

    #[test]
    fn a_broken_end_is_no_json() {
        for body in [
            b"{\"a\":\"\\".as_slice(),
            b"{\"a\":\"\\u",
            b"{\"a\":\"\\ud83d",
            b"\\\xc3",
            b"{\"a\":1} x",
            b"{\"a\":1}{\"a\":2}",
            b"{\"a\":1",
        ] {
            assert_eq!(parse(body), None, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_other_writers_take_for_json_is_read() {
        for (body, value) in [
            (
                "{\"a\":NaN,\"b\":-Infinity,\"c\":1e400,\"d\":2}",
                json!({"a": null, "b": null, "c": null, "d": 2}),
            ),
            (
                "{\"a\":-1e999,\"b\":1.5e3,\"c\":[NaN]}",
                json!({"a": null, "b": 1500.0, "c": [null]}),
            ),
            (
                "{\"a\":007,\"b\":+5,\"c\":.5}",
                json!({"a": 7, "b": 5, "c": 0.5}),
            ),
            ("\u{feff}{\"a\":1}", json!({"a": 1})),
            (
                "{\"a\":\"one\ntwo\tthree\"}",
                json!({"a": "one\ntwo\tthree"}),
            ),
            ("{\"a\":1}\0\0\n", json!({"a": 1})),
            ("{\"a\":[1,2, ],}", json!({"a": [1, 2]})),
            (
                "{'a': 'it\\'s \"x\"', 'b': True, 'c': None}",
                json!({"a": "it's \"x\"", "b": true, "c": null}),
            ),
            ("{\"a\":\"C:\\dir\\u12\"}", json!({"a": "C:\\dir\\u12"})),
            (
                "{\"NaN\":\"NaN, ] ,}\",\"b\":NaN}",
                json!({"NaN": "NaN, ] ,}", "b": null}),
            ),
        ] {
            assert_eq!(parse(body.as_bytes()), Some(value), "{body}");
        }
    }

    #[test]
    fn utf16_is_read_with_a_mark_and_without() {
        let text = "{\"a\":\"é😀\"}";
        let value = json!({"a": "é😀"});
        for mark in ["\u{feff}", ""] {
            let units: Vec<u16> = format!("{mark}{text}").encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            assert_eq!(parse(&little).unwrap(), value);
            assert_eq!(parse(&big).unwrap(), value);
        }
    }

    #[test]
    fn levels_that_nobody_reads_hide_nothing_beside_them() {
        for levels in [120, 200, 100_000] {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            let deep = format!("{{\"a\":{open}\"]\\\"\"{close},\"status\":\"BUSY\"}}");
            let parsed = parse(deep.as_bytes()).unwrap();
            assert_eq!(parsed["status"], "BUSY", "{levels}");
        }
    }
}
