//! Calling hours and calendars: their text, what they say of an instant, and what may be set (P9). Instants by the
//! hundred thousand are judged by scripts/check-hours.

use pgdial::flow::{
    groups::{ChangeError, GroupKind},
    hours::{Callee, Deletion, RulesKind},
};
use serde_json::{Value, json};

use crate::support::TestDb;

const HOURS: RulesKind = RulesKind::CallingHours;
const CALENDAR: RulesKind = RulesKind::Calendar;

/// Sets them as `ann`; true if they are new.
async fn set(db: &TestDb, kind: RulesKind, name: &str, rules: Value) -> Result<bool, String> {
    let set = db
        .calls
        .set_rules(kind, name, &rules, "ann", Some("ticket 1"));
    set.await.map_err(|refusal| match refusal {
        ChangeError::Refused(words) => words,
        other => panic!("{other:?}"),
    })
}

async fn campaign(db: &TestDb, changes: Value) -> Result<bool, String> {
    let set = db
        .calls
        .set_group(GroupKind::Campaign, "default", &changes, "ann", None);
    set.await.map_err(|refusal| refusal.to_string())
}

/// The rules that the tests ask: other hours in two states, one of them with a holiday and a half day.
async fn rules() -> TestDb {
    let db = TestDb::new().await;
    let days = json!([{ "day": "2026-12-25", "name": "Christmas Day" },
        { "day": "2026-12-24", "name": "Christmas Eve", "hours": "10:00-12:00" }]);
    let calendar = json!({ "days": days, "lastDay": "2027-06-30" });
    set(&db, CALENDAR, "state", calendar).await.unwrap();
    let hours = json!({ "week": "mon-fri 09:00-17:00", "regions": {
        "US-FL": "mon-sun 08:00-20:00", "US-LA": { "week": "mon-sat 08:00-20:00", "calendar": "state" },
        "US-MS": { "week": "mon-sat 08:00-20:00", "timezone": "America/Chicago" },
        "DE": "mon-sat 10:00-18:00" } });
    set(&db, HOURS, "sales", hours).await.unwrap();
    db
}

/// `open`, or the reason and the words.
async fn says(db: &TestDb, zones: &[&str], regions: &[&str], at: &str) -> String {
    let list = |names: &[&str]| format!("'{{{}}}'", names.join(","));
    let sql = format!(
        "select coalesce(s.reason || ': ' || s.message, 'open') from pgdial.place_state('sales', {}, {}, '{at}') s",
        list(zones),
        list(regions)
    );
    db.text(&sql).await
}

async fn version(db: &TestDb) -> i64 {
    db.number("select version from pgdial.rules_version").await
}

#[tokio::test]
async fn hours_are_shown_as_they_are_written() {
    let db = TestDb::new().await;
    for (written, shown) in [
        (
            "mon-fri 09:00-20:00, sat 09:00-17:00",
            "mon-fri 09:00-20:00, sat 09:00-17:00",
        ),
        (
            "Mon \u{2013} Fri  9:00-13:00  14:00\u{2013}20:00",
            "mon-fri 09:00-13:00 14:00-20:00",
        ),
        (
            "sat-mon 10:00-12:00",
            "mon 10:00-12:00, sat-sun 10:00-12:00",
        ),
        (
            "mon 09:00-10:00,mon 09:30-11:00 , tue 09:00-11:00",
            "mon-tue 09:00-11:00",
        ),
        ("mon-sun 00:00-24:00", "mon-sun 00:00-24:00"),
        (" closed ", "closed"),
    ] {
        let sql = format!("select pgdial.hours_text(pgdial.read_hours('{written}'))");
        assert_eq!(db.text(&sql).await, shown, "{written}");
    }
}

#[tokio::test]
async fn hours_that_cannot_be_read_say_how_they_are_written() {
    let db = TestDb::new().await;
    for (written, words) in [
        (
            "",
            "hours are written as \"mon-fri 09:00-20:00, sat 09:00-17:00\", or \"closed\": \"\" is not",
        ),
        ("9-5", "\"9-5\" is not"),
        ("mon-fri 09:00", "\"09:00\" is not"),
        ("mon 09:00-25:00", "\"09:00-25:00\" is not"),
        ("mon 09:60-10:00", "\"09:60-10:00\" is not"),
        (
            "mon 09:00-17:10",
            "hours begin and end at a quarter of an hour: \"09:00-17:10\" does not",
        ),
        (
            "fri 22:00-02:00",
            "what follows midnight is written with the next day",
        ),
        ("mon 09:00-09:00", "hours end after they begin"),
        (
            "mon-fri 09:00-17:00, weekends 10:00-12:00",
            "\"weekends 10:00-12:00\" is not",
        ),
    ] {
        let (code, text) = db
            .refusal(&format!("select pgdial.read_hours('{written}')"))
            .await;
        assert_eq!(code, "22023", "{written}");
        assert!(text.contains(words), "{written}: {text}");
    }
}

