//! Ten rules of calling keep one call waiting at once: why names each, and the next one when it is lifted (P9).

use std::collections::BTreeSet;

use pgdial::domain::Outcome;

use crate::support::{TestDb, assert_rests, number};

const BERLIN: &str = "+493012345678";

/// Each reason, and what lifts it.
const LIFTED: [(&str, &str); 10] = [
    (
        "campaign_over",
        "update pgdial.campaigns set ends_at = null",
    ),
    (
        "campaign_paused",
        "select pgdial.set_campaign('default', '{\"goal\": null}'); \
         select pgdial.resume('campaign', 'default', 'one was enough')",
    ),
    ("suppressed", "delete from pgdial.do_not_call"),
    (
        "consent_missing",
        "update pgdial.campaigns set require_consent = false",
    ),
    (
        "zone_unknown",
        "update pgdial.calls set area = pgdial.phone_area(phone)",
    ),
    (
        "holiday",
        "update pgdial.calling_hours set calendar = null where name = 'office'",
    ),
    (
        "outside_hours",
        "update pgdial.calling_hours set week = pgdial.read_hours('mon-sun 00:00-24:00') where name = 'office'",
    ),
    (
        "contact_limit",
        "delete from pgdial.contact_limits where name = 'once'",
    ),
    (
        "cooldown",
        "delete from pgdial.contact_limits where name = 'rest'",
    ),
    (
        "caller_ids_spent",
        "select pgdial.set_caller_id('+4930901820', '{\"paused\": false}')",
    ),
];

#[tokio::test]
async fn each_rule_is_named_while_it_holds_and_the_next_one_when_it_is_lifted() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    // A goal of one answered call, which the sweep finds reached.
    db.sql("select pgdial.set_campaign('default', '{\"goal\": {\"outcome\": \"answered\", \"count\": 1}}')")
        .await;
    let first = db.dialing(&number(1)).await;
    db.settle(&first, Outcome::Answered).await;
    let id = db.enqueue(BERLIN).await;
    db.sweep().await;
    db.sql(
        "insert into pgdial.calendars (name, covers) values ('today', daterange(pgdial.now()::date - 2, pgdial.now()::date + 3)); \
         insert into pgdial.special_days (calendar, day, name) \
         select 'today', pgdial.now()::date + d, 'Founders'' Day' from generate_series(-1, 1) d; \
         insert into pgdial.calling_hours (name, week, calendar) values ('office', '{}', 'today'); \
         insert into pgdial.contact_limits (name, counts, at_most, period, all_campaigns) \
         values ('once', 'attempts', 1, '1 day', true), ('rest', 'conversations', 1, '7 days', true); \
         insert into pgdial.dials (phone, at, campaign, conversation, call_id, claim_no) \
         values ('+493012345678', pgdial.now() - interval '1 hour', 'other', true, gen_random_uuid(), 1); \
         select pgdial.add_caller_id('+4930901820', '{\"pool\": \"berlin\"}'); \
         select pgdial.set_caller_id('+4930901820', '{\"paused\": true}', 'spam'); \
         insert into pgdial.do_not_call (phone, reason, by) values ('+493012345678', 'asked', 'callee'); \
         update pgdial.campaigns set calling_hours = 'office', caller_ids = 'berlin', require_consent = true, \
                                     ends_at = pgdial.now() - interval '1 minute'; \
         update pgdial.calls set area = 0 where state = 'waiting'",
    )
    .await;
    let mut seen = BTreeSet::new();
    loop {
        let why = db.calls.why(id).await.unwrap().remove(0);
        if why.reason == "next" {
            break;
        }
        assert_rests(&mut db.session().await).await;
        let lifted = LIFTED.iter().find(|(reason, _)| *reason == why.reason);
        let (reason, lift) = lifted.unwrap_or_else(|| panic!("{why:?}"));
        assert!(seen.insert(*reason), "{why:?} was lifted");
        db.sql(lift).await;
        // What a claim has put aside becomes due again.
        db.sql("update pgdial.calls set run_at = created_at, put_aside_until = null where state = 'waiting'")
            .await;
    }
    let all: BTreeSet<&str> = LIFTED.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(seen, all);
    assert_eq!(db.claim(1).await[0].id, id);
}
