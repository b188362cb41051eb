use pgdial::domain::ReportKind;
use serde_json::{Value, json};

use super::{REFUSED, Ran, USAGE, pgdial};
use crate::support::{number, processes::Machine, progress};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_shown_and_replayed() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "broken", progress(ReportKind::Unparsable))
        .await;
    let listed = pgdial(&machine, &["--json", "webhooks", "list"]).json();
    assert_eq!(
        (&listed[0]["verdict"], &listed[0]["callId"]),
        (&json!("unparsable"), &json!(call.id))
    );
    let event = listed[0]["id"].to_string();
    let shown = pgdial(&machine, &["webhooks", "show", &event]).done();
    assert_eq!(shown, "broken", "the body as it came");

    // This release cannot read it either, and says so.
    let ran = pgdial(&machine, &["webhooks", "replay", &event]);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert!(ran.data.contains("unparsable"), "{ran:?}");

    // A body that this release understands, as if an older one had not.
    db.sql(r#"update pgdial.webhook_events set body = '{"callId": "prov-14155550001", "status": "COMPLETED"}'"#)
        .await;
    let all = [
        "webhooks",
        "replay",
        "--verdict",
        "unparsable",
        "--why",
        "upgraded",
    ];
    let replayed: Value = pgdial(&machine, &[&["--json"], &all[..]].concat()).json();
    assert_eq!(replayed[0]["verdict"], "applied");
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.detail(call.id, "replayed").await["why"], "upgraded");
}

/// Each platform speaks in its own words, which only its adapter reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_platforms_events_are_replayed_by_its_adapter() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "broken", progress(ReportKind::Unparsable))
        .await;
    db.sql(r#"update pgdial.webhook_events set body = '{"event": "call_ended", "call": {"call_id": "prov-14155550001", "call_status": "ended", "disconnection_reason": "user_hangup", "duration_ms": 47000}}'"#)
        .await;
    let replay = ["webhooks", "replay", "--verdict", "unparsable"];
    let mut command = machine.command(&replay);
    command
        .env("PGDIAL_PROVIDER", "retell")
        .env_remove("PGDIAL_PROVIDER_URL")
        .env("PGDIAL_PROVIDER_KEY", "key_0123456789abcdef0123456789");
    Ran::of(command, "").done();
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.column(call.id, "result ->> 'durationSec'").await, "47.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_to_replay_must_be_said_and_must_exist() {
    let machine = Machine::new().await;
    pgdial(&machine, &["webhooks", "replay"]).refused(USAGE, "--verdict");
    let ran = pgdial(&machine, &["webhooks", "replay", "7"]);
    ran.refused(REFUSED, "there is no webhook event 7");
}
