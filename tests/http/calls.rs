use std::collections::BTreeSet;

use pgdial::{
    domain::Outcome,
    flow::groups::GroupKind,
    flow::view::{Call, Stats},
    http::schema::{CallPage, CancelResponse, WhyResponse},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::support::World;

const TO: &str = "+14155550100";

/// The response has exactly the fields of the documented type.
fn is_a<T: DeserializeOwned + Serialize>(answer: &Value) {
    let typed: T =
        serde_json::from_value(answer.clone()).unwrap_or_else(|e| panic!("{e}: {answer}"));
    let again = serde_json::to_value(typed).unwrap();
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&again), names(answer));
}

#[tokio::test]
async fn an_enqueued_call_is_created_and_shown_where_location_says() {
    let world = World::new().await;
    let body = json!({"to": "+1 (415) 555-0100", "scriptId": "welcome", "metadata": {"n": 1.5},
        "from": "+14155550199", "priority": 3, "runAt": "2035-01-01T00:00:00+01:00", "maxAttempts": 5});
    let created = world.send("POST", "/api/v1/calls", &body).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["state"], "waiting");
    assert_eq!(created.body["to"], TO);
    assert_eq!(created.body["owner"], "anonymous");
    let shown = world.get(created.header("location")).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.body, created.body);
    is_a::<Call>(&shown.body);
}

#[tokio::test]
async fn several_numbers_are_those_of_one_call() {
    let world = World::new().await;
    let body = json!({"to": [TO, "+1 415 555 0101"], "scriptId": "welcome"});
    let created = world.send("POST", "/api/v1/calls", &body).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["to"], TO);
    assert_eq!(created.body["numbers"], json!([TO, "+14155550101"]));
    let shown = world.get(created.header("location")).await;
    assert_eq!(shown.body, created.body);
    is_a::<Call>(&shown.body);
    let found = world.get("/api/v1/calls?to=%2B14155550101").await;
    assert_eq!(found.body["calls"][0]["id"], created.body["id"]);
    let refused = world
        .send(
            "POST",
            "/api/v1/calls",
            &json!({"to": [TO, "12"], "scriptId": "s"}),
        )
        .await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("\"to\"[1]")
    );
}

#[tokio::test]
async fn a_call_with_a_history_is_of_the_documented_type() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    world.calls.dialed(call.reference(), "p-1").await.unwrap();
    world
        .calls
        .settle(call.reference(), Outcome::Busy, "486")
        .await
        .unwrap();
    let shown = world.get(&format!("/api/v1/calls/{}", call.id)).await;
    is_a::<Call>(&shown.body);
    assert_eq!(shown.body["attempts"][0]["providerCallId"], "p-1");
    is_a::<CallPage>(&world.get("/api/v1/calls").await.body);
    is_a::<Stats>(&world.get("/api/v1/stats").await.body);
    let why = world.get(&format!("/api/v1/calls/{}/why", call.id)).await;
    is_a::<WhyResponse>(&why.body);
    assert_eq!(why.body["reasons"][0]["reason"], "retry_due");
}

