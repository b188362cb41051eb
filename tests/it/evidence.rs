//! The rule of evidence: a refusal is about its own call until several numbers were refused (P7), and a campaign
//! guards itself.

use pgdial::{
    domain::{ClaimedCall, Concerns, Outcome, ReportKind, Resolution},
    flow::{
        defer::{DeferReason, Deferred},
        groups::GroupKind,
        settle::Settled,
    },
    provider::LookedUp,
};
use serde_json::json;

use crate::support::{TestDb, ended, number, progress, run};

const REFUSED: &str = "HTTP 400: BAD_REQUEST: scriptId must be a UUID";

/// A database with guarded campaigns.
async fn guarded() -> TestDb {
    let db = TestDb::new().await;
    db.sql("update pgdial.campaigns set guard = 10; alter table pgdial.campaigns alter column guard set default 10")
        .await;
    db
}

async fn enqueue(db: &TestDb, numbers: std::ops::Range<usize>, fields: serde_json::Value) {
    for n in numbers {
        let mut request = json!({ "to": number(n), "scriptId": "good" });
        request
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        db.enqueue_as(request).await;
    }
}

async fn forbid(db: &TestDb, call: &ClaimedCall) -> Deferred {
    let reason = DeferReason::Forbidden;
    db.calls
        .defer(call.reference(), reason, None, "HTTP 403: D35")
        .await
        .unwrap()
}

async fn full(db: &TestDb, call: &ClaimedCall) {
    put_back(db, call, DeferReason::Capacity).await;
}

async fn put_back(db: &TestDb, call: &ClaimedCall, reason: DeferReason) {
    db.calls
        .defer(call.reference(), reason, Some(60), "HTTP 429")
        .await
        .unwrap();
}

async fn accept(db: &TestDb, call: &ClaimedCall) {
    let id = format!("p-{}", call.id);
    assert!(
        db.calls
            .dialed(call.reference(), &id)
            .await
            .unwrap()
            .in_call
    );
}

async fn refuse(db: &TestDb, call: &ClaimedCall, why: &str) -> Settled {
    db.calls
        .settle(call.reference(), Outcome::Blocked, why)
        .await
        .unwrap()
}

async fn paused(db: &TestDb) -> String {
    db.text(
        "select coalesce(string_agg(n, ' ' order by n), 'nobody') from (\
         select 'trunk ' || name as n from pgdial.trunks where paused union all \
         select name from pgdial.campaigns where paused) t",
    )
    .await
}

fn scripts(calls: &[ClaimedCall]) -> Vec<&str> {
    calls.iter().map(|call| call.script_id.as_str()).collect()
}

#[tokio::test]
async fn one_forbidden_number_waits_longer_each_time_and_fails_and_pauses_nobody() {
    let db = guarded().await;
    db.stop_clock().await;
    let id = db.enqueue(&number(1)).await;
    // Neither this call put back for another reason nor another call put back as forbidden counts.
    let call = db.claim(1).await.pop().unwrap();
    let late = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "");
    assert_eq!(late.await.unwrap(), Deferred::Deferred);
    let other = db.dialing(&number(2)).await;
    assert_eq!(forbid(&db, &other).await, Deferred::Deferred);
    db.calls.cancel(other.id, "ann", None).await.unwrap();
    db.forward("5 seconds").await;
    for wait in [5, 10, 20, 40, 80] {
        let call = db.claim(1).await.pop().unwrap();
        assert_eq!(forbid(&db, &call).await, Deferred::Deferred);
        let told = "(state, attempt, outcome, round(extract(epoch from run_at - pgdial.now())))";
        assert_eq!(
            db.column(id, told).await,
            format!("(waiting,0,account,{wait})")
        );
        db.forward("90 seconds").await;
    }
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(forbid(&db, &call).await, Deferred::Failed);
    assert_eq!(
        db.column(id, "(outcome, last_error)").await,
        "(account,\"HTTP 403: D35\")"
    );
    assert_eq!(paused(&db).await, "nobody");
}

