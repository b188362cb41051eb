use pgdial::{
    domain::Reference,
    provider::{
        signature::{sign_plain, sign_standard},
        tag,
    },
};
use serde_json::json;

use crate::support::{Answer, OTHER_SECRETS, SECRETS, Send, World, secrets};

pub(crate) const TO: &str = "+14155550100";
pub(crate) const UNKNOWN: &str = "0197f5e0-0000-7000-8000-000000000001-1";

pub(crate) fn url(reference: Reference) -> String {
    tag::webhook_url("", "default", reference, &secrets(SECRETS))
}

pub(crate) async fn now(world: &World) -> i64 {
    world.calls.now().await.unwrap().timestamp()
}

/// Sends it signed by Standard Webhooks.
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

/// Sends it signed by the plain scheme.
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
    // The trunk may be left out, too.
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
async fn a_webhook_of_4_mib_is_kept_with_its_small_facts_and_a_larger_one_is_refused() {
    const LARGEST: usize = 4 * 1024 * 1024;
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let body = |length: usize| {
        let report = |text: String| {
            json!({"callId": "p-1", "status": "COMPLETED", "durationSec": 42, "cost": 0.5,
                   "recordingUrl": "https://x/1", "transcript": text})
            .to_string()
        };
        report("x".repeat(length - report(String::new()).len()))
    };
    let refused = plain(&world, &url(call.reference()), SECRETS, &body(LARGEST + 1)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (413, "body_too_large")
    );
    let whole = body(LARGEST);
    let answer = plain(&world, &url(call.reference()), SECRETS, &whole).await;
    assert_eq!(answer.status, 200);
    let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await.body;
    assert_eq!(
        shown["result"],
        json!({"durationSec": 42, "cost": 0.5, "recordingUrl": "https://x/1", "truncated": ["transcript"]})
    );
    let kept = world
        .get(&format!("/api/v1/calls/{}/webhooks", call.id))
        .await
        .body;
    assert_eq!(kept["webhooks"][0]["body"], whole, "the body is whole");
}

