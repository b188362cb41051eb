//! The audit log: every act records who, when and why, in its own transaction.

use pgdial::flow::{acts::ActFilter, defer::DeferReason, groups::GroupKind, view::Act};
use serde_json::{Value, json};

use crate::support::{TestDb, number, run};

/// All acts, oldest first: who, act, kind, name and why.
async fn acts(db: &TestDb) -> Vec<String> {
    let acts = db.calls.acts(&ActFilter::default(), 1000).await.unwrap();
    let words = |act: &Act| {
        let act = json!(act);
        let word = |field: &str| act[field].as_str().unwrap_or("-").to_owned();
        ["by", "act", "kind", "name", "why"].map(word).join(" ")
    };
    acts.iter().rev().map(words).collect()
}

/// Detail of the newest act.
async fn detail(db: &TestDb) -> Value {
    let acts = db.calls.acts(&ActFilter::default(), 1).await.unwrap();
    json!(acts[0].detail)
}

#[tokio::test]
async fn every_verb_on_a_group_leaves_who_and_why() {
    let db = TestDb::new().await;
    let (campaign, trunk) = (GroupKind::Campaign, GroupKind::Trunk);
    let (calls, none) = (&db.calls, &json!({}));
    let made = calls.create_group(trunk, "eu", none, "ann", Some("growth"));
    assert!(made.await.unwrap());
    let made = calls.create_group(campaign, "spring", none, "ann", None);
    assert!(made.await.unwrap());
    let changes = json!({ "cap": 5, "busyBase": "90 seconds" });
    let set = calls.set_group(campaign, "spring", &changes, "bob", Some("too many"));
    assert!(set.await.unwrap());
    assert_eq!(
        detail(&db).await,
        json!({ "cap": [null, 5], "busyBase": ["PT5M", "PT1M30S"] })
    );
    assert!(calls.pause(trunk, "eu", "cli:ann", "fire").await.unwrap());
    let resumed = calls.resume(trunk, "eu", "bob", Some("out"));
    assert!(resumed.await.unwrap());
    db.sql("delete from pgdial.campaigns where name = 'spring'")
        .await;
    assert_eq!(
        acts(&db).await,
        [
            "ann create trunk eu growth",
            "ann create campaign spring -",
            "bob set campaign spring too many",
            "cli:ann pause trunk eu fire",
            "bob resume trunk eu out",
            "pgdial remove campaign spring -",
        ]
    );
    let logins = "select string_agg(distinct login, ' ' order by login) from pgdial.acts";
    assert_eq!(db.text(logins).await, "dialer pgdial");
}

#[tokio::test]
async fn a_plain_update_is_in_the_audit_with_what_was_and_what_is() {
    let db = TestDb::new().await;
    let mut person = db.session_as("deploy").await;
    for statement in [
        "set role pgdial_owner",
        "update pgdial.trunks set slots = 60, calls_per_second = 2.5",
        "set pgdial.why = 'ticket 4711'",
        "update pgdial.campaigns set paused = true",
    ] {
        run(&mut person, statement).await.unwrap();
    }
    assert_eq!(
        acts(&db).await,
        [
            "deploy set trunk default -",
            "deploy pause campaign default ticket 4711"
        ]
    );
    let set = "select detail from pgdial.acts where act = 'set'";
    let set: Value = serde_json::from_str(&db.text(set).await).unwrap();
    assert_eq!(
        set,
        json!({ "slots": [30, 60], "callsPerSecond": [null, 2.5] })
    );
}

#[tokio::test]
async fn what_is_rolled_back_was_not_done_and_what_changes_nothing_is_no_act() {
    let db = TestDb::new().await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; select pgdial.pause('trunk', 'default', 'x'); rollback",
    )
    .await
    .unwrap();
    run(&mut person, "update pgdial.trunks set slots = slots")
        .await
        .unwrap();
    run(&mut person, "select pgdial.resume('trunk', 'default')")
        .await
        .unwrap();
    assert_eq!(acts(&db).await, [""; 0]);
}

/// The name given to a verb applies to that verb only.
#[tokio::test]
async fn an_update_after_a_verb_in_the_same_transaction_is_not_the_verbs() {
    let db = TestDb::new().await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; select pgdial.set_trunk('default', '{\"slots\": 5}', 'why', 'api:crm'); \
         update pgdial.trunks set slots = 6; commit",
    )
    .await
    .unwrap();
    assert_eq!(
        acts(&db).await,
        [
            "api:crm set trunk default why",
            "pgdial set trunk default -"
        ]
    );
}

