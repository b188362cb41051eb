//! What people do to the queue over HTTP: campaigns and trunks, workers, numbers, many calls; and the audit log.

use pgdial::{
    flow::{
        heartbeat::Worker,
        view::{Act, Call, CallerId, Campaign, ContactLimit, Evidence, Trunk},
    },
    http::schema::{
        CallPage,
        acting::{
            ActPage, CallerIds, Campaigns, ContactLimits, DoNotCallList, DoNotCallResponse,
            DrainResponse, RemoveCallerIdResponse, Trunks, Workers,
        },
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Send, ServerOptions, World};

/// Parses the response as the document's type, so that the document cannot drift from it.
pub(crate) fn typed<T: DeserializeOwned>(answer: &Answer) -> T {
    assert!(answer.status.is_success(), "{answer:?}");
    serde_json::from_value(answer.body.clone()).unwrap()
}

async fn acts(world: &World) -> Vec<String> {
    let page: ActPage = typed(&world.get("/api/v1/acts").await);
    let words = |act: &Act| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (name, why) = (or_dash(&act.name), or_dash(&act.why));
        format!("{} {} {} {name} {why}", act.by, act.act, act.kind)
    };
    page.acts.iter().rev().map(words).collect()
}

#[tokio::test]
async fn a_campaign_is_made_changed_paused_and_resumed() {
    let world = World::new().await;
    let made =
        json!({ "name": "spring", "cap": 5, "ringTimeout": "45 seconds", "why": "the season" });
    let made = world.send("POST", "/api/v1/campaigns", &made).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = made.header("location").to_owned();
    assert_eq!(path, "/api/v1/campaigns/spring");
    let campaign: Campaign = typed(&made);
    assert_eq!(
        (campaign.cap, campaign.ring_timeout.to_string().as_str()),
        (Some(5), "45s")
    );
    let wish = json!({ "cap": null, "weight": 3 });
    let changed: Campaign = typed(&world.send("PATCH", &path, &wish).await);
    assert_eq!((changed.cap, changed.weight), (None, 3));
    let pause = json!({ "why": "lunch" });
    let paused: Campaign = typed(&world.send("POST", &format!("{path}/pause"), &pause).await);
    assert_eq!(
        (
            paused.paused,
            paused.paused_by.as_deref(),
            paused.paused_why.as_deref()
        ),
        (true, Some("api:anonymous"), Some("lunch"))
    );
    let resumed = world.ask("POST", &format!("{path}/resume")).answer().await;
    assert!(!typed::<Campaign>(&resumed).paused);
    let shown: Campaign = typed(&world.get(&path).await);
    assert!(!shown.paused);
    let all: Campaigns = typed(&world.get("/api/v1/campaigns").await);
    assert_eq!(all.campaigns.len(), 2);
    assert_eq!(
        acts(&world).await,
        [
            "api:anonymous create campaign spring the season",
            "api:anonymous set campaign spring the season",
            "api:anonymous set campaign spring -",
            "api:anonymous pause campaign spring lunch",
            "api:anonymous resume campaign spring -",
        ]
    );
}

