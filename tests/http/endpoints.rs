//! Endpoints and deliveries over HTTP.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Send, World};

const URL: &str = "https://crm.example.com/hooks";

async fn created(world: &World, kinds: &[&str]) -> Value {
    let new = json!({ "name": "crm", "url": URL, "kinds": kinds, "why": "the new CRM" });
    let made = world.send("POST", "/api/v1/endpoints", &new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("location"), "/api/v1/endpoints/crm");
    made.body
}

#[tokio::test]
async fn an_endpoint_is_created_changed_paused_rotated_and_deleted() {
    let world = World::new().await;
    let made = created(&world, &["failed"]).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let again = json!({ "name": "crm", "url": URL });
    let taken = world.send("POST", "/api/v1/endpoints", &again).await;
    assert_eq!(taken.code(), "name_taken");

    let shown = world.get("/api/v1/endpoints/crm").await;
    assert_eq!(shown.body["kinds"], json!(["failed"]));
    assert!(!shown.text.contains("whsec_"), "{}", shown.text);
    let all = world.get("/api/v1/endpoints").await.body;
    assert_eq!(all["endpoints"], json!([shown.body]));

    let path = "/api/v1/endpoints/crm";
    let change = json!({ "campaigns": ["default"], "url": "https://new.example.com" });
    let changed = world.send("PATCH", path, &change).await.body;
    assert_eq!(
        (&changed["campaigns"], &changed["url"]),
        (&json!(["default"]), &json!("https://new.example.com"))
    );
    let nothing = world.send("PATCH", path, &json!({})).await;
    assert_eq!(nothing.code(), "invalid_request");
    let pause = json!({ "why": "moving" });
    let paused = world.send("POST", &format!("{path}/pause"), &pause).await;
    assert_eq!(
        (&paused.body["paused"], &paused.body["pausedWhy"]),
        (&json!(true), &json!("moving"))
    );
    let test = world.ask("POST", &format!("{path}/test")).answer().await;
    assert_eq!(test.code(), "invalid_request");
    let resumed = world.ask("POST", &format!("{path}/resume")).answer().await;
    assert_eq!(resumed.body["paused"], json!(false));
    let rotated = world.ask("POST", &format!("{path}/rotate")).answer().await;
    assert_ne!(rotated.body["secret"], made["secret"]);
    let overlap = json!({ "overlap": "40 days" });
    let refused = world
        .send("POST", &format!("{path}/rotate"), &overlap)
        .await;
    assert!(refused.text.contains("from 0 seconds to 30 days"));
    let gone = world
        .ask("DELETE", &format!("{path}?why=moved"))
        .answer()
        .await;
    assert_eq!(gone.status, 204);
    for (method, path) in [
        ("GET", path.to_owned()),
        ("DELETE", path.to_owned()),
        ("POST", format!("{path}/test")),
        ("POST", format!("{path}/rotate")),
        ("POST", format!("{path}/resume")),
        ("GET", format!("{path}/deliveries")),
        ("GET", format!("{path}/deliveries/evt_1_2_3")),
        ("POST", format!("{path}/deliveries/evt_1_2_3/resend")),
    ] {
        let answer = world.ask(method, &path).answer().await;
        assert_eq!(answer.code(), "no_such_endpoint", "{method} {path}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_shown_and_sent_once_more() {
    let world = World::new().await;
    created(&world, &["waiting"]).await;
    for n in 1..=3 {
        world.enqueue(&format!("+1415555010{n}")).await;
    }
    let due = world
        .calls
        .deliver(Uuid::new_v4(), &HashMap::new(), true)
        .await;
    assert_eq!(due.unwrap().due.len(), 3);
    let path = "/api/v1/endpoints/crm/deliveries";
    let mut found = Vec::new();
    let mut next = format!("{path}?limit=2");
    loop {
        let page = world.get(&next).await.body;
        found.extend(page["deliveries"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(cursor) => next = format!("{path}?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 3);
    let (call, id) = (
        found[0]["callId"].as_str().unwrap(),
        found[0]["id"].as_str().unwrap(),
    );
    let of_call = world
        .get(&format!("{path}?call={call}&state=pending"))
        .await;
    assert_eq!(of_call.body["deliveries"], json!([found[0]]));
    let shown = world.get(&format!("{path}/{id}")).await.body;
    assert_eq!(shown["body"]["data"]["to"], "+14155550103");
    let resent = world
        .ask("POST", &format!("{path}/{id}/resend"))
        .answer()
        .await;
    assert_eq!(resent.body, json!({ "result": "pending" }));
    let unknown = world.get(&format!("{path}/evt_1_2_3")).await;
    assert_eq!(unknown.code(), "no_such_delivery");
    let odd = world.get(&format!("{path}?state=lost")).await;
    assert_eq!(odd.code(), "invalid_query");

    let span = json!({ "from": "2026-01-31T09:00:00Z", "until": "2126-01-31T09:00:00Z" });
    let again = "/api/v1/endpoints/crm/resend";
    let sent = world.send("POST", again, &span).await;
    assert_eq!(
        sent.body,
        json!({ "events": 0, "cursor": null, "full": false })
    );
    let span = json!({ "from": "2026-01-31T09:00:00Z", "until": "2026-01-31T08:00:00Z" });
    let refused = world.send("POST", again, &span).await;
    assert!(
        refused.text.contains("must be later than"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn events_come_in_pages_for_those_who_poll() {
    let world = World::new().await;
    for n in 1..=3 {
        world.enqueue(&format!("+1415555010{n}")).await;
    }
    let page = async |query: &str| {
        let path = format!("/api/v1/events?{query}");
        let asked = world.ask("GET", &path).header("accept", "application/json");
        asked.answer().await
    };
    let first = page("after=start&limit=2").await;
    assert_eq!(first.header("content-type"), "application/json");
    let events = first.body["events"].as_array().unwrap();
    assert_eq!((events.len(), &first.body["more"]), (2, &json!(true)));
    assert_eq!(events[0]["kind"], "waiting");
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let last = page(&format!("after={cursor}")).await.body;
    assert_eq!(last["events"].as_array().unwrap().len(), 1);
    assert_eq!(last["more"], json!(false));
    let cursor = last["nextCursor"].as_str().unwrap();
    let none = page(&format!("after={cursor}&kind=completed")).await.body;
    assert_eq!(none["events"], json!([]));
    assert_eq!(none["heartbeat"]["lagMs"], json!(0));
    assert_eq!(page("after=nonsense").await.code(), "invalid_query");
    assert_eq!(page("limit=0").await.code(), "invalid_query");
}
