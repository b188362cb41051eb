//! webhook: an event is stored once and applied once, in any order (P2, P4, P6).

use pgdial::{
    domain::{Outcome, Reference, Report, ReportKind},
    flow::webhook::{Event, Verdict},
    provider::signature::SignedAt,
};
use serde_json::json;

use crate::support::{TestDb, by_provider, ended, number, progress, provider_id, run};

const KEPT: &str =
    "select string_agg(verdict || ' ' || deliveries, ', ' order by id) from pgdial.webhook_events";

fn ringing() -> Report {
    progress(ReportKind::Progress)
}

fn answered() -> Report {
    progress(ReportKind::Answered)
}

#[tokio::test]
async fn events_in_order_move_the_call_along() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    assert_eq!(db.event(&call, "1", ringing()).await, Verdict::Applied);
    assert_eq!(db.column(call.id, "answered_at").await, "");
    assert_eq!(db.event(&call, "2", answered()).await, Verdict::Applied);
    assert_ne!(db.column(call.id, "answered_at").await, "");
    let last = Report {
        result: json!({"durationSec": 42}),
        ..ended(Outcome::Answered)
    };
    assert_eq!(db.event(&call, "3", last).await, Verdict::Applied);
    let facts = "(state, outcome, result ->> 'durationSec', ended_at is not null)";
    assert_eq!(db.column(call.id, facts).await, "(completed,answered,42,t)");
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call answered completed"
    );
}

#[tokio::test]
async fn an_event_before_the_dial_is_recorded_is_applied() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let early = by_provider("p-1", ringing());
    assert_eq!(db.event(&call, "1", early).await, Verdict::Applied);
    let facts = "(state, provider_call_id, lease_until is null)";
    assert_eq!(db.column(call.id, facts).await, "(in_call,p-1,t)");
}

/// The end takes the provider's id off the call, but what came with it is about the same dial.
#[tokio::test]
async fn events_that_waited_for_a_dials_id_are_all_about_that_dial() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let named = |report| by_provider("p-1", report);
    for (id, report) in [("1", ended(Outcome::Capacity)), ("2", ringing())] {
        let early = db.event_from("default", None, id, &named(report)).await;
        assert_eq!(early, Verdict::Parked);
    }
    let late = db.event(&call, "3", named(ringing())).await;
    assert_eq!(late, Verdict::Stale);
    assert_eq!(db.text(KEPT).await, "applied 1, stale 1, stale 1");
    assert_eq!(db.story(call.id).await, "waiting active deferred");
}

#[tokio::test]
async fn an_event_settles_a_dial_in_doubt() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    db.calls.doubt(call.reference(), "reset").await.unwrap();
    let verdict = db.event(&call, "1", ended(Outcome::Busy)).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(
        db.column(call.id, "(state, outcome)").await,
        "(waiting,busy)"
    );
}

#[tokio::test]
async fn a_second_delivery_changes_nothing_and_is_counted() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let busy = || ended(Outcome::Busy);
    assert_eq!(db.event(&call, "1", busy()).await, Verdict::Applied);
    let after_first = db.story(call.id).await;
    assert_eq!(db.event(&call, "1", busy()).await, Verdict::Duplicate);
    assert_eq!(db.event(&call, "1", busy()).await, Verdict::Duplicate);
    assert_eq!(db.story(call.id).await, after_first);
    assert_eq!(db.text(KEPT).await, "applied 3");
}

#[tokio::test]
async fn thirty_deliveries_at_once_are_applied_once() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let sent = (0..30).map(|_| db.event(&call, "1", ended(Outcome::Busy)));
    let verdicts = futures_util::future::join_all(sent).await;
    let applied = verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::Applied)
        .count();
    assert_eq!(applied, 1, "{verdicts:?}");
    assert_eq!(db.story(call.id).await, "waiting active in_call retried");
    assert_eq!(db.text(KEPT).await, "applied 30");
}

#[tokio::test]
async fn progress_after_the_end_moves_nothing_backwards() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", ended(Outcome::Answered)).await;
    assert_eq!(db.event(&call, "2", ringing()).await, Verdict::Stale);
    assert_eq!(db.event(&call, "3", answered()).await, Verdict::Stale);
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.story(call.id).await, "waiting active in_call completed");
}

#[tokio::test]
async fn ringing_after_the_answer_keeps_the_answer() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", answered()).await;
    let first = db.column(call.id, "answered_at").await;
    db.event(&call, "2", ringing()).await;
    db.event(&call, "3", answered()).await;
    assert_eq!(db.column(call.id, "answered_at").await, first);
    assert_eq!(db.story(call.id).await, "waiting active in_call answered");
}

