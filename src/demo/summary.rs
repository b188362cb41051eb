//! The demo's figures, from the history of its calls alone.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{domain::CallState, flow::read::Happened};

/// What the history says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Calls enqueued.
    pub calls: usize,
    /// How many ended in each state.
    pub ended: BTreeMap<String, usize>,
    /// How the attempts ended.
    pub outcomes: BTreeMap<String, usize>,
    /// Attempts begun.
    pub attempts: usize,
    /// Attempts after the first.
    pub retries: usize,
    /// Calls in flight at the end of the history.
    pub in_flight: usize,
    /// The most calls in flight at once.
    pub slots_used: usize,
    /// Milliseconds from enqueue to claim, of calls that found a free slot.
    pub pickup_ms: Vec<f64>,
    /// Milliseconds from a slot becoming free to the next claim, while calls were due.
    pub refill_ms: Vec<f64>,
}

impl Summary {
    /// Reads a history in its order; `slots` is the cap.
    pub fn of(history: &[Happened], slots: usize) -> Self {
        let mut summary = Self::default();
        let mut enqueued = BTreeMap::new();
        let mut freed_at: Option<DateTime<Utc>> = None;
        for event in history {
            match event.kind.as_str() {
                "waiting" => {
                    summary.calls += 1;
                    enqueued.insert(event.dial.call, event.at);
                }
                "active" => {
                    summary.attempts += 1;
                    summary.in_flight += 1;
                    summary.slots_used = summary.slots_used.max(summary.in_flight);
                    let first = enqueued.remove(&event.dial.call);
                    summary.retries += usize::from(first.is_none());
                    if let Some(freed) = freed_at.take() {
                        summary.refill_ms.push(ms(freed, event.at));
                    } else if let Some(waiting) = first
                        && summary.attempts <= slots
                    {
                        summary.pickup_ms.push(ms(waiting, event.at));
                    }
                }
                "completed" | "retried" | "failed" | "canceled" | "deferred"
                    if summary.in_flight > 0 =>
                {
                    if let Some(outcome) = &event.outcome {
                        *summary.outcomes.entry(outcome.clone()).or_default() += 1;
                    }
                    // Only a full house with calls behind it says how fast a slot is refilled.
                    freed_at =
                        (summary.in_flight == slots && !enqueued.is_empty()).then_some(event.at);
                    summary.in_flight -= 1;
                }
                _ => {}
            }
            if CallState::ALL
                .iter()
                .any(|state| state.is_terminal() && state.as_str() == event.kind)
            {
                *summary.ended.entry(event.kind.clone()).or_default() += 1;
            }
        }
        summary
    }

    /// How many calls have ended.
    pub fn over(&self) -> usize {
        self.ended.values().sum()
    }
}

/// The value below which this share (0 to 1) of the values lies; none of no values.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a small list"
    )]
    let at = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(at).copied()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of a short run fit"
)]
fn ms(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).num_microseconds().unwrap_or(i64::MAX) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{CallId, Reference};

    fn happened(at_ms: i64, kind: &str, call: u128, claim_no: i64) -> Happened {
        Happened {
            at: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(at_ms),
            kind: kind.to_owned(),
            dial: Reference {
                call: CallId(Uuid::from_u128(call)),
                claim_no,
            },
            outcome: None,
        }
    }

    #[test]
    fn a_history_with_one_slot_tells_pickup_refill_and_retries() {
        let summary = Summary::of(
            &[
                happened(0, "waiting", 1, 0),
                happened(0, "waiting", 2, 0),
                happened(3, "active", 1, 1),
                happened(100, "retried", 1, 1),
                happened(102, "active", 2, 1),
                happened(200, "completed", 2, 1),
                happened(900, "active", 1, 2),
                happened(950, "failed", 1, 2),
            ],
            1,
        );
        assert_eq!(
            (summary.calls, summary.attempts, summary.retries),
            (2, 3, 1)
        );
        assert_eq!((summary.slots_used, summary.over()), (1, 2));
        assert_eq!(summary.pickup_ms, [3.0]);
        assert_eq!(summary.refill_ms, [2.0]);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.99), Some(3.0));
    }
}
