//! What providers report, by webhook or when asked, and what it means for a call.

use pgdial::{
    domain::{CallState, Outcome, Reference, Report, ReportKind},
    flow::{look_up, webhook::Verdict},
    provider::LookedUp,
};

use super::{
    Call, Delivery, Due, HOUR, Kept, Known, LookUp, MINUTE, Model, Moment, SECOND,
    attempt::{Back, after_an_answer},
};

/// The call an event is about: that of its reference, else the trunk's newest with the provider's id.
#[derive(Debug, Clone, Copy)]
enum About {
    Call(usize),
    /// A reference that no call has.
    Nothing,
    /// A provider's id that is not stored yet.
    Unknown,
}

impl Model {
    /// One delivery: stored once, applied once. The same id with another body is another event.
    pub(crate) fn webhook(&mut self, delivery: Delivery) -> Verdict {
        let same = |kept: &Kept| {
            let (known, new) = (&kept.delivery, &delivery);
            (known.trunk, known.reference, &known.event_id, &known.report)
                == (new.trunk, new.reference, &new.event_id, &new.report)
        };
        let about = self.event_call(&delivery);
        if matches!(about, About::Unknown) && self.is_foreign(&delivery) {
            return Verdict::Foreign;
        }
        if let Some(known) = self.kept.iter().position(same) {
            self.kept[known].deliveries += 1;
            return match (self.kept[known].verdict, about) {
                (Verdict::Unmatched, About::Unknown) => Verdict::Duplicate,
                (Verdict::Parked | Verdict::Unmatched, about) => self.apply_kept(known, about),
                _ => Verdict::Duplicate,
            };
        }
        let names_nothing =
            delivery.named().is_none() && delivery.report.provider_call_id.is_none();
        let verdict = match delivery.report.kind {
            ReportKind::Unparsable => Verdict::Unparsable,
            _ if names_nothing => Verdict::Unmatched,
            _ => Verdict::Parked,
        };
        self.kept.push(Kept {
            delivery,
            verdict,
            deliveries: 1,
            received: self.now,
            try_at: self.now + SECOND,
        });
        if verdict == Verdict::Parked {
            self.apply_kept(self.kept.len() - 1, about)
        } else {
            verdict
        }
    }

    fn event_call(&self, delivery: &Delivery) -> About {
        let known = |index: Option<usize>| index.map_or(About::Nothing, About::Call);
        if let Some(reference) = delivery.reference {
            return known(self.find(reference.call));
        }
        let in_body = delivery.named().and_then(|named| self.find(named.call));
        in_body.map_or_else(|| self.by_name(delivery), About::Call)
    }

    /// Not about a call from here, unless a dial whose id nobody knows is in doubt.
    fn is_foreign(&self, delivery: &Delivery) -> bool {
        let may_be_ours = |call: &Call| {
            call.trunk == Some(delivery.trunk)
                && call.state == CallState::Unresolved
                && call.provider_id.is_none()
        };
        (delivery.report.foreign || delivery.named().is_some())
            && !self.calls.iter().any(may_be_ours)
    }

    fn by_name(&self, delivery: &Delivery) -> About {
        let known = |index: Option<usize>| index.map_or(About::Nothing, About::Call);
        let named = |call: &&Call| {
            call.trunk == Some(delivery.trunk)
                && call.provider_id.is_some()
                && call.provider_id == delivery.report.provider_call_id
        };
        let newest = self.calls.iter().filter(named).max_by_key(|call| call.id);
        newest.map_or(About::Unknown, |call| known(self.find(call.id)))
    }

    fn apply_kept(&mut self, kept: usize, about: About) -> Verdict {
        let delivery = self.kept[kept].delivery.clone();
        let verdict = match about {
            About::Unknown => return Verdict::Parked, // its id may be stored any moment
            About::Nothing => Verdict::Stale,
            About::Call(index) => {
                let present = self.calls[index].claim_no();
                let claim_no = delivery.named().map_or(present, |dial| dial.claim_no);
                self.adopt_name(kept, index);
                self.apply_report(index, claim_no, delivery.trunk, &delivery.report)
            }
        };
        self.kept[kept].verdict = verdict;
        verdict
    }