#[tokio::test]
async fn a_webhook_finds_its_dial_however_its_url_arrives() {
    let world = World::new().await;
    for (n, change) in [
        |url: &str| url.to_owned(),
        |url: &str| format!("{url}/"),
        |url: &str| format!("/{url}"),
        |url: &str| url.replace("call-status/", "call-status//"),
        |url: &str| format!("{url}?utm_source=x&reference=none"),
        |url: &str| url.replace("default", "d%65fault"),
        |url: &str| {
            let mut parts = url.split('/').skip(3);
            let mut next = || parts.next().unwrap().to_owned();
            let (trunk, reference, tag) = (next(), next(), next());
            format!("/callbacks/call-status?trunk={trunk}&reference={reference}&tag={tag}")
        },
        |url: &str| {
            let mut parts = url.split('/').skip(3);
            let mut next = || parts.next().unwrap().to_owned();
            let (trunk, reference, tag) = (next(), next(), next());
            format!(
                "/callbacks/call-status/{trunk}?reference={}&tag={tag}",
                reference.to_uppercase()
            )
        },
    ]
    .into_iter()
    .enumerate()
    {
        let call = world.dialing(&format!("+1415555{n:04}")).await;
        let url = change(&url(call.reference()));
        let answer = plain(&world, &url, SECRETS, r#"{"status":"BUSY"}"#).await;
        assert_eq!(
            (answer.status.as_u16(), verdict_of(&world).await.as_str()),
            (200, "applied"),
            "{url}"
        );
    }
    // An account with one URL for all calls: the trunk is in the path, because a query may get lost.
    let nobodys = tag::account_url("", "other");
    let answer = plain(&world, &nobodys, OTHER_SECRETS, &report("BUSY")).await;
    assert_eq!(
        (answer.status.as_u16(), verdict_of(&world).await.as_str()),
        (200, "parked")
    );
}

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_webhook_is_read_whether_it_was_signed_before_or_after() {
    let world = World::new().await;
    let body = report("COMPLETED");
    for (n, signed) in [body.as_bytes().to_vec(), gzip(&body)]
        .into_iter()
        .enumerate()
    {
        let call = world.dialing(&format!("+1415555{n:04}")).await;
        let answer = world
            .ask("POST", &url(call.reference()))
            .header("content-encoding", "gzip")
            .header("x-signature", sign_plain(&secrets(SECRETS), &signed))
            .body(gzip(&body))
            .answer()
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(world.state(&call.id.to_string()).await, "completed");
        let kept = world
            .get(&format!("/api/v1/calls/{}/webhooks", call.id))
            .await
            .body;
        assert_eq!(kept["webhooks"][0]["body"], body);
    }
    let forged = world
        .ask("POST", "/callbacks/call-status")
        .header("content-encoding", "gzip")
        .header(
            "x-signature",
            sign_plain(&secrets("another"), body.as_bytes()),
        )
        .body(gzip(&body))
        .answer()
        .await;
    assert_eq!(forged.status, 401);
}

#[tokio::test]
async fn svix_and_hub_signatures_are_those_of_their_schemes() {
    let world = World::new().await;
    let (at, body) = (now(&world).await, report("BUSY"));
    let standard = sign_standard(&secrets(SECRETS), "m-1", at, body.as_bytes());
    let plain = sign_plain(&secrets(SECRETS), body.as_bytes());
    for (n, headers) in [
        vec![
            ("svix-id", "m-1".to_owned()),
            ("svix-timestamp", at.to_string()),
            ("svix-signature", standard),
        ],
        vec![("x-hub-signature-256", format!("sha256={plain}"))],
        vec![("x-webhook-signature", plain)],
    ]
    .into_iter()
    .enumerate()
    {
        let call = world.dialing(&format!("+1415555{n:04}")).await;
        let mut ask = world.ask("POST", &url(call.reference())).body(body.clone());
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        assert_eq!(ask.answer().await.status, 200);
        assert_eq!(verdict_of(&world).await, "applied");
    }
}

#[tokio::test]
async fn what_was_reported_about_a_call_is_shown_as_it_came() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    for body in [
        report("RINGING"),
        report("COMPLETED"),
        "{\"summary\": \"<b>\u{7}\"}".to_owned(),
    ] {
        plain(&world, &url(call.reference()), SECRETS, &body).await;
    }
    let odd = b"\xff\x00";
    let ask = world.ask("POST", &url(call.reference())).body(odd.to_vec());
    ask.header("x-signature", sign_plain(&secrets(SECRETS), odd))
        .answer()
        .await;
    let path = format!("/api/v1/calls/{}/webhooks", call.id);
    let page = world.get(&format!("{path}?limit=2")).await.body;
    assert_eq!(page["webhooks"][0]["bodyBase64"], "/wA=");
    assert_eq!(page["webhooks"][0]["verdict"], "unparsable");
    assert_eq!(page["webhooks"][1]["body"], "{\"summary\": \"<b>\u{7}\"}");
    assert_eq!(page["webhooks"][1]["verdict"], "applied");
    let next = page["nextCursor"].as_str().unwrap();
    let page = world
        .get(&format!("{path}?limit=2&cursor={next}"))
        .await
        .body;
    let statuses: Vec<_> = page["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["status"])
        .collect();
    assert_eq!(statuses, ["COMPLETED", "RINGING"]);
    assert_eq!(page["nextCursor"], serde_json::Value::Null);
    let nobody = path.replace(&call.id.to_string(), "0197f5e0-0000-7000-8000-000000000001");
    assert_eq!(world.get(&nobody).await.code(), "not_found");
    for query in ["limit=0", "limit=101", "cursor=0", "cursor=x", "after=1"] {
        assert_eq!(
            world.get(&format!("{path}?{query}")).await.code(),
            "invalid_query",
            "{query}"
        );
    }
    let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await.body;
    assert_eq!(shown["result"]["summary"], "<b>\u{7}");
}

#[tokio::test]
async fn what_other_writers_take_for_json_settles_its_call_too() {
    let world = World::new().await;
    let deep = format!(
        "{{\"x\":{}1{},\"status\":\"BUSY\"}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    for (n, body) in [
        r#"{"status":"BUSY","durationSec":NaN,"n":-Infinity}"#,
        r#"{"status":"BUSY","durationSec":1e400}"#,
        "\u{feff}{\"status\":\"BUSY\"}",
        "{\"status\":\"BUSY\",\"t\":\"a\nb\"}",
        "{\"status\":\"BUSY\"}\0",
        &deep,
        "status=BUSY&durationSec=12",
        r#"[{"status":"user-busy"}]"#,
    ]
    .into_iter()
    .enumerate()
    {
        let call = world.dialing(&format!("+1415555{n:04}")).await;
        plain(&world, &url(call.reference()), SECRETS, body).await;
        let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await.body;
        assert_eq!(shown["outcome"], "busy", "{body}");
    }
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
