//! defer, `give_back`: in flight → waiting, without counting the attempt (P1, P6).

use pgdial::{
    domain::{ClaimedCall, Outcome, ReportKind},
    flow::defer::{DeferReason, Deferred},
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestDb, ended, number, progress, run};

async fn defer(db: &TestDb, call: &ClaimedCall, reason: DeferReason) -> Deferred {
    db.calls
        .defer(call.reference(), reason, None, "said so")
        .await
        .unwrap()
}

#[tokio::test]
async fn a_deferred_call_waits_with_its_attempt_unused() {
    let db = TestDb::new().await;
    // `late` waits a little, so that a wrong clock does not make us dial in a loop.
    db.stop_clock().await;
    for (n, (reason, due)) in [(DeferReason::Late, 5), (DeferReason::Shutdown, 0)]
        .into_iter()
        .enumerate()
    {
        let call = db.dialing(&number(n)).await;
        assert_eq!(defer(&db, &call, reason).await, Deferred::Deferred);
        let facts = "(state, attempt, deferrals, claim_no, outcome, round(extract(epoch from run_at - pgdial.now())))";
        let expected = format!("(waiting,0,0,1,,{due})");
        assert_eq!(db.column(call.id, facts).await, expected);
        assert_eq!(db.story(call.id).await, "waiting active deferred");
        db.calls.cancel(call.id, "tester", None).await.unwrap();
    }
}

#[tokio::test]
async fn without_capacity_it_waits_longer_each_time_and_fails_after_twenty() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let id = db.enqueue(&number(1)).await;
    for n in 0..20 {
        let call = db.claim(1).await.pop().unwrap();
        assert_eq!(
            defer(&db, &call, DeferReason::Capacity).await,
            Deferred::Deferred
        );
        let wait = "round(extract(epoch from run_at - pgdial.now()))";
        let expected = 300.min(1 << n.min(10));
        assert_eq!(db.column(id, wait).await, expected.to_string(), "{n}");
        db.forward("5 minutes").await;
    }
    assert_eq!(
        db.column(id, "(attempt, deferrals, outcome)").await,
        "(0,20,capacity)"
    );
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(
        defer(&db, &call, DeferReason::Capacity).await,
        Deferred::Failed
    );
    assert_eq!(db.column(id, "(state, outcome)").await, "(failed,capacity)");
}

#[tokio::test]
async fn the_providers_wish_to_wait_is_kept_up_to_five_minutes() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    for (n, (asked, waits)) in [(90, 90), (3600, 300), (0, 1)].into_iter().enumerate() {
        let call = db.dialing(&number(n)).await;
        db.calls
            .defer(call.reference(), DeferReason::Capacity, Some(asked), "")
            .await
            .unwrap();
        let wait = "round(extract(epoch from run_at - pgdial.now()))";
        assert_eq!(db.column(call.id, wait).await, waits.to_string(), "{asked}");
        db.let_trunks_dial().await;
    }
}

#[tokio::test]
async fn a_refused_account_pauses_its_trunk_and_says_why() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    db.enqueue(&number(2)).await;
    assert_eq!(
        db.calls
            .defer(call.reference(), DeferReason::Account, None, "402 no money")
            .await
            .unwrap(),
        Deferred::Deferred
    );
    let pause = db
        .text("select (paused, paused_by, paused_why, paused_at is not null) from pgdial.trunks")
        .await;
    let calls = format!("; calls {}", call.id);
    assert_eq!(
        pause,
        format!("(t,pgdial,\"the provider refuses the account: 402 no money{calls}\",t)")
    );
    assert_eq!(
        db.column(call.id, "(state, attempt, outcome)").await,
        "(waiting,0,account)"
    );
    assert!(db.claim(5).await.is_empty());
}

#[tokio::test]
async fn a_call_that_somebody_wishes_ended_is_canceled_instead() {
    let db = TestDb::new().await;
    for (n, reason) in [
        DeferReason::Capacity,
        DeferReason::Forbidden,
        DeferReason::Late,
        DeferReason::Shutdown,
        DeferReason::Account,
    ]
    .into_iter()
    .enumerate()
    {
        let call = db.dialing(&number(n)).await;
        db.calls.cancel(call.id, "tester", None).await.unwrap();
        assert_eq!(defer(&db, &call, reason).await, Deferred::Canceled);
        assert_eq!(db.state(call.id).await, "canceled");
    }
}

#[tokio::test]
async fn a_call_that_was_answered_or_has_moved_on_is_not_put_back() {
    let db = TestDb::new().await;
    let up = db.in_call(&number(1)).await;
    db.event(&up, "up", progress(ReportKind::Answered)).await;
    assert_eq!(defer(&db, &up, DeferReason::Late).await, Deferred::Stale);
    assert_eq!(db.state(up.id).await, "in_call");

    let first = db.dialing(&number(2)).await;
    db.settle(&first, Outcome::Busy).await;
    db.forward("20 minutes").await;
    let second = db.claim(1).await.pop().unwrap();
    assert_eq!(defer(&db, &first, DeferReason::Late).await, Deferred::Stale);
    assert_eq!(
        db.column(second.id, "(state, claim_no, attempt)").await,
        "(dialing,2,2)"
    );
}

