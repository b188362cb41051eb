//! The HTTP API, the webhook and the server, over real sockets and a real Postgres.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

mod calls;

mod acting;

/// Every setting of campaigns and trunks.
mod settings;

mod bad_input;

mod hours;

mod idempotency;

mod batch;

mod events;

mod webhooks;

mod forgeries;

/// Accounts with one webhook for all calls.
mod accounts;

/// The edge: panics, keys, ids, health, metrics, slow clients.
mod edge;

mod endpoints;

/// Malformed HTTP, and HTTP that two readers could split differently.
mod raw;
mod ready;

/// Clients that are too many, too slow or endless.
mod floods;

/// JSON that is small on the wire and large in memory.
mod bombs;

mod openapi;

/// The page for operators.
mod page;
/// `ETag`, `If-Match`, compression.
mod versions;

mod traces;

mod metrics;

/// Screens about calls.
mod page_calls;

/// Keys: every operation with every kind of key, and what each sees.
mod keys;

/// What is logged, and what must never be.
mod logs;
