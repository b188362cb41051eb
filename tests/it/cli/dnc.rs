use serde_json::json;

use super::{DONE, REFUSED, USAGE, pgdial, pgdial_reading, row};
use crate::support::{number, processes::Machine};

const LISTED: &str = "select string_agg(concat_ws(' ', phone, reason, by), ', ' order by phone) from pgdial.do_not_call";

#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_on_the_list_and_off_it() {
    let machine = Machine::new().await;
    machine.db.list_nobody().await;
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
    machine.db.list_nobody().await;
    let file = "phone,reason\n+14155550001,letter of 3 May\n555,\n+1 415 555 0002,\n";
    let ran = pgdial_reading(
        &machine,
        &["dnc", "import", "-", "--reason", "register"],
        file,
    );
    assert_eq!((ran.code, ran.data.as_str()), (REFUSED, ""), "{ran:?}");
    assert_eq!(
        ran.words,
        "line 3: not an E.164 number: write + and the country code, as in +1415…, or say in which region it is dialled, as in US\n2 added, 0 already listed, 1 bad line\n"
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
        json!({ "added": 1, "alreadyListed": 1, "duplicates": 0, "badLines": [] })
    );
    pgdial_reading(&machine, &["dnc", "import", "-"], "name\nAda\n")
        .refused(REFUSED, "no column `phone`");
    pgdial(&machine, &["dnc", "import", "missing.csv"])
        .refused(REFUSED, "missing.csv cannot be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_says_exactly_what_it_did_and_goes_on_where_it_ended() {
    let machine = Machine::new().await;
    machine.db.list_nobody().await;
    let rows = |numbers: std::ops::Range<usize>| {
        let rows = numbers.map(|n| format!("+1{},register\n", 2_000_000_000 + n));
        rows.collect::<String>()
    };
    let import = |file: &str, more: &[&str]| {
        let args = [&["dnc", "import", "-"], more].concat();
        pgdial_reading(&machine, &args, file)
    };
    // A NUL, a stray quote, not a number, a repeated number: none harms another line.
    let odd =
        "+14155550001,a\0b\n+14155550002,\"6' tall\nnobody,\n+1 415 555 0003,\n+14155550003,\n";
    let file = format!(
        "phone,reason\n{}{odd}{}",
        rows(10_000..16_000),
        rows(16_000..22_000)
    );
    let dry = import(&file, &["--dry-run"]);
    assert!(
        dry.words
            .ends_with("12001 valid, 3 bad lines, 1 twice in the file\n"),
        "{dry:?}"
    );
    assert_eq!(
        machine
            .db
            .number("select count(*) from pgdial.do_not_call")
            .await,
        0
    );
    let ran = import(&file, &[]);
    assert_eq!(ran.code, REFUSED);
    for words in [
        "line 6002: the reason contains the character U+0000",
        "line 6003: a quote is opened and never closed",
        "line 6004: not a number",
        "\n12001 added, 0 already listed, 3 bad lines, 1 twice in the file\n",
    ] {
        assert!(ran.words.contains(words), "{words}: {}", ran.words);
    }
    assert_eq!(
        machine
            .db
            .number("select count(*) from pgdial.do_not_call")
            .await,
        12_001
    );
    let again = import(&file, &["--json"]);
    let told: serde_json::Value = serde_json::from_str(&again.data).unwrap();
    assert_eq!(
        told,
        json!({ "added": 0, "alreadyListed": 12_001, "duplicates": 1, "badLines": [6002, 6003, 6004] })
    );
    let acts = "select string_agg(act || ' ' || (detail ->> 'added'), ', ' order by seq) from pgdial.acts where by = 'tester'";
    assert_eq!(
        machine.db.text(acts).await,
        "do_not_call_add 5000, do_not_call_add 5000, do_not_call_add 2001"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_numbers_or_without_names_says_which() {
    let machine = Machine::new().await;
    machine.db.list_nobody().await;
    let import = |file: &str, more: &[&str]| {
        let args = [&["dnc", "import", "-"], more].concat();
        pgdial_reading(&machine, &args, file)
    };
    let two = "Home Phone,Mobile,Why\n,+14155550001,letter\n+14155550002,+14155550003,\n";
    import(two, &[]).refused(REFUSED, "several columns could be");
    let told = ["--map", "Mobile=phone", "--map", "Home Phone=phone"];
    import(two, &told).done();
    let bare = "Ada,+14155550004\n";
    import(bare, &[]).refused(REFUSED, "--map 2=phone");
    import(bare, &["--map", "2=phone", "--map", "1=reason"]).done();
    assert_eq!(
        machine.db.text(LISTED).await,
        "+14155550001 letter tester, +14155550003 asked not to be called tester, +14155550004 Ada tester"
    );
}
