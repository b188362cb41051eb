//! The order of events: final once returned, each exactly once, and never silence about a gap.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use pgdial::{
    domain::Outcome,
    flow::events::{EventError, EventFilter, EventPage, Since},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{TestDb, ask, ended, eventually, number, refusal, run};

const ALL: EventFilter = EventFilter {
    kinds: Vec::new(),
    campaign: None,
    trunk: None,
    call: None,
};

async fn after(db: &TestDb, since: Since) -> EventPage {
    db.calls.events_after(&since, 500, &ALL).await.unwrap()
}

/// Numbers and kinds, in order.
fn told(page: &EventPage) -> String {
    let told = page.events.iter().map(|event| {
        let to = event.to.as_ref().map_or("", |to| to.as_e164());
        format!("{} {}", &to[to.len().saturating_sub(2)..], event.kind)
    });
    told.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn an_event_that_commits_late_is_told_before_those_that_it_held_up() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    let first = after(&db, Since::Start).await;
    assert_eq!(told(&first), "01 waiting");
    let mut slow = db.session().await;
    // It gets its transaction id and sequence number first, and commits last.
    run(
        &mut slow,
        "set application_name = 'ledger'; begin; select pgdial.enqueue('+14155550002', 's')",
    )
    .await
    .unwrap();
    db.enqueue(&number(3)).await;
    let held = after(&db, Since::Cursor(first.next.clone())).await;
    assert_eq!(told(&held), "");
    assert_eq!(held.next, first.next);
    let holder = held.heartbeat.held_by.unwrap();
    assert_eq!(holder.application_name.unwrap(), "ledger");
    assert_eq!(
        holder.pid.unwrap().to_string(),
        ask(&mut slow, "pg_backend_pid()").await
    );
    assert!(held.heartbeat.lag_ms.is_some());
    run(&mut slow, "commit").await.unwrap();
    let then = after(&db, Since::Cursor(first.next)).await;
    assert_eq!(told(&then), "02 waiting, 03 waiting");
    assert_eq!(then.heartbeat.held_by, None);
    assert_eq!(then.heartbeat.lag_ms, Some(0));
}

#[tokio::test]
async fn what_is_rolled_back_is_waited_for_and_other_databases_and_readers_are_not() {
    let db = TestDb::new().await;
    let other = TestDb::new().await;
    let mut elsewhere = other.session().await;
    run(
        &mut elsewhere,
        "begin; select pgdial.enqueue('+14155550009', 's')",
    )
    .await
    .unwrap();
    db.enqueue(&number(1)).await;
    let page = after(&db, Since::Start).await;
    assert_eq!(told(&page), "01 waiting");
    assert_eq!(page.heartbeat.held_by, None);
    let mut slow = db.session().await;
    run(
        &mut slow,
        "begin; select pgdial.enqueue('+14155550002', 's')",
    )
    .await
    .unwrap();
    db.enqueue(&number(3)).await;
    run(&mut slow, "rollback").await.unwrap();
    let page = after(&db, Since::Cursor(page.next)).await;
    assert_eq!(told(&page), "03 waiting");
    // A session that only reads delays nothing, however long it is open.
    run(
        &mut slow,
        "begin isolation level repeatable read; select count(*) from pgdial.calls",
    )
    .await
    .unwrap();
    db.enqueue(&number(4)).await;
    assert_eq!(
        told(&after(&db, Since::Cursor(page.next)).await),
        "04 waiting"
    );
}

#[tokio::test]
async fn a_consumer_s_own_transaction_holds_back_what_it_did_itself() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    let mut own = db.session().await;
    run(&mut own, "begin; create temporary table kept (cursor text)")
        .await
        .unwrap();
    let count = "select count(*) from pgdial.events_after('start') where kind = 'waiting'";
    assert_eq!(ask(&mut own, count).await, "1");
    run(&mut own, "select pgdial.enqueue('+14155550002', 's')")
        .await
        .unwrap();
    assert_eq!(
        ask(&mut own, count).await,
        "1",
        "its own event is not final yet"
    );
    run(&mut own, "commit").await.unwrap();
    assert_eq!(ask(&mut own, count).await, "2");
}

