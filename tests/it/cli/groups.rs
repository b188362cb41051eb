use pgdial::provider::{Capabilities, Idempotency, LookUps, Webhooks};
use serde_json::json;

use super::{DONE, REFUSED, USAGE, pgdial, row};
use crate::support::processes::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_created_changed_and_shown() {
    let machine = Machine::new().await;
    let create = ["campaigns", "create", "spring-2026"];
    let shown = pgdial(
        &machine,
        &[&create[..], &["--weight", "2", "--cap", "10"]].concat(),
    )
    .done();
    assert!(
        shown.lines().any(|line| row(line) == ["cap", "10"]),
        "{shown}"
    );
    pgdial(&machine, &create).refused(
        REFUSED,
        "there is a campaign spring-2026 already\nhint: `pgdial campaigns set spring-2026 ...` changes it",
    );
    let set = [
        "campaigns",
        "set",
        "spring-2026",
        "--cap",
        "none",
        "--ring-timeout",
        "45s",
        "--max-duration",
        "1h 30m",
        "--busy-base",
        "1500ms",
        "--max-attempts",
        "7",
        "--redial-unknown",
        "--json",
    ];
    let set = pgdial(&machine, &set).json();
    assert_eq!((&set["cap"], &set["weight"]), (&json!(null), &json!(2)));
    let stored = "select concat_ws(' ', trunk, coalesce(cap, -1), weight, ring_timeout, max_duration, busy_base, max_attempts, redial_unknown) \
        from pgdial.campaigns where name = 'spring-2026'";
    assert_eq!(
        machine.db.text(stored).await,
        "default -1 2 00:00:45 01:30:00 00:00:01.5 7 t"
    );
    let list = pgdial(&machine, &["campaigns", "list"]).done();
    let names: Vec<&str> = list.lines().skip(1).map(|line| row(line)[0]).collect();
    assert_eq!(names, ["default", "spring-2026"]);
    let listed = pgdial(&machine, &["campaigns", "list", "--json"]).json();
    assert_eq!(
        listed[1],
        pgdial(&machine, &["campaigns", "show", "spring-2026", "--json"]).json()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_limit_is_set_used_and_deleted() {
    let machine = Machine::new().await;
    let set = [
        "limits",
        "set",
        "daily",
        "--counts",
        "attempts",
        "--at-most",
        "3",
        "--period",
        "1d",
        "--boundary",
        "local_day",
        "--regions",
        "US-FL,US-GA",
        "--json",
    ];
    let shown = pgdial(&machine, &set).json();
    assert_eq!(
        (&shown["atMost"], &shown["regions"], &shown["period"]),
        (&json!(3), &json!(["US-FL", "US-GA"]), &json!("PT24H"))
    );
    let campaign = [
        "campaigns",
        "create",
        "spring",
        "--contact-limits",
        "daily,us-fl@2026-11",
        "--topic",
        "renewal",
    ];
    let created = pgdial(&machine, &campaign).done();
    for pair in [
        ["contact limits", "daily, us-fl@2026-11"],
        ["topic", "renewal"],
    ] {
        assert!(
            created.lines().any(|line| line
                .split("  ")
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .eq(pair)),
            "{created}"
        );
    }
    pgdial(&machine, &["limits", "delete", "daily"])
        .refused(REFUSED, "contact limit daily cannot go: spring names it");
    let preset = [
        "campaigns",
        "set",
        "spring",
        "--preset",
        "us-strict",
        "--topic",
        "none",
        "--json",
    ];
    let set = pgdial(&machine, &preset).json();
    assert_eq!(
        set["contactLimits"],
        json!(["us-me@2026-11", "us-strict@2026-11"])
    );
    assert_eq!(set["topic"], json!(null));
    assert_eq!(pgdial(&machine, &["limits", "delete", "daily"]).done(), "");
    pgdial(&machine, &["limits", "show", "daily"])
        .refused(REFUSED, "there is no contact limit \"daily\"");
    pgdial(
        &machine,
        &[
            "limits", "set", "x", "--counts", "Attempts", "--period", "1s",
        ],
    )
    .refused(USAGE, "\"period\"");
    let list = pgdial(&machine, &["limits", "list"]).done();
    assert!(list.contains("us-reg-f-conversation@2026-11"), "{list}");
    let none = [
        "campaigns",
        "set",
        "spring",
        "--contact-limits",
        "none",
        "--json",
    ];
    assert_eq!(pgdial(&machine, &none).json()["contactLimits"], json!([]));
    let recheck = [
        "calls",
        "recheck",
        "--campaign",
        "spring",
        "--why",
        "loosened",
        "--json",
    ];
    assert_eq!(pgdial(&machine, &recheck).json()["matched"], json!(0));
    pgdial(&machine, &["calls", "recheck", "--why", "loosened"]).refused(USAGE, "which calls?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_created_changed_and_shown() {
    let machine = Machine::new().await;
    let made = pgdial(&machine, &["trunks", "create", "eu_west", "--slots", "5"]);
    assert!(
        made.words
            .contains("PGDIAL_TRUNK_EU_WEST_PROVIDER_URL and PGDIAL_TRUNK_EU_WEST_WEBHOOK_SECRETS"),
        "{made:?}"
    );
    made.done();
    pgdial(&machine, &["trunks", "create", "eu_west"])
        .refused(REFUSED, "there is a trunk eu_west already");
    pgdial(
        &machine,
        &[
            "trunks",
            "set",
            "eu_west",
            "--slots",
            "60",
            "--calls-per-second",
            "2.5",
        ],
    )
    .done();
    let stored = "select slots || ' ' || coalesce(calls_per_second::text, 'none') from pgdial.trunks where name = 'eu_west'";
    assert_eq!(machine.db.text(stored).await, "60 2.500");
    pgdial(
        &machine,
        &["trunks", "set", "eu_west", "--calls-per-second", "none"],
    )
    .done();
    assert_eq!(machine.db.text(stored).await, "60 none");
    let shown = pgdial(&machine, &["trunks", "show", "eu_west"]).done();
    assert!(
        shown.lines().any(|line| row(line) == ["slots", "60"]),
        "{shown}"
    );
    let list = pgdial(&machine, &["trunks", "list"]).done();
    assert_eq!(
        row(list.lines().nth(2).unwrap()),
        ["eu_west", "0", "60", "none", "no", "no_worker"]
    );
    // A campaign can use it.
    pgdial(
        &machine,
        &["campaigns", "create", "europe", "--trunk", "eu_west"],
    )
    .done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_shows_what_its_adapter_declares_and_what_a_person_set() {
    let machine = Machine::new().await;
    let by_id = Capabilities {
        look_up: Some(LookUps::ById),
        idempotency: Some(Idempotency::None),
        webhooks: Some(Webhooks::PerCall),
        ..Capabilities::UNKNOWN
    };
    machine
        .db
        .working("acme voice.example.com 0123", by_id)
        .await;
    let shown = || pgdial(&machine, &["trunks", "show", "default"]).done();
    let has = |shown: &str, words: &[&str]| {
        let line = shown.lines().find(|line| line.trim().starts_with(words[0]));
        let line = line.unwrap_or_else(|| panic!("{words:?} in\n{shown}"));
        assert!(
            words.iter().all(|word| line.contains(word)),
            "{words:?} in\n{shown}"
        );
    };
    let before = shown();
    has(&before, &["adapter", "acme voice.example.com 0123"]);
    has(
        &before,
        &[
            "look-up",
            "hint, as its adapter declares: by its own id alone",
        ],
    );
    has(&before, &["webhook URL", "per call"]);
    has(&before, &["lists calls", "not known"]);
    let set =
        |option: &str, value: &str| pgdial(&machine, &["trunks", "set", "default", option, value]);
    set("--idempotent", "true").refused(
        USAGE,
        "\"idempotent\" cannot be true on trunk default: its platform rings again for each request",
    );
    set("--reports-within", "none").done();
    set("--look-up", "authoritative").done();
    let after = shown();
    has(
        &after,
        &[
            "look-up",
            "authoritative, as set; its adapter declares: by its own id alone",
        ],
    );
    has(&after, &["reports within", "none, as set"]);
    has(&after, &["conflict", "is not asked about"]);
    set("--look-up", "declared").done();
    set("--idempotent", "declared").done();
    set("--reports-within", "declared").done();
    assert_eq!(shown(), before);
    let list = pgdial(&machine, &["trunks", "list"]).done();
    assert_eq!(row(list.lines().nth(1).unwrap())[..2], ["default", "acme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_a_row_with_its_author_and_its_reason() {
    let machine = Machine::new().await;
    for (kind, kinds, table) in [
        ("campaign", "campaigns", "pgdial.campaigns"),
        ("trunk", "trunks", "pgdial.trunks"),
    ] {
        let stored = format!(
            "select concat_ws(' ', paused, paused_by, paused_why) from {table} where name = 'default'"
        );
        let ran = pgdial(&machine, &[kinds, "pause", "default", "--why", "lunch"]);
        assert_eq!((ran.code, ran.data.as_str()), (DONE, ""), "{ran:?}");
        assert_eq!(
            ran.words,
            format!("{kind} default is paused; live calls go on\n")
        );
        assert_eq!(machine.db.text(&stored).await, "t tester lunch");
        let list = pgdial(&machine, &[kinds, "list"]).done();
        assert!(
            list.contains("by tester at ") && list.contains(": lunch"),
            "{list}"
        );
        let ran = pgdial(&machine, &[kinds, "resume", "default", "--json"]);
        assert_eq!(ran.words, format!("{kind} default dials again\n"));
        assert_eq!(ran.json()["paused"], false);
        assert!(machine.db.text(&stored).await.starts_with('f'));
    }
}

/// Arguments, exit code, and words of the message.
type Refusal = (&'static [&'static str], i32, &'static str);

/// Asserts that each is refused and changes nothing in the table.
async fn all_refused(table: &str, refusals: &[Refusal]) {
    let machine = Machine::new().await;
    let rows = format!("select json_agg(r order by r.name) from {table} r");
    let before = machine.db.text(&rows).await;
    for (args, code, words) in refusals {
        pgdial(&machine, args).refused(*code, words);
    }
    assert_eq!(machine.db.text(&rows).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_campaigns_change_nothing_and_say_what_would_be_right() {
    let table: [Refusal; 13] = [
        (
            &["campaigns", "show", "nope"],
            REFUSED,
            "there is no campaign \"nope\"\nhint: `pgdial campaigns list`",
        ),
        (
            &["campaigns", "set", "nope", "--cap", "1"],
            REFUSED,
            "there is no campaign \"nope\"",
        ),
        (
            &["campaigns", "pause", "nope", "--why", "x"],
            REFUSED,
            "there is no campaign \"nope\"",
        ),
        (&["campaigns", "pause", "default"], USAGE, "--why <TEXT>"),
        (
            &["campaigns", "resume", "nope"],
            REFUSED,
            "there is no campaign \"nope\"",
        ),
        (
            &["campaigns", "create", "Spring"],
            USAGE,
            "hyphens, the first a letter or a digit, as in spring-2026",
        ),
        (
            &["campaigns", "create", "x", "--trunk", "nope"],
            REFUSED,
            "there is no such trunk\nhint: `pgdial trunks list`",
        ),
        (
            &["campaigns", "set", "default", "--trunk", "nope"],
            REFUSED,
            "there is no such trunk",
        ),
        (
            &["campaigns", "set", "default"],
            USAGE,
            "nothing to change was given\nhint: `pgdial campaigns set --help`",
        ),
        (
            &["campaigns", "set", "default", "--cap", "lots"],
            USAGE,
            "a number, or none",
        ),
        (
            &["campaigns", "set", "default", "--cap", "-1"],
            USAGE,
            "\"cap\" must be a whole number from 0, or null for none",
        ),
        (
            &["campaigns", "set", "default", "--ring-timeout", "60"],
            USAGE,
            "without a unit",
        ),
        (
            &["campaigns", "set", "default", "--max-duration", "7h"],
            USAGE,
            "\"maxDuration\" must be a length of time from 1 second to 6 hours",
        ),
    ];
    all_refused("pgdial.campaigns", &table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_trunks_change_nothing_and_say_what_would_be_right() {
    let table: [Refusal; 7] = [
        (
            &["trunks", "show", "nope"],
            REFUSED,
            "there is no trunk \"nope\"\nhint: `pgdial trunks list`",
        ),
        (
            &["trunks", "pause", "nope", "--why", "x"],
            REFUSED,
            "there is no trunk \"nope\"",
        ),
        (
            &["trunks", "create", "eu-west"],
            USAGE,
            "digits and underscores, the first a letter, as in eu_west",
        ),
        (
            &["trunks", "set", "default"],
            USAGE,
            "nothing to change was given",
        ),
        (
            &["trunks", "set", "default", "--slots", "-1"],
            USAGE,
            "\"slots\" must be a whole number from 0 to 100000",
        ),
        (
            &["trunks", "set", "default", "--slots", "100001"],
            USAGE,
            "\"slots\" must be a whole number from 0 to 100000",
        ),
        (
            &["trunks", "set", "default", "--calls-per-second", "0"],
            USAGE,
            "\"callsPerSecond\" must be a number from 0.001 to 999999",
        ),
    ];
    all_refused("pgdial.trunks", &table).await;
}
