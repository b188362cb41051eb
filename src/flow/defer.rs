//! defer, `give_back`: in flight → waiting, without using up an attempt.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use strum::VariantNames;
use uuid::Uuid;

use super::{
    Error, LOCKED_OUT, Queue,
    statement::{SMALL, Statement},
    wake::Wake,
};
use crate::domain::{CallId, Reference};

/// Why a dial that certainly rings nobody is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// The provider has no capacity.
    Capacity,
    /// The provider takes no more calls to this number for a while.
    NumberLimit,
    /// The provider refuses the account; the trunk pauses itself.
    Account,
    /// The provider forbids it, and possibly everything on this account.
    Forbidden,
    /// The lease would have ended before the dial.
    Late,
    /// The worker is shutting down and had not dialed it.
    Shutdown,
}

/// Result of a deferral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Deferred {
    /// The call waits again.
    Deferred,
    /// The call was without capacity 20 times, or forbidden 5 times.
    Failed,
    /// A cancellation had been requested.
    Canceled,
    /// An earlier dial of the call was answered.
    Completed,
    /// The number is on the do-not-call list by now.
    Suppressed,
    /// The call had moved on before.
    Stale,
    /// There is no such call, or no longer.
    NotFound,
}

pub(super) const STATEMENT: Statement = Statement {
    verb: "defer",
    sql: "select ordinal, verdict, detail from pgdial.defer($1, $2)",
    held: LOCKED_OUT,
    limits: SMALL,
    wakes: &[(Wake::Claim, |_, _| true)],
};

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    reason: DeferReason,
    retry_after_sec: Option<u32>,
    why: &'a str,
}

#[derive(Serialize)]
struct Held {
    id: CallId,
    claim_no: i64,
}

impl Queue {
    /// Puts the call of this dial back.
    pub async fn defer(
        &self,
        dial: Reference,
        reason: DeferReason,
        retry_after_sec: Option<u32>,
        why: &str,
    ) -> Result<Deferred, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            reason,
            retry_after_sec,
            why,
        };
        Ok(self.gathered.defer.apply(&item).await?.verdict)
    }

    /// Puts back what a claim with a lost reply gave to this worker; `held` is what the worker does hold.
    ///
    /// Returns true if all of it went back, false if another transaction locks some of the rows: try again.
    pub async fn give_back(&self, worker: Uuid, held: &[Reference]) -> Result<bool, Error> {
        let held: Vec<Held> = held
            .iter()
            .map(|dial| Held {
                id: dial.call,
                claim_no: dial.claim_no,
            })
            .collect();
        let (given, locked_out): (i32, i32) =
            sqlx::query_as("select given, locked_out from pgdial.give_back($1, $2)")
                .bind(worker)
                .bind(Json(held))
                .fetch_one(&self.pool)
                .await?;
        if given > 0 {
            tracing::warn!(worker.id = %worker, given, "gave back what a lost reply of a claim had brought");
            self.wake(Wake::Claim);
        }
        Ok(locked_out == 0)
    }
}
