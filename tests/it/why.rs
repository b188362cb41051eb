//! why: why a call is not being dialled, or what it waits for.

use pgdial::{
    domain::{CallId, Outcome},
    flow::{
        amend::Amended, defer::DeferReason, groups::GroupKind, read::Reason, release::Released,
    },
};
use serde_json::json;

use crate::support::{TestDb, number};

async fn why(db: &TestDb, id: CallId) -> Vec<Reason> {
    db.calls.why(id).await.unwrap()
}

async fn reasons(db: &TestDb, id: CallId) -> Vec<String> {
    why(db, id)
        .await
        .into_iter()
        .map(|why| why.reason)
        .collect()
}

#[tokio::test]
async fn nothing_in_the_way_is_said_too() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    let id = db.enqueue(&number(1)).await;
    assert_eq!(reasons(&db, id).await, ["next"]);
    assert_eq!(db.claim(1).await[0].id, id, "and it is true");
}

#[tokio::test]
async fn removing_the_first_reason_shows_the_next_one_until_it_is_dialled() {
    let db = TestDb::new().await;
    let holder = db.given_up(&number(1)).await;
    let other = db.in_call(&number(2)).await;
    let id = db
        .enqueue_as(json!({ "to": number(1), "scriptId": "s", "runAt": "2126-01-01T00:00:00Z" }))
        .await;
    db.sql("update pgdial.trunks set slots = 1; update pgdial.campaigns set cap = 1")
        .await;
    let phone = number(1).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "ann", "asked us")
        .await
        .unwrap();
    db.calls
        .pause(GroupKind::Trunk, "default", "ann", "fire")
        .await
        .unwrap();
    db.calls
        .pause(GroupKind::Campaign, "default", "ann", "lunch")
        .await
        .unwrap();

    let mut expected = vec![
        "suppressed",
        "trunk_paused",
        "campaign_paused",
        "scheduled",
        "no_worker",
        "number_taken",
        "trunk_full",
        "campaign_full",
    ];
    assert_eq!(reasons(&db, id).await, expected);
    let all = why(&db, id).await;
    assert!(all[0].message.contains("asked us"), "{}", all[0].message);
    assert!(all[1].message.contains("ann") && all[1].message.contains("fire"));
    assert!(all[2].message.contains("lunch"));
    assert_eq!(
        all[3].until.unwrap().to_rfc3339(),
        "2126-01-01T00:00:00+00:00"
    );
    assert_eq!(all[5].object, Some(holder.id.to_string()));
    assert!(all[5].until.is_some());

    while !expected.is_empty() {
        assert!(db.claim(1).await.is_empty(), "{expected:?}");
        let (campaign, trunk) = (GroupKind::Campaign, GroupKind::Trunk);
        match expected.remove(0) {
            "suppressed" => assert!(
                db.calls
                    .do_not_call_remove(&phone, "tester", None)
                    .await
                    .unwrap()
            ),
            "trunk_paused" => assert!(
                db.calls
                    .resume(trunk, "default", "tester", None)
                    .await
                    .unwrap()
            ),
            "campaign_paused" => assert!(
                db.calls
                    .resume(campaign, "default", "tester", None)
                    .await
                    .unwrap()
            ),
            "scheduled" => {
                let now = json!({ "runAt": "2020-01-01T00:00:00Z" });
                let amended = db.calls.amend(id, "ann", &now).await.unwrap();
                assert_eq!(amended, Amended::Amended);
            }
            "no_worker" => {
                db.worker(&["default"]).await;
            }
            "number_taken" => {
                let released = db.calls.release(holder.id, "ann", "over").await;
                assert_eq!(released.unwrap(), Released::Released);
            }
            "trunk_full" => db.sql("update pgdial.trunks set slots = 2").await,
            "campaign_full" => {
                db.settle(&other, Outcome::Answered).await;
            }
            reason => panic!("{reason}"),
        }
        let left = if expected.is_empty() {
            vec!["next"]
        } else {
            expected.clone()
        };
        assert_eq!(reasons(&db, id).await, left);
    }
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn a_retry_that_is_not_due_says_so() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Busy).await;
    let said = why(&db, call.id).await;
    assert_eq!(said[0].reason, "retry_due");
    assert!(
        said[0].message.contains("attempt 1 of 3 ended busy"),
        "{}",
        said[0].message
    );
    let due = db
        .column(call.id, "extract(epoch from run_at)::bigint")
        .await;
    assert!((said[0].until.unwrap().timestamp() - due.parse::<i64>().unwrap()).abs() <= 1);
}

