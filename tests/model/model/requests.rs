//! Requests of people: enqueue, cancel, redrive, amend, release, resolve, and the do-not-call list.

use pgdial::{
    domain::{CallId, CallState, Outcome, Resolution},
    flow::{
        amend::Amended, cancel::Canceled, enqueue::Enqueued, redrive::Redriven, release::Released,
        resolve::Resolved,
    },
};

use super::{Call, Due, Forbidden, Model, Moment, attempt::Back, time::own_deadline};

/// One request for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallRequest {
    pub(crate) number: usize,
    pub(crate) campaign: usize,
    pub(crate) priority: i16,
    pub(crate) run_at: Option<Moment>,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) max_attempts: Option<i32>,
    pub(crate) key: Option<u8>,
}

/// A change of when a call expires.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expiry {
    Never,
    At(Moment),
}

/// A change of a waiting call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change {
    pub(crate) priority: Option<i16>,
    pub(crate) run_at: Option<Moment>,
    pub(crate) expires_at: Option<Expiry>,
    pub(crate) max_attempts: Option<i32>,
}

/// Attempts of a request that names none: the campaigns' default.
const ATTEMPTS: i32 = 3;

impl Model {
    /// Copies the result of an enqueue into the model, or says what it should have been.
    pub(crate) fn enqueued(
        &mut self,
        request: &CallRequest,
        answer: &Enqueued,
    ) -> Result<(), String> {
        let begins = request.run_at.unwrap_or(Moment::MIN);
        let known = |call: &&Call| request.key.is_some() && call.request.key == request.key;
        let known = self.calls.iter().find(known);
        let expected = if request.expires_at.is_some_and(|at| at <= begins) {
            "invalid"
        } else if let Some(call) = known {
            if call.request == *request {
                "duplicate"
            } else {
                "key reused"
            }
        } else if self.is_forbidden(request.number) {
            "suppressed"
        } else if request.expires_at.is_some_and(|at| at <= self.now) {
            "invalid"
        } else {
            "created"
        };
        let (answered, id) = match answer {
            Enqueued::Created(id) => ("created", Some(*id)),
            Enqueued::Duplicate(id) => ("duplicate", Some(*id)),
            Enqueued::KeyReused(_) => ("key reused", None),
            Enqueued::Suppressed(_) => ("suppressed", None),
            Enqueued::Invalid(_) => ("invalid", None),
            _ => ("another word", None),
        };
        if answered != expected {
            return Err(format!("answered {answer:?}, expected {expected}"));
        }
        match (expected, id) {
            ("duplicate", id) if id != known.map(|call| call.id) => {
                Err("answered another call's id".to_owned())
            }
            ("created", Some(id)) if self.find(id).is_some() => Err("an id twice".to_owned()),
            ("created", Some(id)) => {
                self.calls.push(self.fresh(id, request));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn fresh(&self, id: CallId, request: &CallRequest) -> Call {
        Call {
            id,
            request: request.clone(),
            priority: request.priority,
            run_at: Due::at(request.run_at.unwrap_or(self.now)),
            expires_at: request.expires_at,
            max_attempts: request.max_attempts.unwrap_or(ATTEMPTS),
            state: CallState::Waiting,
            attempt: 0,
            deferrals: 0,
            forbidden: 0,
            dials: Vec::new(),
            claimed_at: 0,
            lease_until: None,
            deadline_at: None,
            hold_until: None,
            trunk: None,
            provider_id: None,
            answered_at: None,
            answered_before: false,
            forced_claim_no: 0,
            outcome: None,
            cancel_requested: false,
            ended_at: None,
            look_up_at: None,
            not_found: 0,
            not_found_since: None,
            events: vec!["waiting"],
        }
    }

    pub(crate) fn cancel(&mut self, index: usize) -> Canceled {
        let (now, call) = (self.now, &mut self.calls[index]);
        if call.state == CallState::Waiting {
            call.outcome = Some(Outcome::Canceled);
            call.end(CallState::Canceled, now);
            call.note("canceled");
            Canceled::Canceled
        } else if call.state.is_in_flight() {
            if !call.cancel_requested {
                call.cancel_requested = true;
                call.note("cancel_requested");
            }
            Canceled::Requested
        } else {
            Canceled::AlreadyOver
        }
    }

    pub(crate) fn redrive(&mut self, index: usize, force: bool) -> Redriven {
        let now = self.now;
        let call = &self.calls[index];
        if !call.state.is_terminal() {
            return Redriven::NotOver;
        }
        if call.takes_its_number(now) {
            return Redriven::Held;
        }
        let answered = call.answered_at.is_some() || call.answered_before;
        if (call.state == CallState::Completed || answered) && !force {
            return Redriven::NeedsForce;
        }
        if self.is_forbidden(call.request.number) {
            return Redriven::Suppressed;
        }
        let call = &mut self.calls[index];
        call.wait_again(Due::at(now));
        call.answered_before |= call.answered_at.take().is_some();
        if force {
            call.forced_claim_no = call.claim_no();
        }
        call.attempt = 0;
        call.deferrals = 0;
        call.forbidden = 0;
        call.expires_at = call.expires_at.filter(|at| *at > now);
        call.outcome = None;
        call.ended_at = None;
        call.hold_until = None;
        call.cancel_requested = false;
        call.note("redriven");
        Redriven::Waiting
    }

    /// The words of a refusal are not modelled.
    pub(crate) fn amend(&mut self, index: usize, change: Change) -> Amended {
        let now = self.now;
        let call = &mut self.calls[index];
        if call.state != CallState::Waiting {
            return Amended::NotWaiting;
        }
        let expires_at = match change.expires_at {
            Some(Expiry::At(at)) => Some(at),
            Some(Expiry::Never) => None,
            None => call.expires_at,
        };
        let begins = change
            .run_at
            .or(change.expires_at.map(|_| call.run_at.earliest));
        if expires_at.is_some_and(|at| begins.is_some_and(|begins| at <= begins) || at <= now)
            || change.max_attempts.is_some_and(|most| most < call.attempt)
        {
            return Amended::Invalid(String::new());
        }
        call.priority = change.priority.unwrap_or(call.priority);
        call.max_attempts = change.max_attempts.unwrap_or(call.max_attempts);
        call.expires_at = expires_at;
        // A held number stays held: the retry of an unexplained dial is never brought forward.
        let wished = change.run_at.unwrap_or(call.run_at.earliest);
        call.run_at = Due::at(call.hold_until.map_or(wished, |hold| hold.max(wished)));
        call.note("amended");
        Amended::Amended
    }

    pub(crate) fn release(&mut self, index: usize) -> Released {
        let now = self.now;
        let call = &mut self.calls[index];
        if call.hold_until.is_none_or(|until| until <= now) {
            return Released::NotHeld;
        }
        call.hold_until = None;
        if call.state == CallState::Waiting {
            call.run_at = Due::at(now);
        }
        call.note("released");
        Released::Released
    }

    /// Nobody can explain its dial: in doubt, past its deadline, or given up as unknown.
    pub(crate) fn is_in_doubt(&self, call: &Call) -> bool {
        match call.state {
            CallState::Unresolved => true,
            CallState::Dialing | CallState::InCall => own_deadline(call) <= self.now,
            CallState::Failed => call.outcome == Some(Outcome::Unknown),
            _ => false,
        }
    }

    pub(crate) fn resolve(&mut self, index: usize, r#as: Resolution) -> Resolved {
        let call = &self.calls[index];
        if !self.is_in_doubt(call) {
            return Resolved::NotInDoubt;
        }
        if r#as == Resolution::NotPlaced && call.answered_at.is_some() {
            return Resolved::Answered;
        }
        let given_up = call.state == CallState::Failed;
        self.calls[index].note("resolved");
        match outcome_of(r#as) {
            outcome if given_up => self.resolve_given_up(index, outcome),
            Some(outcome) => self.end_attempt(index, outcome),
            None => self.put_back(index, Back::AtOnce),
        }
        Resolved::Resolved
    }

    /// Its attempt ended long ago, and nothing is retried. What it held becomes free.
    fn resolve_given_up(&mut self, index: usize, outcome: Option<Outcome>) {
        let now = self.now;
        let forbidden = self.is_forbidden(self.calls[index].request.number);
        let call = &mut self.calls[index];
        call.outcome = outcome;
        call.cancel_requested = false;
        if outcome != Some(Outcome::Unknown) {
            call.hold_until = call.held_by_others(call.claim_no());
        }
        let ended = match outcome {
            Some(Outcome::Answered | Outcome::Voicemail) => {
                call.answered_at.get_or_insert(now);
                CallState::Completed
            }
            Some(Outcome::Canceled) => CallState::Canceled,
            Some(_) => CallState::Failed,
            None => {
                call.attempt -= 1;
                if forbidden {
                    CallState::Suppressed
                } else {
                    call.ended_at = None;
                    call.wait_again(Due::at(call.hold_until.map_or(now, |hold| hold.max(now))));
                    return call.note("deferred");
                }
            }
        };
        call.state = ended;
        call.note(ended.as_str());
    }

    /// Returns whether the number was new to the list.
    pub(crate) fn forbid(&mut self, number: usize) -> bool {
        let is_new = !self.is_forbidden(number);
        if is_new {
            self.forbidden.push(Forbidden {
                number,
                at: self.now,
                pending: true,
            });
        }
        is_new
    }

    /// Returns whether the number was on the list.
    pub(crate) fn allow(&mut self, number: usize) -> bool {
        let before = self.forbidden.len();
        self.forbidden.retain(|entry| entry.number != number);
        self.forbidden.len() < before
    }
}

fn outcome_of(r#as: Resolution) -> Option<Outcome> {
    Some(match r#as {
        Resolution::NotPlaced => return None,
        Resolution::Answered => Outcome::Answered,
        Resolution::Voicemail => Outcome::Voicemail,
        Resolution::Busy => Outcome::Busy,
        Resolution::NoAnswer => Outcome::NoAnswer,
        Resolution::Declined => Outcome::Declined,
        Resolution::InvalidNumber => Outcome::InvalidNumber,
        Resolution::Unreachable => Outcome::Unreachable,
        Resolution::Blocked => Outcome::Blocked,
        Resolution::ProviderFault => Outcome::ProviderFault,
        Resolution::Canceled => Outcome::Canceled,
        Resolution::Unknown => Outcome::Unknown,
    })
}
