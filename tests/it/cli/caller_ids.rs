use serde_json::json;

use super::{REFUSED, USAGE, pgdial, row};
use crate::support::processes::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn caller_ids_are_added_changed_listed_and_removed() {
    let machine = Machine::new().await;
    let ids = ["+1 415 555 0901", "+12125550902"];
    let add = [&["caller-ids", "add"], &ids[..], &["--pool", "us"]].concat();
    let added = pgdial(&machine, &add).done();
    let verdicts: Vec<_> = added.lines().skip(1).map(row).collect();
    assert_eq!(
        verdicts,
        [["+14155550901", "added"], ["+12125550902", "added"]]
    );
    assert_eq!(pgdial(&machine, &add).code, REFUSED);
    let set = ["caller-ids", "set", "+14155550901", "--daily-cap", "150"];
    pgdial(&machine, &set).done();
    let pause = ["caller-ids", "set", "+12125550902", "--paused"];
    pgdial(&machine, &pause).refused(
        USAGE,
        "\"why\" is missing: whoever pauses a number or lets it rest says why",
    );
    let rest = [&pause[..3], &["--rest", "2h", "--why", "spam label"]].concat();
    pgdial(&machine, &rest).done();
    let pause = [&pause[..], &["--why", "spam label"]].concat();
    pgdial(&machine, &pause).done();
    let set = [
        "campaigns",
        "set",
        "default",
        "--caller-ids",
        "us",
        "--json",
    ];
    assert_eq!(pgdial(&machine, &set).json()["callerIds"], json!("us"));

    let list = pgdial(&machine, &["caller-ids", "list", "--pool", "us"]).done();
    assert!(list.contains("spam label"), "{list}");
    let list = pgdial(&machine, &["caller-ids", "list", "--json"]).json();
    assert_eq!(list[1]["dailyCap"], json!(150));
    assert!(list[0]["restUntil"].is_string(), "{list}");
    let end = [
        "caller-ids",
        "set",
        "+12125550902",
        "--rest",
        "none",
        "--paused=false",
    ];
    pgdial(&machine, &end).done();
    let list = pgdial(&machine, &["caller-ids", "list", "--json"]).json();
    assert_eq!(
        (&list[0]["restUntil"], &list[0]["paused"]),
        (&json!(null), &json!(false))
    );
    let remove = [&["caller-ids", "remove"], &ids[..]].concat();
    pgdial(&machine, &remove).done();
    assert_eq!(pgdial(&machine, &remove).code, REFUSED);
}
