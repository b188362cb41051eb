//! What may happen next: any of it, in any order, at any time, or never.

use std::fmt;

use pgdial::domain::CallState;

use crate::{
    explorer::Explored,
    judge::Kind,
    world::{
        CALLS, CLAIMS, DEADLINE, HOLD, Known, LATEST_START, LEASE, LONGEST_DIAL, LONGEST_TALK,
        MARGIN, OLD, Phone, RACED, Reach, Row, Sabotage, State, TALK_HOLD, WITHIN, Worker, World,
    },
};

/// One step of one call or one dial (call, claim number).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Tick,
    Claim(usize),
    ClaimUnheard(usize),
    Look(usize),
    GiveBack(usize),
    SweepLease(usize),
    SweepDeadline(usize),
    NotPlaced(usize),
    Resolve(usize),
    OthersTold(usize),
    SweepUnheard(usize),
    Deaf,
    HeardAgain,
    Wish(usize),
    Send(usize, u8),
    HandBack(usize, u8),
    Rings(usize, u8),
    Refuses(usize, u8),
    HearsPlaced(usize, u8),
    HearsRefused(usize, u8),
    HearsFull(usize, u8),
    HearsNothing(usize, u8),
    Answers(usize, u8),
    Ends(usize, u8),
    HangsUp(usize, u8),
    Webhook(usize, u8, Kind),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |call: usize| if call == 0 { "A" } else { "B" };
        match *self {
            Self::Tick => write!(f, "time passes"),
            Self::Claim(call) => write!(f, "claim {}", name(call)),
            Self::ClaimUnheard(call) => write!(f, "claim {}; the reply is lost", name(call)),
            Self::Look(call) => write!(f, "a claim sees that {} may go", name(call)),
            Self::GiveBack(call) => write!(f, "give back {}", name(call)),
            Self::SweepLease(call) => write!(f, "sweep: the lease of {} is over", name(call)),
            Self::SweepDeadline(call) => write!(f, "sweep: {} is past its deadline", name(call)),
            Self::NotPlaced(call) => write!(f, "{} is said not to have been placed", name(call)),
            Self::Resolve(call) => write!(f, "a person says how {} ended", name(call)),
            Self::OthersTold(call) => {
                write!(f, "the provider tells of others than {}", name(call))
            }
            Self::SweepUnheard(call) => write!(f, "sweep: nothing was told of {}", name(call)),
            Self::Deaf => write!(f, "the provider cannot reach us"),
            Self::HeardAgain => write!(f, "the provider can reach us again"),
            Self::Wish(call) => write!(f, "cancel {}", name(call)),
            Self::Send(call, no) => write!(f, "dial {}-{no}", name(call)),
            Self::HandBack(call, no) => {
                write!(f, "{}-{no} is handed back, not dialled", name(call))
            }
            Self::Rings(call, no) => {
                write!(f, "the provider accepts {}-{no}: it rings", name(call))
            }
            Self::Refuses(call, no) => write!(f, "the provider refuses {}-{no}", name(call)),
            Self::HearsPlaced(call, no) => write!(f, "record {}-{no} as placed", name(call)),
            Self::HearsRefused(call, no) => write!(f, "record {}-{no} as refused", name(call)),
            Self::HearsFull(call, no) => write!(f, "record {}-{no} as full", name(call)),
            Self::HearsNothing(call, no) => write!(f, "record {}-{no} as unknown", name(call)),
            Self::Answers(call, no) => write!(f, "somebody answers {}-{no}", name(call)),
            Self::Ends(call, no) => write!(f, "{}-{no} ends", name(call)),
            Self::HangsUp(call, no) => write!(f, "the provider ends {}-{no}, as asked", name(call)),
            Self::Webhook(call, no, kind) => {
                write!(f, "webhook of {}-{no}: {}", name(call), kind.as_str())
            }
        }
    }
}

impl Explored for World {
    type State = State;
    type Step = Step;

    fn start(&self) -> State {
        Self::fresh()
    }

