//! drain: a worker is asked to finish (P2).

use pgdial::flow::drain::Drained;
use uuid::Uuid;

use crate::support::{TestDb, eventually, number, processes::Machine};

#[tokio::test]
async fn a_worker_that_is_told_to_go_claims_nothing_and_others_do() {
    let db = TestDb::new().await;
    let (going, staying) = (db.worker(&["default"]).await, db.worker(&["default"]).await);
    let drained = db.calls.drain(going.id, "ann", "an old machine").await;
    assert_eq!(drained.unwrap(), Drained::Draining);
    let waiting = db.enqueue(&number(1)).await;
    let trunks = ["default".to_owned()];
    let claim = db.calls.claim(going.id, &trunks, 5).await.unwrap();
    assert!(claim.calls.is_empty() && claim.wait.is_none(), "{claim:?}");
    db.sql(&format!(
        "update pgdial.workers set stopping = true where id = '{}'",
        staying.id
    ))
    .await;
    let why = db.calls.why(waiting).await.unwrap();
    assert_eq!(why[0].reason, "no_worker");
    assert_eq!(db.calls.stats().await.unwrap().workers, 0);
    db.calls.heartbeat(&staying).await.unwrap();
    let claim = db.calls.claim(staying.id, &trunks, 5).await.unwrap();
    assert_eq!(claim.calls.len(), 1);
    let act = "select concat_ws(' ', by, act, kind, name, why) from pgdial.acts";
    assert_eq!(
        db.text(act).await,
        format!("ann drain worker {} an old machine", going.id)
    );
}

#[tokio::test]
async fn who_is_going_or_gone_is_told_so() {
    let db = TestDb::new().await;
    let mut worker = db.worker(&["default"]).await;
    let drain = async |id: Uuid| db.calls.drain(id, "ann", "x").await.unwrap();
    assert_eq!(drain(worker.id).await, Drained::Draining);
    assert_eq!(drain(worker.id).await, Drained::AlreadyDraining);
    assert_eq!(drain(Uuid::new_v4()).await, Drained::NotFound);
    worker.id = Uuid::new_v4();
    worker.stopping = true;
    db.calls.heartbeat(&worker).await.unwrap();
    assert_eq!(drain(worker.id).await, Drained::Stopping);
    assert_eq!(db.number("select count(*) from pgdial.acts").await, 1);
}

async fn only_worker(machine: &Machine) -> Uuid {
    let id = machine.db.text("select id from pgdial.workers").await;
    id.parse().unwrap()
}

/// It finishes its dial and exits by itself with success; its calls go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_work_finishes_its_dials_and_ends() {
    let machine = Machine::new().await;
    let rules = [
        "--ring",
        "50ms",
        "--talk",
        "2s",
        "--rule",
        "*0001=slow:2s,late:4s",
    ];
    let _provider = machine.start_provider(&rules).await;
    let _api = machine.start_api().await;
    let worker = machine.start_worker("one", &["--poll", "off"]).await;
    let slow = machine.db.enqueue(&number(1)).await;
    machine.db.calls.send_wakes().await;
    eventually("it is dialing", || async {
        machine.db.state(slow).await == "dialing"
    })
    .await;
    let id = only_worker(&machine).await;
    machine.db.calls.drain(id, "ann", "x").await.unwrap();
    let later = machine.db.enqueue(&number(2)).await;
    machine.db.calls.send_wakes().await;
    assert!(worker.ended().await, "it ended well");
    assert_eq!(machine.db.state(slow).await, "in_call");
    assert_eq!(machine.db.state(later).await, "waiting");
    let stopping = "select stopping from pgdial.workers";
    assert_eq!(machine.db.text(stopping).await, "true");
    let _worker = machine.start_worker("two", &[]).await;
    machine.until_all_over().await;
    machine.judge(30);
}

/// The API and the sweep of `serve` go on; only claiming stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_serve_goes_on_without_claiming() {
    let machine = Machine::new().await;
    let _provider = machine
        .start_provider(&["--ring", "50ms", "--talk", "100ms"])
        .await;
    let serve = machine.start_serve().await;
    eventually("its worker shows itself", || async {
        machine.db.text("select count(*) from pgdial.workers").await == "1"
    })
    .await;
    let id = only_worker(&machine).await;
    machine.db.calls.drain(id, "ann", "x").await.unwrap();
    let left = machine.db.enqueue(&number(1)).await;
    machine
        .db
        .sql("update pgdial.calls set expires_at = pgdial.now()")
        .await;
    machine.db.calls.send_wakes().await;
    eventually("the sweep goes on", || async {
        machine.db.state(left).await == "expired"
    })
    .await;
    let healthy = format!("http://{}/readyz", machine.api);
    assert!(reqwest::get(&healthy).await.unwrap().status().is_success());
    assert_eq!(machine.rings_begun(), 0);
    assert!(serve.stop().await, "and it ends well when it is told to");
}
