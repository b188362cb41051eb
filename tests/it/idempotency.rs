//! Many writers use the same idempotency keys at once, in any order: one call per key, each writer gets its id, and
//! no Postgres deadlock surfaces (P2).

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use pgdial::flow::enqueue::Enqueued;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::{TestDb, number, run};

/// Keys belong to an owner; in plain SQL that is the role, here the superuser's.
const OWNER: &str = "pgdial";

fn key(n: usize) -> String {
    format!("k{n:02}")
}

/// The n-th order of these keys: each starts elsewhere, and every other one runs backwards.
fn order(keys: usize, nth: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys).collect();
    order.rotate_left(nth * 7 % keys);
    if nth % 2 == 1 {
        order.reverse();
    }
    order
}

type Ids = HashMap<usize, Uuid>;

/// Enqueues the keys in one batch, as the API does. A key held by a transaction for longer than 2 s yields 409, and
/// is requested again.
async fn in_batches(db: &TestDb, keys: &[usize]) -> Ids {
    let mut ids = Ids::new();
    while ids.len() < keys.len() {
        let missing: Vec<usize> = keys
            .iter()
            .copied()
            .filter(|n| !ids.contains_key(n))
            .collect();
        let requests: Vec<Value> = missing
            .iter()
            .map(|n| json!({ "to": number(*n), "scriptId": "s", "idempotencyKey": key(*n) }))
            .collect();
        let answers = db.calls.enqueue(OWNER, &requests).await.unwrap();
        for (n, answer) in missing.iter().zip(answers) {
            match answer {
                Enqueued::Created(id) | Enqueued::Duplicate(id) => {
                    ids.insert(*n, id.0);
                }
                Enqueued::KeyLocked(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    ids
}

/// A person's session, with a short `deadlock_timeout`.
async fn session(db: &TestDb) -> PgConnection {
    let mut session = db.session().await;
    run(&mut session, "set deadlock_timeout = '20ms'")
        .await
        .unwrap();
    session
}

/// One call within the session's transaction; on failure Postgres's code and message.
async fn enqueue(session: &mut PgConnection, n: usize) -> Result<Uuid, (String, String)> {
    let sql = "select pgdial.enqueue($1, 's', p_idempotency_key => $2)";
    let enqueued: Result<(Uuid,), sqlx::Error> = sqlx::query_as(sql)
        .bind(number(n))
        .bind(key(n))
        .fetch_one(session)
        .await;
    enqueued.map(|(id,)| id).map_err(|error| {
        let error = error.into_database_error().unwrap();
        let code = error.code().unwrap().into_owned();
        (code, error.message().to_owned())
    })
}

/// Enqueues the keys in one transaction, one after the other, as an application does.
async fn transaction(session: &mut PgConnection, keys: &[usize]) -> Option<Ids> {
    run(session, "begin").await.unwrap();
    let mut ids = Ids::new();
    for n in keys {
        match enqueue(session, *n).await {
            Ok(id) => {
                ids.insert(*n, id);
            }
            Err(refused) => {
                run(session, "rollback").await.unwrap();
                let key_locked = ("55P03".to_owned(), "pgdial.enqueue: key_locked".to_owned());
                assert_eq!(refused, key_locked);
                return None;
            }
        }
    }
    run(session, "commit").await.unwrap();
    Some(ids)
}

async fn in_a_transaction(db: &TestDb, keys: &[usize]) -> Ids {
    let mut session = session(db).await;
    loop {
        if let Some(ids) = transaction(&mut session, keys).await {
            return ids;
        }
    }
}

#[tokio::test]
async fn thirty_writers_of_the_same_keys_in_different_orders_make_one_call_for_each() {
    const KEYS: usize = 24;
    let db = TestDb::new().await;
    let batches = (0..20).map(|nth| {
        let db = db.clone();
        async move { in_batches(&db, &order(KEYS, nth)).await }
    });
    let transactions = (0..10).map(|nth| {
        let db = db.clone();
        async move { in_a_transaction(&db, &order(KEYS, nth)[..4]).await }
    });
    let (of_batches, of_transactions) = tokio::join!(join_all(batches), join_all(transactions));
    let mut of_key: HashMap<usize, HashSet<Uuid>> = HashMap::new();
    for (n, id) in of_batches.into_iter().chain(of_transactions).flatten() {
        of_key.entry(n).or_default().insert(id);
    }
    assert_eq!(of_key.len(), KEYS);
    assert!(of_key.values().all(|ids| ids.len() == 1), "{of_key:?}");
    let kept = "select count(*) || ' ' || count(distinct idempotency_key) from pgdial.calls";
    assert_eq!(db.text(kept).await, format!("{KEYS} {KEYS}"));
    let begun = "select count(*) from pgdial.call_events where kind = 'waiting'";
    assert_eq!(db.text(begun).await, KEYS.to_string());
}

/// Two transactions, each holding the key that the other wants next.
#[tokio::test]
async fn a_deadlock_of_two_transactions_is_a_locked_key_for_one_and_nothing_for_the_other() {
    let db = TestDb::new().await;
    let (mut ann, mut bob) = (session(&db).await, session(&db).await);
    for (session, first) in [(&mut ann, 1), (&mut bob, 2)] {
        run(session, "begin").await.unwrap();
        enqueue(session, first).await.unwrap();
    }
    let crosses = async |session: &mut PgConnection, n| {
        let crossed = enqueue(session, n).await;
        let end = if crossed.is_ok() {
            "commit"
        } else {
            "rollback"
        };
        run(session, end).await.unwrap();
        crossed
    };
    let (anns, bobs) = tokio::join!(crosses(&mut ann, 2), crosses(&mut bob, 1));
    let refused: Vec<_> = [anns, bobs].into_iter().filter_map(Result::err).collect();
    let key_locked = ("55P03".to_owned(), "pgdial.enqueue: key_locked".to_owned());
    assert_eq!(refused, [key_locked]);
    // The loser starts again and gets the same calls.
    let again = transaction(&mut ann, &[1, 2]).await.unwrap();
    assert_eq!(transaction(&mut bob, &[2, 1]).await.unwrap(), again);
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 2);
}
