//! redrive: terminal → waiting, with all attempts available again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Error, Queue, read_detail, wake::Wake};
use crate::domain::CallId;

/// Result of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redriven {
    /// The call waits again.
    Waiting,
    /// The call has not ended.
    NotOver,
    /// The call was answered: only with `force`.
    NeedsForce,
    /// Whether it still rings is in doubt: wait for the end of the hold, or release it.
    Held,
    /// The number is on the do-not-call list.
    Suppressed,
    /// The campaign requires consent, and the call has none that is valid.
    NoConsent,
    /// The number was forgotten and cannot be called.
    Forgotten,
    /// The campaign no longer exists.
    UnknownCampaign,
    /// The campaign has ended.
    CampaignOver,
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
    /// Puts a finished call back; `Held` comes with the end of the hold.
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
