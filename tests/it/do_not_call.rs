//! The do-not-call list.

use chrono::{DateTime, Utc};
use pgdial::{
    domain::{Outcome, Phone},
    flow::{
        do_not_call::{Listing, Scope},
        enqueue::Enqueued,
        redrive::Redriven,
    },
};
use serde_json::json;

use crate::support::{TestDb, ask, ended, number};

fn phone(n: usize) -> Phone {
    number(n).parse().unwrap()
}

#[tokio::test]
async fn a_number_on_the_list_is_not_taken() {
    let db = TestDb::new().await;
    assert!(
        db.calls
            .do_not_call_add(&phone(1), "ann", "asked")
            .await
            .unwrap()
    );
    assert!(
        !db.calls
            .do_not_call_add(&phone(1), "bob", "again")
            .await
            .unwrap()
    );
    let request = json!({ "to": "+1 (415) 555-0001", "scriptId": "s" });
    let answer = db.calls.enqueue("tester", &[request]).await.unwrap();
    let Enqueued::Suppressed(sentence) = &answer[0] else {
        panic!("{answer:?}");
    };
    assert!(sentence.contains("asked"), "{sentence}");
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 0);
}

#[tokio::test]
async fn a_number_taken_off_the_list_may_ring_again() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    db.calls
        .do_not_call_add(&phone(1), "ann", "asked")
        .await
        .unwrap();
    assert!(db.claim(1).await.is_empty());
    assert!(
        db.calls
            .do_not_call_remove(&phone(1), "tester", None)
            .await
            .unwrap()
    );
    assert!(
        !db.calls
            .do_not_call_remove(&phone(1), "tester", None)
            .await
            .unwrap()
    );
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn the_list_shows_the_newest_first() {
    let db = TestDb::new().await;
    for n in 0..3 {
        db.calls
            .do_not_call_add(&phone(n), "ann", "asked")
            .await
            .unwrap();
        db.forward("1 second").await;
    }
    let list = db.calls.do_not_call_list(2).await.unwrap();
    let phones: Vec<_> = list.iter().map(|entry| entry.phone.as_str()).collect();
    assert_eq!(phones, [json!(number(2)), json!(number(1))]);
    assert_eq!(list[0].by, "ann");
    assert_eq!(list[0].reason, "asked");
}

#[tokio::test]
async fn sql_takes_numbers_as_people_write_them() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let add = "pgdial.do_not_call_add('+1 415 555 0001', 'asked')";
    assert_eq!(ask(&mut session, add).await, "true");
    assert_eq!(ask(&mut session, add).await, "false");
    let (_, message) = db
        .refusal("select pgdial.do_not_call_add('911', 'asked')")
        .await;
    assert!(
        message.starts_with("the number is not an E.164 number: write +"),
        "{message}"
    );
    let remove = "pgdial.do_not_call_remove('+1-415-555-0001')";
    assert_eq!(ask(&mut session, remove).await, "true");
}

#[tokio::test]
async fn a_list_of_numbers_is_added_at_once_and_each_has_its_verdict() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let waiting = db.enqueue(&number(1)).await;
    let mut session = db.session().await;
    let add = "pgdial.do_not_call_add_many(array['+1 415 555 0001', '911', '+14155550002', '+1-415-555-0001', null], \
               array['a', 'b', null, 'd', 'e'], 'ann')";
    assert_eq!(
        ask(&mut session, add).await,
        "{added,invalid,added,listed,invalid}"
    );
    assert_eq!(
        ask(&mut session, add).await,
        "{listed,invalid,listed,listed,invalid}"
    );
    let none = "pgdial.do_not_call_add_many('{}', '{}', 'ann')";
    assert_eq!(ask(&mut session, none).await, "{}");
    let list = "select string_agg(phone || ' ' || reason || ' ' || by, ', ' order by phone) from pgdial.do_not_call";
    assert_eq!(db.text(list).await, "+14155550001 a ann, +14155550002  ann");
    let acts = "select string_agg(act || detail, ' ') from pgdial.acts where by = 'ann'";
    assert_eq!(db.text(acts).await, r#"do_not_call_add{"added": 2}"#);
    assert!(db.claim(1).await.is_empty());
    db.calls.sweep(&["default".to_owned()], None).await.unwrap();
    assert_eq!(db.state(waiting).await, "suppressed");
}

/// Two lists contain the same numbers in opposite orders: one waits for the other, and both are added.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_added_at_the_same_time_do_not_deadlock() {
    let db = TestDb::new().await;
    let entries: Vec<_> = (0..500).map(|n| (phone(n), "asked".to_owned())).collect();
    let all = Scope::default();
    let reversed: Vec<_> = entries.iter().rev().cloned().collect();
    for _ in 0..10 {
        let (one, other) = tokio::join!(
            db.calls.do_not_call_add_many(&all, &entries, "ann"),
            db.calls.do_not_call_add_many(&all, &reversed, "bob"),
        );
        let added = |listings: Vec<Listing>| {
            let added = listings
                .iter()
                .filter(|listing| **listing == Listing::Added);
            added.count()
        };
        assert_eq!(added(one.unwrap()) + added(other.unwrap()), 500);
        db.sql("truncate pgdial.do_not_call").await;
    }
}

/// Entries for a topic and for a campaign, and two campaigns of which the first has both.
async fn with_scopes() -> (TestDb, [Scope; 2]) {
    let db = TestDb::new().await;
    db.list_nobody().await;
    db.campaign("in", json!({ "topic": "renewals" })).await;
    db.campaign("out", json!({ "topic": "surveys" })).await;
    let topic = Scope {
        topic: Some("renewals".to_owned()),
        ..Scope::default()
    };
    let campaign = Scope {
        campaign: Some("in".to_owned()),
        ..Scope::default()
    };
    (db, [topic, campaign])
}