#[tokio::test]
async fn an_edge_belongs_to_what_follows_it() {
    let db = rules().await;
    let berlin = ["Europe/Berlin"];
    for (at, open) in [
        ("2026-11-30 08:59:59.7Z", false),
        ("2026-11-30 09:00:00Z", true),
        ("2026-11-30 16:59:59.999Z", true),
        ("2026-11-30 17:00:00Z", false),
    ] {
        let says = says(&db, &berlin, &["DE"], at).await;
        assert_eq!(says == "open", open, "{at}: {says}");
    }
}

#[tokio::test]
async fn a_region_has_its_own_rule_or_its_countrys_or_the_default() {
    let db = rules().await;
    // Saturday, noon in New York.
    let at = "2026-11-28 17:00:00Z";
    let new_york = ["America/New_York"];
    assert_eq!(says(&db, &new_york, &["US-FL"], at).await, "open");
    assert!(
        says(&db, &new_york, &[], at)
            .await
            .starts_with("outside_hours")
    );
    assert!(
        says(&db, &new_york, &["US-GA"], at)
            .await
            .starts_with("outside_hours")
    );
    assert_eq!(
        says(&db, &["Europe/Berlin"], &["DE-BY"], "2026-11-28 09:00:00Z").await,
        "open"
    );
    // Somewhere in the country: the default, and the rows of all its parts.
    assert!(
        says(&db, &new_york, &["US"], at)
            .await
            .starts_with("outside_hours")
    );
    let monday = "2026-11-30 17:00:00Z";
    assert_eq!(says(&db, &new_york, &["US"], monday).await, "open");
    assert_eq!(
        says(&db, &new_york, &["US"], "2026-12-25 17:00:00Z").await,
        "holiday: it is Fri 12:00 in America/New_York: by calling hours sales (US-LA) it is Christmas Day, closed; \
         opens at 2026-12-28 14:00:00Z (Mon 09:00 in America/New_York)"
    );
    // Two regions: both.
    assert!(
        says(&db, &new_york, &["US-FL", "US-GA"], at)
            .await
            .starts_with("outside_hours")
    );
}

#[tokio::test]
async fn a_rule_may_have_a_clock_of_its_own() {
    let db = rules().await;
    // 8:30 in New York, 7:30 in Chicago; and nobody need know the callee's zone.
    for zones in [&["America/New_York"][..], &[]] {
        let words = says(&db, zones, &["US-MS"], "2026-11-30 13:30:00Z").await;
        assert!(
            words.contains("it is Mon 07:30 in America/Chicago"),
            "{words}"
        );
        assert_eq!(
            says(&db, zones, &["US-MS"], "2026-11-30 14:00:00Z").await,
            "open"
        );
    }
}

#[tokio::test]
async fn every_clock_has_to_be_within_the_hours_and_three_are_told() {
    let db = rules().await;
    let zones = [
        "America/Anchorage",
        "America/Chicago",
        "America/Denver",
        "America/Los_Angeles",
        "America/New_York",
    ];
    assert_eq!(
        says(&db, &zones, &["US-FL"], "2026-11-30 01:30:00Z").await,
        "outside_hours: it is Sun 20:30 in America/New_York: calling hours sales (US-FL) are 08:00-20:00 on Sundays; \
         opens at 2026-11-30 17:00:00Z (Mon 08:00 in America/Anchorage)"
    );
    assert_eq!(
        says(&db, &zones, &[], "2026-11-29 20:00:00Z").await,
        "outside_hours: it is Sun 11:00 in America/Anchorage, Sun 12:00 in America/Los_Angeles, Sun 13:00 in America/Denver \
         and 2 more: calling hours sales are closed on Sundays; opens at 2026-11-30 18:00:00Z (Mon 09:00 in America/Anchorage)"
    );
}

