//! sql/ops: prepared queries, each run as it stands on a staged situation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use pgdial::{
    domain::{Outcome, ReportKind},
    flow::{defer::DeferReason, ops as questions},
};
use serde_json::json;
use sqlx::{Column, PgConnection, Row};

use crate::support::{TestDb, by_provider, ended, eventually, number, progress, run};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sql/ops")
}

type Line = BTreeMap<String, String>;

/// The rows the file returns, as text.
async fn ops(db: &TestDb, name: &str) -> Vec<Line> {
    ops_in(&mut db.session().await, name).await
}

async fn ops_in(session: &mut PgConnection, name: &str) -> Vec<Line> {
    let sql = fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap();
    // As psql substitutes its variable.
    let sql = sql.replace(":'phone'", &format!("'{}'", number(1)));
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .fetch_all(session)
        .await
        .unwrap();
    let line = |row: &sqlx::postgres::PgRow| {
        let value = |at: usize| row.try_get_unchecked::<Option<String>, _>(at).unwrap();
        row.columns()
            .iter()
            .map(|column| {
                let value = value(column.ordinal()).unwrap_or_default();
                (column.name().to_owned(), value)
            })
            .collect()
    };
    rows.iter().map(line).collect()
}

/// A bit of everything that can be asked about.
async fn staged() -> TestDb {
    Box::pin(stage()).await
}

async fn stage() -> TestDb {
    let db = TestDb::new().await;
    db.sql("select pgdial.add_caller_id('+14155550901', '{\"pool\": \"main\"}')")
        .await;
    db.worker(&["default"]).await;
    let lost = db.in_call(&number(1)).await;
    db.forward("1 hour").await;
    db.sweep().await;
    assert_eq!(db.state(lost.id).await, "failed");
    let done = db.in_call(&number(2)).await;
    db.event(&done, "1", ended(Outcome::Answered)).await;
    db.event(&done, "1", ended(Outcome::Answered)).await;
    let retried = db.in_call(&number(3)).await;
    db.event(&retried, "2", ended(Outcome::Busy)).await;
    let deferred = db.dialing(&number(4)).await;
    db.calls
        .defer(deferred.reference(), DeferReason::Capacity, Some(60), "429")
        .await
        .unwrap();
    db.let_trunks_dial().await;
    let up = db.in_call(&number(5)).await;
    db.event(&up, "3", progress(ReportKind::Answered)).await;
    let doubted = db.dialing(&number(6)).await;
    db.calls
        .doubt(doubted.reference(), "read timeout")
        .await
        .unwrap();
    let declined = db.in_call(&number(7)).await;
    db.settle(&declined, Outcome::Declined).await;
    let stray = by_provider("nobody", ended(Outcome::Busy));
    db.event_from("default", None, "4", &stray).await;
    db.enqueue(&number(1)).await;
    db.campaign("later", json!({})).await;
    db.enqueue_as(json!({ "to": number(8), "scriptId": "s", "campaign": "later", "runAt": "2126-01-01T00:00:00Z" }))
        .await;
    db
}

fn find<'a>(lines: &'a [Line], column: &str, value: &str) -> &'a Line {
    lines
        .iter()
        .find(|line| line[column] == value)
        .unwrap_or_else(|| panic!("no {column} = {value} in {lines:#?}"))
}

/// With no worker alive nothing dials, so the state must not read "open".
#[tokio::test]
async fn overview_and_trunks_say_when_no_worker_is_alive() {
    let db = TestDb::new().await;
    let dialing = async |question| ops(&db, question).await[0]["dialing"].clone();
    assert_eq!(dialing("overview").await, "no_worker");
    assert_eq!(dialing("trunks").await, "no live worker can dial on it");
    db.worker(&["default"]).await;
    assert_eq!(dialing("overview").await, "open");
    assert_eq!(dialing("trunks").await, "open");
}