#[tokio::test]
async fn three_forbidden_numbers_in_a_row_pause_the_trunk_and_are_named() {
    let db = guarded().await;
    enqueue(&db, 0..4, json!({})).await;
    let calls = db.claim(3).await;
    for call in &calls {
        assert_eq!(paused(&db).await, "nobody");
        forbid(&db, call).await;
    }
    assert_eq!(paused(&db).await, "trunk default");
    let why = db.text("select paused_why from pgdial.trunks").await;
    assert!(
        why.starts_with("the provider refuses the account: HTTP 403: D35; calls "),
        "{why}"
    );
    let audit = db
        .text("select detail ->> 'calls' from pgdial.acts where act = 'pause' and kind = 'trunk'")
        .await;
    for call in &calls {
        assert!(why.contains(&call.id.to_string()), "{why}");
        assert!(audit.contains(&call.id.to_string()), "{audit}");
    }
    // What was refused before a person resumes the trunk no longer counts.
    db.calls
        .resume(GroupKind::Trunk, "default", "tester", None)
        .await
        .unwrap();
    db.forward("10 seconds").await;
    forbid(&db, &db.claim(1).await[0]).await;
    assert_eq!(paused(&db).await, "nobody");
}

#[tokio::test]
async fn an_acceptance_ends_the_run() {
    let db = guarded().await;
    enqueue(&db, 0..9, json!({})).await;
    for _ in 0..2 {
        let calls = db.claim(3).await;
        forbid(&db, &calls[0]).await;
        forbid(&db, &calls[1]).await;
        accept(&db, &calls[2]).await;
    }
    assert_eq!(paused(&db).await, "nobody");
}

/// It was accepted before the refusals, so its end is not an acceptance after them.
#[tokio::test]
async fn the_end_of_a_call_that_was_accepted_before_ends_no_run() {
    for asked in [false, true] {
        let db = guarded().await;
        enqueue(&db, 0..4, json!({})).await;
        let talks = db.claim(1).await.pop().unwrap();
        accept(&db, &talks).await;
        let others = db.claim(3).await;
        forbid(&db, &others[0]).await;
        forbid(&db, &others[1]).await;
        if asked {
            let found = LookedUp::Found(ended(Outcome::Busy));
            db.calls.look_up(talks.reference(), &found).await.unwrap();
        } else {
            db.event(&talks, "1", ended(Outcome::Busy)).await;
        }
        assert_eq!(db.state(talks.id).await, "waiting");
        forbid(&db, &others[2]).await;
        assert_eq!(paused(&db).await, "trunk default", "asked: {asked}");
    }
}

#[tokio::test]
async fn an_account_that_a_webhook_reports_needs_three_numbers_too() {
    let db = guarded().await;
    enqueue(&db, 0..3, json!({})).await;
    // Accepted one by one, and reported one by one: an acceptance that is taken back does not count.
    for n in 0..3 {
        assert_eq!(paused(&db).await, "nobody");
        let call = db.claim(1).await.pop().unwrap();
        accept(&db, &call).await;
        db.event(&call, &format!("e{n}"), ended(Outcome::Account))
            .await;
    }
    assert_eq!(paused(&db).await, "trunk default");
}

#[tokio::test]
async fn a_campaign_that_is_forbidden_while_others_are_accepted_pauses_alone() {
    let db = guarded().await;
    db.campaign("bad", json!({})).await;
    enqueue(
        &db,
        0..4,
        json!({ "campaign": "bad", "scriptId": "bad", "priority": 9 }),
    )
    .await;
    enqueue(&db, 10..14, json!({})).await;
    let calls = db.claim(8).await;
    for call in calls.iter().filter(|call| call.campaign == "bad").take(2) {
        forbid(&db, call).await;
    }
    accept(
        &db,
        calls
            .iter()
            .find(|call| call.campaign == "default")
            .unwrap(),
    )
    .await;
    assert_eq!(paused(&db).await, "nobody");
    forbid(
        &db,
        calls
            .iter()
            .filter(|call| call.campaign == "bad")
            .nth(2)
            .unwrap(),
    )
    .await;
    assert_eq!(paused(&db).await, "bad");
    let why = db
        .text("select paused_why from pgdial.campaigns where name = 'bad'")
        .await;
    assert!(why.contains("HTTP 403: D35 (script bad); calls "), "{why}");
}

#[tokio::test]
async fn while_others_are_due_they_are_tried_before_the_trunk_is_paused() {
    let db = guarded().await;
    let from = json!({ "from": "+14155559999", "priority": 9 });
    enqueue(&db, 0..6, from).await;
    enqueue(&db, 10..16, json!({})).await;
    for call in db.claim(4).await {
        assert!(call.from_number.is_some());
        forbid(&db, &call).await;
    }
    assert_eq!(paused(&db).await, "nobody");
    let others = db.claim(6).await;
    assert_eq!(others.len(), 6);
    assert!(others.iter().all(|call| call.from_number.is_none()));
    // They are refused too, so it is the account after all.
    forbid(&db, &others[0]).await;
    forbid(&db, &others[1]).await;
    assert_eq!(paused(&db).await, "trunk default");
}

