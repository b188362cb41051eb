//! heartbeat: a worker reports that it is alive, and learns whether to drain.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Error, Queue, health::Work, read_detail};
use crate::db::pool::{SHORT_ANSWER, answered};

/// A worker process as it reports itself.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    /// New at each start: a reused host name would make a dead worker's claims look alive.
    pub id: Uuid,
    /// Host name of the machine or container.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// Version of pgdial it runs.
    pub release: &'static str,
    /// Dials it may have under way at once.
    pub permits: usize,
    /// Trunks it can dial, by name.
    pub trunks: Vec<String>,
    /// Shutting down: claims nothing more.
    pub stopping: bool,
}

#[derive(Serialize)]
struct Seen<'a> {
    #[serde(flatten)]
    worker: &'a Worker,
    /// Account of each trunk, in the order of `trunks`.
    accounts: Option<Vec<Option<String>>>,
    adapters: Vec<Adapter<'a>>,
}

/// What the adapter of a trunk declares.
#[derive(Serialize)]
struct Adapter<'a> {
    trunk: &'a str,
    account: Option<&'a str>,
    declares: Value,
}

/// What a heartbeat returns to the worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Claim nothing more, and end when the dials have ended.
    pub draining: bool,
}

impl Queue {
    /// Reports that this worker is alive, and returns what it should do.
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

    fn seen<'a>(&'a self, worker: &'a Worker) -> Seen<'a> {
        let adapters = self.trunks.iter().map(|(trunk, known)| Adapter {
            trunk,
            account: known.account.as_deref(),
            declares: known.capabilities.to_json(),
        });
        Seen {
            worker,
            accounts: self.accounts_of(&worker.trunks),
            adapters: adapters.collect(),
        }
    }
}
