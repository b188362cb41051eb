use pgdial::{
    domain::Reference,
    provider::{
        signature::{sign_plain, sign_standard},
        tag,
    },
};
use serde_json::{Value, json};

use crate::support::{Answer, OTHER_SECRETS, SECRETS, Send, World, secrets};

const TO: &str = "+14155550100";
const UNKNOWN: &str = "0197f5e0-0000-7000-8000-000000000001-1";

fn url(reference: Reference) -> String {
    tag::webhook_url("", "default", reference, &secrets(SECRETS))
}

async fn now(world: &World) -> i64 {
    world.calls.now().await.unwrap().timestamp()
}

/// By Standard Webhooks.
async fn standard(world: &World, url: &str, by: &str, id: &str, at: i64, body: &str) -> Answer {
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
async fn plain(world: &World, url: &str, by: &str, body: &str) -> Answer {
    let signature = sign_plain(&secrets(by), body.as_bytes());
    world
        .ask("POST", url)
        .header("x-signature", signature)
        .body(body.to_owned())
        .answer()
        .await
}

fn report(status: &str) -> String {
    json!({"callId": "p-1", "status": status, "durationSec": 12}).to_string()
}

async fn verdict_of(world: &World) -> String {
    sqlx::query_scalar("select verdict from pgdial.webhook_events order by id desc limit 1")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

async fn events(world: &World) -> i64 {
    world
        .number("select count(*) from pgdial.webhook_events")
        .await
}

/// One answer for everything that is not believed, and nothing kept.
async fn is_rejected(world: &World, answer: &Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (401, "webhook_rejected"),
        "{answer:?}"
    );
    assert_eq!(answer.header("www-authenticate"), "Webhook-Signature");
    assert_eq!(events(world).await, 0);
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
async fn what_is_not_signed_by_the_trunk_is_rejected() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let (url, body, at) = (
        url(call.reference()),
        report("COMPLETED"),
        now(&world).await,
    );
    let raw = |headers: &[(&'static str, String)]| {
        let mut ask = world.ask("POST", &url).body(body.clone());
        for (name, value) in headers {
            ask = ask.header(*name, value);
        }
        ask.answer()
    };
    let good = sign_plain(&secrets(SECRETS), body.as_bytes());
    let v1 = sign_standard(&secrets(SECRETS), "m-1", at, body.as_bytes());
    for answer in [
        raw(&[]).await,
        raw(&[("x-signature", String::new())]).await,
        raw(&[("x-signature", "zz".to_owned())]).await,
        raw(&[("x-signature", good.get(..32).unwrap().to_owned())]).await,
        raw(&[(
            "x-signature",
            sign_plain(&secrets(SECRETS), b"another body"),
        )])
        .await,
        // The weaker scheme does not help a message that claims the stronger one.
        raw(&[
            ("webhook-id", "m-1".to_owned()),
            ("x-signature", good.clone()),
        ])
        .await,
        raw(&[
            ("webhook-id", "m-1".to_owned()),
            ("webhook-timestamp", at.to_string()),
        ])
        .await,
        raw(&[
            ("webhook-id", "m-2".to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", v1.clone()),
        ])
        .await,
        raw(&[
            ("webhook-id", "m-1".to_owned()),
            ("webhook-timestamp", "soon".to_owned()),
            ("webhook-signature", v1),
        ])
        .await,
        standard(&world, &url, "somebody else", "m-1", at, &body).await,
        plain(&world, &url, OTHER_SECRETS, &body).await,
        // Too old, too new.
        standard(&world, &url, SECRETS, "m-1", at - 400, &body).await,
        standard(&world, &url, SECRETS, "m-1", at + 400, &body).await,
        standard(&world, &url, SECRETS, "m-1", 0, &body).await,
    ] {
        is_rejected(&world, &answer).await;
    }
    assert_eq!(world.state(&call.id.to_string()).await, "dialing");
}

#[tokio::test]
async fn a_report_cannot_be_attached_to_another_call_or_trunk() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let (reference, body) = (call.reference(), report("COMPLETED"));
    let good = tag::make(&secrets(SECRETS), "default", reference);
    let path = |trunk: &str, reference: &str, tag: &str| {
        format!("/callbacks/call-status?trunk={trunk}&reference={reference}&tag={tag}")
    };
    let next = Reference {
        claim_no: 2,
        ..reference
    };
    for url in [
        path("default", &reference.to_string(), ""),
        path("default", &reference.to_string(), good.get(..2).unwrap()),
        path("default", &next.to_string(), &good),
        path("default", UNKNOWN, &good),
        path("default", "1", &good),
        path("default", &reference.to_string().to_uppercase(), &good),
        format!("/callbacks/call-status?reference={reference}"),
        path("other", &reference.to_string(), &good),
        path("nowhere", &reference.to_string(), &good),
        path("default%00", &reference.to_string(), &good),
    ] {
        is_rejected(&world, &plain(&world, &url, SECRETS, &body).await).await;
    }
    // The other trunk's own signature and tag are good; the call is not on that trunk.
    let url = tag::webhook_url("", "other", reference, &secrets(OTHER_SECRETS));
    assert_eq!(plain(&world, &url, OTHER_SECRETS, &body).await.status, 200);
    assert_eq!(verdict_of(&world).await, "mismatch");
    assert_eq!(world.state(&call.id.to_string()).await, "dialing");
}

#[tokio::test]
async fn an_unknown_trunk_is_refused_like_a_bad_signature() {
    let world = World::new().await;
    let body = report("COMPLETED");
    let without = |answer: Answer| {
        let mut body: Value = answer.body;
        body["requestId"] = Value::Null;
        (answer.status, body)
    };
    let unknown = plain(
        &world,
        "/callbacks/call-status?trunk=nowhere",
        SECRETS,
        &body,
    )
    .await;
    let wrong = plain(
        &world,
        "/callbacks/call-status?trunk=default",
        "wrong",
        &body,
    )
    .await;
    assert_eq!(without(unknown), without(wrong));
    let metrics = world.get("/metrics").await.text;
    for reason in ["unknown_trunk", "signature"] {
        let line = format!("pgdial_webhook_rejections_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
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
