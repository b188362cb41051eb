//! pause, resume: stop and restart the dialing of a campaign or trunk.

use super::{
    Error, Queue,
    groups::{ChangeError, GroupKind},
};

impl Queue {
    /// Pauses it before the next claim; calls in flight are left alone. False if there is none with this
    /// name.
    pub async fn pause(
        &self,
        kind: GroupKind,
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

    /// Resumes it. False if there is none with this name.
    pub async fn resume(
        &self,
        kind: GroupKind,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let (found,) = sqlx::query_as("select pgdial.resume($1, $2, $3, $4)")
            .bind(kind.as_str())
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await
            .map_err(ChangeError::of)?;
        Ok(found)
    }
}
