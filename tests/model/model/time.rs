//! What time overtakes: the sweep, questions to providers, and the next moment that matters.

use pgdial::domain::{CallState, Outcome, Reference};

use super::{Call, LookUp, MINUTE, Model, Moment, SECOND};

impl Model {
    /// Settles what time has overtaken.
    pub(crate) fn sweep(&mut self) {
        let now = self.now;
        let passed = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        for call in &mut self.calls {
            if call.state == CallState::Dialing && passed(call.lease_until) {
                call.state = CallState::Unresolved;
                call.lease_until = None;
                call.note("unresolved");
            }
        }
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            if call.state.is_in_flight() && passed(call.deadline_at) {
                self.overdue(index);
            }
        }
        for call in &mut self.calls {
            if call.state == CallState::Waiting && passed(call.expires_at) {
                call.end(CallState::Expired, now);
                call.note("expired");
            }
        }
        self.sweep_forbidden();
        self.sweep_parked();
    }

    /// Past its deadline. A provider that can be asked is asked first, minute by minute, for at most `max_duration`.
    fn overdue(&mut self, index: usize) {
        let (now, own) = (self.now, self.own_deadline(index));
        let last = own + self.calls[index].latest().max_duration;
        let call = &mut self.calls[index];
        let can_ask = self.trunks[call.trunk.unwrap()].look_up != LookUp::None;
        if can_ask && now < last {
            if call.deadline_at <= Some(own) {
                call.note("overdue");
            }
            call.deadline_at = Some(now + MINUTE);
            call.look_up_at = Some(now);
        } else {
            self.end_attempt(index, Outcome::Unknown);
        }
    }

    pub(super) fn own_deadline(&self, index: usize) -> Moment {
        own_deadline(&self.calls[index])
    }

    /// Calls to numbers on the do-not-call list end. An entry is checked for a minute, for enqueues that had read the
    /// list before it was added.
    fn sweep_forbidden(&mut self) {
        let now = self.now;
        for entry in self.forbidden.iter_mut().filter(|entry| entry.pending) {
            for call in &mut self.calls {
                if call.request.number == entry.number && call.state == CallState::Waiting {
                    call.end(CallState::Suppressed, now);
                    call.note("suppressed");
                }
            }
            entry.pending = entry.at >= now - MINUTE;
        }
    }

    /// Dials that their providers are to be asked about; books each.
    pub(crate) fn look_ups_due(&mut self) -> Vec<Reference> {
        let mut due = Vec::new();
        for index in 0..self.calls.len() {
            let Some(at) = self.look_up_due(index) else {
                continue;
            };
            let (now, call) = (self.now, &mut self.calls[index]);
            if at <= now {
                // The next "not found" may first count a minute after the first one.
                let first = call.not_found_since.filter(|since| *since > now - MINUTE);
                let counts = first.map_or(Moment::MAX, |since| since + MINUTE - now);
                let half = (now - call.claimed_at) / 2;
                let rest = half.min(counts).clamp(5 * SECOND, 2 * MINUTE);
                call.look_up_at = Some(now + rest);
                due.push(Reference {
                    call: call.id,
                    claim_no: call.claim_no(),
                });
            }
        }
        due
    }

    /// A doubt is asked about 5 s after its claim, an accepted call after half of its longest possible time, but not
    /// within 5 s and at the latest after 2 minutes.
    fn look_up_due(&self, index: usize) -> Option<Moment> {
        let call = &self.calls[index];
        let first = match call.state {
            CallState::Unresolved => 5 * SECOND,
            CallState::InCall => {
                let told = call.latest();
                let longest = told.ring_timeout + told.max_duration;
                (longest / 2).clamp(5 * SECOND, 2 * MINUTE)
            }
            _ => return None,
        };
        let can_ask = self.trunks[call.trunk.unwrap()].look_up != LookUp::None;
        can_ask.then(|| call.look_up_at.unwrap_or(call.claimed_at + first))
    }

    /// Coming moments at which something is due, soonest first: where off-by-one errors of time hide.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut moments: Vec<Moment> = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            moments.extend(call.lease_until);
            moments.extend(call.deadline_at);
            moments.extend(call.hold_until);
            moments.extend(self.look_up_due(index));
            if call.state == CallState::Waiting {
                moments.push(call.run_at.latest);
                moments.extend(call.expires_at);
            }
        }
        for trunk in &self.trunks {
            moments.extend(trunk.breaker.not_before());
        }
        moments.retain(|at| *at > self.now);
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

/// The deadline set by the claim; sweeps may have postponed it.
pub(super) fn own_deadline(call: &Call) -> Moment {
    let told = call.latest();
    call.claimed_at + told.ring_timeout + told.max_duration + 2 * MINUTE
}
