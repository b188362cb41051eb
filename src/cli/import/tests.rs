use serde_json::{Value, json};

use super::*;
use crate::cli::{out::Style, testing::Captured};

fn args() -> ImportArgs {
    ImportArgs {
        file: PathBuf::from("-"),
        format: None,
        campaign: None,
        script: None,
        key_prefix: None,
        dry_run: true,
        results: None,
        delimiter: ',',
    }
}

fn with_script() -> ImportArgs {
    ImportArgs {
        script: Some("welcome".to_owned()),
        ..args()
    }
}

/// Line and request of every row.
fn read(text: &str, args: &ImportArgs) -> Vec<(u64, Result<Value, String>)> {
    let mut rows = Rows::open(text.as_bytes(), args).unwrap();
    let rows = rows.batch(usize::from(u8::MAX)).unwrap();
    rows.into_iter()
        .map(|row| (row.line, row.request))
        .collect()
}

fn refusal(header: &str, args: &ImportArgs) -> String {
    match Rows::open(header.as_bytes(), args) {
        Ok(_) => panic!("{header} was taken"),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_row_becomes_a_request_with_its_line() {
    let text = "\u{feff}to,scriptId,campaign,from,priority,runAt,expiresAt,maxAttempts,idempotencyKey,metadata\n\
                +14155550100,welcome,spring,+14155550199,9,2026-01-31T09:00:00Z,2026-01-31T17:00:00Z,5,k1,\"{\"\"a\"\":1}\"\n";
    let want = json!({
        "to": "+14155550100", "scriptId": "welcome", "campaign": "spring", "from": "+14155550199",
        "priority": 9, "runAt": "2026-01-31T09:00:00Z", "expiresAt": "2026-01-31T17:00:00Z",
        "maxAttempts": 5, "idempotencyKey": "k1", "metadata": {"a": 1},
    });
    assert_eq!(read(text, &args()), [(2, Ok(want))]);
}

#[test]
fn metadata_columns_are_texts_and_win() {
    let text = "to,metadata,metadata.name,metadata.zip\n+14155550100,\"{\"\"name\"\":\"\"x\"\",\"\"n\"\":1}\",Ada,01234\n";
    let (_, request) = read(text, &with_script()).remove(0);
    assert_eq!(
        request.unwrap()["metadata"],
        json!({"name": "Ada", "n": 1, "zip": "01234"})
    );
}

#[test]
fn empty_fields_are_absent_and_take_what_the_command_line_gives() {
    let args = ImportArgs {
        campaign: Some("spring".to_owned()),
        key_prefix: Some("may".to_owned()),
        ..with_script()
    };
    let text = "to,scriptId,campaign,metadata\n+14155550100,,,\n+14155550101,own,autumn,\n";
    let want = [
        (
            2,
            Ok(
                json!({"to": "+14155550100", "scriptId": "welcome", "campaign": "spring", "idempotencyKey": "may:2"}),
            ),
        ),
        (
            3,
            Ok(
                json!({"to": "+14155550101", "scriptId": "own", "campaign": "autumn", "idempotencyKey": "may:3"}),
            ),
        ),
    ];
    assert_eq!(read(text, &args), want);
}

#[test]
fn a_broken_row_is_told_and_the_next_one_is_read() {
    let text = "to,metadata\n+14155550100,{oops\n+14155550101,a,b,c\n+14155550102,\n";
    let rows = read(text, &with_script());
    let told: Vec<_> = rows
        .iter()
        .map(|(line, request)| (*line, request.is_ok()))
        .collect();
    assert_eq!(told, [(2, false), (3, false), (4, true)]);
    assert!(
        rows[0]
            .1
            .as_ref()
            .unwrap_err()
            .contains("a JSON object looks like")
    );
    assert!(
        rows[1]
            .1
            .as_ref()
            .unwrap_err()
            .contains("4 fields, the header 2")
    );
}

#[test]
fn a_row_that_is_not_utf_8_is_told_and_the_next_one_is_read() {
    let mut text = b"to\n".to_vec();
    text.extend(b"+1415555\xff\n+14155550101\n");
    let mut rows = Rows::open(text.as_slice(), &with_script()).unwrap();
    let rows = rows.batch(10).unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.line, row.request.is_ok()))
        .collect();
    assert_eq!(told, [(2, false), (3, true)]);
}

#[test]
fn a_header_is_refused_with_what_is_wrong() {
    for (header, script, words) in [
        (
            "to,scriptId,phone,colour\n",
            false,
            r#"unknown columns: "phone", "colour""#,
        ),
        ("to,to,scriptId\n", false, r#"the column "to" twice"#),
        ("scriptId\n", false, r#"no column "to""#),
        ("to\n", false, r#"no column "scriptId""#),
        ("to;scriptId\n", false, "--delimiter"),
        ("to,metadata.\n", true, r#"unknown columns: "metadata.""#),
        ("To\n", true, r#"unknown columns: "To""#),
        ("", true, "the file is empty"),
    ] {
        let args = if script { with_script() } else { args() };
        let refusal = refusal(header, &args);
        assert!(refusal.contains(words), "{header}: {refusal}");
    }
}

#[test]
fn batches_follow_each_other_without_loss() {
    let numbers: Vec<String> = (0..7).map(|at| format!("+1415555010{at}\n")).collect();
    let text = format!("to\n{}", numbers.concat());
    let args = with_script();
    let mut rows = Rows::open(text.as_bytes(), &args).unwrap();
    let mut sizes = Vec::new();
    let mut lines = Vec::new();
    loop {
        let batch = rows.batch(3).unwrap();
        if batch.is_empty() {
            break;
        }
        sizes.push(batch.len());
        lines.extend(batch.iter().map(|row| row.line));
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(rows.position(), u64::try_from(text.len()).unwrap());
}

#[test]
fn a_check_finds_what_needs_no_database() {
    for (request, words) in [
        (json!({"scriptId": "s"}), "\"to\" is missing"),
        (json!({"to": "+14155550100"}), "\"scriptId\" is missing"),
        (
            json!({"to": "555", "scriptId": "s"}),
            "\"to\": not an E.164",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "from": "x"}),
            "\"from\"",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "priority": 10}),
            "from 0 to 9",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "priority": "high"}),
            "from 0 to 9",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "maxAttempts": 0}),
            "from 1 to 20",
        ),
        (
            json!({"to": "+14155550100", "scriptId": "s", "runAt": "tomorrow"}),
            "RFC 3339",
        ),
    ] {
        let why = rows::check(&request).unwrap_err();
        assert!(why.contains(words), "{request}: {why}");
    }
    let right =
        json!({"to": "+1 415 555 0100", "scriptId": "s", "runAt": "2026-01-31T09:00:00+01:00"});
    assert_eq!(rows::check(&right), Ok(()));
}

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
