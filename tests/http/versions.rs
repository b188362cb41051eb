//! `ETag`, `If-Match`, and compressed responses.

use std::io::Read;

use serde_json::{Value, json};

use crate::support::{Send, World};

/// Changes the value at `path` with this `If-Match`; status, code and new tag.
async fn patch(world: &World, path: &str, tag: &str, body: &Value) -> (u16, Value, String) {
    let answer = world
        .ask("PATCH", path)
        .header("if-match", tag)
        .json(body)
        .answer()
        .await;
    let tag = answer.header("etag").to_owned();
    (answer.status.as_u16(), answer.body["code"].clone(), tag)
}

#[tokio::test]
async fn a_change_may_depend_on_what_its_author_has_seen() {
    let world = World::new().await;
    let id = world.enqueue("+14155550100").await;
    let new = json!({ "name": "crm", "url": "https://crm.example.com/", "kinds": ["waiting"] });
    assert_eq!(
        world.send("POST", "/api/v1/endpoints", &new).await.status,
        201
    );
    for (path, first, second) in [
        (
            format!("/api/v1/calls/{id}"),
            json!({ "priority": 1 }),
            json!({ "priority": 2 }),
        ),
        (
            "/api/v1/campaigns/default".to_owned(),
            json!({ "cap": 1 }),
            json!({ "cap": 2 }),
        ),
        (
            "/api/v1/trunks/default".to_owned(),
            json!({ "slots": 1 }),
            json!({ "slots": 2 }),
        ),
        (
            "/api/v1/endpoints/crm".to_owned(),
            json!({ "kinds": ["failed"] }),
            json!({ "kinds": ["completed"] }),
        ),
    ] {
        let shown = world.get(&path).await;
        let seen = shown.header("etag").to_owned();
        assert!(seen.starts_with('"'), "{path}: {seen}");
        assert_eq!(world.get(&path).await.header("etag"), seen, "{path}");
        let (status, _, next) = patch(&world, &path, &seen, &first).await;
        assert_eq!(status, 200, "{path}");
        assert_ne!(next, seen, "{path}");
        let (status, code, _) = patch(&world, &path, &seen, &second).await;
        assert_eq!((status, code), (412, json!("changed_meanwhile")), "{path}");
        for tag in [&format!("{seen}, {next}"), "*"] {
            let (status, code, _) = patch(&world, &path, tag, &second).await;
            assert_eq!((status, code), (200, Value::Null), "{path} {tag}");
        }
        let (status, ..) = patch(&world, &path, "nonsense", &first).await;
        assert_eq!(status, 412, "{path}");
    }
    let (status, ..) = patch(
        &world,
        "/api/v1/campaigns/nope",
        "\"1\"",
        &json!({ "cap": 1 }),
    )
    .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn long_responses_are_compressed_for_those_who_ask_and_streams_never() {
    let world = World::new().await;
    for n in 0..20 {
        world.enqueue(&format!("+141555501{n:02}")).await;
    }
    let asked = async |path: &str| {
        let request = world.ask("GET", path).header("accept-encoding", "gzip");
        request.send().await.unwrap()
    };
    let answer = asked("/api/v1/calls").await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let body = answer.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut text)
        .unwrap();
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["calls"].as_array().unwrap().len(), 20);
    for path in ["/api/v1/calls/export", "/api/v1/events", "/healthz"] {
        let answer = asked(path).await;
        assert!(answer.headers().get("content-encoding").is_none(), "{path}");
    }
    let plain = world.ask("GET", "/api/v1/calls").send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
}