    /// The first report at its URL names the dial, whatever the response to the dial said.
    fn adopt_name(&mut self, kept: usize, index: usize) {
        let delivery = &self.kept[kept].delivery;
        let (report, call) = (&delivery.report, &self.calls[index]);
        let Some(dial) = delivery.reference else {
            return;
        };
        let named_before = self.kept.iter().enumerate().any(|(at, other)| {
            at != kept
                && other.verdict == Verdict::Applied
                && (other.delivery.trunk, other.delivery.reference)
                    == (delivery.trunk, delivery.reference)
                && other.delivery.report.provider_call_id.is_some()
        });
        let is_odd = |known: &String| report.provider_call_id.as_ref().is_some_and(|n| n != known);
        if matches!(
            report.kind,
            ReportKind::Progress | ReportKind::Answered | ReportKind::Ended
        ) && (dial.claim_no, Some(delivery.trunk)) == (call.claim_no(), call.trunk)
            && call.state.is_in_flight()
            && call.provider_id.as_ref().is_some_and(is_odd)
            && report
                .reference
                .as_ref()
                .is_none_or(|named| *named == dial.to_string())
            && matches!(self.by_name(delivery), About::Unknown)
            && !named_before
        {
            let name = report.provider_call_id.clone();
            self.calls[index].provider_id = name;
            self.calls[index].note("renamed");
        }
    }

    /// Whether an event is waiting for a call with this name.
    fn is_awaited(&self, trunk: usize, name: Option<&String>) -> bool {
        self.kept.iter().any(|kept| {
            matches!(kept.verdict, Verdict::Parked | Verdict::Unmatched)
                && kept.delivery.trunk == trunk
                && self.is_unclaimed(&kept.delivery)
                && name.is_some()
                && kept.delivery.report.provider_call_id.as_ref() == name
        })
    }

    /// Whether an event names no dial of a call that is known.
    fn is_unclaimed(&self, delivery: &Delivery) -> bool {
        let named = delivery.named();
        delivery.reference.is_none() && named.is_none_or(|dial| self.find(dial.call).is_none())
    }

    /// Applies events that came before the provider's id was stored.
    pub(super) fn match_parked(&mut self, index: usize, trunk: usize, provider_id: &str) {
        for kept in 0..self.kept.len() {
            let Kept {
                delivery, verdict, ..
            } = &self.kept[kept];
            if matches!(verdict, Verdict::Parked | Verdict::Unmatched)
                && delivery.trunk == trunk
                && self.is_unclaimed(delivery)
                && delivery.report.provider_call_id.as_deref() == Some(provider_id)
            {
                self.apply_kept(kept, About::Call(index));
            }
        }
    }

    /// The sweep retries parked events, ever more rarely, for ten minutes. Nothing locks rows here, so their calls
    /// were unknown.
    pub(super) fn sweep_parked(&mut self) {
        let due = |kept: &Kept| kept.verdict == Verdict::Parked && kept.try_at <= self.now;
        let parked = (0..self.kept.len()).filter(|at| due(&self.kept[*at]));
        let mut known = Vec::new();
        for at in parked.collect::<Vec<_>>() {
            match self.event_call(&self.kept[at].delivery) {
                About::Call(index) => known.push((self.calls[index].id, at, index)),
                About::Nothing | About::Unknown => {
                    let age = self.now - self.kept[at].received;
                    self.kept[at].try_at = self.now + SECOND.max(age * 4);
                    if age >= 600 * SECOND {
                        self.kept[at].verdict = Verdict::Unmatched;
                    }
                }
            }
        }
        known.sort_unstable_by_key(|(call, at, _)| (*call, *at));
        for (_, at, index) in known {
            if self.kept[at].verdict == Verdict::Parked {
                self.apply_kept(at, About::Call(index));
            }
        }
        // Unmatched events are kept for a day.
        let old = self.now - 24 * HOUR;
        self.kept
            .retain(|kept| kept.verdict != Verdict::Unmatched || kept.received >= old);
    }

    /// The provider's response when asked.
    pub(crate) fn looked_up(&mut self, dial: Reference, answer: &LookedUp) -> look_up::Answered {
        let index = self.in_flight(dial);
        let Some(index) = index.filter(|at| self.calls[*at].state != CallState::Dialing) else {
            return look_up::Answered {
                verdict: look_up::Verdict::Stale,
                hang_up: false,
            };
        };
        let verdict = match answer {
            LookedUp::Found(report) => {
                let trunk = self.calls[index].trunk.unwrap();
                match self.apply_report(index, dial.claim_no, trunk, report) {
                    Verdict::Applied => look_up::Verdict::Applied,
                    Verdict::Noted => look_up::Verdict::Noted,
                    Verdict::LateAnswer => look_up::Verdict::LateAnswer,
                    Verdict::Mismatch => look_up::Verdict::Mismatch,
                    _ => look_up::Verdict::Stale,
                }
            }
            _ => self.not_found(index),
        };
        let is_up = self.calls[index].state == CallState::InCall;
        look_up::Answered {
            verdict,
            hang_up: is_up && self.now >= self.own_deadline(index),
        }
    }

