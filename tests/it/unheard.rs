//! unheard: a call that its provider would have reported was not placed (P1, P2).

use pgdial::domain::{ClaimedCall, Outcome, Report, ReportKind};

use crate::support::{TestDb, by_provider, each, ended, number, progress};

/// A trunk whose provider reports every call within 10 s.
async fn tells_of_all() -> TestDb {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set reports_within = '10 seconds'")
        .await;
    db
}

async fn in_doubt(db: &TestDb) -> ClaimedCall {
    let call = db.dialing(&number(1)).await;
    assert!(db.calls.doubt(call.reference(), "HTTP 500").await.unwrap());
    call
}

/// Dials these other numbers, which their provider reports.
async fn tell_of_others(db: &TestDb, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let call = db.in_call(&number(n)).await;
        db.event(&call, "1", ended(Outcome::Answered)).await;
    }
}

/// Lets this many minutes pass, with the provider reporting other calls all the time.
async fn minutes_of_others(db: &TestDb, minutes: usize) {
    for _ in 0..minutes * 2 {
        tell_of_others(db, 2..5).await;
        db.forward("30 seconds").await;
    }
}

/// Number of dials that the sweep considers not placed.
async fn not_placed(db: &TestDb) -> i64 {
    db.sweep().await.counts["not_placed"]
}

#[tokio::test]
async fn a_doubt_of_which_nothing_was_told_waits_again_once_others_were_told_of() {
    let db = tells_of_all().await;
    let call = in_doubt(&db).await;
    db.forward("11 seconds").await;
    tell_of_others(&db, 2..5).await;
    assert_eq!(not_placed(&db).await, 0, "it may be sent again yet");
    db.forward("50 seconds").await;
    assert_eq!(not_placed(&db).await, 0);
    db.forward("12 seconds").await;
    assert_eq!(not_placed(&db).await, 1);
    assert_eq!(
        db.story(call.id).await,
        "waiting active unresolved deferred"
    );
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!((again.id, again.attempt, again.claim_no), (call.id, 1, 2));
}

/// While nobody can reach us there is nothing to hear, about this dial or any other.
#[tokio::test]
async fn silence_alone_proves_nothing() {
    let db = tells_of_all().await;
    let call = in_doubt(&db).await;
    tell_of_others(&db, 2..6).await;
    db.forward("11 seconds").await;
    tell_of_others(&db, 2..4).await;
    db.forward("20 minutes").await;
    assert_eq!(not_placed(&db).await, 0, "two others, after it was due");
    assert_eq!(db.state(call.id).await, "unresolved");
}

/// After an outage of ours the provider redelivers, which may take as long as the outage did.
#[tokio::test]
async fn the_margin_is_as_long_as_nobody_reached_us() {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    db.forward("10 minutes").await;
    minutes_of_others(&db, 9).await;
    assert_eq!(not_placed(&db).await, 0);
    minutes_of_others(&db, 2).await;
    assert_eq!(not_placed(&db).await, 1);
}

/// Others were reported, and then nobody could reach us: reports about this dial may be among the lost ones.
#[tokio::test]
async fn an_outage_within_the_margin_begins_it_anew() {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    db.forward("11 seconds").await;
    tell_of_others(&db, 2..5).await;
    db.forward("3 minutes").await;
    assert_eq!(not_placed(&db).await, 0);
    minutes_of_others(&db, 3).await;
    assert_eq!(not_placed(&db).await, 0, "it may be sent again yet");
    minutes_of_others(&db, 1).await;
    assert_eq!(not_placed(&db).await, 1);
}

#[tokio::test]
async fn where_the_trunk_declares_nothing_nothing_follows() {
    let db = TestDb::new().await;
    in_doubt(&db).await;
    db.forward("1 minute").await;
    tell_of_others(&db, 2..5).await;
    db.forward("10 minutes").await;
    assert_eq!(not_placed(&db).await, 0);
}

/// Even a report that changes nothing shows that the dial was placed, whether it names it in its URL or in its body.
#[tokio::test]
async fn whatever_was_told_of_the_dial_itself_speaks_against_it() {
    for in_body in [false, true] {
        let db = tells_of_all().await;
        let dial = in_doubt(&db).await.reference();
        let told = Report {
            reference: in_body.then(|| dial.to_string()),
            ..progress(ReportKind::Unknown)
        };
        let in_url = (!in_body).then_some(dial);
        db.event_from("default", in_url, "told", &told).await;
        db.forward("11 seconds").await;
        minutes_of_others(&db, 2).await;
        assert_eq!(not_placed(&db).await, 0);
        db.sql("delete from pgdial.webhook_events where event_id = 'told'")
            .await;
        assert_eq!(not_placed(&db).await, 1);
    }
}

