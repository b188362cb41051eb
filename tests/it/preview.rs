//! `preview_campaign`: what would be dialled of a campaign, and how long it would take.

use pgdial::{domain::Outcome, flow::view::Preview};
use serde_json::{Value, json};

use crate::support::{TestDb, number};

const BERLIN: &str = "+493012345678";
const NEW_YORK: &str = "+12125550100";
const LOS_ANGELES: &str = "+12135550100";

/// Monday, 14:30 UTC: 15:30 in Berlin, 9:30 in New York, 6:30 in Los Angeles; the campaign dials from nine to five.
async fn monday() -> TestDb {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.sql(
        "update pgdial.clock set ahead = ahead + ('2026-11-30T14:30:00Z'::timestamptz - pgdial.now()); \
         insert into pgdial.calling_hours (name, week) values ('office', pgdial.read_hours('mon-fri 09:00-17:00'))",
    )
    .await;
    db.campaign("spring", json!({ "callingHours": "office" }))
        .await;
    db
}

async fn enqueue(db: &TestDb, to: &str, more: Value) {
    let mut call = json!({ "to": to, "scriptId": "s", "campaign": "spring" });
    let fields = call.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    db.enqueue_as(call).await;
}

async fn preview(db: &TestDb, name: &str) -> Preview {
    db.calls.preview(name, None).await.unwrap().unwrap()
}

fn counts(of: &Preview) -> String {
    format!(
        "{} waiting: {} now, {} later, closed {:?}, {} capped, {} suppressed, {} expired; {} duplicates",
        of.waiting,
        of.now,
        of.later,
        of.closed,
        of.capped,
        of.suppressed,
        of.expired,
        of.duplicates
    )
}

#[tokio::test]
async fn each_call_is_counted_once() {
    let db = monday().await;
    for to in [BERLIN, NEW_YORK, LOS_ANGELES, LOS_ANGELES, "+12125550101"] {
        enqueue(&db, to, json!({})).await;
    }
    enqueue(
        &db,
        "+12125550102",
        json!({ "runAt": "2026-12-01T14:30:00Z" }),
    )
    .await;
    enqueue(
        &db,
        "+12125550103",
        json!({ "expiresAt": "2026-11-30T14:30:01Z" }),
    )
    .await;
    enqueue(&db, "+12125550104", json!({})).await;
    db.enqueue(NEW_YORK).await; // another campaign's
    db.sql(
        "select pgdial.do_not_call_add('+12125550104', 'asked us', 'ann'); \
         insert into pgdial.contact_limits (name, counts, period) values ('once', 'attempts', '1 day'); \
         update pgdial.campaigns set contact_limits = '{once}' where name = 'spring'; \
         insert into pgdial.dials (phone, at, campaign, call_id, claim_no) \
         values ('+12125550101', pgdial.now() - interval '1 hour', 'spring', gen_random_uuid(), 1)",
    )
    .await;
    db.forward("1 second").await;
    let shown = preview(&db, "spring").await;
    assert_eq!(
        counts(&shown),
        "8 waiting: 2 now, 1 later, closed {\"outside_hours\": 2}, 1 capped, 1 suppressed, 1 expired; 1 duplicates"
    );
    assert_eq!(shown.estimate.calls, 6);
    let areas = shown.areas.iter();
    let areas: Vec<_> = areas
        .map(|area| {
            (
                area.zones.join(" "),
                area.calls,
                area.opens_at.map(|at| at.to_rfc3339()),
            )
        })
        .collect();
    assert_eq!(
        areas,
        [
            ("America/New_York".to_owned(), 5, None),
            (
                "America/Los_Angeles".to_owned(),
                2,
                Some("2026-11-30T17:00:00+00:00".to_owned())
            ),
            ("Europe/Berlin".to_owned(), 1, None),
        ]
    );
}

