//! `enqueue_and_claim`: what a worker that rests does with the requests of its own process. They are enqueued whatever
//! becomes of the claim, and a lost reply rings nobody twice and loses nobody.

use serde_json::{Value, json};

use crate::{
    processes::SHORT,
    support::{TestDb, ask, eventually, number, processes::Machine, run, wire::Wire},
};

/// The verb for one request to this number.
fn verb(to: &str) -> String {
    let request = json!([{ "to": to, "scriptId": "s" }]);
    format!(
        "select string_agg(concat_ws(' ', verdict, request, attempt), ', ') from pgdial.enqueue_and_claim(array['tester'], \
         '{request}', gen_random_uuid(), array['default'], 5)"
    )
}

#[tokio::test]
async fn a_new_call_is_claimed_by_the_commit_that_enqueues_it() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let earlier = db.enqueue(&number(0)).await;
    let verdicts = ask(&mut session, &verb(&number(1))).await;
    assert_eq!(verdicts, "enqueued created, claimed 1, claimed 1");
    assert_eq!(db.story(earlier).await, "waiting active");
    let together = "select count(*) from pgdial.call_events w join pgdial.call_events a using (call_id, xid) \
                    where w.kind = 'waiting' and a.kind = 'active'";
    assert_eq!(db.number(together).await, 1);
}

#[tokio::test]
async fn requests_do_not_wait_for_the_gate() {
    let db = TestDb::new().await;
    let (mut session, mut other) = (db.session().await, db.session().await);
    run(&mut other, "begin").await.unwrap();
    assert_eq!(ask(&mut other, "select pgdial.gate()").await, "true");
    let verdicts = ask(&mut session, &verb(&number(1))).await;
    assert_eq!(verdicts, "enqueued created, gate_timeout");
    run(&mut other, "rollback").await.unwrap();
    assert_eq!(db.claim(5).await.len(), 1);
}

#[tokio::test]
async fn a_claim_that_fails_undoes_itself_alone() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    // There a claim refuses to run.
    run(&mut session, "begin isolation level repeatable read")
        .await
        .unwrap();
    let verdicts = ask(&mut session, &verb(&number(1))).await;
    assert_eq!(verdicts, "enqueued created, failed");
    run(&mut session, "commit").await.unwrap();
    assert_eq!(db.claim(5).await.len(), 1);
}

#[tokio::test]
async fn each_request_has_its_own_verdict() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let verdicts = ask(&mut session, &verb("not a number")).await;
    assert_eq!(verdicts, "enqueued invalid, none");
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

/// The worker may do something else just then, but not always.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_rests_takes_the_requests_of_its_process() {
    let machine = Machine::new().await;
    let _provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let _serve = machine.start_serve().await;
    let next = std::sync::atomic::AtomicUsize::new(0);
    eventually("a call is claimed by the commit that enqueues it", || async {
        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(post(&machine, n).await, 201);
        machine.until_all_over().await;
        let together = "select count(*) from pgdial.call_events w join pgdial.call_events a using (call_id, xid) \
                        where w.kind = 'waiting' and a.kind = 'active'";
        machine.db.number(together).await > 0
    })
    .await;
    machine.judge(30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_rings_nobody_twice_and_loses_nobody() {
    let mut machine = Machine::new().await;
    let wire = Wire::to(&machine.db).await;
    machine.db.url.clone_from(&wire.url);
    let _provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let _serve = machine.start_serve().await;
    wire.lose(1, "pgdial.enqueue_and_claim(");
    let mut asked = 0;
    while wire.to_lose() > 0 {
        let status = post(&machine, asked).await;
        if status != 201 {
            // Nobody knows; asked again, it is the same call.
            assert_eq!((status, wire.to_lose()), (503, 0));
            assert_eq!(post(&machine, asked).await, 200);
        }
        asked += 1;
        machine.until_all_over().await;
    }
    let lost = "select count(*) from pgdial.call_events where kind = 'deferred'";
    assert_eq!(machine.db.number(lost).await, 1);
    assert_eq!(machine.rings_begun(), asked);
    machine.judge(30);
}

/// What `PgBouncer` and pgcat answer when they lose the server, be it after the commit. Without a key nobody would notice
/// a repetition.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_pooler_makes_one_request_no_two_calls() {
    let mut machine = Machine::new().await;
    let wire = Wire::to(&machine.db).await;
    machine.db.url.clone_from(&wire.url);
    let _provider = machine
        .start_provider(&["--ring", "0s", "--talk", "0s"])
        .await;
    let _serve = machine.start_serve().await;
    let mut asked = 0;
    for code in ["08P01", "58000"] {
        wire.refuse("pgdial.enqueue_and_claim(", code);
        while wire.to_lose() > 0 {
            let call = json!({ "to": number(asked), "scriptId": "s" });
            let status = send(&machine, call).await.unwrap();
            assert_eq!(status, if wire.to_lose() == 0 { 503 } else { 201 });
            asked += 1;
            machine.until_all_over().await;
        }
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
