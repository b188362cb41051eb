//! resolve: a person says what came of a dial in doubt.

use serde::{Deserialize, Serialize};

use super::{Error, Queue, read_detail, wake::Wake};
use crate::domain::{CallId, CallState, Resolution};

/// Result of a resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolved {
    /// The call is as they said.
    Resolved,
    /// The call waits, is within its deadline, or its end is known.
    NotInDoubt,
    /// The call was answered, so it was placed.
    Answered,
    /// Its request was sent again within the last minute, and may still ring.
    UnderWay,
    /// The call has been claimed again: they mean an earlier dial.
    Stale,
    /// There is no such call.
    NotFound,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    r#as: Resolution,
    by: &'a str,
    why: &'a str,
    claim_no: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    state: Option<CallState>,
}

impl Queue {
    /// Ends a doubt by what a person knows, and returns the call's new state. `claim_no` names the dial; none
    /// means the one in doubt now.
    pub async fn resolve(
        &self,
        id: CallId,
        r#as: Resolution,
        claim_no: Option<i64>,
        by: &str,
        why: &str,
    ) -> Result<(Resolved, Option<CallState>), Error> {
        let sql = "select ordinal, verdict, detail from pgdial.resolve_many($1, true)";
        let item = Item {
            id,
            r#as,
            by,
            why,
            claim_no,
        };
        let answer = self.apply("resolve", sql, item).await?;
        let detail: Detail = read_detail("resolve", answer.detail);
        if answer.verdict == Resolved::Resolved {
            self.wake(Wake::Claim);
        }
        Ok((answer.verdict, detail.state))
    }
}