    fn steps(&self, from: &State) -> Vec<(Step, State)> {
        let mut next = Vec::new();
        if let Some(later) = self.tick(from) {
            next.push((Step::Tick, later));
        }
        self.steps_of_reach(from, &mut next);
        for call in 0..CALLS {
            self.steps_of_call(from, call, &mut next);
            for claim_no in 1..=from.rows[call].claim_no {
                self.steps_of_worker(from, call, claim_no, &mut next);
                Self::steps_of_phone(from, call, claim_no, &mut next);
                self.webhooks(from, call, claim_no, &mut next);
            }
        }
        for (_, state) in &mut next {
            state.forget();
        }
        next
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let up = |call: usize| {
            state.dials[call]
                .iter()
                .filter(|dial| dial.phone.is_up())
                .count()
        };
        let most = if self.one_number {
            up(0) + up(1)
        } else {
            up(0).max(up(1))
        };
        if state.misdialled.is_some() {
            state.misdialled
        } else if most > 1 && !self.lies() {
            Some("P1: two calls ring one number")
        } else if Self::in_flight(state) > self.slots {
            Some("P3: more in flight than there are slots")
        } else if !self.time_alone_ends(state) {
            Some("P2: whatever time passes, a call stays in flight, or a number held")
        } else {
            None
        }
    }
}

impl World {
    fn steps_of_call(&self, from: &State, call: usize, next: &mut Vec<(Step, State)>) {
        let row = &from.rows[call];
        let mut then = |step: Step, change: &dyn Fn(&mut State)| {
            let mut state = *from;
            change(&mut state);
            next.push((step, state));
        };
        let gate = !self.lacks(Sabotage::NoGate);
        if !gate && !row.seen && self.may_go(from, call) {
            then(Step::Look(call), &|state| state.rows[call].seen = true);
        }
        let goes = if gate {
            self.may_go(from, call)
        } else {
            row.seen
        };
        if goes && row.state == CallState::Waiting && usize::from(row.claim_no) < CLAIMS[call] {
            then(Step::Claim(call), &|state| {
                self.claim(state, call, Worker::Held);
            });
            if call == RACED {
                then(Step::ClaimUnheard(call), &|state| {
                    self.claim(state, call, Worker::Unheard);
                });
            }
        }
        if row.state == CallState::Dialing && row.age < LEASE {
            let dial = from.dials[call][usize::from(row.claim_no) - 1];
            let held = self.lacks(Sabotage::GivesBackWhatItHolds);
            if dial.worker == Worker::Unheard || held {
                then(Step::GiveBack(call), &|state| {
                    self.put_back(&mut state.rows[call]);
                });
            }
        }
        if row.state == CallState::Dialing && row.age >= LEASE {
            then(Step::SweepLease(call), &|state| {
                Self::sweep_lease(&mut state.rows[call]);
            });
        }
        if Self::is_overdue(row) && !self.lacks(Sabotage::NoDeadline) {
            then(Step::SweepDeadline(call), &|state| {
                self.sweep_deadline(&mut state.rows[call]);
                if state.rows[call].unknown {
                    let dial = usize::from(row.claim_no) - 1;
                    state.dials[call][dial].known = Known::Up(HOLD);
                }
            });
        }
        self.steps_of_doubt(from, call, &mut then);
        if call == RACED && !row.state.is_terminal() && !row.wished {
            then(Step::Wish(call), &|state| Self::wish(&mut state.rows[call]));
        }
    }

