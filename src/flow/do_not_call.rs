//! The do-not-call list.

use sqlx::types::Json;

use super::{Error, Queue, view::DoNotCallEntry};
use crate::domain::Phone;

/// Result for one number of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// The number was added.
    Added,
    /// The number was on the list before.
    Listed,
    /// Not a telephone number.
    Invalid,
}

impl Queue {
    /// Adds a number; false if it was on the list. Waiting calls to it are suppressed at once.
    pub async fn do_not_call_add(
        &self,
        phone: &Phone,
        by: &str,
        reason: &str,
    ) -> Result<bool, Error> {
        let (added,) = sqlx::query_as("select pgdial.do_not_call_add($1, $2, $3)")
            .bind(phone.as_e164())
            .bind(reason)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        Ok(added)
    }

    /// Adds numbers, each with its reason, in one statement; returns a result for each, in their order.
    /// Durable when this returns.
    pub async fn do_not_call_add_many(
        &self,
        entries: &[(Phone, String)],
        by: &str,
    ) -> Result<Vec<Listing>, Error> {
        let phones: Vec<&str> = entries.iter().map(|(phone, _)| phone.as_e164()).collect();
        let reasons: Vec<&str> = entries.iter().map(|(_, reason)| reason.as_str()).collect();
        let sql = "select pgdial.do_not_call_add_many($1, $2, $3)";
        let (verdicts,): (Vec<String>,) = sqlx::query_as(sql)
            .bind(phones)
            .bind(reasons)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        let listings = verdicts.into_iter().map(|verdict| match verdict.as_str() {
            "added" => Ok(Listing::Added),
            "listed" => Ok(Listing::Listed),
            "invalid" => Ok(Listing::Invalid),
            _ => Err(Error::Contract {
                verb: "do_not_call_add_many",
                got: verdict,
            }),
        });
        listings.collect()
    }

    /// Removes a number; false if it was not on the list.
    pub async fn do_not_call_remove(
        &self,
        phone: &Phone,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, Error> {
        let sql = "select pgdial.do_not_call_remove($1, $2, $3)";
        let (removed,) = sqlx::query_as(sql)
            .bind(phone.as_e164())
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        Ok(removed)
    }

    /// The newest entries, at most `limit`.
    pub async fn do_not_call_list(&self, limit: i64) -> Result<Vec<DoNotCallEntry>, Error> {
        let rows: Vec<(Json<DoNotCallEntry>,)> =
            sqlx::query_as(include_str!("../../sql/read/do_not_call.sql"))
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }
}
