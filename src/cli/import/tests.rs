use serde_json::Value;

use super::*;
use crate::cli::{out::Style, testing::Captured};

fn some_results() -> Vec<RowResult> {
    vec![
        RowResult::valid(2),
        RowResult::error(3, "invalid", "a \"quoted\", sentence".to_owned()),
    ]
}

#[test]
fn results_are_csv_with_one_header_or_json_lines() {
    let mut piped = Captured::new(Style::default());
    let mut results = Results::open(None, &piped.out).unwrap();
    results.write(&some_results(), &mut piped.out).unwrap();
    results
        .write(&[RowResult::valid(4)], &mut piped.out)
        .unwrap();
    assert_eq!(
        piped.data(),
        "line,result,id,code,detail\n2,valid,,,\n3,error,,invalid,\"a \"\"quoted\"\", sentence\"\n4,valid,,,\n"
    );
    let mut json = Captured::new(Style {
        json: true,
        ..Style::default()
    });
    let mut results = Results::open(None, &json.out).unwrap();
    results.write(&some_results(), &mut json.out).unwrap();
    let lines: Vec<Value> = json
        .data()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(lines[1]["code"], "invalid");
}

#[test]
fn a_person_sees_the_errors_and_the_sum() {
    let mut terminal = Captured::new(Style {
        terminal: true,
        ..Style::default()
    });
    let mut results = Results::open(None, &terminal.out).unwrap();
    results.write(&some_results(), &mut terminal.out).unwrap();
    let mut counts = Counts::default();
    counts.add(&some_results());
    results.end(&counts, &mut terminal.out).unwrap();
    assert_eq!(terminal.data(), "");
    assert_eq!(
        terminal.words(),
        "line 3: a \"quoted\", sentence\n2 rows: 1 valid, 1 with errors\n"
    );
}