    /// Ends of a doubt: by an authority or a person, who tell the truth unless they err, or by the silence of a
    /// provider that reports every call.
    fn steps_of_doubt(
        &self,
        from: &State,
        call: usize,
        then: &mut impl FnMut(Step, &dyn Fn(&mut State)),
    ) {
        let row = &from.rows[call];
        let Some(at) = usize::from(row.claim_no).checked_sub(1) else {
            return;
        };
        let dial = from.dials[call][at];
        let in_doubt = row.state == CallState::Unresolved
            || Self::is_overdue(row)
            || (row.state == CallState::Failed && row.unknown);
        let under_way = self.lacks(Sabotage::ResolvesUnderWay)
            && row.state == CallState::Dialing
            && dial.phone == Phone::Quiet;
        let errs = self.lies() && row.answered || self.lacks(Sabotage::SilenceBelieved);
        let may_be = !row.answered || self.lacks(Sabotage::ResolvesAnswered);
        if in_doubt && (dial.is_over_unplaced() || errs) && may_be || under_way {
            then(Step::NotPlaced(call), &|state| {
                self.resolve_not_placed(state, call);
            });
        }
        if in_doubt && dial.phone.is_over() {
            then(Step::Resolve(call), &|state| self.resolve_as(state, call));
        }
        if !self.tells() || row.state != CallState::Unresolved {
            return;
        }
        if row.doubt_for >= WITHIN && row.others_told.is_none() && from.reach != Reach::No {
            then(Step::OthersTold(call), &|state| {
                state.rows[call].others_told = Some(0);
            });
        }
        let waited = match row.others_told {
            Some(ticks) => ticks >= MARGIN || self.lacks(Sabotage::NoMargin),
            None => self.lacks(Sabotage::SilenceAlone) && row.doubt_for >= MARGIN,
        };
        if waited && !dial.told_of {
            then(Step::SweepUnheard(call), &|state| {
                self.sweep_unheard(state, call);
            });
        }
    }

    fn steps_of_reach(&self, from: &State, next: &mut Vec<(Step, State)>) {
        let (step, reach) = match from.reach {
            Reach::Always if self.tells() => (Step::Deaf, Reach::No),
            Reach::No => (Step::HeardAgain, Reach::Again),
            _ => return,
        };
        next.push((step, State { reach, ..*from }));
    }

    /// Steps of a worker with its dial. Dying, or sleeping for an hour, is taking none.
    fn steps_of_worker(&self, from: &State, call: usize, no: u8, next: &mut Vec<(Step, State)>) {
        let at = usize::from(no) - 1;
        let dial = from.dials[call][at];
        let mut then = |step: Step, worker: Worker, change: &dyn Fn(&mut State)| {
            let mut state = *from;
            state.dials[call][at].worker = worker;
            change(&mut state);
            next.push((step, state));
        };
        if dial.worker == Worker::Held {
            if dial.age <= LATEST_START || self.lacks(Sabotage::NoLateStartCheck) {
                then(Step::Send(call, no), Worker::Sent, &|state| {
                    state.dials[call][at].is_sent = true;
                    state.dials[call][at].for_ticks = 0;
                });
            }
            then(Step::HandBack(call, no), Worker::Done, &|state| {
                self.defer(state, call, no);
            });
        }
        if dial.worker == Worker::Sent {
            then(Step::HearsNothing(call, no), Worker::Done, &|state| {
                self.doubt(state, call, no);
            });
            if dial.phone == Phone::Refused {
                then(Step::HearsRefused(call, no), Worker::Done, &|state| {
                    self.settle_fault(state, call, no);
                });
            }
            if dial.phone == Phone::Refused || self.lies() && dial.phone == Phone::Rings {
                then(Step::HearsFull(call, no), Worker::Done, &|state| {
                    self.defer(state, call, no);
                });
            }
            if !matches!(dial.phone, Phone::Refused | Phone::Quiet) {
                then(Step::HearsPlaced(call, no), Worker::Done, &|state| {
                    self.dialed(state, call, no);
                });
            }
        }
    }