#[tokio::test]
async fn a_contact_limit_is_set_named_by_a_campaign_and_deleted() {
    let world = World::new().await;
    let path = "/api/v1/contact-limits/daily";
    let limit = json!({ "counts": "attempts", "atMost": 3, "period": "24 hours", "regions": ["US-FL"], "why": "the law" });
    let made = world.send("PUT", path, &limit).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made: ContactLimit = typed(&made);
    assert_eq!((made.at_most, made.period.to_string().as_str()), (3, "24h"));
    assert_eq!(
        (made.boundary.as_str(), made.per.as_str()),
        ("rolling", "number")
    );
    let whole = json!({ "counts": "conversations", "period": "7 days", "boundary": "local_day" });
    let replaced = world.send("PUT", path, &whole).await;
    assert_eq!(replaced.status, 200);
    let replaced: ContactLimit = typed(&replaced);
    assert_eq!((replaced.at_most, replaced.regions), (1, None));

    let wish = json!({ "contactLimits": ["daily"], "topic": "renewal" });
    let changed: Campaign = typed(
        &world
            .send("PATCH", "/api/v1/campaigns/default", &wish)
            .await,
    );
    assert_eq!(changed.contact_limits, ["daily"]);
    assert_eq!(changed.topic.as_deref(), Some("renewal"));
    let shown: ContactLimit = typed(&world.get(path).await);
    assert_eq!(shown.campaigns, ["default"]);
    let all: ContactLimits = typed(&world.get("/api/v1/contact-limits").await);
    assert!(
        all.contact_limits
            .iter()
            .any(|limit| limit.name == "us-fl@2026-11")
    );
    let refused = world.ask("DELETE", path).answer().await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["code"]),
        (409, &json!("in_use"))
    );

    let wish = json!({ "contactLimits": null });
    let changed: Campaign = typed(
        &world
            .send("PATCH", "/api/v1/campaigns/default", &wish)
            .await,
    );
    assert!(changed.contact_limits.is_empty());
    let path_with_why = format!("{path}?why=no%20longer");
    assert_eq!(
        world.ask("DELETE", &path_with_why).answer().await.status,
        204
    );
    assert_eq!(
        world.get(path).await.body["code"],
        json!("no_such_contact_limit")
    );
    assert_eq!(
        acts(&world).await,
        [
            "api:anonymous create contact_limit daily the law",
            "api:anonymous set contact_limit daily -",
            "api:anonymous set campaign default -",
            "api:anonymous set campaign default -",
            "api:anonymous remove contact_limit daily no longer",
        ]
    );
}

