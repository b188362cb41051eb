//! What stops or slows a campaign by itself: a goal, a budget, a guard of its answer rate; a ramp.

use pgdial::{
    domain::{ClaimedCall, Outcome, Report},
    flow::groups::{ChangeError, GroupKind},
};
use serde_json::{Value, json};

use crate::support::{TestDb, ended, number};

/// A campaign with these settings and calls.
async fn campaign(changes: Value, calls: usize) -> TestDb {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    let mut all = json!({ "guard": null, "noAnswerBase": "1 day" });
    let fields = all.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    db.campaign("spring", all).await;
    for n in 0..calls {
        let call = json!({ "to": number(n), "scriptId": "s", "campaign": "spring" });
        db.enqueue_as(call).await;
    }
    db
}

/// Dials so many calls, which end so.
async fn dial(db: &TestDb, wanted: usize, outcome: Outcome) -> Vec<ClaimedCall> {
    let calls = db.claim(wanted).await;
    assert_eq!(calls.len(), wanted);
    for call in &calls {
        db.settle(call, outcome).await;
    }
    calls
}

/// The words of its pause after a sweep that judges it; empty if it dials.
async fn judged(db: &TestDb) -> String {
    db.forward("10 seconds").await;
    db.sweep().await;
    paused(db).await
}

async fn paused(db: &TestDb) -> String {
    db.text("select paused_by || ': ' || paused_why from pgdial.campaigns where name = 'spring'")
        .await
}

async fn resume(db: &TestDb) {
    let resumed = db
        .calls
        .resume(GroupKind::Campaign, "spring", "ann", None)
        .await;
    assert!(resumed.unwrap());
}

async fn set(db: &TestDb, changes: Value) -> Result<bool, ChangeError> {
    db.calls
        .set_group(GroupKind::Campaign, "spring", &changes, "ann", None)
        .await
}

#[tokio::test]
async fn a_campaign_that_has_reached_its_goal_pauses_itself() {
    let goal = json!({ "goal": { "outcome": "answered", "count": 2 } });
    let db = campaign(goal, 6).await;
    dial(&db, 1, Outcome::Answered).await;
    dial(&db, 1, Outcome::Voicemail).await;
    assert_eq!(judged(&db).await, "");
    dial(&db, 1, Outcome::Answered).await;
    let words = "pgdial: goal_reached: 2 calls ended as answered; raise the goal to go on";
    assert_eq!(judged(&db).await, words);
    let act = "select by || ' ' || act || ' ' || why from pgdial.acts where kind = 'campaign' order by seq desc limit 1";
    let act = db.text(act).await;
    assert!(
        act.starts_with("pgdial pause goal_reached: 2 calls"),
        "{act}"
    );
    let id = db
        .text("select min(id::text) from pgdial.calls where state = 'waiting'")
        .await;
    let why = db.calls.why(id.parse().unwrap()).await.unwrap().remove(0);
    assert_eq!(why.reason, "campaign_paused");
    assert!(why.message.contains("2 calls ended as answered"), "{why:?}");
}

#[tokio::test]
async fn a_goal_may_be_a_disposition_whenever_it_is_reported() {
    let goal = json!({ "goal": { "disposition": "interested", "count": 2 } });
    let db = campaign(goal.clone(), 5).await;
    let shown = db.calls.campaigns(Some("spring")).await.unwrap().remove(0);
    assert_eq!(serde_json::to_value(&shown.goal).unwrap(), goal["goal"]);
    let said = |word: &str| Report {
        disposition: Some(word.to_owned()),
        ..ended(Outcome::Answered)
    };
    let calls = db.claim(3).await;
    db.event(&calls[0], "1", said("interested")).await;
    db.event(&calls[1], "2", said("not_interested")).await;
    db.event(&calls[2], "3", ended(Outcome::Answered)).await;
    assert_eq!(judged(&db).await, "");
    db.event(&calls[2], "4", said("interested")).await;
    assert_eq!(
        judged(&db).await,
        "pgdial: goal_reached: 2 calls came to interested; raise the goal to go on"
    );
    for bad in [
        json!({ "disposition": "Loud", "count": 1 }),
        json!({ "disposition": "a", "outcome": "answered", "count": 1 }),
        json!({ "count": 1 }),
    ] {
        assert!(set(&db, json!({ "goal": bad })).await.is_err());
    }
}

