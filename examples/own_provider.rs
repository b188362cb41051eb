//! An adapter that is written outside of pgdial. Its telephones are a channel: whoever reads from it lifts the
//! receiver, and says afterwards how it was.
//!
//! `cargo run --example own_provider -- postgres://localhost/app`
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::{error::Error, sync::Arc};

use futures_util::future::BoxFuture;
use pgdial::{
    CallRequest, Cancellation, LookedUp, Order, Outcome, Placement, Provider, ProviderError,
    ProviderEvent, Queue, Reference, Refusal, Report, ReportKind, Since, Webhook, Worker,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which database?")?;
    run(&url).await
}

/// Rings through a channel.
#[derive(Debug)]
struct Switchboard {
    lines: mpsc::Sender<Reference>,
}

impl Provider for Switchboard {
    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(async move {
            if order.deadline.is_over() {
                return Placement::Late;
            }
            let dial = order.call.reference();
            match self.lines.try_send(dial) {
                Ok(()) => Placement::Placed {
                    provider_call_id: format!("line-{dial}"),
                },
                // Nothing rang, so this is certain.
                Err(why) => Placement::Refused(Refusal::Capacity {
                    retry_after_sec: Some(1),
                    why: why.to_string(),
                }),
            }
        })
    }

    fn cancel<'a>(
        &'a self,
        _provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, ProviderError>> {
        Box::pin(async { Ok(Cancellation::Unsupported) })
    }

    fn look_up<'a>(
        &'a self,
        _dial: Reference,
        _provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, ProviderError>> {
        Box::pin(async { Ok(LookedUp::Unsupported) })
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        match webhook.body {
            b"talked" => Report::ended(Outcome::Answered),
            b"busy" => Report::ended(Outcome::Busy),
            // What is not known is kept, and ends nothing.
            _ => Report::new(ReportKind::Unknown),
        }
    }
}

/// Rings one number and talks.
pub(crate) async fn run(database_url: &str) -> Result<(), Box<dyn Error>> {
    let queue = Queue::connect(database_url, "switchboard").await?;
    let (lines, mut ringing) = mpsc::channel(8);
    let provider = Arc::new(Switchboard { lines });

    let stop = CancellationToken::new();
    // Nobody reports by webhook, so that nothing has to listen at this address.
    let worker = Worker::new(&queue, "http://127.0.0.1").trunk(
        "default",
        Arc::clone(&provider) as Arc<dyn Provider>,
        "a secret that nobody needs to know".parse()?,
    );
    let working = tokio_util::task::TaskTracker::new().spawn(worker.run(stop.clone()));

    let request = CallRequest::new("+14155550103", "hello");
    let call = queue.enqueue(&request).await?.call()?;
    let dial = ringing.recv().await.ok_or("the worker is gone")?;
    let body = b"talked";
    queue
        .report(ProviderEvent {
            trunk: "default",
            reference: Some(dial),
            event_id: "the end of it",
            signed_at: None,
            body,
            report: &provider.read(&Webhook::kept(body)),
        })
        .await?;

    let mut events = queue
        .events()
        .since(Since::Start)
        .call(call)
        .subscribe()
        .await?;
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{}", event.kind);
        if event.kind == "completed" {
            break;
        }
    }
    stop.cancel();
    working.await??;
    Ok(())
}