#[tokio::test]
async fn a_capacity_report_of_the_provider_uses_up_no_attempt() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "e", ended(Outcome::Capacity)).await;
    let facts = "(state, attempt, deferrals, provider_call_id is null)";
    assert_eq!(db.column(call.id, facts).await, "(waiting,0,1,t)");
}

#[tokio::test]
async fn exactly_what_a_worker_never_received_is_given_back() {
    let db = TestDb::new().await;
    let worker = Uuid::new_v4();
    for n in 0..5 {
        db.enqueue(&number(n)).await;
    }
    let trunks = ["default".to_owned()];
    let mine = db.calls.claim(worker, &trunks, 3).await.unwrap().calls;
    let others = db.claim(2).await;
    db.calls.dialed(mine[2].reference(), "p").await.unwrap();
    let held = [mine[0].reference()];
    assert!(db.calls.give_back(worker, &held).await.unwrap());
    assert_eq!(db.state(mine[0].id).await, "dialing", "held");
    assert_eq!(
        db.column(mine[1].id, "(state, attempt)").await,
        "(waiting,0)"
    );
    assert_eq!(db.state(mine[2].id).await, "in_call", "past its dial");
    for other in others {
        assert_eq!(db.state(other.id).await, "dialing", "of another worker");
    }
    assert_eq!(
        db.detail(mine[1].id, "deferred").await["reason"],
        json!("give_back")
    );
    let story = db.story(mine[0].id).await;
    assert!(db.calls.give_back(worker, &held).await.unwrap());
    assert_eq!(db.story(mine[0].id).await, story, "held still");
    assert_eq!(db.state(mine[2].id).await, "in_call");
}

#[tokio::test]
async fn holding_an_earlier_claim_does_not_keep_a_later_one() {
    let db = TestDb::new().await;
    let worker = Uuid::new_v4();
    let trunks = ["default".to_owned()];
    db.enqueue(&number(1)).await;
    let first = db.calls.claim(worker, &trunks, 1).await.unwrap().calls;
    defer(&db, &first[0], DeferReason::Shutdown).await;
    let second = db.calls.claim(worker, &trunks, 1).await.unwrap().calls;
    let held = [first[0].reference()];
    assert!(db.calls.give_back(worker, &held).await.unwrap());
    assert_eq!(db.state(second[0].id).await, "waiting");
}

#[tokio::test]
async fn what_somebody_holds_is_given_back_at_the_next_try() {
    let db = TestDb::new().await;
    let worker = Uuid::new_v4();
    let trunks = ["default".to_owned()];
    for n in 0..2 {
        db.enqueue(&number(n)).await;
    }
    let lost = db.calls.claim(worker, &trunks, 2).await.unwrap().calls;
    let mut person = db.session().await;
    let lock = format!(
        "begin; select from pgdial.calls where id = '{}' for update",
        lost[0].id
    );
    run(&mut person, &lock).await.unwrap();
    assert!(!db.calls.give_back(worker, &[]).await.unwrap());
    assert_eq!(
        db.state(lost[1].id).await,
        "waiting",
        "the other is not held up"
    );
    run(&mut person, "commit").await.unwrap();
    assert!(db.calls.give_back(worker, &[]).await.unwrap());
    assert_eq!(db.state(lost[0].id).await, "waiting");
}

#[tokio::test]
async fn what_is_past_its_lease_belongs_to_the_sweep() {
    let db = TestDb::new().await;
    let worker = Uuid::new_v4();
    let trunks = ["default".to_owned()];
    db.enqueue(&number(1)).await;
    let old = db.calls.claim(worker, &trunks, 1).await.unwrap().calls;
    db.forward("61 seconds").await;
    assert!(db.calls.give_back(worker, &[]).await.unwrap());
    assert_eq!(
        db.state(old[0].id).await,
        "dialing",
        "its dial may have been sent"
    );
}

#[tokio::test]
async fn a_number_that_joined_the_list_meanwhile_does_not_go_back() {
    let db = TestDb::new().await;
    let call = db.dialing(&number(1)).await;
    let other = db.dialing(&number(2)).await;
    let phone = number(1).parse().unwrap();
    db.calls.do_not_call_add(&phone, "ann", "no").await.unwrap();
    assert_eq!(
        defer(&db, &call, DeferReason::Capacity).await,
        Deferred::Suppressed
    );
    assert_eq!(
        db.column(call.id, "(state, attempt, ended_at is not null)")
            .await,
        "(suppressed,0,t)"
    );
    assert_eq!(db.state(other.id).await, "dialing");
}
