//! Contact limits: how often a number may be rung (P9), and that what they hold back keeps nobody waiting (P7).

use futures_util::future::join_all;
use pgdial::{
    domain::{CallId, ClaimedCall, Outcome, ReportKind, Resolution},
    flow::{
        defer::DeferReason,
        forget::{Forget, ForgetDoNotCall},
        hours::Deletion,
        matching::Batch,
    },
};
use serde_json::{Value, json};

use crate::support::{TestDb, ended, number, progress};

/// A contact limit that holds for the campaign `default`.
async fn limited(db: &TestDb, limit: Value) {
    set(db, "few", limit).await;
    change(db, json!({ "contactLimits": ["few"] })).await;
}

async fn set(db: &TestDb, name: &str, limit: Value) {
    let set = db.calls.set_contact_limit(name, &limit, "ann", None).await;
    set.unwrap();
}

async fn change(db: &TestDb, changes: Value) {
    let kind = pgdial::flow::groups::GroupKind::Campaign;
    let set = db.calls.set_group(kind, "default", &changes, "ann", None);
    assert!(set.await.unwrap());
}

fn attempts(at_most: i32) -> Value {
    json!({ "counts": "attempts", "atMost": at_most, "period": "24 hours" })
}

/// A call that ends with its only attempt.
async fn once(db: &TestDb, to: &str) -> CallId {
    db.enqueue_as(json!({ "to": to, "scriptId": "s", "maxAttempts": 1 }))
        .await
}

/// Dials this number once, and ends the call so.
async fn dialed_once(db: &TestDb, to: &str, outcome: Outcome) -> ClaimedCall {
    let id = once(db, to).await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, id);
    db.settle(&call, outcome).await;
    call
}

/// The only reason of a call, and the instant at which it ends.
async fn reason(db: &TestDb, id: CallId) -> (String, String) {
    let reasons = db.calls.why(id).await.unwrap();
    let reason = &reasons[0];
    let until = reason.until.map(|until| until.to_rfc3339());
    (reason.reason.clone(), until.unwrap_or_default())
}

/// Stops the clock at this instant.
async fn at(db: &TestDb, instant: &str) {
    db.stop_clock().await;
    db.sql(&format!(
        "update pgdial.clock set ahead = '{instant}'::timestamptz - pgdial.now()"
    ))
    .await;
}

async fn to(db: &TestDb, instant: &str) {
    db.sql(&format!(
        "update pgdial.clock set ahead = ahead + ('{instant}'::timestamptz - pgdial.now())"
    ))
    .await;
}

/// Says where the callees of all waiting calls may be.
async fn place(db: &TestDb, zones: &str, regions: &str) {
    db.sql(&format!(
        "insert into pgdial.areas (zones, regions) values ('{zones}', '{regions}') on conflict do nothing; \
         update pgdial.calls set area = (select id from pgdial.areas where zones = '{zones}' and regions = '{regions}' and timezone is null and region is null) \
         where state = 'waiting'"
    ))
    .await;
}

#[tokio::test]
async fn eight_claimers_ring_no_number_more_often_than_the_limit() {
    let db = TestDb::new().await;
    limited(&db, attempts(3)).await;
    for _ in 0..8 {
        for n in 0..25 {
            once(&db, &number(n)).await;
        }
    }
    let work = || async {
        let mut idle = 0;
        while idle < 3 {
            let claimed = db.claim(5).await;
            idle = if claimed.is_empty() { idle + 1 } else { 0 };
            for call in claimed {
                db.settle(&call, Outcome::NoAnswer).await;
            }
        }
    };
    join_all((0..8).map(|_| work())).await;
    // What the last of them put aside, or passed over while another had it locked.
    work().await;
    let rung = "select count(*) from pgdial.call_events e join pgdial.calls c on c.id = e.call_id where kind = 'active'";
    assert_eq!(db.number(rung).await, 75);
    let most = "select max(n) from (select count(*) n from pgdial.dials group by phone) o";
    assert_eq!(db.number(most).await, 3);
}

