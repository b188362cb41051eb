use uuid::Uuid;

use super::*;
use crate::domain::{AnsweringMachine, CallId};

fn turns(trunks: &[&str], permits: usize) -> Arc<Turns> {
    let trunks: Vec<String> = trunks.iter().map(ToString::to_string).collect();
    Arc::new(Turns::new(&trunks, permits))
}

/// How many more permits this trunk may have.
fn room(turns: &Turns, trunk: &str) -> i32 {
    let shares = turns.room().shares;
    let place = shares.trunks().iter().position(|name| name == trunk);
    place.map_or(0, |place| shares.counts()[place])
}

fn call(trunk: &str) -> ClaimedCall {
    ClaimedCall {
        id: CallId(Uuid::new_v4()),
        claim_no: 1,
        attempt: 1,
        phone: "+14155550123".parse().unwrap(),
        from_number: None,
        script_id: "welcome".to_owned(),
        metadata: serde_json::value::to_raw_value(&()).unwrap(),
        trunk: trunk.to_owned(),
        campaign: "default".to_owned(),
        lease_until: chrono::DateTime::UNIX_EPOCH,
        lease_sec: 60,
        ring_timeout_sec: 60,
        max_duration_sec: 1800,
        answering_machine: AnsweringMachine::Ignore,
        traceparent: None,
    }
}

/// Claims that wanted this many calls and brought one of each of these trunks.
fn bring(turns: &Turns, wanted: usize, trunks: &[&str]) {
    let calls: Vec<ClaimedCall> = trunks.iter().map(|trunk| call(trunk)).collect();
    turns.claimed(&turns.room(), wanted, &calls);
}

#[test]
fn a_process_of_one_trunk_has_nothing_to_share() {
    let turns = turns(&["a"], 30);
    assert_eq!(room(&turns, "a"), 30);
    bring(&turns, 30, &["a"]);
    let _taken: Vec<Taken> = (0..12).map(|_| turns.take("a", None)).collect();
    assert_eq!(room(&turns, "a"), 18);
    assert!(!turns.room().leaves_out);
}

#[test]
fn one_that_alone_has_work_leaves_one_in_sixteen() {
    let many = turns(&["a", "b", "c"], 30);
    bring(&many, 30, &["a"]);
    assert_eq!(room(&many, "a"), 29);
    let few = turns(&["a", "b"], 15);
    bring(&few, 15, &["a"]);
    assert_eq!(room(&few, "a"), 15, "of so few none is left");
}

#[test]
fn those_that_have_work_share() {
    let turns = turns(&["a", "b"], 30);
    bring(&turns, 30, &["a", "b"]);
    let mut taken: Vec<Taken> = (0..15).map(|_| turns.take("a", None)).collect();
    assert_eq!((room(&turns, "a"), room(&turns, "b")), (0, 15));
    assert!(turns.room().leaves_out && turns.room().expects_work);
    bring(&turns, 30, &[]);
    assert_eq!(room(&turns, "a"), 14, "the other has no more work");
    taken.pop();
    assert_eq!(room(&turns, "a"), 15);
}

#[test]
fn each_has_one_however_many_there_are() {
    let turns = turns(&["a", "b", "c"], 1);
    bring(&turns, 3, &["a", "b"]);
    assert_eq!((room(&turns, "a"), room(&turns, "c")), (1, 1));
    let _taken = turns.take("a", None);
    assert_eq!((room(&turns, "a"), room(&turns, "b")), (0, 1));
}

/// A claim that brought all it wanted says nothing about trunks it brought no calls of.
#[test]
fn a_full_claim_proves_no_absence() {
    let turns = turns(&["a", "b"], 30);
    bring(&turns, 30, &["a", "b"]);
    bring(&turns, 1, &["a"]);
    assert_eq!(room(&turns, "a"), 15, "the other may have work");
}

#[tokio::test]
async fn the_end_of_a_dial_is_told() {
    let turns = turns(&["a", "b"], 2);
    drop(turns.take("a", None));
    turns.dial_ended().await;
}
