//! The HTTP API, the webhook and the server, over real sockets and a real Postgres.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// A database, a server, a client.
mod support;

/// One call, and pages of them.
mod calls;

/// What people do to all of it.
mod acting;

/// What is refused, and how.
mod bad_input;

/// The same key twice.
mod idempotency;

/// Many calls at once.
mod batch;

/// Events as they happen.
mod events;

/// What providers send.
mod webhooks;

/// What nobody is believed to have sent.
mod forgeries;

/// The edge: panics, keys, ids, health, metrics, slow clients.
mod edge;

/// What is no proper HTTP, or HTTP that two readers could read in two ways.
mod raw;
mod ready;

/// Clients that are too many, too slow or without end.
mod floods;

/// JSON that is small on the wire and large in memory.
mod bombs;

/// The `OpenAPI` document and its page.
mod openapi;

/// Traces.
mod traces;

/// What is counted.
mod metrics;

/// What is logged, and what never is.
mod logs;
