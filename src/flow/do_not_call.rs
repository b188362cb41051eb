//! The do-not-call list.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{Error, Queue, groups::ChangeError, view::DoNotCallEntry};
use crate::domain::Phone;

/// Entries of one number that are read.
const MOST_OF_ONE: i64 = 100;

/// Result for one number of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// The number was added, or its entry extended.
    Added,
    /// The number was on the list before.
    Listed,
    /// Not a telephone number.
    Invalid,
}

/// Where an entry of the list holds, and until when; by default everywhere, for ever. A topic and a campaign exclude
/// each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only calls of campaigns with this topic.
    pub topic: Option<String>,
    /// Only calls of this campaign.
    pub campaign: Option<String>,
    /// When the entry ends.
    pub until: Option<DateTime<Utc>>,
}

impl Queue {
    /// Adds a number everywhere, for ever; see [`Queue::do_not_call_add_in`].
    pub async fn do_not_call_add(
        &self,
        phone: &Phone,
        by: &str,
        reason: &str,
    ) -> Result<bool, ChangeError> {
        self.do_not_call_add_in(&Scope::default(), phone, by, reason)
            .await
    }

    /// Adds a number, or extends its entry of this scope; false if nothing changed. Waiting calls to it are suppressed
    /// at once.
    pub async fn do_not_call_add_in(
        &self,
        scope: &Scope,
        phone: &Phone,
        by: &str,
        reason: &str,
    ) -> Result<bool, ChangeError> {
        let sql = "select pgdial.do_not_call_add($1, $2, $3, $4, $5, $6)";
        let (added,) = sqlx::query_as(sql)
            .bind(phone.as_e164())
            .bind(reason)
            .bind(by)
            .bind(scope.topic.as_deref())
            .bind(scope.campaign.as_deref())
            .bind(scope.until)
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        Ok(added)
    }

    /// Adds numbers, each with its reason, in one statement; returns a result for each, in their order.
    /// Durable when this returns.
    pub async fn do_not_call_add_many(
        &self,
        scope: &Scope,
        entries: &[(Phone, String)],
        by: &str,
    ) -> Result<Vec<Listing>, ChangeError> {
        let phones: Vec<&str> = entries.iter().map(|(phone, _)| phone.as_e164()).collect();
        let reasons: Vec<&str> = entries.iter().map(|(_, reason)| reason.as_str()).collect();
        let sql = "select pgdial.do_not_call_add_many($1, $2, $3, $4, $5, $6)";
        let (verdicts,): (Vec<String>,) = sqlx::query_as(sql)
            .bind(phones)
            .bind(reasons)
            .bind(by)
            .bind(scope.topic.as_deref())
            .bind(scope.campaign.as_deref())
            .bind(scope.until)
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        let listings = verdicts.into_iter().map(|verdict| match verdict.as_str() {
            "added" => Ok(Listing::Added),
            "listed" => Ok(Listing::Listed),
            "invalid" => Ok(Listing::Invalid),
            _ => Err(ChangeError::Flow(Error::Contract {
                verb: "do_not_call_add_many",
                got: verdict,
            })),
        });
        listings.collect()
    }

    /// Removes a number's entry that holds everywhere; false if there was none. Others stay.
    pub async fn do_not_call_remove(
        &self,
        phone: &Phone,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        self.do_not_call_remove_in(&Scope::default(), phone, by, why)
            .await
    }

    /// Removes a number's entry of this topic or campaign; false if there was none.
    pub async fn do_not_call_remove_in(
        &self,
        scope: &Scope,
        phone: &Phone,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = "select pgdial.do_not_call_remove($1, $2, $3, $4, $5)";
        let (removed,) = sqlx::query_as(sql)
            .bind(phone.as_e164())
            .bind(why)
            .bind(by)
            .bind(scope.topic.as_deref())
            .bind(scope.campaign.as_deref())
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        Ok(removed)
    }

    /// The newest entries, at most `limit`.
    pub async fn do_not_call_list(&self, limit: i64) -> Result<Vec<DoNotCallEntry>, Error> {
        self.do_not_call_entries(None, limit).await
    }

    /// The entries of a number, in whatever scope.
    pub async fn do_not_call_of(&self, phone: &Phone) -> Result<Vec<DoNotCallEntry>, Error> {
        self.do_not_call_entries(Some(phone), MOST_OF_ONE).await
    }

    async fn do_not_call_entries(
        &self,
        phone: Option<&Phone>,
        limit: i64,
    ) -> Result<Vec<DoNotCallEntry>, Error> {
        let rows: Vec<(Json<DoNotCallEntry>,)> =
            sqlx::query_as(include_str!("../../sql/read/do_not_call.sql"))
                // With and without a number it needs other plans.
                .persistent(false)
                .bind(phone.map(Phone::as_e164))
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }
}