#[tokio::test]
async fn overview_shows_how_far_each_campaign_is() {
    let lines = ops(&staged().await, "overview").await;
    assert_eq!(lines.len(), 2);
    let line = find(&lines, "campaign", "default");
    for (column, value) in [
        ("in_flight", "2"),
        ("room", "28"),
        ("dialing", "no_worker"),
        ("waiting", "3"),
        ("due", "1"),
        ("oldest_due_for", "00:00:00"),
        ("completed", "1"),
        ("failed", "2"),
        ("completed_percent", "33.3"),
    ] {
        assert_eq!(line[column], value, "{column}");
    }
    assert_ne!(line["ended_since"], "");
}

#[tokio::test]
async fn queue_shows_depth_and_age_of_each_campaign_and_priority() {
    let db = staged().await;
    let urgent = json!({ "to": number(11), "scriptId": "s", "priority": 7 });
    db.enqueue_as(urgent).await;
    db.forward("10 seconds").await;
    let lines = ops(&db, "queue").await;
    assert_eq!(lines.len(), 3);
    let line = find(&lines, "priority", "7");
    assert_eq!((&*line["waiting"], &*line["due"]), ("1", "1"));
    assert!(*line["oldest_due_for"] >= *"00:00:10");
    let later = find(&lines, "campaign", "later");
    assert_eq!((&*later["due"], &*later["later"]), ("0", "1"));
    assert!(later["next_due_at"].starts_with("2126-01-01"));
}

#[tokio::test]
async fn number_shows_the_history_of_one_number() {
    let lines = ops(&staged().await, "number").await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["state"], "waiting");
    assert_eq!(lines[0]["first_reason"], "no_worker");
    assert_eq!(
        (&*lines[1]["state"], &*lines[1]["outcome"]),
        ("failed", "unknown")
    );
    assert_ne!(lines[1]["number_held_until"], "");
}

#[tokio::test]
async fn live_shows_every_slot_in_use() {
    let db = staged().await;
    let lines = ops(&db, "live").await;
    assert_eq!(lines.len(), 2);
    let up = find(&lines, "state", "in_call");
    assert_eq!((&*up["number"], &*up["answered"]), ("+141******05", "t"));
    find(&lines, "state", "unresolved");
}

#[tokio::test]
async fn stuck_shows_doubts_and_held_numbers() {
    let lines = ops(&staged().await, "stuck").await;
    assert_eq!(lines.len(), 2);
    assert_eq!(
        find(&lines, "state", "unresolved")["last_error"],
        "read timeout"
    );
    assert!(find(&lines, "state", "failed")["why"].contains("held"));
}

#[tokio::test]
async fn failures_are_counted_by_outcome() {
    let lines = ops(&staged().await, "failures").await;
    assert_eq!(lines.len(), 2);
    assert_eq!(find(&lines, "outcome", "declined")["calls"], "1");
    assert_eq!(find(&lines, "outcome", "declined")["last_error"], "said so");
    find(&lines, "outcome", "unknown");
}

#[tokio::test]
async fn waiting_shows_the_first_reason_of_the_oldest() {
    let lines = ops(&staged().await, "waiting").await;
    let reasons: Vec<&str> = lines.iter().map(|line| &*line["first_reason"]).collect();
    assert_eq!(reasons.len(), 4);
    assert_eq!(reasons[0], "no_worker", "the clock was moved by an hour");
    assert_eq!(reasons[3], "scheduled");
    assert!(reasons.contains(&"retry_due"));
}

#[tokio::test]
async fn retries_show_what_comes_again_and_when() {
    let lines = ops(&staged().await, "retries").await;
    assert_eq!(lines.len(), 2);
    assert_eq!(find(&lines, "latest_outcome", "busy")["attempts_made"], "1");
    let deferred = find(&lines, "latest_outcome", "capacity");
    assert_eq!(
        (&*deferred["attempts_made"], &*deferred["most_deferrals"]),
        ("0", "1")
    );
}

