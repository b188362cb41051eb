//! The heartbeat loop: this worker shows the others that it is alive.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::flow::{Calls, Error, workers::Worker};

/// How often. A worker not seen for three times as long counts as gone.
const BEAT: Duration = Duration::from_secs(15);

/// Loop: beats until stopped, and then once more to say that it stops.
pub async fn run(calls: Calls, mut worker: Worker, stop: CancellationToken) -> Result<(), Error> {
    loop {
        worker.stopping = stop.is_cancelled();
        if let Err(error) = calls.worker_seen(&worker).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "heartbeat failed; the next one is due in 15 s"
            );
        }
        if worker.stopping {
            return Ok(());
        }
        stop.run_until_cancelled(tokio::time::sleep(BEAT)).await;
    }
}
