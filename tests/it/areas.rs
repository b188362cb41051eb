//! Where a callee may be, and that a claim dials only where calling hours are open (P9).

use pgdial::{
    domain::{CallId, ClaimedCall},
    flow::enqueue::Enqueued,
};
use serde_json::{Value, json};

use crate::support::TestDb;

const BERLIN: &str = "+493012345678";
const NEW_YORK: &str = "+12125550100";
const LOS_ANGELES: &str = "+12135550100";

/// The default campaign dials on weekdays from nine to five, and it is so late.
async fn at(instant: &str) -> TestDb {
    let db = TestDb::new().await;
    db.sql(
        "insert into pgdial.calling_hours (name, week) values ('office', pgdial.read_hours('mon-fri 09:00-17:00')); \
         update pgdial.campaigns set calling_hours = 'office'",
    )
    .await;
    to(&db, instant).await;
    db
}

async fn to(db: &TestDb, instant: &str) {
    let sql =
        format!("update pgdial.clock set ahead = '{instant}'::timestamptz - clock_timestamp()");
    db.sql(&sql).await;
}

async fn reasons(db: &TestDb, id: CallId) -> Vec<String> {
    let why = db.calls.why(id).await.unwrap();
    why.into_iter().map(|why| why.reason).collect()
}

async fn refused(db: &TestDb, request: Value) -> String {
    match db.calls.enqueue("ann", &[request]).await.unwrap().remove(0) {
        Enqueued::Invalid(words) => words,
        other => panic!("{other:?}"),
    }
}

async fn ask(db: &TestDb, request: Value) -> CallId {
    db.enqueue_as(request).await
}

async fn numbers(db: &TestDb) -> Vec<String> {
    let claimed = db.claim(30).await;
    let mut numbers: Vec<_> = claimed
        .iter()
        .map(|call: &ClaimedCall| call.phone.as_e164().to_owned())
        .collect();
    numbers.sort();
    numbers
}

#[tokio::test]
async fn a_claim_takes_only_callees_whose_clock_is_within_the_hours() {
    // Monday, 15:30 in Berlin, 9:30 in New York, 6:30 in Los Angeles.
    let db = at("2026-11-30 14:30:00Z").await;
    for to in [BERLIN, NEW_YORK, LOS_ANGELES] {
        db.enqueue(to).await;
    }
    assert_eq!(numbers(&db).await, [NEW_YORK, BERLIN]);
    to(&db, "2026-11-30 17:00:00Z").await;
    assert_eq!(numbers(&db).await, [LOS_ANGELES]);
}

#[tokio::test]
async fn a_dial_has_to_end_within_the_hours() {
    let db = at("2026-11-30 15:00:00Z").await;
    let id = db.enqueue(BERLIN).await;
    to(&db, "2026-11-30 15:59:01Z").await;
    assert!(db.claim(1).await.is_empty(), "its lease ends after 17:00");
    assert_eq!(reasons(&db, id).await[0], "outside_hours");
    to(&db, "2026-11-30 15:58:58Z").await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn a_claim_wakes_when_hours_may_open() {
    let db = at("2026-11-30 07:50:00Z").await;
    db.enqueue(BERLIN).await;
    let trunks = ["default".to_owned()];
    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &trunks, 1)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    // Its first look is remembered for a moment; then only the next quarter of an hour can open anything.
    to(&db, "2026-11-30 07:51:00Z").await;
    let wait = db.text(
        "select max(wait_ms)::text from pgdial.claim(gen_random_uuid(), array['default'], 1)",
    );
    let wait: u32 = wait.await.parse().unwrap();
    assert!(wait <= 9 * 60 * 1000, "{wait}");
    to(&db, "2026-11-30 08:00:00Z").await;
    assert_eq!(numbers(&db).await, [BERLIN]);
}

