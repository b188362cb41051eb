//! What workers say about their dials, and how attempts end.

use pgdial::{
    domain::{CallState, Outcome, Reference},
    flow::{
        defer::{DeferReason, Deferred},
        dialed::Dialed,
        settle::Settled,
    },
};
use uuid::Uuid;

use super::{Due, Known, MINUTE, Model, Moment, SECOND, evidence::Kind};

/// Why a dial that rings nobody is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    Capacity {
        retry_after: Option<Moment>,
        reason: &'static str,
    },
    NumberLimit {
        retry_after: Option<Moment>,
    },
    Account,
    Forbidden {
        reason: &'static str,
    },
    Fault,
    Late,
    AtOnce,
}

impl Model {
    /// The provider accepted the dial.
    pub(crate) fn dialed(&mut self, dial: Reference, provider_id: &str) -> Dialed {
        let mut answer = Dialed {
            in_call: false,
            conflict: false,
        };
        let Some(index) = self.present(dial) else {
            return answer;
        };
        let call = &mut self.calls[index];
        if call
            .provider_id
            .as_deref()
            .is_some_and(|id| id != provider_id)
        {
            call.note("conflict");
            answer.conflict = true;
        }
        if call.state.is_in_flight() {
            answer.in_call = true;
            call.provider_id
                .get_or_insert_with(|| provider_id.to_owned());
            call.lease_until = None;
            let trunk = call.trunk.unwrap();
            if call.state != CallState::InCall {
                call.state = CallState::InCall;
                call.note("in_call");
                self.accepted(index, trunk);
            }
            self.match_parked(index, trunk, provider_id);
            self.trunks[trunk].breaker.works();
        }
        answer
    }

    /// The provider certainly refused it.
    pub(crate) fn settle(&mut self, dial: Reference, outcome: Outcome) -> Settled {
        let Some(index) = self.in_flight(dial) else {
            return Settled::Stale;
        };
        let call = &self.calls[index];
        if call.state == CallState::InCall {
            return Settled::Stale; // it is at the provider, whatever its answer said
        } else if outcome != Outcome::ProviderFault {
            self.works(call.trunk.unwrap());
        } else if self.weigh(index, Kind::Fault, "said so", None) {
            self.put_back(index, Back::Fault);
            return self.settled(index, Settled::Deferred);
        }
        self.end_attempt(index, outcome);
        if outcome == Outcome::Blocked {
            self.weigh(index, Kind::Refused, "said so", None);
        }
        self.settled(index, Settled::Retried)
    }

    /// The verdict for a worker; `waiting` is the one for a call that waits again.
    fn settled(&self, index: usize, waiting: Settled) -> Settled {
        match self.calls[index].state {
            CallState::Waiting => waiting,
            CallState::Completed => Settled::Completed,
            CallState::Canceled => Settled::Canceled,
            CallState::Suppressed => Settled::Suppressed,
            _ => Settled::Failed,
        }
    }

    pub(crate) fn defer(
        &mut self,
        dial: Reference,
        reason: DeferReason,
        retry_after_sec: Option<u32>,
    ) -> Deferred {
        let index = self.in_flight(dial);
        let Some(index) = index.filter(|at| self.calls[*at].state != CallState::InCall) else {
            return Deferred::Stale; // in a call it is at the provider, whatever its answer said
        };
        let retry_after = retry_after_sec.map(|seconds| Moment::from(seconds) * SECOND);
        self.put_back(
            index,
            match reason {
                DeferReason::Capacity => Back::Capacity {
                    retry_after,
                    reason: "said so",
                },
                DeferReason::NumberLimit => Back::NumberLimit { retry_after },
                DeferReason::Forbidden => Back::Forbidden { reason: "said so" },
                DeferReason::Account => Back::Account,
                DeferReason::Late => Back::Late,
                DeferReason::Shutdown => Back::AtOnce,
            },
        );
        match self.calls[index].state {
            CallState::Waiting => Deferred::Deferred,
            CallState::Canceled => Deferred::Canceled,
            CallState::Suppressed => Deferred::Suppressed,
            CallState::Completed => Deferred::Completed,
            _ => Deferred::Failed,
        }
    }

    /// Nobody knows whether it reached the provider. Returns whether the doubt is recorded.
    pub(crate) fn doubt(&mut self, dial: Reference) -> bool {
        let index = self.in_flight(dial);
        let Some(index) = index.filter(|at| self.calls[*at].state == CallState::Dialing) else {
            return false;
        };
        let call = &mut self.calls[index];
        call.state = CallState::Unresolved;
        call.lease_until = None;
        call.note("unresolved");
        self.weigh(index, Kind::Fault, "no answer", None);
        true
    }