    /// Steps of the provider: it may accept late, and say so or not.
    fn steps_of_phone(from: &State, call: usize, no: u8, next: &mut Vec<(Step, State)>) {
        let at = usize::from(no) - 1;
        let dial = from.dials[call][at];
        let mut then = |step: Step, phone: Phone| {
            let mut state = *from;
            state.dials[call][at].phone = phone;
            if phone == Phone::Rings {
                state.dials[call][at].for_ticks = 0;
            }
            next.push((step, state));
        };
        match dial.phone {
            Phone::Quiet if dial.is_sent && dial.for_ticks <= LONGEST_DIAL => {
                then(Step::Rings(call, no), Phone::Rings);
                then(Step::Refuses(call, no), Phone::Refused);
            }
            Phone::Rings => {
                then(Step::Answers(call, no), Phone::Talks);
                then(Step::Ends(call, no), Phone::RangOut);
            }
            Phone::Talks => then(Step::Ends(call, no), Phone::SpokenTo),
            _ => {}
        }
        let row = &from.rows[call];
        if dial.phone.is_up() && row.wished && row.claim_no == no && row.state == CallState::InCall
        {
            let over = match dial.phone {
                Phone::Talks => Phone::SpokenTo,
                _ => Phone::CalledOff,
            };
            then(Step::HangsUp(call, no), over);
        }
    }

    /// What has happened may be reported: at any later time, in any order, repeatedly, or never.
    fn webhooks(&self, from: &State, call: usize, no: u8, next: &mut Vec<(Step, State)>) {
        let phone = from.dials[call][usize::from(no) - 1].phone;
        if from.reach == Reach::No {
            return;
        }
        let mut told = |kind: Kind| {
            let mut state = *from;
            self.webhook(&mut state, call, no, kind);
            if state != *from {
                next.push((Step::Webhook(call, no, kind), state));
            }
        };
        if phone.is_up() || phone.is_over() {
            told(Kind::Progress);
        }
        if matches!(phone, Phone::Talks | Phone::SpokenTo) {
            told(Kind::Answered);
        }
        match phone {
            Phone::SpokenTo => told(Kind::Completed),
            Phone::RangOut | Phone::CalledOff => told(Kind::Ended),
            _ => {}
        }
    }

    /// P2: nobody reports anything any more, and every process but the sweep is dead. Time and the sweep alone must
    /// end every dial and free every number.
    fn time_alone_ends(&self, from: &State) -> bool {
        let mut rows = from.rows;
        for _ in 0..=DEADLINE + HOLD.max(TALK_HOLD) {
            for row in &mut rows {
                if Self::is_overdue(row) && !self.lacks(Sabotage::NoDeadline) {
                    self.sweep_deadline(row);
                }
                *row = self.older(row, true);
            }
        }
        rows.iter().all(|row| !row.is_taking())
    }

    fn older(&self, row: &Row, is_reached: bool) -> Row {
        let is_flying = row.state.is_in_flight();
        let is_counted = self.tells() && row.state == CallState::Unresolved;
        Row {
            age: if is_flying { OLD.min(row.age + 1) } else { 0 },
            hold: row.hold.saturating_sub(1),
            doubt_for: if is_counted {
                MARGIN.min(row.doubt_for + 1)
            } else {
                0
            },
            others_told: row
                .others_told
                .map(|ticks| MARGIN.min(ticks + 1))
                .filter(|_| is_counted && (is_reached || self.lacks(Sabotage::OutageForgotten))),
            ..*row
        }
    }

    /// One tick, unless a phone has been up for as long as possible or a report is due: those come first.
    fn tick(&self, from: &State) -> Option<State> {
        let mut state = *from;
        for dial in state.dials.iter_mut().flatten() {
            if dial.phone.is_up() && dial.for_ticks >= LONGEST_TALK {
                return None;
            }
            let was_placed = !matches!(dial.phone, Phone::Quiet | Phone::Refused);
            if self.tells() && was_placed && !dial.told_of && state.reach != Reach::No {
                if dial.untold_for >= WITHIN {
                    return None;
                }
                dial.untold_for += 1;
            }
            if dial.worker != Worker::NotClaimed {
                dial.age = OLD.min(dial.age + 1);
            }
            if dial.is_sent || dial.phone.is_up() {
                dial.for_ticks = OLD.min(dial.for_ticks + 1);
            }
            if let Known::Up(ticks) = dial.known {
                dial.known = Known::Up(ticks.saturating_sub(1));
            }
        }
        let is_reached = state.reach != Reach::No;
        state.rows = state.rows.map(|row| self.older(&row, is_reached));
        (state != *from).then_some(state)
    }
}
