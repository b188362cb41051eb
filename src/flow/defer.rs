//! defer, `give_back`: in flight → waiting, the attempt not counted.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use strum::VariantNames;
use uuid::Uuid;

use super::{
    Error, LOCKED_OUT, Queue,
    gathered::{SMALL, Statement},
    wake::Wake,
};
use crate::domain::{CallId, Reference};

/// Why a dial that certainly rings nobody goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// The provider has no room.
    Capacity,
    /// The provider refuses the account; the trunk pauses itself.
    Account,
    /// The provider does not allow it, and perhaps nothing on this account.
    Forbidden,
    /// It was too late to dial within the lease.
    Late,
    /// The worker is shutting down and had not dialled it.
    Shutdown,
}

/// What became of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Deferred {
    /// It waits.
    Deferred,
    /// It had been without capacity 20 times, or forbidden 5 times.
    Failed,
    /// Somebody had asked to cancel it.
    Canceled,
    /// An earlier dial of it was answered.
    Completed,
    /// Its number has joined the do-not-call list.
    Suppressed,
    /// It had moved on before.
    Stale,
    /// There is no such call (any more).
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

    /// After a claim whose reply was lost: what this worker was given there and never
    /// received goes back. `held` is what it does hold. True: all of it went back; false:
    /// somebody holds some of the rows, try again.
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