#[tokio::test]
async fn pages_of_any_size_are_the_same_events() {
    let db = TestDb::new().await;
    for n in 0..7 {
        let call = db.in_call(&number(n)).await;
        db.settle(&call, Outcome::Answered).await;
    }
    let whole = after(&db, Since::Start).await;
    assert_eq!(whole.events.len(), 28);
    assert!(!whole.more);
    for limit in [1, 3, 27, 28] {
        let (mut cursor, mut seen) = (Since::Start, Vec::new());
        loop {
            let page = db.calls.events_after(&cursor, limit, &ALL).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.cursor.clone()));
            if let Some(last) = page.events.last() {
                assert_eq!(last.cursor, page.next);
            }
            cursor = Since::Cursor(page.next);
            if !page.more {
                break;
            }
        }
        let whole = whole.events.iter().map(|event| event.cursor.clone());
        assert_eq!(seen, whole.collect::<Vec<_>>(), "{limit}");
    }
    let nothing = db.calls.events_after(&Since::Start, 0, &ALL).await.unwrap();
    assert!(nothing.more && nothing.events.is_empty());
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes_and_a_filter_in_what_it_looks_at() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.call_events (at, call_id, claim_no, attempt, kind, detail) \
            select now(), gen_random_uuid(), 0, 0, 'waiting', jsonb_build_object('x', repeat('x', 65536)) \
            from generate_series(1, 40)")
        .await;
    let page = after(&db, Since::Start).await;
    assert!(
        page.more && (10..20).contains(&page.events.len()),
        "{}",
        page.events.len()
    );
    db.sql("insert into pgdial.call_events (at, call_id, claim_no, attempt, kind) \
            select now(), gen_random_uuid(), 0, 0, case when n = 12000 then 'rare' else 'common' end \
            from generate_series(1, 12000) n")
        .await;
    let rare = EventFilter {
        kinds: vec!["rare".to_owned()],
        ..ALL
    };
    let page = db
        .calls
        .events_after(&Since::Start, 10, &rare)
        .await
        .unwrap();
    assert!(page.more && page.events.is_empty());
    let page = db
        .calls
        .events_after(&Since::Cursor(page.next), 10, &rare)
        .await
        .unwrap();
    assert!(!page.more && page.events.len() == 1);
}

