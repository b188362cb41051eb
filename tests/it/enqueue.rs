//! enqueue: (new) → waiting, or the call that the key already names (P2).

use std::collections::HashSet;

use futures_util::future::join_all;
use pgdial::flow::enqueue::Enqueued;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::{TestDb, ask, number, refusal, run};

fn keyed(key: &str, to: &str) -> Value {
    json!({ "to": to, "scriptId": "welcome", "idempotencyKey": key })
}

async fn one(db: &TestDb, request: Value) -> Enqueued {
    let mut answers = db.calls.enqueue("tester", &[request]).await.unwrap();
    answers.pop().unwrap()
}

#[tokio::test]
async fn a_call_is_kept_as_it_was_asked_for() {
    let db = TestDb::new().await;
    let id = db
        .enqueue_as(json!({
            "to": "+1 (415) 555-0001", "scriptId": "welcome", "metadata": {"order": 7},
            "from": "+1 415 555 9999", "priority": 4, "maxAttempts": 5,
            "runAt": "2126-01-31T09:00:00+02:00", "expiresAt": "2126-01-31T17:00:00Z",
        }))
        .await;
    let facts = "(phone, script_id, metadata, from_number, priority, max_attempts, owner, campaign, state, \
                 run_at = '2126-01-31T07:00:00Z', expires_at = '2126-01-31T17:00:00Z')";
    assert_eq!(
        db.column(id, facts).await,
        "(+14155550001,welcome,\"{\"\"order\"\": 7}\",+14155559999,4,5,tester,default,waiting,t,t)"
    );
    assert_eq!(db.story(id).await, "waiting");
}

#[tokio::test]
async fn the_same_key_with_the_same_request_is_the_same_call() {
    let db = TestDb::new().await;
    let Enqueued::Created(id) = one(&db, keyed("k", &number(1))).await else {
        panic!("not new");
    };
    assert_eq!(
        one(&db, keyed("k", &number(1))).await,
        Enqueued::Duplicate(id)
    );
    let spelled = keyed("k", "+1 (415) 555-0001");
    assert_eq!(one(&db, spelled).await, Enqueued::Duplicate(id));
    let spelled_out = json!({
        "to": number(1), "scriptId": "welcome", "idempotencyKey": "k", "campaign": "default",
        "metadata": {}, "priority": 0, "from": null,
    });
    assert_eq!(one(&db, spelled_out).await, Enqueued::Duplicate(id));
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 1);
    assert_eq!(db.story(id).await, "waiting");
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let db = TestDb::new().await;
    one(&db, keyed("k", &number(1))).await;
    for other in [
        json!({ "to": number(2), "scriptId": "welcome", "idempotencyKey": "k" }),
        json!({ "to": number(1), "scriptId": "other", "idempotencyKey": "k" }),
        json!({ "to": number(1), "scriptId": "welcome", "idempotencyKey": "k", "priority": 1 }),
        json!({ "to": number(1), "scriptId": "welcome", "idempotencyKey": "k", "metadata": {"a": 1} }),
        json!({ "to": number(1), "scriptId": "welcome", "idempotencyKey": "k", "runAt": "2126-01-01T00:00:00Z" }),
    ] {
        assert!(
            matches!(one(&db, other.clone()).await, Enqueued::KeyReused(_)),
            "{other}"
        );
    }
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 1);
}

#[tokio::test]
async fn a_known_key_answers_its_call_whatever_has_happened_since() {
    let db = TestDb::new().await;
    let mut request = keyed("k", &number(1));
    request["expiresAt"] = json!(
        db.text("to_json(pgdial.now() + interval '1 minute') #>> '{}'")
            .await
    );
    let Enqueued::Created(id) = one(&db, request.clone()).await else {
        panic!("not new");
    };
    // The number has since been listed and `expiresAt` has passed, but the call was accepted.
    let phone = number(1).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "tester", "asked")
        .await
        .unwrap();
    db.forward("2 minutes").await;
    assert_eq!(one(&db, request.clone()).await, Enqueued::Duplicate(id));
    request["priority"] = json!(1);
    let other = one(&db, request).await;
    assert!(matches!(other, Enqueued::KeyReused(_)), "{other:?}");
}