#[tokio::test]
async fn why_lists_every_reason_in_order_and_no_whole_number() {
    let world = World::new().await;
    let live = world.dialing(TO).await;
    let body = json!({"to": TO, "scriptId": "s", "runAt": "2126-01-01T00:00:00Z"});
    let created = world.send("POST", "/api/v1/calls", &body).await;
    let path = format!("{}/why", created.header("location"));
    world
        .calls
        .pause(GroupKind::Campaign, "default", "ann", &format!("ask {TO}"))
        .await
        .unwrap();
    let why = world.get(&path).await;
    assert_eq!(why.status, 200);
    is_a::<WhyResponse>(&why.body);
    let reasons = why.body["reasons"].as_array().unwrap();
    let words: Vec<&str> = reasons
        .iter()
        .map(|reason| reason["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        words,
        ["campaign_paused", "scheduled", "no_worker", "number_taken"]
    );
    assert_eq!(reasons[1]["until"], "2126-01-01T00:00:00Z");
    assert_eq!(reasons[3]["object"], live.id.to_string());
    assert!(!why.text.contains(TO), "{}", why.text);
    let pause = reasons[0]["message"].as_str().unwrap();
    assert!(
        pause.starts_with("campaign default is paused by ann since 20"),
        "{pause}"
    );
}

#[tokio::test]
async fn pages_hold_every_call_once_newest_first_whatever_arrives_meanwhile() {
    let world = World::new().await;
    // One batch, so that all have the same createdAt.
    let batch: Vec<_> = (0..7)
        .map(|n| json!({"to": format!("+1415555010{n}"), "scriptId": "s"}))
        .collect();
    world
        .send("POST", "/api/v1/calls/batch", &json!(batch))
        .await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/calls?limit=3".to_owned();
    loop {
        let page = world.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        seen.extend(
            page.body["calls"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["id"].to_string()),
        );
        world.enqueue("+14155550177").await;
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/calls?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(seen.len(), 7);
    assert_eq!(seen, sorted);
}

#[tokio::test]
async fn a_page_that_ends_exactly_is_the_last_one() {
    let world = World::new().await;
    for _ in 0..2 {
        world.enqueue(TO).await;
    }
    let page = world.get("/api/v1/calls?limit=2").await;
    assert_eq!(page.body["calls"].as_array().unwrap().len(), 2);
    assert_eq!(page.body["nextCursor"], Value::Null);
}

#[tokio::test]
async fn a_list_and_an_export_take_the_same_filter() {
    let world = World::new().await;
    let wanted =
        json!({"to": TO, "scriptId": "s", "idempotencyKey": "order-7", "metadata": {"lead": 4711}});
    let made = world.send("POST", "/api/v1/calls", &wanted).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    world.enqueue("+14155550101").await;
    for (filter, count) in [
        ("state=waiting,failed", 2),
        ("outcome=busy,no_answer", 0),
        ("trunk=default", 2),
        ("idempotencyKey=order-7", 1),
        ("metadata=lead%3D4711", 1),
        ("runBefore=2001-01-01T00:00:00Z", 0),
        (
            "createdAfter=2001-01-01T00:00:00Z&endedBefore=2100-01-01T00:00:00Z",
            0,
        ),
        ("to=%2B14155550101&campaign=default", 1),
        (&format!("ids={id}"), 1),
    ] {
        let page = world.get(&format!("/api/v1/calls?{filter}")).await;
        let calls = page.body["calls"].as_array();
        assert_eq!(
            calls.map(Vec::len),
            Some(count),
            "{filter}: {:?}",
            page.body
        );
        let exported = world.get(&format!("/api/v1/calls/export?{filter}")).await;
        assert_eq!(exported.text.lines().count(), count, "{filter}");
    }
    for filter in [
        "campaign=nope",
        "trunk=nope",
        "state=done",
        "metadata=lead",
        "all=true",
        "odd=1",
    ] {
        for path in ["/api/v1/calls", "/api/v1/calls/export"] {
            let refused = world.get(&format!("{path}?{filter}")).await;
            assert_eq!(refused.body["code"], "invalid_query", "{path}?{filter}");
        }
    }
}

#[tokio::test]
async fn a_call_is_found_by_what_names_it() {
    let world = World::new().await;
    let id = world.enqueue(TO).await;
    let beginning: String = id.chars().take(20).collect();
    for text in ["%2B1%20(415)%20555-0100", &id, &beginning] {
        let page = world.get(&format!("/api/v1/calls?q={text}")).await;
        assert_eq!(page.body["calls"][0]["id"], id, "{text}: {:?}", page.body);
        assert_eq!(page.body["nextCursor"], Value::Null);
    }
    let both = world.get("/api/v1/calls?q=x&state=failed").await;
    assert_eq!(both.body["code"], "invalid_query");
}

#[tokio::test]
async fn a_page_shows_only_what_is_asked_for() {
    let world = World::new().await;
    world
        .sql("insert into pgdial.campaigns (name, trunk) values ('spring', 'default')")
        .await;
    let body = json!({"to": TO, "scriptId": "s", "campaign": "spring"});
    world.send("POST", "/api/v1/calls", &body).await;
    let canceled = world.enqueue("+14155550101").await;
    world
        .ask("POST", &format!("/api/v1/calls/{canceled}/cancel"))
        .send()
        .await
        .unwrap();
    for (query, count) in [
        ("", 2),
        ("?state=canceled", 1),
        ("?state=waiting", 1),
        ("?state=in_call", 0),
        ("?to=%2B14155550100", 1),
        ("?to=+14155550100", 1),
        ("?campaign=spring", 1),
        (
            "?campaign=spring&state=waiting&to=%2B14155550100&limit=200",
            1,
        ),
    ] {
        let page = world.get(&format!("/api/v1/calls{query}")).await;
        assert_eq!(
            page.body["calls"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_waiting_call_can_be_amended_and_one_in_flight_cannot() {
    let world = World::new().await;
    let id = world.enqueue(TO).await;
    let path = format!("/api/v1/calls/{id}");
    let changes =
        json!({"scriptId": "other", "priority": 9, "metadata": {"a": 1}, "why": "a new offer"});
    let amended = world.send("PATCH", &path, &changes).await;
    assert_eq!(amended.status, 200);
    assert_eq!(
        (&amended.body["scriptId"], &amended.body["priority"]),
        (&json!("other"), &json!(9))
    );
    let kept = "select count(*) from pgdial.call_events where kind = 'amended' and detail ->> 'why' = 'a new offer'";
    assert_eq!(world.number(kept).await, 1);
    for changes in [
        json!({"to": "+14155550101"}),
        json!({"campaign": "x"}),
        json!({"priority": 10}),
    ] {
        let refused = world.send("PATCH", &path, &changes).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, "invalid_request"),
            "{changes}"
        );
    }
    assert_eq!(world.claim().await.len(), 1);
    let refused = world.send("PATCH", &path, &changes).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "not_waiting")
    );
}

#[tokio::test]
async fn cancel_ends_a_waiting_call_and_wishes_for_one_in_flight() {
    let world = World::new().await;
    let id = world.enqueue(TO).await;
    let why = json!({"why": "they called back"});
    let canceled = world
        .send("POST", &format!("/api/v1/calls/{id}/cancel"), &why)
        .await;
    assert_eq!(canceled.status, 200);
    is_a::<CancelResponse>(&canceled.body);
    assert_eq!(canceled.body["result"], "canceled");
    assert_eq!(canceled.body["call"]["state"], "canceled");
    let again = world.ask("POST", &format!("/api/v1/calls/{id}/cancel"));
    let again = crate::support::Send::answer(again).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "already_over"));

    let call = world.dialing("+14155550101").await;
    let wished = world
        .send("POST", &format!("/api/v1/calls/{}/cancel", call.id), &why)
        .await;
    assert_eq!(wished.body["result"], "requested");
    assert_eq!(
        wished.body["call"]["cancelRequestedWhy"],
        "they called back"
    );
}

