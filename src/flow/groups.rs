//! Campaigns and trunks: show, create, set.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use super::{
    Error, Queue,
    view::{Campaign, Preview, Trunk},
};

/// A campaign or a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// A named group of calls on a trunk, with its own cap and policies.
    Campaign,
    /// A provider account.
    Trunk,
}

impl GroupKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Trunk => "trunk",
        }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A value is not valid; the text says which and why.
    #[error("{0}")]
    Refused(String),
    /// The trunk of the campaign or caller id does not exist.
    #[error("there is no trunk of this name")]
    UnknownTrunk,
    /// The database failed.
    #[error(transparent)]
    Flow(#[from] Error),
}

impl ChangeError {
    /// Turns a database error about a value into words for the client.
    pub(super) fn of(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(refusal)
                if refusal
                    .constraint()
                    .is_some_and(|constraint| TRUNK.contains(&constraint)) =>
            {
                Self::UnknownTrunk
            }
            sqlx::Error::Database(refusal) if is_about_input(refusal.code().as_deref()) => {
                Self::Refused(refusal.message().to_owned())
            }
            error => Self::Flow(error.into()),
        }
    }
}

impl Queue {
    /// All campaigns, or the one with this name.
    pub async fn campaigns(&self, name: Option<&str>) -> Result<Vec<Campaign>, Error> {
        let sql = include_str!("../../sql/read/campaigns.sql");
        let rows: Vec<(Json<Campaign>,)> =
            sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// All trunks, or the one with this name.
    pub async fn trunks(&self, name: Option<&str>) -> Result<Vec<Trunk>, Error> {
        let sql = include_str!("../../sql/read/trunks.sql");
        let rows: Vec<(Json<Trunk>,)> =
            sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// What would be dialed of a campaign's waiting calls at this instant, or when it starts, or now. `None` if there
    /// is none with this name.
    pub async fn preview(
        &self,
        name: &str,
        at: Option<DateTime<Utc>>,
    ) -> Result<Option<Preview>, Error> {
        let (preview,): (Option<Json<Preview>>,) =
            sqlx::query_as("select pgdial.preview_campaign($1, $2)")
                .bind(name)
                .bind(at)
                .fetch_one(&self.pool)
                .await?;
        Ok(preview.map(|preview| preview.0))
    }

    /// Creates a campaign or trunk; false if the name is taken.
    pub async fn create_group(
        &self,
        kind: GroupKind,
        name: &str,
        changes: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = match kind {
            GroupKind::Campaign => "select pgdial.create_campaign($1, $2, $3, $4)",
            GroupKind::Trunk => "select pgdial.create_trunk($1, $2, $3, $4)",
        };
        self.change(sql, name, changes, (by, why)).await
    }

    /// Changes a campaign or trunk; false if there is none with this name.
    pub async fn set_group(
        &self,
        kind: GroupKind,
        name: &str,
        changes: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = match kind {
            GroupKind::Campaign => "select pgdial.set_campaign($1, $2, $3, $4)",
            GroupKind::Trunk => "select pgdial.set_trunk($1, $2, $3, $4)",
        };
        self.change(sql, name, changes, (by, why)).await
    }

    pub(super) async fn change(
        &self,
        sql: &'static str,
        name: &str,
        changes: &Value,
        (by, why): (&str, Option<&str>),
    ) -> Result<bool, ChangeError> {
        let answer = sqlx::query_as(sql)
            .bind(name)
            .bind(Json(changes))
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        answer.map(|(done,)| done).map_err(ChangeError::of)
    }
}

/// Constraints that a trunk exists.
const TRUNK: [&str; 2] = ["campaigns_trunk_fkey", "caller_ids_trunk_fkey"];

/// SQLSTATE class 22 (data) and 23 (constraints), and a cursor whose event is gone: the value is wrong, not the
/// database.
fn is_about_input(code: Option<&str>) -> bool {
    let is_cursor = |code: &str| ["PDGON", "PDMOV"].contains(&code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23") || is_cursor(code))
}