    /// Believed on an authoritative trunk, for a dial whose id was never learnt, at the third time over a minute.
    /// Past the deadline it ends the call in any case.
    fn not_found(&mut self, index: usize) -> look_up::Verdict {
        let (now, overdue) = (self.now, self.own_deadline(index) <= self.now);
        let call = &mut self.calls[index];
        call.not_found += 1;
        let since = *call.not_found_since.get_or_insert(now);
        let believed = self.trunks[call.trunk.unwrap()].look_up == LookUp::Authoritative
            && call.state == CallState::Unresolved
            && call.provider_id.is_none()
            && call.not_found >= 3
            && since <= now - 60 * SECOND;
        if believed {
            self.put_back(index, Back::AtOnce);
            look_up::Verdict::NotPlaced
        } else if overdue {
            self.end_attempt(index, Outcome::Unknown);
            look_up::Verdict::Settled
        } else {
            look_up::Verdict::NotFound
        }
    }

    /// Whether the report is about this dial, on this trunk, and nothing else.
    fn fits(&self, index: usize, claim_no: i64, trunk: usize, report: &Report) -> bool {
        let call = &self.calls[index];
        let Some(dial) = usize::try_from(claim_no - 1)
            .ok()
            .and_then(|at| call.dials.get(at))
        else {
            return false;
        };
        let reference = Reference {
            call: call.id,
            claim_no,
        };
        let differs = |named: &Option<String>, known: &Option<String>| {
            named.is_some() && known.is_some() && named != known
        };
        dial.trunk == trunk
            && !differs(&report.reference, &Some(reference.to_string()))
            && (claim_no < call.claim_no() || !differs(&report.provider_call_id, &call.provider_id))
    }

    /// Judges and applies one report about one dial.
    fn apply_report(
        &mut self,
        index: usize,
        claim_no: i64,
        trunk: usize,
        report: &Report,
    ) -> Verdict {
        if !self.fits(index, claim_no, trunk, report) {
            self.calls[index].note("mismatch");
            return Verdict::Mismatch;
        }
        if report.kind == ReportKind::Unknown {
            return Verdict::Noted;
        }
        let call = &self.calls[index];
        let reached = report.answered
            || report.kind == ReportKind::Answered
            || matches!(report.outcome, Some(Outcome::Answered | Outcome::Voicemail));
        if !call.state.is_in_flight() || claim_no != call.claim_no() {
            return self.hear_late(index, claim_no, report, reached);
        }
        if call.provider_id.is_none() {
            self.calls[index]
                .provider_id
                .clone_from(&report.provider_call_id);
            if let (true, Some(name)) = (
                self.is_awaited(trunk, report.provider_call_id.as_ref()),
                &report.provider_call_id,
            ) {
                // Earlier events are heard first.
                self.match_parked(index, trunk, name);
                return self.apply_report(index, claim_no, trunk, report);
            }
        }
        self.follow(index, report, reached);
        if report.outcome.is_some() {
            self.calls[index].dial(claim_no).known = Some(Known::Over);
        }
        Verdict::Applied
    }

    /// A report about the dial in flight.
    fn follow(&mut self, index: usize, report: &Report, reached: bool) {
        let (now, call) = (self.now, &mut self.calls[index]);
        let Some(outcome) = report.outcome else {
            if call.state != CallState::InCall {
                call.state = CallState::InCall;
                call.lease_until = None;
                call.note("in_call");
                let trunk = call.trunk.unwrap();
                self.accepted(index, trunk);
            }
            let call = &mut self.calls[index];
            if report.kind == ReportKind::Answered && call.answered_at.is_none() {
                call.answered_at = Some(now);
                call.note("answered");
            }
            return;
        };
        if reached {
            call.answered_at.get_or_insert(now);
        }
        match (outcome, call.answered_at) {
            (Outcome::Capacity, None) => {
                let (retry_after, reason) = (None, "report");
                self.put_back(
                    index,
                    Back::Capacity {
                        retry_after,
                        reason,
                    },
                );
            }
            (Outcome::Account, None) => self.put_back(index, Back::Forbidden { reason: "report" }),
            _ => {
                if call.state != CallState::InCall {
                    let trunk = call.trunk.unwrap();
                    self.accepted(index, trunk);
                }
                self.end_attempt(index, outcome);
            }
        }
    }

