//! Which requests a rule matches: `*07`, `script:bad*`, `from:+1800*&5%`.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::reading::BadOption;

/// Parts of a request that patterns may test.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Number to ring.
    pub to: &'a str,
    /// Caller id.
    pub from: Option<&'a str>,
    /// Id of the script.
    pub script: Option<&'a str>,
    /// Metadata of the call.
    pub metadata: Option<&'a Map<String, Value>>,
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Vec<Condition>);

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    To(String),
    From(String),
    Script(String),
    Metadata(String, String),
    /// Percentage of requests.
    Share(f64),
}

impl Pattern {
    /// Whether the request matches. `draw` returns a number from 0 to 100, for the share.
    pub(super) fn matches(&self, asked: Asked<'_>, mut draw: impl FnMut() -> f64) -> bool {
        let is = |pattern: &str, text: Option<&str>| {
            text.is_some_and(|text| glob(pattern.as_bytes(), text.as_bytes()))
        };
        self.0.iter().all(|condition| match condition {
            Condition::To(pattern) => is(pattern, Some(asked.to)),
            Condition::From(pattern) => is(pattern, asked.from),
            Condition::Script(pattern) => is(pattern, asked.script),
            Condition::Metadata(key, pattern) => {
                let value = asked.metadata.and_then(|metadata| metadata.get(key));
                is(pattern, value.and_then(Value::as_str))
            }
            Condition::Share(share) => draw() < *share,
        })
    }
}

impl FromStr for Pattern {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let conditions = text.split('&').map(|part| part.trim().parse());
        conditions.collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Condition {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadOption::Pattern(text.to_owned());
        if let Some(share) = text.strip_suffix('%') {
            return match share.parse() {
                Ok(share) if (0.0..=100.0).contains(&share) => Ok(Self::Share(share)),
                _ => Err(bad()),
            };
        }
        let Some((field, pattern)) = text.split_once(':') else {
            return Ok(Self::To(text.to_owned()));
        };
        let pattern = pattern.to_owned();
        match field {
            "to" => Ok(Self::To(pattern)),
            "from" => Ok(Self::From(pattern)),
            "script" => Ok(Self::Script(pattern)),
            _ => match field.strip_prefix("metadata.") {
                Some(key) if !key.is_empty() => Ok(Self::Metadata(key.to_owned(), pattern)),
                _ => Err(bad()),
            },
        }
    }
}

/// Glob match: `*` is any text, `?` any one character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob(rest, text) || matches!(text, [_, tail @ ..] if glob(pattern, tail))
        }
        ([b'?', rest @ ..], [_, tail @ ..]) => glob(rest, tail),
        ([p, rest @ ..], [t, tail @ ..]) if p == t => glob(rest, tail),
        _ => false,
    }
}
