//! amend: changes a waiting call.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Queue, read_detail, wake::Wake};
use crate::domain::CallId;

/// Result of an amendment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amended {
    /// The call was changed.
    Amended,
    /// It has another version.
    Changed,
    /// The call is no longer waiting.
    NotWaiting,
    /// The change is not possible; the text says what to do.
    Invalid(String),
    /// There is no such call.
    NotFound,
}

#[derive(Serialize)]
struct Item<'a> {
    id: CallId,
    by: &'a str,
    why: Option<&'a str>,
    changes: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<&'a [String]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Amended,
    Changed,
    NotWaiting,
    Invalid,
    NotFound,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    problem: String,
}

impl Queue {
    /// Changes a waiting call; `changes` is the object of `PATCH /calls/{id}`.
    pub async fn amend(&self, id: CallId, by: &str, changes: &Value) -> Result<Amended, Error> {
        self.amend_if(id, by, None, changes, None).await
    }

    /// The same, with a reason, and only if the call has one of these versions.
    pub async fn amend_if(
        &self,
        id: CallId,
        by: &str,
        why: Option<&str>,
        changes: &Value,
        versions: Option<&[String]>,
    ) -> Result<Amended, Error> {
        let item = Item {
            id,
            by,
            why,
            changes,
            versions,
        };
        let sql = "select ordinal, verdict, detail from pgdial.amend_many($1, true)";
        let answer = self.apply::<_, Verdict>("amend", sql, item).await?;
        Ok(match answer.verdict {
            Verdict::Amended => {
                self.wake(Wake::Claim);
                Amended::Amended
            }
            Verdict::Changed => Amended::Changed,
            Verdict::NotWaiting => Amended::NotWaiting,
            Verdict::Invalid => {
                let detail: Detail = read_detail("amend", answer.detail);
                Amended::Invalid(detail.problem)
            }
            Verdict::NotFound => Amended::NotFound,
        })
    }
}
