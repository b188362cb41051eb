//! The programs in `examples/`, run as they stand on a database of their own.

use pgdial::Queue;

use crate::support::TestDb;

#[expect(dead_code, reason = "its main is for people")]
#[path = "../../examples/embedded_worker.rs"]
mod embedded_worker;
#[expect(dead_code, reason = "its main is for people")]
#[path = "../../examples/enqueue_in_transaction.rs"]
mod enqueue_in_transaction;
#[expect(dead_code, reason = "its main is for people")]
#[path = "../../examples/own_provider.rs"]
mod own_provider;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_enqueued_in_the_transaction_of_its_order() {
    let db = TestDb::new().await;
    enqueue_in_transaction::run(&db.url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_of_ones_own_rings() {
    let db = TestDb::new().await;
    own_provider::run(&db.url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_inside_of_another_program() {
    let db = TestDb::new().await;
    let queue = Queue::connect(&db.url, "example").await.unwrap();
    embedded_worker::run(&queue).await.unwrap();
}
