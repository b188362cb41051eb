//! Dispositions: what a conversation came to, in one word.

use super::normal_word;

/// Longest word that the database takes.
const LONGEST: usize = 63;

/// Turns `Do Not Call`, `doNotCall` and `DO_NOT_CALL` into `do_not_call`. `None` for what is no single word of letters,
/// digits and `_`: a sentence is no disposition.
pub(in crate::provider) fn disposition(text: &str) -> Option<String> {
    let word = normal_word(text).to_ascii_lowercase();
    let is_word = word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.len() <= LONGEST
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_word.then_some(word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::protocol::read_report;

    #[test]
    fn a_word_is_read_in_any_spelling() {
        for text in [
            "do_not_call",
            "DO_NOT_CALL",
            "Do Not Call",
            "do-not-call",
            "doNotCall",
        ] {
            assert_eq!(disposition(text).as_deref(), Some("do_not_call"), "{text}");
        }
        for text in ["", " ", "1st", "no!", "größe", &"a".repeat(64)] {
            assert_eq!(disposition(text), None, "{text}");
        }
    }

    #[test]
    fn a_report_says_what_the_conversation_came_to() {
        let body = json!({ "status": "COMPLETED", "disposition": "CALLBACK",
            "callbackAt": "2026-12-01T15:00:00+01:00", "summary": "s" });
        let report = read_report(body.to_string().as_bytes());
        assert_eq!(report.disposition.as_deref(), Some("callback"));
        assert_eq!(report.callback_at, "2026-12-01T14:00:00Z".parse().ok());
        assert_eq!(report.result, json!({ "summary": "s" }));
    }

    #[test]
    fn what_is_no_disposition_stays_in_the_result() {
        let said = json!({ "disposition": "they want a call, perhaps", "callbackAt": "tomorrow" });
        let mut body = said.clone();
        body["status"] = "COMPLETED".into();
        let report = read_report(body.to_string().as_bytes());
        assert_eq!((report.disposition, report.callback_at), (None, None));
        assert_eq!(report.result, said);
    }
}
