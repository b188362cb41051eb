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
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Amended,
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
        self.amend_because(id, by, None, changes).await
    }

    /// The same, with a reason.
    pub async fn amend_because(
        &self,
        id: CallId,
        by: &str,
        why: Option<&str>,
        changes: &Value,
    ) -> Result<Amended, Error> {
        let sql = "select ordinal, verdict, detail from pgdial.amend_many($1, true)";
        let answer = self
            .apply::<_, Verdict>(
                "amend",
                sql,
                Item {
                    id,
                    by,
                    why,
                    changes,
                },
            )
            .await?;
        Ok(match answer.verdict {
            Verdict::Amended => {
                self.wake(Wake::Claim);
                Amended::Amended
            }
            Verdict::NotWaiting => Amended::NotWaiting,
            Verdict::Invalid => {
                let detail: Detail = read_detail("amend", answer.detail);
                Amended::Invalid(detail.problem)
            }
            Verdict::NotFound => Amended::NotFound,
        })
    }
}
