//! doubt: dialing → unresolved: nobody knows whether the dial reached the provider.

use serde::{Deserialize, Serialize};

use super::{Calls, Error};
use crate::domain::{CallId, Reference};

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    why: &'a str,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Unresolved,
    Stale,
    NotFound,
}

impl Calls {
    /// Writes the doubt down; false: stale, an event was faster.
    pub async fn doubt(&self, dial: Reference, why: &str) -> Result<bool, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            why,
        };
        let sql = "select ordinal, verdict, detail from pgdial.doubt($1)";
        let verdict = self
            .apply_one::<_, Verdict>("doubt", sql, item)
            .await?
            .verdict;
        Ok(verdict == Verdict::Unresolved)
    }
}
