use std::collections::BTreeMap;

use pgdial::{
    domain::Scope,
    flow::Queue,
    http::{self, Settings},
};
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use strum::VariantArray;
use tokio::net::TcpListener;

use crate::{
    support::{Answer, PATIENCE, Send, ServerOptions, World},
    webhooks,
};

/// The key of the settings.
const CONFIGURED: &str = "configured";

/// A server with a key in its settings, so that it never lets in a client without one.
async fn guarded() -> World {
    let world = World::with(ServerOptions {
        api_keys: "boss:configured",
        ..ServerOptions::default()
    })
    .await;
    world.sql("select pgdial.create_campaign('other')").await;
    world
}

async fn create(world: &World, name: &str, key: Value) -> String {
    let key = world.calls.create_key(name, &key, "cli:ann", None).await;
    key.unwrap().unwrap().expose_secret().to_owned()
}

fn with(ask: RequestBuilder, key: &str) -> RequestBuilder {
    ask.header("authorization", format!("Bearer {key}"))
}

async fn get(world: &World, key: &str, path: &str) -> Answer {
    with(world.ask("GET", path), key).answer().await
}

async fn send(world: &World, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let ask = with(world.ask(method, path), key).json(body);
    ask.answer().await
}

/// An operation of the document that has a guard.
struct Operation {
    id: String,
    method: String,
    path: String,
    scope: Scope,
    reach: String,
}

/// All operations but those that are open to everybody by design.
async fn operations(world: &World) -> Vec<Operation> {
    let document = world.get("/openapi.json").await.body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let scope = operation["x-scope"].clone();
            let is_guarded = path.starts_with("/api/") && id != "open_session";
            assert_eq!(scope.is_string(), is_guarded, "{id}");
            if scope.is_string() {
                operations.push(Operation {
                    id,
                    method: method.to_uppercase(),
                    path: path.clone(),
                    scope: serde_json::from_value(scope).unwrap(),
                    reach: operation["x-reach"].as_str().unwrap().to_owned(),
                });
            }
        }
    }
    assert!(operations.len() > 50, "{}", operations.len());
    operations
}

/// A request for this operation that is about the campaign `default` and this call, as far as it can be.
fn request(world: &World, operation: &Operation, call: &str) -> RequestBuilder {
    let path = operation.path.replace("{id}", call);
    let path = path.replace("{name}", "default");
    let query = match operation.id.as_str() {
        "list_calls" | "export_calls" | "events" => "?campaign=default",
        _ => "",
    };
    let ask = world.ask(&operation.method, &format!("{path}{query}"));
    let filter = json!({"filter": {"campaign": "default"}, "why": "x", "dryRun": true});
    let body = match operation.id.as_str() {
        "create_call" => json!({"to": "+14155550100", "scriptId": "s"}),
        "create_calls" => json!([{"to": "+14155550100", "scriptId": "s", "campaign": "default"}]),
        "cancel_calls" | "redrive_calls" | "recheck_calls" => filter,
        "resolve_calls" => {
            json!({"filter": {"campaign": "default"}, "why": "x", "dryRun": true, "as": "not_placed"})
        }
        "add_do_not_call" | "remove_do_not_call" => {
            json!({"to": "+14155550177", "campaign": "default", "why": "x"})
        }
        id => {
            let needs_none = operation.reach != "named"
                || ["list_calls", "export_calls", "events"].contains(&id)
                || [
                    "list_campaigns",
                    "show_own_key",
                    "show_session",
                    "end_session",
                ]
                .contains(&id);
            assert!(needs_none, "say here what {id} is about");
            return ask;
        }
    };
    ask.json(&body)
}

/// Status and problem of the response; a stream is not read.
async fn refusal(ask: RequestBuilder) -> (u16, Value) {
    let response = ask.send().await.unwrap();
    let status = response.status().as_u16();
    if ![401, 403, 404].contains(&status) {
        return (status, Value::Null);
    }
    let kind = response.headers()["content-type"].clone();
    assert_eq!(kind, "application/problem+json");
    (status, response.json().await.unwrap())
}

