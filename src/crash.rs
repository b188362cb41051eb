//! Crash points: places where a test kills or stops this process, as `kill -9` and `kill -STOP` would from outside,
//! but at a moment no outsider can hit.
//!
//! `CRASH_POINT_FILE` names a file. A process that reaches a point named in the file, together with `kill` or `stop`,
//! does that to itself, once, because it removes the file first. So a running process can be armed at any time, and a
//! restarted one is not armed. Points:
//!
//! - `claimed`: the claim is committed, the dial has not begun
//! - `dialed`: the provider has answered, nothing is recorded
//! - `recorded`: a transition is committed, other processes are not woken yet
//! - `webhook_received`: a webhook is verified, nothing is stored
//! - `webhook_committed`: it is stored and applied, the provider does not know

use std::{ffi::OsString, fs, sync::LazyLock, thread, time::Duration};

use rustix::process::{Signal, getpid, kill_process};

static ORDERS: LazyLock<Option<OsString>> = LazyLock::new(|| std::env::var_os("CRASH_POINT_FILE"));

/// Dies or stops here if the file says so.
pub(crate) fn point(name: &str) {
    let Some(file) = ORDERS.as_ref() else { return };
    let Ok(order) = fs::read_to_string(file) else {
        return;
    };
    let signal = match order.trim().split_once(' ') {
        Some((wanted, "kill")) if wanted == name => Signal::KILL,
        Some((wanted, "stop")) if wanted == name => Signal::STOP,
        _ => return,
    };
    // Whoever removes the file executes it: another thread may be at the same point.
    if fs::remove_file(file).is_ok() && kill_process(getpid(), signal).is_ok() {
        // The signal is sent to the process, and another thread may receive it first; this one must not go on
        // meanwhile.
        thread::sleep(Duration::from_millis(200));
    }
}