#[tokio::test]
async fn keys_belong_to_their_owner() {
    let db = TestDb::new().await;
    let request = [keyed("k", &number(1))];
    for owner in ["ann", "bob"] {
        let answer = db.calls.enqueue(owner, &request).await.unwrap();
        assert!(matches!(answer[0], Enqueued::Created(_)), "{owner}");
    }
}

#[tokio::test]
async fn single_requests_of_many_owners_gather_and_each_has_its_own_answer() {
    let db = TestDb::new().await;
    let requests: Vec<_> = (0..120)
        .map(|n| {
            let to = if n % 7 == 6 {
                "nobody".to_owned()
            } else {
                number(n % 7)
            };
            (["ann", "bob"][n % 2], keyed(&format!("k{}", n % 7), &to))
        })
        .collect();
    let asked = requests
        .iter()
        .map(|(owner, request)| db.calls.enqueue_one(owner, request));
    let mut ids = HashSet::new();
    for ((owner, request), answer) in requests.iter().zip(join_all(asked).await) {
        let (answer, call) = answer.unwrap();
        let id = match answer {
            Enqueued::Created(id) => {
                let shown = json!(call.unwrap());
                assert_eq!(shown, json!(db.calls.show(id).await.unwrap().unwrap()));
                id
            }
            Enqueued::Duplicate(id) => id,
            other => {
                assert_eq!(request["to"], "nobody", "{other:?}");
                continue;
            }
        };
        let facts = "owner || ' ' || idempotency_key || ' ' || phone";
        let key = request["idempotencyKey"].as_str().unwrap();
        let to = request["to"].as_str().unwrap();
        assert_eq!(db.column(id, facts).await, format!("{owner} {key} {to}"));
        ids.insert(id);
    }
    assert_eq!(ids.len(), 12);
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 12);
}

#[tokio::test]
async fn a_single_request_whose_key_is_held_does_not_hold_up_the_others() {
    let db = TestDb::new().await;
    let mut person = db.session().await;
    let enqueue = format!(
        "select pgdial.enqueue_many(array['tester'], '{}')",
        json!([keyed("k", &number(1))])
    );
    run(&mut person, &format!("begin; {enqueue}"))
        .await
        .unwrap();
    let held = keyed("k", &number(1));
    let held = db.calls.enqueue_one("tester", &held);
    let mut held = std::pin::pin!(held);
    let free: Vec<_> = (2..30)
        .map(|n| keyed(&format!("k{n}"), &number(n)))
        .collect();
    let free = join_all(free.iter().map(|one| db.calls.enqueue_one("tester", one)));
    let answers = tokio::select! {
        biased;
        answer = held.as_mut() => panic!("{answer:?} before the others"),
        answers = free => answers,
    };
    for answer in answers {
        assert!(matches!(answer.unwrap().0, Enqueued::Created(_)));
    }
    run(&mut person, "commit").await.unwrap();
    assert!(matches!(held.await.unwrap().0, Enqueued::Duplicate(_)));
}

#[tokio::test]
async fn thirty_writers_of_one_key_make_one_call() {
    let db = TestDb::new().await;
    let answers = join_all((0..30).map(|_| one(&db, keyed("k", &number(1))))).await;
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Enqueued::Created(_)))
        .count();
    assert_eq!(new, 1);
    let ids: HashSet<_> = answers
        .iter()
        .map(|answer| match answer {
            Enqueued::Created(id) | Enqueued::Duplicate(id) => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 1);
}