#[tokio::test]
async fn one_number_without_room_holds_off_nobody_and_three_do() {
    let db = guarded().await;
    db.stop_clock().await;
    // Another account, that failed once.
    db.sql("insert into pgdial.trunks (name) values ('other'); insert into pgdial.trunk_breaker (trunk, faults) values ('other', 1)")
        .await;
    enqueue(&db, 0..6, json!({})).await;
    let calls = db.claim(3).await;
    full(&db, &calls[0]).await;
    let next = db.claim(1).await;
    assert_eq!(next.len(), 1, "the trunk goes on");
    full(&db, &calls[1]).await;
    full(&db, &calls[2]).await;
    assert!(db.claim(6).await.is_empty());
    let until = "select string_agg(trunk || ' ' || round(extract(epoch from not_before - pgdial.now())), ' ') \
                 from pgdial.trunk_breaker where not_before is not null";
    assert_eq!(db.text(until).await, "default 60");
    assert_eq!(paused(&db).await, "nobody");
}

#[tokio::test]
async fn limits_of_numbers_hold_off_those_numbers_alone() {
    let db = guarded().await;
    db.stop_clock().await;
    enqueue(&db, 0..6, json!({})).await;
    for call in &db.claim(4).await {
        put_back(&db, call, DeferReason::NumberLimit).await;
    }
    assert_eq!(db.claim(6).await.len(), 2, "the others go on");
    db.forward("59 seconds").await;
    assert!(db.claim(6).await.is_empty());
    db.forward("1 second").await;
    assert_eq!(db.claim(6).await.len(), 4);
    assert_eq!(paused(&db).await, "nobody");
}

#[tokio::test]
async fn a_script_without_room_holds_off_no_other() {
    let db = guarded().await;
    enqueue(&db, 0..5, json!({ "scriptId": "bad", "priority": 9 })).await;
    enqueue(&db, 10..15, json!({})).await;
    for call in db.claim(4).await {
        full(&db, &call).await;
    }
    let others = db.claim(5).await;
    assert_eq!(scripts(&others), ["good"; 5]);
}

#[tokio::test]
async fn one_number_that_fails_opens_no_breaker() {
    let db = guarded().await;
    for n in 0..8 {
        db.enqueue(&number(n % 2)).await;
        let call = db.claim(1).await.pop().unwrap();
        let fault = Outcome::ProviderFault;
        let ended = db
            .calls
            .settle(call.reference(), fault, "no connection")
            .await;
        assert_ne!(ended.unwrap(), Settled::Deferred);
        db.calls.cancel(call.id, "tester", None).await.unwrap();
    }
    assert_eq!(
        db.text("select opened_at is null from pgdial.trunk_breaker")
            .await,
        "true"
    );
}

/// A7: bad calls at the head of the line, in the same campaign.
#[tokio::test]
async fn a_script_that_breaks_the_provider_stops_no_other() {
    let db = guarded().await;
    enqueue(&db, 0..40, json!({ "scriptId": "bad", "priority": 9 })).await;
    enqueue(&db, 100..130, json!({})).await;
    let first = db.claim(30).await;
    assert_eq!(
        scripts(&first),
        ["bad"; 10],
        "none was accepted: it is on trial"
    );
    for call in &first {
        db.calls.doubt(call.reference(), "HTTP 500").await.unwrap();
    }
    assert_eq!(paused(&db).await, "nobody", "nobody else was accepted yet");
    let others = db.claim(1).await;
    assert_eq!(scripts(&others), ["good"]);
    accept(&db, &others[0]).await;
    // However many others are accepted, the bad script is not forgotten.
    for _ in 0..5 {
        for call in db.claim(5).await {
            assert_eq!(call.script_id, "good");
            accept(&db, &call).await;
            db.event(&call, "end", ended(Outcome::Answered)).await;
        }
    }
    let rest = db.claim(30).await;
    assert_eq!(
        scripts(&rest),
        ["bad", "good", "good", "good", "good"],
        "one of them, when there is room beside the others"
    );
    accept(&db, &rest[1]).await;
    assert!(
        db.claim(30).await.is_empty(),
        "and none while it is on its way"
    );
}

