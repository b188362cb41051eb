//! recover: after a restore of the database, or a failover that may have lost commits.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Calls, Error};
use crate::domain::{CallId, Reference, Report};

/// What a dial that a provider lists was to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovered {
    /// It has this claim; the report counted like a webhook.
    Known,
    /// The claim was lost; the row has it again.
    Adopted,
    /// The call was lost, or had ended, and rings: its number is taken until it is over.
    Held,
    /// Lost, and over by now: nothing to do.
    Over,
    /// It is another trunk's.
    Mismatch,
    /// The row could not be changed: hold its number by hand.
    Failed,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    trunk: &'a str,
    /// As the list says it; what is no number is refused in SQL.
    phone: Option<&'a str>,
    report: &'a Report,
    by: &'a str,
}

impl Calls {
    /// Pauses every trunk and accepts the place where the database runs now. Answers up to
    /// when its commits are known to be there; none = it is empty.
    pub async fn recover_begin(&self, why: &str, by: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let (since,) = sqlx::query_as("select pgdial.recover_begin($1, $2)")
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        Ok(since)
    }

    /// Takes one dial that the provider of this trunk lists.
    pub async fn recover_listed(
        &self,
        trunk: &str,
        dial: Reference,
        report: &Report,
        by: &str,
    ) -> Result<Recovered, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            trunk,
            phone: report.result.get("to").and_then(Value::as_str),
            report,
            by,
        };
        let sql = "select ordinal, verdict, detail from pgdial.recover_listed($1)";
        let answer = self.apply_one::<_, Recovered>("recover", sql, item).await?;
        if answer.verdict == Recovered::Failed {
            tracing::error!(call.id = %dial.call, call.claim_no = dial.claim_no, detail = %answer.detail, "a listed dial cannot be recovered");
        }
        Ok(answer.verdict)
    }

    /// Holds the numbers of the calls on this trunk that may have been dialled in the lost
    /// time, because its provider cannot say. Answers how many.
    pub async fn recover_hold(&self, trunk: &str, by: &str) -> Result<i64, Error> {
        let mut held = 0;
        loop {
            let (batch,): (i32,) = sqlx::query_as("select pgdial.recover_hold($1, $2)")
                .bind(trunk)
                .bind(by)
                .fetch_one(&self.pool)
                .await?;
            if batch == 0 {
                return Ok(held);
            }
            held += i64::from(batch);
        }
    }
}
