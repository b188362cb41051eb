//! What a verb tells its batcher.

use serde_json::Value;

use super::{batcher::Limits, wake::Wake};

/// Small items that end or move an attempt. One statement at a time: a second one would only split the
/// batches, and on a few cores two commits are no faster than one.
pub(super) const SMALL: Limits = Limits {
    items: 250,
    bytes: 256 * 1024,
    writers: 1,
};

/// Whether a verdict with its detail calls for a wake.
pub(super) type Concerns = fn(&str, &Value) -> bool;

/// A verb's SQL, and what its verdicts mean for its batcher.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) verb: &'static str,
    /// Parameters: the items, and whether to wait for their rows.
    pub(super) sql: &'static str,
    /// The verdict after which an item is retried alone.
    pub(super) held: &'static str,
    pub(super) limits: Limits,
    /// Wakes to send, and when.
    pub(super) wakes: &'static [(Wake, Concerns)],
}

/// Whether this flag is set in a verdict's detail.
pub(super) fn says(detail: &Value, name: &str) -> bool {
    detail.get(name).and_then(Value::as_bool).unwrap_or(false)
}