/// A failed dial postpones its call by five seconds: nobody scheduled that, and it is not what must change first.
#[tokio::test]
async fn a_call_that_a_fault_put_back_names_the_breaker_first() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    let call = db.dialing(&number(1)).await;
    let late = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "HTTP 500")
        .await;
    late.unwrap();
    db.sql("insert into pgdial.trunk_breaker values ('default', 5, 'HTTP 500', 1, pgdial.now(), pgdial.now() + interval '1 minute')")
        .await;
    assert_eq!(reasons(&db, call.id).await, ["breaker", "retry_due"]);
    let put_back = &why(&db, call.id).await[1].message;
    assert!(put_back.contains("put back (HTTP 500)"), "{put_back}");
}

#[tokio::test]
async fn a_number_that_another_call_rings_is_named() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    let live = db.in_call(&number(1)).await;
    let id = db.enqueue(&number(1)).await;
    let said = why(&db, id).await;
    assert_eq!(said[0].reason, "number_taken");
    assert_eq!(said[0].object, Some(live.id.to_string()));
    assert!(said[0].message.contains("in_call"));
}

#[tokio::test]
async fn a_full_trunk_a_full_campaign_and_the_pace_are_told_apart() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    db.in_call(&number(1)).await;
    let id = db.enqueue(&number(2)).await;
    db.sql("update pgdial.trunks set slots = 1").await;
    assert_eq!(reasons(&db, id).await, ["trunk_full"]);
    db.sql("update pgdial.trunks set slots = 2; update pgdial.campaigns set cap = 1")
        .await;
    assert_eq!(reasons(&db, id).await, ["campaign_full"]);
    db.sql("update pgdial.campaigns set cap = null; update pgdial.trunks set slots = 9, calls_per_second = 0.01")
        .await;
    assert_eq!(db.claim(1).await[0].id, id, "the bucket holds one");
    let id = db.enqueue(&number(3)).await;
    let said = why(&db, id).await;
    assert_eq!(said[0].reason, "pacing");
    assert!(said[0].until.unwrap() > db.calls.now().await.unwrap());
    db.forward("100 seconds").await;
    db.worker(&["default"]).await;
    assert_eq!(reasons(&db, id).await, ["next"]);
}

#[tokio::test]
async fn a_worker_that_stops_or_falls_silent_is_no_worker() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let mut worker = db.worker(&["default"]).await;
    assert_eq!(reasons(&db, id).await, ["next"]);
    db.forward("46 seconds").await;
    assert_eq!(reasons(&db, id).await, ["no_worker"]);
    db.calls.heartbeat(&worker).await.unwrap();
    assert_eq!(reasons(&db, id).await, ["next"]);
    worker.stopping = true;
    db.calls.heartbeat(&worker).await.unwrap();
    assert_eq!(reasons(&db, id).await, ["no_worker"]);
    db.worker(&["other"]).await;
    assert_eq!(reasons(&db, id).await, ["no_worker"]);
}

#[tokio::test]
async fn an_expired_call_says_so_before_the_sweep_comes() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    let id = db
        .enqueue_as(
            json!({ "to": number(1), "scriptId": "s", "expiresAt": "2126-01-01T00:00:00Z" }),
        )
        .await;
    db.sql("update pgdial.calls set expires_at = pgdial.now()")
        .await;
    assert_eq!(reasons(&db, id).await, ["expired"]);
}

