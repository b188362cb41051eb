//! The verbs of the database. Each is one step, because it locks its row.

use pgdial::domain::CallState;

use crate::{
    judge::{self, Judgement, Kind, judge},
    world::{
        ATTEMPTS, CALLS, DEADLINE, Dial, HOLD, Known, Phone, Row, Sabotage, State, TALK_HOLD,
        Worker, World,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    NoAnswer,
    Fault,
    Canceled,
    Unknown,
}

impl World {
    pub(crate) fn claim(&self, state: &mut State, call: usize, worker: Worker) {
        let same_number = |other: usize| self.one_number || other == call;
        let is_known_to_ring = (0..CALLS).filter(|other| same_number(*other)).any(|other| {
            let mut dials = state.dials[other].iter();
            dials.any(|dial| dial.phone.is_up() && matches!(dial.known, Known::Up(_)))
        });
        let row = &mut state.rows[call];
        if is_known_to_ring {
            state.misdialled = Some("P1: it rings, its number is held, and it is rung again");
        } else if row.told || row.answered {
            state.misdialled =
                Some("P1: somebody spoke to us, we knew it, and they are rung again");
        } else if row.wished {
            state.misdialled = Some("a call that was called off in flight is dialled again");
        }
        let dial = &mut state.dials[call][usize::from(row.claim_no)];
        dial.worker = worker;
        row.state = CallState::Dialing;
        row.claim_no += 1;
        row.attempt += 1;
        row.age = 0;
        row.hold = 0;
        row.seen = false;
    }

    /// The row a worker may act on: its own claim, in flight.
    fn own<'a>(&self, state: &'a mut State, call: usize, claim_no: u8) -> Option<&'a mut Row> {
        let any_claim = self.lacks(Sabotage::SettleWithoutClaimNo);
        let row = &mut state.rows[call];
        (row.state.is_in_flight() && (any_claim || row.claim_no == claim_no)).then_some(row)
    }

    pub(crate) fn dialed(&self, state: &mut State, call: usize, claim_no: u8) {
        if let Some(row) = self.own(state, call, claim_no) {
            row.state = CallState::InCall;
        }
    }

    /// The provider refused the dial, and may accept the next one.
    pub(crate) fn settle_fault(&self, state: &mut State, call: usize, claim_no: u8) {
        if let Some(row) = self.own(state, call, claim_no)
            && (row.state != CallState::InCall || row.answered || row.wished)
        {
            self.end_attempt(row, Outcome::Fault);
        }
    }

    pub(crate) fn defer(&self, state: &mut State, call: usize, claim_no: u8) {
        if let Some(row) = self.own(state, call, claim_no)
            && row.state != CallState::InCall
        {
            self.put_back(row);
        }
    }

    pub(crate) fn doubt(&self, state: &mut State, call: usize, claim_no: u8) {
        let Some(row) = self.own(state, call, claim_no) else {
            return;
        };
        if row.state == CallState::Dialing {
            row.state = CallState::Unresolved;
            if self.lacks(Sabotage::UnknownRetriedAtOnce) {
                self.put_back(row);
            }
        }
    }

    /// Back to the queue, not counted; a canceled call ends.
    pub(crate) fn put_back(&self, row: &mut Row) {
        if row.wished && !self.lacks(Sabotage::WishIgnored) {
            self.end_attempt(row, Outcome::Canceled);
        } else if row.answered {
            self.end_attempt(row, Outcome::Answered);
        } else {
            row.attempt -= 1;
            row.state = CallState::Waiting;
        }
    }

    pub(crate) fn sweep_lease(row: &mut Row) {
        row.state = CallState::Unresolved;
    }

    pub(crate) fn sweep_deadline(&self, row: &mut Row) {
        self.end_attempt(row, Outcome::Unknown);
    }

    /// The provider reports every call, and reported only others.
    pub(crate) fn sweep_unheard(&self, state: &mut State, call: usize) {
        let row = &mut state.rows[call];
        if !state.dials[call][usize::from(row.claim_no) - 1].is_over_unplaced() {
            state.misdialled = Some("P1: it was placed, and is taken for not placed");
        }
        self.put_back(row);
    }

    /// A person knows, or believes, that the dial was not placed.
    pub(crate) fn resolve_not_placed(&self, state: &mut State, call: usize) {
        let row = &mut state.rows[call];
        if row.state == CallState::Failed {
            Self::forget_dial(state, call);
            let row = &mut state.rows[call];
            row.attempt -= row.attempt.min(1);
            row.state = CallState::Waiting;
            row.unknown = false;
        } else {
            self.put_back(row);
        }
    }

    /// A person knows how it ended.
    pub(crate) fn resolve_as(&self, state: &mut State, call: usize) {
        let row = &mut state.rows[call];
        let phone = state.dials[call][usize::from(row.claim_no) - 1].phone;
        let (outcome, ended) = match phone {
            Phone::SpokenTo => (Outcome::Answered, CallState::Completed),
            Phone::CalledOff => (Outcome::Canceled, CallState::Canceled),
            _ => (Outcome::NoAnswer, CallState::Failed),
        };
        if row.state == CallState::Failed {
            Self::forget_dial(state, call);
            let row = &mut state.rows[call];
            row.state = ended;
            row.answered |= outcome == Outcome::Answered;
            row.unknown = false;
        } else {
            self.end_attempt(row, outcome);
        }
    }

    /// Frees what the given-up dial held.
    fn forget_dial(state: &mut State, call: usize) {
        let row = &mut state.rows[call];
        let dials = &mut state.dials[call];
        dials[usize::from(row.claim_no) - 1].known = Known::Nothing;
        row.hold = row.hold.min(held_by(dials));
    }

    pub(crate) fn wish(row: &mut Row) {
        if row.state == CallState::Waiting {
            row.state = CallState::Canceled;
        } else {
            row.wished = true;
        }
    }

    pub(crate) fn webhook(&self, state: &mut State, call: usize, claim_no: u8, kind: Kind) {
        let row = &mut state.rows[call];
        let dial = &mut state.dials[call][usize::from(claim_no) - 1];
        let (present, event) = (i64::from(row.claim_no), i64::from(claim_no));
        let is_final = matches!(kind, Kind::Completed | Kind::Ended);
        dial.told_of = self.tells();
        let known = judge::Known {
            unknown: row.unknown,
            answered: row.answered,
            over: dial.known == Known::Over,
        };
        let judged = judge(row.state, present, known, event, kind);
        match judged {
            Judgement::Accept => row.state = CallState::InCall,
            Judgement::Answer => {
                row.state = CallState::InCall;
                row.answered = true;
            }
            Judgement::Settle if kind == Kind::Completed => {
                self.end_attempt(row, Outcome::Answered);
            }
            Judgement::Settle => {
                let outcome = if dial.phone == Phone::CalledOff {
                    Outcome::Canceled
                } else {
                    Outcome::NoAnswer
                };
                self.end_attempt(row, outcome);
            }
            Judgement::CompleteLate | Judgement::LateAnswer
                if self.lacks(Sabotage::LateAnswerIgnored) =>
            {
                row.told = true;
            }
            Judgement::CompleteLate | Judgement::LateAnswer => {
                row.told = true;
                row.answered = true;
                if judged == Judgement::CompleteLate {
                    row.state = CallState::Completed;
                }
            }
            _ => {}
        }
        let late = matches!(
            judged,
            Judgement::CompleteLate | Judgement::LateAnswer | Judgement::Hold | Judgement::EndHold
        );
        if late && !is_final {
            dial.known = Known::Up(TALK_HOLD);
            if !self.lacks(Sabotage::LateProgressIgnored) {
                row.hold = row.hold.max(TALK_HOLD);
            }
        } else if late {
            dial.known = Known::Over;
            row.hold = row.hold.min(held_by(&state.dials[call]));
        } else if judged == Judgement::Settle {
            dial.known = Known::Over;
        }
    }

    fn end_attempt(&self, row: &mut Row, outcome: Outcome) {
        let wished = row.wished && !self.lacks(Sabotage::WishIgnored);
        let retried = match outcome {
            Outcome::NoAnswer | Outcome::Fault => true,
            Outcome::Unknown => self.redial_unknown,
            Outcome::Answered | Outcome::Canceled => false,
        };
        row.unknown = outcome == Outcome::Unknown;
        if row.unknown {
            row.hold = row.hold.max(HOLD);
        }
        if outcome == Outcome::Answered
            || (row.answered && (wished || outcome == Outcome::Canceled))
        {
            row.state = CallState::Completed;
        } else if wished || outcome == Outcome::Canceled {
            row.state = CallState::Canceled;
        } else if retried && !row.answered && row.attempt < ATTEMPTS {
            row.state = CallState::Waiting;
        } else {
            row.state = CallState::Failed;
        }
    }

    pub(crate) fn is_overdue(row: &Row) -> bool {
        row.state.is_in_flight() && row.age >= DEADLINE
    }
}

/// Ticks for which these dials hold their number.
fn held_by(dials: &[Dial]) -> u8 {
    let up = dials.iter().filter_map(|dial| match dial.known {
        Known::Up(ticks) => Some(ticks),
        _ => None,
    });
    up.max().unwrap_or(0)
}
