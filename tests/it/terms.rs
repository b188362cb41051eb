//! terms: what is in effect on a trunk, of what a person has said and what its adapter declares (P1).

use std::time::Duration;

use crate::support::{TestDb, each, ended, number};
use pgdial::{
    domain::{ClaimedCall, Outcome},
    flow::{
        Queue,
        groups::{ChangeError, GroupKind},
        view::Trunk,
    },
    provider::{Capabilities, Idempotency, LookUps},
};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_hours(1);

async fn trunk(db: &TestDb) -> Trunk {
    let mut trunks = db.calls.trunks(Some("default")).await.unwrap();
    trunks.pop().unwrap()
}

async fn set(db: &TestDb, changes: Value) -> Result<bool, ChangeError> {
    let kind = GroupKind::Trunk;
    db.calls
        .set_group(kind, "default", &changes, "ann", None)
        .await
}

/// A dial in doubt that was sent by this process.
async fn in_doubt(db: &TestDb, calls: &Queue, n: usize) -> ClaimedCall {
    db.enqueue(&number(n)).await;
    let trunks = ["default".to_owned()];
    let claim = calls.claim(uuid::Uuid::new_v4(), &trunks, 1).await;
    let call = claim.unwrap().calls.pop().unwrap();
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    db.forward("6 seconds").await;
    call
}

async fn repeats(calls: &Queue) -> usize {
    let due = calls.repeats_due(&each(&["default"], 100)).await;
    due.unwrap().len()
}

async fn look_ups(calls: &Queue) -> usize {
    let due = calls.look_ups_due(&each(&["default"], 100)).await;
    due.unwrap().len()
}

