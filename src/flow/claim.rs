//! claim: waiting → dialing, behind the gate.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Calls, Error};
use crate::domain::{CallId, ClaimedCall, Reference};

/// What a claim brought.
#[derive(Debug)]
pub struct Claim {
    /// The calls, now this worker's; at most as many as wanted.
    pub calls: Vec<ClaimedCall>,
    /// Claimed, but not readable by this release: nobody can dial them, so end them.
    pub unreadable: Vec<Reference>,
    /// When fewer came than wanted: how long until time alone can open the way.
    pub wait: Option<Duration>,
    /// Another claimer kept the gate for 2 s: try again soon.
    pub gate_timeout: bool,
}

#[derive(Deserialize)]
struct Name {
    id: CallId,
    claim_no: i64,
}

impl Calls {
    /// Claims at most `wanted` due calls on `trunks` for this worker, in one round trip.
    pub async fn claim(
        &self,
        worker: Uuid,
        trunks: &[String],
        wanted: usize,
    ) -> Result<Claim, Error> {
        let (verdict, wait_ms, calls): (String, Option<i64>, Json<Vec<Box<RawValue>>>) =
            sqlx::query_as("select verdict, wait_ms, calls from pgdial.claim($1, $2, $3)")
                .bind(worker)
                .bind(trunks)
                .bind(i32::try_from(wanted).unwrap_or(i32::MAX))
                .fetch_one(&self.pool)
                .await?;
        let (calls, unreadable) = read_orders("claim", &calls.0)?;
        Ok(Claim {
            calls,
            unreadable,
            wait: wait_ms.map(|ms| Duration::from_millis(ms.try_into().unwrap_or(0))),
            gate_timeout: verdict == "gate_timeout",
        })
    }
}

/// The calls that can be read, and the names of those that cannot. One by one: a call that
/// cannot be read must not take the others with it.
pub(super) fn read_orders(
    verb: &'static str,
    calls: &[Box<RawValue>],
) -> Result<(Vec<ClaimedCall>, Vec<Reference>), Error> {
    let (mut readable, mut unreadable) = (Vec::with_capacity(calls.len()), Vec::new());
    for call in calls {
        match serde_json::from_str(call.get()) {
            Ok(call) => readable.push(call),
            Err(error) => {
                let name: Name =
                    serde_json::from_str(call.get()).map_err(|_worse| Error::Contract {
                        verb,
                        got: error.to_string(),
                    })?;
                unreadable.push(Reference {
                    call: name.id,
                    claim_no: name.claim_no,
                });
            }
        }
    }
    Ok((readable, unreadable))
}
