//! repeat: dials in doubt to send again with the same idempotency key.

use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::types::Json;

use super::{Error, Queue, shares::Shares};
use crate::domain::{CallId, ClaimedCall, Reference};

impl Queue {
    /// Dials in doubt whose request is to be sent again now, for each trunk at most its share.
    ///
    /// Only on trunks that declare that their provider rings once for one key. They are booked, so that only
    /// one of several workers sends. `lease_until` is the end of the time in which it may still ring.
    pub async fn repeats_due(&self, most: &Shares) -> Result<Vec<ClaimedCall>, Error> {
        let (due,): (Json<Vec<Box<RawValue>>>,) =
            sqlx::query_as("select pgdial.repeats_due($1, $2, $3)")
                .bind(most.trunks())
                .bind(most.counts())
                .bind(self.accounts_of(most.trunks()))
                .fetch_one(&self.pool)
                .await?;
        let (calls, unreadable) = read_orders("repeats_due", &due.0)?;
        for dial in unreadable {
            tracing::error!(call.id = %dial.call, call.claim_no = dial.claim_no, "a dial in doubt cannot be read, and is not sent again");
        }
        Ok(calls)
    }

    /// Records that the provider has no capacity for the repetition of this dial.
    pub async fn hold_off(
        &self,
        dial: Reference,
        retry_after_sec: Option<u32>,
        why: &str,
    ) -> Result<(), Error> {
        sqlx::query("select pgdial.hold_off($1, $2, $3)")
            .bind(dial.call.0)
            .bind(retry_after_sec.map(i64::from))
            .bind(why)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[derive(Deserialize)]
struct Name {
    id: CallId,
    claim_no: i64,
}

/// Calls that can be read, and references of those that cannot. Read one by one, so that an unreadable call
/// does not take the others with it.
fn read_orders(
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
