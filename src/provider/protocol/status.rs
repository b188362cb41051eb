//! Status words and what each one means, in any spelling.

use serde_json::{Map, Value};

use crate::domain::{Outcome, ReportKind};

/// Reads a status word: in any case, in `camelCase`, or with `_`, a hyphen or a space between its parts.
pub fn read_status(word: &str) -> (ReportKind, Option<Outcome>) {
    let word = normal_word(word);
    let outcome = match word.as_str() {
        "QUEUED" | "INITIATED" | "DIALING" | "RINGING" => return (ReportKind::Progress, None),
        "IN_PROGRESS" | "ANSWERED" => return (ReportKind::Answered, None),
        "COMPLETED" => Outcome::Answered,
        "BUSY" | "USER_BUSY" | "LINE_BUSY" | "DIAL_BUSY" | "CUSTOMER_BUSY" => Outcome::Busy,
        "NO_ANSWER" | "NOANSWER" | "UNANSWERED" | "NOT_ANSWERED" | "DIAL_NO_ANSWER" => {
            Outcome::NoAnswer
        }
        "DECLINED" | "REJECTED" | "CALL_REJECTED" | "USER_DECLINED" => Outcome::Declined,
        "INVALID_NUMBER" => Outcome::InvalidNumber,
        "VOICEMAIL" | "VOICEMAIL_REACHED" => Outcome::Voicemail,
        // Whether it had been answered before is known to the row only; if so, the database turns this into a
        // provider fault.
        "FAILED" | "DIAL_FAILED" | "UNREACHABLE" => Outcome::Unreachable,
        "BLOCKED" => Outcome::Blocked,
        "CAPACITY" => Outcome::Capacity,
        "ACCOUNT" => Outcome::Account,
        "CANCELED" | "CANCELLED" | "CANCEL" => Outcome::Canceled,
        // Never guess that a call is over: somebody may be talking. `timeout` may mean the ringing or the talk, and
        // `machine` is sent while it talks.
        _ => return (ReportKind::Unknown, None),
    };
    (ReportKind::Ended, Some(outcome))
}

/// Turns `no-answer`, `No Answer` and `noAnswer` into `NO_ANSWER`, ignoring invisible characters.
pub(in crate::provider) fn normal_word(word: &str) -> String {
    let seen: String = word.chars().filter(|c| !is_invisible(*c)).collect();
    let word = seen.trim_end_matches(['.', '\u{fffd}']).trim();
    let mut normal = String::with_capacity(word.len());
    let mut after_small = false;
    for c in word.chars() {
        if after_small && c.is_ascii_uppercase() {
            normal.push('_');
        }
        after_small = c.is_ascii_lowercase();
        let c = if is_hyphen(c) || c.is_whitespace() {
            '_'
        } else {
            c
        };
        normal.push(c.to_ascii_uppercase());
    }
    normal
}

/// Zero-width characters, soft hyphens, direction marks and byte order marks.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

const fn is_hyphen(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// Whether a field such as `answeredBy` or `AnsweredBy` says that a machine answered.
pub(super) fn by_machine(fields: &Map<String, Value>) -> bool {
    let says_who = |name: &str| {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .eq_ignore_ascii_case("answeredBy")
    };
    let who = fields.iter().filter(|field| says_who(field.0));
    who.filter_map(|field| field.1.as_str()).any(|who| {
        let who = normal_word(who);
        ["MACHINE", "VOICEMAIL", "ANSWERING_MACHINE", "FAX"]
            .iter()
            .any(|machine| who == *machine || who.starts_with(&format!("{machine}_")))
    })
}
