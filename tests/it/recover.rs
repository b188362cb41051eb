//! `recover`: the database was restored, or a standby without the last commits took over, and calls are ringing that
//! it knows nothing about (P1, P2).

use pgdial::{
    domain::{CallId, Outcome, Reference, Report, ReportKind},
    flow::{recover::Recovered, webhook::Verdict},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    TestDb, ask, by_provider, each, ended, eventually, number, processes::Machine, progress,
};

/// As if a standby had been promoted.
const PROMOTED: &str = "update pgdial.cluster set timeline = '00000000'";
/// As if the database had been copied to another server.
const COPIED: &str = "update pgdial.cluster set system_identifier = 7";
/// As if it had been copied on the same server, or restored under another name.
const RENAMED: &str = "update pgdial.cluster set database = 7";

/// A standby has taken over, and someone starts to look for what is missing.
async fn begin(db: &TestDb) {
    db.sql(PROMOTED).await;
    let since = db.calls.recover_begin(None, "the standby took over", "me");
    since.await.unwrap().unwrap();
}

/// Everything that could be asked has been asked: dialing resumes.
async fn end(db: &TestDb) {
    db.calls.recover_end("me").await.unwrap();
    db.sql("select pgdial.resume('trunk', 'default')").await;
}

async fn listed(db: &TestDb, call: CallId, claim_no: i64, report: &Report) -> Recovered {
    let dial = Reference { call, claim_no };
    db.calls
        .recover_listed("default", dial, report)
        .await
        .unwrap()
}

/// A provider's list entry for a live call.
fn up(to: &str) -> Report {
    Report {
        result: json!({ "to": to }),
        ..by_provider("p-1", progress(ReportKind::Progress))
    }
}

async fn reason(db: &TestDb, id: CallId) -> String {
    db.text(&format!(
        "select reason from pgdial.why('{id}') order by ord limit 1"
    ))
    .await
}

#[tokio::test]
async fn on_another_timeline_or_server_nothing_is_dialled_until_somebody_recovers() {
    for (changed, why) in [
        (PROMOTED, "standby"),
        (COPIED, "another server"),
        (RENAMED, "another name"),
    ] {
        let db = TestDb::new().await;
        let id = db.enqueue(&number(1)).await;
        db.sql(changed).await;
        assert!(db.claim(1).await.is_empty(), "{changed}");
        assert_eq!(reason(&db, id).await, "cluster_changed");
        let message = format!("select message from pgdial.why('{id}') where ord = 1");
        assert!(db.text(&message).await.contains(why));
        begin(&db).await;
        db.sql("select pgdial.resume('trunk', 'default')").await;
        assert!(db.claim(1).await.is_empty(), "it has only begun");
        end(&db).await;
        assert_eq!(db.claim(1).await.len(), 1);
    }
}

/// Makes the function raise this error, as Aurora does without logical replication, and servers that withhold it.
fn refusing(function: &str, returns: &str, state: &str) -> String {
    let name = function.split('(').next().unwrap();
    format!(
        "set allow_system_table_mods = on; \
         alter function pg_catalog.{function} rename to {name}_before; \
         create function pg_catalog.{function} returns {returns} language plpgsql as \
         $$ begin raise exception using errcode = '{state}', message = 'not on this server'; end $$; \
         grant execute on function pg_catalog.{function} to public; reset allow_system_table_mods"
    )
}

