//! repeat: which dials in doubt are sent again, with the same key.

use serde_json::value::RawValue;
use sqlx::types::Json;

use super::{Calls, Error, claim::read_orders};
use crate::domain::ClaimedCall;

impl Calls {
    /// Dials in doubt whose request is to be sent again now, at most this many, on trunks
    /// that declare that their provider rings once for one key. They are booked: of several
    /// workers one sends. `lease_until` is the end of the time in which it may still ring.
    pub async fn repeats_due(
        &self,
        trunks: &[String],
        limit: usize,
    ) -> Result<Vec<ClaimedCall>, Error> {
        let (due,): (Json<Vec<Box<RawValue>>>,) =
            sqlx::query_as("select pgdial.repeats_due($1, $2)")
                .bind(trunks)
                .bind(i32::try_from(limit).unwrap_or(i32::MAX))
                .fetch_one(&self.pool)
                .await?;
        let (calls, unreadable) = read_orders("repeats_due", &due.0)?;
        for dial in unreadable {
            tracing::error!(call.id = %dial.call, call.claim_no = dial.claim_no, "a dial in doubt cannot be read, and is not sent again");
        }
        Ok(calls)
    }

    /// The provider has no room for a repetition: its trunk waits, so long or a second.
    pub async fn hold_off(&self, trunk: &str, retry_after_sec: Option<u32>) -> Result<(), Error> {
        sqlx::query("select pgdial.hold_off($1, $2)")
            .bind(trunk)
            .bind(retry_after_sec.and_then(|seconds| i32::try_from(seconds).ok()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