#[tokio::test]
async fn what_a_person_says_goes_before_what_the_adapter_declares() {
    let db = TestDb::new().await;
    let declared = Capabilities {
        look_up: Some(LookUps::Hint),
        idempotency: Some(Idempotency::Honoured(HOUR)),
        reports_within: Some(Duration::from_secs(20)),
        ..Capabilities::UNKNOWN
    };
    let in_effect = async || {
        let trunk = trunk(&db).await;
        let within = trunk.in_effect.reports_within;
        let within = within.map_or_else(|| "never".to_owned(), |within| within.to_string());
        format!(
            "{} {} {within}",
            trunk.in_effect.look_up, trunk.in_effect.idempotent
        )
    };
    assert_eq!(in_effect().await, "none false never", "nothing is known");
    db.working("a", declared).await;
    assert_eq!(in_effect().await, "hint true 20s");
    for (said, then) in [
        (
            json!({ "lookUp": "none", "idempotent": false, "reportsWithin": "0" }),
            "none false never",
        ),
        (
            json!({ "lookUp": "authoritative", "idempotent": true, "reportsWithin": "5 seconds" }),
            "authoritative true 5s",
        ),
        (json!({ "slots": 7 }), "authoritative true 5s"),
        (
            json!({ "lookUp": null, "idempotent": null, "reportsWithin": null }),
            "hint true 20s",
        ),
    ] {
        set(&db, said.clone()).await.unwrap();
        assert_eq!(in_effect().await, then, "{said}");
    }
    let refused = set(&db, json!({ "reportsWithin": 0 })).await;
    assert!(
        matches!(refused, Err(ChangeError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_dial_without_an_id_is_not_asked_about_where_only_ids_are_known() {
    let db = TestDb::new().await;
    let by_id = Capabilities {
        look_up: Some(LookUps::ById),
        ..Capabilities::UNKNOWN
    };
    let calls = db.working("a", by_id).await;
    let call = in_doubt(&db, &calls, 1).await;
    let why = || async { db.calls.why(call.id).await.unwrap().remove(0).message };
    let wait = calls
        .sweep(&["default".to_owned()], None)
        .await
        .unwrap()
        .wait;
    assert_eq!(look_ups(&calls).await, 0);
    assert_eq!(
        wait,
        Duration::from_secs(30),
        "there is nothing to wait for"
    );
    assert!(!why().await.contains("is asked"), "{}", why().await);
    db.sql("update pgdial.calls set provider_call_id = 'p'")
        .await;
    assert!(why().await.contains("is asked"), "{}", why().await);
    assert_eq!(look_ups(&calls).await, 1);
    // Past its deadline one that cannot be asked about is settled at once.
    db.sql("update pgdial.calls set provider_call_id = null")
        .await;
    db.forward("34 minutes").await;
    db.sweep().await;
    assert_eq!(db.column(call.id, "outcome").await, "unknown");
}

#[tokio::test]
async fn a_request_is_sent_again_only_where_a_key_is_honoured_for_long_enough() {
    for (idempotency, by_itself, if_told) in [
        (None, 0, Some(1)),
        (Some(Idempotency::None), 0, None),
        (Some(Idempotency::Untried(HOUR)), 0, Some(1)),
        (Some(Idempotency::Honoured(HOUR)), 1, Some(1)),
        (
            Some(Idempotency::Honoured(Duration::from_mins(10))),
            1,
            Some(1),
        ),
        (
            Some(Idempotency::Honoured(Duration::from_secs(599))),
            0,
            None,
        ),
    ] {
        let db = TestDb::new().await;
        let declared = Capabilities {
            idempotency,
            ..Capabilities::UNKNOWN
        };
        let calls = db.working("a", declared).await;
        in_doubt(&db, &calls, 1).await;
        assert_eq!(repeats(&calls).await, by_itself, "{idempotency:?}");
        db.forward("20 seconds").await;
        match (set(&db, json!({ "idempotent": true })).await, if_told) {
            (Ok(true), Some(told)) => assert_eq!(repeats(&calls).await, told, "{idempotency:?}"),
            (Err(ChangeError::Refused(why)), None) => {
                assert!(why.contains("\"idempotent\" cannot be true"), "{why}");
            }
            (other, _) => panic!("{idempotency:?}: {other:?}"),
        }
    }
}

/// The adapter may be learnt of after the trunk was made.
#[tokio::test]
async fn what_was_said_before_and_is_known_to_be_wrong_has_no_effect_and_is_told() {
    let db = TestDb::new().await;
    let said = json!({ "idempotent": true, "lookUp": "authoritative" });
    set(&db, said).await.unwrap();
    assert!(trunk(&db).await.conflicts.is_empty());
    let declared = Capabilities {
        look_up: Some(LookUps::ById),
        idempotency: Some(Idempotency::None),
        ..Capabilities::UNKNOWN
    };
    let calls = db.working("a", declared).await;
    in_doubt(&db, &calls, 1).await;
    assert_eq!(repeats(&calls).await, 0);
    let conflicts = trunk(&db).await.conflicts.join("\n");
    for words in ["by its own id alone", "rings again for each request"] {
        assert!(conflicts.contains(words), "{conflicts}");
    }
}

#[tokio::test]
async fn what_an_adapter_declares_says_nothing_of_a_dial_at_another_account() {
    let db = TestDb::new().await;
    let old = db.declaring("old", Capabilities::UNKNOWN);
    in_doubt(&db, &old, 1).await;
    let declared = Capabilities {
        look_up: Some(LookUps::Authoritative),
        idempotency: Some(Idempotency::Honoured(HOUR)),
        ..Capabilities::UNKNOWN
    };
    let new = db.working("new", declared).await;
    assert_eq!((repeats(&old).await, look_ups(&old).await), (0, 0));
    db.let_trunks_dial().await;
    in_doubt(&db, &new, 2).await;
    assert_eq!(repeats(&new).await, 1);
}

/// During a deployment workers with the old and the new adapter beat in turns.
#[tokio::test]
async fn the_worker_that_started_last_is_believed_and_writes_only_what_has_changed() {
    let db = TestDb::new().await;
    let writer = "select xmin::text from pgdial.trunk_adapter";
    let by_id = Capabilities {
        look_up: Some(LookUps::ById),
        ..Capabilities::UNKNOWN
    };
    let (old, new) = (
        db.declaring("old", by_id),
        db.declaring("new", Capabilities::UNKNOWN),
    );
    let first = db.worker(&["default"]).await;
    old.heartbeat(&first).await.unwrap();
    let written = db.text(writer).await;
    old.heartbeat(&first).await.unwrap();
    assert_eq!(db.text(writer).await, written, "nothing has changed");
    db.forward("1 second").await;
    let second = db.worker(&["default"]).await;
    new.heartbeat(&second).await.unwrap();
    old.heartbeat(&first).await.unwrap();
    let adapter = trunk(&db).await.adapter.unwrap();
    assert_eq!(
        (adapter.name.as_deref(), adapter.look_up),
        (Some("new"), None)
    );
    // The new one is gone, and the old one still there: a rollback.
    db.forward("1 minute").await;
    old.heartbeat(&first).await.unwrap();
    assert_eq!(
        trunk(&db).await.adapter.unwrap().look_up.as_deref(),
        Some("by_id")
    );
}

#[tokio::test]
async fn nothing_is_advised_that_the_platform_cannot_do() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1").await;
    let able = Capabilities {
        idempotency: Some(Idempotency::Untried(HOUR)),
        ..Capabilities::UNKNOWN
    };
    let unable = Capabilities {
        look_up: Some(LookUps::None),
        idempotency: Some(Idempotency::None),
        ..Capabilities::UNKNOWN
    };
    let calls = db.working("a", able).await;
    in_doubt(&db, &calls, 1).await;
    let advice = async || db.text("select advice from pgdial.doubts()").await;
    let told = advice().await;
    assert!(
        told.contains("--look-up") && told.contains("--idempotent"),
        "{told}"
    );
    db.forward("1 minute").await;
    db.working("a", unable).await;
    let told = advice().await;
    assert!(
        !told.contains("--look-up") && !told.contains("--idempotent"),
        "{told}"
    );
    assert!(told.contains("--reports-within"), "{told}");
}

#[tokio::test]
async fn a_platform_that_ends_no_call_is_not_asked_to() {
    let db = TestDb::new().await;
    let cannot = Capabilities {
        cancels: Some(false),
        ..Capabilities::UNKNOWN
    };
    let call = db.in_call(&number(1)).await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    assert_eq!(db.sweep().await.cancels.len(), 1);
    db.working("a", cannot).await;
    assert_eq!(db.sweep().await.cancels.len(), 0);
    let why = db.calls.why(call.id).await.unwrap();
    assert!(
        why.iter().any(|why| why.message.contains("ends no calls")),
        "{why:?}"
    );
    db.event(&call, "1", ended(Outcome::Busy)).await;
    assert_eq!(db.state(call.id).await, "canceled");
}

/// What an adapter outside declares must not end the worker's heartbeats.
#[tokio::test]
async fn any_declaration_can_be_kept() {
    let db = TestDb::new().await;
    let odd = Capabilities {
        look_up: Some(LookUps::Hint),
        reports_within: Some(Duration::MAX),
        calls_per_second: Some(f64::NAN),
        place_timeout: Duration::ZERO,
        ..Capabilities::UNKNOWN
    };
    db.working("", odd).await;
    let trunk = trunk(&db).await;
    assert_eq!(trunk.in_effect.look_up, "hint");
    db.sweep().await;
}
