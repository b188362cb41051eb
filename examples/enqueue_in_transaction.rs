//! A call that is asked for in the transaction of the order that it is about: both are there, or neither is.
//!
//! `cargo run --example enqueue_in_transaction -- postgres://localhost/app`
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;

use pgdial::{CallRequest, Queue};
use sqlx::{Connection, PgConnection};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which database?")?;
    run(&url).await
}

/// Takes two orders, and gives up the second.
pub(crate) async fn run(database_url: &str) -> Result<(), Box<dyn Error>> {
    let queue = Queue::connect(database_url, "shop").await?;
    let mut connection = PgConnection::connect(database_url).await?;
    sqlx::query("create temporary table orders (id bigint primary key, telephone text)")
        .execute(&mut connection)
        .await?;

    let mut order = connection.begin().await?;
    sqlx::query("insert into orders values (1, '+14155550101')")
        .execute(&mut *order)
        .await?;
    let request = CallRequest {
        // The same order asks for one call, however often this runs.
        idempotency_key: Some("order 1".to_owned()),
        ..CallRequest::new("+14155550101", "thank-you")
    };
    let call = queue.enqueue_in(&mut order, &request).await?.call()?;
    order.commit().await?;
    assert!(queue.call(call).await?.is_some());

    let mut order = connection.begin().await?;
    sqlx::query("insert into orders values (2, '+14155550102')")
        .execute(&mut *order)
        .await?;
    let request = CallRequest::new("+14155550102", "thank-you");
    let call = queue.enqueue_in(&mut order, &request).await?.call()?;
    order.rollback().await?;
    assert!(queue.call(call).await?.is_none());

    println!("one order is kept, and one call is asked for");
    Ok(())
}
