//! The fake provider's own clock.
//!
//! Real providers have one too, independent of ours: it decides nothing about a row. It stamps the ledger and
//! the signatures, and judges `X-Dial-Before`.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, SecondsFormat};

/// Milliseconds since 1970; monotonic within the process, whatever the host's clock does.
pub(super) fn unix_ms() -> i64 {
    static LATEST: AtomicI64 = AtomicI64::new(0);
    let now = host_ms();
    LATEST.fetch_max(now, Ordering::SeqCst).max(now)
}

/// As platforms write it: `2026-01-02T03:04:05.006Z`.
pub(super) fn rfc3339(unix_ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fake provider stands for another company, whose clock is not the database's"
)]
fn host_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