#[tokio::test]
async fn a_server_that_does_not_tell_where_it_runs_is_worked_with() {
    for (function, returns) in [
        ("pg_current_wal_lsn()", "pg_lsn"),
        (
            "pg_control_system(out pg_control_version int, out catalog_version_no int, out system_identifier int8, \
             out pg_control_last_modified timestamptz)",
            "record",
        ),
    ] {
        // On a fresh installation, and on an existing one.
        let (url, fresh) = TestDb::bare().await;
        let old = TestDb::new().await;
        let signature = if returns == "record" {
            "pg_control_system()"
        } else {
            function
        };
        let broken = refusing(signature, returns, "55000").replacen(
            &format!("create function pg_catalog.{signature}"),
            &format!("create function pg_catalog.{function}"),
            1,
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(broken.clone()))
            .execute(&fresh)
            .await
            .unwrap();
        old.sql(&broken).await;
        pgdial::db::migrate(&fresh).await.unwrap();
        let new = TestDb {
            calls: pgdial::flow::Queue::new(fresh.clone()),
            url,
            pool: fresh,
        };
        for db in [new, old] {
            let id = db.enqueue(&number(1)).await;
            let worker = db.worker(&["default"]).await;
            let claimed = db.claim(1).await;
            assert_eq!(claimed.len(), 1, "{function}");
            assert_eq!(
                db.settle(&claimed[0], Outcome::Answered).await,
                pgdial::flow::settle::Settled::Completed
            );
            assert_eq!(db.state(id).await, "completed");
            let due = db.calls.repeats_due(&each(&["default"], 1)).await;
            assert!(due.unwrap().is_empty());
            let seen = format!(
                "select count(*) from pgdial.workers where id = '{}'",
                worker.id
            );
            assert_eq!(db.number(&seen).await, 1);
            db.text("select count(*) from pgdial.events_after(null)")
                .await;
            // Existing sessions have planned it with the previous function.
            let mut session = db.session().await;
            let untold = ask(&mut session, "(pgdial.place()).untold").await;
            assert_eq!(untold, "not on this server");
            // Everything else is still compared.
            db.sql(RENAMED).await;
            db.enqueue(&number(2)).await;
            assert!(db.claim(1).await.is_empty());
            begin_again(&db).await;
            assert_eq!(db.claim(1).await.len(), 1);
        }
    }
}

async fn begin_again(db: &TestDb) {
    let since = db.calls.recover_begin(None, "moved", "me").await.unwrap();
    assert!(since.is_some());
    end(db).await;
}

/// Without the right the guard cannot tell a copy, which would ring people, so dialing stops and says why.
#[tokio::test]
async fn a_right_that_is_taken_away_stops_the_dialing_and_says_which() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    // The owner has the right itself: revoking it from PUBLIC, as hardening guides recommend, does no harm.
    db.sql("revoke execute on function pg_control_system() from public")
        .await;
    assert_eq!(db.claim(1).await.len(), 1);
    let id = db.enqueue(&number(2)).await;
    db.sql("revoke execute on function pg_control_system() from pgdial_owner")
        .await;
    // A session knows for a second where it runs.
    eventually("it is noticed", || async {
        reason(&db, id).await == "cluster_changed"
    })
    .await;
    let mut fresh = db.session().await;
    let claimed = "select count(id) from pgdial.claim(gen_random_uuid(), '{default}', 1)";
    assert_eq!(ask(&mut fresh, claimed).await, "0");
    let told = format!("select message from pgdial.why('{id}') where reason = 'cluster_changed'");
    let told = db.text(&told).await;
    assert!(
        told.contains("pg_control_system") && told.contains("grant execute"),
        "{told}"
    );
    begin_again(&db).await;
    assert_eq!(db.claim(1).await.len(), 1, "it goes on without");
}

#[tokio::test]
async fn a_synchronous_standby_has_lost_nothing() {
    let db = TestDb::new().await;
    db.sql("update pgdial.cluster set synchronous = true").await;
    db.enqueue(&number(1)).await;
    db.sql(PROMOTED).await;
    assert_eq!(db.claim(1).await.len(), 1);
    db.enqueue(&number(2)).await;
    db.sql(COPIED).await;
    assert!(
        db.claim(1).await.is_empty(),
        "a copy is a copy all the same"
    );
}

#[tokio::test]
async fn a_timeline_that_lost_nothing_is_noted_and_holds_nothing_later() {
    let db = TestDb::new().await;
    db.sql("update pgdial.cluster set synchronous = true").await;
    db.sql(PROMOTED).await;
    db.worker(&["default"]).await;
    db.sql("update pgdial.cluster set synchronous = false")
        .await;
    db.enqueue(&number(1)).await;
    assert_eq!(db.claim(1).await.len(), 1);
    db.sql(PROMOTED).await;
    db.worker(&["default"]).await;
    db.enqueue(&number(2)).await;
    assert!(
        db.claim(1).await.is_empty(),
        "a worker alone vouches for nothing"
    );
}