#[tokio::test]
async fn whoever_may_change_a_trunk_cannot_pass_by_the_audit_or_write_it() {
    let db = TestDb::new().await;
    db.sql("grant usage on schema pgdial to app; grant select, update on pgdial.trunks to app")
        .await;
    let mut app = db.session_as("app").await;
    run(&mut app, "update pgdial.trunks set slots = 1")
        .await
        .unwrap();
    assert_eq!(acts(&db).await, ["app set trunk default -"]);
    let forged =
        "insert into pgdial.acts (at, by, act, kind) values (now(), 'ann', 'set', 'trunk')";
    assert!(run(&mut app, forged).await.is_err());
    assert!(run(&mut app, "delete from pgdial.acts").await.is_err());
}

#[tokio::test]
async fn the_list_of_numbers_not_to_ring_has_its_history() {
    let db = TestDb::new().await;
    let phone = number(1).parse().unwrap();
    for _ in 0..2 {
        db.calls
            .do_not_call_add(&phone, "ann", "asked")
            .await
            .unwrap();
    }
    for removed in [true, false] {
        let asked = db
            .calls
            .do_not_call_remove(&phone, "bob", Some("asked again"));
        assert_eq!(asked.await.unwrap(), removed);
    }
    let n = number(1);
    assert_eq!(
        acts(&db).await,
        [
            format!("ann do_not_call_add number {n} asked"),
            format!("bob do_not_call_remove number {n} asked again"),
        ]
    );
    assert_eq!(detail(&db).await, json!({ "reason": "asked" }));
}

#[tokio::test]
async fn a_trunk_that_pauses_itself_says_so() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let reason = DeferReason::Account;
    let deferred = db
        .calls
        .defer(call.reference(), reason, None, "401: the key is not known");
    deferred.await.unwrap();
    assert_eq!(
        acts(&db).await,
        [format!(
            "pgdial pause trunk default the provider refuses the account: 401: the key is not known; calls {}",
            call.id
        )]
    );
    assert_eq!(detail(&db).await, json!({ "calls": [call.id] }));
}

#[tokio::test]
async fn a_recovery_is_in_the_audit() {
    let db = TestDb::new().await;
    let now = db.calls.now().await.unwrap();
    db.calls
        .recover_begin(Some(now), "a disk", "ann")
        .await
        .unwrap();
    db.calls.recover_end("ann").await.unwrap();
    assert_eq!(
        acts(&db).await,
        [
            "ann pause trunk default recover: a disk",
            "ann recover_begin cluster - a disk",
            "ann recover_end cluster - -",
        ]
    );
}

#[tokio::test]
async fn acts_are_paged_and_filtered() {
    let db = TestDb::new().await;
    for n in 1..=3 {
        db.sql(&format!("update pgdial.trunks set slots = {n}"))
            .await;
        db.sql(&format!("update pgdial.campaigns set cap = {n}"))
            .await;
    }
    let of_trunks = ActFilter {
        kind: Some("trunk".to_owned()),
        name: Some("default".to_owned()),
        act: Some("set".to_owned()),
        by: Some("pgdial".to_owned()),
        ..ActFilter::default()
    };
    let page = db.calls.acts(&of_trunks, 2).await.unwrap();
    let slots: Vec<_> = page.iter().map(|act| &act.detail.0["slots"][1]).collect();
    assert_eq!(slots, [3, 2]);
    let rest = ActFilter {
        below: Some(page[1].seq),
        ..of_trunks.clone()
    };
    let oldest = db.calls.acts(&rest, 2).await.unwrap();
    assert_eq!(oldest.len(), 1);
    assert_eq!(oldest[0].detail.0["slots"][1], 1);

    let between = ActFilter {
        after: Some(page[1].at),
        before: Some(page[0].at),
        ..of_trunks
    };
    let page = db.calls.acts(&between, 10).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].detail.0["slots"][1], 2);
}

#[tokio::test]
async fn acts_are_kept_400_days_at_least_and_for_ever_where_calls_are() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1").await;
    let day = std::time::Duration::from_hours(24);
    db.forward("399 days").await;
    db.calls.housekeeping(Some(day)).await.unwrap();
    assert_eq!(acts(&db).await.len(), 1);
    db.forward("2 days").await;
    db.calls.housekeeping(None).await.unwrap();
    assert_eq!(acts(&db).await.len(), 1);
    db.calls.housekeeping(Some(day * 500)).await.unwrap();
    assert_eq!(acts(&db).await.len(), 1);
    db.calls.housekeeping(Some(day)).await.unwrap();
    assert_eq!(acts(&db).await.len(), 0);
}