#[tokio::test]
async fn resolve_ends_a_doubt_and_says_why_not() {
    let world = World::new().await;
    let call = world.dialing(TO).await;
    let path = format!("/api/v1/calls/{}/resolve", call.id);
    let busy = json!({"as": "busy", "why": "their console says so"});
    let refused = world.send("POST", &path, &busy).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "not_in_doubt")
    );
    world.calls.doubt(call.reference(), "x").await.unwrap();
    for (body, words) in [
        (json!({"as": "busy"}), "why"),
        (json!({"as": "busy", "why": " "}), "\"why\" is empty"),
        (json!({"as": "rang", "why": "x"}), "not_placed"),
        (json!({"why": "x"}), "as"),
        (
            json!({"as": "busy", "why": "x", "claimNo": 1.5}),
            "1.5 is not a whole number",
        ),
    ] {
        let refused = world.send("POST", &path, &body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, "invalid_request")
        );
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
    let of_another = json!({"as": "busy", "why": "x", "claimNo": 99});
    let refused = world.send("POST", &path, &of_another).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "not_in_doubt")
    );
    // In JSON this is a whole number too.
    let of_this = json!({"as": "busy", "why": "x", "claimNo": 1.0});
    let resolved = world.send("POST", &path, &of_this).await;
    assert_eq!(
        (resolved.status.as_u16(), &resolved.body["outcome"]),
        (200, &json!("busy"))
    );

    let call = world.dialing("+14155550101").await;
    world.calls.doubt(call.reference(), "x").await.unwrap();
    let all = json!({"filter": {"all": true}, "as": "not_placed", "why": "none of them"});
    let resolved = world.send("POST", "/api/v1/calls/resolve", &all).await;
    assert_eq!(resolved.body["verdicts"], json!({"resolved": 1}));
}

