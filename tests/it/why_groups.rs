//! What keeps a trunk or a campaign, every reason of it, is said by one function: for the page, the API and the commands.

use pgdial::{
    domain::Outcome,
    flow::{groups::GroupKind, read::Reason},
};
use serde_json::json;

use crate::support::{TestDb, number};

fn codes(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|one| one.reason.as_str()).collect()
}

async fn of_campaign(db: &TestDb, name: &str) -> Vec<Reason> {
    let mut campaigns = db.calls.campaigns(Some(name)).await.unwrap();
    campaigns.remove(0).reasons
}

async fn of_trunk(db: &TestDb) -> Vec<Reason> {
    db.calls
        .trunks(Some("default"))
        .await
        .unwrap()
        .remove(0)
        .reasons
}

#[tokio::test]
async fn every_reason_is_given_and_those_of_the_trunk_are_its_campaigns_too() {
    let db = TestDb::new().await;
    db.campaign("spring", json!({})).await;
    for (kind, name) in [
        (GroupKind::Trunk, "default"),
        (GroupKind::Campaign, "spring"),
    ] {
        db.calls
            .pause(kind, name, "ann", "new script")
            .await
            .unwrap();
    }
    let trunk = of_trunk(&db).await;
    assert_eq!(codes(&trunk), ["trunk_paused", "no_worker"]);
    assert!(
        trunk[0].message.contains("paused by ann") && trunk[0].message.ends_with(": new script")
    );
    assert_eq!(
        codes(&of_campaign(&db, "default").await),
        ["trunk_paused", "no_worker"]
    );
    let all = ["trunk_paused", "campaign_paused", "no_worker"];
    assert_eq!(codes(&of_campaign(&db, "spring").await), all);
    // Each alone is what it is among all.
    let dialling = db.calls.dialling().await.unwrap();
    assert_eq!(codes(dialling.reasons(GroupKind::Campaign, "spring")), all);
    assert_eq!(
        codes(dialling.reasons(GroupKind::Trunk, "default")),
        ["trunk_paused", "no_worker"]
    );

    db.worker(&["default"]).await;
    for (kind, name) in [
        (GroupKind::Trunk, "default"),
        (GroupKind::Campaign, "spring"),
    ] {
        db.calls.resume(kind, name, "ann", None).await.unwrap();
    }
    assert_eq!(of_trunk(&db).await, []);
    assert_eq!(of_campaign(&db, "spring").await, []);
}

#[tokio::test]
async fn a_trunk_that_no_campaign_uses_is_paused_all_the_same() {
    let db = TestDb::new().await;
    db.sql(
        "select pgdial.create_trunk('backup'); select pgdial.pause('trunk', 'backup', 'not yet')",
    )
    .await;
    let trunk = db.calls.trunks(Some("backup")).await.unwrap().remove(0);
    assert_eq!(codes(&trunk.reasons), ["trunk_paused", "no_worker"]);
}

#[tokio::test]
async fn hours_keep_a_campaign_while_they_keep_each_of_its_calls() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    db.sql(
        "update pgdial.clock set ahead = '2026-12-01 12:00+00'::timestamptz - clock_timestamp(); \
         select pgdial.set_calling_hours('office', '{\"week\": \"mon-fri 09:00-17:00\"}'); \
         select pgdial.set_campaign('default', '{\"callingHours\": \"office\"}')",
    )
    .await;
    db.worker(&["default"]).await;
    assert_eq!(of_campaign(&db, "default").await, [], "no call waits");
    // Six in the morning.
    db.enqueue("+12125550100").await;
    let reasons = of_campaign(&db, "default").await;
    assert_eq!(codes(&reasons), ["outside_hours"]);
    assert!(
        reasons[0].until.is_some() && reasons[0].message.contains("America/New_York"),
        "{reasons:?}"
    );
    // One in the afternoon.
    db.enqueue("+493012345678").await;
    assert_eq!(of_campaign(&db, "default").await, []);
}

#[tokio::test]
async fn doubts_are_a_reason_of_their_own_whether_they_fill_the_trunk_or_not() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    db.sql("update pgdial.trunks set slots = 3").await;
    for (n, expected) in [
        (1, &[][..]),
        (2, &["in_doubt"]),
        (3, &["in_doubt", "trunk_full"]),
    ] {
        let call = db.dialing(&number(n)).await;
        db.calls.doubt(call.reference(), "x").await.unwrap();
        db.let_trunks_dial().await;
        let mut found = of_trunk(&db).await;
        found.retain(|one| one.reason != "no_permit");
        assert_eq!(codes(&found), expected, "{n}");
    }
}

#[tokio::test]
async fn a_preview_says_what_keeps_all_of_a_campaign() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    db.enqueue(&number(1)).await;
    let preview = async |at| db.calls.preview("default", at).await.unwrap().unwrap();
    assert_eq!(preview(None).await.reasons, []);
    db.sql(
        "select pgdial.pause('trunk', 'default', 'x'); \
            update pgdial.campaigns set starts_at = pgdial.now() + interval '1 hour'",
    )
    .await;
    let at_its_start = preview(None).await;
    assert_eq!(
        (at_its_start.now, codes(&at_its_start.reasons)),
        (1, vec!["trunk_paused"])
    );
    let now = db.calls.now().await.unwrap();
    let reasons = preview(Some(now)).await.reasons;
    assert_eq!(codes(&reasons), ["trunk_paused", "campaign_not_started"]);
}

