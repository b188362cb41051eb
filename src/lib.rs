//! pgdial calls telephone numbers from a queue that lives in Postgres and nowhere else. This crate is the
//! `pgdial` program, and a library to use the queue from your own Rust program:
//!
//! - [`Queue`] enqueues calls, one, many, or inside your own transaction, and follows their events.
//! - [`Worker`] dials them, beside whatever else your program does, until you stop it.
//! - [`Provider`] is the trait for a provider of your own; [`HttpProvider`] is for one that speaks pgdial's
//!   protocol.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use pgdial::{CallRequest, HttpProvider, Queue, Since, Worker};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example(stop: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::connect("postgres://localhost/app", "billing").await?;
//! queue.migrate().await?;
//!
//! let call = queue.enqueue(&CallRequest::new("+14155550100", "reminder")).await?.call()?;
//!
//! let provider = HttpProvider::new("https://voice.example.com", Some("its key".into()))?;
//! let worker = Worker::new(&queue, "https://calls.example.com")
//!     .trunk("default", Arc::new(provider), "what signs its webhooks".parse()?)
//!     .webhooks_on("0.0.0.0:8080".parse()?);
//! let working = tokio::spawn(worker.run(stop.clone()));
//!
//! let mut events = queue.events().since(Since::Start).call(call).subscribe().await?;
//! while let Some(event) = events.next().await {
//!     println!("{}", event?.kind);
//! }
//! working.await??;
//! # Ok(())
//! # }
//! ```
//!
//! A claim of a call is a row in the database, so any number of workers, in this program and in others, share
//! one queue and never ring anybody twice. The promises, and what they need of provider and database, are in
//! the repository's docs/GUARANTEES.md; `pgdial serve` does all of this without a program of your own.
//!
//! For [`Queue::enqueue_in`] to take your connections, your `sqlx` must be of the release in this crate's
//! `Cargo.toml`. The crate's `examples/` are complete programs.
//!
//! Only what is listed here is the interface. Other modules are public for the program itself, its tests and
//! its benchmarks, are hidden from this page, and change without notice.

mod embed;

pub use domain::{
    AnsweringMachine, CallId, CallRequest, CallState, ClaimedCall, Concerns, Networks, Numbers,
    Outcome, Phone, Placement, Reference, Refusal, Report, ReportKind,
};
pub use embed::{Error, Queue, Worker};
pub use flow::{
    cancel::Canceled,
    enqueue::{Enqueued, NotTaken},
    events::{Event, EventCursor, EventError, Follow, Handlers, Since, Subscription},
    view::Call,
    webhook::{Event as ProviderEvent, Verdict},
};
pub use provider::{
    Cancellation, Capabilities, Deadline, Error as ProviderError, Finding, Idempotency, LookUps,
    LookedUp, Order, Provider, Reply, Severity, Webhook, Webhooks, account_of,
    http::HttpProvider,
    signature::{BadSecret, Rejection, Secrets, SignedAt, Verified},
};

#[doc(hidden)]
pub mod app;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
#[cfg(feature = "crash-points")]
mod crash;
#[doc(hidden)]
pub mod db;
#[doc(hidden)]
pub mod deliverer;
#[doc(hidden)]
pub mod demo;
#[doc(hidden)]
pub mod dialer;
#[doc(hidden)]
pub mod dispatcher;
#[doc(hidden)]
pub mod domain;
#[doc(hidden)]
pub mod export;
#[doc(hidden)]
pub mod flow;
#[doc(hidden)]
pub mod heartbeat;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod lifecycle;
#[doc(hidden)]
pub mod lists;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod provider;
#[doc(hidden)]
pub mod shown;
#[doc(hidden)]
pub mod sweeper;
#[doc(hidden)]
pub mod telemetry;
#[doc(hidden)]
pub mod trunks;
