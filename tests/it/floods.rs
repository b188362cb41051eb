//! A flood of webhooks does not starve dialing, nor a flood of work the webhooks: API and worker have separate pools,
//! even in one process.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use pgdial::provider::signature::sign_plain;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{
    TestDb, eventually, number,
    processes::{Machine, Process, SECRET},
    run,
};

const QUICK: [&str; 4] = ["--ring", "20ms..50ms", "--talk", "50ms..100ms"];
const CALLS: usize = 60;
/// Concurrent senders; more than the API has connections to the database.
const SENDERS: usize = 32;

/// Responses of the API to a flood.
#[derive(Default)]
struct Answers {
    kept: AtomicUsize,
    rejected: AtomicUsize,
    later: AtomicUsize,
}

impl Answers {
    fn count(&self, status: StatusCode) {
        let counter = match status {
            StatusCode::OK => &self.kept,
            StatusCode::UNAUTHORIZED => &self.rejected,
            // Not stored, and the response says so: the provider redelivers.
            StatusCode::SERVICE_UNAVAILABLE => &self.later,
            other => panic!("a webhook was answered {other}"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends a correctly signed report about an unknown call, or the same with a wrong signature.
async fn send(client: &Client, machine: &Machine, forged: bool) -> StatusCode {
    let secrets = SECRET.parse().unwrap();
    let body = json!({"callId": Uuid::new_v4(), "status": "COMPLETED"}).to_string();
    let signature = if forged {
        sign_plain(&secrets, b"another body")
    } else {
        sign_plain(&secrets, body.as_bytes())
    };
    client
        .post(format!("http://{}/callbacks/call-status", machine.api))
        .header("x-signature", signature)
        .body(body)
        .send()
        .await
        .unwrap()
        .status()
}

/// Sends until told to stop, every other webhook forged.
fn flood(machine: &Arc<Machine>, enough: &Arc<AtomicBool>) -> (JoinSet<()>, Arc<Answers>) {
    let answers = Arc::new(Answers::default());
    let client = Client::new();
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (machine, enough) = (machine.clone(), enough.clone());
        let (answers, client) = (answers.clone(), client.clone());
        senders.spawn(async move {
            while !enough.load(Ordering::Relaxed) {
                for forged in [false, true] {
                    answers.count(send(&client, &machine, forged).await);
                }
            }
        });
    }
    (senders, answers)
}

async fn enqueue(db: &TestDb) {
    for n in 0..CALLS {
        db.enqueue(&number(n)).await;
    }
    db.calls.send_wakes().await;
}

/// Calls are dialled and end while the flood lasts, all in these processes.
async fn calls_end_in_a_flood(start: impl AsyncFn(&Machine) -> Vec<Process>) {
    let machine = Arc::new(Machine::new().await);
    let _provider = machine.start_provider(&QUICK).await;
    let _running = start(&machine).await;
    let enough = Arc::new(AtomicBool::new(false));
    let (senders, answers) = flood(&machine, &enough);
    eventually("the flood is there", || async {
        answers.kept.load(Ordering::Relaxed) > SENDERS
    })
    .await;
    let before = answers.kept.load(Ordering::Relaxed);
    enqueue(&machine.db).await;
    machine.until_all_over().await;
    enough.store(true, Ordering::Relaxed);
    senders.join_all().await;

    let completed = "select count(*) from pgdial.calls where state = 'completed'";
    assert_eq!(machine.db.text(completed).await, CALLS.to_string());
    machine.judge(30);
    // The flood went on meanwhile, and what was acknowledged with 2xx is stored (P2).
    let kept = answers.kept.load(Ordering::Relaxed);
    assert!(kept > before, "{kept} {before}");
    assert!(answers.rejected.load(Ordering::Relaxed) > 0);
    let unknown = "select count(*) from pgdial.webhook_events where reference = ''";
    assert_eq!(machine.db.text(unknown).await, kept.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_webhooks_does_not_starve_the_dialing_of_another_process() {
    calls_end_in_a_flood(async |machine| {
        let api = machine.start_api().await;
        vec![api, machine.start_worker("one", &[]).await]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_webhooks_does_not_starve_the_dialing_of_the_same_process() {
    calls_end_in_a_flood(async |machine| vec![machine.start_serve().await]).await;
}

/// Makes whatever a worker writes about its dials wait for a lock of ours.
const HOLD_UP: &str = "create function pgdial.hold_up() returns trigger language plpgsql as $$ begin \
     if current_setting('application_name') = 'pgdial worker' then \
         perform set_config('lock_timeout', '0', true), pg_advisory_xact_lock_shared(4711); \
     end if; return new; end $$; \
     create trigger hold_up before insert on pgdial.call_events for each row \
     when (new.kind = 'in_call') execute function pgdial.hold_up()";

const HELD_UP: &str = "select count(*) from pg_stat_activity where datname = current_database() \
     and application_name = 'pgdial worker' and wait_event = 'advisory'";

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_answered_while_what_the_worker_writes_is_held_up() {
    let machine = Machine::new().await;
    machine.db.sql(HOLD_UP).await;
    // Calls stay up until the connections are free again.
    let _provider = machine
        .start_provider(&["--ring", "10m", "--talk", "50ms"])
        .await;
    let _serve = machine.start_serve().await;
    let mut lock = machine.db.session().await;
    run(&mut lock, "select pg_advisory_lock(4711)")
        .await
        .unwrap();
    enqueue(&machine.db).await;
    // Everything its dials record waits behind one statement, and takes no second connection.
    let held_up = || machine.db.number(HELD_UP);
    eventually("the worker writes nothing", || async {
        held_up().await == 1
    })
    .await;

    let client = Client::new();
    for _ in 0..50 {
        assert_eq!(send(&client, &machine, false).await, StatusCode::OK);
        assert_eq!(
            send(&client, &machine, true).await,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(held_up().await, 1, "it was held up all the while");
}
