//! `claim_with`: what a worker that rests does with the requests to its own process, and with the ends of dials. They are
//! recorded whatever becomes of the claim, and a lost reply rings nobody twice and loses nobody.

use std::sync::atomic::{AtomicUsize, Ordering};

use pgdial::domain::Reference;
use serde_json::{Value, json};

use crate::{
    processes::SHORT,
    support::{
        TestDb, ask, eventually, number,
        processes::{Machine, Process},
        refusal, run,
        wire::Wire,
    },
};

/// Of all rows, the verdicts: of items, then of the claim.
fn verdicts(verb: &str, items: &Value) -> String {
    format!(
        "select string_agg(concat_ws(' ', verdict, word, attempt), ', ') from pgdial.claim_with('{verb}', array['tester'], \
         '{items}', gen_random_uuid(), array['default'], 5)"
    )
}

/// A request for this number.
fn request(to: &str) -> String {
    verdicts("enqueue", &json!([{ "to": to, "scriptId": "s" }]))
}

/// The refusal of this dial.
fn refused(dial: Reference) -> String {
    let item = json!([{ "id": dial.call, "claim_no": dial.claim_no, "outcome": "blocked", "concerns": "request", "why": "no" }]);
    verdicts("settle", &item)
}

/// How many calls were claimed by the commit in which another event of this kind was written.
fn claimed_with(kind: &str) -> String {
    format!(
        "select count(*) from pgdial.call_events w join pgdial.call_events a using (xid) \
         where w.kind = '{kind}' and a.kind = 'active'"
    )
}

#[tokio::test]
async fn a_new_call_is_claimed_by_the_commit_that_enqueues_it() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let earlier = db.enqueue(&number(0)).await;
    let verdicts = ask(&mut session, &request(&number(1))).await;
    assert_eq!(verdicts, "created, claimed 1, claimed 1");
    assert_eq!(db.story(earlier).await, "waiting active");
    // Both of them with the event of the second one.
    assert_eq!(db.number(&claimed_with("waiting")).await, 2);
}

#[tokio::test]
async fn a_slot_is_taken_by_the_commit_that_frees_it() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1").await;
    let mut session = db.session().await;
    db.enqueue(&number(0)).await;
    let next = db.enqueue(&number(1)).await;
    let dial = db.claim(1).await.remove(0).reference();
    let verdicts = ask(&mut session, &refused(dial)).await;
    assert_eq!(verdicts, "failed, claimed 1");
    assert_eq!(db.story(next).await, "waiting active");
    assert_eq!(db.number(&claimed_with("failed")).await, 1);
    // It is over, and frees nothing more.
    assert_eq!(ask(&mut session, &refused(dial)).await, "stale, none");
}

#[tokio::test]
async fn items_do_not_wait_for_the_gate() {
    let db = TestDb::new().await;
    let (mut session, mut other) = (db.session().await, db.session().await);
    db.enqueue(&number(0)).await;
    let dial = db.claim(1).await.remove(0).reference();
    run(&mut other, "begin").await.unwrap();
    assert_eq!(ask(&mut other, "select pgdial.gate()").await, "true");
    let asked = ask(&mut session, &request(&number(1))).await;
    assert_eq!(asked, "created, gate_timeout");
    let settled = ask(&mut session, &refused(dial)).await;
    assert_eq!(settled, "failed, gate_timeout");
    run(&mut other, "rollback").await.unwrap();
    assert_eq!(db.claim(5).await.len(), 1);
}

#[tokio::test]
async fn a_claim_that_fails_undoes_itself_alone() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    db.enqueue(&number(0)).await;
    let dial = db.claim(1).await.remove(0).reference();
    // There a claim refuses to run.
    run(&mut session, "begin isolation level repeatable read")
        .await
        .unwrap();
    let asked = ask(&mut session, &request(&number(1))).await;
    assert_eq!(asked, "created, failed");
    let settled = ask(&mut session, &refused(dial)).await;
    assert_eq!(settled, "failed, failed");
    run(&mut session, "commit").await.unwrap();
    assert_eq!(db.claim(5).await.len(), 1);
}

#[tokio::test]
async fn each_item_has_its_own_verdict() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let verdicts = ask(&mut session, &request("not a number")).await;
    assert_eq!(verdicts, "invalid, none");
}

#[tokio::test]
async fn an_unknown_verb_is_an_error() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let verb = verdicts("defer", &json!([]));
    let (code, _) = refusal(&mut session, &verb).await;
    assert_eq!(code, "20000", "case not found");
}

/// Asks for a call to this number; none if there was no answer.
async fn ask_for(machine: &Machine, n: usize) -> Option<u16> {
    let key = n.to_string();
    send(
        machine,
        json!({ "to": number(n), "scriptId": "s", "idempotencyKey": key }),
    )
    .await
}

async fn send(machine: &Machine, call: Value) -> Option<u16> {
    let url = format!("http://{}/api/v1/calls", machine.api);
    let sent = reqwest::Client::new().post(url).json(&call).send().await;
    Some(sent.ok()?.status().as_u16())
}

async fn post(machine: &Machine, n: usize) -> u16 {
    ask_for(machine, n).await.unwrap()
}