#[tokio::test]
async fn an_open_breaker_is_probed_by_another_call_each_time() {
    let db = guarded().await;
    enqueue(&db, 0..6, json!({ "priority": 9 })).await;
    db.campaign("other", json!({})).await;
    enqueue(&db, 20..23, json!({ "campaign": "other" })).await;
    let fault = async |call: &ClaimedCall| {
        let settled = db
            .calls
            .settle(call.reference(), Outcome::ProviderFault, "down");
        settled.await.unwrap()
    };
    // Four of one campaign say nothing about the trunk, because others are due; once those fail too, the breaker
    // opens.
    let mut opened = Settled::Retried;
    for call in db.claim(9).await {
        opened = fault(&call).await;
    }
    assert_eq!(opened, Settled::Deferred);
    enqueue(&db, 30..32, json!({})).await;
    let mut probed = Vec::new();
    for _ in 0..2 {
        db.forward("61 seconds").await;
        let probe = db.claim(5).await;
        assert_eq!(probe.len(), 1);
        probed.push(probe[0].phone.as_e164().to_owned());
        fault(&probe[0]).await;
    }
    probed.sort();
    assert_eq!(
        probed,
        [number(30), number(31)],
        "those that were not tried, at a lower priority"
    );
    db.forward("61 seconds").await;
    assert_eq!(db.claim(5).await.len(), 1, "and when all were, any");
}

#[tokio::test]
async fn a_wrong_script_costs_ten_leads_and_pauses_its_campaign_alone() {
    let db = guarded().await;
    db.campaign("spring", json!({})).await;
    enqueue(
        &db,
        0..40,
        json!({ "campaign": "spring", "scriptId": "bad" }),
    )
    .await;
    enqueue(&db, 50..52, json!({})).await;
    let mut dialled = 0;
    for _ in 0..6 {
        let calls = db.claim(15).await;
        for call in &calls {
            if call.campaign == "spring" {
                dialled += 1;
                refuse(&db, call, REFUSED).await;
            } else {
                accept(&db, call).await;
            }
        }
    }
    assert_eq!(dialled, 10);
    assert_eq!(paused(&db).await, "spring");
    let why = db
        .text("select paused_by || ': ' || paused_why from pgdial.campaigns where name = 'spring'")
        .await;
    let expected =
        format!("pgdial: 10 of its latest 10 dials were refused: {REFUSED} (script bad); calls ");
    assert!(why.starts_with(&expected), "{why}");
    // Resumed without being fixed, it costs as many calls again.
    db.calls
        .resume(GroupKind::Campaign, "spring", "tester", None)
        .await
        .unwrap();
    let again = db.claim(30).await;
    assert_eq!(again.len(), 10);
    for call in &again {
        refuse(&db, call, REFUSED).await;
    }
    assert_eq!(paused(&db).await, "spring");
}

#[tokio::test]
async fn more_than_half_of_the_latest_dials_pause_a_campaign_that_had_worked() {
    let db = guarded().await;
    enqueue(&db, 0..30, json!({})).await;
    for call in db.claim(3).await {
        accept(&db, &call).await;
    }
    // Two of three are refused, each time with words that name another request.
    for n in 0..27 {
        let Some(call) = db.claim(1).await.pop() else {
            break;
        };
        if n % 3 == 2 {
            accept(&db, &call).await;
        } else {
            refuse(
                &db,
                &call,
                &format!("HTTP 400: no such agent (request r-{n}0f)"),
            )
            .await;
        }
    }
    assert_eq!(paused(&db).await, "default");
    let refused = "select count(*) from pgdial.calls where state = 'failed'";
    assert_eq!(db.number(refused).await, 11);
}

#[tokio::test]
async fn what_numbers_do_says_nothing_about_their_campaign() {
    let db = guarded().await;
    enqueue(&db, 0..30, json!({})).await;
    for n in 0..30 {
        let call = db.claim(1).await.pop().unwrap();
        let (outcome, concerns) = match n % 3 {
            0 => (Outcome::InvalidNumber, Concerns::Number),
            1 => (Outcome::Blocked, Concerns::Number),
            _ => (Outcome::Busy, Concerns::Request),
        };
        let why = "HTTP 422: said so";
        let settled = db
            .calls
            .settle_refusal(call.reference(), outcome, concerns, why);
        settled.await.unwrap();
    }
    assert_eq!(paused(&db).await, "nobody");
}

