//! claim: waiting → dialing, behind the gate.

use std::time::Duration;

use sqlx::types::Json;
use uuid::Uuid;

use super::{Calls, Error};
use crate::domain::ClaimedCall;

/// What a claim brought.
#[derive(Debug)]
pub struct Claim {
    /// The calls, now this worker's; at most as many as wanted.
    pub calls: Vec<ClaimedCall>,
    /// When fewer came than wanted: how long until time alone can open the way.
    pub wait: Option<Duration>,
    /// Another claimer kept the gate for 2 s: try again soon.
    pub gate_timeout: bool,
}

impl Calls {
    /// Claims at most `wanted` due calls on `trunks` for this worker, in one round trip.
    pub async fn claim(
        &self,
        worker: Uuid,
        trunks: &[String],
        wanted: usize,
    ) -> Result<Claim, Error> {
        let (verdict, wait_ms, calls): (String, Option<i64>, Json<Vec<ClaimedCall>>) =
            sqlx::query_as("select verdict, wait_ms, calls from pgdial.claim($1, $2, $3)")
                .bind(worker)
                .bind(trunks)
                .bind(i32::try_from(wanted).unwrap_or(i32::MAX))
                .fetch_one(&self.pool)
                .await?;
        Ok(Claim {
            calls: calls.0,
            wait: wait_ms.map(|ms| Duration::from_millis(ms.try_into().unwrap_or(0))),
            gate_timeout: verdict == "gate_timeout",
        })
    }
}
