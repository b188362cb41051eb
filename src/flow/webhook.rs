//! webhook: a verified event, stored once and applied once.

use base64::{display::Base64Display, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize, Serializer};
use strum::{IntoStaticStr, VariantNames};

use super::{
    Error, Queue,
    batcher::Limits,
    statement::{Statement, says},
    wake::Wake,
};
use crate::{
    domain::{Reference, Report},
    provider::signature::SignedAt,
};

/// An event whose signature (and tag, if there is a reference) was verified.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Trunk whose secret signed it.
    pub trunk: &'a str,
    /// Reference that its URL names; none means match by the one in its body, or by the provider's id.
    pub reference: Option<Reference>,
    /// Identifies the event across deliveries.
    pub event_id: &'a str,
    /// When it was signed by its own account; the database compares it with its clock.
    pub signed_at: Option<SignedAt>,
    /// Raw body.
    pub body: &'a [u8],
    /// The body as the trunk's adapter reads it.
    pub report: &'a Report,
}

/// Result for an event.
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
    /// Progress, or an unknown status word.
    Noted,
    /// Its call had moved on.
    Stale,
    /// An earlier dial was answered after all, while a later one was in flight.
    LateAnswer,
    /// It is not about the call that its URL names.
    Mismatch,
    /// Its call is not known yet, or its row could not be changed.
    Parked,
    /// Signed, but not in the protocol's format.
    Unparsable,
    /// No known call matches it.
    Unmatched,
    /// It was stored before; nothing changes.
    #[value(skip)]
    Duplicate,
    /// Its signature is more than 300 s off the database's clock; nothing was stored.
    #[value(skip)]
    TooOld,
    /// No known call matches it, and its trunk has sent too many such events; nothing was stored.
    #[value(skip)]
    NoRoom,
    /// It is about a call that was not placed from this database; nothing was stored.
    #[value(skip)]
    Foreign,
}

impl Verdict {
    /// The verdict as the database writes it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Stored; the sweep tries it again.
pub(super) const PARKED: &str = "parked";
pub(super) const STATEMENT: Statement = Statement {
    verb: "webhook",
    sql: "select ordinal, verdict, detail from pgdial.webhook($1, $2)",
    // Often its call is only locked by a concurrent `dialed`.
    held: PARKED,
    // Bodies are usually a few KiB; a larger one goes alone.
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
    #[serde(serialize_with = "base64")]
    body: &'a [u8],
    report: &'a Report,
}

/// Without a text in between, since a body may be megabytes long.
fn base64<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(body, &BASE64_STANDARD))
}

impl Queue {
    /// Stores and applies one event; durable when this returns. A received event is stored even if its sender
    /// does not wait for the response.
    pub async fn webhook(&self, event: Event<'_>) -> Result<Verdict, Error> {
        let item = Item {
            trunk: event.trunk,
            reference: event.reference,
            event_id: event.event_id,
            signed_at: event.signed_at,
            body: event.body,
            report: event.report,
        };
        let webhook = &self.gathered.webhook;
        let applied = if event.report.outcome.is_some() {
            webhook.apply_end(&item).await?
        } else {
            webhook.apply(&item).await?
        };
        let verdict = applied.verdict;
        if let (Verdict::Applied, Some(outcome)) = (verdict, event.report.outcome) {
            let reported = &self.metrics().reported;
            let counted = reported.with_label_values(&[event.trunk, outcome.as_str()]);
            counted.inc();
        }
        Ok(verdict)
    }
}