#[tokio::test]
async fn a_call_in_flight_says_what_it_awaits() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(reasons(&db, call.id).await, ["dialing"]);
    db.calls
        .doubt(call.reference(), "read timeout")
        .await
        .unwrap();
    let said = why(&db, call.id).await;
    assert_eq!(said[0].reason, "unresolved");
    assert!(said[0].message.contains("read timeout"));
    assert_eq!(said[0].object, Some(call.reference().to_string()));
    db.calls.dialed(call.reference(), "p-1").await.unwrap();
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    let said = why(&db, call.id).await;
    assert_eq!(said[0].reason, "in_call");
    assert_eq!(said[0].object.as_deref(), Some("p-1"));
    assert!(said[0].until.is_some());
    assert_eq!(said[1].reason, "cancel_requested");
    assert!(said[1].message.contains("ann"));
}

#[tokio::test]
async fn a_call_that_is_over_says_how_it_ended() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Declined).await;
    let said = why(&db, call.id).await;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].reason, "failed");
    assert!(said[0].message.contains("declined") && said[0].message.contains("said so"));
    let held = db.given_up(&number(2)).await;
    assert_eq!(reasons(&db, held.id).await, ["failed", "held"]);
    db.sql("delete from pgdial.calls").await;
    assert!(why(&db, call.id).await.is_empty());
}

#[tokio::test]
async fn a_call_whose_campaign_is_gone_says_so() {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    let id = db.enqueue(&number(1)).await;
    db.sql("set session_replication_role = replica; delete from pgdial.campaigns; set session_replication_role = origin")
        .await;
    assert_eq!(reasons(&db, id).await[0], "no_campaign");
}

/// Numbers are masked in what people wrote; ids of calls, which look like numbers in part, are for copying.
#[tokio::test]
async fn numbers_are_masked_and_ids_are_not() {
    let db = TestDb::new().await;
    let id = "01a22a2b-8123-7456-8901-234567890123";
    for (text, shown) in [
        (format!("calls {id}, {id}"), format!("calls {id}, {id}")),
        (
            format!("call {id} to +14155550101 or 415 555 0101"),
            format!("call {id} to +141***01 or 415***01"),
        ),
        (String::new(), String::new()),
    ] {
        let masked = db.text(&format!("pgdial.masked('{text}')")).await;
        assert_eq!(masked, shown);
    }
}

/// The list that the OpenAPI document has. What `why` can say otherwise comes from `lanes` and from the hours.
#[tokio::test]
async fn every_reason_is_in_the_list_of_reasons() {
    let db = TestDb::new().await;
    let (known,): (Vec<String>,) = sqlx::query_as("select pgdial.why_reasons()")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let is_word =
        |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut said: Vec<&str> = Vec::new();
    let why = include_str!("../../sql/views/why.sql");
    for line in why.lines() {
        let line = line.trim_start();
        let code = line
            .strip_prefix("select ")
            .and_then(|rest| rest.split_once(", '"));
        if let Some((ord, rest)) = code.filter(|(ord, _)| ord.parse::<u8>().is_ok()) {
            said.extend(
                rest.split('\'')
                    .next()
                    .filter(is_word)
                    .filter(|_| !ord.is_empty()),
            );
        }
        let named = line.strip_prefix("reason := '");
        said.extend(named.and_then(|rest| rest.split('\'').next()));
    }
    assert!(said.len() > 15, "{said:?}");
    let lanes = include_str!("../../sql/rules/lanes.sql");
    let reasons = lanes
        .lines()
        .filter(|line| line.trim_start().starts_with("case when"));
    said.extend(
        reasons
            .filter_map(|line| line.rsplit("then '").next()?.split('\'').next())
            .filter(is_word),
    );
    let documented = include_str!("../../docs/OPERATIONS.md");
    let table = documented
        .lines()
        .skip_while(|line| !line.starts_with("| first reason"));
    for row in table.skip(2).take_while(|line| line.starts_with('|')) {
        let first = row.split('|').nth(1).unwrap_or_default();
        said.extend(first.split('`').filter(is_word));
    }
    for word in said {
        assert!(known.iter().any(|reason| reason == word), "{word}");
    }
}
