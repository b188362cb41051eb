//! The do-not-call list.

use pgdial::{
    domain::Phone,
    flow::{do_not_call::Listing, enqueue::Enqueued},
};
use serde_json::json;

use crate::support::{TestDb, ask, number};

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
    let reversed: Vec<_> = entries.iter().rev().cloned().collect();
    for _ in 0..10 {
        let (one, other) = tokio::join!(
            db.calls.do_not_call_add_many(&entries, "ann"),
            db.calls.do_not_call_add_many(&reversed, "bob"),
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
