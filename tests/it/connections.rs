//! Sessions with Postgres: their settings, which ones are refused, and what happens to those that hang, break or turn
//! read-only.

use pgdial::{
    db::{self, Error, Refusal},
    flow::Queue,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{TestDb, ask, eventually, number, path::Path};

/// Whether an enqueue succeeds.
async fn enqueues(calls: &Queue, n: usize) -> Result<(), pgdial::flow::Error> {
    let request = json!({ "to": number(n), "scriptId": "s" });
    calls.enqueue("tester", &[request]).await.map(drop)
}

#[tokio::test]
async fn a_session_has_its_settings_whatever_the_database_says() {
    let db = TestDb::new().await;
    let name = db.text("select current_database()").await;
    for setting in [
        "synchronous_commit = off",
        "default_transaction_isolation = 'repeatable read'",
        "statement_timeout = '300ms'",
        "standard_conforming_strings = off",
        "\"pgdial.notify\" = 'on'",
    ] {
        db.sql(&format!("alter database {name} set {setting}"))
            .await;
    }
    let pool = db::connect(&db.url_as("dialer"), "told", 1).await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    for (setting, value) in [
        ("synchronous_commit", "on"),
        ("transaction_isolation", "read committed"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("standard_conforming_strings", "on"),
        ("pgdial.notify", "off"),
        ("application_name", "pgdial told"),
    ] {
        let told = ask(
            &mut session,
            &format!("select current_setting('{setting}')"),
        )
        .await;
        assert_eq!(told, value, "{setting}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_written_to_is_refused_and_taken_once_it_can() {
    let db = TestDb::new().await;
    let name = db.text("select current_database()").await;
    let url = db.url_as("dialer");
    let calls = Queue::new(db::connect(&url, "failover", 2).await.unwrap());
    enqueues(&calls, 1).await.unwrap();
    // As after a failover to a standby: old sessions are gone, and new ones cannot write.
    db.sql(&format!(
        "alter database {name} set default_transaction_read_only = on; \
         select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgdial failover'"
    ))
    .await;
    let refused = db::connect(&url, "test", 1).await.unwrap_err();
    assert!(
        matches!(refused, Error::Refused(Refusal::ReadOnly)),
        "{refused:?}"
    );
    assert!(enqueues(&calls, 2).await.is_err());
    db.sql(&format!(
        "alter database {name} reset default_transaction_read_only"
    ))
    .await;
    enqueues(&calls, 3).await.unwrap();
}

#[tokio::test]
async fn a_session_that_turned_read_only_is_closed() {
    let db = TestDb::new().await;
    let pool = db::connect(&db.url_as("dialer"), "test", 1).await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    ask(
        &mut session,
        "select set_config('default_transaction_read_only', 'on', false)",
    )
    .await;
    drop(session);
    let calls = Queue::new(pool);
    let refused = enqueues(&calls, 1).await.unwrap_err();
    assert!(format!("{refused:?}").contains("25006"), "{refused:?}");
    enqueues(&calls, 1).await.unwrap();
}

/// The sessions are never closed, and never answer.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_hang_are_given_up_and_others_take_their_place() {
    let db = TestDb::new().await;
    let path = Path::to(&db).await;
    let calls = Queue::new(db::connect(&path.url, "hung", 4).await.unwrap());
    let request = || json!({ "to": number(1), "scriptId": "s" });
    let ask_all = || {
        let mut all = JoinSet::new();
        for _ in 0..8 {
            let calls = calls.clone();
            all.spawn(async move { calls.enqueue_one("tester", &request()).await });
        }
        all.join_all()
    };
    assert!(ask_all().await.iter().all(Result::is_ok));
    path.freeze();
    // Statements under way return that their result is unknown; none waits for ever.
    ask_all().await;
    assert!(ask_all().await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn what_was_given_up_ends_on_the_server() {
    let db = TestDb::new().await;
    db.sql(
        "create function slow() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(28); return new; end $$; \
         create trigger slow before insert on pgdial.calls for each row execute function slow()",
    )
    .await;
    let calls = Queue::new(db::connect(&db.url_as("dialer"), "slow", 2).await.unwrap());
    let request = json!({ "to": number(1), "scriptId": "s" });
    let sleeping = async || {
        let sessions = "select count(*) from pg_stat_activity \
             where application_name = 'pgdial slow' and wait_event = 'PgSleep'";
        db.number(sessions).await
    };
    let (answer, ()) = tokio::join!(
        calls.enqueue_one("tester", &request),
        eventually("the statement runs", || async { sleeping().await == 1 })
    );
    let given_up = answer.unwrap_err();
    assert!(
        format!("{given_up:?}").contains("did not answer"),
        "{given_up:?}"
    );
    eventually("the statement ends", || async { sleeping().await == 0 }).await;
    assert_eq!(db.number("select count(*) from pgdial.calls").await, 0);
}

#[tokio::test]
async fn of_several_servers_the_first_that_can_be_written_to_is_taken() {
    let db = TestDb::new().await;
    let path = Path::to(&db).await;
    let nobody = "127.0.0.1:1";
    let url = path.url.replace(
        &path.address.to_string(),
        &format!("{nobody},{}", path.address),
    );
    let calls = Queue::new(db::connect(&url, "test", 2).await.unwrap());
    enqueues(&calls, 1).await.unwrap();
    calls.check_listen().await.unwrap();
}

#[tokio::test]
async fn an_address_in_brackets_is_one() {
    let db = TestDb::new().await;
    let path = Path::from("[::1]:0", &db).await;
    assert!(path.url.contains("@[::1]:"), "{}", path.url);
    let calls = Queue::new(db::connect(&path.url, "test", 1).await.unwrap());
    enqueues(&calls, 1).await.unwrap();
}
