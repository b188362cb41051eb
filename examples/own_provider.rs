//! An adapter that is written outside of pgdial. Its telephones are a channel: whoever reads from it lifts the
//! receiver, and reports afterwards how it was, with a token that proves who reports.
//!
//! `cargo run --example own_provider -- postgres://localhost/app`
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::{error::Error, sync::Arc};

use futures_util::future::BoxFuture;
use hyper::{HeaderMap, Method};
use pgdial::{
    CallRequest, Cancellation, LookedUp, Order, Outcome, Placement, Provider, ProviderError,
    ProviderEvent, Queue, Reference, Refusal, Rejection, Report, ReportKind, Secrets, Since,
    Verified, Webhook, Worker,
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which database?")?;
    run(&url).await
}

/// Headers of a report: what proves who sends it, and what names it across deliveries.
const TOKEN: &str = "switchboard-token";
const EVENT: &str = "switchboard-event";

/// Rings through a channel.
#[derive(Debug)]
struct Switchboard {
    lines: mpsc::Sender<Reference>,
    token: SecretString,
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

    fn claims_signature(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let token = headers.get(TOKEN).map(drop);
        token.ok_or(Rejection::Missing(TOKEN))
    }

    /// A platform that has a scheme of pgdial's needs no such function, and no token of its own.
    fn verify(&self, webhook: &Webhook<'_>, _secrets: &Secrets) -> Result<Verified, Rejection> {
        let given = webhook.header(TOKEN).ok_or(Rejection::Missing(TOKEN))?;
        let token = self.token.expose_secret().as_bytes();
        if !bool::from(token.ct_eq(given.as_bytes())) {
            return Err(Rejection::Mismatch);
        }
        let event_id = webhook.header(EVENT).ok_or(Rejection::Missing(EVENT))?;
        Ok(Verified {
            event_id: event_id.to_owned(),
            signed_at: None,
        })
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
    let provider = Arc::new(Switchboard {
        lines,
        token: "a secret of the switchboard".into(),
    });

    let stop = CancellationToken::new();
    let secrets: Secrets = "a secret that nobody needs to know".parse()?;
    // This program takes the reports in itself, so that nothing has to listen at this address.
    let worker = Worker::new(&queue, "http://127.0.0.1").trunk(
        "default",
        Arc::clone(&provider) as Arc<dyn Provider>,
        secrets.clone(),
    );
    let working = tokio_util::task::TaskTracker::new().spawn(worker.run(stop.clone()));

    let request = CallRequest::new("+14155550103", "hello");
    let call = queue.enqueue(&request).await?.call()?;
    let dial = ringing.recv().await.ok_or("the worker is gone")?;
    // As its own HTTP server would have received it, at a path that names the dial.
    let mut headers = HeaderMap::new();
    headers.insert(TOKEN, "a secret of the switchboard".parse()?);
    headers.insert(EVENT, "the end of it".parse()?);
    let received = Webhook {
        method: &Method::POST,
        url: "http://127.0.0.1/reports",
        headers: &headers,
        body: b"talked",
    };
    provider.claims_signature(received.headers)?;
    let verified = provider.verify(&received, &secrets)?;
    queue
        .report(ProviderEvent {
            trunk: "default",
            reference: Some(dial),
            event_id: &verified.event_id,
            signed_at: verified.signed_at,
            body: received.body,
            report: &provider.read(&received),
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