#[tokio::test]
async fn every_operation_refuses_every_key_that_may_not_do_it() {
    let world = guarded().await;
    let call = json!({"to": "+14155550199", "scriptId": "s"});
    let call = send(&world, CONFIGURED, "POST", "/api/v1/calls", &call).await;
    let call = call.body["id"].as_str().unwrap().to_owned();
    let revoked = create(&world, "revoked", json!({"scope": "admin"})).await;
    world
        .calls
        .revoke_key("revoked", "ann", None)
        .await
        .unwrap();
    let expired = create(&world, "expired", json!({"scope": "admin"})).await;
    world
        .sql("update pgdial.keys set expires_at = pgdial.now() where name = 'expired'")
        .await;
    let mut scoped = Vec::new();
    for scope in Scope::VARIANTS {
        let key = create(&world, scope.as_str(), json!({"scope": scope})).await;
        scoped.push((*scope, key));
    }
    let bound = |campaign: &str| json!({"scope": "operate", "campaigns": [campaign]});
    let own = create(&world, "own", bound("default")).await;
    let others = create(&world, "others", bound("other")).await;

    for operation in operations(&world).await {
        let id = &operation.id;
        let ask = || request(&world, &operation, &call);
        let (status, problem) = refusal(ask()).await;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("unauthorized")),
            "{id}"
        );
        for (key, word) in [
            ("wrong", "no key of this server"),
            (&revoked, "revoked"),
            (&expired, "expired"),
        ] {
            let (status, problem) = refusal(with(ask(), key)).await;
            assert_eq!(
                (status, &problem["code"]),
                (401, &json!("unauthorized")),
                "{id} {word}"
            );
            assert!(
                problem["detail"].as_str().unwrap().contains(word),
                "{id} {problem}"
            );
        }
        for (scope, key) in &scoped {
            let (status, problem) = refusal(with(ask(), key)).await;
            if scope.includes(operation.scope) {
                assert!(![401, 403].contains(&status), "{id} {scope:?} {problem}");
            } else {
                assert_eq!(
                    (status, &problem["code"]),
                    (403, &json!("forbidden")),
                    "{id} {scope:?}"
                );
                let needed = format!("the scope \"{}\"", operation.scope.as_str());
                assert!(
                    problem["detail"].as_str().unwrap().contains(&needed),
                    "{problem}"
                );
            }
        }
        let (status, _) = refusal(with(ask(), CONFIGURED)).await;
        assert!(![401, 403].contains(&status), "{id}");

        let is_operators = Scope::Operate.includes(operation.scope);
        let (status, problem) = refusal(with(ask(), &own)).await;
        let is_let_in = is_operators && operation.reach != "everything";
        assert_eq!(![401, 403].contains(&status), is_let_in, "{id} {problem}");
        let (status, problem) = refusal(with(ask(), &others)).await;
        let refused = match (operation.reach.as_str(), id.as_str()) {
            // Not even that there is such a call.
            ("call", _) if is_operators => (404, "not_found"),
            // Each item has a result; these show only what is theirs.
            (_, "create_calls" | "list_campaigns" | "show_own_key" | "show_session") => (200, ""),
            (_, "end_session") => (204, ""),
            _ => (403, "forbidden"),
        };
        let code = problem["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), refused, "{id}");
    }
    let counted = world.get("/metrics").await.text;
    for reason in ["no_key", "unknown", "revoked", "expired", "forbidden"] {
        let none = format!("pgdial_http_key_refusals_total{{reason=\"{reason}\"}} 0");
        assert!(
            counted.contains(none.trim_end_matches('0')) && !counted.contains(&none),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_key_of_a_campaign_sees_and_does_only_what_belongs_to_it() {
    let world = guarded().await;
    let key = create(
        &world,
        "crm",
        json!({"scope": "operate", "campaigns": ["other"]}),
    )
    .await;
    let order = |campaign: Option<&str>| json!({"to": "+14155550100", "scriptId": "s", "campaign": campaign});
    for (campaign, status) in [(None, 403), (Some("default"), 403), (Some("other"), 201)] {
        let answer = send(&world, &key, "POST", "/api/v1/calls", &order(campaign)).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let both = json!([order(Some("default")), order(Some("other"))]);
    let answer = send(&world, &key, "POST", "/api/v1/calls/batch", &both).await;
    assert_eq!(
        (&answer.body[0]["code"], &answer.body[1]["status"]),
        (&json!("forbidden"), &json!("created"))
    );
    send(&world, CONFIGURED, "POST", "/api/v1/calls", &order(None)).await;

    let listed = get(&world, &key, "/api/v1/calls").await;
    let campaigns = listed.body["calls"].as_array().unwrap();
    let campaigns: Vec<_> = campaigns.iter().map(|call| &call["campaign"]).collect();
    assert_eq!(campaigns, ["other", "other"]);
    let exported = get(&world, &key, "/api/v1/calls/export").await;
    assert_eq!(exported.text.lines().count(), 2, "{}", exported.text);
    let campaigns = get(&world, &key, "/api/v1/campaigns").await.body;
    assert_eq!(
        campaigns["campaigns"].as_array().unwrap().len(),
        1,
        "{campaigns}"
    );
    let all = json!({"filter": {"all": true}, "why": "x"});
    let canceled = send(&world, &key, "POST", "/api/v1/calls/cancel", &all).await;
    assert_eq!(canceled.body["matched"], 2, "{}", canceled.text);
    for body in [
        json!({"to": "+14155550177", "why": "x"}),
        json!({"to": "+14155550177", "why": "x", "topic": "renewal"}),
    ] {
        let listed = send(&world, &key, "POST", "/api/v1/do-not-call", &body).await;
        assert_eq!(listed.code(), "forbidden");
    }
}

#[tokio::test]
async fn a_process_learns_of_keys_that_another_one_makes_and_revokes() {
    let world = guarded().await;
    let other = Queue::new(world.verbs.clone());
    let settings = Settings {
        is_open: false,
        ..Settings::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = http::router(other.clone(), settings);
    let serving = http::serve(listener, router, world.stop.clone());
    world.tasks.spawn(async move { serving.await.unwrap() });
    let key = create(&world, "crm", json!({"scope": "read"})).await;
    let until = |wanted: u16, key: String| async move {
        let asking = async {
            loop {
                let ask = reqwest::Client::new().get(format!("http://{address}/api/v1/stats"));
                if with(ask, &key).send().await.unwrap().status() == wanted {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap();
    };
    until(200, key.clone()).await;
    world.calls.revoke_key("crm", "ann", None).await.unwrap();
    until(401, key.clone()).await;
    // A key made and used before, and nobody to hear of the change.
    let next = create(&world, "crm", json!({"scope": "read"})).await;
    until(200, next).await;

    // With a listener, a change is heard of without a request.
    let listening = other.clone();
    let stop = world.stop.clone();
    world
        .tasks
        .spawn(async move { listening.run_key_listener(stop).await });
    let heard = |than: u64| {
        let other = other.clone();
        async move {
            let hearing = async {
                while other.key_changes() <= than {
                    tokio::task::yield_now().await;
                }
                other.key_changes()
            };
            tokio::time::timeout(PATIENCE, hearing).await.unwrap()
        }
    };
    let listens = heard(0).await;
    world.calls.revoke_key("crm", "ann", None).await.unwrap();
    heard(listens).await;
    until(401, key).await;
}

#[tokio::test]
async fn without_the_database_nothing_is_known_of_a_key_and_nobody_is_called_a_stranger() {
    let world = guarded().await;
    let key = create(&world, "crm", json!({"scope": "read"})).await;
    assert_eq!(get(&world, &key, "/api/v1/keys/own").await.status, 200);
    world.verbs.close().await;
    let refused = async {
        // Until the copy is too old.
        loop {
            let answer = get(&world, &key, "/api/v1/keys/own").await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (503, "unavailable")
    );
    assert_eq!(
        get(&world, CONFIGURED, "/api/v1/keys/own").await.status,
        200
    );
}

#[tokio::test]
async fn a_server_without_keys_is_open_until_there_was_one() {
    let world = World::new().await;
    let own = world.get("/api/v1/keys/own").await.body;
    assert_eq!(
        (&own["name"], &own["scope"]),
        (&json!("anonymous"), &json!("admin"))
    );
    let made = json!({"name": "crm", "scope": "admin", "why": "first"});
    let made = world.send("POST", "/api/v1/keys", &made).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let key = made.body["key"].as_str().unwrap();
    assert!(key.starts_with("pgdial_") && key.len() == 55, "{key}");
    let until = |path: &'static str, wanted: u16, key: String| {
        let world = &world;
        async move {
            let asking = async { while get(world, &key, path).await.status != wanted {} };
            tokio::time::timeout(PATIENCE, asking).await.unwrap();
        }
    };
    until("/api/v1/stats", 401, "none".to_owned()).await;
    until("/api/v1/stats", 200, key.to_owned()).await;
    // The last key ends, and nobody is let in without one again.
    let revoked = send(&world, key, "POST", "/api/v1/keys/crm/revoke", &json!({})).await;
    assert_eq!(revoked.body["revoked"], 1, "{}", revoked.text);
    until("/api/v1/stats", 401, key.to_owned()).await;
    assert_eq!(world.get("/api/v1/stats").await.status, 401);
}

#[tokio::test]
async fn a_rotated_key_stays_for_a_while_and_its_use_is_seen() {
    let world = guarded().await;
    let first = create(
        &world,
        "crm",
        json!({"scope": "read", "numbers": "on_request"}),
    )
    .await;
    let rotate = async |body: Value| {
        send(&world, CONFIGURED, "POST", "/api/v1/keys/crm/rotate", &body).await
    };
    let second = rotate(json!({})).await;
    let second = second.body["key"].as_str().unwrap().to_owned();
    for key in [&first, &second] {
        let own = get(&world, key, "/api/v1/keys/own").await.body;
        assert_eq!(
            own,
            json!({"name": "crm", "scope": "read", "campaigns": null, "numbers": "on_request"})
        );
    }
    let listed = get(&world, CONFIGURED, "/api/v1/keys").await;
    assert!(!listed.text.contains(&first) && !listed.text.contains(&second));
    let keys = listed.body["keys"].as_array().unwrap();
    let hints: Vec<_> = keys
        .iter()
        .map(|key| key["hint"].as_str().unwrap())
        .collect();
    assert!(second.starts_with(hints[0]) && first.starts_with(hints[1]) && hints[0] != hints[1]);
    assert!(keys.iter().all(|key| !key["usedAt"].is_null()), "{keys:?}");
    assert!(keys[0]["expiresAt"].is_null() && !keys[1]["expiresAt"].is_null());
    assert_eq!(
        rotate(json!({"keep": "91 days"})).await.code(),
        "invalid_request"
    );
    // Not another use within the minute.
    let used = "select (extract(epoch from max(used_at)) * 1000000)::bigint from pgdial.keys";
    let before = world.number(used).await;
    get(&world, &second, "/api/v1/stats").await;
    assert_eq!(world.number(used).await, before);
    let third = rotate(json!({"keep": "0s", "why": "it leaked"})).await;
    assert_eq!(third.status, 201, "{}", third.text);
    let keys = get(&world, CONFIGURED, "/api/v1/keys").await.body;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
}

const NUMBER: &str = "4155550123";

/// A call with a history, to a number and with words that only some may see.
async fn told(world: &World) -> String {
    let order = json!({
        "to": format!("+1{NUMBER}"), "scriptId": "s", "campaign": "default", "idempotencyKey": format!("1{NUMBER}-1"),
        "metadata": {"name": "hush"}, "consentAt": "2026-01-01T00:00:00Z", "consentRef": "hush",
    });
    let call = send(world, CONFIGURED, "POST", "/api/v1/calls", &order).await;
    assert_eq!(call.status, 201, "{}", call.text);
    let id = call.body["id"].as_str().unwrap().to_owned();
    let claimed = world.claim().await.remove(0);
    let report = json!({"callId": "p-1", "status": "FAILED", "eventId": "e-1", "transcript": "hush", "errorMessage": "+1 (415) 555-0123 hush"});
    let url = webhooks::url(claimed.reference());
    let told = webhooks::plain(world, &url, crate::support::SECRETS, &report.to_string()).await;
    assert!(told.status.is_success(), "{}", told.text);
    for (path, body) in [
        (
            "/api/v1/do-not-call",
            json!({"to": format!("+1{NUMBER}"), "why": format!("asked from {NUMBER}")}),
        ),
        (
            "/api/v1/calls/cancel",
            json!({"filter": {"to": format!("+1{NUMBER}")}, "why": "x"}),
        ),
    ] {
        let done = send(world, CONFIGURED, "POST", path, &body).await;
        assert_eq!(done.status, 200, "{}", done.text);
    }
    id
}

/// What each operation that reads shows to the key: whether the number, and whether the words.
async fn shown(world: &World, key: &str, id: &str) -> BTreeMap<String, (bool, bool)> {
    let mut shown = BTreeMap::new();
    for operation in operations(world).await {
        if operation.method != "GET" || operation.scope > Scope::Read {
            continue;
        }
        let path = operation
            .path
            .replace("{id}", id)
            .replace("{name}", "default");
        for query in match operation.id.as_str() {
            "events" => &["?after=start"][..],
            "export_calls" => &["?format=csv", "?format=ndjson"],
            _ => &[""],
        } {
            let ask = with(world.ask("GET", &format!("{path}{query}")), key);
            let mut response = ask.send().await.unwrap();
            let mut text = String::new();
            let read = async {
                while let Some(chunk) = response.chunk().await.unwrap() {
                    text.push_str(std::str::from_utf8(&chunk).unwrap());
                    if text.contains("event: canceled") || text.contains("event: suppressed") {
                        break;
                    }
                }
            };
            tokio::time::timeout(PATIENCE, read).await.unwrap();
            let digits: String = text.chars().filter(|c| !" ()-".contains(*c)).collect();
            let seen = (digits.contains(NUMBER), text.contains("hush"));
            shown.insert(format!("{}{query}", operation.id), seen);
        }
    }
    shown
}

#[tokio::test]
async fn a_masked_key_sees_no_number_and_nothing_that_was_said() {
    let world = guarded().await;
    let id = told(&world).await;
    let whole = shown(&world, CONFIGURED, &id).await;
    let seen = |at: usize| whole.values().filter(|seen| [seen.0, seen.1][at]).count();
    // Otherwise the test proves nothing.
    assert!(seen(0) >= 8 && seen(1) >= 5, "{whole:?}");
    let masked = create(&world, "page", json!({"scope": "read"})).await;
    for (operation, seen) in shown(&world, &masked, &id).await {
        assert_eq!(seen, (false, false), "{operation}");
    }
    let call = get(&world, &masked, &format!("/api/v1/calls/{id}"))
        .await
        .body;
    assert_eq!(
        (&call["to"], &call["metadata"]),
        (&json!("+141******23"), &json!({"name": "***"}))
    );
    let by = get(&world, &masked, &format!("/api/v1/calls?to=%2B1{NUMBER}"))
        .await
        .body;
    assert_eq!(
        by["calls"][0]["id"], id,
        "who knows a number finds its calls"
    );
    let never =
        with(world.ask("GET", "/api/v1/calls"), &masked).header("pgdial-unmask", "ticket 4711");
    assert_eq!(never.answer().await.code(), "forbidden");
}

#[tokio::test]
async fn every_unmasking_is_an_act_with_its_reason() {
    let world = guarded().await;
    let id = told(&world).await;
    let desk = create(
        &world,
        "desk",
        json!({"scope": "read", "numbers": "on_request"}),
    )
    .await;
    let path = format!("/api/v1/calls/{id}");
    let ask = || with(world.ask("GET", &format!("{path}?")), &desk);
    assert_eq!(ask().answer().await.body["to"], "+141******23");
    let unmasks = "select count(*) from pgdial.acts where act = 'unmask'";
    for odd in ["", "  ", &"x".repeat(501)] {
        let answer = ask().header("pgdial-unmask", odd).answer().await;
        assert_eq!(answer.code(), "invalid_request", "{odd:?}");
    }
    assert_eq!(world.number(unmasks).await, 0);
    let answer = ask()
        .header("pgdial-unmask", "she called back, ticket 4711")
        .answer()
        .await;
    assert_eq!(answer.body["to"], format!("+1{NUMBER}"));
    assert_eq!(answer.body["metadata"], json!({"name": "hush"}));
    assert_eq!(world.number(unmasks).await, 1);
    let acts = get(&world, CONFIGURED, "/api/v1/acts?act=unmask")
        .await
        .body;
    let act = &acts["acts"][0];
    assert_eq!(
        (&act["by"], &act["kind"], &act["name"]),
        (&json!("api:desk"), &json!("key"), &json!("desk"))
    );
    assert_eq!(act["why"], "she called back, ticket 4711");
    assert_eq!(act["detail"], json!({"method": "GET", "path": path}));
    // One that is not kept shows nothing.
    world
        .sql("alter table pgdial.acts add check (act <> 'unmask') not valid")
        .await;
    let answer = ask().header("pgdial-unmask", "again").answer().await;
    assert!(
        answer.status.is_server_error() && !answer.text.contains(NUMBER),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let world = guarded().await;
    let key = create(&world, "page", json!({"scope": "read"})).await;
    let mut stream = with(world.ask("GET", "/api/v1/events"), &key)
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    stream.chunk().await.unwrap().unwrap();
    world.calls.revoke_key("page", "ann", None).await.unwrap();
    let mut text = String::new();
    let read = async {
        while let Some(chunk) = stream.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert!(
        text.contains("event: error") && text.contains("revoked"),
        "{text}"
    );
}

#[tokio::test]
async fn whoever_signed_in_with_a_key_may_do_what_it_may_until_it_ends() {
    let world = guarded().await;
    let key = create(&world, "desk", json!({"scope": "operate"})).await;
    let sign_in = async |key: &str| {
        let body = json!({ "key": key });
        world.send("POST", "/api/v1/session", &body).await
    };
    let opened = sign_in(&key).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let cookie = opened.header("set-cookie").to_owned();
    let (cookie, attributes) = cookie.split_once("; ").unwrap();
    // The test's server is on loopback, where browsers speak plain HTTP.
    assert_eq!(
        attributes,
        "Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"
    );
    let token = opened.body["csrfToken"].as_str().unwrap();
    assert!(!cookie.contains(token));
    let ask = |method: &str, path: &str| world.ask(method, path).header("cookie", cookie);

    let shown = ask("GET", "/api/v1/session").answer().await.body;
    assert_eq!(shown, opened.body, "also where numbers are masked");
    assert_eq!(shown["key"]["name"], "desk");
    let pause = |why: &str| {
        let pause = ask("POST", "/api/v1/campaigns/default/pause");
        pause.json(&json!({ "why": why }))
    };
    assert_eq!(pause("x").answer().await.code(), "forbidden");
    let wrong = pause("x")
        .header("pgdial-csrf", "0".repeat(64))
        .answer()
        .await;
    assert_eq!(wrong.code(), "forbidden");
    let elsewhere = pause("x")
        .header("pgdial-csrf", token)
        .header("origin", "https://evil.example.com");
    assert_eq!(elsewhere.answer().await.code(), "forbidden");
    let paused = pause("lunch").header("pgdial-csrf", token).answer().await;
    assert_eq!(
        (paused.status.as_u16(), &paused.body["pausedBy"]),
        (200, &json!("api:desk"))
    );
    let forget = ask("POST", "/api/v1/numbers/forget").header("pgdial-csrf", token);
    assert_eq!(
        forget.answer().await.code(),
        "forbidden",
        "no more than the key"
    );

    // Signed out, the cookie is nobody's; another session is not touched.
    let second = sign_in(&key).await;
    let second = second
        .header("set-cookie")
        .split_once("; ")
        .unwrap()
        .0
        .to_owned();
    let out = ask("DELETE", "/api/v1/session");
    assert_eq!(out.answer().await.code(), "forbidden");
    let out = ask("DELETE", "/api/v1/session")
        .header("pgdial-csrf", token)
        .answer()
        .await;
    assert_eq!(out.status, 204);
    assert!(
        out.header("set-cookie").starts_with("pgdial_session=; ")
            && out.header("set-cookie").contains("Max-Age=0")
    );
    let over = ask("GET", "/api/v1/stats").answer().await;
    assert_eq!((over.status.as_u16(), over.code()), (401, "unauthorized"));
    let with_second = || world.ask("GET", "/api/v1/stats").header("cookie", &second);
    assert_eq!(with_second().answer().await.status, 200);
    world.calls.revoke_key("desk", "ann", None).await.unwrap();
    let ended = async { while with_second().answer().await.status != 401 {} };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn wrong_keys_do_not_keep_anybody_from_signing_in() {
    let world = guarded().await;
    let sign_in = async |key: &str| {
        let body = json!({ "key": key });
        world.send("POST", "/api/v1/session", &body).await
    };
    let mut codes = BTreeMap::new();
    for n in 0..30 {
        let refused = sign_in(&format!("pgdial_{n}")).await;
        *codes.entry(refused.code().to_owned()).or_insert(0) += 1;
        if refused.status == 429 {
            assert_eq!(
                refused.header("ratelimit-policy"),
                "\"wrong-keys\";q=20;w=60"
            );
            assert!(
                refused
                    .header("ratelimit")
                    .starts_with("\"wrong-keys\";r=0;t=")
            );
        }
    }
    assert!(
        codes["unauthorized"] >= 20 && codes.contains_key("too_many_attempts"),
        "{codes:?}"
    );
    assert_eq!(sign_in(CONFIGURED).await.status, 201);
    let body = json!({ "key": CONFIGURED });
    let elsewhere = world.ask("POST", "/api/v1/session").json(&body);
    let elsewhere = elsewhere
        .header("sec-fetch-site", "cross-site")
        .answer()
        .await;
    assert_eq!(elsewhere.code(), "forbidden");
}
