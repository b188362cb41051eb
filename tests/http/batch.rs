use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

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

/// A batch of lines that has not ended yet.
struct Open {
    stream: BufReader<TcpStream>,
}

impl Open {
    async fn begin(world: &World) -> Self {
        let stream = TcpStream::connect(&world.address).await.unwrap();
        let mut open = Self {
            stream: BufReader::new(stream),
        };
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        open.write(&head).await;
        open
    }

    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends one HTTP chunk.
    async fn send(&mut self, text: &str) {
        self.write(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    /// The next result, skipping the response's head and chunk sizes.
    async fn result(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }
}

fn line(n: usize) -> String {
    format!("{}\n", item(&format!("+1415{n:07}"), &n.to_string()))
}

#[tokio::test]
async fn lines_are_answered_while_more_of_them_are_sent() {
    let world = World::new().await;
    let mut open = Open::begin(&world).await;
    for n in 0..3 {
        // A line in two pieces counts once it is complete.
        let text = line(n);
        let (first, second) = text.split_at(20);
        open.send(first).await;
        open.send(second).await;
        let result = open.result().await.unwrap();
        assert_eq!(
            (&result["index"], &result["status"]),
            (&json!(n), &json!("created"))
        );
        let calls = world.number("select count(*) from pgdial.calls").await;
        assert_eq!(
            calls,
            i64::try_from(n).unwrap() + 1,
            "durable when it is answered"
        );
    }
    open.send("{\"to\":").await;
    open.write("0\r\n\r\n").await;
    assert_eq!(open.result().await.unwrap()["code"], "malformed_json");
    assert_eq!(open.result().await, None);
}

#[tokio::test]
async fn more_lines_than_an_array_may_have_items() {
    let world = World::new().await;
    let mut text: String = (0..2500).map(line).collect();
    text.extend(["\"", &"x".repeat(70_000), "\"\n"]);
    text.push_str(&line(2499));
    let answer = world
        .ask("POST", PATH)
        .header("content-type", "application/x-ndjson")
        .body(text)
        .answer()
        .await;
    let results: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(results.len(), 2502);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result["index"], n);
        let status = match n {
            2500 => "error",
            2501 => "duplicate",
            _ => "created",
        };
        assert_eq!(result["status"], status, "{result}");
    }
    assert_eq!(results[2500]["code"], "body_too_large");
    assert_eq!(
        world.number("select count(*) from pgdial.calls").await,
        2500
    );
}

#[tokio::test]
async fn a_batch_that_cannot_go_on_says_where_it_stopped() {
    let world = World::new().await;
    let mut open = Open::begin(&world).await;
    open.send(&line(0)).await;
    assert_eq!(open.result().await.unwrap()["status"], "created");
    world
        .sql("alter function pgdial.enqueue_many rename to gone")
        .await;
    open.send(&line(1)).await;
    open.write("0\r\n\r\n").await;
    let last = open.result().await.unwrap();
    assert_eq!(
        (&last["index"], &last["status"], &last["code"]),
        (&json!(1), &json!("stopped"), &json!("unavailable"))
    );
    assert_eq!(open.result().await, None);
    world
        .sql("alter function pgdial.gone rename to enqueue_many")
        .await;
    // Nothing was sent yet, so the status can still say it.
    world.sql("drop table pgdial.do_not_call cascade").await;
    let answer = world
        .ask("POST", PATH)
        .header("content-type", "application/x-ndjson")
        .body(line(1))
        .answer()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "unavailable")
    );
}

#[tokio::test]
async fn of_a_client_that_vanishes_what_was_answered_stays() {
    let world = World::new().await;
    let mut open = Open::begin(&world).await;
    open.send(&line(0)).await;
    assert_eq!(open.result().await.unwrap()["status"], "created");
    open.send("{\"to\":\"+1415555").await;
    drop(open);
    world.stop.cancel();
    world.tasks.wait().await; // its connection is let go
    assert_eq!(world.number("select count(*) from pgdial.calls").await, 1);
}
