//! judge: what a report means for a row, as an exhaustive table. Expectations are derived from the rules in words,
//! not from the SQL.

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

/// What is known about the row and about the dial that the report is about.
#[derive(Clone, Copy)]
struct Known {
    /// The row failed as unknown.
    unknown: bool,
    /// The call has already been answered.
    answered: bool,
    /// The end of this very dial was reported before.
    over: bool,
}

/// In the order in which the rules are stated.
fn expected(state: &str, known: Known, event_claim: i64, kind: &str) -> &'static str {
    // The row never had this claim.
    if !(1..=ROW_CLAIM).contains(&event_claim) {
        return "mismatch";
    }
    // Unknown status words are noted and change nothing.
    if kind == "unknown" {
        return "noted";
    }
    let in_flight = ["dialing", "unresolved", "in_call"].contains(&state);
    if in_flight && event_claim == ROW_CLAIM {
        return match kind {
            "progress" => "accept",
            "answered" => "answer",
            "capacity" => "put_back",
            _ => "settle",
        };
    }
    // A first answer completes a call that waits, or that failed as unknown; otherwise the state stays, but the
    // person must not be rung again.
    let open = state == "waiting" || (state == "failed" && known.unknown);
    if !known.answered && (kind == "answered" || kind == "completed") {
        return if open { "complete_late" } else { "late_answer" };
    }
    // Of contradictory reports about one dial its end decides; whatever comes out of order is stale.
    if known.over {
        return "stale";
    }
    // Ringing or talking holds the number until its end is reported.
    match kind {
        "progress" | "answered" => "hold",
        _ => "end_hold",
    }
}

#[tokio::test]
async fn every_report_means_for_every_row_what_the_rules_say() {
    let db = TestDb::new().await;
    let sql = format!(
        "select string_agg(concat_ws(' ', s, u, a, o, e, k, pgdial.judge(s::pgdial.call_state, {ROW_CLAIM}, u, a, o, e, k)), ';') \
         from unnest(array{STATES:?}) s, unnest(array[true, false]) u, unnest(array[true, false]) a, \
              unnest(array[true, false]) o, unnest(array[-1, 0, 1, 4, 5, 6, 7]::bigint[]) e, \
              unnest(array{KINDS:?}) k"
    )
    .replace('"', "'");
    let answers = db.text(&sql).await;
    let mut counted: HashMap<&str, usize> = HashMap::new();
    for line in answers.split(';') {
        let words: Vec<&str> = line.split(' ').collect();
        let [state, unknown, answered, over, event_claim, kind, verdict] = words[..] else {
            panic!("{line}");
        };
        let known = Known {
            unknown: unknown == "t",
            answered: answered == "t",
            over: over == "t",
        };
        let expected = expected(state, known, event_claim.parse().unwrap(), kind);
        assert_eq!(verdict, expected, "{line}");
        *counted.entry(verdict).or_default() += 1;
    }
    assert_eq!(counted.values().sum::<usize>(), 9 * 8 * 7 * 6);
    assert_eq!(counted.len(), 11, "every verdict occurs: {counted:?}");
    let immutable = "select provolatile from pg_proc where proname = 'judge'";
    assert_eq!(db.text(immutable).await, "i");
}

#[tokio::test]
async fn a_call_that_was_never_claimed_fits_no_event() {
    let db = TestDb::new().await;
    for event_claim in [0, 1, 2] {
        let sql = format!(
            "select pgdial.judge('waiting', 0, false, false, false, {event_claim}, 'completed')"
        );
        assert_eq!(db.text(&sql).await, "mismatch", "{event_claim}");
    }
}