/// The pause says what the provider refuses, where the refusals say so.
#[tokio::test]
async fn a_pause_says_what_the_refusals_concern() {
    let from = number(900);
    for (concerns, request, words) in [
        (
            Concerns::Script,
            json!({ "from": from }),
            "the provider refuses script good: 10 of",
        ),
        (
            Concerns::CallerId,
            json!({ "from": from }),
            "the provider refuses to call from +141***00: 10 of",
        ),
        (
            Concerns::CallerId,
            json!({}),
            "the provider refuses to call from the trunk's own number: 10 of",
        ),
        (
            Concerns::Request,
            json!({ "from": from }),
            "10 of its latest 10 dials were refused: no (script good)",
        ),
    ] {
        let db = guarded().await;
        enqueue(&db, 0..10, request).await;
        for _ in 0..10 {
            let call = db.claim(1).await.pop().unwrap();
            let settled =
                db.calls
                    .settle_refusal(call.reference(), Outcome::Blocked, concerns, "no");
            settled.await.unwrap();
        }
        let why = db
            .text("select paused_why from pgdial.campaigns where name = 'default'")
            .await;
        assert!(why.starts_with(words), "{concerns:?}: {why}");
    }
}

/// An outage of the provider is no campaign's fault.
#[tokio::test]
async fn an_outage_pauses_no_campaign_and_a_script_that_breaks_the_provider_does() {
    let db = guarded().await;
    db.campaign("other", json!({})).await;
    enqueue(&db, 0..20, json!({})).await;
    enqueue(&db, 30..50, json!({ "campaign": "other" })).await;
    for call in db.claim(2).await {
        accept(&db, &call).await;
    }
    let calls = db.claim(28).await;
    for (n, call) in calls.iter().enumerate() {
        if n == 1 {
            accept(&db, call).await; // on its way when the outage began
        } else {
            let fault = Outcome::ProviderFault;
            db.calls
                .settle(call.reference(), fault, "no connection")
                .await
                .unwrap();
        }
    }
    assert_eq!(paused(&db).await, "nobody");
    let open = "select opened_at is not null from pgdial.trunk_breaker";
    assert_eq!(db.text(open).await, "true");

    // The same faults for one script, while others are still accepted.
    let db = guarded().await;
    enqueue(&db, 0..12, json!({ "scriptId": "bad" })).await;
    db.campaign("other", json!({})).await;
    for n in 0..11 {
        let id = db
            .enqueue_as(json!({ "to": number(100 + n), "scriptId": "good", "campaign": "other" }))
            .await;
        for call in db.claim(2).await {
            if call.id == id {
                accept(&db, &call).await;
            } else {
                db.calls.doubt(call.reference(), "HTTP 500").await.unwrap();
            }
        }
    }
    assert_eq!(paused(&db).await, "default");
    let why = db
        .text("select paused_why from pgdial.campaigns where name = 'default'")
        .await;
    assert!(why.contains("dials failed: HTTP 500"), "{why}");
}

/// A doubt is a failure of the provider: nobody has refused anything, whatever a person says came of it.
#[tokio::test]
async fn doubts_are_told_as_failures_and_those_that_were_placed_count_no_more() {
    let db = guarded().await;
    enqueue(&db, 0..5, json!({})).await;
    let calls = db.claim(4).await;
    for call in &calls {
        db.calls.doubt(call.reference(), "HTTP 500").await.unwrap();
    }
    let waiting = "select id from pgdial.calls where state = 'waiting'";
    let waiting = db.text(waiting).await.parse().unwrap();
    let suspect = async || {
        let why = db.calls.why(waiting).await.unwrap();
        let suspect = why.into_iter().find(|one| one.reason == "suspect");
        suspect.map(|one| one.message)
    };
    let said = suspect().await.unwrap();
    assert!(
        said.contains("script good failed for several numbers"),
        "{said}"
    );
    let campaigns = db.calls.campaigns(Some("default")).await.unwrap();
    let told = campaigns[0].reasons.iter();
    let told: Vec<_> = told.filter(|one| one.reason == "suspect").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].message, said, "its campaign says so too");
    for (call, known) in calls.iter().zip([
        Resolution::Unknown,
        Resolution::NotPlaced,
        Resolution::NoAnswer,
    ]) {
        let resolved = db
            .calls
            .resolve(call.id, known, None, "ann", "the console says so");
        resolved.await.unwrap();
        assert!(suspect().await.is_some(), "{known:?}");
    }
    let placed = db.calls.resolve(
        calls[3].id,
        Resolution::Busy,
        None,
        "ann",
        "the console says so",
    );
    placed.await.unwrap();
    assert_eq!(suspect().await, None);
}

