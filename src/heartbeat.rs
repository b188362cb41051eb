//! The heartbeat loop: this worker shows the others that it is alive, and hears whether it is
//! told to go.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::flow::{Error, Queue, heartbeat::Worker, wake::Wake};

/// How often. A worker not seen for three times as long counts as gone.
const BEAT: Duration = Duration::from_secs(15);

/// Loop: beats until stopped, and then once more to say that it stops. `drained` is cancelled
/// when somebody tells this worker to go.
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
