//! How exported calls are written: CSV for spreadsheets, NDJSON for programs.
//!
//! Pure: a call as `sql/read/export.sql` shows it goes in, bytes come out, so that the file of the
//! command line and the body of the API are the same.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::shown;

/// In which form.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A line with names, then a line for each call.
    Csv,
    /// A JSON object on each line, with everything that is known of each attempt.
    #[default]
    Ndjson,
}

impl Format {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The columns of the CSV, and the field of the call that each shows.
const COLUMNS: [(&str, &str); 32] = [
    ("id", "id"),
    ("to", "to"),
    ("numbers", "numbers"),
    ("timezone", "timezone"),
    ("region", "region"),
    ("from", "from"),
    ("campaign", "campaign"),
    ("script_id", "scriptId"),
    ("priority", "priority"),
    ("state", "state"),
    ("outcome", "outcome"),
    ("disposition", "disposition"),
    ("attempt", "attempt"),
    ("max_attempts", "maxAttempts"),
    ("attempts", "attempts"),
    ("created_at", "createdAt"),
    ("run_at", "runAt"),
    ("expires_at", "expiresAt"),
    ("started_at", "startedAt"),
    ("answered_at", "answeredAt"),
    ("ended_at", "endedAt"),
    ("trunk", "trunk"),
    ("provider_call_id", "providerCallId"),
    ("last_error", "lastError"),
    ("owner", "owner"),
    ("idempotency_key", "idempotencyKey"),
    ("callback_of", "callbackOf"),
    ("consent_at", "consentAt"),
    ("consent_ref", "consentRef"),
    ("consent_expires_at", "consentExpiresAt"),
    ("metadata", "metadata"),
    ("result", "result"),
];

/// Writes calls, one after another, into bytes.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    format: Format,
    has_header: bool,
}

impl Writer {
    /// Nothing written yet.
    pub const fn new(format: Format) -> Self {
        let has_header = matches!(format, Format::Csv);
        Self { format, has_header }
    }

    /// These calls as bytes, after the header if it was not written before.
    pub fn write(&mut self, calls: &[Value]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.format {
            Format::Ndjson => {
                for call in calls {
                    let line = shown::json(&serde_json::to_string(call)?);
                    bytes.extend_from_slice(line.as_bytes());
                    bytes.push(b'\n');
                }
            }
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(&mut bytes);
                if std::mem::take(&mut self.has_header) {
                    csv.write_record(COLUMNS.map(|(name, _)| name))?;
                }
                for call in calls {
                    csv.write_record(COLUMNS.map(|(_, field)| cell(call, field)))?;
                }
                csv.flush()?;
            }
        }
        Ok(bytes)
    }
}

/// One field as a cell.
fn cell(call: &Value, field: &str) -> String {
    let value = call.get(field).unwrap_or(&Value::Null);
    match field {
        "attempts" => attempts(value),
        "numbers" | "timezone" => {
            let several = value.as_array().into_iter().flatten();
            harmless(
                several
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join("; "),
            )
        }
        // E.164 or nothing, by a constraint: a plus and digits do no harm, and must stay a number.
        "to" | "from" => text(value),
        _ => harmless(text(value)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => shown::plain(text),
        other => shown::json(&other.to_string()),
    }
}

/// How each attempt ended, in order: `no_answer; busy; answered`.
fn attempts(value: &Value) -> String {
    let words = value.as_array().into_iter().flatten().map(|attempt| {
        let word = ["outcome", "endedAs"]
            .iter()
            .find_map(|field| attempt.get(field)?.as_str());
        word.unwrap_or("under_way")
    });
    words.collect::<Vec<_>>().join("; ")
}

/// Callers and providers write these texts. An apostrophe says that it is a text; where one stands
/// already there are two, so that `import` finds what was meant.
fn harmless(text: String) -> String {
    if is_formula(&text) {
        format!("'{text}")
    } else {
        text
    }
}

/// Whether a spreadsheet takes this text for a formula and runs it, spaces and apostrophes in front aside.
pub(crate) fn is_formula(text: &str) -> bool {
    text.trim_start_matches(|c: char| c == '\'' || c.is_whitespace())
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// The names of the columns of the CSV.
pub(crate) fn columns() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn csv(calls: &[Value]) -> String {
        String::from_utf8(Writer::new(Format::Csv).write(calls).unwrap()).unwrap()
    }

    #[test]
    fn a_csv_has_one_header_and_a_line_for_each_call() {
        let mut writer = Writer::new(Format::Csv);
        let call = json!({ "id": "x", "to": "+14155550100", "numbers": ["+14155550100", "+14155550101"], "attempt": 2, "metadata": {"a": "b, \"c\""},
            "attempts": [{"endedAs": "retried", "outcome": "busy"}, {"endedAs": "deferred"}, {}] });
        let first = writer.write(std::slice::from_ref(&call)).unwrap();
        let first = String::from_utf8(first).unwrap();
        let lines: Vec<&str> = first.lines().collect();
        assert!(
            lines[0].starts_with("id,to,numbers,timezone,region,from,campaign,script_id,"),
            "{first}"
        );
        assert!(
            lines[1].starts_with(
                "x,+14155550100,'+14155550100; +14155550101,,,,,,,,,,2,,busy; deferred; under_way,"
            ),
            "{first}"
        );
        assert!(lines[1].contains(r#""{""a"":""b, \""c\""""}""#), "{first}");
        assert_eq!(lines.len(), 2);
        let second = String::from_utf8(writer.write(&[call]).unwrap()).unwrap();
        assert_eq!(second.trim_end(), lines[1], "no second header");
    }

    #[test]
    fn an_export_of_nothing_still_names_its_columns() {
        assert_eq!(csv(&[]).lines().count(), 1);
        let nothing = Writer::new(Format::Ndjson).write(&[]).unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn no_cell_is_a_formula() {
        for word in ["=1+1", "+cmd", "-2", "@SUM(A1)", "＝1"] {
            for field in [
                "scriptId",
                "lastError",
                "owner",
                "idempotencyKey",
                "providerCallId",
                "result",
            ] {
                let written = cell(&json!({ field: word }), field);
                assert_eq!(written, format!("'{word}"), "{field}");
            }
        }
        assert_eq!(cell(&json!({ "result": -5 }), "result"), "'-5");
        assert_eq!(cell(&json!({ "owner": "crm" }), "owner"), "crm");
        assert_eq!(cell(&json!({ "owner": "\t=1" }), "owner"), "' =1");
        let steering =
            json!({ "scriptId": "a\u{1b}\u{9b}\u{202e}b\r\nc", "metadata": {"a": "\u{202e}"} });
        assert_eq!(cell(&steering, "scriptId"), "a   b  c");
        assert_eq!(cell(&steering, "metadata"), r#"{"a":"\u202e"}"#);
    }

    #[test]
    fn ndjson_is_one_object_a_line_whatever_it_holds() {
        let call = json!({ "lastError": "two\nlines", "result": [1, {"a": null}] });
        let bytes = Writer::new(Format::Ndjson)
            .write(&[call.clone(), call.clone()])
            .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            assert_eq!(serde_json::from_str::<Value>(line).unwrap(), call);
        }
    }
}