#[tokio::test]
async fn a_special_day_has_its_own_hours_and_what_no_calendar_covers_is_closed() {
    let db = rules().await;
    let (zone, region) = (["America/Chicago"], ["US-LA"]);
    assert_eq!(
        says(&db, &zone, &region, "2026-12-24 17:30:00Z").await,
        "open"
    );
    assert_eq!(
        says(&db, &zone, &region, "2026-12-24 19:00:00Z").await,
        "holiday: it is Thu 13:00 in America/Chicago: by calling hours sales (US-LA) it is Christmas Eve, 10:00-12:00; \
         opens at 2026-12-26 14:00:00Z (Sat 08:00 in America/Chicago)"
    );
    assert_eq!(
        says(&db, &zone, &region, "2027-06-30 18:00:00Z").await,
        "open"
    );
    assert_eq!(
        says(&db, &zone, &region, "2027-07-01 18:00:00Z").await,
        "calendar_ended: it is Thu 13:00 in America/Chicago: calendar state of calling hours sales (US-LA) does not cover \
         2027-07-01: set it with the days that it lacks"
    );
    let next = "select coalesce(at::text, 'never') from pgdial.opening('sales', '{America/Chicago}', '{US-LA}', '2027-07-01 01:00Z')";
    assert_eq!(db.text(next).await, "never");
}

#[tokio::test]
async fn what_is_not_known_is_closed() {
    let db = rules().await;
    let at = "2026-11-30 17:00:00Z";
    assert!(
        says(&db, &[], &[], at)
            .await
            .starts_with("zone_unknown: nothing says in which timezone it rings")
    );
    let words = says(&db, &["America/New_York", "Mars/Base"], &[], at).await;
    assert!(
        words.starts_with("zone_unknown: the server does not know the timezone Mars/Base"),
        "{words}"
    );
    let text = |sql: &'static str| db.text(sql);
    assert_eq!(
        text("select pgdial.is_open('gone', null, 1, '2026-11-30 17:00Z')::text").await,
        "false"
    );
    assert_eq!(
        text("select pgdial.is_open('sales', null, 0, '2026-11-30 17:00Z')::text").await,
        "false"
    );
    assert_eq!(
        text("select pgdial.is_open(null, null, 0, '2026-11-30 17:00Z')::text").await,
        "true"
    );
    assert_eq!(
        text("select reason from pgdial.hours_state('sales', null, 0, now())").await,
        "zone_unknown"
    );
}

#[tokio::test]
async fn all_areas_at_once_are_judged_as_each_alone() {
    let db = rules().await;
    db.sql(
        "insert into pgdial.areas (zones, regions, timezone, region, given_zones) values \
         ('{America/New_York,Mars/Base}', '{US-NY}', null, null, null), ('{}', '{US}', null, null, null), \
         ('{America/New_York}', '{US-NY}', '{Mars/Base}', null, '{Mars/Base}'), \
         ('{}', '{}', null, 'US-MS', '{}'), \
         ('{America/New_York}', '{US-NY}', null, 'US-FL', '{America/Chicago,America/New_York}'); \
         insert into pgdial.calling_hours_regions (hours, region, week, timezone) \
         values ('sales', 'GB', pgdial.read_hours('mon-sun 00:00-24:00'), 'Mars/Base')",
    )
    .await;
    let sql = "select string_agg(concat_ws(' ', h, b, t, o.open, e.open), e'\n') \
        from unnest(array['sales', 'world@2026-11', 'gone']) h, \
             unnest(array['given_or_number', 'given_and_number', 'given', null]) b, \
             unnest('{2026-11-27 14:59:30Z,2026-11-28 17:00Z,2026-12-25 20:00Z,2026-12-31 23:00Z,2027-07-01 17:00Z}'::timestamptz[]) t, \
             lateral (select pgdial.open_areas(h, b, t, t + interval '1 minute')) o (open), \
             lateral (select array(select a.id from pgdial.areas a where pgdial.is_open(h, b, a.id, t) \
                                   and pgdial.is_open(h, b, a.id, t + interval '1 minute') order by a.id)) e (open) \
        where o.open <> e.open";
    assert_eq!(
        db.text(&format!("select coalesce(({sql}), 'none')")).await,
        "none"
    );
    let open = db.number("select cardinality(pgdial.open_areas('sales', null, '2026-11-27 15:30Z', '2026-11-27 15:31Z'))");
    assert!(open.await > 100);
}