    /// Puts back the worker's own dials that it never heard of, while their lease holds.
    pub(crate) fn give_back(&mut self, worker: Uuid, held: &[Reference]) {
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            let reference = Reference {
                call: call.id,
                claim_no: call.claim_no(),
            };
            if call.state == CallState::Dialing
                && call.dials.last().is_some_and(|dial| dial.worker == worker)
                && call.lease_until > Some(self.now)
                && !held.contains(&reference)
            {
                self.put_back(index, Back::AtOnce);
            }
        }
    }

    /// A dial that rings nobody: the call waits again, the attempt not counted.
    pub(super) fn put_back(&mut self, index: usize, why: Back) {
        let now = self.now;
        match why {
            Back::Capacity {
                retry_after,
                reason,
            } => {
                self.weigh(index, Kind::Capacity, reason, retry_after);
            }
            Back::Forbidden { reason } => {
                self.weigh(index, Kind::Forbidden, reason, None);
            }
            Back::Account => self.trunks[self.calls[index].trunk.unwrap()].paused = true,
            _ => {}
        }
        let call = &self.calls[index];
        if call.cancel_requested {
            return self.end_attempt(index, Outcome::Canceled);
        }
        if call.answered_at.is_some() {
            return self.end_attempt(index, Outcome::Answered); // an earlier dial was
        }
        let is_full = matches!(why, Back::Capacity { .. } | Back::NumberLimit { .. });
        if is_full && call.deferrals >= 20 {
            return self.end_attempt(index, Outcome::Capacity);
        }
        if matches!(why, Back::Forbidden { .. }) && call.forbidden >= 5 {
            return self.end_attempt(index, Outcome::Account);
        }
        let forbidden = self.is_forbidden(call.request.number);
        let call = &mut self.calls[index];
        call.attempt -= 1;
        if forbidden {
            call.end(CallState::Suppressed, now);
            return call.note("suppressed");
        }
        let run_at = match why {
            Back::Capacity { retry_after, .. } | Back::NumberLimit { retry_after } => {
                let pause = retry_after
                    .unwrap_or(0)
                    .max(SECOND << call.deferrals)
                    .min(5 * MINUTE);
                call.deferrals += 1;
                call.outcome = Some(Outcome::Capacity);
                now + pause
            }
            Back::Account => {
                call.outcome = Some(Outcome::Account);
                now + 5 * SECOND
            }
            Back::Forbidden { .. } => {
                call.outcome = Some(Outcome::Account);
                call.forbidden += 1;
                now + ((5 * SECOND) << (call.forbidden - 1))
            }
            Back::Fault | Back::Late => now + 5 * SECOND,
            Back::AtOnce => now.min(call.run_at.earliest),
        };
        let hold = call.hold_until.unwrap_or(run_at);
        call.wait_again(Due::at(run_at.max(hold)));
        call.note("deferred");
    }

    /// How an attempt ends, whoever found out.
    pub(super) fn end_attempt(&mut self, index: usize, outcome: Outcome) {
        let now = self.now;
        let forbidden = self.is_forbidden(self.calls[index].request.number);
        let retry = self.retry(index, outcome);
        let call = &mut self.calls[index];
        let answered = call.answered_at.is_some();
        let outcome = match outcome {
            outcome if answered => after_an_answer(outcome),
            other => other,
        };
        call.outcome = Some(outcome);
        let reached = matches!(outcome, Outcome::Answered | Outcome::Voicemail);
        if outcome == Outcome::Unknown {
            // It may still ring: the slot is freed, the number is not.
            let until = call.deadline_at.unwrap() + call.latest().max_duration;
            call.hold(until);
            call.dial(call.claim_no()).known = Some(Known::UpUntil(until));
        }
        if reached || (call.cancel_requested && answered) {
            call.answered_at.get_or_insert(now);
            call.end(CallState::Completed, now);
            call.note("completed");
        } else if call.cancel_requested || outcome == Outcome::Canceled {
            call.end(CallState::Canceled, now);
            call.note("canceled");
        } else if let Some(retry) = retry {
            if forbidden {
                call.end(CallState::Suppressed, now);
                call.note("suppressed");
            } else {
                call.wait_again(retry.not_before(call.hold_until.unwrap_or(0)));
                call.note("retried");
            }
        } else {
            call.end(CallState::Failed, now);
            call.note("failed");
        }
    }

    /// When an attempt with this outcome is retried: not after an answer, not after the last attempt, not if the
    /// outcome is final.
    fn retry(&self, index: usize, outcome: Outcome) -> Option<Due> {
        let (call, lane) = (&self.calls[index], self.campaign_of(index));
        let base = match outcome {
            Outcome::Busy => lane.busy_base,
            Outcome::NoAnswer => lane.no_answer_base,
            Outcome::Unreachable | Outcome::ProviderFault => lane.fault_base,
            Outcome::Unknown if lane.redial_unknown => lane.fault_base,
            _ => return None,
        };
        if call.answered_at.is_some() || call.attempt >= call.max_attempts {
            return None;
        }
        Some(self.backoff(index, base))
    }

    /// Doubles with each attempt, capped, with jitter.
    pub(super) fn backoff(&self, index: usize, base: Moment) -> Due {
        let (call, lane) = (&self.calls[index], self.campaign_of(index));
        let pause = lane.backoff_cap.min(base << (call.attempt.max(1) - 1));
        Due {
            // Postgres rounds to whole microseconds.
            earliest: self.now + pause / 10 * 8 - 1,
            latest: self.now + pause / 10 * 12 + 1,
        }
    }
}

/// Outcome of an attempt that was answered, by the provider's word for its end.
pub(super) const fn after_an_answer(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unreachable => Outcome::ProviderFault,
        Outcome::Canceled => Outcome::Answered,
        other => other,
    }
}
