//! doubt: dialing → unresolved: it is unknown whether the dial reached the provider.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::{
    Error, LOCKED_OUT, Queue,
    statement::{SMALL, Statement},
    wake::Wake,
};
use crate::domain::{CallId, Reference};

pub(super) const STATEMENT: Statement = Statement {
    verb: "doubt",
    sql: "select ordinal, verdict, detail from pgdial.doubt($1, $2)",
    held: LOCKED_OUT,
    limits: SMALL,
    wakes: &[
        // If the provider can be asked, the sweep does so from 5 s after the claim on.
        (Wake::Sweep, |verdict, _| verdict == "unresolved"),
        // A campaign on trial may dial another call.
        (Wake::Claim, |_, _| true),
    ],
};

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    why: &'a str,
}

#[derive(Deserialize, PartialEq, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Verdict {
    Unresolved,
    Stale,
    NotFound,
}

impl Queue {
    /// Records the doubt; false if stale: an event came first.
    pub async fn doubt(&self, dial: Reference, why: &str) -> Result<bool, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            why,
        };
        let verdict = self
            .gathered
            .doubt
            .apply::<_, Verdict>(&item)
            .await?
            .verdict;
        Ok(verdict == Verdict::Unresolved)
    }
}
