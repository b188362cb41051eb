//! sweep: settles or reconciles what time has overtaken.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use sqlx::{postgres::types::PgInterval, types::Json};

use super::{Error, Queue, health::Work, wake::Wake};
use crate::domain::{CallId, Reference};

/// What a sweep did, and what is left to do.
#[derive(Debug)]
pub struct Swept {
    /// Time until the next row falls due.
    pub wait: Duration,
    /// Rows moved, by kind.
    pub counts: BTreeMap<String, i64>,
    /// Calls in flight to end: ask their providers.
    pub cancels: Vec<CancelRequest>,
}

/// A requested cancellation of a call in flight.
#[derive(Debug, Deserialize)]
pub struct CancelRequest {
    id: CallId,
    claim_no: i64,
    /// Trunk to ask on.
    pub trunk: String,
    /// The provider's id of the call.
    pub provider_call_id: String,
}

impl CancelRequest {
    /// Reference of the dial.
    pub const fn reference(&self) -> Reference {
        Reference {
            call: self.id,
            claim_no: self.claim_no,
        }
    }
}

/// Rows of each kind in one sweep: few, so that locks are held briefly.
const BATCH: i32 = 100;

impl Queue {
    /// Settles what time has overtaken. `keep` is the retention of finished calls; none means for ever.
    pub async fn sweep(&self, trunks: &[String], keep: Option<Duration>) -> Result<Swept, Error> {
        type Row = (i64, Json<BTreeMap<String, i64>>, Json<Vec<CancelRequest>>);
        let trying = self.health.trying(Work::Sweep);
        let row: Result<Row, Error> =
            sqlx::query_as("select wait_ms, counts, cancels from pgdial.sweep($1, $2, $3, $4)")
                .bind(trunks)
                .bind(keep.map(interval))
                .bind(BATCH)
                .bind(self.accounts_of(trunks))
                .fetch_one(&self.pool)
                .await
                .map_err(Error::from);
        trying.ended(&row);
        let (wait_ms, counts, cancels) = row?;
        let freed = ["not_placed", "unknown", "parked_applied"];
        if freed
            .iter()
            .any(|kind| counts.get(*kind).is_some_and(|count| *count > 0))
        {
            self.wake(Wake::Claim);
        }
        Ok(Swept {
            wait: Duration::from_millis(wait_ms.try_into().unwrap_or(0)),
            counts: counts.0,
            cancels: cancels.0,
        })
    }
}

pub(super) fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
    }
}
