use serde_json::{Value, json};

use crate::support::{Answer, Send, World};

async fn post(world: &World, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let ask = world.ask("POST", path).header("content-type", kind);
    ask.body(body).answer().await
}

async fn enqueue(world: &World, body: impl Into<reqwest::Body>) -> Answer {
    post(world, "/api/v1/calls", "application/json", body).await
}

async fn batch(world: &World, body: String) -> Answer {
    post(world, "/api/v1/calls/batch", "application/json", body).await
}

fn with(fields: &str) -> String {
    format!("{{\"to\":\"+14155550100\",\"scriptId\":\"s\",{fields}}}")
}

async fn is(world: &World, what: &str, answer: &Answer, expected: &str) {
    let found = format!("{} {}", answer.status.as_u16(), answer.code());
    assert_eq!(found, expected, "{what}: {}", answer.text);
    let calls = world.number("select count(*) from pgdial.calls").await;
    assert_eq!(calls, 0, "{what}");
}

#[tokio::test]
async fn nesting_is_bounded_wherever_json_is_read() {
    let world = World::new().await;
    for depth in [40, 100, 1000, 9000] {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for bomb in [arrays, objects] {
            let what = format!("{depth} levels");
            // More than 32 levels are not valid metadata, more than 128 are beyond the JSON parser.
            let expected = if depth < 128 {
                "422 invalid_request"
            } else {
                "400 malformed_json"
            };
            let answer = enqueue(&world, with(&format!("\"metadata\":{{\"a\":{bomb}}}"))).await;
            is(&world, &what, &answer, expected).await;
            let answer = batch(&world, format!("[{bomb}]")).await;
            if answer.status == 200 {
                assert_eq!(answer.body[0]["code"], "invalid_request", "{what}");
            } else {
                is(&world, &what, &answer, "400 malformed_json").await;
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_fields_are_refused_like_one() {
    let world = World::new().await;
    let fields: Vec<_> = (0..300_000).map(|n| format!("\"{n}\":0")).collect();
    let answer = batch(&world, format!("[{{{}}}]", fields.join(","))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body[0]["code"], "invalid_request");
    let items = "[],".repeat(1_000_000);
    let answer = batch(&world, format!("[{items}[]]")).await;
    is(&world, "a million items", &answer, "413 batch_too_large").await;
    let lines = "{}\n".repeat(100_000);
    let answer = post(&world, "/api/v1/calls/batch", "application/x-ndjson", lines).await;
    let refused = answer.text.matches("\"code\":\"invalid_request\"").count();
    assert_eq!((answer.status.as_u16(), refused), (200, 100_000));
}

#[tokio::test]
async fn numbers_without_end_are_refused_or_kept_as_they_can_be() {
    let world = World::new().await;
    let long = "9".repeat(60_000);
    for (number, expected) in [
        (long.as_str(), "400 malformed_json"),
        ("1e400", "400 malformed_json"),
        ("-1e308", "422 invalid_request"),
        ("1e", "400 malformed_json"),
        ("0x10", "400 malformed_json"),
        ("NaN", "400 malformed_json"),
    ] {
        let answer = enqueue(&world, with(&format!("\"metadata\":{{\"n\":{number}}}"))).await;
        is(
            &world,
            number.get(..number.len().min(20)).unwrap(),
            &answer,
            expected,
        )
        .await;
    }
    // Whatever a double can hold comes back digit by digit.
    let answer = enqueue(&world, with("\"metadata\":{\"n\":123456789.12345679}")).await;
    assert!(
        answer.text.contains("{\"n\":123456789.12345679}"),
        "{}",
        answer.text
    );
    let tiny = format!("0.{}1", "0".repeat(15_000));
    let answer = enqueue(&world, with(&format!("\"metadata\":{{\"n\":{tiny}}}"))).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn of_a_field_that_is_given_twice_the_last_one_counts_everywhere() {
    let world = World::new().await;
    let answer = enqueue(
        &world,
        with("\"to\":\"+14155550101\",\"priority\":1,\"priority\":2"),
    )
    .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(
        (&answer.body["to"], &answer.body["priority"]),
        (&json!("+14155550101"), &json!(2))
    );
    let answer = batch(&world, format!("[{}]", with("\"to\":\"nonsense\""))).await;
    assert_eq!(answer.body[0]["code"], "invalid_request");
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 1);
}

#[tokio::test]
async fn a_text_of_16_mib_is_refused_with_the_limit() {
    let world = World::new().await;
    let text = with(&format!(
        "\"metadata\":{{\"text\":\"{}\"}}",
        "x".repeat(16 << 20)
    ));
    is(
        &world,
        "one",
        &enqueue(&world, text.clone()).await,
        "413 body_too_large",
    )
    .await;
    is(
        &world,
        "batch",
        &batch(&world, format!("[{text}]")).await,
        "413 body_too_large",
    )
    .await;
    let webhook = |ask: reqwest::RequestBuilder| ask.body(text.clone()).answer();
    let ask = world.ask("POST", "/callbacks/call-status");
    let signed = webhook(ask.header("x-signature", "00")).await;
    is(&world, "webhook", &signed, "413 body_too_large").await;
    let ask = world.ask("POST", "/callbacks/call-status");
    is(
        &world,
        "unsigned",
        &webhook(ask).await,
        "401 webhook_rejected",
    )
    .await;
}

#[tokio::test]
async fn text_that_is_no_utf8_or_holds_a_nul_is_refused() {
    let world = World::new().await;
    let mut latin = with("\"campaign\":\"caf#\"").into_bytes();
    let at = latin.iter().position(|byte| *byte == b'#').unwrap();
    latin[at] = 0xe9;
    is(
        &world,
        "latin-1",
        &enqueue(&world, latin).await,
        "400 malformed_json",
    )
    .await;
    for (bytes, expected) in [
        (&b"\xff\xfe{\x00}\x00"[..], "400 malformed_json"),
        (b"\xef\xbb\xbf{}", "422 invalid_request"), // a mark of the encoding is none of the text
        (b"{\"to\":\"\x00\"}", "400 malformed_json"),
        (b"\x00", "400 malformed_json"),
        (b"{\"to\\u0000\":1}", "422 invalid_request"),
    ] {
        is(
            &world,
            &format!("{bytes:?}"),
            &enqueue(&world, bytes).await,
            expected,
        )
        .await;
    }
    let lines = &b"{\"to\":\"\xe9\"}\n\x00\n"[..];
    let answer = post(&world, "/api/v1/calls/batch", "application/x-ndjson", lines).await;
    let codes: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["code"].clone())
        .collect();
    assert_eq!(
        codes,
        [json!("malformed_json"), json!("malformed_json")],
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_compressed_body_is_refused_unread() {
    let world = World::new().await;
    let call = "/api/v1/calls/0197f5e0-0000-7000-8000-000000000001";
    for (method, path) in [
        ("POST", "/api/v1/calls".to_owned()),
        ("POST", "/api/v1/calls/batch".to_owned()),
        ("PATCH", call.to_owned()),
        ("POST", format!("{call}/cancel")),
        ("POST", format!("{call}/redrive")),
        ("POST", format!("{call}/resolve")),
    ] {
        for coding in ["gzip", "br", "identity, deflate"] {
            let ask = world.ask(method, &path).header("content-encoding", coding);
            let answer = ask.json(&json!({})).answer().await;
            is(&world, &path, &answer, "415 unsupported_media_type").await;
        }
    }
}
