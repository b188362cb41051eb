//! The whole program as separate processes, judged by the fake provider's ledger.

use serde_json::json;

use crate::support::{eventually, number, processes::Machine, run};

const QUICK: [&str; 4] = ["--ring", "50ms..100ms", "--talk", "100ms..400ms"];

/// A campaign whose retries come within seconds and whose calls last at most 10 s.
pub(crate) const SHORT: &str = "update pgdial.campaigns set busy_base = '1 second', no_answer_base = '1 second', \
     fault_base = '1 second', ring_timeout = '5 seconds', max_duration = '10 seconds'";

async fn post(machine: &Machine, requests: &serde_json::Value) {
    let url = format!("http://{}/api/v1/calls/batch", machine.api);
    let answer = reqwest::Client::new()
        .post(url)
        .json(requests)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

fn requests(count: usize, numbers: usize) -> serde_json::Value {
    (0..count)
        .map(|n| json!({ "to": number(n % numbers), "scriptId": "welcome" }))
        .collect()
}

/// P1, P2, P3: three workers, one API, twins, busy numbers, a cap of 10.
#[tokio::test(flavor = "multi_thread")]
async fn many_processes_ring_nobody_twice_and_never_above_the_cap() {
    let machine = Machine::new().await;
    machine.db.sql(SHORT).await;
    machine.db.sql("update pgdial.trunks set slots = 10").await;
    let _provider = machine
        .start_provider(
            &[
                &QUICK[..],
                &["--rule", "*7=busy", "--rule", "*3=dup,reorder"],
            ]
            .concat(),
        )
        .await;
    let _api = machine.start_api().await;
    let mut workers = Vec::new();
    for name in ["one", "two", "three"] {
        workers.push(machine.start_worker(name, &[]).await);
    }
    post(&machine, &requests(200, 60)).await;
    machine.until_all_over().await;

    machine.judge(10);
    let failed = "select count(*) || ' of ' || count(*) filter (where attempt = 3 and outcome = 'busy') \
                  from pgdial.calls where state = 'failed'";
    assert_eq!(machine.db.text(failed).await, "20 of 20");
    assert_eq!(
        machine
            .db
            .text("select count(*) from pgdial.calls where state = 'completed'")
            .await,
        "180"
    );
    let shrinking = "select count(*) from (select (detail ->> 'delay_ms')::int - lag((detail ->> 'delay_ms')::int) \
                     over (partition by call_id order by seq) as growth from pgdial.call_events where kind = 'retried') d \
                     where growth <= 0";
    assert_eq!(machine.db.text(shrinking).await, "0");
}

/// P4: live calls outlive every process of ours.
#[tokio::test(flavor = "multi_thread")]
async fn live_calls_outlive_the_death_of_every_process() {
    let machine = Machine::new().await;
    machine.db.sql(SHORT).await;
    let _provider = machine
        .start_provider(&["--ring", "50ms..100ms", "--talk", "2s..3s"])
        .await;
    let mut api = machine.start_api().await;
    let mut worker = machine.start_worker("one", &[]).await;
    post(&machine, &requests(30, 30)).await;
    let up = "select count(*) from pgdial.calls where state = 'in_call'";
    eventually("30 calls are up", || async {
        machine.db.text(up).await == "30"
    })
    .await;
    api.kill();
    worker.kill();

    eventually(
        "the provider ends its calls while nobody listens",
        || async { machine.rings_ended() == 30 },
    )
    .await;
    assert_eq!(machine.db.text(up).await, "30");
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("two", &[]).await;
    machine.until_all_over().await;
    assert_eq!(
        machine
            .db
            .text("select count(*) from pgdial.calls where state = 'completed'")
            .await,
        "30"
    );
    machine.judge(30);
}

/// P2: committed calls are dialled without a poll, rolled-back ones are not.
#[tokio::test(flavor = "multi_thread")]
async fn sql_rings_at_commit_and_a_rollback_rings_nobody() {
    let machine = Machine::new().await;
    let _provider = machine.start_provider(&QUICK).await;
    let _api = machine.start_api().await;
    let _worker = machine.start_worker("one", &["--poll", "off"]).await;
    let mut psql = machine.db.session().await;
    for statement in [
        "begin",
        "select pgdial.enqueue('+14155550999', 'welcome')",
        "rollback",
        "begin",
        "select pgdial.enqueue('+14155550100', 'welcome')",
        "commit",
    ] {
        sqlx::raw_sql(statement).execute(&mut psql).await.unwrap();
    }
    machine.until_all_over().await;
    assert_eq!(
        machine
            .db
            .text("select string_agg(phone, ' ') from pgdial.calls")
            .await,
        "+14155550100"
    );
    assert!(machine.judge(30).contains("rings"), "the ledger was judged");
    assert!(
        !std::fs::read_to_string(machine.ledger())
            .unwrap()
            .contains("0999")
    );
}

/// A pause is a row: it survives a restart, leaves other campaigns alone, and a plain UPDATE ends it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart_and_a_plain_update_ends_it() {
    let machine = Machine::new().await;
    machine
        .db
        .sql("select pgdial.create_campaign('other')")
        .await;
    machine
        .db
        .sql("select pgdial.pause('campaign', 'default', 'lunch', 'tester')")
        .await;
    let _provider = machine.start_provider(&QUICK).await;
    let _api = machine.start_api().await;
    let paused = machine.db.enqueue(&number(1)).await;
    let mut worker = machine.start_worker("one", &["--poll", "off"]).await;
    worker.kill();
    let _worker = machine.start_worker("two", &["--poll", "off"]).await;
    // As a person does: the pool of the tests, like the program's, sends no wakes from SQL.
    let mut person = machine.db.session().await;
    let enqueue = "select pgdial.enqueue('+14155550002', 'welcome', p_campaign => 'other')";
    run(&mut person, enqueue).await.unwrap();
    let over = "select count(*) from pgdial.calls where campaign = 'other' and state = 'completed'";
    eventually("the other campaign rings", || async {
        machine.db.text(over).await == "1"
    })
    .await;
    assert_eq!(machine.db.state(paused).await, "waiting");
    machine
        .db
        .sql("update pgdial.campaigns set paused = false where name = 'default'")
        .await;
    eventually("it rings", || async {
        machine.db.state(paused).await == "completed"
    })
    .await;
}

