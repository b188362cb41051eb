use serde_json::{Value, json};

use crate::support::{Send, World};

const PATH: &str = "/api/v1/calls/batch";

fn item(to: &str, key: &str) -> Value {
    json!({"to": to, "scriptId": "s", "idempotencyKey": key})
}

#[tokio::test]
async fn each_item_of_an_array_has_its_own_result() {
    let world = World::new().await;
    let items = json!([
        item("+14155550100", "a"),
        item("nobody", "b"),
        item("+14155550100", "a"),
        item("+14155550101", "a"),
        {"to": "+14155550102", "scriptId": "s", "campaign": "nowhere"},
        "text",
        {"to": "+14155550103", "scriptId": "\u{0}"},
        {"to": "+14155550104", "scriptId": "s"},
    ]);
    let answer = world.send("POST", PATH, &items).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results: Vec<_> = answer
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let text = |name: &str| result[name].as_str().unwrap_or_default();
            assert_eq!(
                result["id"].is_string(),
                text("status") != "error",
                "{result}"
            );
            assert_eq!(
                result["detail"].is_string(),
                text("status") == "error",
                "{result}"
            );
            (
                result["index"].as_u64().unwrap(),
                text("status"),
                text("code"),
            )
        })
        .collect();
    assert_eq!(
        results,
        [
            (0, "created", ""),
            (1, "error", "invalid_request"),
            (2, "duplicate", ""),
            (3, "error", "idempotency_key_reused"),
            (4, "error", "unknown_campaign"),
            (5, "error", "invalid_request"),
            (6, "error", "invalid_request"),
            (7, "created", ""),
        ]
    );
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 2);
}

#[tokio::test]
async fn a_line_that_is_no_json_is_its_own_error() {
    let world = World::new().await;
    let text = "{\"to\":\"+14155550100\",\"scriptId\":\"s\"}\r\n\n{\"to\":\n[]\n{\"to\":\"+14155550101\",\"scriptId\":\"s\"}";
    let answer = world
        .ask("POST", PATH)
        .header("content-type", "application/x-ndjson")
        .body(text)
        .answer()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found: Vec<_> = lines
        .iter()
        .map(|line| (line["status"].as_str().unwrap(), line["code"].as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("created", None),
            ("error", Some("malformed_json")),
            ("error", Some("invalid_request")),
            ("created", None),
        ]
    );
}

#[tokio::test]
async fn a_thousand_items_are_taken_and_one_more_is_not() {
    let world = World::new().await;
    let mut items: Vec<_> = (0..1000)
        .map(|n| item(&format!("+1415{n:07}"), &n.to_string()))
        .collect();
    let answer = world.send("POST", PATH, &json!(items)).await;
    assert_eq!(
        answer
            .body
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["status"] == "created")
            .count(),
        1000
    );
    items.push(item("+14155550100", "x"));
    let refused = world.send("POST", PATH, &json!(items)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (413, "batch_too_large")
    );
    assert!(refused.detail().contains("pgdial import"));
}

#[tokio::test]
async fn an_empty_batch_has_no_results() {
    let world = World::new().await;
    assert_eq!(world.send("POST", PATH, &json!([])).await.body, json!([]));
}
