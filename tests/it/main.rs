//! Integration tests: one binary, one private Postgres, one database a test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod support;

mod acts;
mod amend;
mod batcher;
mod breaker;
mod cancel;
mod claim;
mod claim_turns;
mod cli;
mod crowds;
mod defer;
mod dialed;
mod do_not_call;
mod doubt;
mod drain;
mod enqueue;
mod events;
mod fairness;
mod floods;
mod forget;
mod held_snapshot;
mod housekeeping;
mod idempotency;
mod judge;
mod lanes;
mod logs;
mod long_absence;
mod look_up;
mod lost_replies;
mod matching;
mod metrics;
mod migrate;
mod open_transactions;
mod ops;
mod partitions;
mod pause;
mod phone;
mod plans;
mod plans_acting;
mod plans_inbox;
mod poison;
mod processes;
mod recover;
mod redrive;
mod release;
mod repeat;
mod replay;
mod resolve;
mod retention;
mod roles;
mod schemathesis;
mod settle;
mod smoke;
mod structure;
mod sweep;
mod tls;
#[cfg(feature = "otel")]
mod traces;
mod unheard;
mod upgrade;
mod views;
mod wake;
mod webhook;
mod webhook_late;
mod why;
mod why_next;
mod why_staged;
