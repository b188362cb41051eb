//! Calling hours and calendars: show, set, delete, ask.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    Error, Queue,
    groups::ChangeError,
    view::{Calendar, CallingHours, HoursAnswer},
};

/// Calling hours or a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulesKind {
    /// When people may be rung.
    CallingHours,
    /// Days with hours of their own.
    Calendar,
}

/// Result of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Deleted,
    /// There is none of this name.
    NotFound,
    /// These name it: campaigns, or calling hours.
    InUse(Vec<String>),
}

impl Deletion {
    /// Reads the verdict of this verb, and what is in the way.
    pub(super) fn of(
        verb: &'static str,
        deleted: Result<(String, Option<Vec<String>>), sqlx::Error>,
    ) -> Result<Self, ChangeError> {
        let (verdict, used_by) = deleted.map_err(ChangeError::of)?;
        match verdict.as_str() {
            "deleted" => Ok(Self::Deleted),
            "not_found" => Ok(Self::NotFound),
            "in_use" => Ok(Self::InUse(used_by.unwrap_or_default())),
            _ => Err(Error::Contract { verb, got: verdict }.into()),
        }
    }
}

/// A callee, as far as the question says who and where.
#[derive(Debug, Clone, Default)]
pub struct Callee<'a> {
    /// The number.
    pub to: Option<&'a str>,
    /// IANA time zones.
    pub timezone: Option<&'a [String]>,
    /// Country, or a part of one.
    pub region: Option<&'a str>,
}

impl Queue {
    /// All calling hours, or those with this name; of dated ones the name alone means the newest.
    pub async fn calling_hours(&self, name: Option<&str>) -> Result<Vec<CallingHours>, Error> {
        let sql = include_str!("../../sql/read/calling_hours.sql");
        let rows: Vec<(Json<CallingHours>,)> =
            sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// All calendars, or the one with this name.
    pub async fn calendars(&self, name: Option<&str>) -> Result<Vec<Calendar>, Error> {
        let sql = include_str!("../../sql/read/calendars.sql");
        let rows: Vec<(Json<Calendar>,)> =
            sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Creates or replaces calling hours or a calendar; true if it is new.
    pub async fn set_rules(
        &self,
        kind: RulesKind,
        name: &str,
        rules: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = match kind {
            RulesKind::CallingHours => "select pgdial.set_calling_hours($1, $2, $3, $4)",
            RulesKind::Calendar => "select pgdial.set_calendar($1, $2, $3, $4)",
        };
        let set = sqlx::query_as(sql)
            .bind(name)
            .bind(Json(rules))
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        set.map(|(new,)| new).map_err(ChangeError::of)
    }

    /// Deletes calling hours or a calendar, unless something names it.
    pub async fn delete_rules(
        &self,
        kind: RulesKind,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<Deletion, ChangeError> {
        let (verb, sql) = match kind {
            RulesKind::CallingHours => (
                "delete_calling_hours",
                "select verdict, used_by from pgdial.delete_calling_hours($1, $2, $3)",
            ),
            RulesKind::Calendar => (
                "delete_calendar",
                "select verdict, used_by from pgdial.delete_calendar($1, $2, $3)",
            ),
        };
        let deleted = sqlx::query_as(sql)
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        Deletion::of(verb, deleted)
    }

    /// What calling hours say of one callee at one instant, or now.
    pub async fn hours_for(
        &self,
        hours: &str,
        basis: Option<&str>,
        callee: &Callee<'_>,
        at: Option<DateTime<Utc>>,
    ) -> Result<HoursAnswer, ChangeError> {
        let sql = "select pgdial.hours_for($1, $2, $3, $4, $5, coalesce($6, pgdial.now()))";
        let answer = sqlx::query_as(sql)
            .bind(hours)
            .bind(basis)
            .bind(callee.to)
            .bind(callee.timezone)
            .bind(callee.region)
            .bind(at)
            .fetch_one(&self.pool)
            .await;
        let (Json(answer),) = answer.map_err(ChangeError::of)?;
        Ok(answer)
    }
}
