//! The too-late check: a stopwatch that goes on while the machine sleeps.
//!
//! A lease is a promise in database time. A process may not compare it with its own
//! wall clock (P5), but it may measure how long ago it *asked* for the lease: the
//! lease cannot have begun before that, so "asked more than 30 s ago" is true no
//! later than "less than 30 s of the 60 s lease are left". The check can only make us
//! do less.
//!
//! `std::time::Instant` will not do: on Linux it stands still while the machine is
//! suspended, and a worker that slept through its lease would find itself in time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;

// On macOS CLOCK_MONOTONIC counts the time asleep; elsewhere it is the best there is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Measures a duration, time asleep included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stopwatch {
    started: Duration,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self {
            started: since_boot(),
        }
    }

    /// How long ago it was started.
    pub fn elapsed(self) -> Duration {
        since_boot().saturating_sub(self.started)
    }
}

/// The latest moment at which a dial may begin.
///
/// The stopwatch is started **before** the claim is sent: the lease begins later than
/// that, so the error is on the safe side by the claim's round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Started before the claim was sent.
    #[doc(hidden)]
    pub started: Stopwatch,
    /// How long after that a dial may still begin: the lease without the time that a
    /// request may take.
    #[doc(hidden)]
    pub latest_start: Duration,
}

impl Deadline {
    /// Too late to begin.
    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.latest_start
    }
}

fn since_boot() -> Duration {
    // Neither field of this clock is ever negative; zero would only mean "long ago".
    let now = clock_gettime(CLOCK);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopwatch_never_goes_backwards() {
        let watch = Stopwatch::start();
        let first = watch.elapsed();
        assert!(watch.elapsed() >= first);
    }

    #[test]
    fn a_deadline_of_nothing_is_over_at_once_and_a_long_one_is_not() {
        let started = Stopwatch::start();
        let over = Deadline {
            started,
            latest_start: Duration::ZERO,
        };
        let open = Deadline {
            started,
            latest_start: Duration::from_hours(1),
        };
        assert!(over.is_over());
        assert!(!open.is_over());
    }
}
