//! A worker inside of another program: it dials through a provider that speaks pgdial's protocol, hears of the
//! ends by webhook, and stops when the program does. The provider is a fake one, which rings nobody.
//!
//! `cargo run --example embedded_worker -- postgres://localhost/app`
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::{error::Error, net::TcpListener, sync::Arc, time::Duration};

use pgdial::{CallRequest, HttpProvider, Queue, Since, Worker};
use pgdial_fake_provider::{FakeOptions, FakeProvider, Span};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which database?")?;
    let queue = Queue::connect(&url, "example").await?;
    queue.migrate().await?;
    run(&queue).await
}

/// Rings three numbers, one of which is busy for good.
pub(crate) async fn run(queue: &Queue) -> Result<(), Box<dyn Error>> {
    const SECRET: &str = "what signs the webhooks: it is random, and long";
    let ledger = std::env::temp_dir().join(format!("ledger-{}.jsonl", uuid::Uuid::new_v4()));
    let mut options = FakeOptions::new(ledger, SECRET);
    options.ring = Span::exactly(Duration::from_millis(100));
    options.talk = Span::exactly(Duration::from_millis(100));
    options.rules.push("*06=busy".parse()?);
    let fake = FakeProvider::start(options).await?;

    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let stop = CancellationToken::new();
    let worker = Worker::new(queue, format!("http://{address}"))
        .trunk(
            "default",
            Arc::new(HttpProvider::new(&fake.url(), None)?),
            SECRET.parse()?,
        )
        .webhooks_on(address);
    let working = TaskTracker::new().spawn(worker.run(stop.clone()));

    // Before the first call, so that nothing is missed.
    let mut events = queue.events().since(Since::Start).subscribe().await?;
    let requests = ["+14155550104", "+14155550105", "+14155550106"].map(|to| CallRequest {
        max_attempts: Some(1),
        ..CallRequest::new(to, "hello")
    });
    for answer in queue.enqueue_many(&requests).await? {
        answer.call()?;
    }
    let mut over = 0;
    while over < requests.len() {
        let event = events
            .next()
            .await
            .ok_or("the stream of events is over")??;
        if ["completed", "failed"].contains(&event.kind.as_str()) {
            over += 1;
            println!("{:?}: {:?}", event.to, event.outcome);
        }
    }

    // As the program would on SIGTERM; dials under way are finished first.
    stop.cancel();
    working.await??;
    fake.shutdown().await;
    Ok(())
}
