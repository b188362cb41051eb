//! The outside phone company: what we ask of it, and what it may tell us.
//!
//! [`Provider`] is the whole interface between the dialer and an account at a
//! provider (a trunk). The dialer calls [`Provider::place`] for a claimed call, the
//! sweep and the dialer call [`Provider::cancel`] for a call that somebody called
//! off, the sweep calls [`Provider::look_up`] for a call of which nobody knows what
//! became, and the webhook's handler calls [`Provider::read`] after
//! [`Provider::verify`] and [`tag`] have accepted the request. Nothing in this module sees
//! a row, and nothing in it tries twice: who tries again is decided in SQL.
//!
//! # The one promise of an adapter
//!
//! `place` sends **at most one** request that could make a telephone ring, and it
//! never calls an uncertain answer certain. Everything else may be wrong and costs
//! a retry; this one wakes somebody up twice. In practice:
//!
//! - No retry, no redirect, no proxy from the environment, and no connection that an
//!   earlier request has used: a reused one may die under the POST, and then nobody
//!   can tell whether it arrived. SDKs of providers retry by default; use none.
//! - The phase decides before the answer does. Nothing was written yet: there is
//!   certainly no call, [`Refusal::Transient`]. From the first byte on, an error, a
//!   time-out or an answer that cannot be read is [`Placement::Unknown`].
//! - [`Order::deadline`] is looked at before connecting and again directly before the
//!   first byte goes out. When it is over, the answer is [`Placement::Late`].
//!
//! # Writing another adapter
//!
//! 1. Make `src/provider/acme.rs` with a struct that holds a parsed base address, the
//!    key as a `SecretString` (so that `Debug` cannot show it) and the connector of
//!    [`http`], whose `exchange` keeps the promises about phases above.
//! 2. Write down their answers as a table from status and code to [`Placement`], with
//!    a test for each line, as `http/answer.rs` does. When their documentation does not
//!    say that a refusal means *no call*, it is `Unknown`.
//! 3. Write down their status words as a table to [`ReportKind`](crate::domain::ReportKind)
//!    and [`Outcome`](crate::domain::Outcome), as [`protocol`] does. A word that you do
//!    not know is `ReportKind::Unknown`; never guess that a call is over.
//! 4. Send [`Order::webhook_url`] as it is: its tag is how a report finds its dial, even
//!    when the answer to `place` was lost. Send the reference as their idempotency key
//!    if they have one, and as their free field (metadata, tag, client state) if not.
//! 5. Answer `look_up` with what they say and no more: [`LookedUp::NotFound`] where they
//!    say that there is no such call, [`LookedUp::Unsupported`] where they cannot be asked,
//!    an error for the rest. Of a list, take only what names the reference: an API that
//!    does not know a filter passes over it and lists everything.
//! 6. Answer `account` with [`account_of`] their host, and their id of
//!    the account where there is one: a dial is only ever asked about where it was sent.
//! 7. Run it against the [`fake`] provider's misbehaviour, or a recording of theirs, and
//!    let the ledger judge it: no reference may ring twice.
//!
//! ```
//! use futures_util::future::BoxFuture;
//! use pgdial::{
//!     domain::{Placement, Reference, Report},
//!     provider::{self, Cancellation, LookedUp, Order, Provider, Webhook, protocol},
//! };
//!
//! /// An adapter for people who type: somebody at Acme reads the order and dials.
//! #[derive(Debug)]
//! struct Acme;
//!
//! impl Provider for Acme {
//!     fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
//!         Box::pin(async move {
//!             if order.deadline.is_over() {
//!                 return Placement::Late;
//!             }
//!             let provider_call_id = format!("acme-{}", order.call.reference());
//!             Placement::Placed { provider_call_id }
//!         })
//!     }
//!
//!     fn cancel<'a>(
//!         &'a self,
//!         _provider_call_id: &'a str,
//!     ) -> BoxFuture<'a, Result<Cancellation, provider::Error>> {
//!         Box::pin(async { Ok(Cancellation::Unsupported) })
//!     }
//!
//!     fn look_up<'a>(
//!         &'a self,
//!         _dial: Reference,
//!         _provider_call_id: Option<&'a str>,
//!     ) -> BoxFuture<'a, Result<LookedUp, provider::Error>> {
//!         Box::pin(async { Ok(LookedUp::Unsupported) })
//!     }
//!
//!     fn read(&self, webhook: &Webhook<'_>) -> Report {
//!         protocol::read_report(webhook.body)
//!     }
//! }
//! ```
//!
//! [`Refusal::Transient`]: crate::domain::Refusal::Transient
//! [`Placement::Unknown`]: crate::domain::Placement::Unknown
//! [`Placement::Late`]: crate::domain::Placement::Late
//! [`Placement`]: crate::domain::Placement
//! [`Provider`]: crate::provider::Provider
//! [`Provider::place`]: crate::provider::Provider::place
//! [`Provider::cancel`]: crate::provider::Provider::cancel
//! [`Provider::look_up`]: crate::provider::Provider::look_up
//! [`LookedUp::NotFound`]: crate::provider::LookedUp::NotFound
//! [`LookedUp::Unsupported`]: crate::provider::LookedUp::Unsupported
//! [`Provider::read`]: crate::provider::Provider::read
//! [`Provider::verify`]: crate::provider::Provider::verify
//! [`Order::deadline`]: crate::provider::Order::deadline
//! [`Order::webhook_url`]: crate::provider::Order::webhook_url
//! [`fake`]: crate::provider::fake
//! [`http`]: crate::provider::http
//! [`protocol`]: crate::provider::protocol
//! [`signature`]: crate::provider::signature
//! [`tag`]: crate::provider::tag

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use sha2::{Digest, Sha256};

