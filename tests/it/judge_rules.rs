//! `scripts/judge-rules`, the judge of the run `rules` of the chaos suite, finds what it is there to find.

use std::{fmt::Write as _, path::Path, process::Command};

use chrono::{DateTime, Utc};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How far ahead the database's clock is, in the cases below.
const AHEAD: i64 = 3_600_000;

/// What it finds against these rings, each a number and what the database's clock showed.
fn judge(rings: &[(&str, &str)], opted_out: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut ledger = String::new();
    for (number, at) in rings {
        let at = at.parse::<DateTime<Utc>>().unwrap().timestamp_millis() - AHEAD;
        writeln!(
            ledger,
            r#"{{"event":"ring_started","at":{at},"number":"{number}"}}"#
        )
        .unwrap();
    }
    // A killed provider leaves half a line.
    ledger.push_str(r#"{"event":"ring_sta"#);
    let moved = "2031-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let moved = moved.timestamp_millis() - AHEAD;
    let clock = format!(
        "from\tuntil\tahead\n0\t1\t0\n{moved}\t{}\t{AHEAD}\n",
        moved + 50
    );
    let output = Command::new(Path::new(ROOT).join("scripts/judge-rules"))
        .arg(file("ledger.jsonl", &ledger))
        .arg("--rules")
        .arg(Path::new(ROOT).join("tests/chaos/rules"))
        .arg("--clock")
        .arg(file("clock.tsv", &clock))
        .arg("--opted-out")
        .arg(file(
            "opted-out.tsv",
            &format!("number\tsince\n{opted_out}"),
        ))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    let found: Vec<String> = words
        .lines()
        .filter_map(|line| line.strip_prefix("! "))
        .map(str::to_owned)
        .collect();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some((!found.is_empty()).into()),
        "{problem}"
    );
    found
}

#[test]
fn a_ring_outside_hours_is_found() {
    let cases = [
        (
            "the last moment of an evening",
            "+13054561234",
            "2031-02-05T00:59:59.999Z",
            true,
        ),
        (
            "the first of the night",
            "+13054561234",
            "2031-02-05T01:00:00Z",
            false,
        ),
        (
            "a morning before clocks go forward",
            "+12124561234",
            "2031-03-07T12:30:00Z",
            false,
        ),
        (
            "the same after it",
            "+12124561234",
            "2031-03-10T12:30:00Z",
            true,
        ),
        (
            "open by the number's clock alone",
            "+19174561234",
            "2031-03-10T12:30:00Z",
            false,
        ),
        (
            "by the caller's as well",
            "+19174561234",
            "2031-03-10T15:30:00Z",
            true,
        ),
        (
            "a clock that skips the hours",
            "+442079461123",
            "2031-03-30T01:00:00Z",
            false,
        ),
        (
            "an hour that comes again",
            "+442079461123",
            "2031-10-26T01:10:00Z",
            true,
        ),
        (
            "a short evening",
            "+31206241234",
            "2031-12-24T17:30:00Z",
            false,
        ),
        (
            "an evening like others",
            "+31206241234",
            "2031-12-23T17:30:00Z",
            true,
        ),
        ("a holiday", "+493012312345", "2031-12-25T10:00:00Z", false),
        (
            "a country without a rule",
            "+81312123456",
            "2031-02-05T03:00:00Z",
            false,
        ),
        (
            "a number of no place",
            "+4912345678",
            "2031-02-05T10:00:00Z",
            false,
        ),
        (
            "while the clock is moved",
            "+911123123456",
            "2031-01-01T00:00:00.020Z",
            false,
        ),
    ];
    for (what, number, at, may_ring) in cases {
        let found = judge(&[(number, at)], "");
        assert_eq!(found.is_empty(), may_ring, "{what}: {found:?}");
    }
}

#[test]
fn a_ring_above_a_limit_is_found() {
    let number = "+12124570001";
    let mut rings = vec![
        (number, "2031-02-04T20:00:00Z"),
        (number, "2031-02-04T21:00:00Z"),
        (number, "2031-02-05T10:00:00Z"),
        (number, "2031-02-05T20:00:30Z"),
    ];
    assert_eq!(judge(&rings, ""), Vec::<String>::new());
    rings[3].1 = "2031-02-05T19:50:00Z";
    let found = judge(&rings, "");
    assert!(
        found.len() == 1 && found[0].contains("4 times"),
        "{found:?}"
    );
    rings[3].0 = "+12124570002";
    assert_eq!(judge(&rings, ""), Vec::<String>::new());
}

#[test]
fn a_ring_after_an_opt_out_is_found() {
    let ring = ("+911123123456", "2031-02-05T10:00:00Z");
    let at = ring.1.parse::<DateTime<Utc>>().unwrap().timestamp_millis() - AHEAD;
    let opted_out = |since| format!("{}\t{since}\n", ring.0);
    assert_eq!(judge(&[ring], &opted_out(at + 1)), Vec::<String>::new());
    assert_eq!(judge(&[ring], &opted_out(at)).len(), 1);
}
