//! `recover`: the database was restored, or a standby without the last commits took over,
//! and calls ring of which it knows nothing (P1, P2).

use pgdial::{
    domain::{CallId, Outcome, Reference, Report, ReportKind},
    flow::recover::Recovered,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestDb, by_provider, ended, number, processes::Machine, progress};

/// As if a standby had been promoted.
const PROMOTED: &str = "update pgdial.cluster set timeline = '00000000'";
/// As if the database had been copied to another server.
const COPIED: &str = "update pgdial.cluster set system_identifier = 7";

async fn begin(db: &TestDb) {
    let since = db.calls.recover_begin("the standby took over", "me");
    since.await.unwrap();
}

async fn listed(db: &TestDb, call: CallId, claim_no: i64, report: &Report) -> Recovered {
    let dial = Reference { call, claim_no };
    db.calls
        .recover_listed("default", dial, report, "me")
        .await
        .unwrap()
}

/// What a provider lists: a call that is up.
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
    for (changed, why) in [(PROMOTED, "standby"), (COPIED, "another server")] {
        let db = TestDb::new().await;
        let id = db.enqueue(&number(1)).await;
        db.sql(changed).await;
        assert!(db.claim(1).await.is_empty(), "{changed}");
        assert_eq!(reason(&db, id).await, "cluster_changed");
        let message = format!("select message from pgdial.why('{id}') where ord = 1");
        assert!(db.text(&message).await.contains(why));
        begin(&db).await;
        assert_eq!(reason(&db, id).await, "trunk_paused");
        db.sql("select pgdial.resume('trunk', 'default')").await;
        assert_eq!(db.claim(1).await.len(), 1);
    }
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
async fn a_dial_in_doubt_is_not_sent_again_there() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let call = db.dialing(&number(1)).await;
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    db.forward("6 seconds").await;
    db.sql(PROMOTED).await;
    let trunks = ["default".to_owned()];
    assert!(db.calls.repeats_due(&trunks, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn it_begins_where_the_commits_end_and_leaves_pauses_alone() {
    let db = TestDb::new().await;
    assert_eq!(db.calls.recover_begin("?", "me").await.unwrap(), None);
    db.sql("select pgdial.pause('trunk', 'default', 'on purpose', 'her')")
        .await;
    db.enqueue(&number(1)).await;
    let last = db
        .text("select floor(extract(epoch from max(created_at))) from pgdial.calls")
        .await;
    let since = db.calls.recover_begin("?", "me").await.unwrap().unwrap();
    assert_eq!(since.timestamp().to_string(), last);
    assert_eq!(
        db.text("select paused_why from pgdial.trunks").await,
        "on purpose"
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
    db.sql("select pgdial.resume('trunk', 'default')").await;
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
    // Its webhook was answered 2xx, and lost with the commit.
    assert_eq!(listed(&db, known.id, 1, &answered).await, Recovered::Known);
    assert_eq!(db.state(known.id).await, "completed");
    assert_eq!(
        listed(&db, known.id, 1, &answered).await,
        Recovered::Known,
        "again, it changes nothing"
    );
}

/// It was settled and claimed once more, and both were lost.
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
    db.sql("select pgdial.resume('trunk', 'default')").await;
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
    assert_eq!(listed(&db, id, 1, &up("nobody")).await, Recovered::Failed);
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
    db.sql("select pgdial.resume('trunk', 'default')").await;
    db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty());
}

/// Of two lost calls to one number only one row can be in flight; the other is not forgotten.
#[tokio::test]
async fn one_row_that_cannot_be_moved_harms_no_other() {
    let db = TestDb::new().await;
    db.in_call(&number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    let other = db.enqueue(&number(2)).await;
    begin(&db).await;
    assert_eq!(listed(&db, twin, 1, &up(&number(1))).await, Recovered::Held);
    assert_eq!(db.column(twin, "claim_no").await, "1", "used up");
    let elsewhere = Report {
        provider_call_id: Some("p-2".to_owned()),
        ..up(&number(2))
    };
    assert_eq!(listed(&db, other, 1, &elsewhere).await, Recovered::Adopted);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_numbers_of_due_calls_are_held() {
    let db = TestDb::new().await;
    let due = db.enqueue(&number(1)).await;
    let later = db
        .enqueue_as(json!({ "to": number(2), "scriptId": "s", "runAt": "2999-01-01T00:00:00Z" }))
        .await;
    begin(&db).await;
    assert_eq!(db.calls.recover_hold("default", "me").await.unwrap(), 1);
    db.sql("select pgdial.resume('trunk', 'default')").await;
    assert!(db.claim(1).await.is_empty());
    assert_eq!(db.story(later).await, "waiting");
    db.forward("34 minutes").await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(
        (call.id, call.claim_no),
        (due, 1001),
        "no reference is used twice"
    );
}

/// Calls ring, the claims of which the database has forgotten, and one that it never heard of.
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
    // The last commits are gone: the claim of one call, the whole of the other.
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

    // Both numbers are rung by nobody else.
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