#[tokio::test]
async fn what_a_limit_has_put_aside_is_rechecked() {
    let world = World::new().await;
    let recheck = json!({ "filter": { "campaign": "default" }, "why": "loosened" });
    let rechecked = world.send("POST", "/api/v1/calls/recheck", &recheck).await;
    assert_eq!(
        (rechecked.status.as_u16(), &rechecked.body["matched"]),
        (200, &json!(0))
    );
    let forced = json!({ "filter": { "campaign": "default" }, "why": "loosened", "force": true });
    let refused = world.send("POST", "/api/v1/calls/recheck", &forced).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn a_trunk_is_made_changed_paused_and_resumed() {
    let world = World::new().await;
    let made = json!({ "name": "eu", "slots": 5, "lookUp": "hint" });
    let made = world.send("POST", "/api/v1/trunks", &made).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = "/api/v1/trunks/eu";
    let wish = json!({ "callsPerSecond": 2.5, "idempotent": true, "slots": 0 });
    let changed: Trunk = typed(&world.send("PATCH", path, &wish).await);
    assert_eq!(
        (changed.slots, changed.calls_per_second, changed.idempotent),
        (0, Some(2.5), Some(true))
    );
    let fire = json!({ "why": "fire" });
    let paused: Trunk = typed(&world.send("POST", "/api/v1/trunks/eu/pause", &fire).await);
    assert!(paused.paused);
    let out = json!({ "why": "it is out" });
    let resumed: Trunk = typed(&world.send("POST", "/api/v1/trunks/eu/resume", &out).await);
    assert!(!resumed.paused);
    let all: Trunks = typed(&world.get("/api/v1/trunks").await);
    assert_eq!(all.trunks.len(), 2);
    assert_eq!(
        acts(&world).await.last().unwrap(),
        "api:anonymous resume trunk eu it is out"
    );
}

#[tokio::test]
async fn a_caller_id_is_added_changed_and_removed() {
    let world = World::new().await;
    let path = "/api/v1/caller-ids";
    let number = "+14155550901";
    let new = json!({ "number": "+1 (415) 555-0901", "pool": "us", "why": "bought" });
    let added = world.send("POST", path, &new).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let added: CallerId = typed(&added);
    assert_eq!((added.number.as_str(), added.dials), (number, 0));
    let wish = json!({ "number": number, "dailyCap": 150, "rest": "2 hours", "why": "spam label" });
    let set: CallerId = typed(&world.send("POST", "/api/v1/caller-ids/set", &wish).await);
    assert_eq!((set.daily_cap, set.rest_until.is_some()), (Some(150), true));
    let pause = json!({ "number": number, "paused": true, "why": "spam label" });
    let paused: CallerId = typed(&world.send("POST", "/api/v1/caller-ids/set", &pause).await);
    assert_eq!(paused.paused_by.as_deref(), Some("api:anonymous"));
    let all: CallerIds = typed(&world.get("/api/v1/caller-ids?pool=us").await);
    assert_eq!(all.caller_ids.len(), 1);
    let none: CallerIds = typed(&world.get("/api/v1/caller-ids?pool=eu").await);
    assert_eq!(none.caller_ids.len(), 0);
    for changed in [true, false] {
        let removed = json!({ "number": number });
        let removed: RemoveCallerIdResponse = typed(
            &world
                .send("POST", "/api/v1/caller-ids/remove", &removed)
                .await,
        );
        assert_eq!(removed.changed, changed);
    }
    assert_eq!(
        acts(&world).await,
        [
            "api:anonymous create caller_id +14155550901 bought",
            "api:anonymous set caller_id +14155550901 spam label",
            "api:anonymous pause caller_id +14155550901 spam label",
            "api:anonymous remove caller_id +14155550901 -",
        ]
    );
}

/// Method and path | body | status and code | words of the detail.
#[tokio::test]
async fn what_cannot_be_done_to_a_group_says_why() {
    let world = World::new().await;
    let table = r#"
        POST campaigns | {} | 422 invalid_request | "name" is missing
        POST campaigns | {"name": "Spring"} | 422 invalid_request | "name" of a campaign has 1 to 63 lower-case
        POST campaigns | {"name": "default"} | 409 name_taken | there is a campaign of this name already
        POST campaigns | {"name": "x", "trunk": "moon"} | 422 unknown_trunk | no trunk of this name
        POST campaigns | {"name": "x", "colour": 1} | 422 invalid_request | "colour" is an unknown field
        POST campaigns | {"name": "x", "why": 5} | 422 invalid_request | "why" must be a string
        POST caller-ids | {"pool": "us"} | 422 invalid_request | "number" is
        POST caller-ids | {"number": "555", "pool": "us"} | 422 invalid_request | "number" is
        POST caller-ids | {"number": "+14155550901"} | 422 invalid_request | "pool" is missing
        POST caller-ids | {"number": "+14155550901", "pool": "us", "trunk": "moon"} | 422 unknown_trunk | no trunk of this name
        POST caller-ids/set | {"number": "+14155550901"} | 422 invalid_request | nothing to change
        POST caller-ids/set | {"number": "+14155550901", "dailyCap": 9} | 404 no_such_caller_id | GET /api/v1/caller-ids
        PATCH campaigns/default | {"callerIds": "us"} | 422 invalid_request | "callerIds" must be a pool
        POST trunks | {"name": "1"} | 422 invalid_request | "name" of a trunk has 1 to 31 lower-case
        POST trunks | {"name": "default"} | 409 name_taken | there is a trunk of this name already
        PATCH campaigns/default | {} | 422 invalid_request | nothing to change
        PATCH campaigns/default | {"why": "x"} | 422 invalid_request | nothing to change
        PATCH campaigns/nobody | {"cap": 1} | 404 no_such_campaign | no campaign has this name
        PATCH campaigns/default | {"cap": -1} | 422 invalid_request | "cap" must be a whole number from 0
        PATCH campaigns/default | {"cap": "x"} | 422 invalid_request | "cap" must be a whole number from 0
        PATCH campaigns/default | {"weight": 0} | 422 invalid_request | "weight" must be a whole number from 1 to 1000
        PATCH campaigns/default | {"ringTimeout": "11 minutes"} | 422 invalid_request | from 1 second to 10 minutes
        PATCH campaigns/default | {"busyBase": "soon"} | 422 invalid_request | "busyBase" must be a length of time
        PATCH campaigns/default | {"redialUnknown": "maybe"} | 422 invalid_request | true or false
        PATCH campaigns/default | {"startsAt": "tomorrow"} | 422 invalid_request | "startsAt" must be an RFC 3339 time
        PATCH campaigns/default | {"name": "x"} | 422 invalid_request | "name" is an unknown field
        PATCH trunks/default | {"slots": 100001} | 422 invalid_request | from 0 to 100000
        PATCH trunks/default | {"callsPerSecond": 0} | 422 invalid_request | "callsPerSecond" must be a number
        PATCH trunks/default | {"lookUp": "x"} | 422 invalid_request | none, hint or authoritative
        PATCH trunks/default | {"reportsWithin": "2 hours"} | 422 invalid_request | from 1 second to 1 hour
        PATCH trunks/nobody | {"slots": 1} | 404 no_such_trunk | no trunk has this name
        POST campaigns/default/pause | {} | 422 invalid_request | why
        POST campaigns/default/pause | {"why": " "} | 422 invalid_request | "why" is empty
        POST campaigns/nobody/pause | {"why": "x"} | 404 no_such_campaign | GET /api/v1/campaigns
        POST trunks/nobody/resume | {} | 404 no_such_trunk | GET /api/v1/trunks
        POST trunks/default/resume | {"because": "x"} | 422 invalid_request | because
        POST workers/x/drain | {"why": "x"} | 422 invalid_id | the id of a worker
        POST workers/0197f5e0-0000-7000-8000-000000000001/drain | {"why": "x"} | 404 no_such_worker | no worker
        POST calls/cancel | {"filter": {}, "why": "x"} | 422 invalid_request | say {"all": true}
        POST calls/cancel | {"filter": {"all": true}} | 422 invalid_request | why
        POST calls/cancel | {"filter": {"all": true}, "why": "x", "force": true} | 422 invalid_request | for redrive
        POST calls/cancel | {"filter": {"state": "done"}, "why": "x"} | 422 invalid_request | "state" is one or several
        POST calls/cancel | {"filter": {"all": true}, "why": "x", "limit": 10001} | 422 invalid_request | "limit"
        POST calls/cancel | {"filter": {"all": true}, "why": "x", "cursor": "?"} | 422 invalid_request | cursor
        POST calls/redrive | {"filter": {"state": "completed"}, "why": "x"} | 422 invalid_request | "force" only
        POST calls/cancel | {"filter": {"all": true}, "why": "x", "as": "busy"} | 422 invalid_request | for resolve
        POST calls/resolve | {"filter": {"all": true}, "why": "x"} | 422 invalid_request | "as" is missing
        POST calls/resolve | {"filter": {"all": true}, "why": "x", "as": "capacity"} | 422 invalid_request | unknown variant
        POST calls/redrive | [] | 422 invalid_request | JSON object
        POST numbers/forget | {"to": "555", "why": "x"} | 422 invalid_request | E.164
        POST numbers/forget | {"to": "+14155550100"} | 422 invalid_request | why
        POST numbers/forget | {"to": "+14155550100", "why": "x", "doNotCall": "drop"} | 422 invalid_request | drop
        POST do-not-call | {"to": "+14155550100"} | 422 invalid_request | why
        POST do-not-call/remove | {"to": "x", "why": "x"} | 422 invalid_request | "to" is not a number
        POST do-not-call | {"to": "+14155550100", "region": "UK", "why": "x"} | 422 invalid_request | "region" is not a country
    "#;
    for line in table.trim().lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [what, body, expected, words] = cells[..] else {
            panic!("not four cells: {line}");
        };
        let (method, path) = what.split_once(' ').unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let answer = world.send(method, &format!("/api/v1/{path}"), &body).await;
        let found = format!("{} {}", answer.status.as_u16(), answer.code());
        assert_eq!(found, expected, "{line}: {}", answer.text);
        assert!(
            answer.detail().contains(words),
            "{line}: {}",
            answer.detail()
        );
    }
    assert_eq!(acts(&world).await, [""; 0]);
    for (path, code) in [
        ("campaigns/nobody", "no_such_campaign"),
        ("campaigns/nobody/preview", "no_such_campaign"),
        ("campaigns/default/preview?at=x", "invalid_query"),
        ("trunks/nobody", "no_such_trunk"),
        ("acts?limit=0", "invalid_query"),
        ("acts?cursor=x", "invalid_query"),
        ("acts?since=x", "invalid_query"),
        ("do-not-call?limit=1001", "invalid_query"),
        ("calls/export?format=xml", "invalid_query"),
        ("calls/export?state=done", "invalid_query"),
        ("calls/export?all=true", "invalid_query"),
    ] {
        assert_eq!(
            world.get(&format!("/api/v1/{path}")).await.code(),
            code,
            "{path}"
        );
    }
}