use crate::domain::{ClaimedCall, Placement, Reference, Report};

mod answer;
pub mod bland;
pub mod client;
pub mod deadline;
pub mod elevenlabs;
mod exchange;
pub mod fake;
pub mod http;
pub mod platform;
pub mod protocol;
pub mod retell;
pub mod signature;
pub mod tag;
pub mod vapi;
mod webhook;

mod words;

pub use deadline::{Deadline, Stopwatch};
use signature::{Rejection, Secrets, Verified};
pub use webhook::Webhook;

/// One account at one provider.
///
/// Object-safe, so that a trunk's adapter is a value chosen by configuration.
/// Dropping a future that `place` returned is allowed at any time, and means the same
/// as a time-out: whoever drops it after it was polled must take the result as unknown.
pub trait Provider: Send + Sync + Debug {
    /// Asks for one call, at most once. See the promise above.
    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement>;

    /// Names the account: adapter, host, and whatever tells it from another one there (the address, an
    /// account id), as a digest. Never a secret, nothing from which one could be found, and not what a
    /// change of keys changes. A dial belongs to the account that it was sent to: no other one is asked
    /// about it, or sent it again. None: the adapter cannot say.
    fn account(&self) -> Option<String> {
        None
    }

    /// Asks for the end of a call. Asking again is harmless.
    fn cancel<'a>(
        &'a self,
        provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, Error>>;

    /// Asks what became of a dial: by the provider's id where we know it, else by our
    /// reference. It rings nobody, so whoever calls it may ask again.
    ///
    /// An error proves nothing, and neither does a report that is about another call, which
    /// is handed on as it is: the database compares its names, as it does for webhooks.
    fn look_up<'a>(
        &'a self,
        dial: Reference,
        provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, Error>>;

    /// Lists every call that was placed since then, whoever asked for it, with its number as
    /// `to` in the result. Asked once, after a restore of the database, about dials that it
    /// has forgotten: a list that may have gaps is `None`, as from a provider that has none.
    fn calls_since(
        &self,
        _since: DateTime<Utc>,
    ) -> BoxFuture<'_, Result<Option<Vec<Report>>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// Whether the headers of a webhook claim to be signed, told before its body is read: a stranger's
    /// megabytes are not worth reading.
    fn claims_signature(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        signature::claimed(headers).map(drop)
    }

    /// Accepts or rejects a webhook. What it accepts was made by the account, over exactly this request.
    /// It looks at no clock: the time at which it was signed goes to the database.
    fn verify(&self, webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
        signature::verify(webhook.headers, webhook.body, secrets)
    }

    /// Reads a webhook that was verified. Never fails: what cannot be read is kept as `Unparsable`, because
    /// an error would make the provider send it again and in the end switch the webhook off. A webhook that
    /// is read once more, by a later release, has only its body ([`Webhook::kept`]).
    fn read(&self, webhook: &Webhook<'_>) -> Report;
}

/// An account in words that may be seen: `http voice.example.com 3f9a1c2b7d55`. `parts` tell it from
/// others at the host, and only their digest is kept.
pub fn account_of(adapter: &str, host: &str, parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest = hex::encode(digest.finalize());
    format!("{adapter} {host} {}", digest.get(..12).unwrap_or_default())
}

/// What to place.
#[derive(Debug)]
pub struct Order<'a> {
    /// The call, claimed and committed.
    pub call: &'a ClaimedCall,
    /// Where the provider reports, made by [`tag::webhook_url`].
    pub webhook_url: String,
    /// When it is too late to begin.
    pub deadline: Deadline,
}

/// What came of asking for the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// It will end; the webhook says how.
    Agreed,
    /// There is nothing to end: it is over, or the provider does not know it.
    AlreadyOver,
    /// The provider cannot end calls.
    Unsupported,
}

/// What the provider knows of a dial.
#[derive(Debug, Clone, PartialEq)]
pub enum LookedUp {
    /// This; never `Unparsable`.
    Found(Report),
    /// It says that there is no such call. Whether that proves anything, and how often it
    /// must say so, is declared by the trunk: some providers forget, or learn of a call late.
    NotFound,
    /// It cannot be asked so.
    Unsupported,
}

/// Why an adapter could not be made, or a question to the provider has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error(
        "the provider's address must be http:// or https:// with a host and without user, query or fragment, as in https://voice.example.com"
    )]
    BadAddress,
    /// The key cannot be sent in a header.
    #[error("the provider's key must be visible ASCII")]
    BadKey,
    /// An https address, but the system has no certificates to check it against.
    #[error(
        "the system's root certificates cannot be loaded (on Debian: apt install ca-certificates)"
    )]
    NoRoots(#[source] std::io::Error),
    /// The provider did not answer.
    #[error("the provider did not answer: {why}")]
    NoAnswer {
        /// What was seen; no number, no secret.
        why: String,
    },
    /// The provider answered something else than yes or no.
    #[error("the provider answered {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The provider's words; no number, no secret.
        why: String,
    },
}
