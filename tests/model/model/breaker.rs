//! What the provider's recent responses allow.

use super::{MINUTE, Moment, SECOND};

#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    pub(crate) faults: i32,
    probes: u32,
    pub(crate) open: bool,
    not_before: Option<Moment>,
}

impl Breaker {
    /// Until when nothing is dialled.
    pub(crate) fn not_before(&self) -> Option<Moment> {
        self.not_before
    }

    /// When open, it lets one call at a time probe: each probe blocks the trunk for 30 s.
    pub(crate) fn allows(&self, now: Moment) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    pub(super) fn probe(&mut self, now: Moment) {
        if self.open {
            self.probes += 1;
            self.not_before = Some(now + 30 * SECOND);
        }
    }

    /// Opens after five faults in a row, if they speak about the whole trunk. Returns whether it is open.
    pub(super) fn fault(&mut self, of_trunk: bool, now: Moment) -> bool {
        self.faults += 1;
        self.open |= self.faults >= 5 && of_trunk;
        if self.open {
            self.not_before = Some(now + MINUTE.min(SECOND << self.probes.min(10)));
        }
        self.open
    }

    /// A response that shows that the provider works.
    pub(super) fn works(&mut self) {
        if self.faults > 0 {
            *self = Self::default();
        }
    }

    pub(super) fn hold_off(&mut self, pause: Moment, now: Moment) {
        let until = now + pause.clamp(SECOND, MINUTE);
        self.not_before = Some(self.not_before.map_or(until, |at| at.max(until)));
    }
}