#[tokio::test]
async fn a_clock_that_jumps_opens_nothing_early_or_late() {
    let db = TestDb::new().await;
    for (week, zone, from, opens) in [
        // Midnight comes twice; comes not at all; half an hour is left out; half an hour comes twice.
        (
            "sun 00:00-01:00",
            "America/Havana",
            "2026-10-31 12:00Z",
            "2026-11-01 04:00:00",
        ),
        (
            "sun 00:30-02:00",
            "America/Santiago",
            "2026-09-05 12:00Z",
            "2026-09-06 04:00:00",
        ),
        (
            "sun 02:15-02:30",
            "Australia/Lord_Howe",
            "2026-10-03 12:00Z",
            "2026-10-10 15:15:00",
        ),
        (
            "sun 01:30-01:45",
            "Australia/Lord_Howe",
            "2026-04-04 14:45Z",
            "2026-04-04 15:00:00",
        ),
        (
            "sun 02:30-03:00",
            "Europe/Berlin",
            "2026-03-28 12:00Z",
            "2026-04-05 00:30:00",
        ),
        (
            "sun 02:30-03:00",
            "Europe/Berlin",
            "2026-10-25 00:45Z",
            "2026-10-25 00:45:00",
        ),
        (
            "sun 02:30-03:00",
            "Europe/Berlin",
            "2026-10-25 01:00Z",
            "2026-10-25 01:30:00",
        ),
    ] {
        let sql = format!(
            "select (pgdial.rule_opens(pgdial.read_hours('{week}'), null, '{zone}', '{from}', \
                     '{from}'::timestamptz + interval '60 days') at time zone 'UTC')::text"
        );
        assert_eq!(db.text(&sql).await, opens, "{week} in {zone} from {from}");
    }
}

#[tokio::test]
async fn hours_are_set_as_a_whole_shown_and_deleted() {
    let db = rules().await;
    let shown = json!(db.calls.calling_hours(Some("sales")).await.unwrap()[0]);
    assert_eq!(shown["week"], "mon-fri 09:00-17:00");
    assert_eq!(shown["zoneBasis"], "given_or_number");
    assert_eq!(shown["regions"]["US-LA"]["calendar"], "state");
    // What a reader shows, a writer takes.
    let mut again = shown.clone();
    for name in ["name", "campaigns"] {
        again.as_object_mut().unwrap().remove(name);
    }
    let before = version(&db).await;
    assert_eq!(set(&db, HOURS, "sales", again).await, Ok(false));
    assert_eq!(
        json!(db.calls.calling_hours(Some("sales")).await.unwrap()[0]),
        shown
    );
    assert_eq!(version(&db).await, before, "nothing has changed");
    // What is not given is not kept.
    assert_eq!(
        set(
            &db,
            HOURS,
            "sales",
            json!({ "week": "closed", "zoneBasis": "given" })
        )
        .await,
        Ok(false)
    );
    let shown = json!(db.calls.calling_hours(Some("sales")).await.unwrap()[0]);
    assert_eq!(
        (&shown["week"], &shown["regions"]),
        (&json!("closed"), &json!({}))
    );
    assert!(version(&db).await > before);
    let delete = |kind, name| db.calls.delete_rules(kind, name, "ann", Some("over"));
    assert_eq!(delete(HOURS, "sales").await.unwrap(), Deletion::Deleted);
    assert_eq!(delete(HOURS, "sales").await.unwrap(), Deletion::NotFound);
    assert_eq!(delete(CALENDAR, "state").await.unwrap(), Deletion::Deleted);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let db = rules().await;
    campaign(&db, json!({ "callingHours": "sales" }))
        .await
        .unwrap();
    let before = db.calls.calling_hours(Some("sales")).await.unwrap();
    let delete = |kind, name| db.calls.delete_rules(kind, name, "ann", None);
    assert_eq!(
        delete(HOURS, "sales").await.unwrap(),
        Deletion::InUse(vec!["default".to_owned()])
    );
    assert_eq!(
        delete(CALENDAR, "state").await.unwrap(),
        Deletion::InUse(vec!["sales".to_owned()])
    );
    let after = db.calls.calling_hours(Some("sales")).await.unwrap();
    assert_eq!(json!(before), json!(after));
    campaign(&db, json!({ "callingHours": null }))
        .await
        .unwrap();
    assert_eq!(delete(HOURS, "sales").await.unwrap(), Deletion::Deleted);
}