/// What is reached stays so: nothing is dialled between a resume and the next sweep.
#[tokio::test]
async fn a_resume_does_not_lift_a_goal_that_is_reached() {
    let goal = json!({ "goal": { "outcome": "answered", "count": 1 } });
    let db = campaign(goal, 3).await;
    dial(&db, 1, Outcome::Answered).await;
    let words = judged(&db).await;
    resume(&db).await;
    assert_eq!(paused(&db).await, words);
    assert!(db.claim(1).await.is_empty());
    db.sql("delete from pgdial.calls where state = 'completed'")
        .await;
    resume(&db).await;
    assert_eq!(paused(&db).await, words, "whatever retention removes");
    let higher = json!({ "goal": { "outcome": "answered", "count": 2 } });
    assert!(set(&db, higher).await.unwrap());
    resume(&db).await;
    assert_eq!(paused(&db).await, "");
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn a_campaign_whose_calls_are_answered_too_rarely_pauses_itself() {
    let guard = json!({ "answerGuard": { "last": 10, "answeredBelow": 0.2 } });
    let db = campaign(guard, 60).await;
    dial(&db, 9, Outcome::NoAnswer).await;
    dial(&db, 5, Outcome::ProviderFault).await;
    assert_eq!(judged(&db).await, "", "nine, and five that could not ring");
    db.sql("delete from pgdial.trunk_breaker; delete from pgdial.answers; update pgdial.calls set run_at = 'infinity' where attempt = 1 and state = 'waiting'")
        .await;
    dial(&db, 2, Outcome::Answered).await;
    assert_eq!(judged(&db).await, "", "two of ten are a fifth");
    dial(&db, 9, Outcome::Busy).await;
    assert_eq!(
        judged(&db).await,
        "pgdial: answer_rate: 1 of the latest 10 attempts were answered, fewer than 20 %"
    );
    resume(&db).await;
    db.forward("1 second").await;
    dial(&db, 9, Outcome::NoAnswer).await;
    assert_eq!(judged(&db).await, "", "counted from the resume");
    dial(&db, 1, Outcome::NoAnswer).await;
    assert_ne!(judged(&db).await, "");
}

#[tokio::test]
async fn a_budget_counts_what_platforms_report_even_late() {
    let db = campaign(json!({ "budget": 1.5 }), 9).await;
    let cost = |cost: f64| Report {
        result: json!({ "cost": cost }),
        ..ended(Outcome::Answered)
    };
    dial(&db, 2, Outcome::NoAnswer).await;
    let calls = db.claim(2).await;
    db.event(&calls[0], "1", cost(0.7)).await;
    db.event(&calls[1], "2", ended(Outcome::Answered)).await;
    assert_eq!(judged(&db).await, "");
    db.event(&calls[1], "3", cost(0.9)).await;
    assert_eq!(
        judged(&db).await,
        "pgdial: budget_spent: its calls have cost 1.6 of 1.5, and 2 more attempts came without a cost; raise the budget to go on"
    );
    assert!(set(&db, json!({ "budget": null })).await.unwrap());
    resume(&db).await;
    assert_eq!(paused(&db).await, "");
}

#[tokio::test]
async fn a_ramp_raises_the_cap_step_by_step_and_wakes_for_it() {
    let ramp = json!({ "cap": 5, "ramp": { "from": 1, "step": 3, "every": "10 minutes" } });
    let db = campaign(ramp, 20).await;
    assert_eq!(db.claim(9).await.len(), 1);
    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &["default".to_owned()], 9)
        .await
        .unwrap();
    assert!(claim.calls.is_empty());
    assert!(claim.wait.is_some_and(|wait| wait.as_secs() <= 600));
    let id = db
        .text("select min(id::text) from pgdial.calls where state = 'waiting'")
        .await;
    let why = db.calls.why(id.parse().unwrap()).await.unwrap().remove(0);
    assert_eq!(why.reason, "campaign_full");
    assert!(
        why.message
            .contains("its cap is 1 now, ramping up: the next step is at 20"),
        "{why:?}"
    );
    db.forward("10 minutes").await;
    assert_eq!(db.claim(9).await.len(), 3);
    db.forward("10 minutes").await;
    assert_eq!(db.claim(9).await.len(), 1, "its cap");
    db.calls
        .pause(GroupKind::Campaign, "spring", "ann", "lunch")
        .await
        .unwrap();
    resume(&db).await;
    let room = db.calls.campaigns(Some("spring")).await.unwrap()[0].room;
    assert_eq!(room, Some(0), "begins anew");
}

#[tokio::test]
async fn what_is_set_is_shown_and_what_makes_no_sense_refused() {
    let all = json!({
        "goal": { "outcome": "voicemail", "count": 7 }, "budget": 12.5,
        "answerGuard": { "last": 50, "answeredBelow": 0.05 }, "ramp": { "from": 2, "step": 1, "every": "PT10M" }
    });
    let db = campaign(all.clone(), 0).await;
    let shown = json!(db.calls.campaigns(Some("spring")).await.unwrap()[0]);
    for field in ["goal", "budget", "answerGuard", "ramp"] {
        assert_eq!(shown[field], all[field]);
        assert!(set(&db, json!({ field: null })).await.unwrap());
    }
    for (changes, words) in [
        (
            json!({ "goal": { "outcome": "busy", "count": 1 } }),
            "\"goal\" must be",
        ),
        (
            json!({ "goal": { "outcome": "answered" } }),
            "\"goal\" must be",
        ),
        (json!({ "goal": 5 }), "\"goal\" must be"),
        (
            json!({ "budget": 0 }),
            "\"budget\" must be a number above 0",
        ),
        (
            json!({ "budget": "many" }),
            "\"budget\" must be a number above 0",
        ),
        (
            json!({ "answerGuard": { "last": 5, "answeredBelow": 0.1 } }),
            "from 10 to 1000 attempts",
        ),
        (
            json!({ "answerGuard": { "last": 50, "answeredBelow": 1.1 } }),
            "above 0 and up to 1",
        ),
        (
            json!({ "ramp": { "from": 0, "step": 1, "every": "10 minutes" } }),
            "\"ramp\" must be",
        ),
        (
            json!({ "ramp": { "from": 1, "step": 1, "every": "soon" } }),
            "\"ramp\" must be",
        ),
    ] {
        let Err(ChangeError::Refused(said)) = set(&db, changes.clone()).await else {
            panic!("taken: {changes}")
        };
        assert!(said.contains(words), "{said}");
    }
}
