//! The outside phone company: what we ask of it, and what it may tell us.
//!
//! [`Provider`] is the whole interface to an account at a provider (a trunk). The dialer calls [`Provider::place`]
//! for a claimed call; the sweep calls [`Provider::cancel`] for a canceled one, and
//! [`Provider::look_up`] for a call whose fate is unknown; and the webhook's handler calls [`Provider::read`]
//! once [`Provider::verify`] and [`tag`] have accepted the request. Nothing here sees a row, and nothing here retries:
//! SQL decides who tries again.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use sha2::{Digest, Sha256};

use crate::domain::{ClaimedCall, Placement, Reference, Report};

pub mod adapters;
mod answer;
pub mod bland;
mod capabilities;
mod check;
pub mod client;
pub mod deadline;
pub mod elevenlabs;
mod exchange;
pub mod http;
pub mod platform;
pub mod protocol;
pub mod retell;
pub mod signature;
pub mod tag;
pub mod telnyx;
pub mod twilio;
pub mod vapi;
mod webhook;

pub(crate) mod words;

pub(crate) use answer::retry_after::seconds as retry_after_seconds;
pub use capabilities::{Capabilities, Idempotency, LookUps, Webhooks};
pub use check::{Finding, Severity};
pub use deadline::{Deadline, Stopwatch};
use signature::{Rejection, Secrets, Verified};
pub use webhook::{Reply, Webhook};

/// One account at one provider.
///
/// Object-safe, so that a trunk's adapter is a value chosen by configuration. The future of `place` may be dropped at
/// any time, which means the same as a timeout: once it has been polled, the result is unknown.
///
/// # The one promise of an adapter
///
/// `place` sends **at most one** request that could make a telephone ring, and never reports an uncertain result as
/// certain. Any other mistake costs a retry; this one wakes somebody up twice. In practice:
///
/// - No retry, no redirect, no proxy from the environment, and no connection that an earlier request has used: a
///   reused one may die under the POST, and then nobody can tell whether it arrived. Providers' SDKs retry by
///   default; use none.
/// - The phase decides before the response does. As long as nothing was written there is certainly no call:
///   [`Refusal::Transient`](crate::domain::Refusal::Transient). From the first byte on, an error, a timeout or an
///   unreadable response is [`Placement::Unknown`].
/// - [`Order::deadline`] is checked before connecting and again directly before the first byte. Once it has passed,
///   return [`Placement::Late`].
///
/// How to write another adapter, step by step, is in `docs/ADAPTERS.md`. The smallest possible one:
///
/// ```
/// use futures_util::future::BoxFuture;
/// use pgdial::{
///     Cancellation, LookedUp, Order, Outcome, Placement, Provider, ProviderError, Reference, Report,
///     ReportKind, Webhook,
/// };
///
/// /// An adapter for people who type: somebody at Acme reads the order and dials, and sends back
/// /// one word when it is over.
/// #[derive(Debug)]
/// struct Acme;
///
/// impl Provider for Acme {
///     fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
///         Box::pin(async move {
///             if order.deadline.is_over() {
///                 return Placement::Late;
///             }
///             let provider_call_id = format!("acme-{}", order.call.reference());
///             Placement::Placed { provider_call_id }
///         })
///     }
///
///     fn cancel<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Cancellation, ProviderError>> {
///         Box::pin(async { Ok(Cancellation::Unsupported) })
///     }
///
///     fn look_up<'a>(
///         &'a self,
///         _dial: Reference,
///         _id: Option<&'a str>,
///     ) -> BoxFuture<'a, Result<LookedUp, ProviderError>> {
///         Box::pin(async { Ok(LookedUp::Unsupported) })
///     }
///
///     fn read(&self, webhook: &Webhook<'_>) -> Report {
///         match webhook.body {
///             b"talked" => Report::ended(Outcome::Answered),
///             b"busy" => Report::ended(Outcome::Busy),
///             _ => Report::new(ReportKind::Unknown),
///         }
///     }
/// }
/// ```
pub trait Provider: Send + Sync + Debug {
    /// Places one call, with at most one request. See the promise above.
    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement>;

    /// Digest that names the account: adapter, host, and whatever distinguishes accounts there (the address, an
    /// account id). Contains no secret and nothing a secret could be derived from, and survives a change of keys. A
    /// dial belongs to the account it was sent to: no other account is asked about it, or sent it again. `None`: the
    /// adapter cannot say.
    fn account(&self) -> Option<String> {
        None
    }

