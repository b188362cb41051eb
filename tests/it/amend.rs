//! amend: waiting → waiting, with other values.

use pgdial::flow::amend::Amended;
use serde_json::{Value, json};

use crate::support::{TestDb, number};

async fn amend(db: &TestDb, id: pgdial::domain::CallId, changes: Value) -> Amended {
    db.calls.amend(id, "ann", &changes).await.unwrap()
}

#[tokio::test]
async fn a_waiting_call_takes_other_wishes_and_keeps_the_rest() {
    let db = TestDb::new().await;
    let id = db
        .enqueue_as(json!({
            "to": number(1), "scriptId": "old", "metadata": {"a": 1}, "priority": 2,
            "expiresAt": "2126-01-01T00:00:00Z", "maxAttempts": 4,
        }))
        .await;
    let facts =
        "(script_id, metadata, priority, expires_at is null, max_attempts, run_at > pgdial.now())";
    let amended = amend(&db, id, json!({ "scriptId": "new" })).await;
    assert_eq!(amended, Amended::Amended);
    assert_eq!(
        db.column(id, facts).await,
        "(new,\"{\"\"a\"\": 1}\",2,f,4,f)"
    );
    let changes = json!({
        "metadata": {"b": 2}, "priority": 9, "expiresAt": null, "maxAttempts": 1,
        "runAt": "2125-01-01T00:00:00Z",
    });
    assert_eq!(amend(&db, id, changes).await, Amended::Amended);
    assert_eq!(
        db.column(id, facts).await,
        "(new,\"{\"\"b\"\": 2}\",9,t,1,t)"
    );
    assert_eq!(db.story(id).await, "waiting amended amended");
    let noted = db.detail(id, "amended").await;
    assert_eq!(noted["by"], "ann");
    assert!(
        noted["changes"].get("metadata").is_none(),
        "it may be private"
    );
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_with_a_sentence() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    for (changes, words) in [
        (json!({ "to": number(2) }), "enqueue another"),
        (json!({ "campaign": "other" }), "enqueue another"),
        (json!({ "from": "+14155559999" }), "enqueue another"),
        (json!({ "idempotencyKey": "k" }), "enqueue another"),
        (json!({ "priority": 12 }), "0 to 9"),
        (json!({ "expiresAt": "2001-01-01T00:00:00Z" }), "later than"),
        (
            json!({ "runAt": "2000-01-01T00:00:00Z", "expiresAt": "2001-01-01T00:00:00Z" }),
            "past",
        ),
        (json!({ "colour": "red" }), "unknown field"),
        (json!(["scriptId"]), "unknown field"),
        (json!("scriptId"), "unknown field"),
    ] {
        let amended = amend(&db, id, changes.clone()).await;
        let Amended::Invalid(sentence) = &amended else {
            panic!("{changes}: {amended:?}");
        };
        assert!(sentence.contains(words), "{changes}: {sentence}");
    }
    assert_eq!(db.story(id).await, "waiting");
}

#[tokio::test]
async fn max_attempts_cannot_fall_below_the_attempts_used() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    db.settle(&call, pgdial::domain::Outcome::Busy).await;
    db.forward("1 hour").await;
    let call = db.claim(1).await.pop().unwrap();
    db.settle(&call, pgdial::domain::Outcome::Busy).await;
    let below = amend(&db, call.id, json!({ "maxAttempts": 1 })).await;
    assert!(matches!(below, Amended::Invalid(_)), "{below:?}");
    let enough = amend(&db, call.id, json!({ "maxAttempts": 2 })).await;
    assert_eq!(enough, Amended::Amended);
}

#[tokio::test]
async fn a_call_that_no_longer_waits_is_not_amended() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let changes = json!({ "priority": 1 });
    assert_eq!(
        amend(&db, call.id, changes.clone()).await,
        Amended::NotWaiting
    );
    db.settle(&call, pgdial::domain::Outcome::Answered).await;
    assert_eq!(
        amend(&db, call.id, changes.clone()).await,
        Amended::NotWaiting
    );
    db.sql("delete from pgdial.calls").await;
    assert_eq!(amend(&db, call.id, changes).await, Amended::NotFound);
}

#[tokio::test]
async fn a_held_number_cannot_be_brought_forward() {
    let db = TestDb::new().await;
    db.sql("update pgdial.campaigns set redial_unknown = true")
        .await;
    let call = db.given_up(&number(1)).await;
    assert_eq!(db.state(call.id).await, "waiting");
    amend(&db, call.id, json!({ "runAt": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(db.column(call.id, "run_at >= hold_until").await, "true");
}
