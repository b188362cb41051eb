//! `look_up`: providers are asked about unexplained dials (P1, P2).

use std::time::Duration;

use pgdial::{
    domain::{ClaimedCall, Outcome, ReportKind},
    flow::{
        look_up::{Answered, Verdict},
        wake::Wake,
    },
    provider::LookedUp,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    TestDb, each, ended, number,
    processes::{Machine, PATIENCE},
    progress,
};

async fn may_be_asked(how: &str) -> TestDb {
    let db = TestDb::new().await;
    db.sql(&format!("update pgdial.trunks set look_up = '{how}'"))
        .await;
    db
}

/// A dial in doubt.
async fn in_doubt(db: &TestDb, n: usize) -> ClaimedCall {
    let call = db.dialing(&number(n)).await;
    assert!(db.calls.doubt(call.reference(), "no answer").await.unwrap());
    call
}

/// Books the dials to ask about now; returns how many.
async fn due(db: &TestDb) -> usize {
    db.calls
        .look_ups_due(&each(&["default"], 100))
        .await
        .unwrap()
        .len()
}

async fn answer(db: &TestDb, call: &ClaimedCall, answer: LookedUp) -> Answered {
    db.calls
        .look_up(call.reference(), &answer)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_dial_in_doubt_is_asked_about_soon_and_then_less_often() {
    let db = may_be_asked("hint").await;
    in_doubt(&db, 1).await;
    assert_eq!(due(&db).await, 0, "its webhook may be under way");
    db.forward("6 seconds").await;
    assert_eq!(due(&db).await, 1);
    assert_eq!(due(&db).await, 0, "booked: of several workers one asks");
    db.forward("6 seconds").await;
    assert_eq!(due(&db).await, 1);
}

/// The older the doubt, the longer until the next question: half its age, at least 5 s and at most 2 minutes.
#[tokio::test]
async fn the_next_question_waits_in_proportion_to_the_age_of_the_doubt() {
    let db = may_be_asked("hint").await;
    db.stop_clock().await;
    for (n, (age, next)) in [("6 seconds", 5), ("1 minute", 30), ("10 minutes", 120)]
        .into_iter()
        .enumerate()
    {
        let call = in_doubt(&db, n).await;
        db.forward(age).await;
        assert_eq!(due(&db).await, 1, "{age}");
        let until = "extract(epoch from look_up_at - pgdial.now())::int";
        assert_eq!(db.column(call.id, until).await, next.to_string(), "{age}");
        db.sql("update pgdial.calls set look_up_at = pgdial.now() + interval '1 day'")
            .await;
    }
}

/// After half of its longest possible time, but at most 2 minutes and at least 5 s.
#[tokio::test]
async fn an_accepted_call_is_asked_about_in_proportion_to_its_limits() {
    let db = may_be_asked("hint").await;
    for (n, (ring, talk, first)) in [(5, 15, 10), (1, 1, 5), (60, 1800, 120)]
        .into_iter()
        .enumerate()
    {
        db.sql(&format!(
            "update pgdial.campaigns set ring_timeout = '{ring} seconds', max_duration = '{talk} seconds'"
        ))
        .await;
        let call = db.in_call(&number(n)).await;
        db.forward(&format!("{} seconds", first - 1)).await;
        assert_eq!(due(&db).await, 0, "{ring} {talk}");
        db.forward("1 second").await;
        assert_eq!(due(&db).await, 1, "{ring} {talk}");
        answer(&db, &call, LookedUp::Found(ended(Outcome::Answered))).await;
    }
}

/// No wake is sent for a call accepted while the sweep rests.
#[tokio::test]
async fn the_sweep_rests_no_longer_than_a_call_from_now_on_could_wait() {
    let db = may_be_asked("hint").await;
    db.sql("update pgdial.campaigns set ring_timeout = '5 seconds', max_duration = '15 seconds'")
        .await;
    assert_eq!(db.sweep().await.wait, Duration::from_secs(10));
    db.sql("update pgdial.trunks set look_up = 'none'").await;
    assert_eq!(db.sweep().await.wait, Duration::from_secs(30));
}

/// One provider hangs, which does not reduce the questions another may be asked.
#[tokio::test]
async fn each_trunk_has_its_own_questions() {
    let db = may_be_asked("hint").await;
    db.sql("insert into pgdial.trunks (name, look_up) values ('b', 'hint')")
        .await;
    db.campaign("other", json!({ "trunk": "b" })).await;
    let id = db
        .enqueue_as(json!({ "to": number(9), "scriptId": "welcome", "campaign": "other" }))
        .await;
    let claimed = db.calls.claim(Uuid::new_v4(), &["b".to_owned()], 1).await;
    let call = claimed.unwrap().calls.pop().unwrap();
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    for n in 0..5 {
        in_doubt(&db, n).await;
    }
    db.forward("6 seconds").await;
    let due = db.calls.look_ups_due(&each(&["b", "default"], 2)).await;
    let of = |trunk: &str| {
        due.as_ref()
            .unwrap()
            .iter()
            .filter(|dial| dial.trunk == trunk)
            .count()
    };
    assert_eq!((of("default"), of("b")), (2, 1));
    assert_eq!(db.column(id, "look_up_at is not null").await, "true");
}

/// An idle sweep learns of a doubt at once, and so asks 5 s after the claim.
#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_wakes_the_sweep() {
    let db = may_be_asked("hint").await;
    let call = db.dialing(&number(1)).await;
    assert!(db.calls.doubt(call.reference(), "no answer").await.unwrap());
    tokio::time::timeout(PATIENCE, db.calls.woken(Wake::Sweep))
        .await
        .unwrap();
    let wait = db.sweep().await.wait;
    assert!(wait <= Duration::from_secs(5), "{wait:?}");
}

