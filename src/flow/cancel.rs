//! cancel: waiting → canceled; in flight: a wish, written on the row.

use serde::{Deserialize, Serialize};

use super::{Error, Queue, wake::Wake};
use crate::domain::CallId;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canceled {
    /// It will not ring.
    Canceled,
    /// It is in flight: the provider is asked until it agrees or the call ends.
    Requested,
    /// It was over.
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
    /// Cancels a call, or wishes it ended.
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
