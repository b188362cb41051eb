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
    /// When the call was answered, if the report says so.
    pub answered_at: Option<DateTime<Utc>>,
    /// The provider's id of the call.
    pub provider_call_id: Option<String>,
    /// The reference named in the body.
    pub reference: Option<String>,
    /// Whether it is about a call that pgdial did not place: a report on one of ours would name its reference.
    /// It is not kept unless a call here has its id, or may have it. If in doubt, false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
    /// The event id named in the body.
    pub event_id: Option<String>,
    /// The provider's own status word.
    pub status: Option<String>,
    /// What the conversation came to: 1 to 63 lower-case letters, digits and `_`. `do_not_call`, `callback`,
    /// `wrong_number` and `not_interested` have an effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// Of the disposition `callback`: when the callee asked to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_at: Option<DateTime<Utc>>,
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
            foreign: false,
            event_id: None,
            status: None,
            disposition: None,
            callback_at: None,
            result: Value::Object(Map::new()),
        }
    }

    /// The call ended with this outcome, which may prove an answer.
    pub fn ended(outcome: Outcome) -> Self {
        Self {
            outcome: Some(outcome),
            answered: matches!(outcome, Outcome::Answered | Outcome::Voicemail),
            ..Self::new(ReportKind::Ended)
        }
    }

    /// Rank of a report where several are about one dial.
    ///
    /// An answer ranks first, since nothing may be placed after it; then whatever may still be up, an unknown
    /// word included, because the end of one call is not the end of the other.
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

/// What platforms report about a call beyond how it ended, under names common to all platforms. A report's
/// result holds these and whatever else is worth keeping.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// From answer to end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_sec: Option<f64>,
    /// Cost of the call, in `cost_currency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Currency of `cost`, ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_currency: Option<&'static str>,
    /// `human`, `machine`, or the platform's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// The platform's word for why the call ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_reason: Option<String>,
    /// URL of the recording; it may need the account's key, or expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<String>,
    /// Whole conversation as one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// The platform's summary of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}
