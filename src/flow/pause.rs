//! pause, resume: stop and restart the dialing of a campaign or trunk, or the deliveries to an endpoint.

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
        Ok(self.pause_a(kind.as_str(), name, by, why).await?)
    }

    /// Resumes it. False if there is none with this name.
    pub async fn resume(
        &self,
        kind: GroupKind,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let resumed = self.resume_a(kind.as_str(), name, by, why).await;
        resumed.map_err(ChangeError::of)
    }

    /// Sends nothing to this endpoint until it is resumed; its events are kept. False if there is none with this name.
    pub async fn pause_endpoint(&self, name: &str, by: &str, why: &str) -> Result<bool, Error> {
        Ok(self.pause_a("endpoint", name, by, why).await?)
    }

    /// Delivers to it again, first what has waited. False if there is none with this name.
    pub async fn resume_endpoint(
        &self,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, Error> {
        Ok(self.resume_a("endpoint", name, by, why).await?)
    }

    async fn pause_a(
        &self,
        kind: &str,
        name: &str,
        by: &str,
        why: &str,
    ) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select pgdial.pause($1, $2, $3, $4)")
            .bind(kind)
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await
    }

    async fn resume_a(
        &self,
        kind: &str,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select pgdial.resume($1, $2, $3, $4)")
            .bind(kind)
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await
    }
}
