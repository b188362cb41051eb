//! The rule of evidence: what providers said, and about what it speaks.

use std::collections::BTreeSet;

use pgdial::domain::CallState;

use super::{HOUR, MINUTE, Model, Moment, SECOND};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Accepted,
    /// A response that shows that the provider works, which ends a run of faults.
    Works,
    Refused,
    Forbidden,
    Capacity,
    Fault,
}

impl Kind {
    const fn is_trouble(self) -> bool {
        !matches!(self, Self::Accepted | Self::Works)
    }
}

/// One response of a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    at: Moment,
    trunk: usize,
    campaign: usize,
    number: usize,
    call: usize,
    kind: Kind,
    reason: &'static str,
}

fn numbers<'a>(heard: impl Iterator<Item = &'a Heard>) -> usize {
    heard.map(|one| one.number).collect::<BTreeSet<_>>().len()
}

impl Model {
    /// Weighs a response that is not an acceptance. Returns whether the breaker is open.
    pub(super) fn weigh(
        &mut self,
        index: usize,
        kind: Kind,
        reason: &'static str,
        retry_after: Option<Moment>,
    ) -> bool {
        let (now, call) = (self.now, &self.calls[index]);
        let (trunk, campaign) = (call.trunk.unwrap(), call.request.campaign);
        let one = Heard {
            at: now,
            trunk,
            campaign,
            number: call.request.number,
            call: index,
            kind,
            reason,
        };
        // An acceptance that is taken back does not count.
        self.heard
            .retain(|heard| heard.call != index || heard.kind != Kind::Accepted);
        self.heard.push(one);
        let of_trunk = self.speaks_of_trunk(trunk, kind);
        let breaker = &mut self.trunks[trunk].breaker;
        let open = match kind {
            Kind::Fault => breaker.fault(of_trunk, now),
            Kind::Capacity if of_trunk => {
                breaker.hold_off(retry_after.unwrap_or(0), now);
                false
            }
            Kind::Forbidden if of_trunk => {
                self.trunks[trunk].paused = true;
                false
            }
            _ => false,
        };
        self.guard_campaign(campaign, trunk);
        self.forget_heard(campaign);
        open
    }

    /// A call was accepted.
    pub(super) fn accepted(&mut self, index: usize, trunk: usize) {
        let (now, call) = (self.now, &self.calls[index]);
        let (campaign, number) = (call.request.campaign, call.request.number);
        let lane = &mut self.campaigns[campaign];
        let since = (now - 10 * SECOND).max(lane.resumed_at.unwrap_or(Moment::MIN));
        if lane.accepted_at.is_none_or(|at| at < since) {
            lane.accepted_at = Some(now);
        }
        let of_campaign = |kind: Kind| {
            let is = |one: &Heard| one.campaign == campaign && one.kind == kind;
            self.heard.iter().rposition(is)
        };
        let last = of_campaign(Kind::Accepted);
        let is_news = self.heard.iter().enumerate().any(|(at, one)| {
            one.trunk == trunk
                && one.kind.is_trouble()
                && (one.at > now - 2 * MINUTE || last.is_none_or(|last| at > last))
        });
        let trouble = self.heard.iter().any(|one| one.trunk == trunk);
        if is_news {
            self.heard.push(Heard {
                at: now,
                trunk,
                campaign,
                number,
                call: index,
                kind: Kind::Accepted,
                reason: "",
            });
        }
        if trouble {
            self.forget_heard(campaign);
        }
    }

    /// The trunk gave a response that shows that its provider works.
    pub(super) fn works(&mut self, trunk: usize) {
        if self.trunks.iter().all(|trunk| trunk.breaker.faults == 0) {
            return;
        }
        self.trunks[trunk].breaker.works();
        let last = self.heard.iter().rfind(|one| one.trunk == trunk).copied();
        if let Some(last) = last.filter(|last| last.kind == Kind::Fault) {
            self.heard.push(Heard {
                at: self.now,
                kind: Kind::Works,
                ..last
            });
        }
    }

    /// What was said since the trunk last accepted a call.
    fn run_of_trunk(&self, trunk: usize, kind: Kind) -> Vec<Heard> {
        let of_trunk = |one: &&Heard| one.trunk == trunk;
        let ends = |one: &&Heard| {
            one.kind == Kind::Accepted
                || kind == Kind::Fault && matches!(one.kind, Kind::Works | Kind::Refused)
        };
        let since = self.counts_since(self.trunks[trunk].resumed_at);
        let run = self.heard.iter().filter(of_trunk).rev();
        let mut run: Vec<_> = run
            .take_while(|one| !ends(one))
            .filter(|one| one.kind == kind && one.at > since)
            .copied()
            .collect();
        run.reverse();
        run
    }

    /// Three numbers, and no different call that could be tried first.
    fn speaks_of_trunk(&self, trunk: usize, kind: Kind) -> bool {
        let run = self.run_of_trunk(trunk, kind);
        if numbers(run.iter()) < 3 {
            return false;
        }
        let first = run[0].campaign;
        let alone = run.iter().all(|one| one.campaign == first);
        let others_are_due = self.calls.iter().any(|call| {
            let lane = &self.campaigns[call.request.campaign];
            call.request.campaign != first
                && lane.trunk == trunk
                && !lane.paused
                && call.state == CallState::Waiting
                && call.run_at.earliest <= self.now
        });
        !(alone && others_are_due)
    }

    /// What was said since a call of the campaign was last accepted; lack of capacity says nothing.
    fn run_of_campaign(&self, campaign: usize) -> Vec<Heard> {
        let since = self.counts_since(self.campaigns[campaign].resumed_at);
        let mut run: Vec<_> = self
            .heard
            .iter()
            .rev()
            .filter(|one| one.campaign == campaign)
            .take_while(|one| one.kind != Kind::Accepted)
            .filter(|one| one.kind.is_trouble() && one.kind != Kind::Capacity && one.at > since)
            .copied()
            .collect();
        run.reverse();
        run
    }