#[tokio::test]
async fn everything_wrong_with_hours_is_told_at_once() {
    let db = rules().await;
    let hours = json!({ "week": "nine to five", "calendar": "moon", "timezone": "EST", "zoneBasis": "guess", "hours": 1,
        "regions": { "Florida": "mon 09:00-10:00", "US-TX": { "timezone": "America/New_York5" }, "US-FL": 8 } });
    let words = set(&db, HOURS, "Sales!", hours).await.unwrap_err();
    let lines: Vec<&str> = words.lines().collect();
    for start in [
        "\"name\" of calling hours has",
        "\"calendar\": there is no calendar \"moon\"",
        "\"hours\" is an unknown field",
        "\"timezone\" is no IANA time zone that the database knows: \"EST\"",
        "\"week\": hours are written as",
        "\"zoneBasis\" must be",
        "\"regions\": \"FLORIDA\" is no region",
        "\"regions\": US-TX: \"week\" is missing",
        "\"regions\": US-TX: \"timezone\" is no IANA time zone",
        "\"regions\": US-FL must be its hours",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(start)),
            "{start} is not in\n{words}"
        );
    }
    assert_eq!(lines.len(), 10, "{words}");
    assert!(
        set(&db, HOURS, "empty", json!({}))
            .await
            .unwrap_err()
            .contains("\"week\" is missing")
    );
}