#[tokio::test]
async fn a_capped_call_is_put_aside_until_the_limit_lets_it() {
    let db = TestDb::new().await;
    limited(&db, attempts(2)).await;
    at(&db, "2026-11-30T12:00:00Z").await;
    let first = dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    db.forward("1 hour").await;
    dialed_once(&db, &number(1), Outcome::Busy).await;
    let id = once(&db, &number(1)).await;
    assert_eq!(
        reason(&db, id).await,
        (
            "contact_limit".to_owned(),
            "2026-12-01T12:00:00+00:00".to_owned()
        ),
        "why knows before the claim does"
    );

    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &["default".to_owned()], 1)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    assert_eq!(claim.wait, Some(std::time::Duration::ZERO), "look again");
    assert_eq!(db.story(id).await, "waiting held_back");
    let detail = db.detail(id, "held_back").await;
    assert_eq!(detail["limit"], json!("few"));
    assert_eq!(
        db.column(id, "(attempt, deferrals, claim_no)").await,
        "(0,0,0)"
    );
    let said = db.calls.why(id).await.unwrap().remove(0);
    assert_eq!(said.reason, "contact_limit");
    assert_eq!(said.object.as_deref(), Some("few"));
    for words in [
        "at most 2 attempts within 24 hours",
        "lets this number be dialled again at 2026-12-01 12:00:00Z",
        "2026-11-30 13:00:00Z in campaign default",
        &format!(
            "2026-11-30 12:00:00Z in campaign default (call {})",
            first.id
        ),
    ] {
        assert!(said.message.contains(words), "{}", said.message);
    }

    // The first dial counts for 24 hours, to the instant.
    to(&db, "2026-12-01T11:59:59.999Z").await;
    assert!(db.claim(1).await.is_empty());
    to(&db, "2026-12-01T12:00:00Z").await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn a_loosened_limit_lets_calls_go_after_a_recheck() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    let id = once(&db, &number(1)).await;
    assert!(db.claim(1).await.is_empty());
    let later = db
        .enqueue_as(json!({ "to": number(2), "scriptId": "s", "runAt": "2126-01-01T00:00:00Z" }))
        .await;
    set(&db, "few", attempts(2)).await;
    assert!(db.claim(1).await.is_empty());
    assert_eq!(reason(&db, id).await.0, "held_back");

    let filter = json!({ "campaign": "default", "state": "waiting" });
    let batch = |dry_run| Batch {
        filter: &filter,
        limit: 100,
        dry_run,
        cursor: None,
        by: "ann",
        why: "the law changed",
    };
    for dry_run in [true, false] {
        let rechecked = db.calls.recheck_matching(&batch(dry_run)).await.unwrap();
        assert_eq!(
            json!(rechecked.verdicts),
            json!({ "due": 1, "not_put_aside": 1 })
        );
    }
    assert_eq!(db.claim(9).await[0].id, id);
    assert_eq!(db.story(id).await, "waiting held_back rechecked active");
    assert_eq!(db.state(later).await, "waiting");
    // An amend has set the time since: it is not put aside any more.
    db.sql("update pgdial.calls set put_aside_until = run_at where run_at > now()")
        .await;
    let amended = db
        .calls
        .amend(later, "ann", &json!({ "runAt": "2126-02-01T00:00:00Z" }))
        .await;
    amended.unwrap();
    let rechecked = db.calls.recheck_matching(&batch(false)).await.unwrap();
    assert_eq!(json!(rechecked.verdicts), json!({ "not_put_aside": 1 }));
}

#[tokio::test]
async fn a_crowd_of_capped_calls_at_the_head_is_passed_within_ten_claims() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    db.sql(
        "insert into pgdial.dials (phone, at, campaign, call_id, claim_no) \
         select '+1' || (2000000000 + n), pgdial.now(), 'default', gen_random_uuid(), 1 from generate_series(1, 1000) n; \
         insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at) \
         select pgdial.uuid_v7(now() + n * interval '1 microsecond'), '+1' || (2000000001 + n % 1000), 'default', 's', \
                now() - interval '1 hour', 3, 't', '', now() from generate_series(1, 20000) n; \
         analyze pgdial.calls; analyze pgdial.dials",
    )
    .await;
    let free = db.enqueue(&number(1)).await;
    let mut claims = 0;
    let reached = loop {
        claims += 1;
        if let Some(call) = db.claim(30).await.pop() {
            break call.id;
        }
        assert!(claims < 10, "not reached");
    };
    assert_eq!(reached, free);
}

