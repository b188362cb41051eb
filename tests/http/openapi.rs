use std::collections::HashMap;

use pgdial::{flow::heartbeat::Worker, provider::signature::sign_plain};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::{SECRETS, Send, ServerOptions, World, secrets},
    webhooks,
};

#[tokio::test]
async fn the_document_is_the_committed_one() {
    let world = World::new().await;
    let answer = world.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let mut document = answer.body;
    document["info"]["version"] = "(the release)".into();
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&document).unwrap());
}

#[tokio::test]
async fn every_operation_of_the_document_is_served() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.body;
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{id}", "0197f5e0-0000-7000-8000-000000000001");
            let answer = world
                .ask(&method.to_uppercase(), &path)
                .send()
                .await
                .unwrap();
            let status = answer.status();
            // A stream does not end, so it is not read.
            if path != "/api/v1/events" {
                let body: Value = answer.json().await.unwrap_or_default();
                let code = body["code"].as_str().unwrap_or_default();
                assert!(
                    !["no_such_route", "method_not_allowed", "internal"].contains(&code),
                    "{method} {path}"
                );
            }
            let documented = &item[method]["responses"];
            assert!(
                documented.get(status.as_str()).is_some(),
                "{method} {path}: {status}"
            );
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

/// The key of the examples.
const EXAMPLE: &str = "pgdial_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071";

/// The same, as a server is told it.
const NAMED: &str = "boss:pgdial_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071";

/// A server with a key where the operation is about keys, which close one without.
async fn world_for(operation: &str) -> World {
    let is_about_keys = ["rotate_key", "revoke_key", "open_session"].contains(&operation);
    World::with(ServerOptions {
        api_keys: if is_about_keys { NAMED } else { "" },
        ..ServerOptions::default()
    })
    .await
}

/// A path of this operation, at which its example can be taken.
async fn prepared(world: &World, operation: &str, path: &str) -> String {
    let to = "+14155550199";
    let id = match operation {
        "dial_status" => return webhooks::url(world.dialing(to).await.reference()),
        "drain_worker" => {
            let worker = Worker {
                id: Uuid::new_v4(),
                host: "host".to_owned(),
                pid: 7,
                release: "0.1.0",
                permits: 30,
                trunks: vec!["default".to_owned()],
                stopping: false,
            };
            world.calls.heartbeat(&worker).await.unwrap();
            worker.id.to_string()
        }
        "set_caller_id" => {
            let new = json!({ "number": "+14155550199", "pool": "us-sales" });
            let added = world.send("POST", "/api/v1/caller-ids", &new).await;
            assert_eq!(added.status, 201, "{}", added.text);
            String::new()
        }
        "rotate_key" | "revoke_key" => {
            let key = json!({ "scope": "read" });
            let made = world.calls.create_key("default", &key, "ann", None).await;
            assert!(made.unwrap().is_some());
            String::new()
        }
        "open_session" => String::new(),
        id if path.contains("/endpoints/{name}") => {
            let url = "https://crm.example.com/";
            let new = json!({ "name": "default", "url": url, "kinds": ["waiting"] });
            let made = world.send("POST", "/api/v1/endpoints", &new).await;
            assert_eq!(made.status, 201, "{}", made.text);
            if id == "resend_event" {
                world.enqueue(to).await;
                let sender = Uuid::new_v4();
                let due = world
                    .calls
                    .deliver(sender, &HashMap::new(), true)
                    .await
                    .unwrap();
                return path
                    .replace("{name}", "default")
                    .replace("{delivery}", &due.due[0].id);
            }
            String::new()
        }
        // What is named default stays.
        "archive_campaign" | "unarchive_campaign" | "archive_trunk" | "unarchive_trunk" => {
            let sql = "insert into pgdial.trunks (name) values ('spare'); \
                       insert into pgdial.campaigns (name, trunk) values ('spare', 'default')";
            world.sql(sql).await;
            return path.replace("{name}", "spare");
        }
        "redrive_call" => {
            let id = world.enqueue(to).await;
            let cancel = world.ask("POST", &format!("/api/v1/calls/{id}/cancel"));
            assert_eq!(cancel.answer().await.status, 200);
            id
        }
        "resolve_call" => {
            let call = world.dialing(to).await;
            world.calls.doubt(call.reference(), "x").await.unwrap();
            call.id.to_string()
        }
        _ => world.enqueue(to).await,
    };
    path.replace("{id}", &id)
        .replace("{name}", "default")
        .replace("{trunk}", "default")
}