    /// A report about a dial that is over for us, or an earlier one than that in flight. A new answer ends a call
    /// that waits for another dial or failed as unknown; ringing or talking holds the number until the end is
    /// reported.
    fn hear_late(
        &mut self,
        index: usize,
        claim_no: i64,
        report: &Report,
        reached: bool,
    ) -> Verdict {
        let now = self.now;
        let call = &mut self.calls[index];
        let forced = claim_no <= call.forced_claim_no;
        let is_over = call.dial(claim_no).known == Some(Known::Over);
        let talks_until = now + call.dial(claim_no).max_duration + 2 * MINUTE;
        call.answered_before |= forced && reached;
        if reached && !forced && call.answered_at.is_none() {
            call.answered_at = Some(now);
            if report.outcome.is_none() {
                call.hold(talks_until);
                call.dial(claim_no).known = Some(Known::UpUntil(talks_until));
            } else {
                call.end_hold_of(claim_no);
            }
            let open = call.state == CallState::Waiting
                || (call.state == CallState::Failed && call.outcome == Some(Outcome::Unknown));
            if !open {
                call.note("late_answer");
                return Verdict::LateAnswer;
            }
            let outcome = after_an_answer(report.outcome.unwrap_or(Outcome::Answered));
            call.outcome = Some(outcome);
            let completed = matches!(outcome, Outcome::Answered | Outcome::Voicemail);
            let state = if completed {
                CallState::Completed
            } else {
                CallState::Failed
            };
            call.end(state, now);
            call.note(if completed { "completed" } else { "failed" });
            return Verdict::Applied;
        }
        if is_over {
            return Verdict::Stale;
        }
        let Some(outcome) = report.outcome else {
            let ringing = if reached {
                0
            } else {
                call.dial(claim_no).ring_timeout
            };
            let until = talks_until + ringing;
            call.hold(until);
            call.dial(claim_no).known = Some(Known::UpUntil(until));
            if call.state == CallState::Waiting {
                call.run_at = call.run_at.not_before(until);
            }
            call.note("held");
            return Verdict::Applied;
        };
        self.end_hold(index, claim_no, outcome)
    }

    /// It has ended: what it held is free, and a waiting call is due as after any attempt with this outcome.
    fn end_hold(&mut self, index: usize, claim_no: i64, outcome: Outcome) -> Verdict {
        let lane = self.campaign_of(index);
        let base = match outcome {
            Outcome::Busy => lane.busy_base,
            Outcome::Unreachable | Outcome::ProviderFault => lane.fault_base,
            _ => lane.no_answer_base,
        };
        let (now, again) = (self.now, self.backoff(index, base));
        let call = &mut self.calls[index];
        let before = call.hold_until;
        call.end_hold_of(claim_no);
        if before.is_none_or(|until| until <= now) || before == call.hold_until {
            call.hold_until = before;
            call.note("late_end");
            return Verdict::Stale;
        }
        if call.state == CallState::Waiting {
            let again = again.not_before(call.hold_until.unwrap_or(0));
            call.run_at = Due {
                earliest: call.run_at.earliest.min(again.earliest),
                latest: call.run_at.latest.min(again.latest),
            };
        }
        call.note("released");
        Verdict::Applied
    }
}

impl Call {
    /// What remains of the hold belongs to the other dials.
    fn end_hold_of(&mut self, claim_no: i64) {
        self.dial(claim_no).known = Some(Known::Over);
        self.hold_until = self.held_by_others(claim_no);
    }

    /// Never longer than the call's own hold, because a person may have released it.
    pub(super) fn held_by_others(&self, claim_no: i64) -> Option<Moment> {
        let held = self.hold_until?;
        let own = usize::try_from(claim_no - 1).unwrap();
        let others = self.dials.iter().enumerate().filter(|(at, _)| *at != own);
        others
            .filter_map(|(_, dial)| match dial.known {
                Some(Known::UpUntil(until)) => Some(until.min(held)),
                _ => None,
            })
            .max()
    }
}
