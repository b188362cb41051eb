//! judge: what a report means for a row, as an exhaustive table. The expectations are
//! written from the rules in words, not from the SQL.

use std::collections::HashMap;

use crate::support::TestDb;

const STATES: [&str; 9] = [
    "waiting",
    "dialing",
    "unresolved",
    "in_call",
    "completed",
    "failed",
    "canceled",
    "expired",
    "suppressed",
];
const KINDS: [&str; 6] = [
    "progress",
    "answered",
    "completed",
    "capacity",
    "ended",
    "unknown",
];
const ROW_CLAIM: i64 = 5;

/// Written as the rules are told, one after another.
fn expected(state: &str, unknown: bool, event_claim: i64, kind: &str) -> &'static str {
    // A claim that the row never had is not ours.
    if !(1..=ROW_CLAIM).contains(&event_claim) {
        return "mismatch";
    }
    // Unknown status words are noted and change nothing.
    if kind == "unknown" {
        return "noted";
    }
    let reached_somebody = kind == "answered" || kind == "completed";
    let in_flight = ["dialing", "unresolved", "in_call"].contains(&state);
    if in_flight && event_claim < ROW_CLAIM {
        // An event of an earlier claim never moves a later dial; an answer is recorded.
        return if reached_somebody {
            "late_answer"
        } else {
            "stale"
        };
    }
    if in_flight {
        return match kind {
            "progress" => "accept",
            "answered" => "answer",
            "capacity" => "put_back",
            _ => "settle",
        };
    }
    // No dial is in flight: an answer completes a call that waits, or failed because
    // nobody knew. Of contradicting ends the first decides; the other ends never change.
    let open = state == "waiting" || (state == "failed" && unknown);
    if open && reached_somebody {
        "complete_late"
    } else {
        "stale"
    }
}

#[tokio::test]
async fn every_report_means_for_every_row_what_the_rules_say() {
    let db = TestDb::new().await;
    let sql = format!(
        "select string_agg(concat_ws(' ', s, u, e, k, pgdial.judge(s::pgdial.call_state, {ROW_CLAIM}, u, e, k)), ';') \
         from unnest(array{STATES:?}) s, unnest(array[true, false]) u, unnest(array[-1, 0, 1, 4, 5, 6, 7]::bigint[]) e, \
              unnest(array{KINDS:?}) k"
    )
    .replace('"', "'");
    let answers = db.text(&sql).await;
    let mut counted: HashMap<&str, usize> = HashMap::new();
    for line in answers.split(';') {
        let words: Vec<&str> = line.split(' ').collect();
        let [state, unknown, event_claim, kind, verdict] = words[..] else {
            panic!("{line}");
        };
        let expected = expected(state, unknown == "t", event_claim.parse().unwrap(), kind);
        assert_eq!(verdict, expected, "{line}");
        *counted.entry(verdict).or_default() += 1;
    }
    assert_eq!(counted.values().sum::<usize>(), 9 * 2 * 7 * 6);
    assert_eq!(counted.len(), 9, "every verdict occurs: {counted:?}");
    let immutable = "select provolatile from pg_proc where proname = 'judge'";
    assert_eq!(db.text(immutable).await, "i");
}

#[tokio::test]
async fn a_call_that_was_never_claimed_fits_no_event() {
    let db = TestDb::new().await;
    for event_claim in [0, 1, 2] {
        let sql = format!("select pgdial.judge('waiting', 0, false, {event_claim}, 'completed')");
        assert_eq!(db.text(&sql).await, "mismatch", "{event_claim}");
    }
}
