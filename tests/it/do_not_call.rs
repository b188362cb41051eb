//! Numbers not to ring.

use pgdial::{domain::Phone, flow::enqueue::Enqueued};
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
    assert!(db.calls.do_not_call_remove(&phone(1)).await.unwrap());
    assert!(!db.calls.do_not_call_remove(&phone(1)).await.unwrap());
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
    let phones: Vec<_> = list.iter().map(|entry| entry["phone"].clone()).collect();
    assert_eq!(phones, [json!(number(2)), json!(number(1))]);
    assert_eq!(list[0]["by"], "ann");
    assert_eq!(list[0]["reason"], "asked");
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