    /// What the platform can do. It is in effect on every trunk that this adapter dials on, unless a person says
    /// otherwise. The default declares nothing.
    fn capabilities(&self) -> Capabilities {
        Capabilities::UNKNOWN
    }

    /// Asks to end a call. Repeating it is harmless.
    fn cancel<'a>(
        &'a self,
        provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, Error>>;

    /// Asks what became of a dial: by the provider's id if known, else by our reference. Rings nobody, so callers may
    /// repeat it.
    ///
    /// An error proves nothing. Nor does a report about another call, which is passed on as it is: the database
    /// compares its names, as it does for webhooks.
    fn look_up<'a>(
        &'a self,
        dial: Reference,
        provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, Error>>;

    /// Lists every call placed since then, no matter by whom, with its number as `to` in the result. Called once
    /// after a restore of the database, about dials it has forgotten. A provider without a list, or with one that may
    /// have gaps, returns `None`.
    fn calls_since(
        &self,
        _since: DateTime<Utc>,
    ) -> BoxFuture<'_, Result<Option<Vec<Report>>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// Asks the platform what can be asked without ringing anybody: whether the key is valid, and numbers, scripts
    /// and webhook are as they must be. `account_url` is the address for reports on all calls of the account. Where
    /// nothing is returned, `look_up` is asked about a dial that does not exist.
    fn check<'a>(&'a self, _account_url: &'a str) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }

    /// Whether the headers of a webhook claim a signature. Checked before its body is read: unsigned megabytes are not
    /// worth reading.
    fn claims_signature(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        signature::claimed(headers).map(drop)
    }

    /// Accepts or rejects a webhook. What it accepts was sent by the account, exactly as it is. Reads no clock: the time
    /// of the signature goes to the database.
    fn verify(&self, webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
        signature::verify(webhook.headers, webhook.body, secrets)
    }

    /// Reads a verified webhook. Never fails: what cannot be read is kept as `Unparsable`, because after errors the
    /// provider would redeliver and eventually disable the webhook. A replayed webhook has only its body
    /// ([`Webhook::kept`]).
    fn read(&self, webhook: &Webhook<'_>) -> Report;

    /// What the platform wants as the response to a webhook.
    fn reply(&self) -> Reply {
        Reply::EmptyObject
    }
}

/// Readable name of an account: `http voice.example.com 3f9a1c2b7d55`. `parts` distinguish it from others on the
/// host; only their digest is included.
pub fn account_of(adapter: &str, host: &str, parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest = hex::encode(digest.finalize());
    format!("{adapter} {host} {}", digest.get(..12).unwrap_or_default())
}

/// What [`Provider::place`] needs to place one call.
#[derive(Debug)]
pub struct Order<'a> {
    /// Claimed, and the claim committed.
    pub call: &'a ClaimedCall,
    /// Where the provider sends reports; made by [`tag::webhook_url`].
    pub webhook_url: String,
    /// After this, it is too late to dial.
    pub deadline: Deadline,
}

/// Result of asking to end a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancellation {
    /// The call will end; the webhook says how.
    Agreed,
    /// Nothing to end: the call is over, or the provider does not know it.
    AlreadyOver,
    /// The provider cannot end calls.
    Unsupported,
}

/// What the provider knows about a dial.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LookedUp {
    /// Never `Unparsable`.
    Found(Report),
    /// The provider says that there is no such call. What that proves, and how often it must be said, is declared by
    /// the trunk: some providers forget calls, or learn of them late.
    NotFound,
    /// The provider was asked and named no such call, which proves nothing, whatever the trunk declares.
    Inconclusive,
    /// The provider cannot be asked this way.
    Unsupported,
}

/// Why an adapter could not be made, or why the provider gave no usable response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Unusable address.
    #[error(
        "the provider's address must be http:// or https:// with a host and without user, query or fragment, as in https://voice.example.com"
    )]
    BadAddress,
    /// The key cannot be sent in a header.
    #[error("the provider's key must be visible ASCII")]
    BadKey,
    /// An https address on a system without root certificates to verify it.
    #[error(
        "the system's root certificates cannot be loaded (on Debian: apt install ca-certificates)"
    )]
    NoRoots(#[source] std::io::Error),
    /// The provider did not respond.
    #[error("the provider did not answer: {why}")]
    NoAnswer {
        /// What was seen, without a number or secret.
        why: String,
    },
    /// The provider's response means neither yes nor no.
    #[error("the provider answered {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The provider's words, without a number or secret.
        why: String,
    },
}
