//! The too-late check: a stopwatch that keeps running while the machine sleeps.
//!
//! A lease is a promise in database time. A process must not compare it with its own wall clock (P5), but it may
//! measure how long ago it *asked* for the lease: the lease cannot have begun earlier, so by the time less than 30 s
//! of the 60 s lease are left, more than 30 s have passed since asking. The check can only make us do less.
//!
//! `std::time::Instant` will not do: on Linux it stops while the machine is suspended, and a worker that slept
//! through its lease would believe itself in time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;

// On macOS CLOCK_MONOTONIC includes time asleep; on other systems it is the best available.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Measures a duration, including time the machine is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stopwatch {
    started: Duration,
}

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self {
            started: since_boot(),
        }
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        since_boot().saturating_sub(self.started)
    }
}

/// The latest moment at which a dial may begin.
///
/// The stopwatch is started **before** the claim is sent. The lease begins later, so the error, up to the claim's round
/// trip, is on the safe side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Started before the claim was sent.
    #[doc(hidden)]
    pub started: Stopwatch,
    /// Time after the start in which a dial may still begin: the lease minus the longest request.
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
