//! sweep: what time has overtaken; and housekeeping.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::{postgres::types::PgInterval, types::Json};

use super::{Calls, Error, wake::Wake};
use crate::domain::{CallId, Reference};

/// What a sweep did, and what it leaves to do.
#[derive(Debug)]
pub struct Swept {
    /// How long until the next row falls due.
    pub wait: Duration,
    /// How many rows of each kind were moved.
    pub counts: BTreeMap<String, i64>,
    /// Live calls that somebody wishes ended: ask their providers.
    pub cancels: Vec<CancelWish>,
}

/// A live call that somebody wishes ended.
#[derive(Debug, Deserialize)]
pub struct CancelWish {
    id: CallId,
    claim_no: i64,
    /// The account to ask.
    pub trunk: String,
    /// The provider's name for the call.
    pub provider_call_id: String,
}

impl CancelWish {
    /// The dial that it is about.
    pub const fn reference(&self) -> Reference {
        Reference {
            call: self.id,
            claim_no: self.claim_no,
        }
    }
}

/// Rows of each kind in one sweep: small, so that it never holds locks for long.
const BATCH: i32 = 100;

impl Calls {
    /// Settles what time has overtaken. `keep` is how long finished calls stay; none = for ever.
    pub async fn sweep(&self, trunks: &[String], keep: Option<Duration>) -> Result<Swept, Error> {
        let (wait_ms, counts, cancels): (i64, Json<BTreeMap<String, i64>>, Json<Vec<CancelWish>>) =
            sqlx::query_as("select wait_ms, counts, cancels from pgdial.sweep($1, $2, $3)")
                .bind(trunks)
                .bind(keep.map(interval))
                .bind(BATCH)
                .fetch_one(&self.pool)
                .await?;
        let freed = ["not_placed", "unknown", "parked_applied"];
        if freed
            .iter()
            .any(|kind| counts.get(*kind).is_some_and(|count| *count > 0))
        {
            self.wake(Wake::Claim);
        }
        Ok(Swept {
            wait: Duration::from_millis(wait_ms.try_into().unwrap_or(0)),
            counts: counts.0,
            cancels: cancels.0,
        })
    }

    /// Partitions, statistics, forgotten workers: step by step, each a statement of its own, so
    /// that one that fails or takes too long ends alone. Answers what was done, and under `failed`
    /// what was not.
    pub async fn housekeeping(&self, keep: Option<Duration>) -> Result<Value, Error> {
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

fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
    }
}
