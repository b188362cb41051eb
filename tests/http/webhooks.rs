use pgdial::{
    domain::Reference,
    provider::{
        signature::{sign_plain, sign_standard},
        tag,
    },
};
use serde_json::json;

use crate::support::{Answer, SECRETS, Send, World, secrets};

pub(crate) const TO: &str = "+14155550100";
pub(crate) const UNKNOWN: &str = "0197f5e0-0000-7000-8000-000000000001-1";

pub(crate) fn url(reference: Reference) -> String {
    tag::webhook_url("", "default", reference, &secrets(SECRETS))
}

pub(crate) async fn now(world: &World) -> i64 {
    world.calls.now().await.unwrap().timestamp()
}

/// By Standard Webhooks.
pub(crate) async fn standard(
    world: &World,
    url: &str,
    by: &str,
    id: &str,
    at: i64,
    body: &str,
) -> Answer {
    world
        .ask("POST", url)
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header(
            "webhook-signature",
            sign_standard(&secrets(by), id, at, body.as_bytes()),
        )
        .body(body.to_owned())
        .answer()
        .await
}

/// By the plain scheme.
pub(crate) async fn plain(world: &World, url: &str, by: &str, body: &str) -> Answer {
    let signature = sign_plain(&secrets(by), body.as_bytes());
    world
        .ask("POST", url)
        .header("x-signature", signature)
        .body(body.to_owned())
        .answer()
        .await
}

pub(crate) fn report(status: &str) -> String {
    json!({"callId": "p-1", "status": status, "durationSec": 12}).to_string()
}

pub(crate) async fn verdict_of(world: &World) -> String {
    sqlx::query_scalar("select verdict from pgdial.webhook_events order by id desc limit 1")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_signed_report_settles_its_call_by_either_scheme() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let answer = plain(&world, &url(call.reference()), SECRETS, &report("RINGING")).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &json!({})));
    assert_eq!(world.state(&call.id.to_string()).await, "in_call");
    let at = now(&world).await;
    let answer = standard(
        &world,
        &url(call.reference()),
        SECRETS,
        "m-1",
        at,
        &report("completed"),
    )
    .await;
    assert_eq!(answer.status, 200);
    let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await.body;
    assert_eq!(
        (&shown["state"], &shown["outcome"]),
        (&json!("completed"), &json!("answered"))
    );
    assert_eq!(shown["result"]["durationSec"], 12);
}

#[tokio::test]
async fn a_second_delivery_changes_nothing_and_is_answered_alike() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let at = now(&world).await;
    for _ in 0..2 {
        let answer = standard(
            &world,
            &url(call.reference()),
            SECRETS,
            "m-1",
            at,
            &report("BUSY"),
        )
        .await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(
        world
            .number("select deliveries::int8 from pgdial.webhook_events")
            .await,
        2
    );
    let metrics = world.get("/metrics").await.text;
    assert!(
        metrics.contains("pgdial_webhook_events_total{verdict=\"applied\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("pgdial_webhook_events_total{verdict=\"duplicate\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_event_id_in_the_body_goes_before_the_header() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let at = now(&world).await;
    let body = json!({"callId": "p-1", "status": "RINGING", "eventId": "e-1"}).to_string();
    for id in ["m-1", "m-2"] {
        standard(&world, &url(call.reference()), SECRETS, id, at, &body).await;
    }
    assert_eq!(world.number("select count(*) from pgdial.webhook_events where event_id = 'e-1' and deliveries = 2").await, 1);
}

#[tokio::test]
async fn a_very_long_event_id_is_kept_too() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let at = now(&world).await;
    let id = "m".repeat(9000);
    let answer = standard(
        &world,
        &url(call.reference()),
        SECRETS,
        &id,
        at,
        &report("BUSY"),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_retired_secret_still_signs_and_tags() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let retired = "retired secret";
    let old_url = tag::webhook_url("", "default", call.reference(), &secrets(retired));
    assert_eq!(
        plain(&world, &old_url, retired, &report("BUSY"))
            .await
            .status,
        200
    );
    assert_eq!(verdict_of(&world).await, "applied");
}

#[tokio::test]
async fn without_a_reference_the_providers_id_finds_the_call() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    world.calls.dialed(call.reference(), "p-1").await.unwrap();
    // The trunk may be left out too.
    let answer = plain(
        &world,
        "/callbacks/call-status",
        SECRETS,
        &report("COMPLETED"),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.state(&call.id.to_string()).await, "completed");
}

#[tokio::test]
async fn a_report_about_a_call_that_nobody_knows_is_parked_or_stale_and_kept() {
    let world = World::new().await;
    let body = report("COMPLETED");
    assert_eq!(
        plain(
            &world,
            "/callbacks/call-status?trunk=default",
            SECRETS,
            &body
        )
        .await
        .status,
        200
    );
    assert_eq!(verdict_of(&world).await, "parked");
    assert_eq!(
        plain(&world, &url(UNKNOWN.parse().unwrap()), SECRETS, &body)
            .await
            .status,
        200
    );
    assert_eq!(verdict_of(&world).await, "stale");
}

#[tokio::test]
async fn signed_garbage_is_kept_as_unparsable_and_answered_200() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    for body in [
        "",
        "garbage",
        "[]",
        "{\"status\":",
        "{\"status\":7.5}",
        "\u{0}",
        "{\"a\":\"\u{0}\"}",
    ] {
        let answer = plain(&world, &url(call.reference()), SECRETS, body).await;
        assert_eq!(answer.status, 200, "{body:?} {answer:?}");
    }
    let answer = plain(
        &world,
        &url(call.reference()),
        SECRETS,
        &report("TELEPORTED"),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), verdict_of(&world).await.as_str()),
        (200, "noted")
    );
    assert_eq!(world.state(&call.id.to_string()).await, "dialing");
}

#[tokio::test]
async fn a_webhook_of_256_kib_is_kept_and_a_larger_one_is_refused() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let body = |length: usize| {
        let empty = json!({"callId": "p-1", "status": "BUSY", "transcript": ""})
            .to_string()
            .len();
        json!({"callId": "p-1", "status": "BUSY", "transcript": "x".repeat(length - empty)})
            .to_string()
    };
    let refused = plain(
        &world,
        &url(call.reference()),
        SECRETS,
        &body(256 * 1024 + 1),
    )
    .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (413, "body_too_large")
    );
    assert_eq!(
        plain(&world, &url(call.reference()), SECRETS, &body(256 * 1024))
            .await
            .status,
        200
    );
    assert_eq!(verdict_of(&world).await, "applied");
}

#[tokio::test]
async fn an_event_that_the_database_did_not_take_is_asked_for_again() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    world
        .sql("alter table pgdial.webhook_events rename to gone")
        .await;
    let answer = plain(&world, &url(call.reference()), SECRETS, &report("BUSY")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "unavailable")
    );
    assert!(answer.header("retry-after").parse::<u32>().is_ok());
    assert!(!answer.text.contains("webhook_events"), "{}", answer.text);
    world
        .sql("alter table pgdial.gone rename to webhook_events")
        .await;
    assert_eq!(
        plain(&world, &url(call.reference()), SECRETS, &report("BUSY"))
            .await
            .status,
        200
    );
    assert_eq!(verdict_of(&world).await, "applied");
}
