//! settle: ends an attempt in flight.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::{
    Error, LOCKED_OUT, Queue,
    statement::{SMALL, Statement},
    wake::Wake,
};
use crate::domain::{CallId, Concerns, Outcome, Reference};

/// Result of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Settled {
    /// The call reached its callee.
    Completed,
    /// The call waits for its next attempt.
    Retried,
    /// No attempts are left, or the outcome is not retried.
    Failed,
    /// A cancellation had been requested.
    Canceled,
    /// The trunk's breaker is open: the call waits, without having used up an attempt.
    Deferred,
    /// It would be retried, but the number is on the do-not-call list by now.
    Suppressed,
    /// It would be retried, but its campaign is over.
    Expired,
    /// The call had moved on before; nothing was applied.
    Stale,
    /// There is no such call, or no longer.
    NotFound,
}

pub(super) const STATEMENT: Statement = Statement {
    verb: "settle",
    sql: "select ordinal, verdict, detail from pgdial.settle($1, $2)",
    held: LOCKED_OUT,
    limits: SMALL,
    wakes: &[(Wake::Claim, |_, _| true)],
};

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    outcome: Outcome,
    concerns: Concerns,
    why: &'a str,
}

impl Queue {
    /// Ends the attempt of this dial, which frees its slot and its number.
    pub async fn settle(
        &self,
        dial: Reference,
        outcome: Outcome,
        why: &str,
    ) -> Result<Settled, Error> {
        self.settle_refusal(dial, outcome, Concerns::Request, why)
            .await
    }

    /// As [`Self::settle`], of a refusal about this.
    pub async fn settle_refusal(
        &self,
        dial: Reference,
        outcome: Outcome,
        concerns: Concerns,
        why: &str,
    ) -> Result<Settled, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            outcome,
            concerns,
            why,
        };
        Ok(self.gathered.settle.apply_end(&item).await?.verdict)
    }
}