#[tokio::test]
async fn batches_with_their_keys_in_different_orders_do_not_deadlock() {
    let db = TestDb::new().await;
    let forward: Vec<Value> = (0..60)
        .map(|n| keyed(&format!("k{n}"), &number(n)))
        .collect();
    let backward: Vec<Value> = forward.iter().rev().cloned().collect();
    let batches = (0..8).map(|n| {
        let batch = if n % 2 == 0 { &forward } else { &backward };
        db.calls.enqueue("tester", batch)
    });
    let mut new = 0;
    for answers in join_all(batches).await {
        for answer in answers.unwrap() {
            match answer {
                Enqueued::Created(_) => new += 1,
                Enqueued::Duplicate(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(new, 60);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(db.number(deadlocks).await, 0);
}

#[tokio::test]
async fn bad_items_in_a_batch_harm_none_of_the_others() {
    let db = TestDb::new().await;
    let phone = number(9).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "tester", "asked")
        .await
        .unwrap();
    one(&db, keyed("used", &number(1))).await;
    let batch = [
        json!({ "to": number(2), "scriptId": "s" }),
        json!({ "to": "12345", "scriptId": "s" }),
        json!("not an object"),
        json!({ "to": number(9), "scriptId": "s" }),
        json!({ "to": number(3), "scriptId": "s", "campaign": "nowhere" }),
        keyed("used", &number(2)),
        json!({ "to": number(3), "scriptId": "s\u{0}" }),
        keyed("twice", &number(4)),
        keyed("twice", &number(4)),
        keyed("used", &number(1)),
        json!({ "to": number(5), "scriptId": "s" }),
    ];
    let answers = db.calls.enqueue("tester", &batch).await.unwrap();
    let words: Vec<String> = answers
        .iter()
        .map(|answer| format!("{answer:?}").split('(').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        words,
        [
            "Created",
            "Invalid",
            "Invalid",
            "Suppressed",
            "UnknownCampaign",
            "KeyReused",
            "Invalid",
            "Created",
            "Duplicate",
            "Duplicate",
            "Created"
        ]
    );
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 4);
    let events = "select count(*) from pgdial.call_events where kind = 'waiting'";
    assert_eq!(db.number(events).await, 4);
}

#[tokio::test]
async fn each_limit_is_refused_with_a_sentence() {
    let db = TestDb::new().await;
    for (field, value, words) in [
        ("to", json!(5), "must be a string"),
        ("to", json!("+0123456789"), "no country code"),
        ("scriptId", json!(""), "1 to 200"),
        ("scriptId", json!("x".repeat(201)), "1 to 200"),
        ("from", json!("nobody"), "\"from\" is not a number"),
        ("priority", json!(10), "0 to 9"),
        ("priority", json!(-1), "0 to 9"),
        ("priority", json!(1.5), "0 to 9"),
        ("maxAttempts", json!(0), "1 to 20"),
        ("maxAttempts", json!(21), "1 to 20"),
        ("metadata", json!([1]), "JSON object"),
        ("metadata", json!({ "x": "y".repeat(17_000) }), "16 KiB"),
        ("runAt", json!("tomorrow"), "RFC 3339"),
        ("runAt", json!("2126-01-31T09:00:00"), "offset"),
        ("runAt", json!("2126-02-31T09:00:00Z"), "RFC 3339"),
        ("expiresAt", json!("2001-01-01T00:00:00Z"), "past"),
        ("idempotencyKey", json!(""), "1 to 255"),
        ("idempotencyKey", json!("x".repeat(256)), "1 to 255"),
        ("colour", json!("red"), "unknown field"),
    ] {
        let mut request = json!({ "to": number(1), "scriptId": "s" });
        request[field] = value;
        let answer = one(&db, request).await;
        let Enqueued::Invalid(sentence) = &answer else {
            panic!("{field}: {answer:?}");
        };
        assert!(sentence.contains(words), "{field}: {sentence}");
    }
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 0);
}

#[tokio::test]
async fn a_key_that_an_open_transaction_holds_is_named_and_harms_no_other_item() {
    let db = TestDb::new().await;
    let mut person = db.session().await;
    let enqueue = format!(
        "select pgdial.enqueue_many(array['tester'], '{}')",
        json!([keyed("k", &number(1))])
    );
    run(&mut person, &format!("begin; {enqueue}"))
        .await
        .unwrap();
    let batch = [
        keyed("k", &number(1)),
        json!({ "to": number(2), "scriptId": "s" }),
    ];
    let answers = db.calls.enqueue("tester", &batch).await.unwrap();
    assert!(
        matches!(answers[0], Enqueued::KeyLocked(_)),
        "{:?}",
        answers[0]
    );
    assert!(
        matches!(answers[1], Enqueued::Created(_)),
        "{:?}",
        answers[1]
    );
    run(&mut person, "rollback").await.unwrap();
    assert!(matches!(
        one(&db, keyed("k", &number(1))).await,
        Enqueued::Created(_)
    ));
}

#[tokio::test]
async fn a_call_enqueued_in_a_transaction_that_rolls_back_leaves_nothing() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    run(
        &mut session,
        "begin; select pgdial.enqueue('+14155550001', 'welcome')",
    )
    .await
    .unwrap();
    assert_eq!(
        ask(&mut session, "select count(*) from pgdial.calls").await,
        "1"
    );
    assert!(db.claim(5).await.is_empty(), "not before it commits");
    run(&mut session, "rollback").await.unwrap();
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 0);
    assert_eq!(
        db.number("select count(*) from pgdial.call_events").await,
        0
    );
}

