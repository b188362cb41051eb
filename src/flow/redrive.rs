//! redrive: terminal → waiting, with all its attempts again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Error, Queue, read_detail, wake::Wake};
use crate::domain::CallId;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redriven {
    /// It waits.
    Waiting,
    /// It is not over yet.
    NotOver,
    /// It was completed: somebody spoke to us; only with `force`.
    NeedsForce,
    /// Nobody knows whether it still rings: wait for the hold, or release it.
    Held,
    /// Its number is on the do-not-call list.
    Suppressed,
    /// Its number was forgotten: there is nobody to ring.
    Forgotten,
    /// Its campaign is gone.
    UnknownCampaign,
    /// There is no such call.
    NotFound,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    by: &'a str,
    why: Option<&'a str>,
    force: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    hold_until: Option<DateTime<Utc>>,
}

impl Queue {
    /// Puts a finished call back; with `Held` comes the end of the hold.
    pub async fn redrive(
        &self,
        id: CallId,
        by: &str,
        why: Option<&str>,
        force: bool,
    ) -> Result<(Redriven, Option<DateTime<Utc>>), Error> {
        let sql = "select ordinal, verdict, detail from pgdial.redrive_many($1, true)";
        let answer = self
            .apply("redrive", sql, Item { id, by, why, force })
            .await?;
        let detail: Detail = read_detail("redrive", answer.detail);
        if answer.verdict == Redriven::Waiting {
            self.wake(Wake::Claim);
        }
        Ok((answer.verdict, detail.hold_until))
    }
}
