//! `/readyz`: each duty of the process, judged by the last result of the duty itself.

use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::{support::World, webhooks::TO};

async fn sql(world: &World, text: &str) {
    let mut session = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(&mut *session)
        .await
        .unwrap();
}

/// Polls until this status comes with these words.
async fn until(world: &World, status: u16, words: &str) {
    loop {
        let answer = world.get("/readyz").await;
        if answer.status == status && answer.text.contains(words) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_written_to_is_told_by_its_cause() {
    let world = World::new().await;
    assert_eq!(world.get("/readyz").await.body["status"], "ready");
    let (name,): (String,) = sqlx::query_as("select current_database()")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    sql(
        &world,
        &format!(
            "alter database {name} set default_transaction_read_only = on; \
             select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and application_name = 'pgdial http'"
        ),
    )
    .await;
    until(&world, 503, "write has failed").await;
    until(&world, 503, "transactions are read-only").await;
    let metrics = world.get("/metrics").await.text;
    assert!(
        metrics.contains("pgdial_failing_seconds{work=\"write\"}"),
        "{metrics}"
    );
    sql(&world, &format!("set default_transaction_read_only = off; alter database {name} reset default_transaction_read_only")).await;
    until(&world, 200, "ready").await;
}

/// A ping would succeed.
#[tokio::test]
async fn requests_that_wait_for_their_answer_are_told_though_others_are_served() {
    let world = World::new().await;
    sql(
        &world,
        "create function held_up() returns trigger language plpgsql as $$ begin \
             perform set_config('lock_timeout', '0', true), pg_advisory_xact_lock(4711); \
             return new; end $$; \
         create trigger held_up before insert on pgdial.calls for each row execute function held_up()",
    )
    .await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(4711)")
        .execute(&mut *holder)
        .await
        .unwrap();
    let request = json!({ "to": TO, "scriptId": "s" });
    let told = async {
        until(&world, 503, "enqueue has failed").await;
        holder.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(world.send("POST", "/api/v1/calls", &request), told);
    assert_eq!(answer.status, 201);
    until(&world, 200, "ready").await;
}

/// The database responds, but nothing is dialled: a session is frozen or was left open.
#[tokio::test]
async fn a_gate_that_another_session_keeps_is_told() {
    let world = World::new().await;
    world.enqueue(TO).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select pgdial.gate()")
        .execute(&mut *holder)
        .await
        .unwrap();
    assert!(world.claim().await.is_empty());
    let told = world.get("/readyz").await;
    assert_eq!(told.status, 503, "{}", told.text);
    assert!(told.text.contains("claim has failed"), "{}", told.text);
    holder.rollback().await.unwrap();
    assert_eq!(world.claim().await.len(), 1);
    assert_eq!(world.get("/readyz").await.status, 200);
}

/// No key is at fault, and many clients take 409 for "it exists already".
#[tokio::test]
async fn a_locked_table_is_unavailable_and_no_conflict() {
    let world = World::new().await;
    let id = world.enqueue(TO).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table pgdial.calls in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    let request = json!({ "to": "+14155550199", "scriptId": "s" });
    let keyed = json!({ "to": "+14155550198", "scriptId": "s", "idempotencyKey": "k" });
    let (cancel, amend) = (
        format!("/api/v1/calls/{id}/cancel"),
        format!("/api/v1/calls/{id}"),
    );
    let batch = json!([request, keyed]);
    for (method, path, body) in [
        ("POST", "/api/v1/calls", &request),
        ("POST", "/api/v1/calls", &keyed),
        ("POST", "/api/v1/calls/batch", &batch),
        ("POST", &*cancel, &json!({})),
        ("PATCH", &*amend, &json!({ "priority": 3 })),
    ] {
        let refused = world.send(method, path, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (503, "unavailable"),
            "{path} {body}: {}",
            refused.text
        );
        assert!(!refused.header("retry-after").is_empty(), "{path}");
    }
    holder.rollback().await.unwrap();
    assert_eq!(
        world.send("POST", "/api/v1/calls", &keyed).await.status,
        201
    );
}
