//! The `pgdial` program: reads what is asked for, starts the log, and does it.

use std::process::ExitCode;

use pgdial::cli::{Exit, Invocation};

fn main() -> ExitCode {
    // Settings come first: nothing is bound or connected to while one of them is wrong.
    let invocation = match Invocation::of_process() {
        Ok(invocation) => invocation,
        Err(end) => return end,
    };
    if let Err(end) = invocation.start_log() {
        return end;
    }
    // Dropped after the runtime: what the last calls left is sent then.
    let _traces = invocation.start_traces();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(invocation.run()),
        Err(error) => {
            tracing::error!(%error, "the system gives no threads");
            Exit::Internal.into()
        }
    }
}
