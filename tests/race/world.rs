//! The race as values: rows, dials, phones, and the guards between them.

use pgdial::domain::CallState;

/// Calls in the race, and the claims each may have. A second claim, while something of the first still lives, is
/// where fencing is needed; the other call is there to be rung at the wrong moment: it is never canceled, and no
/// reply about it is lost.
pub(crate) const CALLS: usize = 2;
pub(crate) const CLAIMS: [usize; CALLS] = [2, 1];
const MOST_CLAIMS: usize = 2;
pub(crate) const RACED: usize = 0;

/// `max_attempts`.
pub(crate) const ATTEMPTS: u8 = 2;

/// Ticks since the claim. Only their order matters, which is that of the real times: a dial begins before half of the
/// lease is over (30 s of 60 s) and takes no longer than the other half; the deadline leaves room for the longest
/// talk.
pub(crate) const LATEST_START: u8 = 1;
pub(crate) const LONGEST_DIAL: u8 = 1;
pub(crate) const LEASE: u8 = LATEST_START + LONGEST_DIAL;
/// A talk may end late, by up to the length of the hold, which exists for that.
pub(crate) const LONGEST_TALK: u8 = 1;
pub(crate) const DEADLINE: u8 = 3;
pub(crate) const HOLD: u8 = 1;
/// How long a number stays taken by a dial that shows up after it is over for us.
pub(crate) const TALK_HOLD: u8 = LONGEST_TALK + 1;
/// How soon a provider that reports every call reports one (`reports_within`), while it can reach us.
pub(crate) const WITHIN: u8 = 1;
/// How long we wait for that from when others were reported.
pub(crate) const MARGIN: u8 = WITHIN + 1;
/// Greater ages make no difference.
pub(crate) const OLD: u8 = DEADLINE + 1;

/// One guard removed; the explorer must find the consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// The claim looks, and stamps what it saw a moment later.
    NoGate,
    /// A worker settles its call no matter which claim is in flight.
    SettleWithoutClaimNo,
    /// A dial with unknown result returns to the queue at once.
    UnknownRetriedAtOnce,
    /// The worker does not check its clock before it dials.
    NoLateStartCheck,
    /// A number becomes free together with its slot.
    NoHold,
    /// A late answer changes nothing.
    LateAnswerIgnored,
    /// Ringing changes nothing if the dial was put back.
    LateProgressIgnored,
    /// A retry ignores that the call was canceled.
    WishIgnored,
    /// A call without a report stays in flight.
    NoDeadline,
    /// A worker gives back what it has dialled.
    GivesBackWhatItHolds,
    /// A dial without any report so far is taken for not placed.
    SilenceBelieved,
    /// The same, even if no others were reported.
    SilenceAlone,
    /// Once others were reported, there is no wait for redeliveries.
    NoMargin,
    /// It makes no difference that nobody could reach us during the wait.
    OutageForgotten,
    /// A person who has answered may be declared not rung.
    ResolvesAnswered,
    /// A person resolves a dial that is not in doubt yet.
    ResolvesUnderWay,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that hold or not, each by itself"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) state: CallState,
    pub(crate) claim_no: u8,
    pub(crate) attempt: u8,
    /// Ticks since its claim.
    pub(crate) age: u8,
    pub(crate) hold: u8,
    pub(crate) wished: bool,
    pub(crate) answered: bool,
    pub(crate) unknown: bool,
    /// We were told that the person has spoken to us.
    pub(crate) told: bool,
    /// A claimer without a gate saw that it may go.
    pub(crate) seen: bool,
    /// Ticks in doubt, with a provider that reports every call.
    pub(crate) doubt_for: u8,
    /// Ticks since others were reported after it was due.
    pub(crate) others_told: Option<u8>,
}

impl Row {
    pub(crate) fn is_taking(&self) -> bool {
        self.state.is_in_flight() || self.hold > 0
    }
}

/// What the worker knows about its dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    NotClaimed,
    /// The claim's reply was lost: nobody knows the call is theirs.
    Unheard,
    Held,
    Sent,
    /// It has said what it knew, or never will.
    Done,
}

/// What the phone does, known only to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phone {
    Quiet,
    Refused,
    Rings,
    Talks,
    RangOut,
    SpokenTo,
    CalledOff,
}

impl Phone {
    pub(crate) fn is_up(self) -> bool {
        matches!(self, Self::Rings | Self::Talks)
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::RangOut | Self::SpokenTo | Self::CalledOff)
    }
}

/// What the database knows about a dial that was reported over, or that holds its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Known {
    Nothing,
    Over,
    /// It may be up for this many more ticks.
    Up(u8),
}

/// The dial of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Dial {
    pub(crate) worker: Worker,
    pub(crate) phone: Phone,
    pub(crate) is_sent: bool,
    /// Ticks since the claim, on the worker's own clock.
    pub(crate) age: u8,
    /// Ticks since the request went out, or since it began to ring.
    pub(crate) for_ticks: u8,
    pub(crate) known: Known,
    /// With a provider that reports every call: it has reported this one, or could have for `untold_for` ticks.
    pub(crate) told_of: bool,
    pub(crate) untold_for: u8,
}

