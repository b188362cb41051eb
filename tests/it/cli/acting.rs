//! `calls cancel|redrive|export` with a filter, `workers`, `acts`, `forget`.

use std::fs;

use serde_json::{Value, json};

use super::{DONE, REFUSED, USAGE, pgdial, row};
use crate::support::{number, processes::Machine};

/// Enqueues this many calls, to the numbers from 0 on.
async fn waiting(machine: &Machine, count: usize) {
    for n in 0..count {
        machine.db.enqueue(&number(n)).await;
    }
}

async fn in_state(machine: &Machine, state: &str) -> i64 {
    let count = format!("select count(*) from pgdial.calls where state = '{state}'");
    machine.db.number(&count).await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_canceled_and_redriven_by_a_filter() {
    let machine = Machine::new().await;
    waiting(&machine, 5).await;
    let which = ["calls", "cancel", "--state", "waiting"];
    // A dry run is recorded nowhere, so it needs no reason.
    let dry = pgdial(&machine, &[&which[..], &["--dry-run"]].concat());
    let cancel = [&which[..], &["--why", "a wrong list"]].concat();
    assert!(
        dry.words
            .contains("nothing was done; this is what would become of 5 calls"),
        "{dry:?}"
    );
    let table = dry.done();
    assert_eq!(row(table.lines().nth(1).unwrap()), ["canceled", "5"]);
    assert_eq!(in_state(&machine, "waiting").await, 5);

    let some = pgdial(&machine, &[&cancel[..], &["--limit", "2"]].concat());
    assert!(
        some.words
            .contains("there may be more: do it again, or add --all"),
        "{some:?}"
    );
    some.done();
    assert_eq!(in_state(&machine, "canceled").await, 2);
    let all = [&cancel[..], &["--limit", "1", "--all", "--json"]].concat();
    assert_eq!(
        pgdial(&machine, &all).json(),
        json!({ "dryRun": false, "matched": 3, "verdicts": { "canceled": 3 }, "more": false })
    );
    let redrive = [
        "calls",
        "redrive",
        "--outcome",
        "canceled",
        "--why",
        "it was right",
    ];
    pgdial(&machine, &redrive).done();
    assert_eq!(in_state(&machine, "waiting").await, 5);
    let to = number(3);
    let one = ["calls", "cancel", "--to", &to, "--why", "asked", "--json"];
    assert_eq!(pgdial(&machine, &one).json()["matched"], 1);
    let listed = pgdial(&machine, &["acts", "list", "--act", "cancel"]);
    let listed = listed.done();
    assert!(!listed.contains(&to), "{listed}");
    assert!(
        listed.contains("filter (to +141******03), matched 1, verdicts (canceled 1)"),
        "{listed}"
    );
    assert_eq!(listed.lines().count(), 1 + 5, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_makes_no_sense_cancels_nothing() {
    let machine = Machine::new().await;
    waiting(&machine, 2).await;
    let id = machine
        .db
        .text("select min(id::text) from pgdial.calls")
        .await;
    for (args, code, words) in [
        (&["calls", "cancel"][..], USAGE, "which calls?"),
        (
            &["calls", "cancel", "--all", "--why", "x"],
            USAGE,
            "--every-call means all of them",
        ),
        (
            &["calls", "cancel", &id, "--state", "waiting"],
            USAGE,
            "not both",
        ),
        (
            &["calls", "cancel", &id, "--dry-run"],
            USAGE,
            "go with a filter",
        ),
        (
            &["calls", "cancel", "--state", "waiting"],
            USAGE,
            "--why is needed",
        ),
        (
            &["calls", "cancel", "--state", "done", "--why", "x"],
            USAGE,
            "invalid value",
        ),
        (
            &["calls", "cancel", "--outcome", "done", "--why", "x"],
            USAGE,
            "one of answered,",
        ),
        (
            &["calls", "cancel", "--created-after", "noon", "--why", "x"],
            USAGE,
            "write an instant as in",
        ),
        (
            &["calls", "redrive", "--state", "completed", "--why", "x"],
            REFUSED,
            "\"force\" only",
        ),
        (
            &[
                "calls",
                "cancel",
                "--every-call",
                "--why",
                "x",
                "--limit",
                "0",
            ],
            USAGE,
            "0 is not in",
        ),
    ] {
        pgdial(&machine, args).refused(code, words);
    }
    assert_eq!(in_state(&machine, "waiting").await, 2);
    let every = ["calls", "cancel", "--every-call", "--why", "x"];
    pgdial(&machine, &every).done();
    assert_eq!(in_state(&machine, "canceled").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_could_not_be_redriven_are_counted_and_the_code_says_so() {
    let machine = Machine::new().await;
    let held = machine.db.given_up(&number(1)).await;
    let redrive = ["calls", "redrive", "--state", "failed", "--why", "x"];
    let refused = pgdial(&machine, &redrive);
    assert_eq!(refused.code, REFUSED, "{refused:?}");
    assert_eq!(row(refused.data.lines().nth(1).unwrap()), ["held", "1"]);
    assert_eq!(machine.db.state(held.id).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_to_a_file_or_to_stdout() {
    let machine = Machine::new().await;
    waiting(&machine, 3).await;
    let lines = pgdial(&machine, &["calls", "export", "--state", "waiting"]);
    assert!(lines.words.contains("3 calls exported"), "{lines:?}");
    let lines = lines.done();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["to"], number(0));
    assert_eq!(lines.lines().count(), 3);
    let file = machine.file("calls.csv");
    let path = file.to_str().unwrap();
    let written = pgdial(&machine, &["calls", "export", "--out", path]);
    assert_eq!(written.done(), "");
    let written = fs::read_to_string(&file).unwrap();
    assert!(
        written.starts_with("id,to,numbers,timezone,region,from,campaign,"),
        "{written}"
    );
    assert_eq!(written.lines().count(), 4);
    let nowhere = ["calls", "export", "--out", "/no/such/folder/x.csv"];
    pgdial(&machine, &nowhere).refused(REFUSED, "cannot be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_and_told_to_go() {
    let machine = Machine::new().await;
    let worker = machine.db.worker(&["default", "eu"]).await;
    let id = worker.id.to_string();
    let state = || {
        let table = pgdial(&machine, &["workers", "list"]).done();
        row(table.lines().nth(1).unwrap())[..4].join(" ")
    };
    assert_eq!(state(), format!("{id} host:7 alive 0/30"));
    let drain = ["workers", "drain", &id, "--why", "an old machine"];
    let drained = pgdial(&machine, &drain);
    assert!(drained.words.contains("it claims no more"), "{drained:?}");
    assert_eq!(drained.code, DONE);
    assert_eq!(state(), format!("{id} host:7 draining 0/30"));
    let again = [&drain[..], &["--json"]].concat();
    assert_eq!(
        pgdial(&machine, &again).json(),
        json!({ "id": id, "verdict": "already_draining" })
    );
    machine.db.forward("1 minute").await;
    assert_eq!(state(), format!("{id} host:7 gone 0/30"));
    let nobody = ["workers", "drain", super::NOBODY, "--why", "x"];
    pgdial(&machine, &nobody).refused(REFUSED, "there is no worker");
    pgdial(&machine, &["workers", "drain", &id]).refused(USAGE, "--why");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_shows_who_changed_what() {
    let machine = Machine::new().await;
    let set = [
        "trunks",
        "set",
        "default",
        "--slots",
        "60",
        "--why",
        "the season",
    ];
    pgdial(&machine, &set).done();
    pgdial(&machine, &["trunks", "pause", "default", "--why", "fire"]).done();
    pgdial(&machine, &["trunks", "resume", "default", "--why", "out"]).done();
    pgdial(&machine, &["campaigns", "create", "spring", "--why", "new"]).done();
    pgdial(&machine, &["dnc", "add", &number(1)]).done();
    pgdial(&machine, &["dnc", "remove", &number(1), "--why", "asked"]).done();
    let acts = pgdial(&machine, &["acts", "list", "--json"]).json();
    let words: Vec<String> = acts
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|act| {
            ["by", "act", "kind", "why"]
                .map(|field| act[field].as_str().unwrap_or("-"))
                .join(" ")
        })
        .collect();
    assert_eq!(
        words,
        [
            "tester set trunk the season",
            "tester pause trunk fire",
            "tester resume trunk out",
            "tester create campaign new",
            "tester do_not_call_add number asked not to be called",
            "tester do_not_call_remove number asked",
        ]
    );
    let table = pgdial(&machine, &["acts", "list"]).done();
    assert!(table.contains("slots 30 -> 60"), "{table}");
    assert!(table.contains("number +141******01"), "{table}");
    let one = pgdial(
        &machine,
        &[
            "acts", "list", "--limit", "1", "--kind", "trunk", "--who", "tester",
        ],
    );
    assert!(one.words.contains("more: add --below 3"), "{one:?}");
    let below = [
        "acts", "list", "--below", "2", "--name", "default", "--json",
    ];
    assert_eq!(pgdial(&machine, &below).json()[0]["act"], "set");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_counted_first_and_forgotten_when_it_is_meant() {
    let machine = Machine::new().await;
    machine.db.list_nobody().await;
    waiting(&machine, 2).await;
    let forget = ["forget", "+1 415 555 0001", "--why", "a letter"];
    let counted = pgdial(&machine, &forget);
    assert!(
        counted.words.contains("nothing was done: add --yes"),
        "{counted:?}"
    );
    let counted = counted.done();
    assert!(
        counted.lines().any(|line| row(line) == ["calls", "1"]),
        "{counted}"
    );
    assert_eq!(in_state(&machine, "waiting").await, 2);
    let searched = pgdial(&machine, &[&forget[..], &["--search", "--json"]].concat()).json();
    assert_eq!(
        searched["mentions"],
        json!([{ "table": "calls", "column": "phone", "rows": 1 }])
    );
    let done = pgdial(
        &machine,
        &[&forget[..], &["--yes", "--search", "--json"]].concat(),
    )
    .json();
    assert_eq!(done["verdict"], "forgotten");
    assert_eq!(done["mentions"], json!([]));
    assert_eq!(done["counts"]["waiting"], 1);
    assert_eq!(in_state(&machine, "waiting").await, 1);
    let list = pgdial(&machine, &["calls", "list"]).done();
    assert!(list.contains("forgotten"), "{list}");
    let listed = pgdial(
        &machine,
        &[&forget[..], &["--yes", "--do-not-call", "add"]].concat(),
    );
    listed.done();
    assert_eq!(
        machine
            .db
            .number("select count(*) from pgdial.do_not_call")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_flight_is_not_forgotten_and_the_call_is_named() {
    let machine = Machine::new().await;
    let call = machine.db.in_call(&number(1)).await;
    let forget = ["forget", &number(1), "--why", "x", "--yes"];
    let refused = pgdial(&machine, &forget);
    assert_eq!(refused.code, REFUSED, "{refused:?}");
    let named = format!("call {} to this number is in flight", call.id);
    assert!(refused.words.contains(&named), "{refused:?}");
    assert_eq!(machine.db.column(call.id, "phone").await, number(1));
}
