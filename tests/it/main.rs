//! Integration tests: one binary, one private Postgres, one database a test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod support;

mod amend;
mod breaker;
mod cancel;
mod claim;
mod claim_turns;
mod cli;
mod defer;
mod dialed;
mod do_not_call;
mod doubt;
mod enqueue;
mod floods;
mod judge;
mod lanes;
mod look_up;
mod migrate;
mod ops;
mod partitions;
mod pause;
mod plans;
mod processes;
mod redrive;
mod release;
mod retention;
mod schemathesis;
mod settle;
mod structure;
mod sweep;
mod wake;
mod webhook;
mod webhook_late;
mod why;
