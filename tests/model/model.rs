//! The reference model: what the verbs promise, over plain values.
//!
//! Written from the headers in `sql/`, the README and `docs/ARCHITECTURE.md`, with one call, one report and one clock
//! at a time: no locks, no rows, no batches. Where Postgres may choose (whose turn it is, the jitter of a backoff,
//! ids), the model is told the choice and says whether it was allowed.

mod attempt;
mod breaker;
mod claim;
mod evidence;
mod report;
mod requests;
mod time;

use pgdial::domain::{CallId, CallState, Outcome, Reference, Report};
use uuid::Uuid;

pub(crate) use self::{
    breaker::Breaker,
    evidence::Heard,
    requests::{CallRequest, Change, Expiry},
};

/// Microseconds since the world began: the unit of Postgres, so that both are exact.
pub(crate) type Moment = i64;
pub(crate) const MILLISECOND: Moment = 1_000;
pub(crate) const SECOND: Moment = 1_000 * MILLISECOND;
pub(crate) const MINUTE: Moment = 60 * SECOND;
pub(crate) const HOUR: Moment = 60 * MINUTE;

pub(crate) const NUMBERS: [&str; 4] = [
    "+14155550101",
    "+14155550102",
    "+14155550103",
    "+14155550104",
];
pub(crate) const TRUNKS: [&str; 2] = ["north", "south"];
pub(crate) const CAMPAIGNS: [&str; 2] = ["alpha", "beta"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUp {
    None,
    Hint,
    Authoritative,
}

impl LookUp {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hint => "hint",
            Self::Authoritative => "authoritative",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Trunk {
    pub(crate) slots: usize,
    pub(crate) look_up: LookUp,
    pub(crate) paused: bool,
    pub(crate) resumed_at: Option<Moment>,
    pub(crate) breaker: Breaker,
}

#[derive(Debug, Clone)]
pub(crate) struct Campaign {
    pub(crate) trunk: usize,
    pub(crate) cap: Option<usize>,
    pub(crate) redial_unknown: bool,
    pub(crate) guard: Option<usize>,
    /// When one of its calls was last accepted, to within ten seconds.
    pub(crate) accepted_at: Option<Moment>,
    pub(crate) paused: bool,
    pub(crate) resumed_at: Option<Moment>,
    pub(crate) ring_timeout: Moment,
    pub(crate) max_duration: Moment,
    pub(crate) busy_base: Moment,
    pub(crate) no_answer_base: Moment,
    pub(crate) fault_base: Moment,
    pub(crate) backoff_cap: Moment,
}

/// When a call is due. Postgres draws the jitter of a backoff: until that has been read back, any moment of the span
/// is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) earliest: Moment,
    pub(crate) latest: Moment,
}

impl Due {
    pub(crate) const fn at(moment: Moment) -> Self {
        Self {
            earliest: moment,
            latest: moment,
        }
    }

    fn not_before(self, moment: Moment) -> Self {
        Self {
            earliest: self.earliest.max(moment),
            latest: self.latest.max(moment),
        }
    }
}

/// One claim of a call, and so at most one dial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial {
    pub(crate) worker: Uuid,
    pub(crate) trunk: usize,
    /// What the provider was told, whatever the campaign says later.
    pub(crate) ring_timeout: Moment,
    pub(crate) max_duration: Moment,
    pub(crate) known: Option<Known>,
}

/// Latest knowledge of a dial that was reported over, or that holds its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Over,
    UpUntil(Moment),
}

/// One call, with the facts of its current attempt.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) request: CallRequest,
    pub(crate) priority: i16,
    pub(crate) run_at: Due,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) max_attempts: i32,
    pub(crate) state: CallState,
    pub(crate) attempt: i32,
    pub(crate) deferrals: i32,
    /// Times it was put back as forbidden.
    pub(crate) forbidden: i32,
    /// One per claim, in order of claim numbers, from 1.
    pub(crate) dials: Vec<Dial>,
    pub(crate) claimed_at: Moment,
    pub(crate) lease_until: Option<Moment>,
    pub(crate) deadline_at: Option<Moment>,
    pub(crate) hold_until: Option<Moment>,
    pub(crate) trunk: Option<usize>,
    pub(crate) provider_id: Option<String>,
    /// Since it was enqueued or redriven.
    pub(crate) answered_at: Option<Moment>,
    /// Before it was redriven with force.
    pub(crate) answered_before: bool,
    /// Claims up to this one were known to a redrive with force.
    pub(crate) forced_claim_no: i64,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) cancel_requested: bool,
    pub(crate) ended_at: Option<Moment>,
    pub(crate) look_up_at: Option<Moment>,
    pub(crate) not_found: i32,
    pub(crate) not_found_since: Option<Moment>,
    /// Kinds of its events in order, one per transition.
    pub(crate) events: Vec<&'static str>,
}

