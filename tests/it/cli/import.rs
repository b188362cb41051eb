use std::fmt::Write;

use serde_json::Value;

use super::{DONE, REFUSED, pgdial, pgdial_reading};
use crate::support::{number, processes::Machine};

const ROWS: &str = "select count(*) from pgdial.calls";

/// Every result a row can have.
const MIXED: &str = "\
to,scriptId,campaign,priority,idempotencyKey,metadata.name
+1 415 555 0100,welcome,,3,a,Ada
+14155550100,welcome,,3,a,Ada
+14155550101,other,,,a,
555,welcome,,,,
+14155550102,,,,,
+14155550103,welcome,nope,,,
+14155550104,welcome,,11,,
+14155550105,welcome
+14155550106,welcome,,,,
+14155550107,welcome,,,,
";

/// Line, result, code.
const RESULTS: [(i64, &str, &str); 10] = [
    (2, "created", ""),
    (3, "duplicate", ""),
    (4, "error", "key_reused"),
    (5, "error", "invalid"),
    (6, "error", "invalid"),
    (7, "error", "unknown_campaign"),
    (8, "error", "invalid"),
    (9, "created", ""),
    (10, "error", "suppressed"),
    (11, "created", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn import_answers_for_each_row_and_a_bad_one_harms_no_other() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("select pgdial.do_not_call_add('+14155550106', 'a letter', 'tester')")
        .await;
    let ran = pgdial_reading(&machine, &["import", "-"], MIXED);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert_eq!(
        ran.words,
        "10 rows: 3 created, 1 duplicate, 6 with errors\n"
    );
    let lines: Vec<Vec<&str>> = ran
        .data
        .lines()
        .map(|l| l.splitn(5, ',').collect())
        .collect();
    assert_eq!(lines[0], ["line", "result", "id", "code", "detail"]);
    for (line, (at, result, code)) in lines[1..].iter().zip(RESULTS) {
        assert_eq!(
            [line[0], line[1], line[3]],
            [&at.to_string(), result, code],
            "{line:?}"
        );
        assert_eq!(line[2].is_empty(), result == "error", "{line:?}");
        assert_eq!(line[4].is_empty(), result != "error", "{line:?}");
    }
    assert_eq!(lines[1][2], lines[2][2], "a duplicate names the first one");
    let act = "select why || ' ' || detail from pgdial.acts where act = 'import'";
    assert_eq!(
        machine.db.text(act).await,
        "list standard input {\"created\": 3, \"skipped\": 0, \"notTaken\": 6, \"duplicates\": 1}"
    );
    let stored = "select string_agg(concat_ws(' ', phone, priority, metadata), ', ' order by phone) from pgdial.calls";
    assert_eq!(
        machine.db.text(stored).await,
        r#"+14155550100 3 {"name": "Ada"}, +14155550105 0 {}, +14155550107 0 {}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn import_as_json_is_one_object_a_line() {
    let machine = Machine::new().await;
    let ran = pgdial_reading(&machine, &["import", "-", "--json"], MIXED);
    let lines: Vec<Value> = ran
        .data
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), RESULTS.len());
    assert_eq!(lines[0]["line"], 2);
    assert_eq!(lines[0]["result"], "created");
    assert_eq!(lines[3]["code"], "invalid");
    assert!(lines[3]["id"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_an_import_writes_nothing() {
    let machine = Machine::new().await;
    let ran = pgdial_reading(&machine, &["import", "-", "--dry-run"], MIXED);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    // Keys, campaigns and the do-not-call list are known only to the database.
    let columns =
        "read as UTF-8, commas between the fields; \"to\" is to, \"scriptId\" is scriptId, ";
    assert!(ran.words.starts_with(columns), "{ran:?}");
    let first = "\nline 2: {\"idempotencyKey\":\"a\",\"metadata\":{\"name\":\"Ada\"},\"priority\":3,\
                 \"scriptId\":\"welcome\",\"to\":\"+141******00\"}\n";
    assert!(ran.words.contains(first), "{ran:?}");
    assert!(
        ran.words.ends_with("\n10 rows: 7 valid, 3 with errors\n"),
        "{ran:?}"
    );
    assert_eq!(machine.db.text(ROWS).await, "0");
    let ran = pgdial_reading(
        &machine,
        &["import", "-", "--dry-run", "--script", "welcome"],
        "to\n+14155550100\n",
    );
    assert!(ran.words.ends_with("\n1 row: 1 valid\n"), "{ran:?}");
    assert_eq!(ran.code, DONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_header_is_wrong_is_refused_as_a_whole() {
    let machine = Machine::new().await;
    for (file, words) in [
        ("", "the file is empty: its first line names the columns"),
        (
            "scriptId,colour\nwelcome,red\n",
            "no column with the number to ring\nhint: its columns are \"scriptId\", \"colour\"",
        ),
        (
            "to\n+14155550100\n",
            "give all rows one script with --script",
        ),
        ("to,to,scriptId\n", "the column \"to\" twice"),
    ] {
        pgdial_reading(&machine, &["import", "-"], file).refused(REFUSED, words);
    }
    pgdial(&machine, &["import", "missing.csv"]).refused(REFUSED, "missing.csv cannot be read");
    assert_eq!(machine.db.text(ROWS).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_rows_are_taken_once_however_often_they_are_imported() {
    let machine = Machine::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    let results = folder.path().join("results.csv");
    let mut rows = "to;metadata.at\n".to_owned();
    for n in 0..2000 {
        writeln!(rows, "{};{n}", number(n)).unwrap();
    }
    std::fs::write(&file, rows).unwrap();
    let import = || {
        let (file, results) = (file.to_str().unwrap(), results.to_str().unwrap());
        pgdial(
            &machine,
            &[
                "import",
                file,
                "--results",
                results,
                "--delimiter",
                ";",
                "--script",
                "welcome",
                "--key-prefix",
                "june",
            ],
        )
    };
    let first = import();
    assert_eq!((first.code, first.data.as_str()), (DONE, ""), "{first:?}");
    assert_eq!(first.words, "2000 rows: 2000 created\n");
    let told = std::fs::read_to_string(&results).unwrap();
    assert_eq!(told.matches(",created,").count(), 2000);
    assert_eq!(told.lines().last().unwrap().split(',').next(), Some("2001"));
    assert_eq!(import().words, "2000 rows: 2000 duplicate\n");
    let stored = "select count(distinct phone) || ' ' || count(*) || ' ' || count(distinct idempotency_key) from pgdial.calls";
    assert_eq!(machine.db.text(stored).await, "2000 2000 2000");
}

/// Nearly the same as MIXED.
const LINES: &str = r#"{"to":"+1 415 555 0100","scriptId":"welcome","priority":3,"idempotencyKey":"a","metadata":{"name":"Ada"}}
{"to":"+14155550100","scriptId":"welcome","priority":3.0,"idempotencyKey":"a","metadata":{"name":"Ada"},"campaign":null}

{"to":"+14155550101","idempotencyKey":"a"}
{"to":
["+14155550102"]
{"to":"+14155550103","phone":"x"}
{"to":"+14155550107"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_are_imported_as_they_are() {
    let machine = Machine::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.ndjson");
    std::fs::write(&file, LINES).unwrap();
    let file = file.to_str().unwrap();
    let ran = pgdial(&machine, &["import", file, "--script", "other"]);
    let told: Vec<_> = ran
        .data
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<_> = line.splitn(5, ',').collect();
            format!("{} {} {}", fields[0], fields[1], fields[3])
        })
        .collect();
    let expected = [
        "1 created ",
        "2 duplicate ",
        "4 error key_reused",
        "5 error invalid",
        "6 error invalid",
        "7 error invalid",
        "8 created ",
    ];
    assert_eq!(told, expected, "{}", ran.data);
    assert_eq!(ran.words, "7 rows: 2 created, 1 duplicate, 4 with errors\n");
    let scripts = "select string_agg(script_id, ' ' order by id) from pgdial.calls";
    assert_eq!(machine.db.text(scripts).await, "welcome other");
    for args in [&["import", "-"][..], &["import", "-", "--format", "ndjson"]] {
        let told = pgdial_reading(&machine, args, LINES);
        assert!(told.data.contains("1,duplicate,"), "{told:?}");
    }
    let array = pgdial_reading(&machine, &["import", "-"], "[{}]");
    array.refused(REFUSED, "one object a line");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_cut_off_says_which_lines_are_certain() {
    let machine = Machine::new().await;
    machine
        .db
        .sql(
            "create function public.fail() returns trigger language plpgsql as \
             'begin raise exception using errcode = ''admin_shutdown''; end'; \
             create trigger fail before insert on pgdial.calls for each row \
             when (new.script_id = 'last') execute function public.fail()",
        )
        .await;
    // Three batches; the second fails, and the third is under way by then or was never begun.
    let mut rows = "to,scriptId\n".to_owned();
    for n in 0..5000 {
        let script = if n == 3000 { "last" } else { "welcome" };
        writeln!(rows, "{},{script}", number(n)).unwrap();
    }
    let ran = pgdial_reading(&machine, &["import", "-"], &rows);
    assert_eq!(ran.data.matches(",created,").count() % 2000 % 1000, 0);
    assert!(ran.data.contains("\n2001,created,"), "{ran:?}");
    assert!(!ran.data.contains("\n2002,"), "{}", ran.words);
    assert!(
        ran.words
            .contains("whether lines 2002 to 4001 were enqueued is not known"),
        "{}",
        ran.words
    );
    // Exactly the rows reported as created exist.
    let told = ran.data.matches(",created,").count().to_string();
    assert_eq!(machine.db.text(ROWS).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_wait_in_the_campaign_are_left_out_when_asked_for() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("select pgdial.create_campaign('other')")
        .await;
    let first =
        "to,campaign,idempotencyKey\n+14155550100,,\n+14155550101,other,\n+14155550102,,k\n";
    let import = |file: &str, more: &[&str]| {
        let args = [&["import", "-", "--script", "welcome"], more].concat();
        pgdial_reading(&machine, &args, file)
    };
    assert_eq!(import(first, &[]).words, "3 rows: 3 created\n");
    let again = "to,campaign,idempotencyKey\n+1 415 555 0100,,\n+14155550101,,\n+14155550102,,k\n+14155550102,other,\n";
    let ran = import(again, &["--skip-queued"]);
    assert_eq!(ran.code, DONE);
    assert_eq!(ran.words, "4 rows: 2 created, 1 duplicate, 1 skipped\n");
    assert!(ran.data.contains("\n2,skipped,,queued,call "), "{ran:?}");
    // A call that is over does not count as queued.
    machine
        .db
        .sql("update pgdial.calls set state = 'canceled', ended_at = now() where phone = '+14155550100'")
        .await;
    let ran = import("to\n+14155550100\n", &["--skip-queued"]);
    assert_eq!(ran.words, "1 row: 1 created\n");
    // Without the option, nothing is left out.
    assert_eq!(
        import("to\n+14155550100\n", &[]).words,
        "1 row: 1 created\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_imported_as_it_was() {
    const ALL: &str = "select string_agg(concat_ws(' ', phone, campaign, script_id, from_number, priority, \
                       run_at, expires_at, max_attempts, idempotency_key, metadata), E'\\n' order by id) from pgdial.calls";
    let machine = Machine::new().await;
    let line = |n: usize, more: &str| {
        format!("{{\"to\":\"{}\",\"scriptId\":\"-1+1\"{more}}}\n", number(n))
    };
    let calls = [
        line(1, ""),
        line(
            2,
            r#","from":"+14155550199","priority":7,"maxAttempts":9,"idempotencyKey":"=k","metadata":{"a":"=b","c":[1,{"d":"x\ny"}]}"#,
        ),
        line(
            3,
            r#","runAt":"2031-01-31T09:00:00.123456Z","expiresAt":"2032-01-31T09:00:00Z","idempotencyKey":"''@k","metadata":{"\u00fc":"\u00e9, \"q\""}"#,
        ),
        line(4, r#","idempotencyKey":"over""#),
    ];
    pgdial_reading(&machine, &["import", "-"], &calls.concat()).done();
    let before = machine.db.text(ALL).await;
    let before: Vec<&str> = before.lines().take(3).collect();
    machine
        .db
        .sql("update pgdial.calls set state = 'canceled', ended_at = now() where idempotency_key = 'over'")
        .await;
    let files = ["calls.csv", "calls.ndjson"].map(|name| machine.file(name));
    for file in &files {
        let export = ["calls", "export", "--out", file.to_str().unwrap()];
        pgdial(&machine, &export).done();
    }
    for file in &files {
        machine
            .db
            .sql("truncate pgdial.calls, pgdial.call_events")
            .await;
        let file = file.to_str().unwrap();
        let ran = pgdial(&machine, &["import", file]);
        assert_eq!(ran.words, "4 rows: 3 created, 1 skipped\n", "{ran:?}");
        assert!(
            ran.data.contains("5,skipped,,not_waiting")
                || ran.data.contains("4,skipped,,not_waiting")
        );
        let after = machine.db.text(ALL).await;
        assert_eq!(after.lines().collect::<Vec<_>>(), before, "{file}");
    }
}
