//! `workers`: lists worker processes and drains them.

use serde_json::json;
use uuid::Uuid;

use super::{Exit, Failure, Out, out::instant};
use crate::domain::Why;
use crate::flow::{Queue, drain::Drained, view::Worker};

/// Worker processes.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum WorkersCommand {
    /// List workers seen in the last day, latest first.
    List,
    /// Drain a worker: it claims no more and finishes its dials; a `pgdial work` process then exits.
    Drain {
        /// The worker's id, as in `pgdial workers list`.
        #[arg(value_name = "WORKER")]
        id: Uuid,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Why,
    },
}

/// Runs one `workers` command.
pub async fn run(
    command: &WorkersCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        WorkersCommand::List => list(calls, out).await,
        WorkersCommand::Drain { id, why } => drain(*id, why, calls, by, out).await,
    }
}

async fn list(calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let workers = calls.workers().await?;
    if out.style.json {
        out.json(&workers)?;
        return Ok(Exit::Ok);
    }
    let rows = workers.iter().map(|worker| {
        vec![
            worker.id.to_string(),
            format!("{}:{}", worker.host, worker.pid),
            state(worker).to_owned(),
            format!("{}/{}", worker.in_flight, worker.permits),
            worker.trunks.join(", "),
            worker.release.clone(),
            instant(worker.seen_at),
        ]
    });
    let rows = rows.collect();
    let header = [
        "worker",
        "process",
        "state",
        "in flight/permits",
        "trunks",
        "release",
        "last seen",
    ];
    out.table(&header, rows)?;
    Ok(Exit::Ok)
}

fn state(worker: &Worker) -> &'static str {
    if worker.stopping {
        "stopped"
    } else if !worker.alive {
        "gone"
    } else if worker.draining {
        "draining"
    } else {
        "alive"
    }
}

async fn drain(
    id: Uuid,
    why: &str,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let drained = calls.drain(id, by, why).await?;
    if out.style.json {
        out.json(&json!({ "id": id, "verdict": drained }))?;
    }
    match drained {
        Drained::Draining => {
            out.note("it claims no more; it ends when its dials have ended");
            Ok(Exit::Ok)
        }
        Drained::AlreadyDraining => {
            out.note("it was told before");
            Ok(Exit::Ok)
        }
        Drained::Stopping => {
            out.note("it stops, or has stopped, already");
            Ok(Exit::Ok)
        }
        Drained::NotFound => Err(Failure::failed(format!("there is no worker {id}"))
            .hint("`pgdial workers list` shows those there are")),
    }
}
