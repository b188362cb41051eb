//! cancel: waiting → canceled; for a call in flight a request, stored on the row.

use serde::{Deserialize, Serialize};

use super::{Error, Queue, wake::Wake};
use crate::domain::CallId;

/// Result of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canceled {
    /// The call will not ring.
    Canceled,
    /// The call is in flight: the provider is asked until it agrees or the call ends.
    Requested,
    /// The call had ended before.
    AlreadyOver,
    /// There is no such call.
    NotFound,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    by: &'a str,
    why: Option<&'a str>,
}

impl Queue {
    /// Cancels a waiting call, or requests the end of one in flight.
    pub async fn cancel(&self, id: CallId, by: &str, why: Option<&str>) -> Result<Canceled, Error> {
        let sql = "select ordinal, verdict, detail from pgdial.cancel_many($1, true)";
        let verdict = self
            .apply("cancel", sql, Item { id, by, why })
            .await?
            .verdict;
        if verdict == Canceled::Requested {
            self.wake(Wake::Sweep);
        }
        Ok(verdict)
    }
}