#[tokio::test]
async fn every_body_has_an_example_and_those_of_requests_are_taken() {
    let document = World::new().await.get("/openapi.json").await.body;
    let mut taken = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            for (status, response) in operation["responses"].as_object().unwrap() {
                for (_, content) in response["content"].as_object().into_iter().flatten() {
                    let has_one = content["example"].is_null() != content["examples"].is_null();
                    assert!(has_one, "{id} {status}");
                }
            }
            let bodies = operation["requestBody"]["content"].as_object();
            for (kind, content) in bodies.into_iter().flatten() {
                assert!(!content["example"].is_null(), "{id}");
                let body = content["example"].to_string();
                let world = world_for(id).await;
                let answer = world
                    .ask(&method.to_uppercase(), &prepared(&world, id, path).await)
                    .header("authorization", format!("Bearer {EXAMPLE}"))
                    .header("content-type", kind)
                    .header(
                        "x-signature",
                        sign_plain(&secrets(SECRETS), body.as_bytes()),
                    )
                    .body(body.clone())
                    .answer()
                    .await;
                assert!(answer.status.is_success(), "{id} {body}: {}", answer.text);
                assert!(
                    !answer.text.contains("\"error\""),
                    "{id} {body}: {}",
                    answer.text
                );
                taken += 1;
            }
        }
    }
    assert!(taken > 23, "{taken}");
}

/// The schema that a property is, or refers to.
fn resolved<'a>(property: &'a Value, document: &'a Value) -> &'a Value {
    let choices = property["oneOf"].as_array().into_iter().flatten();
    let reference = choices
        .chain([property])
        .find_map(|choice| choice["$ref"].as_str());
    match reference {
        Some(to) => document.pointer(to.trim_start_matches('#')).unwrap(),
        None => property,
    }
}

/// What just fits, and what just does not, by the limits of a property.
fn edges(property: &Value) -> Vec<(Value, bool)> {
    let number = |name: &str| property[name].as_i64();
    let text = |length: u64| "x".repeat(usize::try_from(length).unwrap());
    let mut edges = Vec::new();
    if let Some(least) = number("minimum") {
        edges.extend([(least.into(), true), ((least - 1).into(), false)]);
    }
    if let Some(most) = number("maximum") {
        edges.extend([(most.into(), true), ((most + 1).into(), false)]);
    }
    // A pattern says more of a text than its length does, unless it is that of any text.
    if matches!(property["pattern"].as_str(), None | Some(r"^[^\u0000]*$"))
        && let Some(most) = property["maxLength"].as_u64()
    {
        edges.extend([(text(most).into(), true), (text(most + 1).into(), false)]);
    }
    edges
}

#[tokio::test]
async fn the_limits_of_the_document_are_those_of_the_database() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.body;
    let mut tried = 0;
    for (schema, method, path, body) in [
        (
            "SetCampaignRequest",
            "PATCH",
            "campaigns/default",
            json!({ "cap": 1 }),
        ),
        (
            "SetTrunkRequest",
            "PATCH",
            "trunks/default",
            json!({ "slots": 1 }),
        ),
        ("ReasonRequest", "POST", "trunks/default/pause", json!({})),
        (
            "OptionalReasonRequest",
            "POST",
            "trunks/default/resume",
            json!({}),
        ),
        (
            "CallRequest",
            "POST",
            "calls",
            json!({ "to": "+14155550100", "scriptId": "s" }),
        ),
    ] {
        let properties = &document["components"]["schemas"][schema]["properties"];
        for (name, property) in properties.as_object().unwrap() {
            if ["to", "from"].contains(&name.as_str()) {
                continue; // which numbers there are is a table
            }
            let property = resolved(property, &document);
            for (value, fits) in edges(property) {
                let mut body = body.clone();
                body[name] = value.clone();
                let path = format!("/api/v1/{path}");
                let answer = world.send(method, &path, &body).await;
                assert_eq!(answer.status.is_success(), fits, "{schema} {name} {value}");
                tried += 1;
            }
        }
    }
    assert!(tried > 39, "{tried}");
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                Value::String(to) if name == "$ref" => found.push(to.clone()),
                other => references(other, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let world = World::new().await;
    let document = world.get("/openapi.json").await.body;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_page_and_its_files_are_here_under_a_strict_policy() {
    let world = World::new().await;
    let answer = world.get("/docs").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for file in [
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "docs.js",
        "docs.css",
    ] {
        assert!(answer.text.contains(&format!("\"docs/{file}\"")), "{file}");
        let file = world
            .ask("GET", &format!("/docs/{file}"))
            .send()
            .await
            .unwrap();
        assert_eq!(file.status(), 200);
        assert!(
            file.headers()["content-type"]
                .to_str()
                .unwrap()
                .contains("charset=utf-8")
        );
    }
    assert_eq!(world.get("/docs/nothing").await.status, 404);
}
