//! The heartbeat loop: shows others that this worker is alive, and learns whether it is to drain.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::flow::{Error, Queue, heartbeat::Worker, wake::Wake};

/// Interval between beats. A worker not seen for three times as long counts as gone.
const BEAT: Duration = Duration::from_secs(15);

/// Beats until stopped, then once more to record that it stops. Cancels `drained` when someone drains this worker.
pub async fn run(
    calls: Queue,
    mut worker: Worker,
    stop: CancellationToken,
    drained: CancellationToken,
) -> Result<(), Error> {
    loop {
        worker.stopping = stop.is_cancelled();
        match calls.heartbeat(&worker).await {
            Ok(told) if told.draining && !drained.is_cancelled() => {
                tracing::info!(worker.id = %worker.id, "told to go (drain): nothing more is claimed");
                drained.cancel();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "heartbeat failed; the next one is due in 15 s"
            ),
        }
        if worker.stopping {
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = calls.woken(Wake::Beat) => {}
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}