impl Call {
    pub(crate) fn claim_no(&self) -> i64 {
        i64::try_from(self.dials.len()).unwrap()
    }

    /// The dial of this claim.
    fn dial(&mut self, claim_no: i64) -> &mut Dial {
        &mut self.dials[usize::try_from(claim_no - 1).unwrap()]
    }

    fn latest(&self) -> Dial {
        *self.dials.last().unwrap()
    }

    fn hold(&mut self, until: Moment) {
        self.hold_until = Some(self.hold_until.map_or(until, |at| at.max(until)));
    }

    fn note(&mut self, kind: &'static str) {
        self.events.push(kind);
    }

    /// In flight or held, so that its number is taken.
    pub(crate) fn takes_its_number(&self, now: Moment) -> bool {
        self.state.is_in_flight() || self.hold_until.is_some_and(|until| until > now)
    }

    /// Back in the queue, with nothing left of the previous dial.
    fn wait_again(&mut self, run_at: Due) {
        self.state = CallState::Waiting;
        self.run_at = run_at;
        self.lease_until = None;
        self.deadline_at = None;
        self.trunk = None;
        self.provider_id = None;
    }

    fn end(&mut self, state: CallState, now: Moment) {
        self.state = state;
        self.ended_at = Some(now);
        self.lease_until = None;
        self.deadline_at = None;
    }
}

/// An entry of the do-not-call list.
#[derive(Debug, Clone)]
pub(crate) struct Forbidden {
    pub(crate) number: usize,
    pub(crate) at: Moment,
    /// The sweep still looks for waiting calls to it.
    pub(crate) pending: bool,
}

/// One event of a provider, as delivered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) trunk: usize,
    /// Of its URL; `None`: matched by the reference in the body, or by the provider's id.
    pub(crate) reference: Option<Reference>,
    pub(crate) event_id: String,
    pub(crate) report: Report,
}

impl Delivery {
    /// The dial that it names, in its URL or its body.
    pub(crate) fn named(&self) -> Option<Reference> {
        let in_body = || self.report.reference.as_ref()?.parse().ok();
        self.reference.or_else(in_body)
    }
}

/// A stored event.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) delivery: Delivery,
    pub(crate) verdict: pgdial::flow::webhook::Verdict,
    pub(crate) deliveries: i32,
    pub(crate) received: Moment,
    pub(crate) try_at: Moment,
}

/// The whole state.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) now: Moment,
    pub(crate) trunks: [Trunk; 2],
    pub(crate) campaigns: [Campaign; 2],
    pub(crate) calls: Vec<Call>,
    pub(crate) forbidden: Vec<Forbidden>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) heard: Vec<Heard>,
}

impl Model {
    pub(crate) fn new(trunks: [Trunk; 2], campaigns: [Campaign; 2]) -> Self {
        Self {
            now: 0,
            trunks,
            campaigns,
            calls: Vec::new(),
            forbidden: Vec::new(),
            kept: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub(crate) fn resume_trunk(&mut self, at: usize) {
        let trunk = &mut self.trunks[at];
        if std::mem::take(&mut trunk.paused) {
            trunk.resumed_at = Some(self.now);
        }
    }

    pub(crate) fn resume_campaign(&mut self, at: usize) {
        let lane = &mut self.campaigns[at];
        if std::mem::take(&mut lane.paused) {
            lane.resumed_at = Some(self.now);
        }
    }

    pub(crate) fn find(&self, id: CallId) -> Option<usize> {
        self.calls.iter().position(|call| call.id == id)
    }

    pub(crate) fn in_flight_count(&self) -> usize {
        let flying = |call: &&Call| call.state.is_in_flight();
        self.calls.iter().filter(flying).count()
    }

    pub(crate) fn is_forbidden(&self, number: usize) -> bool {
        self.forbidden.iter().any(|entry| entry.number == number)
    }

    fn campaign_of(&self, call: usize) -> &Campaign {
        &self.campaigns[self.calls[call].request.campaign]
    }

    /// The call of this dial, if it is the call's latest.
    fn present(&self, dial: Reference) -> Option<usize> {
        self.find(dial.call)
            .filter(|call| self.calls[*call].claim_no() == dial.claim_no)
    }

    /// The same, if it is in flight.
    fn in_flight(&self, dial: Reference) -> Option<usize> {
        self.present(dial)
            .filter(|call| self.calls[*call].state.is_in_flight())
    }
}
