//! heartbeat: a worker shows that it is alive, and hears what it is told.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Error, Queue, health::Work, read_detail};
use crate::db::pool::{SHORT_ANSWER, answered};

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

#[derive(Serialize)]
struct Seen<'a> {
    #[serde(flatten)]
    worker: &'a Worker,
    /// Of its trunks, in their order.
    accounts: Option<Vec<Option<String>>>,
}

/// What a worker is told when it shows itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Told {
    /// To go: claim no more, and end when the dials have ended.
    pub draining: bool,
}

impl Queue {
    /// Says that this worker is alive, and hears what it is told.
    pub async fn heartbeat(&self, worker: &Worker) -> Result<Told, Error> {
        let asked = sqlx::query_as("select pgdial.heartbeat($1)")
            .bind(Json(self.seen(worker)))
            .fetch_one(&self.pool);
        let trying = self.health.trying(Work::Heartbeat);
        let told: Result<(Option<Json<Value>>,), Error> =
            answered(SHORT_ANSWER, asked).await.map_err(Error::from);
        trying.ended(&told);
        let (told,) = told?;
        let told = told.map_or_else(|| Value::Object(Map::default()), |told| told.0);
        Ok(read_detail("heartbeat", told))
    }

    fn seen<'a>(&self, worker: &'a Worker) -> Seen<'a> {
        let accounts = self.accounts_of(&worker.trunks);
        Seen { worker, accounts }
    }
}
