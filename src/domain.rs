//! What a call is, in plain values: no runtime, no web server, no query.
//!
//! Everything here is parsed once, at the edge, and then carried as a type that
//! cannot be wrong. Nothing in this module waits, logs or touches a row.

// Names of a call, of one claim of it, and of both together.
pub mod ids;

// A telephone number in E.164, which masks itself.
pub mod phone;

// The states of a call.
pub mod state;

// How an attempt ended.
pub mod outcome;

// What a caller asks for.
pub mod request;

// Why somebody does something.
pub mod why;

// What a claim hands to a worker, and what came of the dial.
pub mod dial;

// What a provider reports about a call.
pub mod report;

pub use dial::{ClaimedCall, Placement, Refusal};
pub use ids::{CallId, Reference};
pub use outcome::{Outcome, Resolution};
pub use phone::{Phone, PhoneError, Region};
pub use report::{Report, ReportKind};
pub use request::CallRequest;
pub use state::CallState;
pub use why::{Why, WhyError};