/// While its probe is due and nothing can be dialled, only this says that the provider fails.
#[tokio::test]
async fn an_open_breaker_is_said_whatever_else_keeps_its_trunk() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    let doubt = db.dialing(&number(1)).await;
    db.calls.doubt(doubt.reference(), "x").await.unwrap();
    db.let_trunks_dial().await;
    db.sql("insert into pgdial.trunk_breaker values ('default', 5, 'HTTP 500', 1, pgdial.now(), pgdial.now() + interval '9 seconds')")
        .await;
    let waiting = db.enqueue(&number(2)).await;
    let why = async || db.calls.why(waiting).await.unwrap();

    let trunk = of_trunk(&db).await;
    assert_eq!(codes(&trunk), ["breaker"]);
    assert!(
        trunk[0].message.contains("one call probes it at 20"),
        "{trunk:?}"
    );
    assert!(trunk[0].until.is_some());
    assert_eq!(of_campaign(&db, "default").await, trunk);
    assert_eq!(why().await, trunk);

    // Paused, it does not probe.
    db.sql("select pgdial.pause('trunk', 'default', 'x')").await;
    let trunk = of_trunk(&db).await;
    assert_eq!(codes(&trunk), ["trunk_paused", "breaker"]);
    let told = &trunk[1];
    assert!(
        told.message
            .ends_with("; one call probes it as soon as one can be dialled"),
        "{told:?}"
    );
    assert_eq!(told.until, None);
    assert_eq!(why().await, trunk);
    db.sql("select pgdial.resume('trunk', 'default')").await;

    db.forward("9 seconds").await;
    let trunk = of_trunk(&db).await;
    assert_eq!(trunk, std::slice::from_ref(told));
    assert_eq!(of_campaign(&db, "default").await, trunk);
    assert_eq!(codes(&why().await), ["next"], "it is the probe");
    db.sql("update pgdial.trunks set slots = 1").await;
    let all = ["breaker", "in_doubt", "trunk_full"];
    assert_eq!(codes(&of_trunk(&db).await), all);
    assert_eq!(codes(&of_campaign(&db, "default").await), all);
    let said = why().await;
    assert_eq!(codes(&said), all);
    assert_eq!(&said[0], told);
    // What is the campaign's own does not say it once more.
    db.sql("select pgdial.pause('campaign', 'default', 'x')")
        .await;
    let all = ["campaign_paused", "breaker", "in_doubt", "trunk_full"];
    assert_eq!(codes(&of_campaign(&db, "default").await), all);
}

/// A campaign between its retries is not one that dials.
#[tokio::test]
async fn a_campaign_none_of_whose_calls_is_due_says_when_the_first_is() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    db.campaign("spring", json!({})).await;
    assert_eq!(of_campaign(&db, "spring").await, [], "no call waits");
    let enqueue = async |n, campaign: &str, at: &str, priority: u8| {
        let call = json!({ "to": number(n), "scriptId": "s", "campaign": campaign, "runAt": at, "priority": priority });
        db.enqueue_as(call).await
    };
    enqueue(1, "spring", "2126-01-02T00:00:00Z", 9).await;
    enqueue(2, "spring", "2126-01-01T00:00:00Z", 0).await;
    let reasons = of_campaign(&db, "spring").await;
    assert_eq!(codes(&reasons), ["scheduled"]);
    assert_eq!(
        reasons[0].message,
        "none of its waiting calls is due before 2126-01-01 00:00:00Z"
    );
    assert_eq!(reasons[0].object.as_deref(), Some("spring"));
    let until = "2126-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(reasons[0].until, Some(until));
    // Among all it is what it is alone, and a trunk has no calls.
    let dialling = db.calls.dialling().await.unwrap();
    assert_eq!(dialling.reasons(GroupKind::Campaign, "spring"), reasons);
    assert_eq!(dialling.reasons(GroupKind::Campaign, "default"), []);
    assert_eq!(of_trunk(&db).await, []);
    let preview = db.calls.preview("spring", None).await.unwrap().unwrap();
    assert_eq!((preview.later, preview.reasons), (2, vec![]));

    let busy = db.in_call(&number(3)).await;
    db.settle(&busy, Outcome::Busy).await;
    assert_eq!(codes(&of_campaign(&db, "default").await), ["retry_due"]);
    db.sql("select pgdial.pause('campaign', 'default', 'x')")
        .await;
    let both = ["campaign_paused", "retry_due"];
    assert_eq!(codes(&of_campaign(&db, "default").await), both);
    db.sql("select pgdial.resume('campaign', 'default')").await;
    enqueue(4, "default", "2020-01-01T00:00:00Z", 5).await;
    assert_eq!(of_campaign(&db, "default").await, []);
}
