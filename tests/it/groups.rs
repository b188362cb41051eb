//! Campaigns and trunks: create, set, show; and the rules of `lanes` (P3, P7).

use pgdial::flow::groups::{ChangeError, GroupKind};
use serde_json::json;

use crate::support::{TestDb, number};

#[tokio::test]
async fn a_campaign_is_created_changed_and_shown() {
    let db = TestDb::new().await;
    let kind = GroupKind::Campaign;
    let changes = json!({ "cap": 5, "weight": 3, "maxAttempts": 7, "busyBase": "10 seconds" });
    assert!(
        db.calls
            .create_group(kind, "spring", &changes, "tester", None)
            .await
            .unwrap()
    );
    assert!(
        !db.calls
            .create_group(kind, "spring", &changes, "tester", None)
            .await
            .unwrap()
    );
    let set = json!({ "cap": null, "redialUnknown": true, "ringTimeout": "30 seconds" });
    assert!(
        db.calls
            .set_group(kind, "spring", &set, "tester", None)
            .await
            .unwrap()
    );
    assert!(
        !db.calls
            .set_group(kind, "autumn", &set, "tester", None)
            .await
            .unwrap()
    );
    let shown = db.calls.campaigns(Some("spring")).await.unwrap();
    let shown = json!(shown[0]);
    assert_eq!(shown["cap"], json!(null));
    for (field, value) in [
        ("weight", json!(3)),
        ("maxAttempts", json!(7)),
        ("busyBase", json!("PT10S")),
        ("ringTimeout", json!("PT30S")),
        ("redialUnknown", json!(true)),
        ("trunk", json!("default")),
        ("room", json!(30)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert_eq!(db.calls.campaigns(None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_trunk_is_created_changed_and_shown() {
    let db = TestDb::new().await;
    let kind = GroupKind::Trunk;
    let changes = json!({ "slots": 5 });
    assert!(
        db.calls
            .create_group(kind, "other", &changes, "tester", None)
            .await
            .unwrap()
    );
    let set = json!({ "callsPerSecond": 2.5 });
    assert!(
        db.calls
            .set_group(kind, "other", &set, "tester", None)
            .await
            .unwrap()
    );
    let shown = db.calls.trunks(Some("other")).await.unwrap();
    assert_eq!(shown[0].slots, 5);
    assert_eq!(shown[0].calls_per_second, Some(2.5));
    assert_eq!(shown[0].in_flight, 0);
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_refused_and_changes_nothing() {
    let db = TestDb::new().await;
    for (kind, changes) in [
        (GroupKind::Campaign, json!({ "colour": "red" })),
        (GroupKind::Campaign, json!({ "cap": -1 })),
        (GroupKind::Campaign, json!({ "cap": "many" })),
        (GroupKind::Campaign, json!({ "weight": 0, "cap": 3 })),
        (GroupKind::Campaign, json!({ "maxDuration": "soon" })),
        (GroupKind::Campaign, json!({ "trunk": "nowhere" })),
        (GroupKind::Trunk, json!({ "slots": -1 })),
        (GroupKind::Trunk, json!({ "callsPerSecond": 0 })),
        (GroupKind::Trunk, json!([1])),
        (GroupKind::Trunk, json!("slots")),
    ] {
        let set = db
            .calls
            .set_group(kind, "default", &changes, "tester", None)
            .await;
        assert!(
            matches!(
                set,
                Err(ChangeError::Refused(_) | ChangeError::UnknownTrunk)
            ),
            "{changes}: {set:?}"
        );
        let create = db
            .calls
            .create_group(kind, "fresh", &changes, "tester", None)
            .await;
        assert!(
            matches!(
                create,
                Err(ChangeError::Refused(_) | ChangeError::UnknownTrunk)
            ),
            "{changes}: {create:?}"
        );
        let fresh = "select (select count(*) from pgdial.campaigns where name = 'fresh') \
                         + (select count(*) from pgdial.trunks where name = 'fresh')";
        assert_eq!(db.number(fresh).await, 0, "{changes}");
    }
    assert_eq!(
        db.text("select (cap is null, weight, trunk) from pgdial.campaigns")
            .await,
        "(t,1,default)"
    );
}

#[tokio::test]
async fn a_campaign_with_calls_cannot_be_deleted() {
    let db = TestDb::new().await;
    db.campaign("brief", json!({})).await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "campaign": "brief" }))
        .await;
    let delete = "delete from pgdial.campaigns where name = 'brief'";
    let (_, message) = db.refusal(delete).await;
    assert!(message.contains("still has calls"), "{message}");
    db.calls.cancel(id, "ann", None).await.unwrap();
    db.sql(delete).await;
}

#[tokio::test]
async fn fewer_slots_than_calls_in_flight_leave_them_alone_and_start_none() {
    let db = TestDb::new().await;
    for n in 0..12 {
        db.enqueue(&number(n)).await;
    }
    db.claim(10).await;
    let set = json!({ "slots": 4 });
    db.calls
        .set_group(GroupKind::Trunk, "default", &set, "tester", None)
        .await
        .unwrap();
    assert!(db.claim(5).await.is_empty());
    let live = "select count(*) from pgdial.calls where state = 'dialing'";
    assert_eq!(db.number(live).await, 10);
    let lane = "select (room, trunk_room, reason) from pgdial.lanes(null, pgdial.now())";
    assert_eq!(db.text(lane).await, "(0,0,trunk_full)");
}

#[tokio::test]
async fn each_lane_says_its_room_or_its_reason() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 10; insert into pgdial.trunks (name, paused) values ('off', true)")
        .await;
    db.campaign("capped", json!({ "cap": 2 })).await;
    db.campaign("full", json!({ "cap": 0 })).await;
    db.campaign("quiet", json!({})).await;
    db.campaign("dark", json!({ "trunk": "off" })).await;
    db.calls
        .pause(GroupKind::Campaign, "quiet", "ann", "x")
        .await
        .unwrap();
    db.in_call(&number(1)).await;
    let lanes = "select string_agg(concat_ws(' ', campaign, room, reason), ', ' order by campaign) \
                 from pgdial.lanes(null, pgdial.now())";
    assert_eq!(
        db.text(lanes).await,
        "capped 2, dark 0 trunk_paused, default 9, full 0 campaign_full, quiet 0 campaign_paused"
    );
}

#[tokio::test]
async fn a_trunk_with_live_calls_is_neither_deleted_nor_renamed() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name, calls_per_second) values ('other', 5); update pgdial.campaigns set trunk = 'other'")
        .await;
    db.enqueue(&number(1)).await;
    let trunks = ["other".to_owned()];
    let claim = db.calls.claim(uuid::Uuid::new_v4(), &trunks, 1).await;
    let call = claim.unwrap().calls.pop().unwrap();
    db.sql("update pgdial.campaigns set trunk = 'default'")
        .await;
    let change = [
        "delete from pgdial.trunks",
        "update pgdial.trunks set name = 'new'",
    ];
    for change in change {
        let (code, message) = db.refusal(&format!("{change} where name = 'other'")).await;
        assert_eq!(code, "23503");
        assert!(
            message.contains("trunk \"other\" still has calls"),
            "{message}"
        );
    }
    db.settle(&call, pgdial::domain::Outcome::Answered).await;
    db.sql("delete from pgdial.trunks where name = 'other'")
        .await;
    assert_eq!(db.number("select count(*) from pgdial.trunk_pace").await, 0);
}