#[tokio::test]
async fn a_call_that_cannot_be_put_aside_keeps_nobody_waiting() {
    let db = TestDb::new().await;
    db.stop_clock().await; // it is passed over for thirty seconds
    limited(&db, attempts(1)).await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    db.sql(
        "alter table pgdial.calls add constraint poison check (script_id <> 'poison' or put_aside_until is null)",
    )
    .await;
    let poisoned = db.enqueue_poison(&number(1)).await;
    let behind: Vec<_> = [once(&db, &number(1)).await, once(&db, &number(2)).await].into();
    let mut claimed = Vec::new();
    for _ in 0..4 {
        claimed.extend(db.claim(1).await.into_iter().map(|call| call.id));
    }
    assert_eq!(claimed, [behind[1]]);
    assert_eq!(db.story(poisoned).await, "waiting skipped");
    assert_eq!(db.story(behind[0]).await, "waiting held_back");
    // In the crowd behind the chosen ones, too.
    db.sql(&format!(
        "delete from pgdial.unclaimable; update pgdial.calls set run_at = pgdial.now() where state = 'waiting'; \
         update pgdial.calls set run_at = run_at - interval '1 minute' where id = '{}'",
        behind[0]
    ))
    .await;
    assert!(db.claim(1).await.is_empty());
    assert_eq!(
        db.number("select count(*) from pgdial.unclaimable").await,
        1
    );
    assert_eq!(db.story(behind[0]).await, "waiting held_back held_back");
}

