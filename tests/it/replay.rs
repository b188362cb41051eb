//! `replay`: kept webhook events are judged again (P2).

use pgdial::{
    domain::{Outcome, Report, ReportKind},
    flow::{
        replay::{Kept, Replayed},
        webhook::Verdict,
    },
};

use crate::support::{TestDb, by_provider, ended, number, progress, provider_id};

/// Id of the latest kept event.
async fn latest(db: &TestDb) -> i64 {
    db.number("select max(id) from pgdial.webhook_events").await
}

async fn replay(db: &TestDb, event: i64, report: Option<&Report>) -> Replayed {
    db.calls
        .replay(event, report, "me", Some("mended"))
        .await
        .unwrap()
}

fn unparsable() -> Report {
    progress(ReportKind::Unparsable)
}

#[tokio::test]
async fn an_event_that_could_not_be_read_is_applied_once_it_can() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    assert_eq!(
        db.event(&call, "e", unparsable()).await,
        Verdict::Unparsable
    );
    let event = latest(&db).await;
    assert_eq!(replay(&db, event, None).await, Replayed::Unparsable);
    let read = ended(Outcome::Answered);
    assert_eq!(replay(&db, event, Some(&read)).await, Replayed::Applied);
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call replayed completed"
    );
    let detail = db.detail(call.id, "replayed").await;
    assert_eq!(
        (&detail["by"], &detail["why"], &detail["was"]),
        (&"me".into(), &"mended".into(), &"unparsable".into())
    );
}

#[tokio::test]
async fn what_has_had_its_effect_has_none_again() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    assert_eq!(
        db.event(&call, "e", ended(Outcome::Busy)).await,
        Verdict::Applied
    );
    let event = latest(&db).await;
    let story = db.story(call.id).await;
    for _ in 0..2 {
        assert_eq!(replay(&db, event, None).await, Replayed::AlreadyJudged);
    }
    assert_eq!(db.story(call.id).await, story);
}

/// A status word that this release knows by now, about a call that has been redialled since.
#[tokio::test]
async fn an_event_of_an_earlier_dial_moves_no_later_one() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let noted = db.event(&call, "e", progress(ReportKind::Unknown)).await;
    assert_eq!(noted, Verdict::Noted);
    let event = latest(&db).await;
    db.event(&call, "f", ended(Outcome::Busy)).await;
    db.forward("1 hour").await;
    let again = db.claim(1).await.pop().unwrap();
    let report = ended(Outcome::NoAnswer);
    assert_eq!(replay(&db, event, Some(&report)).await, Replayed::Stale);
    assert_eq!(db.state(again.id).await, "dialing");
}

#[tokio::test]
async fn a_parked_event_is_applied_without_waiting_for_the_sweep() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let report = by_provider("p-1", ended(Outcome::Answered));
    let parked = db.event_from("default", None, "e", &report).await;
    assert_eq!(parked, Verdict::Parked);
    let event = latest(&db).await;
    assert_eq!(replay(&db, event, None).await, Replayed::Parked);
    db.sql("update pgdial.calls set provider_call_id = 'p-1'")
        .await;
    assert_eq!(
        db.text(&format!("select pgdial.replay({event}, 'the id is known')"))
            .await,
        "applied"
    );
    assert_eq!(db.state(call.id).await, "completed");
}

#[tokio::test]
async fn an_event_whose_call_somebody_holds_stays_parked_for_the_sweep() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "e", unparsable()).await;
    let mut person = db.session().await;
    crate::support::run(&mut person, "begin; select * from pgdial.calls for update")
        .await
        .unwrap();
    let (event, read) = (latest(&db).await, ended(Outcome::Answered));
    assert_eq!(replay(&db, event, Some(&read)).await, Replayed::Parked);
    crate::support::run(&mut person, "rollback").await.unwrap();
    db.forward("5 seconds").await;
    db.sweep().await;
    assert_eq!(db.state(call.id).await, "completed");
}

#[tokio::test]
async fn no_such_event_says_so() {
    let db = TestDb::new().await;
    assert_eq!(replay(&db, 4711, None).await, Replayed::NotFound);
    assert_eq!(db.calls.webhook_body(4711).await.unwrap(), None);
}

#[tokio::test]
async fn events_are_listed_by_verdict_and_trunk() {
    let db = TestDb::new().await;
    let (one, two) = (db.in_call(&number(1)).await, db.in_call(&number(2)).await);
    db.event(&one, "e", unparsable()).await;
    db.event(&two, "f", progress(ReportKind::Unknown)).await;
    let list = async |which: Kept<'static>| db.calls.webhook_events(&which).await.unwrap();
    let all = Kept {
        limit: 10,
        ..Kept::default()
    };
    assert_eq!(list(all.clone()).await.len(), 2);
    let noted = list(Kept {
        verdict: Some(Verdict::Noted),
        ..all.clone()
    });
    assert_eq!(noted.await[0].event_id, "f");
    let of_none = list(Kept {
        trunk: Some("other"),
        ..all
    });
    assert!(of_none.await.is_empty());
}

/// What came too late for one dial must not end a later one.
#[tokio::test]
async fn a_stale_event_is_not_judged_again_after_a_redrive() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Declined).await;
    let late = db.event(&call, "e", ended(Outcome::Busy)).await;
    assert_eq!(late, Verdict::Stale);
    db.sql("select pgdial.redrive(id) from pgdial.calls").await;
    assert_eq!(db.claim(1).await[0].id, call.id);
    let event = latest(&db).await;
    assert_eq!(replay(&db, event, None).await, Replayed::AlreadyJudged);
    assert_eq!(db.state(call.id).await, "dialing");
}

/// Without a reference, the provider's id says which dial an event is about, even after a retry has cleared that id
/// from the row.
#[tokio::test]
async fn an_event_by_the_providers_id_never_moves_a_later_dial() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let id = provider_id(&number(1));
    let noted = by_provider(&id, progress(ReportKind::Unknown));
    let verdict = db.event_from("default", None, "e", &noted).await;
    assert_eq!(verdict, Verdict::Noted);
    let event = latest(&db).await;
    db.event(&call, "f", ended(Outcome::Busy)).await;
    db.forward("1 hour").await;
    assert_eq!(db.claim(1).await[0].claim_no, 2);
    let busy = by_provider(&id, ended(Outcome::Busy));
    assert_eq!(replay(&db, event, Some(&busy)).await, Replayed::Stale);
    assert_eq!(db.state(call.id).await, "dialing");
}
