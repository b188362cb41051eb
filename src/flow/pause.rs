//! pause, resume: stop and start the dialing of a campaign or of a trunk.

use super::{Error, Queue, lanes::LaneKind};

impl Queue {
    /// Stops its dialing before the next claim; live calls are left alone. False: no such one.
    pub async fn pause(
        &self,
        kind: LaneKind,
        name: &str,
        by: &str,
        why: &str,
    ) -> Result<bool, Error> {
        let (found,) = sqlx::query_as("select pgdial.pause($1, $2, $3, $4)")
            .bind(kind.as_str())
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        Ok(found)
    }

    /// Starts its dialing again. False: no such one.
    pub async fn resume(
        &self,
        kind: LaneKind,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, Error> {
        let (found,) = sqlx::query_as("select pgdial.resume($1, $2, $3, $4)")
            .bind(kind.as_str())
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await?;
        Ok(found)
    }
}
