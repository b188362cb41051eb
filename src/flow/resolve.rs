//! resolve: a person knows what came of a dial that pgdial cannot explain.

use serde::{Deserialize, Serialize};

use super::{Error, Queue, read_detail, wake::Wake};
use crate::domain::{CallId, CallState, Resolution};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolved {
    /// It is as they said.
    Resolved,
    /// It waits, is within its deadline, or its end is known.
    NotInDoubt,
    /// Somebody spoke to us, so it was placed.
    Answered,
    /// Its request was sent again within the last minute: that may ring.
    UnderWay,
    /// It has been claimed again: they speak of an earlier dial.
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
    /// Ends a doubt by what a person knows; with it comes the state in which the call is now.
    /// `claim_no`: of the dial that they speak of; none = whichever is in doubt now.
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