#[tokio::test]
async fn a_calendar_covers_whole_years_unless_told_otherwise() {
    let db = rules().await;
    let shown = json!(db.calls.calendars(Some("state")).await.unwrap()[0]);
    assert_eq!(
        (&shown["firstDay"], &shown["lastDay"]),
        (&json!("2026-01-01"), &json!("2027-06-30"))
    );
    assert_eq!(
        shown["days"][0],
        json!({ "day": "2026-12-24", "name": "Christmas Eve", "hours": "10:00-12:00" })
    );
    assert_eq!(shown["callingHours"], json!(["sales"]));
    let days = json!([{ "day": "2026-07-03", "name": "a" }, { "day": "2027-01-01", "name": "b" }]);
    assert_eq!(
        set(&db, CALENDAR, "state", json!({ "days": days })).await,
        Ok(false)
    );
    let shown = json!(db.calls.calendars(Some("state")).await.unwrap()[0]);
    assert_eq!(
        (&shown["firstDay"], &shown["lastDay"]),
        (&json!("2026-01-01"), &json!("2027-12-31"))
    );
    assert_eq!(shown["days"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn everything_wrong_with_a_calendar_is_told_at_once() {
    let db = TestDb::new().await;
    let days = json!([{ "day": "2026-02-30", "name": "none" }, { "day": "2026-12-25" }, 3,
        { "day": "2026-12-24", "name": "Eve", "hours": "9-12" }, { "day": "2026-05-01", "name": "May" },
        { "day": "2026-05-01", "name": "Labour" }, { "day": "2028-01-01", "name": "New Year" }]);
    let calendar =
        json!({ "firstDay": "2026-01-01", "lastDay": "2027-12-31", "days": days, "zone": "x" });
    let words = set(&db, CALENDAR, "state", calendar).await.unwrap_err();
    for line in [
        "\"zone\" is an unknown field: known are firstDay, lastDay, source, days",
        "\"days\": entry 1 needs a \"day\", as in \"2026-12-25\"",
        "\"days\": entry 2 needs a \"name\" of at most 200 characters",
        "\"days\": entry 3 must be an object",
        "\"days\": entry 4 has hours of a day",
        "\"days\": entry 5 is 2026-05-01, which another entry is too",
        "\"days\": entry 7 is 2028-01-01, outside \"firstDay\" and \"lastDay\"",
    ] {
        assert!(
            words.lines().any(|found| found.starts_with(line)),
            "{line} is not in\n{words}"
        );
    }
    for calendar in [
        json!({ "days": [] }),
        json!({}),
        json!({ "days": [], "firstDay": "2027-01-01", "lastDay": "2026-01-01" }),
    ] {
        set(&db, CALENDAR, "state", calendar).await.unwrap_err();
    }
    assert_eq!(
        db.number("select count(*) from pgdial.calendars where name = 'state'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_campaign_has_the_newest_hours_of_a_name_and_keeps_them() {
    let db = TestDb::new().await;
    for name in ["own@2026-09", "own@2026-11", "own-two@2027-01"] {
        set(&db, HOURS, name, json!({ "week": "closed" }))
            .await
            .unwrap();
    }
    campaign(
        &db,
        json!({ "callingHours": "own", "zoneBasis": "given_and_number" }),
    )
    .await
    .unwrap();
    set(&db, HOURS, "own@2027-01", json!({ "week": "closed" }))
        .await
        .unwrap();
    let shown = json!(db.calls.campaigns(Some("default")).await.unwrap()[0]);
    assert_eq!(
        (&shown["callingHours"], &shown["zoneBasis"]),
        (&json!("own@2026-11"), &json!("given_and_number"))
    );
    campaign(
        &db,
        json!({ "callingHours": "own@2026-09", "zoneBasis": null }),
    )
    .await
    .unwrap();
    let shown = json!(db.calls.campaigns(Some("default")).await.unwrap()[0]);
    assert_eq!(
        (&shown["callingHours"], &shown["zoneBasis"]),
        (&json!("own@2026-09"), &json!(null))
    );
    let words = campaign(
        &db,
        json!({ "callingHours": "nobodys", "zoneBasis": "guess" }),
    )
    .await
    .unwrap_err();
    assert!(
        words.contains("there are no \"nobodys\"") && words.contains("\"zoneBasis\" must be"),
        "{words}"
    );
    campaign(&db, json!({ "callingHours": null }))
        .await
        .unwrap();
    let shown = json!(db.calls.campaigns(Some("default")).await.unwrap()[0]);
    assert_eq!(shown["callingHours"], json!(null));
}

#[tokio::test]
async fn whoever_changes_them_it_is_an_act_and_voids_what_sessions_remember() {
    let db = rules().await;
    let acts = "select string_agg(concat_ws(' ', by, act, kind, name, why, detail), e'\n' order by seq) \
        from pgdial.acts where seq > ";
    let last = || async { db.number("select max(seq) from pgdial.acts").await };
    let (seen, before) = (last().await, version(&db).await);
    db.sql("update pgdial.calling_hours set week = pgdial.read_hours('mon 09:00-10:00') where name = 'sales'").await;
    assert_eq!(
        db.text(&format!("{acts}{seen}")).await,
        r#"postgres set calling_hours sales {"week": ["mon-fri 09:00-17:00", "mon 09:00-10:00"]}"#
            .replace("postgres", &db.text("select session_user::text").await)
    );
    assert_eq!(version(&db).await, before + 1);
    let seen = last().await;
    set(
        &db,
        CALENDAR,
        "state",
        json!({ "days": [{ "day": "2026-12-25", "name": "Christmas" }], "lastDay": "2027-06-30" }),
    )
    .await
    .unwrap();
    let acts = db.text(&format!("{acts}{seen}")).await;
    assert!(acts.contains(r#"ann set calendar state ticket 1 {"days": {"2026-12-24": [{"name": "Christmas Eve", "hours": "10:00-12:00"}, null]}}"#), "{acts}");
    assert!(acts.contains(r#""2026-12-25": [{"name": "Christmas Day", "hours": "closed"}, {"name": "Christmas", "hours": "closed"}]"#), "{acts}");
    let before = version(&db).await;
    db.sql("update pgdial.special_days set name = name; delete from pgdial.calling_hours where name = 'none'").await;
    assert_eq!(version(&db).await, before);
    db.sql("insert into pgdial.areas (zones) values ('{Europe/Berlin,Europe/Oslo}')")
        .await;
    assert_eq!(version(&db).await, before + 1);
}

#[tokio::test]
async fn hours_can_be_asked_about_somebody_without_a_call() {
    let db = rules().await;
    let at = Some("2026-11-30T13:30:00Z".parse().unwrap());
    let callee = Callee {
        to: Some("(212) 555-0100"),
        region: Some("US-FL"),
        ..Callee::default()
    };
    let answer = db
        .calls
        .hours_for("sales", Some("given_and_number"), &callee, at)
        .await
        .unwrap();
    assert!(!answer.open);
    assert_eq!(answer.regions, ["US-FL", "US-NY"]);
    assert!(
        answer.zones.contains(&"America/Chicago".to_owned()),
        "{answer:?}"
    );
    assert_eq!(
        answer.opens_at,
        Some("2026-11-30T15:00:00Z".parse().unwrap())
    );
    let answer = db
        .calls
        .hours_for(
            "sales",
            None,
            &callee,
            Some("2026-11-30T15:30:00Z".parse().unwrap()),
        )
        .await
        .unwrap();
    assert_eq!(
        (answer.open, answer.regions),
        (true, vec!["US-FL".to_owned()])
    );
    let zones = ["Mars/Base".to_owned()];
    let nowhere = Callee {
        to: Some("12"),
        timezone: Some(&zones),
        region: Some("Florida"),
    };
    let words = db
        .calls
        .hours_for("none", None, &nowhere, None)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(words.lines().count(), 3, "{words}");
}
