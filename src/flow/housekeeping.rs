//! housekeeping: run once a minute, by one worker.

use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::types::Json;

use super::{Error, Queue, health::Work, sweep::interval};

impl Queue {
    /// Maintains partitions, statistics and forgotten workers.
    ///
    /// Each step is a statement of its own, so that one that fails or takes too long ends alone. Returns what
    /// was done, and under `failed` what was not.
    pub async fn housekeeping(&self, keep: Option<Duration>) -> Result<Value, Error> {
        let trying = self.health.trying(Work::Housekeeping);
        let kept = self.take_steps(keep).await;
        let failed = kept.as_ref().ok().and_then(|done| done.get("failed"));
        match failed
            .and_then(Value::as_object)
            .and_then(|all| all.iter().next())
        {
            Some((step, why)) => trying.failed(format!("{step}: {why}")),
            None => trying.ended(&kept),
        }
        kept
    }

    async fn take_steps(&self, keep: Option<Duration>) -> Result<Value, Error> {
        let steps: Vec<(String,)> =
            sqlx::query_as("select s.step from pgdial.housekeeping_steps s order by s.ordinal")
                .fetch_all(&self.pool)
                .await?;
        let (mut done, mut failed) = (Map::new(), Map::new());
        for (step,) in steps {
            let asked: Result<(Json<Map<String, Value>>,), sqlx::Error> =
                sqlx::query_as("select pgdial.housekeeping($1, $2)")
                    .bind(keep.map(interval))
                    .bind(&step)
                    .fetch_one(&self.pool)
                    .await;
            match asked {
                Ok((Json(mut answer),)) => {
                    if let Some(Value::Object(troubles)) = answer.remove("failed") {
                        failed.extend(troubles);
                    }
                    done.append(&mut answer);
                }
                Err(error) => {
                    failed.insert(step, error.to_string().into());
                }
            }
        }
        if !failed.is_empty() {
            done.insert("failed".to_owned(), failed.into());
        }
        Ok(done.into())
    }
}
