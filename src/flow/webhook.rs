//! webhook: an event that passed its signature, kept once and applied once.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::{
    Error, Queue,
    batcher::Limits,
    gathered::{Statement, says},
    wake::Wake,
};
use crate::{
    domain::{Reference, Report},
    provider::signature::SignedAt,
};

/// An event whose signature (and tag, where there is a reference) was verified.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The trunk whose secret signed it.
    pub trunk: &'a str,
    /// The dial that its URL names; none = match by the provider's id.
    pub reference: Option<Reference>,
    /// What makes it the same event when it is delivered again.
    pub event_id: &'a str,
    /// When it says that it was signed; the database compares it with its own clock.
    pub signed_at: Option<SignedAt>,
    /// The raw body.
    pub body: &'a [u8],
    /// The body as the trunk's adapter reads it.
    pub report: &'a Report,
}

/// What became of an event.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Deserialize, IntoStaticStr, VariantNames, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It moved its call.
    Applied,
    /// Progress, or a status word that we do not know.
    Noted,
    /// Its call had moved on.
    Stale,
    /// An earlier dial was answered after all, while a later one was in flight.
    LateAnswer,
    /// It is not about the call that its URL names.
    Mismatch,
    /// Its call is not known yet, or its row could not be moved.
    Parked,
    /// Signed, but not of the protocol's form.
    Unparsable,
    /// Nobody here knows its call.
    Unmatched,
    /// It was kept before; nothing changes.
    #[value(skip)]
    Duplicate,
    /// Its signature is more than 300 s off the database's clock; nothing was kept.
    #[value(skip)]
    TooOld,
    /// Nobody here knows its call, and its trunk has sent too many such events; nothing was kept.
    #[value(skip)]
    NoRoom,
}

impl Verdict {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// It is kept, and the sweep tries it again.
pub(super) const PARKED: &str = "parked";
pub(super) const STATEMENT: Statement = Statement {
    verb: "webhook",
    sql: "select ordinal, verdict, detail from pgdial.webhook($1, $2)",
    // Often its call is locked only by the `dialed` of the same moment.
    held: PARKED,
    // Bodies have some KiB as a rule; a larger one goes alone.
    limits: Limits {
        items: 100,
        bytes: 1024 * 1024,
        writers: 1,
    },
    wakes: &[
        (Wake::Claim, |_, detail| says(detail, "freed")),
        (Wake::Sweep, |word, _| word == PARKED),
    ],
};

#[derive(Serialize)]
struct Item<'a> {
    trunk: &'a str,
    reference: Option<Reference>,
    event_id: &'a str,
    #[serde(flatten)]
    signed_at: Option<SignedAt>,
    body: String,
    report: &'a Report,
}

impl Queue {
    /// Keeps and applies one event; durable when this returns. It has been received, so
    /// it is kept even when whoever delivered it does not wait for the answer.
    pub async fn webhook(&self, event: Event<'_>) -> Result<Verdict, Error> {
        let item = Item {
            trunk: event.trunk,
            reference: event.reference,
            event_id: event.event_id,
            signed_at: event.signed_at,
            body: BASE64_STANDARD.encode(event.body),
            report: event.report,
        };
        let verdict = self.gathered.webhook.apply(&item).await?.verdict;
        if let (Verdict::Applied, Some(outcome)) = (verdict, event.report.outcome) {
            let reported = &self.metrics().reported;
            let counted = reported.with_label_values(&[event.trunk, outcome.as_str()]);
            counted.inc();
        }
        Ok(verdict)
    }
}