#[tokio::test]
async fn a_dial_in_doubt_is_not_sent_again_there() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let call = db.dialing(&number(1)).await;
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    db.forward("6 seconds").await;
    db.sql(PROMOTED).await;
    let due = db.calls.repeats_due(&each(&["default"], 1)).await;
    assert!(due.unwrap().is_empty());
}

#[tokio::test]
async fn it_begins_where_a_worker_last_saw_all_in_its_place_however_often_it_is_begun() {
    let db = TestDb::new().await;
    let begin = async |since| db.calls.recover_begin(since, "?", "me").await.unwrap();
    assert_eq!(begin(None).await, None, "nothing has changed");
    db.sql("select pgdial.pause('trunk', 'default', 'on purpose', 'her')")
        .await;
    db.worker(&["default"]).await;
    let seen = db.number("select floor(extract(epoch from seen_at)) from pgdial.cluster");
    let seen = seen.await;
    db.sql(PROMOTED).await;
    // Time goes on, but must not move the beginning.
    for _ in 0..2 {
        db.forward("1 hour").await;
        db.worker(&["default"]).await;
        db.enqueue(&number(1)).await;
        let since = begin(None).await.unwrap();
        assert_eq!(since.timestamp(), seen - 60);
    }
    let earlier = chrono::DateTime::from_timestamp(seen - 7200, 0);
    assert_eq!(begin(earlier).await, earlier);
    assert_eq!(begin(None).await, earlier, "once said, it is kept");
    assert_eq!(
        db.text("select paused_why from pgdial.trunks").await,
        "on purpose"
    );
}

#[tokio::test]
async fn where_nothing_has_changed_it_must_be_said_since_when() {
    let db = TestDb::new().await;
    let call = db.enqueue(&number(1)).await;
    let since = chrono::DateTime::from_timestamp(1_800_000_000, 0);
    let begun = db
        .calls
        .recover_begin(since, "a snapshot was put back", "me");
    assert_eq!(begun.await.unwrap(), since);
    assert_eq!(
        listed(&db, call, 1, &up(&number(1))).await,
        Recovered::Adopted
    );
}

#[tokio::test]
async fn a_lost_claim_is_the_rows_again() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    begin(&db).await;
    assert_eq!(
        listed(&db, id, 1, &up(&number(1))).await,
        Recovered::Adopted
    );
    assert_eq!(db.story(id).await, "waiting active recovered in_call");
    assert_eq!(
        (
            db.column(id, "claim_no").await,
            db.column(id, "attempt").await,
            db.column(id, "provider_call_id").await
        ),
        ("1".to_owned(), "1".to_owned(), "p-1".to_owned())
    );
    end(&db).await;
    db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty(), "its number is taken");
    let busy = ended(Outcome::Busy);
    let call = Reference {
        call: id,
        claim_no: 1,
    };
    db.event_from("default", Some(call), "e", &busy).await;
    assert_eq!(db.state(id).await, "waiting");
}

#[tokio::test]
async fn a_lost_dial_that_is_over_counts_as_if_it_had_been_told() {
    let db = TestDb::new().await;
    let known = db.in_call(&number(2)).await;
    let id = db.enqueue(&number(1)).await;
    begin(&db).await;
    let answered = ended(Outcome::Answered);
    assert_eq!(listed(&db, id, 1, &answered).await, Recovered::Adopted);
    assert_eq!(db.state(id).await, "completed");
    // Its webhook was acknowledged with 2xx, and lost together with the commit.
    assert_eq!(listed(&db, known.id, 1, &answered).await, Recovered::Known);
    assert_eq!(db.state(known.id).await, "completed");
    assert_eq!(
        listed(&db, known.id, 1, &answered).await,
        Recovered::Known,
        "again, it changes nothing"
    );
}

/// It was settled and claimed again, and both were lost.
#[tokio::test]
async fn a_later_claim_takes_the_place_of_the_one_that_is_left() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    begin(&db).await;
    assert_eq!(
        listed(&db, call.id, 3, &up(&number(1))).await,
        Recovered::Adopted
    );
    assert_eq!(
        (
            db.state(call.id).await,
            db.column(call.id, "claim_no").await,
            db.column(call.id, "attempt").await
        ),
        ("in_call".to_owned(), "3".to_owned(), "1".to_owned())
    );
}