#[tokio::test]
async fn a_conversation_begins_a_cooldown() {
    let db = TestDb::new().await;
    let cooldown =
        json!({ "counts": "conversations", "period": "7 days", "boundary": "local_day" });
    limited(&db, cooldown).await;
    at(&db, "2026-11-30T20:00:00Z").await;
    for outcome in [Outcome::NoAnswer, Outcome::Voicemail, Outcome::Busy] {
        dialed_once(&db, &number(1), outcome).await;
    }
    dialed_once(&db, &number(1), Outcome::Answered).await;
    let id = once(&db, &number(1)).await;
    place(&db, "{America/New_York}", "{US-NY}").await;
    // Its date, 30 November in New York, is the first of the seven days.
    let until = "2026-12-07T05:00:00+00:00".to_owned();
    assert_eq!(reason(&db, id).await, ("cooldown".to_owned(), until));
    to(&db, "2026-12-07T04:59:59Z").await;
    assert!(db.claim(1).await.is_empty());
    to(&db, "2026-12-07T05:00:00Z").await;
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn an_end_that_nobody_can_explain_counts_as_a_conversation() {
    let db = TestDb::new().await;
    limited(
        &db,
        json!({ "counts": "conversations", "period": "7 days" }),
    )
    .await;
    let call = db.given_up(&number(1)).await;
    let id = once(&db, &number(1)).await;
    let reasons = db.calls.why(id).await.unwrap();
    assert_eq!(reasons[0].reason, "cooldown");
    // A person knows better.
    let resolved = db
        .calls
        .resolve(call.id, Resolution::NoAnswer, None, "ann", "asked")
        .await;
    resolved.unwrap();
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn a_day_ends_at_midnight_where_the_callee_is() {
    let db = TestDb::new().await;
    let until = |boundary: &str, period: &str, dialed: &str, zones: &str| {
        let sql = format!(
            "select to_char(pgdial.counts_until('{dialed}', \
                 jsonb_populate_record(null::pgdial.contact_limits, '{{\"boundary\": \"{boundary}\", \"period\": \"{period}\"}}'), \
                 '{zones}') at time zone 'UTC', 'MM-DD HH24:MI')"
        );
        let db = db.clone();
        async move { db.text(&sql).await }
    };
    for (boundary, period, dialed, zones, expected) in [
        // The clock goes forward on 14 March 2027 in New York: that day has 23 hours.
        (
            "local_day",
            "1 day",
            "2027-03-14T05:00:00Z",
            "{America/New_York}",
            "03-15 04:00",
        ),
        (
            "local_day",
            "1 day",
            "2027-03-14T04:59:59Z",
            "{America/New_York}",
            "03-14 05:00",
        ),
        (
            "rolling",
            "24 hours",
            "2027-03-14T05:00:00Z",
            "{America/New_York}",
            "03-15 05:00",
        ),
        // And back on 7 November: 25 hours.
        (
            "local_day",
            "1 day",
            "2027-11-07T04:00:00Z",
            "{America/New_York}",
            "11-08 05:00",
        ),
        (
            "rolling",
            "1 day",
            "2027-11-07T04:00:00Z",
            "{America/New_York}",
            "11-08 04:00",
        ),
        (
            "local_day",
            "7 days",
            "2027-11-05T12:00:00Z",
            "{America/New_York}",
            "11-12 05:00",
        ),
        // Of several zones the one whose day ends last.
        (
            "local_day",
            "1 day",
            "2027-01-10T12:00:00Z",
            "{America/Los_Angeles,America/New_York}",
            "01-11 08:00",
        ),
        // It was still the day before there.
        (
            "local_day",
            "1 day",
            "2027-01-10T06:00:00Z",
            "{America/Los_Angeles,America/New_York}",
            "01-11 05:00",
        ),
        // Midnight does not exist that day in Beirut: it begins at one.
        (
            "local_day",
            "1 day",
            "2027-03-27T12:00:00Z",
            "{Asia/Beirut}",
            "03-27 22:00",
        ),
        // No zone, or none that the server knows.
        (
            "local_day",
            "2 days",
            "2027-01-10T12:00:00Z",
            "{}",
            "01-12 12:00",
        ),
        (
            "local_day",
            "2 days",
            "2027-01-10T12:00:00Z",
            "{Mars/Olympus}",
            "01-12 12:00",
        ),
    ] {
        let counted = until(boundary, period, dialed, zones).await;
        assert_eq!(counted, expected, "{boundary} {period} {dialed} {zones}");
    }
}

#[tokio::test]
async fn a_claim_follows_the_callee_through_a_change_of_the_clock() {
    let db = TestDb::new().await;
    limited(
        &db,
        json!({ "counts": "attempts", "period": "1 day", "boundary": "local_day" }),
    )
    .await;
    at(&db, "2027-03-14T06:00:00Z").await;
    let id = once(&db, &number(1)).await;
    place(&db, "{America/New_York}", "{US-NY}").await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, id);
    db.settle(&call, Outcome::NoAnswer).await;
    let again = once(&db, &number(1)).await;
    place(&db, "{America/New_York}", "{US-NY}").await;
    to(&db, "2027-03-15T03:59:59Z").await;
    assert!(db.claim(1).await.is_empty());
    to(&db, "2027-03-15T04:00:00Z").await;
    assert_eq!(db.claim(1).await[0].id, again);
}

#[tokio::test]
async fn a_dial_that_was_certainly_not_placed_does_not_count() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    let dials = "select count(*) from pgdial.dials";
    let call = db.dialing(&number(1)).await;
    assert_eq!(db.number(dials).await, 1);
    let deferred = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "too late")
        .await;
    deferred.unwrap();
    assert_eq!(db.number(dials).await, 0);
    db.forward("10 seconds").await;
    let call = db.claim(1).await.pop().unwrap();
    db.settle(&call, Outcome::Blocked).await;
    assert_eq!(db.number(dials).await, 0);
    // Whatever comes of a dial that may have rung, it counts.
    let call = db.dialing(&number(1)).await;
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    assert_eq!(db.number(dials).await, 1);
    let given_up = db.given_up(&number(2)).await;
    assert_eq!(db.number(dials).await, 2);
    assert_eq!(
        db.text(&format!(
            "select outcome from pgdial.dials where call_id = '{}'",
            given_up.id
        ))
        .await,
        "unknown"
    );
}

#[tokio::test]
async fn a_dial_that_was_put_back_and_shows_itself_after_all_counts() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    let call = db.dialing(&number(1)).await;
    let at = db.column(call.id, "claimed_at").await;
    let deferred = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "too late")
        .await;
    deferred.unwrap();
    db.event(&call, "e1", progress(ReportKind::Progress)).await;
    let dial =
        "select at || ' ' || claim_no || ' ' || coalesce(outcome::text, '-') from pgdial.dials";
    assert_eq!(db.text(dial).await, format!("{at} 1 -"));
    db.event(&call, "e2", ended(Outcome::NoAnswer)).await;
    assert_eq!(db.text(dial).await, format!("{at} 1 no_answer"));
}

