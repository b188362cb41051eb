//! Workers that are alive.

use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Calls, Error};

/// A worker process, as it shows itself to the others.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    /// Made afresh at each start: a host name that comes back would make a dead worker's claims look alive.
    pub id: Uuid,
    /// Where it runs.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Its release of pgdial.
    pub release: &'static str,
    /// Dials that it makes at once.
    pub permits: usize,
    /// The trunks that it can dial.
    pub trunks: Vec<String>,
    /// It no longer claims.
    pub stopping: bool,
}

impl Calls {
    /// Says that this worker is alive.
    pub async fn worker_seen(&self, worker: &Worker) -> Result<(), Error> {
        sqlx::query("select pgdial.worker_seen($1)")
            .bind(Json(worker))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
