use super::{USAGE, pgdial, row};
use crate::support::{number, processes::Machine};

#[tokio::test(flavor = "multi_thread")]
async fn every_question_is_listed_with_what_it_asks() {
    let machine = Machine::new().await;
    let list = pgdial(&machine, &["ops"]).done();
    assert_eq!(list, pgdial(&machine, &["ops", "--list"]).done());
    assert!(list.contains("overview"), "{list}");
    assert!(
        list.contains("how far is each campaign, and may it dial now?"),
        "{list}"
    );
    assert!(list.contains("number NUMBER"), "{list}");
    let json = pgdial(&machine, &["ops", "--json"]).json();
    let questions = json.as_array().unwrap();
    assert_eq!(questions.len() + 1, list.lines().count());
    assert_eq!(questions[0]["name"], "overview");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_as_a_table_or_as_json_in_the_order_of_its_columns() {
    let machine = Machine::new().await;
    machine.db.enqueue(&number(1)).await;
    let table = pgdial(&machine, &["ops", "overview"]).done();
    let mut lines = table.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .trim()
            .starts_with("CAMPAIGN  TRUNK    IN FLIGHT  ROOM"),
        "{table}"
    );
    let cells = row(lines.next().unwrap());
    assert_eq!(
        cells[..6],
        ["default", "default", "0", "30", "no_worker", "1"]
    );
    let ran = pgdial(&machine, &["ops", "overview", "--json"]).done();
    let at = |name: &str| ran.find(name).unwrap();
    assert!(
        at("campaign") < at("trunk") && at("trunk") < at("in_flight"),
        "{ran}"
    );
    let empty = pgdial(&machine, &["ops", "live"]);
    assert_eq!(empty.words.trim(), "nothing to show");
    assert_eq!(
        pgdial(&machine, &["ops", "live", "--json"]).done().trim(),
        "[]"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_number_is_asked_about_and_masked() {
    let machine = Machine::new().await;
    let id = machine.db.enqueue(&number(1)).await.to_string();
    machine.db.enqueue(&number(2)).await;
    let ran = pgdial(&machine, &["ops", "number", "+1 415 555 0001", "--json"]).json();
    assert_eq!(ran.as_array().unwrap().len(), 1);
    assert_eq!(
        (&ran[0]["id"], &ran[0]["first_reason"]),
        (&id.into(), &"no_worker".into())
    );
    assert_eq!(ran[0]["number"], "+141******01");
    pgdial(&machine, &["ops", "number"]).refused(USAGE, "pgdial ops number +14155550100");
    pgdial(&machine, &["ops", "number", "555"]).refused(USAGE, "not an E.164 number");
    pgdial(&machine, &["ops", "live", "+14155550001"]).refused(USAGE, "takes no number");
    pgdial(&machine, &["ops", "nope"]).refused(USAGE, "`pgdial ops` lists them");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_itself_is_printed_without_a_database() {
    let machine = Machine::new().await;
    let print = |args: &[&str]| {
        let mut command = machine.command(args);
        command.env("DATABASE_URL", "postgres://127.0.0.1:1/nobody");
        super::Ran::of(command, "")
    };
    let sql = print(&["ops", "stuck", "--sql"]).done();
    let file = include_str!("../../../sql/ops/stuck.sql");
    assert_eq!(sql, file);
    assert!(print(&["ops"]).done().contains("stuck"));
    print(&["ops", "stuck"]).refused(69, "cannot connect");
    print(&["ops", "--sql"]).refused(USAGE, "required");
}
