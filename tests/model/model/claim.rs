//! Claims: which calls may be dialled, and what becomes of those that were.

use std::time::Duration;

use pgdial::{
    domain::{CallId, CallState},
    flow::claim::Claim,
};
use uuid::Uuid;

use super::{Dial, MINUTE, Model, Moment, SECOND, TRUNKS};

impl Model {
    /// Copies a claim's calls into the model, or says what was wrong with it.
    pub(crate) fn claimed(
        &mut self,
        worker: Uuid,
        trunks: &[usize],
        wanted: usize,
        claim: &Claim,
    ) -> Result<(), String> {
        let chosen: Vec<CallId> = claim.calls.iter().map(|call| call.id).collect();
        if chosen.len() > wanted || claim.gate_timeout || !claim.unreadable.is_empty() {
            return Err(format!("wanted {wanted}, got {claim:?}"));
        }
        let before = self.clone();
        for id in &chosen {
            let call = self.find(*id).ok_or("a call that nobody enqueued")?;
            self.may_go(call, trunks)?;
            self.stamp(call, worker);
        }
        before.nobody_was_overtaken(&chosen, trunks)?;
        before.doubtful_ones_go_last(&chosen, trunks)?;
        for claimed in &claim.calls {
            let call = &self.calls[self.find(claimed.id).unwrap()];
            let (told, known) = (
                (claimed.claim_no, claimed.attempt, claimed.trunk.as_str()),
                (call.claim_no(), call.attempt, TRUNKS[call.trunk.unwrap()]),
            );
            if told != known {
                return Err(format!("told the worker {told:?}, it is {known:?}"));
            }
        }
        if chosen.len() < wanted {
            self.nobody_is_left(&before, &chosen, trunks)?;
            self.wakes_in_time(trunks, claim.wait)?;
        }
        Ok(())
    }

    /// How much there is against a call: nothing, a likeness to refused calls, or that an open breaker was probed
    /// with it.
    fn doubts(&self, index: usize) -> u8 {
        if self.was_tried(index) {
            2
        } else {
            u8::from(self.is_suspect(self.calls[index].request.campaign))
        }
    }

    /// At most one call with something against it, and only if nothing better is available.
    fn doubtful_ones_go_last(&self, chosen: &[CallId], trunks: &[usize]) -> Result<(), String> {
        let went: Vec<usize> = chosen.iter().filter_map(|id| self.find(*id)).collect();
        let doubtful: Vec<usize> = went
            .iter()
            .copied()
            .filter(|at| self.doubts(*at) > 0)
            .collect();
        let Some(one) = doubtful.first() else {
            return Ok(());
        };
        let refuse = |why: &str| Err(format!("call {}: {why}", one + 1));
        if doubtful.len() > 1 {
            return refuse("two went that are in doubt");
        }
        if self.suspect_is_dialing(self.campaign_of(*one).trunk) {
            return refuse("another one like it is on its way");
        }
        let better =
            |at: usize| self.doubts(at) < self.doubts(*one) && self.may_go(at, trunks).is_ok();
        if went.len() == 1 && (0..self.calls.len()).any(better) {
            return refuse("others could go that have nothing against them");
        }
        Ok(())
    }

    /// Whether only its turn keeps this call from being dialled.
    fn may_go(&self, index: usize, trunks: &[usize]) -> Result<(), String> {
        let call = &self.calls[index];
        let number = call.request.number;
        let refuse = |why: &str| Err(format!("call {}: {why}", index + 1));
        if call.state != CallState::Waiting {
            return refuse("it does not wait");
        }
        if call.run_at.earliest > self.now {
            return refuse("it is not due");
        }
        if call.expires_at.is_some_and(|at| at <= self.now) {
            return refuse("it has expired");
        }
        if self.is_forbidden(number) {
            return refuse("its number may not be rung");
        }
        let taken = |other: &super::Call| {
            other.request.number == number && other.takes_its_number(self.now)
        };
        if self.calls.iter().any(taken) {
            return refuse("its number is taken");
        }
        if !trunks.contains(&self.campaign_of(index).trunk) {
            return refuse("this worker cannot dial on its trunk");
        }
        self.lane_is_open(call.request.campaign, true)
            .map_err(|why| format!("call {}: {why}", index + 1))
    }

