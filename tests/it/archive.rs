//! Campaigns and trunks that are put out of sight, brought back, or removed.

use pgdial::{
    domain::Outcome,
    flow::{
        archive::{Removal, Removed},
        enqueue::Enqueued,
        groups::{
            ChangeError,
            GroupKind::{self, Campaign, Trunk},
        },
        redrive::Redriven,
    },
};
use serde_json::json;

use crate::support::{TestDb, number};

async fn done(db: &TestDb, removal: Removal, kind: GroupKind, name: &str) -> Removed {
    let why = Some("it is over");
    db.calls
        .remove_group(removal, kind, name, "ann", why)
        .await
        .unwrap()
}

fn in_use(by: &[&str]) -> Removed {
    Removed::InUse(by.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_campaign_with_a_history_is_archived_and_takes_no_more_calls() {
    let db = TestDb::new().await;
    db.campaign("spring", json!({})).await;
    let wanted = json!({ "to": number(1), "scriptId": "s", "campaign": "spring" });
    let id = db.enqueue_as(wanted.clone()).await;
    assert_eq!(
        done(&db, Removal::Archive, Campaign, "spring").await,
        in_use(&["waiting calls"])
    );
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(
        done(&db, Removal::Archive, Campaign, "spring").await,
        in_use(&["calls in flight"])
    );
    db.settle(&call, Outcome::Declined).await;
    assert_eq!(
        done(&db, Removal::Delete, Campaign, "spring").await,
        in_use(&["finished calls"])
    );
    assert_eq!(
        done(&db, Removal::Archive, Campaign, "spring").await,
        Removed::Done
    );
    let refused = db
        .calls
        .enqueue("tester", &[wanted])
        .await
        .unwrap()
        .pop()
        .unwrap();
    let Enqueued::UnknownCampaign(words) = refused else {
        panic!("{refused:?}")
    };
    assert!(words.contains("is archived"), "{words}");
    let (redriven, _) = db.calls.redrive(id, "ann", None, false).await.unwrap();
    assert_eq!(redriven, Redriven::UnknownCampaign);
    let resumed = db.calls.resume(Campaign, "spring", "ann", None).await;
    assert!(
        matches!(resumed, Err(ChangeError::Refused(words)) if words.contains("unarchive it first"))
    );
    assert_eq!(db.calls.board().await.unwrap().campaigns.len(), 1);
    assert_eq!(
        done(&db, Removal::Unarchive, Campaign, "spring").await,
        Removed::Done
    );
    let shown = db.calls.campaigns(Some("spring")).await.unwrap().remove(0);
    assert!(shown.paused && shown.archived_at.is_none());
    assert!(
        db.calls
            .resume(Campaign, "spring", "ann", None)
            .await
            .unwrap()
    );
    let acts = "select string_agg(act || ' ' || coalesce(why, ''), ', ' order by seq) from pgdial.acts where name = 'spring' and by = 'ann'";
    assert_eq!(
        db.text(acts).await,
        "archive it is over, unarchive it is over, resume "
    );
}

#[tokio::test]
async fn a_trunk_is_archived_once_nothing_dials_on_it() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name) values ('spare')")
        .await;
    db.campaign("spring", json!({ "trunk": "spare" })).await;
    for removal in [Removal::Archive, Removal::Delete] {
        assert_eq!(
            done(&db, removal, Trunk, "spare").await,
            in_use(&["campaign spring"])
        );
    }
    assert_eq!(
        done(&db, Removal::Archive, Campaign, "spring").await,
        Removed::Done
    );
    assert_eq!(
        done(&db, Removal::Delete, Trunk, "spare").await,
        in_use(&["archived campaigns"])
    );
    assert_eq!(
        done(&db, Removal::Archive, Trunk, "spare").await,
        Removed::Done
    );
    let back = done(&db, Removal::Unarchive, Campaign, "spring").await;
    assert_eq!(back, in_use(&["the archived trunk spare"]));
    let moved = json!({ "trunk": "spare" });
    let moved = db
        .calls
        .set_group(Campaign, "default", &moved, "ann", None)
        .await;
    assert!(matches!(moved, Err(ChangeError::Refused(words)) if words.contains("is archived")));
}

#[tokio::test]
async fn only_what_never_had_a_call_is_deleted() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name) values ('typo')")
        .await;
    db.campaign("typo", json!({ "trunk": "typo" })).await;
    assert_eq!(
        done(&db, Removal::Delete, Campaign, "typo").await,
        Removed::Done
    );
    assert_eq!(
        done(&db, Removal::Delete, Trunk, "typo").await,
        Removed::Done
    );
    assert_eq!(
        done(&db, Removal::Delete, Trunk, "typo").await,
        Removed::NotFound
    );
    for removal in [Removal::Archive, Removal::Delete] {
        let refused = done(&db, removal, Campaign, "default").await;
        assert_eq!(refused, in_use(&["what names no other"]));
    }
    let removed =
        "select count(*) from pgdial.acts where act = 'remove' and name = 'typo' and by = 'ann'";
    assert_eq!(db.number(removed).await, 2);
}
