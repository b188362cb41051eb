//! `dnc`

use serde_json::json;

use super::{DONE, REFUSED, USAGE, pgdial, pgdial_reading, row};
use crate::support::{number, processes::Machine};

const LISTED: &str = "select string_agg(concat_ws(' ', phone, reason, by), ', ' order by phone) from pgdial.do_not_call";

#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_on_the_list_and_off_it() {
    let machine = Machine::new().await;
    let add = [
        "dnc",
        "add",
        "+1 415 555 0001",
        "+14155550002",
        "--reason",
        "letter of 3 May",
    ];
    let added = pgdial(&machine, &add).done();
    let verdicts: Vec<_> = added.lines().skip(1).map(row).collect();
    assert_eq!(
        verdicts,
        [["+141******01", "added"], ["+141******02", "added"]]
    );
    let again = pgdial(&machine, &["dnc", "add", "+14155550001", "--json"]).json();
    assert_eq!(
        again,
        json!([{ "phone": "+14155550001", "verdict": "already_listed" }])
    );
    assert_eq!(
        machine.db.text(LISTED).await,
        "+14155550001 letter of 3 May tester, +14155550002 letter of 3 May tester"
    );
    let list = pgdial(&machine, &["dnc", "list", "--full-numbers"]).done();
    assert!(
        list.contains("+14155550002") && list.contains("letter of 3 May"),
        "{list}"
    );
    let one = pgdial(&machine, &["dnc", "list", "--limit", "1", "--json"]).json();
    assert_eq!(one.as_array().unwrap().len(), 1);

    let removed = pgdial(&machine, &["dnc", "remove", "+14155550001", "+14155550009"]);
    assert_eq!(removed.code, REFUSED, "{removed:?}");
    let verdicts: Vec<_> = removed.data.lines().skip(1).map(row).collect();
    assert_eq!(
        verdicts,
        [["+141******01", "removed"], ["+141******09", "not_listed"]]
    );
    assert_eq!(
        machine.db.text(LISTED).await,
        "+14155550002 letter of 3 May tester"
    );
    for args in [["dnc", "add", "555"], ["dnc", "remove", "555"]] {
        pgdial(&machine, &args).refused(USAGE, "not an E.164 number: write + and the country code");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_number_is_not_enqueued_and_its_waiting_call_is_suppressed() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let waiting = db.enqueue(&number(1)).await;
    pgdial(
        &machine,
        &["dnc", "add", &number(1), "--reason", "a letter"],
    )
    .done();
    pgdial(&machine, &["enqueue", &number(1), "--script", "welcome"]).refused(
        REFUSED,
        "the number is on the do-not-call list: a letter\nhint: `pgdial dnc list` shows who put it there",
    );
    let why = pgdial(&machine, &["calls", "why", &waiting.to_string()]).done();
    assert!(why.contains("suppressed"), "{why}");
    assert!(db.claim(1).await.is_empty(), "the claim passes over it");
    db.calls.sweep(&["default".to_owned()], None).await.unwrap();
    assert_eq!(db.state(waiting).await, "suppressed");
    pgdial(&machine, &["dnc", "remove", &number(1)]).done();
    pgdial(&machine, &["enqueue", &number(1), "--script", "welcome"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_list_names_its_bad_lines_and_takes_the_others() {
    let machine = Machine::new().await;
    let file = "phone,reason\n+14155550001,letter of 3 May\n555,\n+1 415 555 0002,\n";
    let ran = pgdial_reading(
        &machine,
        &["dnc", "import", "-", "--reason", "register"],
        file,
    );
    assert_eq!((ran.code, ran.data.as_str()), (REFUSED, ""), "{ran:?}");
    assert_eq!(
        ran.words,
        "line 3: not an E.164 number, as in +14155550100\n2 added, 0 already listed, 1 bad line\n"
    );
    assert_eq!(
        machine.db.text(LISTED).await,
        "+14155550001 letter of 3 May tester, +14155550002 register tester"
    );
    let again = pgdial_reading(
        &machine,
        &["dnc", "import", "-", "--json"],
        "+14155550001\n+14155550003\n",
    );
    assert_eq!(again.code, DONE);
    assert_eq!(
        again.json(),
        json!({ "added": 1, "alreadyListed": 1, "badLines": [] })
    );
    pgdial_reading(&machine, &["dnc", "import", "-"], "name\nAda\n")
        .refused(REFUSED, "no column `phone`");
    pgdial(&machine, &["dnc", "import", "missing.csv"])
        .refused(REFUSED, "missing.csv cannot be read");
}