/// It has only the provider's id, which we do not know for this dial.
#[tokio::test]
async fn a_report_that_nobody_can_match_may_be_about_it() {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    let nameless = by_provider("p-1", progress(ReportKind::Progress));
    db.event_from("default", None, "1", &nameless).await;
    db.forward("11 seconds").await;
    minutes_of_others(&db, 2).await;
    assert_eq!(not_placed(&db).await, 0);
    db.sql("delete from pgdial.webhook_events where verdict = 'parked'")
        .await;
    assert_eq!(not_placed(&db).await, 1);
}

/// The repetition may have been placed, later than the first request.
#[tokio::test]
async fn a_repetition_begins_it_anew() {
    let db = tells_of_all().await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    in_doubt(&db).await;
    db.forward("80 seconds").await;
    let due = db.calls.repeats_due(&each(&["default"], 9)).await;
    assert_eq!(due.unwrap().len(), 1);
    tell_of_others(&db, 2..5).await;
    db.forward("65 seconds").await;
    assert_eq!(
        not_placed(&db).await,
        0,
        "what was told was told before it was due"
    );
    db.forward("10 seconds").await;
    minutes_of_others(&db, 2).await;
    assert_eq!(not_placed(&db).await, 1);
}

#[tokio::test]
async fn another_trunks_reports_prove_nothing() {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    db.forward("11 seconds").await;
    tell_of_others(&db, 2..5).await;
    db.sql("update pgdial.webhook_events set trunk = 'other'")
        .await;
    db.forward("10 minutes").await;
    assert_eq!(not_placed(&db).await, 0);
}

/// For three minutes its provider tells nothing that is believed, and something else comes.
async fn outage_with(what_comes: &str) {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    db.forward("71 seconds").await;
    tell_of_others(&db, 2..5).await;
    for _ in 0..6 {
        db.forward("30 seconds").await;
        tell_of_others(&db, 2..3).await;
        let last = "received_at = (select max(received_at) from pgdial.webhook_events)";
        db.sql(&format!(
            "update pgdial.webhook_events set {what_comes} where {last}"
        ))
        .await;
    }
    assert_eq!(not_placed(&db).await, 0, "{what_comes}");
}

/// Its own provider may be cut off from us while another one is not.
#[tokio::test]
async fn an_outage_is_one_whatever_another_trunk_tells_meanwhile() {
    outage_with("trunk = 'other'").await;
}

/// A report that was not believed may be anybody's.
#[tokio::test]
async fn an_outage_is_one_whatever_is_told_that_is_not_believed() {
    outage_with("verdict = 'mismatch'").await;
}

#[tokio::test]
async fn several_others_must_have_been_believed() {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    let one = db.in_call(&number(9)).await;
    db.forward("71 seconds").await;
    tell_of_others(&db, 2..5).await;
    db.sql("update pgdial.webhook_events set verdict = 'mismatch'")
        .await;
    for event in ["1", "2", "3", "4", "5", "6"] {
        db.event(&one, event, progress(ReportKind::Progress)).await;
        db.forward("30 seconds").await;
    }
    assert_eq!(not_placed(&db).await, 0);
}

#[tokio::test]
async fn what_another_trunk_tells_of_nobody_we_know_holds_up_nothing() {
    let db = tells_of_all().await;
    in_doubt(&db).await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    let nameless = by_provider("p-1", progress(ReportKind::Progress));
    db.event_from("other", None, "1", &nameless).await;
    db.forward("11 seconds").await;
    minutes_of_others(&db, 2).await;
    assert_eq!(not_placed(&db).await, 1);
}

/// A cancel request or a do-not-call entry applies after it as after any dial.
#[tokio::test]
async fn what_was_not_placed_and_is_not_wanted_ends() {
    let db = tells_of_all().await;
    let call = in_doubt(&db).await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    db.forward("11 seconds").await;
    minutes_of_others(&db, 2).await;
    assert_eq!(not_placed(&db).await, 1);
    assert_eq!(db.state(call.id).await, "canceled");
}
