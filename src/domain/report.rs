//! What a provider reports about a call.

use serde::Serialize;
use serde_json::Value;

use super::outcome::Outcome;

/// What a report is about, and so what it may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// Queued or ringing: the call was accepted.
    Progress,
    /// Answered; the call goes on.
    Answered,
    /// Ended; `outcome` says how.
    Ended,
    /// A status word that is not known: kept, changes nothing.
    Unknown,
    /// Signed, but not in the protocol's format: kept, changes nothing.
    Unparsable,
}

/// One report: a webhook's body, or the answer to a look-up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Read from the status word.
    pub kind: ReportKind,
    /// Set when `kind` is `Ended`.
    pub outcome: Option<Outcome>,
    /// Whether it proves that a person or a machine had answered, whatever its status word says.
    pub answered: bool,
    /// The provider's id of the call.
    pub provider_call_id: Option<String>,
    /// The reference named in the body.
    pub reference: Option<String>,
    /// The event id named in the body.
    pub event_id: Option<String>,
    /// The provider's own status word.
    pub status: Option<String>,
    /// All other fields, unchanged.
    pub result: Value,
}

impl Report {
    /// A report that says nothing else. Fields may be added: write
    /// `Report { outcome: Some(Outcome::Busy), ..Report::new(ReportKind::Ended) }`.
    pub const fn new(kind: ReportKind) -> Self {
        Self {
            kind,
            outcome: None,
            answered: false,
            provider_call_id: None,
            reference: None,
            event_id: None,
            status: None,
            result: Value::Null,
        }
    }
}
