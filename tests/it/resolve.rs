//! resolve: a person knows what came of a dial that nobody can explain (P1, P2, P6).

use pgdial::{
    domain::{CallId, CallState, ClaimedCall, Outcome, ReportKind, Resolution},
    flow::{defer::DeferReason, matching::Batch, resolve::Resolved, webhook::Verdict},
};
use serde_json::json;

use crate::support::{TestDb, ask, each, ended, number, progress};

async fn in_doubt(db: &TestDb, n: usize) -> ClaimedCall {
    let call = db.dialing(&number(n)).await;
    assert!(db.calls.doubt(call.reference(), "no answer").await.unwrap());
    call
}

async fn resolve(db: &TestDb, id: CallId, r#as: Resolution) -> Resolved {
    let answer = db
        .calls
        .resolve(id, r#as, None, "ann", "their console says so");
    answer.await.unwrap().0
}

#[tokio::test]
async fn what_was_not_placed_waits_again_and_its_attempt_is_not_counted() {
    let db = TestDb::new().await;
    let call = in_doubt(&db, 1).await;
    let resolved = resolve(&db, call.id, Resolution::NotPlaced).await;
    assert_eq!(resolved, Resolved::Resolved);
    let story = "waiting active unresolved resolved deferred";
    assert_eq!(db.story(call.id).await, story);
    let words = db.detail(call.id, "resolved").await;
    let said = json!({ "as": "not_placed", "by": "ann", "why": "their console says so" });
    assert_eq!(words, said);
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!((again.id, again.attempt, again.claim_no), (call.id, 1, 2));
    assert_eq!(
        db.event(&call, "1", ended(Outcome::Busy)).await,
        Verdict::Stale,
        "what ends the dial that was not placed ends no other"
    );
}

#[tokio::test]
async fn an_outcome_goes_the_way_of_the_providers_report() {
    let db = TestDb::new().await;
    for (n, (r#as, state, outcome)) in [
        (Resolution::Answered, "completed", "answered"),
        (Resolution::Busy, "waiting", "busy"),
        (Resolution::Declined, "failed", "declined"),
        (Resolution::Canceled, "canceled", "canceled"),
        (Resolution::Unknown, "failed", "unknown"),
    ]
    .into_iter()
    .enumerate()
    {
        let call = in_doubt(&db, n).await;
        assert_eq!(resolve(&db, call.id, r#as).await, Resolved::Resolved);
        let facts = db.column(call.id, "state || ' ' || outcome").await;
        assert_eq!(facts, format!("{state} {outcome}"));
        let held = db.column(call.id, "hold_until is not null").await;
        assert_eq!(held, (outcome == "unknown").to_string(), "{outcome}");
    }
}

#[tokio::test]
async fn only_a_doubt_is_resolved() {
    let db = TestDb::new().await;
    let waiting = db.enqueue(&number(1)).await;
    let answer = db
        .calls
        .resolve(waiting, Resolution::Busy, None, "ann", "x");
    assert_eq!(
        answer.await.unwrap(),
        (Resolved::NotInDoubt, Some(CallState::Waiting))
    );
    db.sql("delete from pgdial.calls").await;
    let dialing = db.dialing(&number(2)).await;
    let live = db.in_call(&number(3)).await;
    let over = db.in_call(&number(4)).await;
    db.settle(&over, Outcome::Declined).await;
    for id in [dialing.id, live.id, over.id] {
        for r#as in [Resolution::NotPlaced, Resolution::Answered] {
            assert_eq!(resolve(&db, id, r#as).await, Resolved::NotInDoubt);
        }
    }
    let nobody = CallId(uuid::Uuid::new_v4());
    assert_eq!(
        resolve(&db, nobody, Resolution::Busy).await,
        Resolved::NotFound
    );
}

/// A provider that can be asked is asked minute by minute, and the sweep postpones `deadline_at`.
#[tokio::test]
async fn a_call_past_its_own_deadline_is_resolved() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set look_up = 'hint'").await;
    let call = db.in_call(&number(1)).await;
    db.forward("32 minutes").await;
    assert_eq!(
        resolve(&db, call.id, Resolution::Busy).await,
        Resolved::NotInDoubt
    );
    db.forward("2 minutes").await;
    db.sweep().await;
    assert_eq!(
        resolve(&db, call.id, Resolution::Busy).await,
        Resolved::Resolved
    );
    assert_eq!(db.state(call.id).await, "waiting");
}

#[tokio::test]
async fn whoever_has_answered_was_rung() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set look_up = 'hint'").await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", progress(ReportKind::Answered)).await;
    db.forward("34 minutes").await;
    db.sweep().await;
    assert_eq!(
        resolve(&db, call.id, Resolution::NotPlaced).await,
        Resolved::Answered
    );
    assert_eq!(
        resolve(&db, call.id, Resolution::Answered).await,
        Resolved::Resolved
    );
    assert_eq!(db.state(call.id).await, "completed");
}

/// Its slot was freed long ago, its number was not.
#[tokio::test]
async fn what_was_given_up_as_unknown_is_resolved() {
    let db = TestDb::new().await;
    let (heard, none) = (db.given_up(&number(1)).await, db.given_up(&number(2)).await);
    db.sql("update pgdial.calls set hold_until = pgdial.now() + interval '1 hour'")
        .await;
    assert_eq!(
        resolve(&db, heard.id, Resolution::Answered).await,
        Resolved::Resolved
    );
    assert_eq!(
        resolve(&db, none.id, Resolution::NotPlaced).await,
        Resolved::Resolved
    );
    let facts = "(state, outcome, hold_until is null, attempt, ended_at is null, trunk)";
    assert_eq!(
        db.column(heard.id, facts).await,
        "(completed,answered,t,1,f,default)"
    );
    assert_eq!(db.column(none.id, facts).await, "(waiting,,t,0,t,)");
    assert_eq!(db.claim(2).await[0].id, none.id);
}

/// What a person knows about one dial says nothing about an earlier one that turns out to be live.
#[tokio::test]
async fn what_another_dial_holds_stays_held() {
    for (r#as, state) in [
        (Resolution::NotPlaced, "waiting"),
        (Resolution::Busy, "failed"),
    ] {
        let db = TestDb::new().await;
        let first = db.dialing(&number(1)).await;
        let put_back = db
            .calls
            .defer(first.reference(), DeferReason::Late, None, "slow");
        put_back.await.unwrap();
        db.forward("6 seconds").await;
        let second = db.claim(1).await.pop().unwrap();
        db.forward("32 minutes").await;
        let up = db.event(&first, "1", progress(ReportKind::Progress)).await;
        assert_eq!(up, Verdict::Applied);
        db.forward("3 minutes").await;
        db.sweep().await;
        assert_eq!(db.state(second.id).await, "failed");
        assert_eq!(resolve(&db, second.id, r#as).await, Resolved::Resolved);
        assert_eq!(db.state(second.id).await, state);
        db.enqueue(&number(1)).await;
        assert!(db.claim(2).await.is_empty(), "the first dial rings yet");
        db.event(&first, "2", ended(Outcome::NoAnswer)).await;
        db.forward("1 hour").await;
        assert_eq!(db.claim(2).await.len(), 1);
    }
}

/// `unknown` means that nothing more can be found out, so it may still ring.
#[tokio::test]
async fn what_stays_unknown_stays_held() {
    let db = TestDb::new().await;
    let call = db.given_up(&number(1)).await;
    assert_eq!(
        resolve(&db, call.id, Resolution::Unknown).await,
        Resolved::Resolved
    );
    let facts = "(state, outcome, hold_until > pgdial.now())";
    assert_eq!(db.column(call.id, facts).await, "(failed,unknown,t)");
}

/// A repetition under way may ring, whatever came of the first request.
#[tokio::test]
async fn not_while_its_request_is_being_sent_again() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set idempotent = true").await;
    let call = in_doubt(&db, 1).await;
    db.forward("6 seconds").await;
    let due = db.calls.repeats_due(&each(&["default"], 1)).await;
    assert_eq!(due.unwrap().len(), 1);
    assert_eq!(
        resolve(&db, call.id, Resolution::NotPlaced).await,
        Resolved::UnderWay
    );
    db.forward("1 minute").await;
    assert_eq!(
        resolve(&db, call.id, Resolution::NotPlaced).await,
        Resolved::Resolved
    );
}

#[tokio::test]
async fn a_number_not_to_ring_is_not_rung_after_a_resolve() {
    let db = TestDb::new().await;
    let (given_up, doubted) = (db.given_up(&number(1)).await, in_doubt(&db, 2).await);
    for n in 1..=2 {
        let phone = number(n).parse().unwrap();
        db.calls
            .do_not_call_add(&phone, "ann", "they asked")
            .await
            .unwrap();
    }
    for call in [doubted, given_up] {
        assert_eq!(
            resolve(&db, call.id, Resolution::NotPlaced).await,
            Resolved::Resolved
        );
        assert_eq!(db.state(call.id).await, "suppressed");
    }
}

#[tokio::test]
async fn sql_resolves_as_the_program_does_and_says_what_it_cannot_read() {
    let db = TestDb::new().await;
    let call = in_doubt(&db, 1).await;
    let mut session = db.session().await;
    let sql = format!(
        "pgdial.resolve('{}', 'not_placed', 'I asked them')",
        call.id
    );
    assert_eq!(ask(&mut session, &sql).await, "resolved");
    assert_eq!(ask(&mut session, &sql).await, "not_in_doubt");
    for (word, why, words) in [
        ("capacity", "x", "one of not_placed, answered"),
        ("rang", "x", "one of not_placed, answered"),
        ("busy", " ", "\"why\" is missing"),
    ] {
        let id = call.id;
        let sql = format!("select pgdial.resolve('{id}', '{word}', '{why}')");
        let (code, message) = db.refusal(&sql).await;
        assert!(code == "22023" && message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn all_doubts_that_a_filter_means_are_resolved_and_the_dry_run_foretells_it() {
    let db = TestDb::new().await;
    let wished = in_doubt(&db, 1).await;
    db.calls.cancel(wished.id, "ann", None).await.unwrap();
    let doubted = in_doubt(&db, 2).await;
    let live = db.in_call(&number(3)).await;
    let filter = json!({ "campaign": "default" });
    let batch = |dry_run| Batch {
        filter: &filter,
        limit: 1000,
        dry_run,
        cursor: None,
        by: "ann",
        why: "none of them reached the provider",
    };
    let wanted = [("resolved".to_owned(), 2)].into();
    for dry_run in [true, false] {
        let answer = db
            .calls
            .resolve_matching(&batch(dry_run), Resolution::NotPlaced)
            .await;
        assert_eq!(answer.unwrap().verdicts, wanted);
    }
    assert_eq!(db.state(wished.id).await, "canceled", "it never goes back");
    assert_eq!(db.state(doubted.id).await, "waiting");
    assert_eq!(db.state(live.id).await, "in_call");
    let act = "select concat_ws(' ', act, by, detail ->> 'as', detail -> 'verdicts') from pgdial.acts where kind = 'calls'";
    assert_eq!(
        db.text(act).await,
        "resolve ann not_placed {\"resolved\": 2}"
    );
}

#[tokio::test]
async fn calls_that_were_given_up_are_resolved_by_a_filter_that_names_them() {
    let db = TestDb::new().await;
    let (given_up, busy) = (in_doubt(&db, 1).await, in_doubt(&db, 2).await);
    resolve(&db, given_up.id, Resolution::Unknown).await;
    resolve(&db, busy.id, Resolution::Declined).await;
    for filter in [
        json!({ "outcome": "unknown" }),
        json!({ "state": "failed" }),
        json!({ "state": "failed", "outcome": "unknown" }),
    ] {
        let batch = |dry_run| Batch {
            filter: &filter,
            limit: 1000,
            dry_run,
            cursor: None,
            by: "ann",
            why: "their console says so",
        };
        let answer = db
            .calls
            .resolve_matching(&batch(true), Resolution::NoAnswer)
            .await
            .unwrap();
        assert_eq!(
            answer.verdicts,
            [("resolved".to_owned(), 1)].into(),
            "{filter}"
        );
        if filter.get("outcome").is_some() && filter.get("state").is_some() {
            let whole = batch(false);
            let done = db.calls.resolve_matching(&whole, Resolution::NoAnswer);
            done.await.unwrap();
        }
    }
    assert_eq!(db.column(given_up.id, "outcome").await, "no_answer");
    assert_eq!(db.column(busy.id, "outcome").await, "declined");
}

#[tokio::test]
async fn the_error_of_a_resolved_call_stays_what_was_heard_of_it() {
    let db = TestDb::new().await;
    for (n, r#as) in [
        Resolution::Declined,
        Resolution::Unknown,
        Resolution::NotPlaced,
    ]
    .into_iter()
    .enumerate()
    {
        let call = in_doubt(&db, n).await;
        resolve(&db, call.id, r#as).await;
        assert_eq!(db.column(call.id, "last_error").await, "no answer");
        if r#as == Resolution::Unknown {
            let why = db.calls.why(call.id).await.unwrap();
            let said = "by ann: their console says so";
            assert!(why[0].message.contains(said), "{}", why[0].message);
            resolve(&db, call.id, Resolution::Busy).await;
            assert_eq!(db.column(call.id, "last_error").await, "no answer");
        }
    }
}

#[tokio::test]
async fn what_is_known_of_an_earlier_dial_ends_no_later_doubt() {
    let db = TestDb::new().await;
    let earlier = in_doubt(&db, 1).await;
    let resolved = resolve(&db, earlier.id, Resolution::NotPlaced).await;
    assert_eq!(resolved, Resolved::Resolved);
    let later = db.claim(1).await.pop().unwrap();
    assert_eq!((later.id, later.claim_no), (earlier.id, 2));
    assert!(db.calls.doubt(later.reference(), "x").await.unwrap());
    for (claim_no, expected) in [(1, Resolved::Stale), (2, Resolved::Resolved)] {
        let answer = db.calls.resolve(
            later.id,
            Resolution::Busy,
            Some(claim_no),
            "ann",
            "their console says so",
        );
        assert_eq!(answer.await.unwrap().0, expected, "{claim_no}");
    }
}