#[tokio::test]
async fn a_lost_call_that_rings_takes_its_number_until_it_ends() {
    let db = TestDb::new().await;
    let id = CallId(Uuid::new_v4());
    begin(&db).await;
    assert_eq!(listed(&db, id, 2, &up(&number(1))).await, Recovered::Held);
    end(&db).await;
    let twin = db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty(), "its number is taken");
    let dial = Reference {
        call: id,
        claim_no: 2,
    };
    db.event_from("default", Some(dial), "e", &ended(Outcome::Answered))
        .await;
    assert_eq!(db.claim(1).await[0].id, twin);
}

#[tokio::test]
async fn a_lost_call_that_is_over_leaves_nothing_and_one_without_a_number_fails() {
    let db = TestDb::new().await;
    begin(&db).await;
    let id = CallId(Uuid::new_v4());
    assert_eq!(
        listed(&db, id, 1, &ended(Outcome::Answered)).await,
        Recovered::Over
    );
    let nobody = listed(&db, id, 1, &up("nobody")).await;
    assert_eq!(nobody, Recovered::Failed);
    assert_eq!(db.text("select count(*) from pgdial.calls").await, "0");
}

#[tokio::test]
async fn a_lost_redrive_holds_the_number_and_uses_up_its_claim() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Declined).await;
    begin(&db).await;
    assert_eq!(
        listed(&db, call.id, 2, &up(&number(1))).await,
        Recovered::Held
    );
    assert_eq!(
        (
            db.state(call.id).await,
            db.column(call.id, "claim_no").await
        ),
        ("failed".to_owned(), "2".to_owned())
    );
    end(&db).await;
    db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty());
}

/// Of two lost dials to one number only one row can be in flight. The other is not forgotten: if it was answered,
/// nobody is rung again for it.
#[tokio::test]
async fn of_two_lost_dials_to_one_number_none_is_rung_again() {
    let db = TestDb::new().await;
    let (a, b, c) = (
        db.enqueue(&number(1)).await,
        db.enqueue(&number(1)).await,
        db.enqueue(&number(1)).await,
    );
    begin(&db).await;
    let elsewhere = |id: &str, report: Report| Report {
        provider_call_id: Some(id.to_owned()),
        ..report
    };
    assert_eq!(listed(&db, b, 1, &up(&number(1))).await, Recovered::Adopted);
    let over = elsewhere("p-2", ended(Outcome::Answered));
    assert_eq!(listed(&db, a, 1, &over).await, Recovered::Held);
    assert_eq!(db.state(a).await, "completed");
    let still_up = elsewhere("p-3", up(&number(1)));
    assert_eq!(listed(&db, c, 1, &still_up).await, Recovered::Held);
    assert_eq!(db.column(c, "claim_no").await, "1", "used up");
    end(&db).await;
    let dial = |call| Some(Reference { call, claim_no: 1 });
    let answered = ended(Outcome::Answered);
    db.event_from("default", dial(b), "e", &answered).await;
    assert!(db.claim(1).await.is_empty(), "the third is up");
    db.event_from("default", dial(c), "f", &answered).await;
    assert_eq!(db.state(c).await, "completed");
    assert!(db.claim(1).await.is_empty());
}

/// A claim number that the last recovery cannot have lost: the list is about another system, or faulty.
#[tokio::test]
async fn a_claim_that_never_was_is_for_a_person_and_stops_nobody() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    begin(&db).await;
    assert_eq!(
        listed(&db, id, i64::MAX, &ended(Outcome::Busy)).await,
        Recovered::Failed
    );
    end(&db).await;
    assert_eq!(db.claim(1).await[0].id, id);
}

/// The webhook came before its claim was known, or comes after the recovery.
#[tokio::test]
async fn a_webhook_of_a_lost_claim_counts_once_somebody_recovers() {
    let db = TestDb::new().await;
    let (before, after) = (db.enqueue(&number(1)).await, db.enqueue(&number(2)).await);
    let event = async |call, name| {
        let dial = Reference { call, claim_no: 1 };
        let report = by_provider(name, ended(Outcome::Answered));
        db.event_from("default", Some(dial), name, &report).await
    };
    assert_eq!(event(before, "p-1").await, Verdict::Mismatch);
    begin(&db).await;
    db.calls.recover_hold("default").await.unwrap().unwrap();
    end(&db).await;
    assert_eq!(db.state(before).await, "completed");
    assert!(db.claim(9).await.is_empty());
    assert_eq!(reason(&db, after).await, "trunk_held");
    assert_eq!(event(after, "p-2").await, Verdict::Applied);
    assert_eq!(db.state(after).await, "completed");
    db.forward("34 minutes").await;
    assert!(db.claim(9).await.is_empty());
}