/// A server behind a wire that can lose replies, and a provider whose calls take no time.
async fn over_wire() -> (Machine, Wire, [Process; 2]) {
    let mut machine = Machine::new().await;
    let wire = Wire::to(&machine.db).await;
    machine.db.url.clone_from(&wire.url);
    let provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let serve = machine.start_serve().await;
    (machine, wire, [provider, serve])
}

/// Calls that no process hears of as requests, and so are claimed with the end of another one.
async fn enqueue_some(machine: &Machine, next: &AtomicUsize) {
    for _ in 0..5 {
        let n = next.fetch_add(1, Ordering::Relaxed);
        machine.db.enqueue(&number(n)).await;
    }
}

/// The worker may do something else just then, but not always.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_rests_takes_the_requests_of_its_process() {
    let machine = Machine::new().await;
    let _provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let _serve = machine.start_serve().await;
    let next = AtomicUsize::new(0);
    eventually(
        "a call is claimed by the commit that enqueues it",
        || async {
            let n = next.fetch_add(1, Ordering::Relaxed);
            assert_eq!(post(&machine, n).await, 201);
            machine.until_all_over().await;
            machine.db.number(&claimed_with("waiting")).await > 0
        },
    )
    .await;
    machine.judge(30);
}

/// Between two calls of a trunk with one slot the worker rests, but may have something else to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_rests_takes_the_slots_that_webhooks_free() {
    let machine = Machine::new().await;
    machine.db.sql("update pgdial.trunks set slots = 1").await;
    let _provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let _serve = machine.start_serve().await;
    let next = AtomicUsize::new(0);
    eventually("a slot is taken by the commit that frees it", || async {
        enqueue_some(&machine, &next).await;
        machine.until_all_over().await;
        machine.db.number(&claimed_with("completed")).await > 0
    })
    .await;
    machine.judge(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_a_webhook_rings_nobody_twice_and_loses_nobody() {
    let (machine, wire, _processes) = over_wire().await;
    machine.db.sql("update pgdial.trunks set slots = 1").await;
    wire.lose(1, "pgdial.claim_with(");
    let next = AtomicUsize::new(0);
    while wire.to_lose() > 0 {
        enqueue_some(&machine, &next).await;
        machine.until_all_over().await;
    }
    let completed = "select count(*) from pgdial.calls where state = 'completed'";
    let calls = next.into_inner();
    assert_eq!(machine.db.text(completed).await, calls.to_string());
    assert_eq!(machine.rings_begun(), calls);
    machine.judge(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_rings_nobody_twice_and_loses_nobody() {
    let (machine, wire, _processes) = over_wire().await;
    let mut asked = 0;
    loop {
        // The reply that was lost may be that to the end of a dial.
        if wire.to_lose() == 0 {
            wire.lose(1, "pgdial.claim_with(");
        }
        let status = post(&machine, asked).await;
        if status != 201 {
            // Nobody knows; asked again, it is the same call.
            assert_eq!((status, wire.to_lose()), (503, 0));
            assert_eq!(post(&machine, asked).await, 200);
        }
        asked += 1;
        machine.until_all_over().await;
        if status != 201 {
            break;
        }
    }
    let lost = "select count(*) from pgdial.call_events where kind = 'deferred'";
    assert!(machine.db.number(lost).await > 0);
    assert_eq!(machine.rings_begun(), asked);
    machine.judge(30);
}

/// What `PgBouncer` and pgcat answer when they lose the server, be it after the commit. Without a key nobody would notice
/// a repetition.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_pooler_makes_one_request_no_two_calls() {
    let (machine, wire, _processes) = over_wire().await;
    let mut asked = 0;
    for code in ["08P01", "58000"] {
        let mut status = 201;
        while status == 201 {
            if wire.to_lose() == 0 {
                wire.refuse("pgdial.claim_with(", code);
            }
            let call = json!({ "to": number(asked), "scriptId": "s" });
            status = send(&machine, call).await.unwrap();
            asked += 1;
            machine.until_all_over().await;
        }
        assert_eq!((status, wire.to_lose()), (503, 0));
    }
    let calls = "select count(*) from pgdial.calls";
    assert_eq!(machine.db.text(calls).await, asked.to_string());
    assert_eq!(machine.rings_begun(), asked);
    machine.judge(30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_loses_no_request_and_rings_nobody_twice() {
    const CALLS: usize = 24;
    let machine = Machine::new().await;
    machine.db.sql(SHORT).await;
    let _provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let mut serve = machine.start_serve().await;
    for n in 0..CALLS {
        if n % 4 == 3 {
            let ((), taken) = tokio::join!(async { serve.kill() }, ask_for(&machine, n));
            serve = machine.start_serve().await;
            if taken == Some(201) {
                continue;
            }
        }
        let status = post(&machine, n).await;
        assert!(status == 201 || status == 200, "{status}");
    }
    eventually("every ring has ended", || async {
        let begun = machine.rings_begun();
        let waiting = "select count(*) from pgdial.calls where state = 'waiting'";
        begun == machine.rings_ended() && machine.db.number(waiting).await == 0
    })
    .await;
    // Dials whose result was not recorded end by their leases and deadlines.
    machine.db.forward("3 minutes").await;
    machine.until_all_over().await;
    let calls = "select count(*) from pgdial.calls";
    assert_eq!(machine.db.number(calls).await, 24);
    machine.judge(30);
}
