//! `workers`: who is there, and who is told to go.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Exit, Failure, Out,
    out::{instant, text},
};
use crate::flow::{Calls, drain::Drained};

/// Worker processes.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum WorkersCommand {
    /// Those of the last day, the latest first.
    List,
    /// Tell one to go: it claims no more, finishes its dials, and a process of `work` ends.
    Drain {
        /// The worker, as `pgdial workers list` shows it.
        #[arg(value_name = "WORKER")]
        id: Uuid,
        /// Kept with the act.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

/// Does it.
pub async fn run(
    command: &WorkersCommand,
    calls: &Calls,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        WorkersCommand::List => list(calls, out).await,
        WorkersCommand::Drain { id, why } => drain(*id, why, calls, by, out).await,
    }
}

async fn list(calls: &Calls, out: &mut Out) -> Result<Exit, Failure> {
    let workers = calls.workers().await?;
    if out.style.json {
        out.json(&workers)?;
        return Ok(Exit::Ok);
    }
    let rows = workers.iter().map(|worker| {
        vec![
            text(&worker["id"]),
            format!("{}:{}", text(&worker["host"]), text(&worker["pid"])),
            state(worker).to_owned(),
            format!("{}/{}", text(&worker["inFlight"]), text(&worker["permits"])),
            names(&worker["trunks"]),
            text(&worker["release"]),
            instant(&worker["seenAt"]),
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

fn state(worker: &Value) -> &'static str {
    let is = |field: &str| worker[field] == Value::Bool(true);
    if is("stopping") {
        "stopped"
    } else if !is("alive") {
        "gone"
    } else if is("draining") {
        "draining"
    } else {
        "alive"
    }
}

fn names(value: &Value) -> String {
    let names = value.as_array().into_iter().flatten().map(text);
    names.collect::<Vec<_>>().join(", ")
}

async fn drain(
    id: Uuid,
    why: &str,
    calls: &Calls,
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
