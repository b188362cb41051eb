//! version: whether something is still as somebody has seen it.

use serde_json::Value;
use sqlx::types::Json;

use super::{Error, Queue, groups::ChangeError};

/// What has a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioned {
    /// A call, by its id.
    Call,
    /// A campaign, by its name.
    Campaign,
    /// A trunk, by its name.
    Trunk,
    /// An endpoint, by its name.
    Endpoint,
}

impl Versioned {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Campaign => "campaign",
            Self::Trunk => "trunk",
            Self::Endpoint => "endpoint",
        }
    }
}

/// Result of a change that depends on the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditional {
    /// It was changed.
    Set,
    /// Somebody else has changed it meanwhile.
    Changed,
    /// There is none of this name.
    NotFound,
}

impl Queue {
    /// Version of what has this name; none if there is nothing of it.
    pub async fn version(&self, of: Versioned, name: &str) -> Result<Option<String>, Error> {
        let (version,) = sqlx::query_as("select pgdial.version_of($1, $2)")
            .bind(of.as_str())
            .bind(name)
            .fetch_one(&self.pool)
            .await?;
        Ok(version)
    }

    /// Changes a campaign, a trunk or an endpoint, if it has one of these versions.
    pub async fn set_if_unchanged(
        &self,
        of: Versioned,
        name: &str,
        versions: &[String],
        changes: &Value,
        (by, why): (&str, Option<&str>),
    ) -> Result<Conditional, ChangeError> {
        let (verdict,): (String,) =
            sqlx::query_as("select pgdial.set_if_unchanged($1, $2, $3, $4, $5, $6)")
                .bind(of.as_str())
                .bind(name)
                .bind(versions)
                .bind(Json(changes))
                .bind(why)
                .bind(by)
                .fetch_one(&self.pool)
                .await
                .map_err(ChangeError::of)?;
        match verdict.as_str() {
            "set" => Ok(Conditional::Set),
            "changed" => Ok(Conditional::Changed),
            "not_found" => Ok(Conditional::NotFound),
            _ => Err(Error::Contract {
                verb: "set_if_unchanged",
                got: verdict,
            }
            .into()),
        }
    }
}