#[tokio::test]
async fn all_faults_of_a_group_are_told_at_once() {
    let world = World::new().await;
    let long = "x".repeat(501);
    for (path, body, pointers) in [
        (
            "campaigns",
            json!({ "name": "Spring", "cap": -1, "colour": 1, "busyBase": "soon", "why": long }),
            "#/name #/why #/colour #/busyBase #/cap",
        ),
        (
            "trunks",
            json!({ "slots": "x", "why": 5 }),
            "#/name #/slots #/why",
        ),
    ] {
        let path = format!("/api/v1/{path}");
        let answer = world.send("POST", &path, &body).await;
        assert_eq!(answer.code(), "invalid_request");
        let faults = answer.body["errors"].as_array().unwrap();
        let found: Vec<_> = faults
            .iter()
            .map(|fault| fault["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(found.join(" "), pointers, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_worker_is_listed_and_told_to_go() {
    let world = World::new().await;
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
    let path = format!("/api/v1/workers/{}/drain", worker.id);
    for result in ["draining", "already_draining"] {
        let answer = world.send("POST", &path, &json!({ "why": "old" })).await;
        assert_eq!(typed::<DrainResponse>(&answer).result, result);
    }
    let listed: Workers = typed(&world.get("/api/v1/workers").await);
    let listed = &listed.workers[0];
    assert_eq!(
        (listed.id, listed.draining, listed.alive, listed.in_flight),
        (worker.id, true, true, 0)
    );
    let act = format!("api:anonymous drain worker {} old", worker.id);
    assert_eq!(acts(&world).await, [act]);
}

#[tokio::test]
async fn many_calls_are_canceled_and_redriven_by_whoever_has_the_key() {
    let world = World::with(ServerOptions {
        api_keys: "crm:one",
        ..ServerOptions::default()
    })
    .await;
    let send = async |path: &str, body: Value| {
        let ask = world.ask("POST", &format!("/api/v1/{path}"));
        ask.bearer_auth("one").json(&body).answer().await
    };
    for n in 0..3 {
        let call = json!({ "to": format!("+1415555010{n}"), "scriptId": "s" });
        assert_eq!(send("calls", call).await.status, 201);
    }
    let filter = json!({ "state": ["waiting"], "to": "+14155550100" });
    let dry = json!({ "filter": filter, "why": "x", "dryRun": true });
    let dry = send("calls/cancel", dry).await;
    assert_eq!(
        dry.body,
        json!({ "dryRun": true, "matched": 1, "verdicts": { "canceled": 1 }, "cursor": null })
    );
    let all = json!({ "filter": { "all": true }, "why": "a wrong list", "limit": 2 });
    let first = send("calls/cancel", all.clone()).await;
    assert_eq!(first.body["verdicts"], json!({ "canceled": 2 }));
    let mut next = all;
    next["cursor"] = first.body["cursor"].clone();
    let second = send("calls/cancel", next).await;
    assert_eq!(second.body["verdicts"], json!({ "canceled": 1 }));
    assert_eq!(second.body["cursor"], Value::Null);
    let back = json!({ "filter": { "state": "canceled" }, "why": "it was right" });
    let back = send("calls/redrive", back).await;
    assert_eq!(back.body["verdicts"], json!({ "waiting": 3 }));
    let by = world
        .number("select count(*) from pgdial.acts where by = 'api:crm'")
        .await;
    assert_eq!(by, 3);
    let without = world.ask("POST", "/api/v1/calls/cancel");
    let without = without.json(&json!({ "filter": { "all": true }, "why": "x" }));
    assert_eq!(without.answer().await.code(), "unauthorized");
}

#[tokio::test]
async fn the_audit_is_read_in_pages() {
    let world = World::new().await;
    for cap in 1..=3 {
        let changes = json!({ "cap": cap });
        world
            .send("PATCH", "/api/v1/campaigns/default", &changes)
            .await;
    }
    let path = "/api/v1/acts?limit=2&act=set&kind=campaign&name=default&by=api:anonymous";
    let first: ActPage = typed(&world.get(path).await);
    assert_eq!(first.acts.len(), 2);
    assert_eq!(json!(first.acts[0].detail), json!({ "cap": [2, 3] }));
    let cursor = first.next_cursor.unwrap();
    let last: ActPage = typed(&world.get(&format!("{path}&cursor={cursor}")).await);
    assert_eq!(last.acts.len(), 1);
    assert_eq!(last.next_cursor, None);
    assert_eq!(json!(last.acts[0].detail), json!({ "cap": [null, 1] }));
}

#[tokio::test]
async fn a_number_is_forgotten_and_what_is_in_the_way_is_named() {
    let world = World::new().await;
    let live = world.dialing("+14155550100").await;
    let wish = json!({ "to": "+1 415 555 0100", "why": "a letter" });
    let forget = async || world.send("POST", "/api/v1/numbers/forget", &wish).await;
    let refused = forget().await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "in_flight")
    );
    assert!(refused.detail().contains(&live.id.to_string()));
    assert!(refused.body["until"].is_string());
    world.sql("update pgdial.clock set ahead = '2 hours'").await;
    let swept = world.calls.sweep(&["default".to_owned()], None).await;
    swept.unwrap();
    world.sql("update pgdial.calls set state = 'failed', outcome = 'unknown', ended_at = pgdial.now(), \
        lease_until = null, hold_until = pgdial.now() + '1 hour'").await;
    assert_eq!(forget().await.code(), "held");
    world.sql("update pgdial.calls set hold_until = null").await;
    let done = forget().await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.body["verdict"], "forgotten");
    assert_eq!(done.body["counts"]["calls"], 1);
    let shown = world.get(&format!("/api/v1/calls/{}", live.id)).await;
    assert_eq!(shown.body["to"], "forgotten");
    drop(typed::<Call>(&shown));
    let page = world.get("/api/v1/calls").await;
    drop(typed::<CallPage>(&page));
    let key = json!({ "to": "+14155550101", "scriptId": "s", "idempotencyKey": "+14155550101" });
    world.send("POST", "/api/v1/calls", &key).await;
    let mut wish = json!({ "to": "+14155550101", "why": "x" });
    let refused = world.send("POST", "/api/v1/numbers/forget", &wish).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "key_needed")
    );
    wish["doNotCall"] = "add".into();
    let done = world.send("POST", "/api/v1/numbers/forget", &wish).await;
    assert_eq!(done.body["verdict"], "forgotten", "{}", done.text);
}