#[tokio::test]
async fn of_contradicting_ends_the_first_decides() {
    let db = TestDb::new().await;
    for (n, (first, second, verdict)) in [
        (Outcome::Answered, Outcome::Busy, Verdict::Stale),
        // Recorded, so that nobody rings them again without force.
        (Outcome::Declined, Outcome::Answered, Verdict::LateAnswer),
        (Outcome::InvalidNumber, Outcome::Busy, Verdict::Stale),
    ]
    .into_iter()
    .enumerate()
    {
        let call = db.in_call(&number(n)).await;
        let reference = Some(call.reference());
        let send = |id, outcome| {
            let db = db.clone();
            async move {
                db.event_from("default", reference, id, &ended(outcome))
                    .await
            }
        };
        assert_eq!(send("1", first).await, Verdict::Applied);
        assert_eq!(send("2", second).await, verdict);
        assert_eq!(db.column(call.id, "outcome").await, first.as_str());
    }
}

#[tokio::test]
async fn unknown_words_are_noted_and_change_nothing() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let odd = progress(ReportKind::Unknown);
    assert_eq!(db.event(&call, "1", odd).await, Verdict::Noted);
    assert_eq!(db.state(call.id).await, "dialing");
    assert_eq!(db.text(KEPT).await, "noted 1");
}

/// A batch takes it along; an unknown word is neither the first report of a dial nor a sign of life.
#[tokio::test]
async fn unknown_words_among_others_change_nothing_either() {
    let db = TestDb::new().await;
    let calls = [db.dialing(&number(1)).await, db.dialing(&number(2)).await];
    db.sql("update pgdial.calls set provider_call_id = 'p' || phone")
        .await;
    let batch = "select string_agg(w.verdict, ' ' order by w.ordinal) from pgdial.webhook((\
                 select jsonb_agg(jsonb_build_object('trunk', 'default', 'reference', e.reference, 'event_id', e.n, \
                 'body', '', 'report', jsonb_build_object('kind', e.kind)) order by e.n) from (values \
                 (1, '$1', 'unknown'), (2, '$1', 'progress'), (3, '$1', 'unknown'), (4, '$2', 'unknown')) \
                 as e (n, reference, kind))) w";
    let batch = batch
        .replace("$1", &calls[0].reference().to_string())
        .replace("$2", &calls[1].reference().to_string());
    assert_eq!(db.text(&batch).await, "noted applied noted noted");
    assert_eq!(db.text(KEPT).await, "noted 1, applied 1, noted 1, noted 1");
    let states = "select string_agg(state::text, ' ' order by phone) from pgdial.calls";
    assert_eq!(db.text(states).await, "in_call dialing");
    let accepted = "select string_agg(phone, ' ') from pgdial.call_events e join pgdial.calls c on c.id = e.call_id \
                    where e.kind = 'in_call'";
    assert_eq!(db.text(accepted).await, number(1));
}

#[tokio::test]
async fn what_cannot_be_parsed_is_kept_as_it_came() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let report = progress(ReportKind::Unparsable);
    let event = Event {
        trunk: "default",
        reference: Some(call.reference()),
        event_id: "sha",
        signed_at: None,
        body: b"{\xff\x00 not json",
        report: &report,
    };
    assert_eq!(db.calls.webhook(event).await.unwrap(), Verdict::Unparsable);
    assert_eq!(db.calls.webhook(event).await.unwrap(), Verdict::Duplicate);
    let kept = "select encode(body, 'escape') || ' ' || verdict from pgdial.webhook_events";
    assert_eq!(db.text(kept).await, "{\\377\\000 not json unparsable");
    assert_eq!(db.state(call.id).await, "dialing");
}

#[tokio::test]
async fn a_body_about_another_dial_is_a_mismatch() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let other = db.in_call(&number(2)).await;
    let of_other = Report {
        reference: Some(other.reference().to_string()),
        ..ended(Outcome::Busy)
    };
    assert_eq!(db.event(&call, "1", of_other).await, Verdict::Mismatch);
    let under_other_id = by_provider(&provider_id(&number(2)), ended(Outcome::Busy));
    assert_eq!(
        db.event(&call, "2", under_other_id).await,
        Verdict::Mismatch
    );
    for id in [call.id, other.id] {
        assert_eq!(db.state(id).await, "in_call");
    }
    assert_eq!(db.text(KEPT).await, "mismatch 1, mismatch 1");
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call mismatch mismatch"
    );
}

#[tokio::test]
async fn the_first_report_at_its_url_says_how_a_dial_is_called() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let named = |id: &str, report| by_provider(id, report);
    assert_eq!(
        db.event(&call, "1", named("leg-b", ringing())).await,
        Verdict::Applied
    );
    assert_eq!(db.column(call.id, "provider_call_id").await, "leg-b");
    assert_eq!(
        db.detail(call.id, "renamed").await["was"],
        provider_id(&number(1))
    );
    // Another leg of the call, whose end says nothing about ours.
    let other_leg = named("leg-c", ended(Outcome::Busy));
    assert_eq!(db.event(&call, "2", other_leg).await, Verdict::Mismatch);
    let over = named("leg-b", ended(Outcome::Answered));
    assert_eq!(db.event(&call, "3", over).await, Verdict::Applied);
    assert_eq!(db.state(call.id).await, "completed");
}

