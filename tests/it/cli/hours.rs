//! `hours` and `calendars`.

use serde_json::json;

use super::{DONE, REFUSED, USAGE, pgdial, pgdial_reading, row};
use crate::support::processes::Machine;

const DAYS: &str =
    "day,name,hours\n# comment\n2026-12-25,\"Christmas, Day\"\n2026-12-24,Eve,09:00-12:00\n";

#[tokio::test(flavor = "multi_thread")]
async fn hours_are_made_changed_shown_asked_and_deleted() {
    let machine = Machine::new().await;
    let run = |args: &[&str]| pgdial(&machine, args);
    let calendar = pgdial_reading(
        &machine,
        &["calendars", "set", "state", "-", "--source", "the gazette"],
        DAYS,
    );
    assert!(calendar.done().contains("2026-12-31"));
    let set = [
        "hours",
        "set",
        "sales",
        "--week",
        "mon-fri 09:00-20:00",
        "--basis",
        "given_and_number",
        "--region",
        "US-FL=mon-sun 08:00-20:00",
        "--region",
        "us-la=mon-sat 08:00-20:00; calendar state",
        "--source",
        "our lawyer",
        "--json",
    ];
    let shown = run(&set).json();
    assert_eq!(shown["regions"]["US-LA"]["calendar"], "state");
    assert_eq!(shown["zoneBasis"], "given_and_number");
    // What is not given stays; a region goes by none.
    let shown = run(&[
        "hours",
        "set",
        "sales",
        "--region",
        "US-FL=none",
        "--timezone",
        "America/Chicago",
        "--json",
    ])
    .json();
    assert_eq!(shown["week"], "mon-fri 09:00-20:00");
    assert_eq!(shown["timezone"], "America/Chicago");
    assert_eq!(shown["regions"].as_object().unwrap().len(), 1);
    let copy = run(&[
        "hours",
        "set",
        "mine",
        "--copy",
        "sales",
        "--timezone",
        "none",
        "--calendar",
        "state",
        "--json",
    ])
    .json();
    assert_eq!(
        (&copy["source"], &copy["timezone"]),
        (&json!("our lawyer"), &json!(null))
    );
    let list = run(&["hours", "list"]).done();
    assert!(list.lines().any(|line| row(line)[0] == "mine"), "{list}");
    let shown = run(&["hours", "show", "mine"]).done();
    assert!(
        shown.contains("US-LA=mon-sat 08:00-20:00; calendar state"),
        "{shown}"
    );

    let check = [
        "hours",
        "check",
        "mine",
        "--timezone",
        "America/New_York",
        "--at",
    ];
    let closed = run(&[&check[..], &["2026-12-24T18:00:00Z"]].concat());
    assert_eq!(closed.code, REFUSED, "{closed:?}");
    assert!(
        closed
            .data
            .contains("by calling hours mine it is Eve, 09:00-12:00"),
        "{closed:?}"
    );
    let open = run(&[&check[..], &["2026-12-24T15:00:00Z", "--json"]].concat()).json();
    assert_eq!(
        (&open["open"], &open["zones"]),
        (&json!(true), &json!(["America/New_York"]))
    );

    run(&["campaigns", "set", "default", "--calling-hours", "mine"]).done();
    run(&["hours", "delete", "mine"])
        .refused(REFUSED, "calling hours mine cannot go: default names it");
    run(&["calendars", "delete", "state"]).refused(REFUSED, "mine, sales names it");
    let shown = run(&[
        "campaigns",
        "set",
        "default",
        "--calling-hours",
        "none",
        "--json",
    ])
    .json();
    assert_eq!(shown["callingHours"], json!(null));
    for args in [
        ["hours", "delete", "mine"],
        ["hours", "delete", "sales"],
        ["calendars", "delete", "state"],
    ] {
        assert_eq!(run(&args).code, DONE);
    }
    run(&["hours", "show", "mine"]).refused(REFUSED, "there are no calling hours \"mine\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_set_says_all_that_is_wrong() {
    let machine = Machine::new().await;
    let run = |args: &[&str]| pgdial(&machine, args);
    let wrong = run(&[
        "hours",
        "set",
        "sales",
        "--week",
        "9-5",
        "--calendar",
        "moon",
        "--region",
        "US-FL=always",
    ]);
    wrong.refused(USAGE, "\"calendar\": there is no calendar \"moon\"");
    wrong.refused(USAGE, "\"week\": hours are written as");
    wrong.refused(USAGE, "\"regions\": US-FL: \"week\"");
    run(&["hours", "set", "sales"]).refused(USAGE, "\"week\" is missing");
    run(&["hours", "set", "sales", "--region", "Florida"]).refused(USAGE, "write REGION=HOURS");
    run(&["hours", "set", "sales", "--copy", "nobodys"])
        .refused(REFUSED, "there are no calling hours \"nobodys\"");
    run(&["hours", "check", "sales", "--to", "12"])
        .refused(USAGE, "there are no calling hours \"sales\"");
    run(&["campaigns", "set", "default", "--calling-hours", "moon"])
        .refused(USAGE, "there are no \"moon\"");
    let days = "2026-12-25,Christmas\n24.12.2026,Eve\n";
    pgdial_reading(&machine, &["calendars", "set", "state", "-"], days)
        .refused(REFUSED, "line 2: \"24.12.2026\" is no day");
    pgdial_reading(
        &machine,
        &["calendars", "set", "state", "-"],
        "2026-12-25\n2026-12-26,Box,9-5\n",
    )
    .refused(USAGE, "\"days\": entry 1 needs a \"name\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_is_printed_as_it_is_read() {
    let machine = Machine::new().await;
    pgdial_reading(&machine, &["calendars", "set", "state", "-"], DAYS).done();
    let csv = pgdial(&machine, &["calendars", "show", "state", "--csv"]).done();
    assert_eq!(
        csv,
        "2026-12-24,Eve,09:00-12:00\n2026-12-25,\"Christmas, Day\",closed\n"
    );
    pgdial_reading(
        &machine,
        &["calendars", "set", "again", "-", "--last-day", "2027-03-31"],
        &csv,
    )
    .done();
    let json = |name| pgdial(&machine, &["calendars", "show", name, "--json"]).json();
    assert_eq!(json("state")["days"], json("again")["days"]);
    assert_eq!(json("again")["lastDay"], "2027-03-31");
}
