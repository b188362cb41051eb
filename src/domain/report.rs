//! What a provider reports about a call.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

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
    /// When somebody answered, where the report says so.
    pub answered_at: Option<DateTime<Utc>>,
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
    pub fn new(kind: ReportKind) -> Self {
        Self {
            kind,
            outcome: None,
            answered: kind == ReportKind::Answered,
            answered_at: None,
            provider_call_id: None,
            reference: None,
            event_id: None,
            status: None,
            result: Value::Object(Map::new()),
        }
    }

    /// The call ended so. What came of it may prove an answer.
    pub fn ended(outcome: Outcome) -> Self {
        Self {
            outcome: Some(outcome),
            answered: matches!(outcome, Outcome::Answered | Outcome::Voicemail),
            ..Self::new(ReportKind::Ended)
        }
    }

    /// How much a report says, where several are about one dial. An answer first: it is what
    /// nothing may be placed after. Then what may still be up, a strange word among it, because
    /// the end of one call is not the end of the other.
    pub(crate) const fn weight(&self) -> u8 {
        match (self.kind, self.outcome) {
            (ReportKind::Ended, Some(Outcome::Answered)) => 5,
            (ReportKind::Answered, _) => 4,
            (ReportKind::Progress, _) => 3,
            (ReportKind::Unknown, _) => 2,
            (ReportKind::Ended, Some(Outcome::Voicemail)) => 1,
            (ReportKind::Ended | ReportKind::Unparsable, _) => 0,
        }
    }
}

/// What platforms say of a call beside how it ended, under the names that a result has whatever
/// the platform calls them. A report's result is these, and what else of it is worth keeping.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// From the answer to the end, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_sec: Option<f64>,
    /// What the call cost, in `cost_currency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_currency: Option<&'static str>,
    /// Who answered: `human`, `machine`, or the platform's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// The platform's word for why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// Where the recording is; it may need the account's key, or expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<String>,
    /// What was said, as one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// The platform's summary of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}
