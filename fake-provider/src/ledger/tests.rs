use super::*;

fn ring(number: &str, reference: &str, from: i64, to: i64) -> Interval {
    Interval {
        number: number.to_owned(),
        reference: reference.to_owned(),
        call_id: format!("call_{reference}_{from}"),
        from,
        to: Some(to),
        until: to,
    }
}

#[test]
fn back_to_back_rings_of_a_number_do_not_overlap() {
    let verdict = judge(&[
        ring("+1", "a-1", 0, 10),
        ring("+1", "a-2", 10, 20),
        ring("+2", "b-1", 5, 15),
    ]);
    assert_eq!(
        verdict,
        Verdict {
            rings: 3,
            numbers: 2,
            references_rung_twice: 0,
            overlaps: 0,
            peak: 2,
            unfinished: 0
        }
    );
    assert!(verdict.holds(2) && !verdict.holds(1));
}

#[test]
fn a_reference_that_rang_twice_is_seen() {
    let verdict = judge(&[
        ring("+1", "a-1", 0, 10),
        ring("+1", "a-1", 20, 30),
        ring("+1", "a-1", 40, 50),
    ]);
    assert_eq!(verdict.references_rung_twice, 1);
    assert!(!verdict.holds(30));
}

#[test]
fn a_number_with_two_rings_at_once_is_seen_even_behind_a_long_one() {
    let rings = [
        ring("+1", "a", 0, 100),
        ring("+1", "b", 10, 20),
        ring("+1", "c", 30, 40),
        ring("+2", "d", 35, 36),
    ];
    let verdict = judge(&rings);
    assert_eq!((verdict.overlaps, verdict.peak), (2, 3));
}

#[test]
fn a_ring_that_is_over_within_its_millisecond_is_counted_and_over() {
    let rings = [
        ring("+1", "a", 5, 5),
        ring("+2", "b", 5, 9),
        ring("+3", "c", 9, 9),
    ];
    let verdict = judge(&rings);
    assert_eq!((verdict.overlaps, verdict.peak), (0, 2));
}

#[test]
fn an_empty_ledger_shows_nothing() {
    assert_eq!(judge(&[]).peak, 0);
    assert_eq!(intervals(""), []);
}

fn line(event: &str, at: i64, run: u128, call: &str) -> String {
    let run = Uuid::from_u128(run);
    format!(
        r#"{{"event":"{event}","at":{at},"run":"{run}","callId":"{call}","number":"+1","reference":"r-{call}"}}"#
    )
}

#[test]
fn a_ring_of_a_killed_process_ends_with_its_last_sign_of_life() {
    let text = [
        line("ring_started", 10, 1, "a"),
        line("ring_started", 12, 1, "b"),
        line("ring_ended", 20, 1, "b"),
        r#"{"event":"ring_ended","at":2"#.to_owned(),
        line("ring_started", 500, 2, "c"),
    ]
    .join("\n");
    let rings = intervals(&text);
    let ends: Vec<_> = rings.iter().map(|ring| (ring.to, ring.until)).collect();
    assert_eq!(ends, [(None, 21), (Some(20), 20), (None, 501)]);
    assert_eq!(judge(&rings).unfinished, 2);
}

#[tokio::test]
async fn what_is_written_reads_back_and_a_torn_line_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    std::fs::write(&path, r#"{"event":"ring_st"#).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    let ring = Ring {
        call_id: "call_1",
        number: "+14155550100",
        reference: "r-1",
    };
    ledger.write(Event::RingStarted, ring).await.unwrap();
    assert_eq!(read(&path).unwrap()[0].to, None);
    ledger.write(Event::RingEnded, ring).await.unwrap();
    let rings = read(&path).unwrap();
    assert_eq!(rings.len(), 1);
    assert_eq!(rings[0].number, "+14155550100");
    assert!(rings[0].to.unwrap() >= rings[0].from);
}