#[tokio::test]
async fn an_entry_forbids_its_topic_or_campaign_at_every_door() {
    let (db, scopes) = with_scopes().await;
    for (n, scope) in scopes.iter().enumerate() {
        let of = |campaign: &str| json!({ "to": number(n), "scriptId": "s", "campaign": campaign });
        let retried = db.enqueue_as(of("in")).await;
        let live = db.claim(1).await.pop().unwrap();
        let waiting = db.enqueue_as(of("in")).await;
        let to = phone(n);
        let added = db.calls.do_not_call_add_in(scope, &to, "ann", "asked");
        assert!(added.await.unwrap());

        let enqueued = db.calls.enqueue("tester", &[of("in"), of("out")]).await;
        let enqueued = enqueued.unwrap();
        assert!(
            matches!(enqueued[0], Enqueued::Suppressed(_)),
            "{enqueued:?}"
        );
        let Enqueued::Created(other) = enqueued[1] else {
            panic!("{enqueued:?}");
        };
        db.event(&live, "busy", ended(Outcome::Busy)).await;
        assert_eq!(db.state(retried).await, "suppressed");
        let reasons = db.calls.why(waiting).await.unwrap();
        assert_eq!(reasons[0].reason, "suppressed");
        let word = scope
            .topic
            .as_deref()
            .map_or("campaign in", |_| "topic renewals");
        assert!(reasons[0].message.contains(word), "{reasons:?}");
        let claimed = db.claim(5).await;
        assert_eq!(
            claimed.iter().map(|call| call.id).collect::<Vec<_>>(),
            [other]
        );
        db.sweep().await;
        assert_eq!(db.state(waiting).await, "suppressed");
        let (redriven, _) = db.calls.redrive(waiting, "ann", None, false).await.unwrap();
        assert_eq!(redriven, Redriven::Suppressed);

        // An entry of another scope stays.
        assert!(!db.calls.do_not_call_remove(&to, "ann", None).await.unwrap());
        let removed = db.calls.do_not_call_remove_in(scope, &to, "ann", None);
        assert!(removed.await.unwrap());
        let (redriven, _) = db.calls.redrive(waiting, "ann", None, false).await.unwrap();
        assert_eq!(redriven, Redriven::Waiting);
        db.sql("delete from pgdial.calls").await;
    }
}

/// The sweep is done with an entry although calls that it does not forbid still wait.
#[tokio::test]
async fn an_entry_is_not_pending_because_of_calls_that_it_does_not_forbid() {
    let (db, [topic, _]) = with_scopes().await;
    let other = json!({ "to": number(1), "scriptId": "s", "campaign": "out" });
    let other = db.enqueue_as(other).await;
    let to = phone(1);
    let added = db.calls.do_not_call_add_in(&topic, &to, "ann", "asked");
    added.await.unwrap();
    db.forward("2 minutes").await;
    db.sweep().await;
    assert_eq!(db.state(other).await, "waiting");
    assert_eq!(
        db.text("select pending from pgdial.do_not_call").await,
        "false"
    );
}

#[tokio::test]
async fn an_entry_that_is_over_forbids_nothing_and_goes() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let now: DateTime<Utc> = sqlx::query_scalar("select pgdial.now()")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    let until = |hours: i64| Scope {
        until: Some(now + chrono::Duration::hours(hours)),
        ..Scope::default()
    };
    let add = |scope: Scope, why: &'static str| {
        let db = &db;
        async move {
            let to = phone(1);
            let added = db.calls.do_not_call_add_in(&scope, &to, "ann", why);
            added.await.unwrap()
        }
    };
    let id = db.enqueue(&number(1)).await;
    assert!(add(until(1), "an hour").await);
    assert!(!add(until(1), "no longer").await);
    assert!(add(until(2), "two hours").await, "extended");
    let list = db.calls.do_not_call_list(5).await.unwrap();
    assert_eq!((list.len(), list[0].reason.as_str()), (1, "two hours"));
    db.forward("90 minutes").await;
    assert!(db.claim(1).await.is_empty());
    db.forward("1 hour").await;
    assert!(db.calls.do_not_call_list(5).await.unwrap().is_empty());
    assert_eq!(db.claim(1).await[0].id, id);
    db.enqueue(&number(1)).await;
    let done = db.calls.housekeeping(None).await.unwrap();
    assert_eq!(done["drop_list_entries"], 1, "{done}");
    assert_eq!(
        db.number("select count(*) from pgdial.do_not_call").await,
        0
    );
}

#[tokio::test]
async fn a_scope_that_would_protect_nobody_is_refused() {
    let (db, [topic, campaign]) = with_scopes().await;
    let both = Scope {
        campaign: campaign.campaign.clone(),
        ..topic.clone()
    };
    let unknown = Scope {
        campaign: Some("inn".to_owned()),
        ..Scope::default()
    };
    let loud = Scope {
        topic: Some(String::new()),
        ..Scope::default()
    };
    let over = Scope {
        until: "2020-01-01T00:00:00Z".parse().ok(),
        ..topic
    };
    for (scope, words) in [
        (both, "exclude each other"),
        (unknown, "there is no campaign \"inn\""),
        (loud, "\"topic\" has 1 to 100"),
        (over, "lies in the past"),
    ] {
        let to = phone(1);
        let added = db.calls.do_not_call_add_in(&scope, &to, "ann", "asked");
        let refused = added.await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