#[tokio::test]
async fn the_list_of_numbers_not_to_ring_is_kept_over_http() {
    let world = World::new().await;
    let wish = json!({ "to": "+1 415 555 0100", "why": "asked" });
    for changed in [true, false] {
        let answer = world.send("POST", "/api/v1/do-not-call", &wish).await;
        assert_eq!(typed::<DoNotCallResponse>(&answer).changed, changed);
    }
    let list: DoNotCallList = typed(&world.get("/api/v1/do-not-call").await);
    let entry = &list.entries[0];
    assert_eq!(
        (
            entry.phone.as_str(),
            entry.reason.as_str(),
            entry.by.as_str()
        ),
        ("+14155550100", "asked", "api:anonymous")
    );
    for changed in [true, false] {
        let answer = world
            .send("POST", "/api/v1/do-not-call/remove", &wish)
            .await;
        assert_eq!(typed::<DoNotCallResponse>(&answer).changed, changed);
    }
    assert_eq!(acts(&world).await.len(), 2);
}

#[tokio::test]
async fn an_export_is_whole_in_either_form() {
    let world = World::new().await;
    // More than one page of the export's stream.
    world
        .sql("select pgdial.enqueue(format('+1415%s', 5550000 + n), '=evil()') from generate_series(0, 1200) n")
        .await;
    let ndjson = world.get("/api/v1/calls/export").await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = ndjson
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1201);
    assert_eq!(lines[0]["attempts"], json!([]));
    let csv = world
        .get("/api/v1/calls/export?format=csv&state=waiting")
        .await;
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert_eq!(csv.text.lines().count(), 1202);
    assert!(
        csv.text.lines().nth(1).unwrap().contains(",'=evil(),"),
        "{}",
        csv.text.lines().nth(1).unwrap()
    );
    let none = world.get("/api/v1/calls/export?campaign=nobody").await;
    assert_eq!(none.status, 422, "{}", none.text);
    let one = world.get("/api/v1/calls/export?to=+14155550007").await;
    assert_eq!(one.text.lines().count(), 1);
}

