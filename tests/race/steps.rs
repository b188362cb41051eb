//! What may happen next: any of it, in any order, at any time, or never.

use std::fmt;

use pgdial::domain::CallState;

use crate::{
    explorer::Explored,
    judge::Kind,
    world::{
        CALLS, CLAIMS, DEADLINE, HOLD, Known, LATEST_START, LEASE, LONGEST_DIAL, LONGEST_TALK, OLD,
        Phone, RACED, Row, Sabotage, State, TALK_HOLD, Worker, World,
    },
};

/// One step, of one call or of one dial (call, claim number).
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
        if let Some(later) = tick(from) {
            next.push((Step::Tick, later));
        }
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
        } else if most > 1 && !self.lies {
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
        // By a person, by an authority, or by a provider that tells of every call.
        if row.state == CallState::Unresolved {
            let dial = from.dials[call][usize::from(row.claim_no) - 1];
            if dial.is_over_unplaced() || self.lacks(Sabotage::SilenceBelieved) {
                then(Step::NotPlaced(call), &|state| {
                    self.put_back(&mut state.rows[call]);
                });
            }
        }
        if call == RACED && !row.state.is_terminal() && !row.wished {
            then(Step::Wish(call), &|state| Self::wish(&mut state.rows[call]));
        }
    }

    /// What the worker does with its dial. That it dies, or sleeps for an hour, is that it
    /// does nothing.
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
            if dial.phone == Phone::Refused || self.lies && dial.phone == Phone::Rings {
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

    /// What the provider does: it may accept late, and says so or not.
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

    /// What has happened may be reported: at any time later, in any order, again, or never.
    fn webhooks(&self, from: &State, call: usize, no: u8, next: &mut Vec<(Step, State)>) {
        let phone = from.dials[call][usize::from(no) - 1].phone;
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

    /// P2: nobody says anything any more, every process but the sweep is dead. Time and the
    /// sweep alone bring every dial to an end, and give back every number.
    fn time_alone_ends(&self, from: &State) -> bool {
        let mut rows = from.rows;
        for _ in 0..=DEADLINE + HOLD.max(TALK_HOLD) {
            for row in &mut rows {
                if Self::is_overdue(row) && !self.lacks(Sabotage::NoDeadline) {
                    self.sweep_deadline(row);
                }
                *row = older(row);
            }
        }
        rows.iter().all(|row| !row.is_taking())
    }
}

fn older(row: &Row) -> Row {
    Row {
        age: if row.state.is_in_flight() {
            OLD.min(row.age + 1)
        } else {
            0
        },
        hold: row.hold.saturating_sub(1),
        ..*row
    }
}

/// One tick, unless a telephone is up for as long as it may be: then it ends first.
fn tick(from: &State) -> Option<State> {
    let mut state = *from;
    for dial in state.dials.iter_mut().flatten() {
        if dial.phone.is_up() && dial.for_ticks >= LONGEST_TALK {
            return None;
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
    state.rows = state.rows.map(|row| older(&row));
    (state != *from).then_some(state)
}
