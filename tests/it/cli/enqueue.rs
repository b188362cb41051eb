use serde_json::json;

use super::{DONE, REFUSED, USAGE, pgdial, pgdial_reading};
use crate::support::processes::Machine;

const ROWS: &str = "select count(*) from pgdial.calls";

#[tokio::test(flavor = "multi_thread")]
async fn enqueue_prints_the_id_alone_and_keeps_every_field() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("select pgdial.create_campaign('spring')")
        .await;
    let id = pgdial(
        &machine,
        &[
            "enqueue",
            "+1 (415) 555-0100",
            "--script",
            "welcome",
            "--metadata",
            r#"{"name":"Ada"}"#,
            "--campaign",
            "spring",
            "--from",
            "+14155550199",
            "--priority",
            "7",
            "--run-at",
            "2099-01-31T09:00:00+01:00",
            "--expires-at",
            "2099-02-01T00:00:00Z",
            "--max-attempts",
            "5",
        ],
    )
    .done();
    let id = id.strip_suffix('\n').unwrap();
    let stored = machine
        .db
        .text(&format!(
            "select concat_ws(' ', state, phone, script_id, metadata, campaign, from_number, priority, \
             to_char(run_at at time zone 'utc', 'YYYY-MM-DD HH24:MI'), to_char(expires_at at time zone 'utc', 'YYYY-MM-DD'), \
             max_attempts, owner) from pgdial.calls where id = '{id}'"
        ))
        .await;
    assert_eq!(
        stored,
        r#"waiting +14155550100 welcome {"name": "Ada"} spring +14155550199 7 2099-01-31 08:00 2099-02-01 5 tester"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_numbers_are_those_of_one_person() {
    let machine = Machine::new().await;
    let args = [
        "enqueue",
        "+14155550100",
        "+1 415 555 0101",
        "--script",
        "s",
    ];
    pgdial(&machine, &args).done();
    let people = "Phone,Mobile\n+14155550102,+14155550103\n+14155550104,\n";
    let told = [
        "import",
        "-",
        "--script",
        "s",
        "--map",
        "Mobile=to",
        "--map",
        "Phone=to",
        "--all-numbers",
    ];
    pgdial_reading(&machine, &told, people).done();
    let lists =
        "select string_agg(coalesce(numbers::text, phone), ' ' order by phone) from pgdial.calls";
    assert_eq!(
        machine.db.text(lists).await,
        "{+14155550100,+14155550101} {+14155550103,+14155550102} +14155550104"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_the_same_request_is_the_same_call() {
    let machine = Machine::new().await;
    let order = |script, by| {
        let args = ["enqueue", "+14155550100", "--script", script];
        let mut command = machine.command(&args);
        command.args(["--idempotency-key", "order-4711", "--by", by]);
        super::Ran::of(command, "")
    };
    let first = order("welcome", "ada");
    let again = order("welcome", "ada");
    assert_eq!((again.code, &again.data), (DONE, &first.data));
    assert!(again.words.contains("the same call as before"), "{again:?}");
    order("other", "ada").refused(
        REFUSED,
        "this idempotency key was used for another request: use a new key",
    );
    assert_eq!(machine.db.text(ROWS).await, "1");
    // Another owner's keys are separate.
    assert_ne!(order("other", "bob").done(), first.data);
    assert_eq!(machine.db.text(ROWS).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn enqueue_as_json_has_one_shape_for_every_verdict() {
    let machine = Machine::new().await;
    let order = |to| {
        let args = ["enqueue", to, "--script", "welcome", "--json"];
        pgdial(
            &machine,
            &[&args[..], &["--idempotency-key", "one"]].concat(),
        )
    };
    let new = order("+14155550100").json();
    assert_eq!(new["verdict"], "created");
    let again = order("+14155550100").json();
    assert_eq!(
        again,
        json!({ "id": new["id"], "verdict": "duplicate", "detail": null })
    );
    for (to, verdict) in [("+14155550101", "key_reused"), ("555", "invalid")] {
        let refused = order(to);
        assert_eq!(refused.code, REFUSED, "{refused:?}");
        let printed: serde_json::Value = serde_json::from_str(&refused.data).unwrap();
        assert_eq!(
            (&printed["id"], &printed["verdict"]),
            (&json!(null), &json!(verdict))
        );
        assert!(
            refused.words.contains(printed["detail"].as_str().unwrap()),
            "{refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_taken_leaves_no_row_and_says_what_would_be_right() {
    let machine = Machine::new().await;
    let base = ["enqueue", "+14155550100", "--script", "welcome"];
    let table: [(&[&str], i32, &str); 10] = [
        (
            &["--campaign", "nope"],
            REFUSED,
            "there is no campaign \"nope\": create it, or use \"default\"\nhint: `pgdial campaigns list`",
        ),
        (
            &["--from", "555"],
            REFUSED,
            "\"from\" is not an E.164 number",
        ),
        (
            &["--run-at", "tomorrow"],
            REFUSED,
            "\"runAt\" must be an RFC 3339 time with an offset, as in",
        ),
        (
            &["--expires-at", "2020-01-01T00:00:00Z"],
            REFUSED,
            "\"expiresAt\" lies in the past",
        ),
        (&["--idempotency-key", ""], REFUSED, "idempotency"),
        (
            &["--metadata", "{name: Ada}"],
            USAGE,
            r#"a JSON object looks like {"name":"Ada"}"#,
        ),
        (&["--metadata", "[1]"], USAGE, "not a JSON object"),
        (&["--priority", "10"], USAGE, "10 is not in 0..=9"),
        (&["--priority", "-1"], USAGE, "-1 is not in 0..=9"),
        (&["--max-attempts", "0"], USAGE, "0 is not in 1..=20"),
    ];
    for (more, code, words) in table {
        pgdial(&machine, &[&base[..], more].concat()).refused(code, words);
    }
    for (to, words) in [
        (
            "4155550100",
            "an E.164 number: write + and the country code",
        ),
        (
            "+1415",
            "a number of +1: 10 digits follow the country code, not 3",
        ),
        ("+1415555010a", "a number: digits may stand in it"),
    ] {
        pgdial(&machine, &["enqueue", to, "--script", "welcome"])
            .refused(REFUSED, &format!("\"to\" is not {words}"));
    }
    pgdial(&machine, &["enqueue", "+14155550100", "--script", ""]).refused(REFUSED, "scriptId");
    pgdial(&machine, &["enqueue", "+14155550100"]).refused(USAGE, "--script <ID>");
    assert_eq!(machine.db.text(ROWS).await, "0");
}