#[tokio::test]
async fn an_entry_of_the_list_may_hold_for_a_topic_and_for_a_while() {
    let world = World::new().await;
    let campaign = json!({ "name": "spring", "topic": "renewal" });
    world.send("POST", "/api/v1/campaigns", &campaign).await;
    let until = "2100-01-01T00:00:00Z";
    let entry = json!({ "to": "+14155550111", "topic": "renewal", "until": until, "why": "asked" });
    let added: DoNotCallResponse = typed(&world.send("POST", "/api/v1/do-not-call", &entry).await);
    assert!(added.changed);
    let list: DoNotCallList = typed(&world.get("/api/v1/do-not-call").await);
    assert_eq!(list.entries[0].topic.as_deref(), Some("renewal"));
    assert_eq!(list.entries[0].until, until.parse().ok());
    let call = json!({ "to": "+14155550111", "scriptId": "s" });
    assert_eq!(world.send("POST", "/api/v1/calls", &call).await.status, 201);
    let call = json!({ "to": "+14155550111", "scriptId": "s", "campaign": "spring" });
    let refused = world.send("POST", "/api/v1/calls", &call).await;
    assert_eq!(refused.body["code"], "suppressed", "{}", refused.text);
    for (entry, words) in [
        (
            json!({ "to": "+14155550111", "topic": "a", "campaign": "spring", "why": "x" }),
            "exclude",
        ),
        (
            json!({ "to": "+14155550111", "campaign": "nowhere", "why": "x" }),
            "no campaign",
        ),
    ] {
        let refused = world.send("POST", "/api/v1/do-not-call", &entry).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    let remove = |topic: Option<&str>| json!({ "to": "+14155550111", "topic": topic, "why": "x" });
    for (topic, changed) in [(None, false), (Some("renewal"), true)] {
        let path = "/api/v1/do-not-call/remove";
        let removed: DoNotCallResponse = typed(&world.send("POST", path, &remove(topic)).await);
        assert_eq!(removed.changed, changed);
    }
}

#[tokio::test]
async fn a_campaign_may_require_consent_and_a_call_shows_its_evidence() {
    let world = World::new().await;
    let rules =
        json!([{ "disposition": "do_not_call", "when": "$.analysis ? (@.optOut == true)" }]);
    let campaign = json!({ "name": "strict", "requireConsent": true, "optOutScope": "campaign",
        "dispositionRules": rules });
    let made: Campaign = typed(&world.send("POST", "/api/v1/campaigns", &campaign).await);
    assert_eq!(json!(made.disposition_rules), rules);
    let mut call = json!({ "to": "+14155550111", "scriptId": "s", "campaign": "strict" });
    let refused = world.send("POST", "/api/v1/calls", &call).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["code"]),
        (422, &json!("consent_missing")),
        "{}",
        refused.text
    );
    call["consentAt"] = json!("2026-01-01T00:00:00Z");
    call["consentRef"] = json!("form 7");
    let made: Call = typed(&world.send("POST", "/api/v1/calls", &call).await);
    assert_eq!(made.consent_ref.as_deref(), Some("form 7"));
    let path = format!("/api/v1/calls/{}/evidence", made.id);
    let evidence: Evidence = typed(&world.get(&path).await);
    assert!(evidence.attempts.is_empty());
    let nobody = world
        .get(&format!("/api/v1/calls/{}/evidence", Uuid::new_v4()))
        .await;
    assert_eq!(nobody.status, 404);
}