    /// Whether this lane may dial one more. `breaker`: obey it, rather than assume that it has opened.
    fn lane_is_open(&self, campaign: usize, breaker: bool) -> Result<(), &'static str> {
        let lane = &self.campaigns[campaign];
        let trunk = &self.trunks[lane.trunk];
        let flying = || self.calls.iter().filter(|call| call.state.is_in_flight());
        let on_trunk = flying().filter(|call| call.trunk == Some(lane.trunk));
        let on_lane = flying().filter(|call| call.request.campaign == campaign);
        if trunk.paused {
            Err("its trunk is paused")
        } else if lane.paused {
            Err("its campaign is paused")
        } else if breaker && !trunk.breaker.allows(self.now) {
            Err("its trunk's breaker is open, or its provider is full")
        } else if on_trunk.count() >= trunk.slots {
            Err("its trunk is full")
        } else if lane.cap.is_some_and(|cap| on_lane.count() >= cap) {
            Err("its campaign is full")
        } else if self.trial_room(campaign) == Some(0) {
            Err("its campaign is on trial")
        } else {
            Ok(())
        }
    }

    /// Within a campaign, higher priority goes first, then the one due longest. A call whose number went to another
    /// call was not overtaken, unless that one comes later.
    fn nobody_was_overtaken(&self, chosen: &[CallId], trunks: &[usize]) -> Result<(), String> {
        for (index, left) in self.calls.iter().enumerate() {
            let candidate = !chosen.contains(&left.id) && self.may_go(index, trunks).is_ok();
            let rank = |call: &super::Call| (-call.priority, call.run_at.earliest, call.id);
            let before = self.calls.iter().find(|went| {
                chosen.contains(&went.id)
                    && went.request.campaign == left.request.campaign
                    && rank(left) < rank(went)
                    && self.doubts(index) <= self.doubts(self.find(went.id).unwrap())
            });
            let number_went = self.calls.iter().any(|went| {
                chosen.contains(&went.id)
                    && went.request.number == left.request.number
                    && (went.request.campaign != left.request.campaign || rank(went) < rank(left))
            });
            if let (true, Some(_), false) = (candidate, before, number_went) {
                return Err(format!("call {} was overtaken", index + 1));
            }
        }
        Ok(())
    }

    /// P7: a claim that returns fewer than wanted leaves none that could go, except those that wait for the result of
    /// a similar one.
    fn nobody_is_left(
        &self,
        before: &Self,
        chosen: &[CallId],
        trunks: &[usize],
    ) -> Result<(), String> {
        let waits = |at: usize| match before.doubts(at) {
            0 => false,
            1 => {
                let went = chosen.iter().filter_map(|id| before.find(*id));
                before.suspect_is_dialing(before.campaign_of(at).trunk)
                    || went.map(|at| before.doubts(at)).any(|doubts| doubts > 0)
            }
            _ => !chosen.is_empty() || before.suspect_is_dialing(before.campaign_of(at).trunk),
        };
        let left =
            (0..self.calls.len()).find(|call| self.may_go(*call, trunks).is_ok() && !waits(*call));
        left.map_or(Ok(()), |call| {
            Err(format!("call {} could go, and was left", call + 1))
        })
    }

    /// A worker that sleeps as long as the claim says is never late for a call that only waits for time to pass.
    fn wakes_in_time(&self, trunks: &[usize], wait: Option<Duration>) -> Result<(), String> {
        let wakes = wait.map_or(Moment::MAX, |wait| {
            self.now + Moment::try_from(wait.as_micros()).unwrap()
        });
        for (index, call) in self.calls.iter().enumerate() {
            let lane = &self.campaigns[call.request.campaign];
            let breaker = self.trunks[lane.trunk].breaker.not_before();
            let twins = || {
                let twin = |other: &&super::Call| other.request.number == call.request.number;
                self.calls.iter().filter(twin)
            };
            let held = twins().filter_map(|other| other.hold_until).max();
            let goes = call
                .run_at
                .latest
                .max(breaker.unwrap_or(0))
                .max(held.unwrap_or(0))
                .max(self.now);
            let by_time_alone = call.state == CallState::Waiting
                && trunks.contains(&lane.trunk)
                && !self.is_forbidden(call.request.number)
                && !twins().any(|other| other.state.is_in_flight())
                && !(self.doubts(index) > 0 && self.suspect_is_dialing(lane.trunk))
                && call.expires_at.is_none_or(|at| at > goes)
                && self.lane_is_open(call.request.campaign, false).is_ok();
            // The claim rounds up to whole milliseconds.
            if by_time_alone && wakes > goes + super::MILLISECOND {
                return Err(format!(
                    "call {} can go in {} ms, the claim says {wait:?}",
                    index + 1,
                    (goes - self.now) / super::MILLISECOND
                ));
            }
        }
        Ok(())
    }

    fn stamp(&mut self, index: usize, worker: Uuid) {
        let (now, lane) = (self.now, self.campaign_of(index).clone());
        self.trunks[lane.trunk].breaker.probe(now);
        let call = &mut self.calls[index];
        call.state = CallState::Dialing;
        call.attempt += 1;
        call.dials.push(Dial {
            worker,
            trunk: lane.trunk,
            ring_timeout: lane.ring_timeout,
            max_duration: lane.max_duration,
            known: None,
        });
        call.claimed_at = now;
        call.lease_until = Some(now + 60 * SECOND);
        call.deadline_at = Some(now + lane.ring_timeout + lane.max_duration + 2 * MINUTE);
        call.trunk = Some(lane.trunk);
        call.hold_until = None;
        call.look_up_at = None;
        call.not_found = 0;
        call.not_found_since = None;
        call.note("active");
    }
}