#[tokio::test]
async fn a_repeated_request_is_the_same_dial() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let call = db.dialing(&number(1)).await;
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    db.forward("10 seconds").await;
    let repeats = "select jsonb_array_length(pgdial.repeats_due('{default}', '{5}'))";
    assert_eq!(db.number(repeats).await, 1);
    assert_eq!(db.number("select count(*) from pgdial.dials").await, 1);
}

#[tokio::test]
async fn a_limit_counts_by_number_topic_or_campaign() {
    let db = TestDb::new().await;
    set(&db, "few", attempts(1)).await;
    for (name, topic) in [
        ("a", Some("debt")),
        ("b", Some("debt")),
        ("c", Some("survey")),
        ("d", None),
    ] {
        db.campaign(name, json!({ "topic": topic, "contactLimits": ["few"] }))
            .await;
    }
    db.sql(&format!(
        "insert into pgdial.dials (phone, at, campaign, topic, call_id, claim_no) \
         values ('{}', pgdial.now(), 'a', 'debt', gen_random_uuid(), 1)",
        number(1)
    ))
    .await;
    let mut calls = Vec::new();
    for campaign in ["a", "b", "c", "d"] {
        calls.push(
            db.enqueue_as(json!({ "to": number(1), "scriptId": "s", "campaign": campaign }))
                .await,
        );
    }
    for (per, held) in [
        ("number", [true, true, true, true]),
        // It may be about the same: nobody says.
        ("number_and_topic", [true, true, false, true]),
        ("number_and_campaign", [true, false, false, false]),
    ] {
        let mut limit = attempts(1);
        limit["per"] = json!(per);
        set(&db, "few", limit).await;
        for (call, held) in calls.iter().zip(held) {
            assert_eq!(reason(&db, *call).await.0 == "contact_limit", held, "{per}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_a_region_holds_for_those_who_may_be_there() {
    let db = TestDb::new().await;
    let mut limit = attempts(1);
    limit["regions"] = json!(["US-FL", "CA"]);
    limited(&db, limit).await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    let id = once(&db, &number(1)).await;
    for (regions, held) in [
        ("{US-FL}", true),
        ("{US-GA}", false),
        ("{US-FL,US-GA}", true),
        ("{US}", true),
        ("{CA-QC}", true),
        ("{DE}", false),
        ("{}", true),
    ] {
        place(&db, "{America/New_York}", regions).await;
        assert_eq!(
            reason(&db, id).await.0 == "contact_limit",
            held,
            "{regions}"
        );
    }
}

#[tokio::test]
async fn a_limit_for_all_campaigns_needs_no_mention() {
    let db = TestDb::new().await;
    let mut limit = attempts(1);
    limit["allCampaigns"] = json!(true);
    set(&db, "everyone", limit).await;
    db.campaign("other", json!({})).await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "campaign": "other" }))
        .await;
    assert!(db.claim(1).await.is_empty());
    assert_eq!(reason(&db, id).await.0, "contact_limit");
}

#[tokio::test]
async fn of_several_limits_the_latest_instant_counts() {
    let db = TestDb::new().await;
    set(&db, "day", attempts(1)).await;
    set(
        &db,
        "week",
        json!({ "counts": "attempts", "period": "7 days" }),
    )
    .await;
    change(&db, json!({ "contactLimits": ["day", "week"] })).await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    let id = once(&db, &number(1)).await;
    assert!(db.claim(1).await.is_empty());
    assert_eq!(db.detail(id, "held_back").await["limit"], json!("week"));
    assert_eq!(
        db.calls
            .why(id)
            .await
            .unwrap()
            .iter()
            .filter(|why| why.reason == "contact_limit")
            .count(),
        2
    );
}

#[tokio::test]
async fn without_a_limit_nothing_is_recorded() {
    let db = TestDb::new().await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    assert_eq!(db.number("select count(*) from pgdial.dials").await, 0);
}

