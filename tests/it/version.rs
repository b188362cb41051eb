//! Versions: they change with the row, and with nothing else; a change that names another is not made.

use pgdial::flow::{
    amend::Amended,
    groups::GroupKind,
    version::{Conditional, Versioned},
};
use serde_json::json;

use crate::support::{TestDb, number};

#[tokio::test]
async fn a_version_changes_with_every_write_and_with_no_call() {
    let db = TestDb::new().await;
    let version = async || {
        db.calls
            .version(Versioned::Campaign, "default")
            .await
            .unwrap()
    };
    let first = version().await;
    assert!(first.is_some());
    db.in_call(&number(1)).await;
    assert_eq!(version().await, first);
    let mut seen = vec![first];
    db.calls
        .pause(GroupKind::Campaign, "default", "ann", "x")
        .await
        .unwrap();
    seen.push(version().await);
    db.sql("update pgdial.campaigns set cap = 3 where name = 'default'")
        .await;
    seen.push(version().await);
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(
        db.calls.version(Versioned::Trunk, "nope").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_change_with_another_version_is_not_made() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let old = ["1".to_owned()];
    let priority = json!({ "priority": 3 });
    let amended = db
        .calls
        .amend_if(id, "ann", None, &priority, Some(&old))
        .await
        .unwrap();
    assert_eq!(amended, Amended::Changed);
    assert_eq!(db.column(id, "priority").await, "0");
    let present = db
        .calls
        .version(Versioned::Call, &id.to_string())
        .await
        .unwrap();
    let present = [present.unwrap()];
    let amended = db
        .calls
        .amend_if(id, "ann", None, &priority, Some(&present))
        .await
        .unwrap();
    assert_eq!(amended, Amended::Amended);
    let cap = json!({ "cap": 3 });
    for (of, name, expected) in [
        (Versioned::Campaign, "default", Conditional::Changed),
        (Versioned::Campaign, "nope", Conditional::NotFound),
        (Versioned::Endpoint, "nope", Conditional::NotFound),
    ] {
        let set = db
            .calls
            .set_if_unchanged(of, name, &old, &cap, ("ann", None))
            .await
            .unwrap();
        assert_eq!(set, expected, "{name}");
    }
    let acts = "select count(*) from pgdial.acts where kind = 'campaign'";
    assert_eq!(db.number(acts).await, 0);
}
