//! recover: after a restore of the database, or a failover that may have lost commits.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Queue, wake::Wake};
use crate::domain::{CallId, Reference, Report};

/// State of a listed dial in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovered {
    /// The database has this claim; the report counted like a webhook.
    Known,
    /// The claim was lost; the row has it again.
    Adopted,
    /// The call was lost, or had ended, or another call has its number: the number is taken until it is over.
    Held,
    /// Lost, and ended by now: nothing to do.
    Over,
    /// It belongs to another trunk.
    Mismatch,
    /// A person must look: the log says why.
    Failed,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    claim_no: i64,
    trunk: &'a str,
    /// As the provider lists it; SQL refuses what is not a number.
    phone: Option<&'a str>,
    /// Account that lists it.
    account: Option<&'a str>,
    report: &'a Report,
}

impl Queue {
    /// Pauses every trunk, and returns since when commits may be lost.
    ///
    /// That is `since` or, if the database is known to have moved, the last time before. None if it has not:
    /// then `since` is required.
    pub async fn recover_begin(
        &self,
        since: Option<DateTime<Utc>>,
        why: &str,
        by: &str,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let (since,) = sqlx::query_as("select pgdial.recover_begin($1, $2, $3)")
            .bind(since)
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
    ) -> Result<Recovered, Error> {
        let item = Item {
            id: dial.call,
            claim_no: dial.claim_no,
            trunk,
            phone: report.result.get("to").and_then(Value::as_str),
            account: self
                .trunks
                .get(trunk)
                .and_then(|known| known.account.as_deref()),
            report,
        };
        let sql = "select ordinal, verdict, detail from pgdial.recover_listed($1, true)";
        match self.apply("recover", sql, item).await {
            Ok(answer) => Ok(answer.verdict),
            Err(Error::Refused { why }) => {
                tracing::error!(call.id = %dial.call, call.claim_no = dial.claim_no, why, "a listed dial cannot be recovered");
                Ok(Recovered::Failed)
            }
            Err(error) => Err(error),
        }
    }

    /// Holds a trunk whose provider cannot list its calls: it dials nothing until the longest call that may
    /// be up has ended. None if there is no such trunk.
    pub async fn recover_hold(&self, trunk: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let (until,) = sqlx::query_as("select pgdial.recover_hold($1)")
            .bind(trunk)
            .fetch_one(&self.pool)
            .await?;
        Ok(until)
    }

    /// Accepts where the database runs now, and judges again what webhooks said about lost claims meanwhile.
    /// Returns the number of events.
    pub async fn recover_end(&self, by: &str) -> Result<i32, Error> {
        let (replayed,) = sqlx::query_as("select pgdial.recover_end($1)")
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        self.wake(Wake::Claim);
        Ok(replayed)
    }
}
