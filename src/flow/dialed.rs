//! dialed: dialing, unresolved → `in_call`: the provider has accepted the dial.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::{
    Error, LOCKED_OUT, Queue, read_detail,
    statement::{SMALL, Statement, says},
    wake::Wake,
};
use crate::domain::{CallId, Reference};

/// Result of recording an accepted dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialed {
    /// False if stale: the attempt has ended already, or the row belongs to another claim.
    pub in_call: bool,
    /// The provider returned another id than its webhook had named.
    pub conflict: bool,
}

pub(super) const STATEMENT: Statement = Statement {
    verb: "dialed",
    sql: "select ordinal, verdict, detail from pgdial.dialed($1, $2)",
    held: LOCKED_OUT,
    limits: SMALL,
    wakes: &[
        (Wake::Claim, |_, detail| says(detail, "freed")),
        // A cancellation is requested, and now the call's id at the provider is known.
        (Wake::Sweep, |_, detail| says(detail, "cancel")),
    ],
};

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    provider_call_id: &'a str,
}

#[derive(Deserialize, PartialEq, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Verdict {
    InCall,
    Stale,
    NotFound,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    conflict: bool,
}

impl Queue {
    /// Records the provider's id.
    pub async fn dialed(&self, dial: Reference, provider_call_id: &str) -> Result<Dialed, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            provider_call_id,
        };
        let answer = self.gathered.dialed.apply::<_, Verdict>(&item).await?;
        let detail: Detail = read_detail("dialed", answer.detail);
        Ok(Dialed {
            in_call: answer.verdict == Verdict::InCall,
            conflict: detail.conflict,
        })
    }
}
