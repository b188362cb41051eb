//! What a call is, in plain values: no runtime, no web server, no query.
//!
//! Everything is parsed once, at the edge, and from then on carried as a type that cannot be wrong. Nothing here
//! waits, logs or touches a row.

pub mod access;

pub mod ids;

pub mod networks;

pub mod numbers;

pub mod phone;

pub mod state;

pub mod outcome;

pub mod request;

pub mod dial;

pub mod why;

pub mod report;

pub use access::{Scope, Sight};
pub use dial::{AnsweringMachine, ClaimedCall, Concerns, Placement, Refusal};
pub use ids::{CallId, Reference};
pub use networks::Networks;
pub use numbers::Numbers;
pub use outcome::{Outcome, Resolution};
pub use phone::{Phone, PhoneError, Region};
pub use report::{Facts, Report, ReportKind};
pub use request::{CallRequest, Timezones};
pub use state::CallState;
pub use why::{Why, WhyError};