#[tokio::test]
async fn a_trunk_that_cannot_be_asked_is_not() {
    let db = TestDb::new().await;
    in_doubt(&db, 1).await;
    db.forward("5 minutes").await;
    assert_eq!(due(&db).await, 0);
}

#[tokio::test]
async fn what_says_nothing_about_a_dial_changes_nothing() {
    let db = may_be_asked("authoritative").await;
    let call = in_doubt(&db, 1).await;
    for answer in [LookedUp::Unsupported, LookedUp::Inconclusive] {
        for _ in 0..3 {
            db.forward("2 minutes").await;
            let answered = db.calls.look_up(call.reference(), &answer).await;
            assert_eq!(answered.unwrap(), None);
        }
    }
    assert_eq!(db.state(call.id).await, "unresolved");
}

#[tokio::test]
async fn what_the_provider_knows_counts_like_a_webhook() {
    let db = may_be_asked("hint").await;
    let (over, up) = (in_doubt(&db, 1).await, in_doubt(&db, 2).await);
    let found = answer(&db, &over, LookedUp::Found(ended(Outcome::Answered))).await;
    assert_eq!(found.verdict, Verdict::Applied);
    assert_eq!(db.state(over.id).await, "completed");
    let found = answer(&db, &up, LookedUp::Found(progress(ReportKind::Progress))).await;
    assert_eq!((found.verdict, found.hang_up), (Verdict::Applied, false));
    assert_eq!(db.state(up.id).await, "in_call");
}

#[tokio::test]
async fn a_call_whose_webhook_was_lost_is_found_before_its_deadline() {
    let db = may_be_asked("hint").await;
    let call = db.in_call(&number(1)).await;
    db.forward("3 minutes").await;
    assert_eq!(due(&db).await, 1);
    answer(&db, &call, LookedUp::Found(ended(Outcome::Busy))).await;
    assert_eq!(db.story(call.id).await, "waiting active in_call retried");
}

#[tokio::test]
async fn not_found_is_never_believed_of_a_hint() {
    let db = may_be_asked("hint").await;
    let call = in_doubt(&db, 1).await;
    for _ in 0..5 {
        db.forward("1 minute").await;
        assert_eq!(
            answer(&db, &call, LookedUp::NotFound).await.verdict,
            Verdict::NotFound
        );
    }
    assert_eq!(db.state(call.id).await, "unresolved");
}