/// The tag in the URL would do, but the body is about something else.
#[tokio::test]
async fn a_body_about_another_dial_brings_no_lost_claim_back() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    begin(&db).await;
    end(&db).await;
    let dial = Reference {
        call: id,
        claim_no: 1,
    };
    let other = Report {
        reference: Some(format!("{id}-2")),
        ..by_provider("p-1", ended(Outcome::Answered))
    };
    let event = db.event_from("default", Some(dial), "e", &other).await;
    assert_eq!(event, Verdict::Mismatch);
    assert_eq!(db.column(id, "claim_no").await, "0");
    assert_eq!(db.claim(1).await[0].id, id);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_trunk_is_held_and_no_reference_is_used_twice() {
    let db = TestDb::new().await;
    db.enqueue(&number(1)).await;
    begin(&db).await;
    db.calls.recover_hold("default").await.unwrap().unwrap();
    end(&db).await;
    assert!(db.claim(1).await.is_empty());
    db.forward("34 minutes").await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.claim_no, 1_000_001);
    // The answer of its lost first dial arrives after all.
    let dial = Some(Reference {
        call: call.id,
        claim_no: 1,
    });
    let answered = ended(Outcome::Answered);
    let late = db.event_from("default", dial, "e", &answered).await;
    assert_eq!(late, Verdict::LateAnswer);
}

#[tokio::test]
async fn an_adopted_dial_is_not_sent_again() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let id = db.enqueue(&number(1)).await;
    begin(&db).await;
    let strange = Report {
        kind: ReportKind::Unknown,
        ..up(&number(1))
    };
    assert_eq!(listed(&db, id, 1, &strange).await, Recovered::Adopted);
    end(&db).await;
    db.forward("30 seconds").await;
    let due = db.calls.repeats_due(&each(&["default"], 1)).await;
    assert!(due.unwrap().is_empty());
    assert_eq!(db.state(id).await, "unresolved");
}

/// Calls are ringing whose claims the database has lost, and one it never knew.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_learns_from_the_provider_what_was_lost() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let _provider = machine
        .start_provider(&["--ring", "1s", "--talk", "60s"])
        .await;
    let mut worker = machine.start_worker("one", &[]).await;
    let (kept, lost) = (db.enqueue(&number(1)).await, db.enqueue(&number(2)).await);
    db.calls.send_wakes().await;
    db.until("select count(*) = 2 from pgdial.calls where state = 'in_call'")
        .await;
    worker.kill();
    // The last commits are gone: one call's claim, and the other call altogether.
    db.sql(&format!(
        "update pgdial.calls set state = 'waiting', claim_no = 0, attempt = 0, claimed_at = null, claimed_by = null, \
             deadline_at = null, trunk = null, provider_call_id = null, answered_at = null; \
         delete from pgdial.call_events where kind <> 'waiting'; \
         delete from pgdial.calls where id = '{lost}'; {PROMOTED}"
    ))
    .await;

    let mut recover = machine.command(&["--json", "recover", "--wait", "0s"]);
    let output = recover.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told[0]["listed"], json!({ "adopted": 1, "held": 1 }));
    assert_eq!(db.state(kept).await, "in_call");

    // Nobody else rings either number.
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("two", &[]).await;
    let twins = [db.enqueue(&number(1)).await, db.enqueue(&number(2)).await];
    db.sql("select pgdial.resume('trunk', 'default')").await;
    let third = db.enqueue(&number(3)).await;
    db.calls.send_wakes().await;
    db.until(&format!(
        "select state = 'in_call' from pgdial.calls where id = '{third}'"
    ))
    .await;
    for twin in twins {
        assert_eq!(reason(db, twin).await, "number_taken");
    }
    assert_eq!(machine.rings_begun(), 3);
    machine.judge(30);
}