    fn counts_since(&self, resumed_at: Option<Moment>) -> Moment {
        (self.now - HOUR).max(resumed_at.unwrap_or(Moment::MIN))
    }

    fn guard_campaign(&mut self, campaign: usize, trunk: usize) {
        let lane = &self.campaigns[campaign];
        let Some(guard) = lane.guard.filter(|_| !lane.paused) else {
            return;
        };
        let since = self.counts_since(lane.resumed_at);
        let counts = |one: &&(usize, &Heard)| {
            let (_, one) = one;
            one.campaign == campaign
                && one.at > since
                && !matches!(one.kind, Kind::Capacity | Kind::Works)
        };
        let all = self.heard.iter().enumerate();
        let latest: Vec<_> = all
            .rev()
            .filter(|one| counts(&one))
            .take(2 * guard)
            .collect();
        let accepted = self
            .heard
            .iter()
            .rposition(|one| one.trunk == trunk && one.kind == Kind::Accepted);
        let since = |at: usize| accepted.is_some_and(|accepted| accepted > at);
        let run = self.run_of_campaign(campaign);
        let place = |one: &Heard| {
            let same = |other: &Heard| (other.at, other.call) == (one.at, one.call);
            self.heard.iter().position(same).unwrap()
        };
        let enough =
            |like: &[usize]| numbers(like.iter().map(|at| &self.heard[*at])) >= guard.min(3);
        let others = |like: &[usize], kind: Kind| {
            kind != Kind::Fault
                || like
                    .get(like.len().saturating_sub(1) / 2)
                    .is_some_and(|at| since(*at))
        };
        let guilty = |cause: &Heard| {
            let same = |one: &Heard| (one.kind, one.reason) == (cause.kind, cause.reason);
            let in_a_row: Vec<usize> = run.iter().filter(|one| same(one)).map(place).collect();
            let n = in_a_row.len();
            let all_of_them = n > 0 && n == run.len();
            let is_many =
                n >= guard || cause.kind == Kind::Forbidden && n >= 3 && since(in_a_row[0]);
            let mut of_latest: Vec<usize> = latest
                .iter()
                .filter(|(at, one)| {
                    let alike_accepted =
                        |(other, two): &(usize, &Heard)| other > at && two.kind == Kind::Accepted;
                    same(one)
                        && one.at > self.now - 2 * MINUTE
                        && (one.kind != Kind::Fault || !latest.iter().any(alike_accepted))
                })
                .map(|(at, _)| *at)
                .collect();
            of_latest.sort_unstable();
            all_of_them && is_many && enough(&in_a_row) && others(&in_a_row, cause.kind)
                || of_latest.len() > guard && enough(&of_latest) && others(&of_latest, cause.kind)
        };
        let causes = run.iter().chain(latest.iter().map(|(_, one)| *one));
        if causes.filter(|one| one.kind.is_trouble()).any(guilty) {
            self.campaigns[campaign].paused = true;
        }
    }

    /// Per campaign, keeps as many as its guard looks at, for an hour.
    fn forget_heard(&mut self, campaign: usize) {
        let kept = (2 * self.campaigns[campaign].guard.unwrap_or(10)).max(20);
        let of_campaign = |one: &Heard| one.campaign == campaign;
        let mut surplus = self.heard.iter().filter(|one| of_campaign(one)).count();
        let now = self.now;
        self.heard.retain(|one| {
            let goes = of_campaign(one) && (one.at <= now - HOUR || surplus > kept);
            surplus -= usize::from(of_campaign(one));
            !goes
        });
    }

    /// How many more calls of a campaign on trial may be dialled; `None` if it is not on trial.
    pub(super) fn trial_room(&self, campaign: usize) -> Option<usize> {
        let lane = &self.campaigns[campaign];
        let guard = lane.guard?;
        let refused = self.run_of_campaign(campaign).len();
        let since = (self.now - 30 * SECOND).max(lane.resumed_at.unwrap_or(Moment::MIN));
        if refused < 3 && lane.accepted_at.is_some_and(|at| at >= since) {
            return None;
        }
        let dialing = self
            .calls
            .iter()
            .filter(|call| call.request.campaign == campaign && call.state == CallState::Dialing);
        Some(
            guard
                .saturating_sub(refused)
                .max(1)
                .saturating_sub(dialing.count()),
        )
    }

    /// All calls of one campaign are alike here: the same script, no caller id.
    pub(super) fn is_suspect(&self, campaign: usize) -> bool {
        let since = self.counts_since(self.campaigns[campaign].resumed_at);
        let run = self
            .heard
            .iter()
            .rev()
            .filter(|one| one.campaign == campaign);
        let run = run.take_while(|one| one.kind != Kind::Accepted);
        numbers(run.filter(|one| one.kind.is_trouble() && one.at > since)) >= 3
    }

    /// An open breaker was opened by this call, or probed with it.
    pub(super) fn was_tried(&self, index: usize) -> bool {
        self.heard.iter().any(|one| {
            one.call == index
                && one.kind == Kind::Fault
                && one.at > self.now - HOUR
                && self.trunks[one.trunk].breaker.open
        })
    }

    /// Whether a call similar to refused ones is being dialled on this trunk.
    pub(super) fn suspect_is_dialing(&self, trunk: usize) -> bool {
        self.calls.iter().any(|call| {
            call.state == CallState::Dialing
                && call.trunk == Some(trunk)
                && self.is_suspect(call.request.campaign)
        })
    }
}
