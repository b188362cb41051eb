//! Each dialect against what its platform documents: requests that it must read, and responses and webhooks whose
//! fields it must have, in the files of `tests/providers`. Who speaks to it here is an HTTP client that knows no
//! platform; the platforms' own clients and verifiers are run by `scripts/check-sdks`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bland;
mod elevenlabs;
mod retell;
mod shape;
mod stage;
mod telnyx;
mod twilio;
mod vapi;
