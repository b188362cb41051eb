//! Instants in fields. Browsers send them without a zone; the page shows and means UTC.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

use super::super::problem::{Code, Problem};

/// As a field of the type `datetime-local` has it; empty: none.
pub(super) fn field(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string())
        .unwrap_or_default()
}

/// The instant as everything else has it. What is none stays as it is: whoever judges it says what it should be.
pub(super) fn read(text: &str) -> String {
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    local.map_or_else(
        || text.to_owned(),
        |local| local.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true),
    )
}

/// The instant that this field holds; the code is for what is none.
pub(super) fn instant(code: Code, name: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    read(text).parse().map_err(|_not_one| {
        let words = format!("\"{name}\" is a date and a time, in UTC, as in \"2026-01-31T09:00\"");
        Problem::new(code, words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_in_a_field_is_utc() {
        for (given, read_as) in [
            ("2026-01-31T09:00", "2026-01-31T09:00:00Z"),
            ("2026-01-31T09:00:05", "2026-01-31T09:00:05Z"),
            ("2026-01-31T09:00:00+02:00", "2026-01-31T09:00:00+02:00"),
            ("tomorrow", "tomorrow"),
        ] {
            assert_eq!(read(given), read_as);
            assert_eq!(
                instant(Code::InvalidQuery, "at", given).ok(),
                read_as.parse().ok()
            );
        }
        let at = "2026-01-31T09:00:05Z".parse().ok();
        assert_eq!(field(at), "2026-01-31T09:00:05");
        assert_eq!(field(None), "");
    }
}
