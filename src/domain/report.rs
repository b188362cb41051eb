//! What a provider reports about a call.

use serde::Serialize;
use serde_json::Value;

use super::outcome::Outcome;

/// What kind of report it is, and so what it may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// Queued or ringing: it was accepted.
    Progress,
    /// Somebody answered; it goes on.
    Answered,
    /// It ended; `outcome` says how.
    Ended,
    /// A status word that we do not know: kept, changes nothing.
    Unknown,
    /// Signed, but not of the protocol's form: kept, changes nothing.
    Unparsable,
}

/// One report: a webhook's body, or the answer to a look-up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What kind.
    pub kind: ReportKind,
    /// How it ended; set when `kind` is `Ended`.
    pub outcome: Option<Outcome>,
    /// It proves that somebody, or a machine, had answered, whatever its status word says.
    pub answered: bool,
    /// The provider's id of the call.
    pub provider_call_id: Option<String>,
    /// The reference that the body itself names.
    pub reference: Option<String>,
    /// The event id that the body itself names.
    pub event_id: Option<String>,
    /// The provider's own word for the status.
    pub status: Option<String>,
    /// The other fields, verbatim.
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
