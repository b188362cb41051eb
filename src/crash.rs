//! Crash points: places where a test ends or stops this process, as `kill -9` and
//! `kill -STOP` from outside would, but at a moment that no outside can hit.
//!
//! `CRASH_POINT_FILE` names a file. When a process comes to a point and the file says
//! its name and `kill` or `stop`, that happens: once, since the file is taken away first.
//! So a running process can be armed at any time, and a restarted one is not. Points:
//!
//! - `claimed`: the claim is committed, the dial has not begun
//! - `dialed`: the provider has answered, nothing is recorded
//! - `recorded`: something is recorded, the others are not told yet
//! - `webhook_received`: a webhook is believed, nothing is kept
//! - `webhook_committed`: it is kept and applied, the provider does not know

use std::{ffi::OsString, fs, sync::LazyLock, thread, time::Duration};

use rustix::process::{Signal, getpid, kill_process};

static ORDERS: LazyLock<Option<OsString>> = LazyLock::new(|| std::env::var_os("CRASH_POINT_FILE"));

/// This process is at the point.
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
    // Whoever removes it has the order: another thread may be at the same point.
    if fs::remove_file(file).is_ok() && kill_process(getpid(), signal).is_ok() {
        // The signal is the process's, and another thread may take it: this one must not
        // go on meanwhile.
        thread::sleep(Duration::from_millis(200));
    }
}