#[tokio::test]
async fn inbox_counts_events_by_verdict() {
    let lines = ops(&staged().await, "inbox").await;
    let applied = find(&lines, "verdict", "applied");
    assert_eq!(
        (
            &*applied["events"],
            &*applied["deliveries"],
            &*applied["repeated"]
        ),
        ("3", "4", "1")
    );
    assert_eq!(find(&lines, "verdict", "parked")["latest_status"], "ENDED");
}

#[tokio::test]
async fn workers_shows_who_is_alive_and_what_they_hold() {
    let db = staged().await;
    let alive = db.worker(&["default", "other"]).await;
    db.enqueue(&number(9)).await;
    let trunks = ["default".to_owned()];
    let claimed = db.calls.claim(alive.id, &trunks, 1).await.unwrap();
    assert_eq!(claimed.calls.len(), 1);
    let lines = ops(&db, "workers").await;
    assert_eq!(lines.len(), 2);
    find(&lines, "state", "silent");
    let line = find(&lines, "state", "alive");
    assert_eq!(
        (&*line["dialing"], &*line["trunks"]),
        ("1", "default, other")
    );
}

#[tokio::test]
async fn health_points_at_what_deserves_an_eye() {
    let db = staged().await;
    // About a known call: one about an unknown call is nobody's fault.
    db.sql(
        "update pgdial.webhook_events set call_id = (select c.id from pgdial.calls c limit 1) \
         where verdict = 'parked'",
    )
    .await;
    db.forward("90 days").await;
    db.enqueue(&number(20)).await;
    let mut old = db.session().await;
    run(
        &mut old,
        "set application_name = 'somebody'; begin; select 1",
    )
    .await
    .unwrap();
    let lines = ops(&db, "health").await;
    let verdict = |thing: &str| &*find(&lines, "thing", thing)["verdict"];
    assert_eq!(verdict("rows in call_events_default"), "look");
    assert_eq!(verdict("weeks of call_events ahead"), "look");
    assert_eq!(verdict("webhook events parked"), "look");
    assert_eq!(verdict("clock"), "look");
    assert_eq!(verdict("invalid indexes"), "ok");
    // Once those of other tests, on the same server, have ended.
    eventually("it is the oldest transaction", || async {
        let lines = ops(&db, "health").await;
        find(&lines, "thing", "oldest transaction")["value"].contains("somebody")
    })
    .await;
    let fresh = TestDb::new().await;
    db.pool.close().await;
    let lines = ops(&fresh, "health").await;
    assert!(
        lines.iter().all(|line| line["verdict"] == "ok"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn health_says_what_a_reader_may_not_see() {
    let db = TestDb::new().await;
    let mut old = db.session().await;
    run(&mut old, "begin; select 1").await.unwrap();
    let lines = ops_in(&mut db.session_as("ann").await, "health").await;
    let oldest = find(&lines, "thing", "oldest transaction");
    assert_eq!(oldest["verdict"], "hidden", "not ok: nobody looked");
}

#[tokio::test]
async fn every_file_runs_read_only_within_a_time_limit_and_shows_no_number() {
    let db = staged().await;
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let all = "caller_ids failures health inbox live number overview queue retries stuck trunks waiting workers";
    assert_eq!(names.join(" "), all);
    for name in names {
        let text = fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap();
        assert!(text.starts_with(&format!("-- {name}: ")), "{name}");
        assert!(text.contains("\n-- Cost: "), "{name}: what does it cost?");
        let statements = "\nbegin read only;\nset local statement_timeout = '";
        assert!(text.contains(statements), "{name}");
        assert!(text.ends_with("\ncommit;\n"), "{name}");
        let lines = ops(&db, &name).await;
        assert!(!lines.is_empty(), "{name} shows nothing");
        assert_is_asked_alike(&db, &name, &lines).await;
        let shown = format!("{lines:?}");
        assert!(
            !shown.contains("+1415555"),
            "{name} shows a number: {shown}"
        );
    }
}

/// Asserts that the program returns the same as psql, column by column.
async fn assert_is_asked_alike(db: &TestDb, name: &str, by_psql: &[Line]) {
    let question = questions::find(name).unwrap();
    let phone = question.takes_phone().then(|| number(1));
    let lines = db.calls.ask(question, phone.as_deref()).await.unwrap();
    // The worker's login may not see others' sessions, and time goes on.
    assert_eq!(lines.len(), by_psql.len(), "{name}");
    for (line, by_psql) in lines.iter().zip(by_psql) {
        let columns: BTreeSet<&String> = line.0.iter().map(|(column, _)| column).collect();
        assert_eq!(columns, by_psql.keys().collect(), "{name}");
    }
}

#[tokio::test]
async fn an_answer_ends_within_the_time_that_its_file_gives_and_writes_nothing() {
    let db = TestDb::new().await;
    let sleeps = questions::Question {
        name: "sleeps",
        sql: "-- sleeps: ?\nbegin read only;\nset local statement_timeout = '100ms';\n\n\
              select pg_sleep(600);\n\ncommit;\n",
    };
    let slow = db.calls.ask(&sleeps, None).await.unwrap_err();
    let slow = format!("{slow:?}");
    assert!(slow.contains("57014"), "{slow}");
    let writes = questions::Question {
        name: "writes",
        sql: "-- writes: ?\nbegin read only;\nset local statement_timeout = '10s';\n\n\
              select nextval('pgdial.call_events_seq');\n\ncommit;\n",
    };
    // As the superuser, who may do anything.
    let all = pgdial::flow::Queue::new(db.pool.clone());
    let error = format!("{:?}", all.ask(&writes, None).await.unwrap_err());
    assert!(error.contains("25006"), "{error}");
    // The connection is returned in its original state.
    db.enqueue(&number(1)).await;
}

#[tokio::test]
async fn what_people_read_shows_no_number_that_hides_in_words() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let said = "no line to +1 (415) 555-0177, nor 4155550177, nor +4930123";
    let outcome = Outcome::Declined;
    db.calls
        .settle(call.reference(), outcome, said)
        .await
        .unwrap();
    let lines = ops(&db, "failures").await;
    assert_eq!(
        lines[0]["last_error"],
        "no line to +1 (41***77, nor 415***77, nor +493***23"
    );
}

/// Ops, and `why` of a call that waits for one of the slots, say what to declare.
#[tokio::test]
async fn doubts_that_hold_more_than_a_third_of_the_slots_are_named() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 3, look_up = 'hint'")
        .await;
    let told = async || ops(&db, "trunks").await[0].clone();
    for n in 1..=3 {
        let call = db.dialing(&number(n)).await;
        db.calls.doubt(call.reference(), "x").await.unwrap();
        assert_eq!(told().await["in_doubt"], n.to_string());
        assert_eq!(told().await["doubts_hold_slots"].is_empty(), n == 1);
    }
    let advice = &told().await["doubts_hold_slots"];
    assert!(
        advice.contains("--reports-within") && advice.contains("calls resolve"),
        "{advice}"
    );
    assert!(!advice.contains("--look-up"), "declared: {advice}");
    let waiting = db.enqueue(&number(9)).await;
    let reasons = db.calls.why(waiting).await.unwrap();
    let doubts = reasons.iter().find(|reason| reason.reason == "in_doubt");
    let message = &doubts.unwrap().message;
    assert!(
        message.contains("calls in doubt hold 3 of 3 slots of trunk default: if it rings once"),
        "{message}"
    );
}

#[tokio::test]
async fn caller_ids_tells_what_was_dialled_from_each() {
    let db = staged().await;
    db.sql("update pgdial.campaigns set caller_ids = 'main'")
        .await;
    db.dialing(&number(77)).await;
    let line = ops(&db, "caller_ids").await.remove(0);
    assert_eq!((&*line["dials"], &*line["state"]), ("1", "in use"));
}
