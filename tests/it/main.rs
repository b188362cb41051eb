//! Integration tests: one binary, one private Postgres, one database per test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod support;

mod accounts;
mod acts;
mod alternates;
mod amend;
mod answered;
mod areas;
mod batcher;
mod breaker;
mod caller_ids;
mod calls_evidence;
mod cancel;
mod claim;
mod claim_turns;
mod cli;
mod comments;
mod connections;
mod consent;
mod contact_limits;
mod crowds;
mod dates;
mod defer;
mod deliver;
mod delivered;
mod deliveries;
mod dialed;
mod disposition;
mod do_not_call;
mod doubt;
mod drain;
mod endpoints;
mod enqueue;
mod events;
mod evidence;
mod examples;
mod fairness;
mod fake_provider;
mod floods;
mod forget;
mod goals;
mod heartbeat;
mod held_snapshot;
mod hours;
mod housekeeping;
mod idempotency;
mod inbox;
mod judge;
mod judge_rules;
mod keys;
mod lanes;
mod late_signs;
mod lease;
mod limits;
mod logs;
mod long_absence;
mod look_up;
mod lost_replies;
mod machines;
mod matching;
mod metrics;
mod migrate;
mod open_transactions;
mod ops;
mod partitions;
mod pause;
mod phone;
mod phone_areas;
mod plans;
mod plans_acting;
mod plans_inbox;
mod platforms;
mod poison;
mod poolers;
mod presets;
mod preview;
mod processes;
mod recover;
mod redrive;
mod release;
mod repeat;
mod replay;
mod resend;
mod resolve;
mod results;
mod retention;
mod retry_at;
mod roles;
mod schemathesis;
mod sessions;
mod settle;
mod smoke;
mod structure;
mod sweep;
mod terms;
mod tls;
mod together;
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
mod why_rules;
mod why_staged;