#[tokio::test]
async fn not_found_is_believed_of_an_authority_at_the_third_time_over_a_window() {
    let db = may_be_asked("authoritative").await;
    let call = in_doubt(&db, 1).await;
    for _ in 0..4 {
        assert_eq!(
            answer(&db, &call, LookedUp::NotFound).await.verdict,
            Verdict::NotFound,
            "within the window"
        );
    }
    db.forward("61 seconds").await;
    assert_eq!(
        answer(&db, &call, LookedUp::NotFound).await.verdict,
        Verdict::NotPlaced
    );
    assert_eq!(db.state(call.id).await, "waiting");
    let again = db.claim(1).await.pop().unwrap();
    assert_eq!(
        (again.id, again.attempt, again.claim_no),
        (call.id, 1, 2),
        "the attempt was not counted"
    );
    assert_eq!(
        answer(&db, &call, LookedUp::NotFound).await.verdict,
        Verdict::Stale
    );
}

/// Questions become rarer, but one is asked exactly at the end of the window, until which the slot is taken.
#[tokio::test]
async fn an_authority_is_asked_when_its_silence_may_first_count() {
    let db = may_be_asked("authoritative").await;
    let call = in_doubt(&db, 1).await;
    db.forward("6 seconds").await;
    assert_eq!(due(&db).await, 1);
    answer(&db, &call, LookedUp::NotFound).await;
    for _ in 0..61 {
        db.forward("1 second").await;
        if due(&db).await > 0 {
            answer(&db, &call, LookedUp::NotFound).await;
        }
    }
    assert_eq!(db.state(call.id).await, "waiting");
}

#[tokio::test]
async fn two_times_over_a_window_are_not_enough() {
    let db = may_be_asked("authoritative").await;
    let call = in_doubt(&db, 1).await;
    answer(&db, &call, LookedUp::NotFound).await;
    db.forward("5 minutes").await;
    assert_eq!(
        answer(&db, &call, LookedUp::NotFound).await.verdict,
        Verdict::NotFound
    );
}

#[tokio::test]
async fn a_dial_that_has_an_id_is_never_taken_for_not_placed() {
    let db = may_be_asked("authoritative").await;
    let call = db.in_call(&number(1)).await;
    for _ in 0..4 {
        db.forward("1 minute").await;
        assert_eq!(
            answer(&db, &call, LookedUp::NotFound).await.verdict,
            Verdict::NotFound
        );
    }
    assert_eq!(db.state(call.id).await, "in_call");
}

#[tokio::test]
async fn past_its_deadline_a_call_is_asked_about_before_it_is_given_up() {
    let db = may_be_asked("hint").await;
    let call = db.in_call(&number(1)).await;
    db.forward("34 minutes").await;
    db.sweep().await;
    assert_eq!(db.state(call.id).await, "in_call");
    assert_eq!(due(&db).await, 1);
    let up = answer(&db, &call, LookedUp::Found(progress(ReportKind::Answered))).await;
    assert!(up.hang_up, "it is up although it should have ended");
    db.forward("31 minutes").await;
    db.sweep().await;
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call overdue answered failed"
    );
}

#[tokio::test]
async fn past_its_deadline_not_found_gives_it_up() {
    let db = may_be_asked("hint").await;
    let call = db.in_call(&number(1)).await;
    db.forward("34 minutes").await;
    db.sweep().await;
    assert_eq!(
        answer(&db, &call, LookedUp::NotFound).await.verdict,
        Verdict::Settled
    );
    assert_eq!(db.text(&format!("select state || ' ' || outcome || ' ' || (hold_until > pgdial.now()) from pgdial.calls where id = '{}'", call.id)).await, "failed unknown true");
}

/// The provider returns 500 although it dialled, and its webhooks are lost: only a look-up by our reference can find
/// the call.
#[tokio::test(flavor = "multi_thread")]
async fn a_dial_with_neither_answer_nor_webhook_is_found_by_its_reference() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("update pgdial.trunks set look_up = 'authoritative'")
        .await;
    let _provider = machine
        .start_provider(&[
            "--ring",
            "50ms",
            "--talk",
            "100ms",
            "--rule",
            "*=error_after_accept,lost",
        ])
        .await;
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("one", &[]).await;
    let id = machine.db.enqueue(&number(1)).await;
    machine.db.calls.send_wakes().await;
    machine.until_all_over().await;
    assert_eq!(machine.db.state(id).await, "completed");
    assert_eq!(machine.rings_begun(), 1);
    machine.judge(30);
}