#[tokio::test]
async fn dials_are_kept_as_long_as_a_limit_counts_them() {
    let db = TestDb::new().await;
    limited(&db, json!({ "counts": "attempts", "period": "7 days" })).await;
    dialed_once(&db, &number(1), Outcome::NoAnswer).await;
    for (by, left) in [("7 days 23 hours", 1), ("2 hours", 0)] {
        db.forward(by).await;
        db.sql("select pgdial.housekeeping(null, 'drop_dials')")
            .await;
        assert_eq!(db.number("select count(*) from pgdial.dials").await, left);
    }
}

#[tokio::test]
async fn forgetting_a_number_forgets_its_dials() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    for n in 1..=2 {
        dialed_once(&db, &number(n), Outcome::NoAnswer).await;
    }
    let phone = number(1).parse().unwrap();
    let wish = Forget {
        phone: &phone,
        dry_run: false,
        on_the_list: ForgetDoNotCall::Keep,
        by: "ann",
        why: "a letter",
    };
    let forgot = db.calls.forget(&wish).await.unwrap();
    assert_eq!(forgot.counts["dials"], 1);
    assert_eq!(
        db.text("select string_agg(phone, ' ') from pgdial.dials")
            .await,
        number(2)
    );
}

#[tokio::test]
async fn a_limit_that_a_campaign_has_stays() {
    let db = TestDb::new().await;
    limited(&db, attempts(1)).await;
    let delete = |name: &'static str| db.calls.delete_contact_limit(name, "ann", Some("gone"));
    assert_eq!(
        delete("few").await.unwrap(),
        Deletion::InUse(vec!["default".to_owned()])
    );
    let (_, words) = db.refusal("delete from pgdial.contact_limits").await;
    assert!(
        words.contains("campaign default has contact limit \"few\""),
        "{words}"
    );
    let (_, words) = db
        .refusal("update pgdial.campaigns set contact_limits = '{none}'")
        .await;
    assert!(
        words.contains("there is no contact limit \"none\""),
        "{words}"
    );
    change(&db, json!({ "contactLimits": null })).await;
    assert_eq!(delete("few").await.unwrap(), Deletion::Deleted);
    assert_eq!(delete("few").await.unwrap(), Deletion::NotFound);
    let acts = "select string_agg(concat_ws(' ', act, name, by), ', ' order by seq) from pgdial.acts where kind = 'contact_limit'";
    assert_eq!(db.text(acts).await, "create few ann, remove few ann");
}

#[tokio::test]
async fn what_is_wrong_with_a_limit_is_said_at_once() {
    let db = TestDb::new().await;
    let wrong = json!({
        "atMost": 0, "period": "25 hours", "boundary": "local_day", "per": "person", "regions": ["us"], "allCampaigns": 1, "most": 1
    });
    let refused = db
        .calls
        .set_contact_limit("Few", &wrong, "ann", Some(" "))
        .await;
    let words = refused.unwrap_err().to_string();
    for field in [
        "name",
        "counts",
        "atMost",
        "period",
        "per",
        "regions",
        "allCampaigns",
        "most",
        "why",
    ] {
        assert!(words.contains(&format!("\"{field}\"")), "{words}");
    }
    assert_eq!(words.lines().count(), 9, "{words}");
}

#[tokio::test]
async fn a_preset_sets_the_limits_of_its_newest_month() {
    let db = TestDb::new().await;
    db.sql(
        "insert into pgdial.contact_limits (name, counts, period, presets) \
         values ('us-strict@2026-10', 'attempts', '1 hour', '{us-strict@2026-10}')",
    )
    .await;
    let limits = "select contact_limits from pgdial.campaigns";
    change(&db, json!({ "preset": "us-strict" })).await;
    assert_eq!(db.text(limits).await, "{us-me@2026-11,us-strict@2026-11}");
    change(&db, json!({ "preset": "us-strict@2026-10" })).await;
    assert_eq!(db.text(limits).await, "{us-strict@2026-10}");
    change(
        &db,
        json!({ "preset": "fr", "contactLimits": null, "topic": "t" }),
    )
    .await;
    assert_eq!(db.text(limits).await, "");
    let (_, words) = db
        .refusal("select pgdial.set_campaign('default', '{\"preset\": \"nowhere\"}')")
        .await;
    assert!(
        words.contains("\"preset\" \"nowhere\" is not known: known are au, "),
        "{words}"
    );
}