#[tokio::test]
async fn lists_consent_and_several_numbers_are_told_apart() {
    let db = monday().await;
    let agreed = json!({ "consentAt": "2026-11-01T00:00:00Z" });
    let listed = ["+12125550100", "+12125550101", "+12125550102"];
    enqueue(&db, listed[0], agreed.clone()).await;
    let two = json!({ "to": [listed[1], "+12125550110"], "consentAt": "2026-11-01T00:00:00Z" });
    enqueue(&db, NEW_YORK, two).await;
    let both = json!({ "to": [listed[2], listed[1]], "consentAt": "2026-11-01T00:00:00Z" });
    enqueue(&db, NEW_YORK, both).await;
    enqueue(&db, "+12125550103", json!({})).await;
    let short =
        json!({ "consentAt": "2026-11-01T00:00:00Z", "consentExpiresAt": "2026-11-30T15:00:00Z" });
    enqueue(&db, "+12125550104", short).await;
    enqueue(&db, "+12125550105", agreed).await;
    db.sql("insert into pgdial.campaigns (name, trunk) select 'autumn', trunk from pgdial.campaigns limit 1")
        .await;
    for n in listed {
        db.text(&format!(
            "select pgdial.do_not_call_add('{n}', 'asked')::text"
        ))
        .await;
    }
    // An entry that holds elsewhere alone.
    db.text("select pgdial.do_not_call_add('+12125550105', 'asked', p_campaign => 'autumn')::text")
        .await;
    db.sql("update pgdial.campaigns set require_consent = true where name = 'spring'")
        .await;
    let shown = preview(&db, "spring").await;
    assert_eq!(
        (
            shown.waiting,
            shown.now,
            shown.suppressed,
            shown.no_consent,
            shown.duplicates
        ),
        (6, 3, 2, 1, 1)
    );
    let later = Some("2026-11-30T15:00:00Z".parse().unwrap());
    let shown = db.calls.preview("spring", later).await.unwrap().unwrap();
    assert_eq!((shown.now, shown.no_consent), (2, 2));
}

/// The default instant is that at which the first call may be dialled.
#[tokio::test]
async fn before_its_start_it_is_about_the_start() {
    let db = monday().await;
    enqueue(&db, LOS_ANGELES, json!({})).await;
    enqueue(
        &db,
        "+1 213 555 0101",
        json!({ "runAt": "2026-11-30T18:00:00Z" }),
    )
    .await;
    assert_eq!(preview(&db, "spring").await.now, 0);
    db.sql("update pgdial.campaigns set starts_at = '2026-11-30T18:00:00Z'")
        .await;
    let shown = preview(&db, "spring").await;
    assert_eq!((shown.now, shown.later), (2, 0));
    assert_eq!(shown.at.to_rfc3339(), "2026-11-30T18:00:00+00:00");
    let at = "2026-11-30T20:00:00Z".parse().unwrap();
    let later = db.calls.preview("spring", Some(at)).await.unwrap();
    assert_eq!(later.unwrap().at, at);
}

#[tokio::test]
async fn where_nothing_says_the_place_it_is_closed() {
    let db = monday().await;
    // Of a network above the countries.
    enqueue(&db, "+870773111632", json!({})).await;
    assert_eq!(
        preview(&db, "spring").await.closed,
        [("zone_unknown".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn the_estimate_says_what_it_rests_on() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let changes = json!({ "cap": 5, "ringTimeout": "30 seconds", "maxDuration": "70 seconds", "guard": null });
    db.campaign("spring", changes).await;
    for n in 0..20 {
        enqueue(&db, &number(n), json!({})).await;
    }
    let shown = preview(&db, "spring").await.estimate;
    assert_eq!((shown.seconds, &*shown.basis), (Some(400), "limits"));
    for _ in 0..4 {
        let calls = db.claim(5).await;
        assert_eq!(calls.len(), 5);
        db.forward("10 seconds").await;
        for call in &calls {
            db.settle(call, Outcome::Answered).await;
        }
    }
    enqueue(&db, &number(30), json!({})).await;
    let shown = preview(&db, "spring").await.estimate;
    assert_eq!((shown.seconds, &*shown.basis), (Some(10), "recent_calls"));
    assert_eq!((shown.at_once, shown.seconds_per_call), (5, 10.0));
    db.sql("update pgdial.trunks set calls_per_second = 0.1")
        .await;
    assert_eq!(preview(&db, "spring").await.estimate.seconds, Some(10));
    db.sql("update pgdial.campaigns set cap = 0").await;
    assert_eq!(preview(&db, "spring").await.estimate.seconds, None);
}

#[tokio::test]
async fn an_empty_campaign_and_none_at_all() {
    let db = TestDb::new().await;
    assert_eq!(
        counts(&preview(&db, "default").await),
        "0 waiting: 0 now, 0 later, closed {}, 0 capped, 0 suppressed, 0 expired; 0 duplicates"
    );
    assert!(db.calls.preview("nobody", None).await.unwrap().is_none());
}
