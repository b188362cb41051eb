use pgdial::{
    domain::Reference,
    provider::{
        signature::{sign_plain, sign_standard},
        tag,
    },
};
use serde_json::Value;

use crate::{
    support::{Answer, OTHER_SECRETS, SECRETS, Send, World, secrets},
    webhooks::{TO, UNKNOWN, now, plain, report, standard, url, verdict_of},
};

async fn events(world: &World) -> i64 {
    world
        .number("select count(*) from pgdial.webhook_events")
        .await
}

/// Asserts the one response for everything that is not believed, and that nothing was stored.
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
        // The weaker scheme cannot rescue a message that claims the stronger one.
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
        // Too old, and too new.
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
    let in_path = |trunk: &str, reference: &str, tag: &str| {
        format!("/callbacks/call-status/{trunk}/{reference}/{tag}")
    };
    for url in [
        in_path("default", &reference.to_string(), ""),
        in_path("default", &next.to_string(), &good),
        in_path("default", UNKNOWN, &good),
        in_path("other", &reference.to_string(), &good),
        in_path("nowhere", &reference.to_string(), &good),
        in_path("%64efault%00", &reference.to_string(), &good),
        // The query does not override the path.
        in_path("default", UNKNOWN, &good) + &format!("?reference={reference}&tag={good}"),
        path("default", &reference.to_string(), ""),
        path("default", &reference.to_string(), good.get(..2).unwrap()),
        path("default", &next.to_string(), &good),
        path("default", UNKNOWN, &good),
        path("default", "1", &good),
        format!("/callbacks/call-status?reference={reference}"),
        path("other", &reference.to_string(), &good),
        path("nowhere", &reference.to_string(), &good),
        path("default%00", &reference.to_string(), &good),
    ] {
        is_rejected(&world, &plain(&world, &url, SECRETS, &body).await).await;
    }
    // The other trunk's own signature and tag are valid, but the call is not on that trunk.
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

/// Value of a counter, by name and label.
fn counted(metrics: &str, series: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("{series} is not in\n{metrics}"));
    value.trim().parse().unwrap()
}

/// Forged, stale and replayed webhooks: each moves its own counter and no other.
#[tokio::test]
async fn whatever_is_not_believed_or_came_before_is_counted_under_its_reason() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let (url, body, at) = (
        url(call.reference()),
        report("COMPLETED"),
        now(&world).await,
    );
    let untagged = format!("/callbacks/call-status?reference={}", call.reference());
    let unsigned = world.ask("POST", &url).body(body.clone()).answer();
    let malformed = world.ask("POST", &url).header("x-signature", "zz").answer();
    assert_eq!(unsigned.await.status, 401);
    assert_eq!(malformed.await.status, 401);
    plain(&world, &url, "somebody else", &body).await;
    plain(
        &world,
        "/callbacks/call-status?trunk=nowhere",
        SECRETS,
        &body,
    )
    .await;
    plain(&world, &untagged, SECRETS, &body).await;
    plain(&world, &url, SECRETS, &"x".repeat(4 * 1024 * 1024 + 1)).await;
    standard(&world, &url, SECRETS, "m-1", at - 400, &body).await;
    for _first_and_replayed in 0..2 {
        let answer = standard(&world, &url, SECRETS, "m-1", at, &body).await;
        assert_eq!(answer.status, 200);
    }
    // About a call that has ended: stored, and stale.
    standard(&world, &url, SECRETS, "m-2", at, &report("RINGING")).await;

    let metrics = world.get("/metrics").await.text;
    for reason in [
        "unsigned",
        "malformed",
        "signature",
        "unknown_trunk",
        "tag",
        "unreadable",
        "too_old",
    ] {
        let series = format!("pgdial_webhook_rejections_total{{reason=\"{reason}\"}}");
        assert_eq!(counted(&metrics, &series), 1, "{reason}");
    }
    for (verdict, count) in [
        ("applied", 1),
        ("duplicate", 1),
        ("stale", 1),
        ("parked", 0),
    ] {
        let series = format!("pgdial_webhook_events_total{{verdict=\"{verdict}\"}}");
        assert_eq!(counted(&metrics, &series), count, "{verdict}");
    }
    assert_eq!(events(&world).await, 2);
}