#[tokio::test]
async fn redrive_says_why_not() {
    let world = World::new().await;
    let id = world.enqueue(TO).await;
    let path = format!("/api/v1/calls/{id}/redrive");
    let redrive = |body: Value| {
        let (world, path) = (&world, &path);
        async move { world.send("POST", path, &body).await }
    };
    let refused = redrive(json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "not_over"));

    let call = world.claim().await.remove(0);
    world
        .calls
        .settle(call.reference(), Outcome::Answered, "")
        .await
        .unwrap();
    let refused = redrive(json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "needs_force")
    );
    let forced = redrive(json!({"force": true, "why": "they asked"})).await;
    assert_eq!(
        (forced.status.as_u16(), forced.body["state"].as_str()),
        (200, Some("waiting"))
    );

    let call = world.claim().await.remove(0);
    world
        .calls
        .settle(call.reference(), Outcome::Declined, "")
        .await
        .unwrap();
    world
        .sql("update pgdial.calls set hold_until = pgdial.now() + '1 hour'")
        .await;
    let refused = redrive(json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "held"));
    assert!(refused.body["until"].as_str().is_some());
    world.sql("update pgdial.calls set hold_until = null").await;

    world
        .calls
        .do_not_call_add(&TO.parse().unwrap(), "a test", "they asked")
        .await
        .unwrap();
    let refused = redrive(json!({"force": true, "why": "they asked"})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "suppressed")
    );
}

#[tokio::test]
async fn a_call_whose_row_somebody_holds_is_locked_and_says_try_again() {
    let world = World::new().await;
    let id = world.enqueue(TO).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select 1 from pgdial.calls for update")
        .execute(&mut *holder)
        .await
        .unwrap();
    let refused = world
        .send("POST", &format!("/api/v1/calls/{id}/cancel"), &json!({}))
        .await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "locked"));
    assert_eq!(refused.header("retry-after"), "1");
    holder.rollback().await.unwrap();
    assert_eq!(world.state(&id).await, "waiting");
}

#[tokio::test]
async fn a_number_not_to_ring_is_refused_with_the_reason() {
    let world = World::new().await;
    world
        .calls
        .do_not_call_add(&TO.parse().unwrap(), "a test", "they asked")
        .await
        .unwrap();
    let refused = world
        .send("POST", "/api/v1/calls", &json!({"to": TO, "scriptId": "s"}))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "suppressed")
    );
    assert!(refused.detail().contains("they asked"));
}

#[tokio::test]
async fn an_instant_may_have_any_offset_that_rfc_3339_has() {
    let world = World::new().await;
    for (text, shown) in [
        ("2035-01-02T00:00:00Z", "2035-01-02T00:00:00Z"),
        ("2035-01-02t05:30:00.25+05:30", "2035-01-02T00:00:00.250Z"),
        ("2035-01-02T00:00:00-19:15", "2035-01-02T19:15:00Z"),
        ("2035-01-02T23:59:00+23:59", "2035-01-02T00:00:00Z"),
    ] {
        let body = json!({"to": "+14155550100", "scriptId": "s", "runAt": text});
        let answer = world.send("POST", "/api/v1/calls", &body).await;
        assert_eq!(answer.status, 201, "{text}: {}", answer.text);
        assert_eq!(answer.body["runAt"], shown, "{text}");
    }
    for text in [
        "2035-01-02T00:00:00+24:00",
        "2035-02-30T00:00:00+17:00",
        "2035-01-02T00:00:00+16:60",
    ] {
        let body = json!({"to": "+14155550100", "scriptId": "s", "runAt": text});
        let answer = world.send("POST", "/api/v1/calls", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "invalid_request"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_new_call_is_answered_as_it_is_shown() {
    let world = World::new().await;
    for request in [
        json!({"to": "+14155550100", "scriptId": "s"}),
        json!({
            "to": "+1 (415) 555-0101", "scriptId": "s", "metadata": {"b": [1.5, null], "a": "é\n"}, "from": "+14155550199",
            "campaign": "default", "priority": 3, "runAt": "2126-01-31T09:00:00+02:00",
            "expiresAt": "2126-01-31T10:00:00.000001Z", "maxAttempts": 7, "idempotencyKey": "k",
        }),
    ] {
        let created = world.send("POST", "/api/v1/calls", &request).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let shown = world.get(created.header("location")).await;
        assert_eq!(created.body, shown.body);
        let again = world.send("POST", "/api/v1/calls", &request).await;
        if request.get("idempotencyKey").is_some() {
            assert_eq!((again.status.as_u16(), again.body), (200, shown.body));
        }
    }
}
