use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Send, ServerOptions, World};

fn request() -> Value {
    json!({"to": "+14155550100", "scriptId": "welcome"})
}

async fn post(world: &World, key: &str, body: &Value) -> Answer {
    world
        .ask("POST", "/api/v1/calls")
        .header("Idempotency-Key", key)
        .json(body)
        .answer()
        .await
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_the_same_call() {
    let world = World::new().await;
    let first = post(&world, "k1", &request()).await;
    let again = json!({"scriptId": "welcome", "to": "+1 415 555 0100", "priority": 0});
    let again = post(&world, "k1", &again).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(first.body["idempotencyKey"], "k1");
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let world = World::new().await;
    post(&world, "k1", &request()).await;
    let other = json!({"to": "+14155550101", "scriptId": "welcome"});
    let refused = post(&world, "k1", &other).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "idempotency_key_reused")
    );
}

#[tokio::test]
async fn a_request_sent_twenty_times_at_once_is_one_call() {
    let world = World::new().await;
    let body = request();
    let answers = join_all((0..20).map(|_| post(&world, "k1", &body))).await;
    let created = answers.iter().filter(|a| a.status == 201).count();
    let replayed = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!((created, replayed), (1, 19), "{answers:#?}");
    assert!(
        answers
            .iter()
            .all(|a| a.body["id"] == answers[0].body["id"])
    );
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 1);
}

#[tokio::test]
async fn a_key_that_somebodys_transaction_holds_is_locked() {
    let world = World::new().await;
    let mut holder = world.pool.begin().await.unwrap();
    let mut same = request();
    same["idempotencyKey"] = json!("k1");
    sqlx::query("select * from pgdial.enqueue_many('{anonymous}', $1)")
        .bind(json!([same]))
        .execute(&mut *holder)
        .await
        .unwrap();
    let refused = post(&world, "k1", &request()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "idempotency_key_locked")
    );
    assert_eq!(refused.header("retry-after"), "1");
    holder.rollback().await.unwrap();
    assert_eq!(post(&world, "k1", &request()).await.status, 201);
}

#[tokio::test]
async fn the_key_may_stand_in_the_header_or_in_the_body_but_not_differ() {
    let world = World::new().await;
    let mut body = request();
    body["idempotencyKey"] = json!("k1");
    assert_eq!(world.send("POST", "/api/v1/calls", &body).await.status, 201);
    assert_eq!(post(&world, "k1", &request()).await.status, 200);
    assert_eq!(post(&world, "k1", &body).await.status, 200);
    let refused = post(&world, "k2", &body).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "invalid_request")
    );
    assert!(refused.detail().contains("differ"));
}

#[tokio::test]
async fn a_key_belongs_to_the_api_key_that_used_it() {
    let wishes = ServerOptions {
        api_keys: "crm:one,desk:two,crm:three",
        ..ServerOptions::default()
    };
    let world = World::with(wishes).await;
    let body = request();
    let post = |key: &'static str| {
        let ask = world
            .ask("POST", "/api/v1/calls")
            .header("Idempotency-Key", "k1");
        ask.bearer_auth(key).json(&body).answer()
    };
    let (crm, desk, crm_again) = (post("one").await, post("two").await, post("three").await);
    assert_eq!(crm.body["owner"], "crm");
    assert_eq!((crm.status.as_u16(), desk.status.as_u16()), (201, 201));
    assert_eq!(
        (crm_again.status.as_u16(), &crm_again.body["id"]),
        (200, &crm.body["id"])
    );
}

#[tokio::test]
async fn a_whole_number_is_one_however_it_is_written() {
    let world = World::new().await;
    let ask = |number: &str, attempts: &str| {
        let body = format!(
            "{{\"to\":\"+14155550100\",\"scriptId\":\"s\",\"idempotencyKey\":\"k\",\
             \"priority\":{number},\"maxAttempts\":{attempts}}}"
        );
        let ask = world.ask("POST", "/api/v1/calls");
        let ask = ask.header("content-type", "application/json").body(body);
        ask.answer()
    };
    let new = ask("5.0", "20.00").await;
    assert_eq!(new.status, 201, "{}", new.text);
    assert_eq!(
        (&new.body["priority"], &new.body["maxAttempts"]),
        (&json!(5), &json!(20))
    );
    assert_eq!(ask("5", "20").await.status, 200);
    assert_eq!(ask("5e0", "2e1").await.status, 200);
}
