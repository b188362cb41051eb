//! settle: an attempt in flight ends.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::{
    Error, LOCKED_OUT, Queue,
    gathered::{SMALL, Statement},
    wake::Wake,
};
use crate::domain::{CallId, Outcome, Reference};

/// What became of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Settled {
    /// It reached somebody.
    Completed,
    /// It waits for its next attempt.
    Retried,
    /// No attempts are left, or the outcome is not retried.
    Failed,
    /// Somebody had asked to cancel it.
    Canceled,
    /// The trunk's breaker is open: it waits, no attempt used up.
    Deferred,
    /// It would have been retried, but its number has joined the do-not-call list.
    Suppressed,
    /// It had moved on before; nothing was applied.
    Stale,
    /// There is no such call (any more).
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
    of_number: bool,
    why: &'a str,
}

impl Queue {
    /// Ends the attempt of this dial. A slot and a number are free afterwards.
    pub async fn settle(
        &self,
        dial: Reference,
        outcome: Outcome,
        why: &str,
    ) -> Result<Settled, Error> {
        self.settle_refusal(dial, outcome, false, why).await
    }

    /// The same. `of_number`: the provider refused this number, which says nothing about the
    /// campaign.
    pub async fn settle_refusal(
        &self,
        dial: Reference,
        outcome: Outcome,
        of_number: bool,
        why: &str,
    ) -> Result<Settled, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            outcome,
            of_number,
            why,
        };
        Ok(self.gathered.settle.apply(&item).await?.verdict)
    }
}