#[tokio::test]
async fn an_event_of_another_trunk_is_a_mismatch() {
    let db = TestDb::new().await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    let call = db.in_call(&number(1)).await;
    let report = ended(Outcome::Answered);
    let reference = Some(call.reference());
    assert_eq!(
        db.event_from("other", reference, "1", &report).await,
        Verdict::Mismatch
    );
    let by_id = by_provider(&provider_id(&number(1)), report);
    assert_eq!(
        db.event_from("other", None, "2", &by_id).await,
        Verdict::Parked,
        "the provider's id means something within its trunk only"
    );
    assert_eq!(db.state(call.id).await, "in_call");
}

#[tokio::test]
async fn an_event_of_a_claim_that_never_was_is_a_mismatch() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let later = Reference {
        claim_no: 2,
        ..call.reference()
    };
    let report = ended(Outcome::Answered);
    let verdict = db.event_from("default", Some(later), "1", &report).await;
    assert_eq!(verdict, Verdict::Mismatch);
    assert_eq!(db.state(call.id).await, "in_call");
}

async fn signed(db: &TestDb, reference: Reference, event_id: &str, age: i64) -> Verdict {
    let now = db
        .number("select floor(extract(epoch from pgdial.now()))")
        .await;
    let report = ended(Outcome::Answered);
    let event = Event {
        trunk: "default",
        reference: Some(reference),
        event_id,
        signed_at: Some(SignedAt::standard(now - age)),
        body: b"{}",
        report: &report,
    };
    db.calls.webhook(event).await.unwrap()
}

#[tokio::test]
async fn an_event_signed_too_long_ago_or_ahead_leaves_no_row() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    for age in [310, -310, i64::MAX / 4] {
        assert_eq!(
            signed(&db, call.reference(), "1", age).await,
            Verdict::TooOld
        );
    }
    assert_eq!(db.text(KEPT).await, "");
    assert_eq!(db.state(call.id).await, "in_call");
    assert_eq!(
        signed(&db, call.reference(), "1", 290).await,
        Verdict::Applied
    );
    // The database's clock decides.
    db.forward("10 minutes").await;
    assert_eq!(signed(&db, call.reference(), "2", 0).await, Verdict::Stale);
}

#[tokio::test]
async fn an_event_whose_call_somebody_holds_is_parked_and_applied_by_the_sweep() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    assert_eq!(
        db.event(&call, "1", ended(Outcome::Answered)).await,
        Verdict::Parked
    );
    db.forward("1 second").await;
    assert_eq!(db.sweep().await.counts["parked_applied"], 0, "still held");
    run(&mut person, "commit").await.unwrap();
    db.forward("1 second").await;
    let swept = db.sweep().await;
    assert_eq!(swept.counts["parked_applied"], 1);
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.text(KEPT).await, "applied 1");
}

#[tokio::test]
async fn a_second_delivery_of_a_parked_event_applies_it() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    db.event(&call, "1", ended(Outcome::Answered)).await;
    run(&mut person, "commit").await.unwrap();
    assert_eq!(
        db.event(&call, "1", ended(Outcome::Answered)).await,
        Verdict::Applied
    );
    assert_eq!(db.text(KEPT).await, "applied 2");
    assert_eq!(
        db.event(&call, "1", ended(Outcome::Answered)).await,
        Verdict::Duplicate
    );
}

#[tokio::test]
async fn an_event_by_the_providers_id_finds_its_call() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let report = by_provider(&provider_id(&number(1)), ended(Outcome::Busy));
    let verdict = db.event_from("default", None, "1", &report).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(db.state(call.id).await, "waiting");
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_stays_parked_and_harms_no_other() {
    let db = TestDb::new().await;
    let poisoned = db.enqueue_poison(&number(1)).await;
    let bad = db.claim(1).await.pop().unwrap();
    let good = db.in_call(&number(2)).await;
    db.poison("completed").await;
    let report = || ended(Outcome::Answered);
    assert_eq!(db.event(&bad, "1", report()).await, Verdict::Parked);
    assert_eq!(db.event(&good, "2", report()).await, Verdict::Applied);
    db.forward("1 second").await;
    assert_eq!(db.sweep().await.counts["parked_applied"], 0);
    assert_eq!(db.state(poisoned).await, "dialing");
    db.sql("alter table pgdial.calls drop constraint poison")
        .await;
    db.forward("10 seconds").await;
    assert_eq!(db.sweep().await.counts["parked_applied"], 1);
    assert_eq!(db.state(poisoned).await, "completed");
}

#[tokio::test]
async fn an_event_for_a_removed_call_is_stale() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.settle(&call, Outcome::Answered).await;
    db.forward("1 hour").await;
    let trunks = ["default".to_owned()];
    let keep = Some(std::time::Duration::ZERO);
    let swept = db.calls.sweep(&trunks, keep).await.unwrap();
    assert_eq!(swept.counts["removed"], 1);
    assert_eq!(
        db.event(&call, "1", ended(Outcome::Answered)).await,
        Verdict::Stale
    );
    assert_eq!(db.text(KEPT).await, "stale 1");
}
