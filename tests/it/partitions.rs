//! The weeks of `call_events`: created ahead, filled whatever happens, dropped when empty.

use std::time::Duration;

use futures_util::future::join_all;
use pgdial::domain::Outcome;
use serde_json::{Value, json};

use crate::support::{TestDb, ask, number, run};

const WEEKS: &str = "select count(*) from pg_inherits where inhparent = 'pgdial.call_events'::regclass \
                     and inhrelid <> 'pgdial.call_events_default'::regclass";
pub(crate) const IN_DEFAULT: &str = "select count(*) from pgdial.call_events_default";

async fn housekeeping(db: &TestDb, keep: Option<Duration>) -> Value {
    db.calls.housekeeping(keep).await.unwrap()
}

/// Asserts that every week from the first to the last exists once, without gap or overlap.
pub(crate) async fn assert_weeks_are_whole(db: &TestDb) {
    let bounds = "select bool_and(upper - lower = interval '168 hours' and (next is null or next >= upper) \
                  and extract(isodow from lower at time zone 'UTC') = 1 and (lower at time zone 'UTC')::time = '00:00')
        from (select lower, upper, lead(lower) over (order by lower) as next
              from (select (regexp_match(b, 'FROM \\(''([^'']+)'))[1]::timestamptz as lower,
                           (regexp_match(b, 'TO \\(''([^'']+)'))[1]::timestamptz as upper
                    from (select pg_get_expr(c.relpartbound, c.oid) as b from pg_class c join pg_inherits i on i.inhrelid = c.oid
                          where i.inhparent = 'pgdial.call_events'::regclass) t where b <> 'DEFAULT') t) t";
    assert_eq!(db.text(bounds).await, "true");
}

#[tokio::test]
async fn eight_weeks_ahead_are_always_there() {
    let db = TestDb::new().await;
    assert_eq!(db.number(WEEKS).await, 9);
    assert_eq!(housekeeping(&db, None).await["ensure_partitions"], 0);
    db.forward("7 days").await;
    assert_eq!(housekeeping(&db, None).await["ensure_partitions"], 1);
    db.forward("70 days").await;
    assert_eq!(housekeeping(&db, None).await["ensure_partitions"], 9);
    assert_weeks_are_whole(&db).await;
    db.in_call(&number(1)).await;
    assert_eq!(db.number(IN_DEFAULT).await, 0);
}

#[tokio::test]
async fn weeks_are_whole_in_a_time_zone_that_changes_its_clocks() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    // Twenty weeks before and after both changes of a year.
    for day in [
        "2027-02-20",
        "2027-03-20",
        "2027-04-20",
        "2027-09-20",
        "2027-10-25",
    ] {
        run(
            &mut session,
            &format!(
                "set timezone = 'Europe/Berlin'; select pgdial.ensure_partitions('{day} 12:00Z', 8)"
            ),
        )
        .await
        .unwrap();
    }
    assert_weeks_are_whole(&db).await;
    let (weeks, span) = (
        db.number(WEEKS).await,
        "select count(*) from generate_series(timestamptz '2027-02-15 00:00Z', '2027-12-26 00:00Z', interval '168 hours') w \
         where to_regclass('pgdial.call_events_' || to_char(w at time zone 'UTC', 'IYYY\"w\"IW')) is null \
           and w not between '2027-06-21' and '2027-09-14'",
    );
    assert!(weeks > 30);
    assert_eq!(db.number(span).await, 0, "no week is missing");
}

#[tokio::test]
async fn an_event_without_a_partition_has_a_home_and_moves_to_its_week() {
    let db = TestDb::new().await;
    let early = db.in_call(&number(1)).await;
    db.forward("90 days").await;
    let late = db.in_call(&number(2)).await;
    assert_eq!(db.number(IN_DEFAULT).await, 3);
    let story = db.story(late.id).await;
    // There was no housekeeping for another fortnight: the week of those events is over.
    db.forward("14 days").await;
    db.settle(&late, Outcome::Answered).await;
    housekeeping(&db, None).await;
    assert_eq!(db.number(IN_DEFAULT).await, 0, "of past weeks too");
    assert_eq!(db.story(late.id).await, format!("{story} completed"));
    assert_eq!(db.story(early.id).await, "waiting active in_call");
    assert_weeks_are_whole(&db).await;
}

