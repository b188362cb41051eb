//! What many tasks write at the same time goes as few statements, and nobody's item is
//! another's business: each has its own answer, and one that fails or waits harms nobody
//! (P7). The statements are counted by the transactions that events name.

use std::{collections::HashSet, sync::Arc};

use pgdial::{
    db,
    domain::{CallId, ClaimedCall, Outcome, Reference},
    flow::{
        Error, Queue,
        settle::Settled,
        webhook::{Event, Verdict},
    },
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{TestDb, ended, eventually, number, run};

/// So many calls that are dialing.
async fn dialing(db: &TestDb, count: usize, script: &str) -> Vec<ClaimedCall> {
    db.sql("update pgdial.trunks set slots = 1000").await;
    let requests: Vec<_> = (0..count)
        .map(|n| json!({ "to": number(n), "scriptId": script }))
        .collect();
    db.calls.enqueue("tester", &requests).await.unwrap();
    let calls = db.claim(count).await;
    assert_eq!(calls.len(), count);
    calls
}

/// How many transactions wrote the events of this kind.
async fn statements(db: &TestDb, kinds: &str) -> i64 {
    db.number(&format!(
        "select count(distinct xid) from pgdial.call_events where kind = any ('{{{kinds}}}')"
    ))
    .await
}

type Settles = JoinSet<(CallId, Result<Settled, Error>)>;

/// Settles them all, each in a task of its own.
fn settle_all(calls: &Queue, dials: &[Reference], outcome: Outcome) -> Settles {
    let mut tasks = JoinSet::new();
    for dial in dials.iter().copied() {
        let calls = calls.clone();
        tasks.spawn(async move { (dial.call, calls.settle(dial, outcome, "said so").await) });
    }
    tasks
}

fn references(calls: &[ClaimedCall]) -> Vec<Reference> {
    calls.iter().map(ClaimedCall::reference).collect()
}

#[tokio::test]
async fn two_hundred_settles_of_the_same_moment_are_one_statement_and_each_has_its_own_answer() {
    const ENDS: [(Outcome, Settled); 3] = [
        (Outcome::Answered, Settled::Completed),
        (Outcome::Busy, Settled::Retried),
        (Outcome::Declined, Settled::Failed),
    ];
    let db = TestDb::new().await;
    let mut tasks = JoinSet::new();
    for (n, call) in dialing(&db, 200, "s").await.into_iter().enumerate() {
        let (calls, (outcome, expected)) = (db.calls.clone(), ENDS[n % ENDS.len()]);
        tasks.spawn(async move {
            let settled = calls.settle(call.reference(), outcome, "said so").await;
            assert_eq!(settled.unwrap(), expected);
        });
    }
    tasks.join_all().await;
    assert_eq!(statements(&db, "completed,retried,failed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_dials_accepted_at_once_are_few_statements() {
    let db = TestDb::new().await;
    let calls = dialing(&db, 200, "s").await;
    let mut tasks = JoinSet::new();
    for call in &calls {
        let (verbs, dial) = (db.calls.clone(), call.reference());
        tasks.spawn(async move { verbs.dialed(dial, &format!("p-{}", dial.call)).await });
    }
    for dialed in tasks.join_all().await {
        assert!(dialed.unwrap().in_call);
    }
    let own = "select count(*) from pgdial.calls where provider_call_id = 'p-' || id";
    assert_eq!(db.number(own).await, 200);
    let statements = statements(&db, "in_call").await;
    assert!(statements <= 50, "{statements}");
}

/// The verb itself names the offender, or its error fails the whole statement.
#[tokio::test]
async fn one_item_that_cannot_be_written_harms_none_of_the_fifty() {
    for (code, is_refused) in [("raise_exception", true), ("feature_not_supported", false)] {
        let db = TestDb::new().await;
        db.sql(&format!(
            "create function refuse() returns trigger language plpgsql as \
             $$ begin raise exception 'not this one' using errcode = '{code}'; end $$; \
             create trigger refuse before update on pgdial.calls for each row \
             when (new.script_id = 'poison' and new.state = 'failed') execute function refuse()"
        ))
        .await;
        let mut dials = references(&dialing(&db, 49, "s").await);
        let poison = db.enqueue_poison(&number(100)).await;
        dials.insert(20, db.claim(1).await[0].reference());
        let settles = settle_all(&db.calls, &dials, Outcome::Declined);
        for (id, settled) in settles.join_all().await {
            match settled {
                Ok(settled) => assert_eq!((settled, id != poison), (Settled::Failed, true)),
                Err(error) => {
                    assert_eq!(id, poison, "{error:?}");
                    assert_eq!(
                        matches!(error, Error::Refused { .. }),
                        is_refused,
                        "{error:?}"
                    );
                }
            }
        }
        assert_eq!(db.state(poison).await, "dialing");
        let failed = "select count(*) from pgdial.calls where state = 'failed'";
        assert_eq!(db.number(failed).await, 49, "{code}");
    }
}

#[tokio::test]
async fn a_row_that_somebody_holds_delays_its_own_item_alone() {
    let db = TestDb::new().await;
    let calls = dialing(&db, 50, "s").await;
    let (held, others) = (&calls[..2], &calls[2..]);
    let mut person = db.session().await;
    let begin = format!(
        "begin; select from pgdial.calls where id in ('{}', '{}') for update",
        held[0].id, held[1].id
    );
    run(&mut person, &begin).await.unwrap();
    // One comes alone, one with all the others.
    let alone = settle_all(&db.calls, &references(&held[..1]), Outcome::Busy);
    db.until_waiting(1).await;
    let mut rest = settle_all(&db.calls, &references(&calls[1..]), Outcome::Busy);
    let mut settled = HashSet::new();
    while settled.len() < others.len() {
        let (id, answer) = rest.join_next().await.unwrap().unwrap();
        match answer {
            Ok(answer) => assert!(answer == Settled::Retried && settled.insert(id)),
            // Half a second is over.
            Err(error) => assert!(matches!(error, Error::LockedOut) && id == held[1].id),
        }
    }
    run(&mut person, "commit").await.unwrap();
    for (id, answer) in alone
        .join_all()
        .await
        .into_iter()
        .chain(rest.join_all().await)
    {
        assert!(!settled.contains(&id));
        assert!(
            matches!(answer, Ok(Settled::Retried) | Err(Error::LockedOut)),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn an_accepted_dial_whose_row_somebody_holds_delays_none_of_the_others() {
    let db = TestDb::new().await;
    let calls = dialing(&db, 50, "s").await;
    let held = &calls[0];
    let mut person = db.session().await;
    let begin = format!(
        "begin; select from pgdial.calls where id = '{}' for update",
        held.id
    );
    run(&mut person, &begin).await.unwrap();
    let mut tasks = JoinSet::new();
    for call in &calls {
        let (queue, dial) = (db.calls.clone(), call.reference());
        tasks.spawn(async move { (dial.call, queue.dialed(dial, &format!("p-{dial}")).await) });
    }
    for _ in 1..calls.len() {
        let (id, answer) = tasks.join_next().await.unwrap().unwrap();
        match answer {
            Ok(answer) => assert!(answer.in_call && id != held.id),
            // Half a second is over.
            Err(error) => assert!(matches!(error, Error::LockedOut) && id == held.id),
        }
    }
    run(&mut person, "commit").await.unwrap();
    tasks.join_all().await;
    let in_call = "select count(*) from pgdial.live_calls where state = 'in_call'";
    assert!(db.number(in_call).await >= 49);
}

#[tokio::test]
async fn what_a_caller_brought_that_went_away_is_written_all_the_same() {
    let db = TestDb::new().await;
    let calls = dialing(&db, 40, "s").await;
    let (gone, here) = calls.split_at(20);
    let mut leaving = settle_all(&db.calls, &references(gone), Outcome::Busy);
    let staying = settle_all(&db.calls, &references(here), Outcome::Busy);
    // Each has been polled once, and none has an answer yet.
    tokio::task::yield_now().await;
    leaving.abort_all();
    while let Some(left) = leaving.join_next().await {
        assert!(left.unwrap_err().is_cancelled());
    }
    for (_, settled) in staying.join_all().await {
        assert_eq!(settled.unwrap(), Settled::Retried);
    }
    let written = "select count(*) from pgdial.calls where state = 'waiting'";
    eventually("those are written too", || async {
        db.number(written).await == 40
    })
    .await;
}

/// Every connection is cut, again and again, while two hundred write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_has_an_answer_when_connections_break_and_nothing_is_written_twice() {
    let db = TestDb::new().await;
    // Each row takes a while, so that the cuts meet statements.
    db.sql(
        "create function slow() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(0.002); return new; end $$; \
         create trigger slow before update on pgdial.calls for each row \
         when (new.state = 'waiting') execute function slow()",
    )
    .await;
    let mut left = references(&dialing(&db, 200, "s").await);
    let verbs = Queue::new(db::connect(&db.url_as("dialer"), "cut", 4).await.unwrap());
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where datname = current_database() and application_name = 'pgdial cut' and state = 'active'";
    let mut failures = 0;
    let mut cutter = JoinSet::new();
    let own = db.clone();
    cutter.spawn(async move {
        for _ in 0..5 {
            eventually("a statement was cut off", || async {
                own.number(cut).await > 0
            })
            .await;
        }
    });
    while !left.is_empty() {
        let mut settles = settle_all(&verbs, &left, Outcome::Busy);
        while let Some(answered) = settles.join_next().await {
            let (id, answer) = answered.unwrap();
            match answer {
                // Stale: it was done, and the connection broke before anybody knew.
                Ok(Settled::Retried | Settled::Stale) => left.retain(|dial| dial.call != id),
                Ok(other) => panic!("{other:?}"),
                Err(_) => failures += 1,
            }
        }
    }
    cutter.shutdown().await;
    assert!(failures > 0);
    let twice =
        "select count(*) - count(distinct call_id) from pgdial.call_events where kind = 'retried'";
    assert_eq!(db.number(twice).await, 0);
    let written = "select count(*) from pgdial.calls where state = 'waiting' and attempt = 1";
    assert_eq!(db.number(written).await, 200);
}

/// So many events of this size at once.
async fn webhooks(db: &TestDb, calls: &[ClaimedCall], size: usize) -> Vec<Verdict> {
    let body: Arc<[u8]> = vec![b'x'; size].into();
    let mut tasks = JoinSet::new();
    for call in calls {
        let (verbs, reference, body) = (db.calls.clone(), call.reference(), Arc::clone(&body));
        tasks.spawn(async move {
            let report = ended(Outcome::Answered);
            let event = Event {
                trunk: "default",
                reference: Some(reference),
                event_id: "1",
                signed_at: None,
                body: &body,
                report: &report,
            };
            verbs.webhook(event).await.unwrap()
        });
    }
    tasks.join_all().await
}

#[tokio::test]
async fn large_events_are_split_into_statements_of_a_bounded_size() {
    let db = TestDb::new().await;
    let calls = dialing(&db, 50, "s").await;
    assert_eq!(
        webhooks(&db, &calls[..20], 100).await,
        [Verdict::Applied; 20]
    );
    assert_eq!(statements(&db, "completed").await, 1);
    assert_eq!(
        webhooks(&db, &calls[20..], 200 * 1024).await,
        [Verdict::Applied; 30]
    );
    // Three bodies in base64 are less than 1 MiB, and four are more.
    assert_eq!(statements(&db, "completed").await, 1 + 10);
    let kept = "select count(*) from pgdial.webhook_events where length(body) = 200 * 1024";
    assert_eq!(db.number(kept).await, 30);
}

/// In company it is parked at once, then it waits for its row; that is no second delivery.
#[tokio::test]
async fn an_event_whose_call_somebody_holds_is_tried_again_alone() {
    let db = TestDb::new().await;
    let calls = dialing(&db, 10, "s").await;
    let mut person = db.session().await;
    let begin = format!(
        "begin; select from pgdial.calls where id = '{}' for update",
        calls[4].id
    );
    run(&mut person, &begin).await.unwrap();
    let (events, ()) = tokio::join!(webhooks(&db, &calls, 10), db.until_waiting(1));
    let applied = |verdict: &&Verdict| **verdict == Verdict::Applied;
    assert_eq!(events.iter().filter(applied).count(), 9);
    assert!(events.contains(&Verdict::Parked));
    let deliveries = "select max(deliveries) from pgdial.webhook_events";
    assert_eq!(db.number(deliveries).await, 1);
    run(&mut person, "commit").await.unwrap();
}
