//! A door for `benches/`: reading what a claim answered. Not an interface: it changes with
//! the code behind it.

use serde_json::value::RawValue;

use super::{Error, claim};
use crate::domain::{ClaimedCall, Reference};

/// The calls of a claim's answer, and the names of those that cannot be read.
pub fn orders(calls: &[Box<RawValue>]) -> Result<(Vec<ClaimedCall>, Vec<Reference>), Error> {
    claim::read_orders("claim", calls)
}
