//! heartbeat: which workers are alive, and what they are told.

use pgdial::flow::heartbeat::Told;

use crate::support::{TestDb, number};

#[tokio::test]
async fn a_worker_hears_that_it_is_to_go_and_forgets_it_with_no_heartbeat() {
    let db = TestDb::new().await;
    let worker = db.worker(&["default"]).await;
    let told = db.calls.heartbeat(&worker).await.unwrap();
    assert_eq!(told, Told { draining: false });
    db.calls.drain(worker.id, "ann", "x").await.unwrap();
    // Another heartbeat does not undo the drain.
    db.calls.heartbeat(&worker).await.unwrap();
    for _ in 0..2 {
        let told = db.calls.heartbeat(&worker).await.unwrap();
        assert_eq!(told, Told { draining: true });
    }
    let workers = db.calls.workers().await.unwrap();
    assert!(workers[0].draining && workers[0].alive);
}

#[tokio::test]
async fn workers_that_are_long_gone_are_forgotten() {
    let db = TestDb::new().await;
    let busy = db.worker(&["default"]).await;
    db.worker(&["default"]).await;
    db.enqueue(&number(1)).await;
    let trunks = ["default".to_owned()];
    db.calls.claim(busy.id, &trunks, 1).await.unwrap();
    db.forward("25 hours").await;
    assert_eq!(
        db.calls.housekeeping(None).await.unwrap()["forget_workers"],
        1
    );
    let left = "select string_agg(id::text, ' ') from pgdial.workers";
    assert_eq!(db.text(left).await, busy.id.to_string());
}