/// A worker that is stopped finishes its dials and leaves live calls alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_worker_finishes_its_dials_and_leaves_live_calls_alone() {
    let machine = Machine::new().await;
    machine.db.sql(SHORT).await;
    let _provider = machine
        .start_provider(&[
            "--ring",
            "50ms",
            "--talk",
            "4s",
            "--rule",
            "*0001=slow:2s,late:4s",
        ])
        .await;
    let _api = machine.start_api().await;
    let worker = machine.start_worker("one", &[]).await;
    let slow = machine.db.enqueue(&number(1)).await;
    let live = machine.db.enqueue(&number(2)).await;
    machine.db.calls.send_wakes().await;
    eventually("one call is up, the other dialing", || async {
        machine.db.state(live).await == "in_call" && machine.db.state(slow).await == "dialing"
    })
    .await;
    assert!(worker.stop().await, "it ended well");
    assert_eq!(machine.db.state(slow).await, "in_call");
    assert_eq!(machine.db.state(live).await, "in_call");
    machine.until_all_over().await;
    machine.judge(30);
}

/// Closing the terminal (SIGHUP) is a request to stop, not a kill.
#[tokio::test(flavor = "multi_thread")]
async fn every_signal_to_stop_ends_it_well() {
    use rustix::process::Signal;
    let machine = Machine::new().await;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let serve = machine.start_serve().await;
        assert!(serve.stop_by(signal).await, "{signal:?}");
    }
}

/// A worker's death between claim and dial, or before it records the response, rings nobody twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_dialing_rings_nobody_twice() {
    let machine = Machine::new().await;
    machine.db.sql(SHORT).await;
    let _provider = machine
        .start_provider(&[&QUICK[..], &["--rule", "*=slow:3s,late:5s"]].concat())
        .await;
    let _api = machine.start_api().await;
    let mut worker = machine.start_worker("one", &[]).await;
    post(&machine, &requests(20, 20)).await;
    let dialing = "select count(*) from pgdial.calls where state = 'dialing'";
    eventually("all are dialing, and some ring", || async {
        machine.db.text(dialing).await == "20" && machine.rings_begun() > 0
    })
    .await;
    worker.kill();
    let _worker = machine.start_worker("two", &[]).await;
    // Calls that rang are settled by their webhooks; the others wait for their deadline, which the clock brings near.
    let completed = "select count(*) from pgdial.calls where state = 'completed'";
    eventually("what rang is completed", || async {
        machine.db.text(completed).await == machine.rings_begun().to_string()
    })
    .await;
    machine.db.forward("10 minutes").await;
    machine.until_all_over().await;
    let endings = machine.db.text("select string_agg(distinct state::text || '/' || outcome::text, ' ') from pgdial.calls").await;
    for ending in endings.split(' ') {
        assert!(
            ["completed/answered", "failed/unknown"].contains(&ending),
            "{endings}"
        );
    }
    machine.judge(30);
}