#[tokio::test]
async fn an_instant_is_a_place_to_begin() {
    let db = TestDb::new().await;
    for n in 0..5 {
        db.enqueue(&number(n)).await;
        db.forward("1 hour").await;
    }
    let of_third = db
        .text("select at from pgdial.call_events order by seq offset 2 limit 1")
        .await;
    let at = format!("{}Z", of_third.replace(' ', "T").trim_end_matches("+00"));
    let since = Since::Instant(at.parse().unwrap());
    assert_eq!(
        told(&after(&db, since).await),
        "02 waiting, 03 waiting, 04 waiting"
    );
    let long_ago = Since::Instant("2000-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(after(&db, long_ago).await.events.len(), 5);
    let far_ahead = Since::Instant("2200-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(after(&db, far_ahead).await.events.len(), 0);
}

async fn gone(db: &TestDb, cursor: &str) -> String {
    let since = Since::Cursor(cursor.to_owned().into());
    match db.calls.events_after(&since, 10, &ALL).await {
        Err(EventError::Gone(words)) => words,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cursor_whose_week_was_dropped_says_so_and_one_that_was_erased_goes_on() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let page = after(&db, Since::Start).await;
    // Deleted by hand; what came after it still exists.
    db.sql("delete from pgdial.call_events where kind = 'active'")
        .await;
    let active = Since::Cursor(page.events[1].cursor.clone());
    assert_eq!(told(&after(&db, active).await), "01 in_call");
    db.settle(&call, Outcome::Answered).await;
    db.forward("20 days").await;
    let day = Some(std::time::Duration::from_hours(24));
    db.calls.sweep(&[], day).await.unwrap();
    db.calls.housekeeping(day).await.unwrap();
    let words = gone(&db, page.next.as_str()).await;
    assert!(
        words.contains("older than the events that are kept"),
        "{words}"
    );
    assert!(words.contains("begin again"), "{words}");
}

#[tokio::test]
async fn a_cursor_of_another_database_or_of_a_lost_history_says_so() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    let cursor = after(&db, Since::Start).await.next.to_string();
    let parts: Vec<&str> = cursor.split('-').collect();
    let with = |place: usize, text: &str| {
        let mut parts = parts.clone();
        parts[place] = text;
        parts.join("-")
    };
    let words = gone(&db, &with(1, "1234")).await;
    assert!(words.contains("another database"), "{words}");
    // A standby has taken over. Where the event still exists, nothing before it was lost.
    let since = Since::Cursor(with(2, "9").into());
    assert_eq!(after(&db, since).await.events.len(), 0);
    let mut lost = parts.clone();
    (lost[2], lost[4]) = ("9", "ffff");
    let words = gone(&db, &lost.join("-")).await;
    assert!(words.contains("lost in a restore or a failover"), "{words}");
}

#[tokio::test]
async fn a_restored_database_begins_its_stream_anew() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    // As a dump restores it: transaction ids far from those of this server.
    db.sql(
        "update pgdial.call_events set xid = '99999999999'; \
            update pgdial.cluster set system_identifier = 1",
    )
    .await;
    let words = gone(&db, "start").await;
    assert!(words.contains("pgdial recover"), "{words}");
    db.sql("select pgdial.note_place()").await;
    db.enqueue(&number(2)).await;
    assert_eq!(told(&after(&db, Since::Start).await), "02 waiting");
    assert_eq!(told(&after(&db, Since::Now).await), "");
}

#[tokio::test]
async fn what_no_cursor_and_no_filter_is_is_refused() {
    let db = TestDb::new().await;
    for text in [
        "",
        "1",
        "yesterday",
        "2026-99-99T00:00:00Z",
        "1-a-1-2-3",
        "1-a-1-2-3-g",
    ] {
        let since = Since::Cursor(text.to_owned().into());
        let refused = db.calls.events_after(&since, 10, &ALL).await;
        assert!(
            matches!(refused, Err(EventError::Refused(_))),
            "{text}: {refused:?}"
        );
    }
    for filter in [
        "null",
        "[]",
        "{\"kinds\": \"x\"}",
        "{\"call\": \"4711\"}",
        "{\"kind\": 7}",
    ] {
        let (code, _) = db
            .refusal(&format!("select pgdial.events_after('now', 1, '{filter}')"))
            .await;
        assert!(code.starts_with("22"), "{filter}: {code}");
    }
    let (code, _) = db.refusal("select pgdial.events_after('now', -1)").await;
    assert_eq!(code, "22023");
}

#[tokio::test]
async fn a_reader_may_follow_and_sees_who_holds_events_up() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    let mut slow = db.session().await;
    run(
        &mut slow,
        "set application_name = 'ledger'; begin; select pgdial.enqueue('+14155550002', 's')",
    )
    .await
    .unwrap();
    let mut ann = db.session_as("ann").await;
    let held = "select detail -> 'heldBy' ->> 'applicationName' from pgdial.events_after('now') where kind = 'heartbeat'";
    assert_eq!(ask(&mut ann, held).await, "ledger");
    let mut stranger = db.session_as("stranger").await;
    let (code, _) = refusal(&mut stranger, "select pgdial.events_after('now')").await;
    assert_eq!(code, "42501");
}

#[tokio::test]
async fn looking_for_what_is_new_does_not_read_what_is_old() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.call_events (at, call_id, claim_no, attempt, kind) \
            select now(), gen_random_uuid(), 0, 0, 'waiting' from generate_series(1, 50000); analyze pgdial.call_events")
        .await;
    let cursor = after(&db, Since::Now).await.next;
    db.enqueue(&number(1)).await;
    let mut session = db.session().await;
    let look = format!(
        "explain (analyze, buffers, format json) select * from pgdial.events_after('{cursor}')"
    );
    // Twice, because the first time makes the plans.
    ask(
        &mut session,
        "select count(*) from pgdial.events_after('now')",
    )
    .await;
    run(&mut session, &look).await.unwrap();
    let explained: (sqlx::types::Json<Value>,) = sqlx::query_as(sqlx::AssertSqlSafe(look))
        .fetch_one(&mut session)
        .await
        .unwrap();
    let plan = &explained.0.0[0]["Plan"];
    let buffers =
        plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap();
    assert!(
        plan["Actual Rows"].as_f64().unwrap() < 3.0,
        "the event and the heartbeat"
    );
    assert!(buffers < 300, "{buffers}");
}

