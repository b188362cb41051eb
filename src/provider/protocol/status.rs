//! Status words: what each says, in whatever spelling.

use serde_json::{Map, Value};

use crate::domain::{Outcome, ReportKind};

/// What a status word says: in any case, `camelCase` too, with `_`, a hyphen or a space between
/// its parts.
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
        // Whether somebody had answered before is in the row, not here:
        // the database makes a provider fault of it then.
        "FAILED" | "DIAL_FAILED" | "UNREACHABLE" => Outcome::Unreachable,
        "BLOCKED" => Outcome::Blocked,
        "CAPACITY" => Outcome::Capacity,
        "ACCOUNT" => Outcome::Account,
        "CANCELED" | "CANCELLED" | "CANCEL" => Outcome::Canceled,
        // Never guess that a call is over: somebody may be talking. `timeout` may be the ringing's
        // or the talk's, and `machine` is told while it talks.
        _ => return (ReportKind::Unknown, None),
    };
    (ReportKind::Ended, Some(outcome))
}

/// `no-answer`, `No Answer` and `noAnswer` are `NO_ANSWER`. What cannot be seen is no part of a word.
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

/// Zero-width characters, soft hyphens, marks of direction and of byte order.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

const fn is_hyphen(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// Does a field such as `answeredBy` or `AnsweredBy` say that a machine answered?
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
