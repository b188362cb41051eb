//! Pages of calls by each field of a filter, and calls by whatever names them.

use pgdial::{
    domain::{CallId, Outcome},
    flow::{
        groups::ChangeError,
        listing::{CallFilter, Find, Named},
    },
};
use serde_json::json;

use crate::support::{TestDb, number};

async fn listed(db: &TestDb, filter: CallFilter) -> Vec<CallId> {
    let (mut ids, mut below) = (Vec::new(), None);
    loop {
        let page = db.calls.list(&filter, below, 2).await.unwrap();
        ids.extend(page.calls.iter().map(|call| call.id));
        below = page.below;
        if below.is_none() {
            return ids;
        }
    }
}

async fn found(db: &TestDb, text: &str) -> Vec<CallId> {
    let wanted = Find {
        text,
        ..Find::default()
    };
    let calls = db.calls.find(&wanted, 20).await.unwrap();
    calls.iter().map(|call| call.id).collect()
}

/// A call that declined, one in progress on the trunk, and one that waits; newest first.
async fn three(db: &TestDb) -> [CallId; 3] {
    db.sql(
        "insert into pgdial.trunks (name) values ('spare'); \
         insert into pgdial.campaigns (name, trunk) values ('spring', 'spare')",
    )
    .await;
    let declined = db.in_call(&number(1)).await;
    db.settle(&declined, Outcome::Declined).await;
    db.forward("1 hour").await;
    let live = db.in_call(&number(2)).await;
    db.forward("1 hour").await;
    let waiting = json!({
        "to": number(3), "scriptId": "s", "campaign": "spring", "idempotencyKey": "order-7",
        "metadata": {"lead": 4711, "tags": {"a": 1}, "odd=key": "x"},
    });
    [db.enqueue_as(waiting).await, live.id, declined.id]
}

#[tokio::test]
async fn each_field_of_a_filter_narrows_a_list() {
    let db = TestDb::new().await;
    let [waiting, live, declined] = three(&db).await;
    let provider_id = db.column(live, "provider_call_id").await;
    let then = db.calls.show(live).await.unwrap().unwrap().created_at;
    for (filter, expected) in [
        (json!({}), vec![waiting, live, declined]),
        (
            json!({ "state": ["failed", "waiting"] }),
            vec![waiting, declined],
        ),
        (json!({ "outcome": ["declined", "busy"] }), vec![declined]),
        (json!({ "trunk": "default" }), vec![live, declined]),
        (json!({ "trunk": "spare" }), vec![waiting]),
        (json!({ "providerCallId": provider_id }), vec![live]),
        (json!({ "idempotencyKey": "order-7" }), vec![waiting]),
        (
            json!({ "idempotencyKey": "order-7", "state": ["failed"] }),
            vec![],
        ),
        (
            json!({ "idempotencyKey": "order-7", "ids": [live] }),
            vec![],
        ),
        (json!({ "metadata": "lead=4711" }), vec![waiting]),
        (json!({ "metadata": "lead=471" }), vec![]),
        (json!({ "createdAfter": then }), vec![waiting, live]),
        (json!({ "createdBefore": then }), vec![declined]),
        (json!({ "runAfter": then }), vec![waiting, live]),
        (json!({ "runBefore": then }), vec![declined]),
        (json!({ "endedBefore": then }), vec![declined]),
        (json!({ "endedAfter": then }), vec![]),
        (
            json!({ "to": "(415) 555-0003", "region": "US" }),
            vec![waiting],
        ),
    ] {
        let read = serde_json::from_value(filter.clone()).unwrap();
        assert_eq!(listed(&db, read).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_for_what_does_not_exist_is_refused() {
    let db = TestDb::new().await;
    for (filter, words) in [
        (
            CallFilter {
                campaign: Some("nope".into()),
                ..CallFilter::default()
            },
            "there is no campaign \"nope\"",
        ),
        (
            CallFilter {
                trunk: Some("nope".into()),
                ..CallFilter::default()
            },
            "there is no trunk \"nope\"",
        ),
        (
            CallFilter {
                metadata: Some("nope".into()),
                ..CallFilter::default()
            },
            "as in \"lead=4711\"",
        ),
    ] {
        let refused = db.calls.list(&filter, None, 5).await;
        let Err(ChangeError::Refused(said)) = refused else {
            panic!("{refused:?}")
        };
        assert!(said.contains(words), "{said}");
        let exported = db.calls.export(&json!(filter), None, 5).await;
        assert!(matches!(exported, Err(ChangeError::Refused(_))));
    }
}

/// However few calls match, a page ends early and says where to go on, and the pages together are complete.
#[tokio::test]
async fn a_page_that_was_cut_off_goes_on_where_it_ended() {
    let db = TestDb::new().await;
    db.sql("create or replace function pgdial.list_walk() returns int language sql immutable as 'select 3'").await;
    let mut want = Vec::new();
    for n in 0..10_usize {
        let call = db.in_call(&number(n)).await;
        let outcome = if n % 4 == 0 {
            Outcome::Declined
        } else {
            Outcome::Answered
        };
        db.settle(&call, outcome).await;
        want.extend((n % 4 == 0).then_some(call.id));
    }
    want.reverse();
    for campaign in [None, Some("default".to_owned())] {
        let filter = CallFilter {
            outcome: Some(vec![Outcome::Declined]),
            campaign,
            ..CallFilter::default()
        };
        let first = db.calls.list(&filter, None, 2).await.unwrap();
        assert!(first.calls.len() < 2 && first.below.is_some(), "{first:?}");
        assert_eq!(listed(&db, filter).await, want);
    }
}

#[tokio::test]
async fn whatever_names_a_call_finds_it() {
    let db = TestDb::new().await;
    let [waiting, live, declined] = three(&db).await;
    let provider_id = db.column(live, "provider_call_id").await;
    let id = waiting.to_string();
    for (text, expected) in [
        (number(3), vec![waiting]),
        ("+1 (415) 555-0003".to_owned(), vec![waiting]),
        // In whichever region.
        (" (415) 555-0003\n".to_owned(), vec![waiting]),
        (id.clone(), vec![waiting]),
        (id.to_uppercase(), vec![waiting]),
        (id.replace('-', ""), vec![waiting]),
        (id[..23].to_owned(), vec![waiting]),
        (format!("{id}-1"), vec![waiting]),
        (id[..4].to_owned(), vec![waiting, live, declined]),
        (provider_id, vec![live]),
        ("order-7".to_owned(), vec![waiting]),
        ("lead=4711".to_owned(), vec![waiting]),
        ("lead=47".to_owned(), vec![]),
        ("=4711".to_owned(), vec![]),
        ("nobody".to_owned(), vec![]),
        (String::new(), vec![]),
    ] {
        assert_eq!(found(&db, &text).await, expected, "{text:?}");
    }
    let elsewhere = Find {
        text: &id,
        campaign: Some("default"),
        region: None,
    };
    assert!(db.calls.find(&elsewhere, 20).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_beginning_names_a_call_if_it_is_the_only_one() {
    let db = TestDb::new().await;
    let [waiting, live, declined] = three(&db).await;
    let id = waiting.to_string();
    for (beginning, named) in [
        (&id[..23], Named::One(waiting)),
        (&id[..4], Named::Several(vec![waiting, live, declined])),
        ("ffff", Named::Nothing),
        ("fff", Named::Nothing),
    ] {
        assert_eq!(
            db.calls.named(beginning).await.unwrap(),
            named,
            "{beginning}"
        );
    }
}
