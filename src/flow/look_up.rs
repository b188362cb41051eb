//! `look_up`: applies what a provider answered about a dial.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use strum::{IntoStaticStr, VariantNames};

use super::{Error, Queue, read_detail, shares::Shares, wake::Wake};
use crate::{
    domain::{CallId, Reference, Report},
    provider::LookedUp,
};

/// A dial to look up at its provider.
#[derive(Debug, Clone, Deserialize)]
pub struct LookUpDue {
    id: CallId,
    claim_no: i64,
    /// Trunk to look it up on.
    pub trunk: String,
    /// The provider's id of the call, if known.
    pub provider_call_id: Option<String>,
}

impl LookUpDue {
    /// Reference of the dial.
    pub const fn reference(&self) -> Reference {
        Reference {
            call: self.id,
            claim_no: self.claim_no,
        }
    }
}

/// Result of a look-up for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// It moved the call, as a webhook would have.
    Applied,
    /// It has nothing that moves a call.
    Noted,
    /// A webhook came first.
    Stale,
    /// An earlier dial was answered after all.
    LateAnswer,
    /// It is not about this dial.
    Mismatch,
    /// The provider does not know it, which proves nothing yet.
    NotFound,
    /// Proved that the call was not placed; it waits again.
    NotPlaced,
    /// Past its deadline and unknown to the provider: settled as unknown.
    Settled,
}

impl Verdict {
    /// The verdict as a metric label.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Result of a look-up, and what is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// What was done with the call.
    pub verdict: Verdict,
    /// The call is still up past its deadline: ask the provider to end it.
    pub hang_up: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    answer: &'static str,
    report: Option<&'a Report>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    freed: bool,
    hang_up: bool,
}

impl Queue {
    /// Dials to look up now, for each trunk at most its share. They are booked, so that only one of several
    /// workers asks.
    pub async fn look_ups_due(&self, most: &Shares) -> Result<Vec<LookUpDue>, Error> {
        let (due,): (Json<Vec<LookUpDue>>,) =
            sqlx::query_as("select pgdial.look_ups_due($1, $2, $3)")
                .bind(most.trunks())
                .bind(most.counts())
                .bind(self.accounts_of(most.trunks()))
                .fetch_one(&self.pool)
                .await?;
        Ok(due.0)
    }

    /// Applies an answer. `None` means that it says nothing about the dial.
    pub async fn look_up(
        &self,
        dial: Reference,
        answer: &LookedUp,
    ) -> Result<Option<Answered>, Error> {
        let (word, report) = match answer {
            LookedUp::Found(report) => ("found", Some(report)),
            LookedUp::NotFound => ("not_found", None),
            LookedUp::Inconclusive | LookedUp::Unsupported => return Ok(None),
        };
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            answer: word,
            report,
        };
        let sql = "select ordinal, verdict, detail from pgdial.look_up($1, true)";
        let answer = self.apply::<_, Verdict>("look_up", sql, item).await?;
        let detail: Detail = read_detail("look_up", answer.detail);
        if detail.freed {
            self.wake(Wake::Claim);
        }
        Ok(Some(Answered {
            verdict: answer.verdict,
            hang_up: detail.hang_up,
        }))
    }
}