#[tokio::test]
async fn a_subscription_follows_from_what_was_kept_into_what_happens() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let mut events = db
        .calls
        .events()
        .since(Since::Start)
        .subscribe()
        .await
        .unwrap();
    let mut failed = db.calls.events().kind("failed").subscribe().await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(events.next().await.unwrap().unwrap().kind.clone());
    }
    db.event(&call, "end", ended(Outcome::Declined)).await;
    kinds.push(events.next().await.unwrap().unwrap().kind.clone());
    assert_eq!(kinds, ["waiting", "active", "in_call", "failed"]);
    let failed = failed.next().await.unwrap().unwrap();
    assert_eq!(
        (failed.call_id, failed.outcome.as_deref()),
        (call.id, Some("declined"))
    );
    assert_eq!(failed.cursor, *events.cursor());
    let json: Value = serde_json::from_str(failed.json()).unwrap();
    assert_eq!(
        (&json["to"], &json["kind"]),
        (&json!(number(1)), &json!("failed"))
    );
}

#[tokio::test]
async fn a_follower_that_does_not_keep_up_loses_nothing() {
    const TRANSACTIONS: i32 = 30;
    let db = TestDb::new().await;
    let mut slow = db.calls.events().subscribe().await.unwrap();
    let mut quick = db.calls.events().kind("rare").subscribe().await.unwrap();
    for nth in 0..TRANSACTIONS {
        // More pages than are kept in memory.
        db.sql(&format!(
            "insert into pgdial.call_events (at, call_id, claim_no, attempt, kind) \
             select now(), gen_random_uuid(), 0, {nth}, case when n = 500 then 'rare' else 'common' end \
             from generate_series(1, 500) n"
        ))
        .await;
        let rare = quick.next().await.unwrap().unwrap();
        assert_eq!((rare.kind.as_str(), rare.attempt), ("rare", nth));
    }
    let mut cursors = HashSet::new();
    for nth in 0..TRANSACTIONS * 500 {
        let event = slow.next().await.unwrap().unwrap();
        assert_eq!(event.attempt, nth / 500);
        assert!(cursors.insert(event.cursor.clone()), "twice");
    }
}

#[tokio::test]
async fn a_subscription_outlives_its_connections() {
    let db = TestDb::new().await;
    let mut events = db.calls.events().subscribe().await.unwrap();
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where datname = current_database() and usename = 'dialer'";
    assert!(db.number(cut).await > 0);
    let id = {
        // The program's own connections were cut as well.
        let id = db.text("select pgdial.enqueue('+14155550001', 's')").await;
        id.parse().unwrap()
    };
    assert_eq!(events.next().await.unwrap().unwrap().call_id, id);
}

#[tokio::test]
async fn handlers_are_called_by_kind_until_they_are_stopped() {
    let db = TestDb::new().await;
    let done = Arc::new(Mutex::new(Vec::new()));
    let note = |word: &'static str| {
        let done = Arc::clone(&done);
        move |event: Arc<pgdial::flow::events::Event>| {
            done.lock()
                .unwrap()
                .push(format!("{word} {}", event.attempt));
            std::future::ready(())
        }
    };
    let stop = CancellationToken::new();
    let handlers = db
        .calls
        .events()
        .since(Since::Start)
        .on("completed", note("reached"))
        .on("retried", note("again"));
    let running = handlers.run(stop.clone());
    let acting = async {
        let call = db.in_call(&number(1)).await;
        db.settle(&call, Outcome::Busy).await;
        db.forward("1 hour").await;
        let call = db.claim(1).await.remove(0);
        db.settle(&call, Outcome::Answered).await;
        eventually("both handlers were called", || async {
            done.lock().unwrap().len() == 2
        })
        .await;
        stop.cancel();
    };
    let (cursor, ()) = tokio::join!(running, acting);
    assert_eq!(*done.lock().unwrap(), ["again 1", "reached 2"]);
    // The cursor to continue from: nothing is left.
    let rest = after(&db, Since::Cursor(cursor.unwrap())).await;
    assert_eq!(told(&rest), "");
}