#[tokio::test]
async fn the_sql_function_answers_the_id_and_raises_what_cannot_be_taken() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let call = "pgdial.enqueue('+1 415 555 0001', 'welcome', '{\"a\": 1}', p_priority => 3, \
                p_run_at => now() + interval '1 hour', p_idempotency_key => 'k')";
    run(&mut session, "begin").await.unwrap();
    let id = ask(&mut session, call).await;
    assert_eq!(
        ask(&mut session, call).await,
        id,
        "the same now() in one transaction"
    );
    run(&mut session, "commit").await.unwrap();
    let facts = "select (phone, priority, metadata ->> 'a', run_at > now(), owner = session_user) from pgdial.calls";
    assert_eq!(ask(&mut session, facts).await, "(+14155550001,3,1,t,t)");
    for (sql, code) in [
        ("select pgdial.enqueue('911', 's')", "23514"),
        (
            "select pgdial.enqueue('+14155550001', 's', p_campaign => 'none')",
            "23503",
        ),
        (
            "select pgdial.enqueue('+14155550001', 'other', p_idempotency_key => 'k')",
            "23514",
        ),
    ] {
        assert_eq!(refusal(&mut session, sql).await.0, code, "{sql}");
    }
}

/// Sends a marker after whatever was sent before, which proves that nothing else was.
async fn heard_before_mark(db: &TestDb, listener: &mut PgListener) -> Vec<String> {
    db.sql("select pg_notify('pgdial_wake', 'mark')").await;
    let mut heard = Vec::new();
    loop {
        let notification = listener.recv().await.unwrap();
        if notification.payload() == "mark" {
            return heard;
        }
        heard.push(notification.payload().to_owned());
    }
}

#[tokio::test]
async fn an_enqueue_in_sql_wakes_at_commit_and_once() {
    let db = TestDb::new().await;
    let mut listener = PgListener::connect(&db.url).await.unwrap();
    listener.listen("pgdial_wake").await.unwrap();
    let mut session = db.session().await;
    run(
        &mut session,
        "begin; select pgdial.enqueue('+1415555' || n, 's') from generate_series(1000, 1010) n",
    )
    .await
    .unwrap();
    let nothing = Vec::<String>::new();
    assert_eq!(heard_before_mark(&db, &mut listener).await, nothing);
    run(&mut session, "commit").await.unwrap();
    assert_eq!(heard_before_mark(&db, &mut listener).await, ["claim"]);
}

#[tokio::test]
async fn an_enqueue_in_sql_wakes_nobody_when_told_so() {
    let db = TestDb::new().await;
    let mut listener = PgListener::connect(&db.url).await.unwrap();
    listener.listen("pgdial_wake").await.unwrap();
    let mut session = db.session().await;
    run(
        &mut session,
        "set pgdial.notify = off; select pgdial.enqueue('+14155550001', 's')",
    )
    .await
    .unwrap();
    let nothing = Vec::<String>::new();
    assert_eq!(heard_before_mark(&db, &mut listener).await, nothing);
    assert_eq!(db.claim(5).await.len(), 1, "the poll finds it");
}

#[tokio::test]
async fn a_batch_is_dialled_in_its_own_order() {
    let db = TestDb::new().await;
    let requests: Vec<_> = (0..300)
        .map(|n| json!({ "to": number(n), "scriptId": "welcome" }))
        .collect();
    let enqueued = db.calls.enqueue("tester", &requests).await.unwrap();
    let claimed: Vec<_> = db
        .claim(30)
        .await
        .iter()
        .map(|call| Enqueued::Created(call.id))
        .collect();
    assert_eq!(claimed, enqueued[..30]);
}