impl Dial {
    /// It rings nobody, and never will.
    pub(crate) fn is_over_unplaced(self) -> bool {
        let cannot = if self.is_sent {
            self.for_ticks > LONGEST_DIAL
        } else {
            self.worker != Worker::Held || self.age > LATEST_START
        };
        self.phone == Phone::Refused || self.phone == Phone::Quiet && cannot
    }
}

/// Whether the provider can reach us; once, for some time, it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    Always,
    No,
    Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) rows: [Row; CALLS],
    pub(crate) dials: [[Dial; MOST_CLAIMS]; CALLS],
    pub(crate) reach: Reach,
    /// A call was dialled although it was canceled or known to be answered, or a placed one is taken for not placed.
    pub(crate) misdialled: Option<&'static str>,
}

/// How reliable the provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// It refuses what it does not ring, and reports or not.
    Plain,
    /// It says that it has no capacity, and rings all the same. Nobody can rule out a second ring then, but once it
    /// shows that it rings, we know. People err as well, about who has answered.
    Lies,
    /// It reports every call that it places. What its silence means concerns one dial, so the other call is left out.
    Tells,
}

/// What is raced: two calls to one number, or to two numbers over one slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) one_number: bool,
    pub(crate) slots: usize,
    /// The campaign's `redial_unknown`.
    pub(crate) redial_unknown: bool,
    pub(crate) provider: Provider,
    pub(crate) sabotage: Option<Sabotage>,
}

impl World {
    pub(crate) fn lacks(&self, guard: Sabotage) -> bool {
        self.sabotage == Some(guard)
    }

    pub(crate) fn lies(&self) -> bool {
        self.provider == Provider::Lies
    }

    pub(crate) fn tells(&self) -> bool {
        self.provider == Provider::Tells
    }

    pub(crate) fn fresh() -> State {
        let row = Row {
            state: CallState::Waiting,
            claim_no: 0,
            attempt: 0,
            age: 0,
            hold: 0,
            wished: false,
            answered: false,
            unknown: false,
            told: false,
            seen: false,
            doubt_for: 0,
            others_told: None,
        };
        let dial = Dial {
            worker: Worker::NotClaimed,
            phone: Phone::Quiet,
            is_sent: false,
            age: 0,
            for_ticks: 0,
            known: Known::Nothing,
            told_of: false,
            untold_for: 0,
        };
        State {
            rows: [row; CALLS],
            dials: [[dial; MOST_CLAIMS]; CALLS],
            reach: Reach::Always,
            misdialled: None,
        }
    }

    /// Whether this call may be claimed now.
    pub(crate) fn may_go(&self, state: &State, call: usize) -> bool {
        let row = &state.rows[call];
        let is_taken = |other: &Row| {
            if self.lacks(Sabotage::NoHold) {
                other.state.is_in_flight()
            } else {
                other.is_taking()
            }
        };
        let taken = if self.one_number {
            state.rows.iter().any(is_taken)
        } else {
            is_taken(row)
        };
        row.state == CallState::Waiting
            && usize::from(row.claim_no) < CLAIMS[call]
            && (call == RACED || !self.tells())
            && !taken
            && Self::in_flight(state) < self.slots
    }

    pub(crate) fn in_flight(state: &State) -> usize {
        let flying = |row: &&Row| row.state.is_in_flight();
        state.rows.iter().filter(flying).count()
    }
}

impl State {
    /// Forgets what no longer makes a difference, so that moments that differ in nothing else become one state.
    pub(crate) fn forget(&mut self) {
        for (row, dials) in self.rows.iter_mut().zip(&mut self.dials) {
            row.forget();
            for dial in dials {
                dial.forget(row);
            }
        }
    }
}

impl Row {
    fn forget(&mut self) {
        self.unknown &= self.state == CallState::Failed;
        if self.state != CallState::Unresolved {
            (self.doubt_for, self.others_told) = (0, None);
        }
        if self.state.is_terminal() {
            (self.attempt, self.wished, self.told) = (0, false, false);
        }
    }

    /// Whether no report can change it any more. (A dial that is over may hold its number for nothing.)
    fn is_closed(&self) -> bool {
        self.state.is_terminal() && !self.unknown && self.hold == 0
    }
}

impl Dial {
    fn forget(&mut self, row: &Row) {
        if self.worker != Worker::Held {
            self.age = 0; // looked at before the dial only
        }
        if self.phone != Phone::Quiet || self.for_ticks > LONGEST_DIAL {
            self.is_sent = false; // it arrived, or never will
        }
        if !self.is_sent && !self.phone.is_up() {
            self.for_ticks = 0;
        }
        if self.known == Known::Up(0) {
            self.known = Known::Nothing; // it can no longer ring
        }
        if row.is_closed() {
            if !self.phone.is_up() {
                self.known = Known::Nothing;
            }
            if self.worker != Worker::Held {
                self.worker = Worker::Done; // whatever it says is stale
            }
            if self.phone.is_over() || self.phone == Phone::Refused {
                self.phone = Phone::Quiet;
            }
        }
        if matches!(self.phone, Phone::Quiet | Phone::Refused) || self.told_of {
            self.untold_for = 0;
        }
    }
}
