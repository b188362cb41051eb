//! The too-late check: a stopwatch that keeps running while the machine sleeps.
//!
//! A lease is a promise in database time. A process must not compare it with its own wall clock (P5), but it may
//! measure how long ago it *asked* for the lease: the lease cannot have begun earlier, so whatever ends within its length
//! after asking ends within the lease. The check can only make us do less.
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

/// Length of a lease if the platform places calls within the usual time; `stamp_all` and `pgdial.lease` have it too.
pub const SHORTEST_LEASE: Duration = Duration::from_mins(1);
/// No adapter gets a longer one: a call whose worker died is in doubt only when it is over.
const LONGEST_LEASE: Duration = Duration::from_mins(5);
/// A dial begins at most this long after its claim was sent.
const LATEST_START: Duration = Duration::from_secs(30);
/// A repetition begins at most this long after the database was asked for it.
const LATEST_REPEAT: Duration = Duration::from_secs(10);

/// Lease of a dial whose request may take this long.
pub(crate) fn lease_for(place_timeout: Duration) -> Duration {
    let needed = LATEST_START.saturating_add(place_timeout);
    needed.clamp(SHORTEST_LEASE, LONGEST_LEASE)
}

/// When a dial may begin, and when it must have ended: while nobody else may take over its call (P1).
///
/// The stopwatch is started **before** the claim is sent. The lease begins later, so the error, up to the claim's round
/// trip, is on the safe side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    started: Stopwatch,
    latest_start: Duration,
    latest_end: Duration,
}

impl Deadline {
    /// Of the dial of a claim with this lease.
    #[doc(hidden)]
    pub fn of_claim(started: Stopwatch, lease: Duration) -> Self {
        Self::within(started, LATEST_START, lease)
    }

    /// Of the repetition of a dial with this lease.
    pub(crate) fn of_repeat(started: Stopwatch, lease: Duration) -> Self {
        Self::within(started, LATEST_REPEAT, lease)
    }

    fn within(started: Stopwatch, latest_start: Duration, lease: Duration) -> Self {
        Self {
            started,
            latest_start: latest_start.min(lease),
            latest_end: lease,
        }
    }

    /// Too late to begin.
    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.latest_start
    }

    /// Time until the dial must have ended.
    pub fn left(&self) -> Duration {
        self.latest_end.saturating_sub(self.started.elapsed())
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

    /// A dial that takes as long as it may, begun as late as it may, ends while its lease still holds.
    #[test]
    fn whatever_an_adapter_wants_a_dial_fits_into_its_lease() {
        for place_timeout in [
            Duration::ZERO,
            Duration::from_secs(30),
            Duration::from_mins(2),
            Duration::MAX,
        ] {
            let lease = lease_for(place_timeout);
            assert!((SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease));
            for of in [Deadline::of_claim, Deadline::of_repeat] {
                let deadline = of(Stopwatch::start(), lease);
                assert!(deadline.latest_end <= lease && deadline.left() <= lease);
                // What the platform's own client waits is had, unless it is beyond all measure.
                let needed = deadline.latest_start.saturating_add(place_timeout);
                assert!(needed <= deadline.latest_end || lease == LONGEST_LEASE);
            }
        }
        assert_eq!(lease_for(Duration::from_secs(30)), SHORTEST_LEASE);
    }

    #[test]
    fn a_deadline_of_nothing_is_over_at_once_and_a_long_one_is_not() {
        let started = Stopwatch::start();
        let over = Deadline::of_claim(started, Duration::ZERO);
        let open = Deadline::of_claim(started, Duration::from_hours(1));
        assert!(over.is_over() && over.left().is_zero());
        assert!(!open.is_over() && !open.left().is_zero());
    }
}
