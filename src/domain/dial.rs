//! What a claim hands to a worker, and what came of the dial.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use strum::{IntoStaticStr, VariantNames};

use super::{
    ids::{CallId, Reference},
    outcome::Outcome,
    phone::Phone,
};

/// A call that this worker, and nobody else, may dial once before `lease_until`.
#[derive(Debug, Clone, Deserialize)]
pub struct ClaimedCall {
    /// The call.
    pub id: CallId,
    /// Its claim number; with the id the fencing token.
    pub claim_no: i64,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// The number to ring.
    pub phone: Phone,
    /// The number to show.
    pub from_number: Option<Phone>,
    /// What the provider should say.
    pub script_id: String,
    /// Passed on verbatim: never parsed here, so that no metadata can make a claim unreadable.
    pub metadata: Box<RawValue>,
    /// The provider account to use.
    pub trunk: String,
    /// The campaign that it belongs to.
    pub campaign: String,
    /// The end of the lease, database time. Told to the provider as `X-Dial-Before`.
    pub lease_until: DateTime<Utc>,
    /// How long it may ring, seconds.
    pub ring_timeout_sec: i32,
    /// How long it may last, seconds.
    pub max_duration_sec: i32,
    /// The trace that it was asked for in (W3C `traceparent`); the provider is told.
    #[serde(default)]
    pub traceparent: Option<String>,
}

impl ClaimedCall {
    /// The name of this dial.
    pub const fn reference(&self) -> Reference {
        Reference {
            call: self.id,
            claim_no: self.claim_no,
        }
    }
}

/// What came of one dial request.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Placement {
    /// The provider has accepted the call and calls it by this id.
    Placed {
        /// The provider's id.
        provider_call_id: String,
    },
    /// There is certainly no call.
    Refused(Refusal),
    /// It was too late to dial (our check, or the provider's 412 `late`); there is certainly no call.
    Late,
    /// The request may have reached them. Never dial it again blindly.
    Unknown {
        /// What was seen, in words; no number, no secret.
        why: String,
    },
}

/// Why there is certainly no call.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// It will not work later either.
    #[strum(serialize = "refused")]
    Permanent {
        /// `blocked`, or `invalid_number` where the provider says so.
        outcome: Outcome,
        /// The provider speaks of this number, and not of the request: its script, its caller id.
        of_number: bool,
        /// The provider's words.
        why: String,
    },
    /// It may work later; uses up an attempt.
    Transient {
        /// What was seen.
        why: String,
    },
    /// The provider has no room; no attempt is used up.
    Capacity {
        /// Seconds that the provider asks us to wait.
        retry_after_sec: Option<u32>,
        /// The provider's words.
        why: String,
    },
    /// It is not allowed, and the provider does not say what: this call, its caller id, or the
    /// whole account. No attempt is used up; several numbers in a row pause the trunk.
    Forbidden {
        /// The provider's words.
        why: String,
    },
    /// The account is refused; pauses the trunk, no attempt is used up.
    Account {
        /// The provider's words.
        why: String,
    },
}