#[tokio::test]
async fn house_is_kept_while_events_land_in_default() {
    let db = TestDb::new().await;
    db.forward("90 days").await;
    db.enqueue(&number(0)).await;
    // A writer with an uncommitted event in the default partition.
    let mut writer = db.session().await;
    run(
        &mut writer,
        "begin; select pgdial.enqueue('+14155550001', 's')",
    )
    .await
    .unwrap();
    let done = housekeeping(&db, None).await;
    assert!(done["ensure_partitions"].as_i64().unwrap() < 9, "{done}");
    run(&mut writer, "commit").await.unwrap();
    housekeeping(&db, None).await;
    assert_eq!(db.number(IN_DEFAULT).await, 0);
    assert_eq!(
        db.number("select count(*) from pgdial.call_events").await,
        2
    );
}

#[tokio::test]
async fn a_week_goes_only_when_no_call_has_events_in_it() {
    let db = TestDb::new().await;
    let day = Some(Duration::from_hours(24));
    let old = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "runAt": "2126-01-01T00:00:00Z" }))
        .await;
    db.forward("21 days").await;
    assert_eq!(
        housekeeping(&db, None).await["drop_partitions"],
        0,
        "kept for ever"
    );
    assert_eq!(
        housekeeping(&db, day).await["drop_partitions"],
        0,
        "a call remains"
    );
    assert_eq!(db.story(old).await, "waiting");
    db.calls.cancel(old, "ann", None).await.unwrap();
    db.forward("2 days").await;
    db.calls.sweep(&[], day).await.unwrap();
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 0);
    let dropped = housekeeping(&db, day).await["drop_partitions"]
        .as_i64()
        .unwrap();
    assert!((3..=4).contains(&dropped), "{dropped}");
    assert_weeks_are_whole(&db).await;
}

#[tokio::test]
async fn a_reader_with_an_open_transaction_stops_nobody() {
    let db = TestDb::new().await;
    let day = Some(Duration::from_hours(24));
    let call = db.in_call(&number(1)).await;
    let mut reader = db.session().await;
    run(&mut reader, "begin").await.unwrap();
    ask(&mut reader, "select count(*) from pgdial.call_events").await;
    db.forward("70 days").await;
    let (done, ()) = tokio::join!(housekeeping(&db, day), async {
        // While it tries, every verb goes on.
        db.settle(&call, Outcome::Answered).await;
        join_all((2..12).map(|n| {
            let to = number(n);
            let db = db.clone();
            async move { db.enqueue(&to).await }
        }))
        .await;
        assert_eq!(db.claim(10).await.len(), 10);
    });
    assert_eq!(done["ensure_partitions"], 0, "not while somebody reads");
    assert_eq!(db.state(call.id).await, "completed");
    run(&mut reader, "commit").await.unwrap();
    assert_eq!(housekeeping(&db, None).await["ensure_partitions"], 9);
    assert_eq!(db.number(IN_DEFAULT).await, 0);
}

#[tokio::test]
async fn two_housekeepers_do_not_disturb_each_other() {
    let db = TestDb::new().await;
    let mut other = db.session().await;
    run(&mut other, "begin; select pgdial.housekeeping(null)")
        .await
        .unwrap();
    assert_eq!(housekeeping(&db, None).await, json!({"busy": true}));
    run(&mut other, "commit").await.unwrap();
    assert!(housekeeping(&db, None).await.get("busy").is_none());
}

#[tokio::test]
async fn statistics_follow_a_table_that_fills() {
    let db = TestDb::new().await;
    db.sql(
        "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at) \
         select pgdial.uuid_v7(now()), '+1415' || (1000000 + n), 'default', 's', now(), 3, 't', '', now() \
         from generate_series(1, 2000) n",
    )
    .await;
    // A session's counters reach the view once it is idle for a moment, or on request.
    db.until("select n_mod_since_analyze >= 2000 from pg_stat_user_tables where schemaname = 'pgdial' and relname = 'calls'")
        .await;
    assert_eq!(housekeeping(&db, None).await["refresh_statistics"], 1);
    let known = "select reltuples from pg_class where oid = 'pgdial.calls'::regclass";
    assert_eq!(db.text(known).await, "2000");
}