#[tokio::test]
async fn different_reasons_and_a_campaign_without_a_guard_pause_nothing() {
    let db = guarded().await;
    db.campaign("bold", json!({ "guard": null })).await;
    enqueue(&db, 0..12, json!({})).await;
    enqueue(&db, 20..40, json!({ "campaign": "bold" })).await;
    let mut unlike = 0;
    for _ in 0..40 {
        for call in db.claim(1).await {
            let why = if call.campaign == "bold" {
                REFUSED.to_owned()
            } else {
                unlike += 1;
                format!("HTTP {}: no", 400 + unlike)
            };
            refuse(&db, &call, &why).await;
        }
    }
    assert_eq!(unlike, 12);
    assert_eq!(paused(&db).await, "nobody");
    let left = "select count(*) from pgdial.calls where state = 'waiting'";
    assert_eq!(db.number(left).await, 0);
}

#[tokio::test]
async fn the_first_acceptance_ends_the_trial_and_says_so() {
    let db = guarded().await;
    db.worker(&["default"]).await;
    enqueue(&db, 0..40, json!({})).await;
    let first = db.claim(30).await;
    assert_eq!(first.len(), 10);
    let waiting = db.enqueue(&number(99)).await;
    let why = db.calls.why(waiting).await.unwrap();
    assert_eq!(why[0].reason, "on_trial", "{why:?}");
    let freed = format!(
        "select detail ->> 'freed' from pgdial.dialed('[{{\"id\": \"{}\", \"claim_no\": 1, \"provider_call_id\": \"p\"}}]')",
        first[0].id
    );
    assert_eq!(db.text(&freed).await, "true");
    assert_eq!(db.claim(30).await.len(), 20);
    // A minute later they no longer count.
    for call in &first[1..] {
        db.calls.cancel(call.id, "tester", None).await.unwrap();
        refuse(&db, call, REFUSED).await;
    }
    db.sql("delete from pgdial.answers; update pgdial.trunks set slots = 100")
        .await;
    db.forward("31 seconds").await;
    enqueue(&db, 100..140, json!({})).await;
    let dialing = db
        .number("select count(*) from pgdial.calls where state = 'dialing'")
        .await;
    assert_eq!(dialing, 20);
    assert!(
        db.claim(30).await.is_empty(),
        "more than ten are on their way"
    );
}

/// A webhook that arrives before the response to its dial also proves that the call was accepted.
#[tokio::test]
async fn a_report_that_comes_before_the_answer_ends_the_trial_too() {
    for report in [progress(ReportKind::Progress), ended(Outcome::Busy)] {
        let db = guarded().await;
        enqueue(&db, 0..40, json!({})).await;
        let first = db.claim(30).await;
        assert_eq!(first.len(), 10);
        db.event(&first[0], "e", report).await;
        assert!(db.claim(30).await.len() >= 20);
    }
}

#[tokio::test]
async fn a_person_at_the_rows_holds_up_no_answer_and_the_next_one_pauses() {
    let db = guarded().await;
    enqueue(&db, 0..30, json!({})).await;
    let calls = db.claim(10).await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; select from pgdial.campaigns for update; select from pgdial.trunks for update",
    )
    .await
    .unwrap();
    for call in &calls {
        refuse(&db, call, REFUSED).await;
    }
    assert_eq!(paused(&db).await, "nobody");
    run(&mut person, "commit").await.unwrap();
    refuse(&db, &db.claim(5).await[0], REFUSED).await;
    assert_eq!(paused(&db).await, "default");
}

/// A14: no value of a provider makes a verb fail.
#[tokio::test]
async fn any_time_to_wait_puts_the_call_back() {
    let db = guarded().await;
    for (wait, expected) in [
        ("3000000000", "300"),
        ("1e300", "300"),
        ("90.5", "91"),
        ("-5", "1"),
        ("\"soon\"", "1"),
        ("null", "1"),
    ] {
        let id = db.enqueue(&number(1)).await;
        let call = db.claim(1).await.pop().unwrap();
        let item = format!(
            "[{{\"id\": \"{id}\", \"claim_no\": {}, \"reason\": \"capacity\", \"retry_after_sec\": {wait}}}]",
            call.claim_no
        );
        let verdict = format!("select verdict from pgdial.defer('{item}')");
        assert_eq!(db.text(&verdict).await, "deferred", "{wait}");
        let waits = db
            .column(id, "ceil(extract(epoch from run_at - pgdial.now()))")
            .await;
        assert_eq!(waits, expected, "{wait}");
        db.calls.cancel(id, "tester", None).await.unwrap();
    }
}
