//! What a claim hands to a worker, and what became of the dial.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::{
    ids::{CallId, Reference},
    outcome::Outcome,
    phone::Phone,
};

/// A call that this worker alone may dial, once, before `lease_until`.
#[derive(Debug, Clone, Deserialize)]
pub struct ClaimedCall {
    /// Names the call; not the dial, which [`Self::reference`] names.
    pub id: CallId,
    /// Claim number; with the id it is the fencing token.
    pub claim_no: i64,
    /// Attempt number, from 1.
    pub attempt: i32,
    /// The number to ring.
    pub phone: Phone,
    /// Caller id to dial from; `None` leaves it to the provider.
    pub from_number: Option<Phone>,
    /// The provider's id of the script, agent or assistant.
    pub script_id: String,
    /// Passed on unchanged and never parsed here, so that no metadata can make a claim unreadable.
    pub metadata: Box<RawValue>,
    /// Name of the trunk to dial on.
    pub trunk: String,
    /// Name of the campaign the call belongs to.
    pub campaign: String,
    /// End of the lease, in database time. Sent to the provider as `X-Dial-Before`.
    pub lease_until: DateTime<Utc>,
    /// Length of the lease in seconds: the dial ends within it.
    pub lease_sec: u32,
    /// Ring timeout in seconds, as stamped by the claim.
    pub ring_timeout_sec: i32,
    /// Maximum duration in seconds, as stamped by the claim.
    pub max_duration_sec: i32,
    /// What the provider is told to do if a machine answers, as stamped by the claim.
    #[serde(default)]
    pub answering_machine: AnsweringMachine,
    /// W3C `traceparent` of the request that enqueued the call; passed on to the provider.
    #[serde(default)]
    pub traceparent: Option<String>,
}

impl ClaimedCall {
    /// Fencing token and name of this dial.
    pub const fn reference(&self) -> Reference {
        Reference {
            call: self.id,
            claim_no: self.claim_no,
        }
    }
}

/// What a provider is told to do if a machine answers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, EnumString, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum AnsweringMachine {
    /// Nothing is said of it: the platform and its script do as they are set up to.
    #[default]
    Ignore,
    /// End the call.
    HangUp,
    /// Wait for the beep, leave a message, and end the call.
    LeaveMessage,
}

/// Result of one dial request.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Placement {
    /// The provider accepted the call.
    Placed {
        /// The provider's id of the call.
        provider_call_id: String,
    },
    /// There is certainly no call.
    Refused(Refusal),
    /// Too late to dial (our own check, or the provider's 412 `late`); there is certainly no call.
    Late,
    /// The request may have arrived. Never redial blindly.
    Unknown {
        /// What was seen, in words without a number or secret.
        why: String,
    },
}

/// Why there is certainly no call.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Trying later will not help.
    #[strum(serialize = "refused")]
    Permanent {
        /// `blocked`, or `invalid_number` if the provider says so.
        outcome: Outcome,
        /// What the refusal is about, as far as the provider says.
        concerns: Concerns,
        /// The provider's words.
        why: String,
    },
    /// May succeed later; uses up an attempt.
    Transient {
        /// What was seen.
        why: String,
    },
    /// The provider has no capacity; uses up no attempt.
    Capacity {
        /// Seconds the provider asks us to wait, if it does.
        retry_after_sec: Option<u32>,
        /// The provider's words.
        why: String,
    },
    /// The provider takes no more calls to this number for a while; says nothing about other numbers, and uses up no
    /// attempt.
    NumberLimit {
        /// Seconds the provider asks us to wait, if it does.
        retry_after_sec: Option<u32>,
        /// The provider's words.
        why: String,
    },
    /// Forbidden, without saying what: this call, its caller id, or the whole account. Uses up no attempt; several
    /// numbers in a row pause the trunk.
    Forbidden {
        /// The provider's words.
        why: String,
    },
    /// The account is refused. Pauses the trunk; uses up no attempt.
    Account {
        /// The provider's words.
        why: String,
    },
}

/// What a permanent refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Concerns {
    /// The number to ring: says nothing about other calls.
    Number,
    /// The script.
    Script,
    /// The number to call from.
    CallerId,
    /// Something in the request; the provider does not say what.
    Request,
}