#[tokio::test]
async fn a_crowd_of_a_closed_area_keeps_no_other_waiting() {
    let db = at("2026-11-30 14:30:00Z").await;
    db.sql(
        "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at, area) \
         select gen_random_uuid(), '+1213' || 5000000 + i, 'default', 's', pgdial.now() - interval '1 hour', 3, 'o', '', \
                pgdial.now(), pgdial.phone_area('+12135000000') from generate_series(1, 5000) i",
    )
    .await;
    let id = db.enqueue(NEW_YORK).await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn the_caller_may_say_where_the_callee_is() {
    let db = at("2026-11-30 14:30:00Z").await;
    let moved = ask(
        &db,
        json!({"to": LOS_ANGELES, "scriptId": "s", "timezone": "America/New_York"}),
    )
    .await;
    let in_florida = ask(
        &db,
        json!({"to": "+12135550101", "scriptId": "s", "region": "us-fl"}),
    )
    .await;
    let shown = json!(db.calls.show(moved).await.unwrap().unwrap());
    assert_eq!(
        (&shown["timezone"], &shown["region"]),
        (&json!(["America/New_York"]), &Value::Null)
    );
    // Nobody has been there yet: closed until the sweep has looked.
    assert!(db.claim(30).await.is_empty());
    assert_eq!(reasons(&db, moved).await[0], "zone_unknown");
    db.sweep().await;
    // Florida has two zones, and in Chicago it is 8:30.
    assert_eq!(numbers(&db).await, [LOS_ANGELES]);
    assert_eq!(reasons(&db, in_florida).await[0], "outside_hours");
    to(&db, "2026-11-30 15:00:00Z").await;
    assert_eq!(numbers(&db).await, ["+12135550101"]);
    // Known by now: no sweep is needed.
    ask(
        &db,
        json!({"to": "+12135550102", "scriptId": "s", "timezone": "America/New_York"}),
    )
    .await;
    assert_eq!(numbers(&db).await, ["+12135550102"]);
}

#[tokio::test]
async fn the_zone_basis_says_whose_word_counts() {
    let db = at("2026-11-30 14:30:00Z").await;
    ask(
        &db,
        json!({"to": LOS_ANGELES, "scriptId": "s", "timezone": "America/New_York"}),
    )
    .await;
    db.sweep().await;
    db.sql("update pgdial.campaigns set zone_basis = 'given_and_number'")
        .await;
    assert!(db.claim(30).await.is_empty(), "6:30 where its number is");
    db.sql("update pgdial.campaigns set zone_basis = 'given'")
        .await;
    let words = refused(&db, json!({"to": NEW_YORK, "scriptId": "s"})).await;
    assert!(words.contains("\"timezone\" is missing"), "{words}");
    assert_eq!(numbers(&db).await, [LOS_ANGELES]);
}

#[tokio::test]
async fn a_number_that_may_be_anywhere_is_where_the_caller_says() {
    let db = at("2026-11-30 14:30:00Z").await;
    db.sql("update pgdial.campaigns set zone_basis = 'given_and_number'")
        .await;
    let free = "+18005550123";
    ask(
        &db,
        json!({"to": free, "scriptId": "s", "timezone": "America/New_York", "region": "US-NY"}),
    )
    .await;
    let anywhere = db.enqueue("+18005550124").await;
    db.sweep().await;
    assert_eq!(numbers(&db).await, [free]);
    let why = db.calls.why(anywhere).await.unwrap().remove(0);
    assert!(
        why.message.ends_with("give it a timezone"),
        "{}",
        why.message
    );
}

#[tokio::test]
async fn a_place_that_is_none_is_refused_with_what_to_write() {
    let db = TestDb::new().await;
    for (field, value, words) in [
        ("timezone", json!("EST"), "America/New_York"),
        ("timezone", json!("Mars/Base"), "no IANA time zone"),
        (
            "timezone",
            json!(["Europe/Berlin", 1]),
            "an IANA time zone, or a list",
        ),
        ("timezone", json!([]), "an IANA time zone, or a list"),
        ("region", json!("US-XX"), "not a part of US"),
        ("region", json!("XX"), "not a country"),
        ("region", json!("US-FL-1"), "not a part of US"),
    ] {
        let mut request = json!({"to": NEW_YORK, "scriptId": "s"});
        request[field] = value;
        let said = refused(&db, request).await;
        assert!(said.contains(words), "{field}: {said}");
    }
}

#[tokio::test]
async fn a_waiting_call_may_be_told_where_its_callee_is() {
    let db = at("2026-11-30 14:30:00Z").await;
    let id = db.enqueue(LOS_ANGELES).await;
    let amend = async |changes: Value| db.calls.amend(id, "ann", &changes).await.unwrap();
    amend(json!({"timezone": "Europe/Berlin"})).await;
    db.sweep().await;
    amend(json!({"timezone": null, "region": "US-NY"})).await;
    db.sweep().await;
    let place = "(c.timezone is null, c.region, (select a.given_zones from pgdial.areas a where a.id = c.area))";
    let sql = format!("select {place}::text from pgdial.calls c");
    assert_eq!(db.text(&sql).await, "(t,US-NY,{America/New_York})");
    let refused = amend(json!({"region": "US"})).await;
    assert!(
        format!("{refused:?}").contains("a part of a country"),
        "{refused:?}"
    );
    assert_eq!(numbers(&db).await, [LOS_ANGELES]);
}

#[tokio::test]
async fn changed_hours_hold_with_the_next_claim() {
    let db = at("2026-11-30 14:30:00Z").await;
    db.enqueue(LOS_ANGELES).await;
    assert!(db.claim(1).await.is_empty());
    db.sql("update pgdial.calling_hours set week = pgdial.read_hours('mon-fri 06:00-17:00')")
        .await;
    db.forward("1 second").await;
    assert_eq!(numbers(&db).await, [LOS_ANGELES]);
}

#[tokio::test]
async fn a_dial_in_doubt_is_not_repeated_after_closing() {
    let db = at("2026-11-30 15:58:00Z").await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let call = db.dialing(BERLIN).await;
    assert!(db.calls.doubt(call.reference(), "no answer").await.unwrap());
    db.forward("50 seconds").await;
    let due = "select jsonb_array_length(pgdial.repeats_due(array['default'], array[10]))::text";
    to(&db, "2026-11-30 15:59:10Z").await;
    assert_eq!(db.text(due).await, "0");
    db.sql("update pgdial.campaigns set calling_hours = null")
        .await;
    assert_eq!(db.text(due).await, "1");
}

#[tokio::test]
async fn what_is_closed_is_not_counted_as_due() {
    let db = at("2026-11-30 14:30:00Z").await;
    for to in [BERLIN, NEW_YORK, LOS_ANGELES] {
        db.enqueue(to).await;
    }
    let metrics: Value = sqlx::query_scalar(include_str!("../../sql/read/metrics.sql"))
        .bind(1_000_i64)
        .bind(10_i64)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let waiting = &metrics["waiting"][0];
    assert_eq!(
        (&waiting["due"], &waiting["closed"]),
        (&json!(2), &json!(1))
    );
}
