//! What may happen: how operations are drawn, and how they read.
//!
//! An operation names what it is about by a [`Pick`], not by an id: whatever shrinking
//! takes away before it, it still means something.

use std::fmt;

use pgdial::domain::{CallId, Outcome, Reference};
use proptest::{prelude::*, sample::select};

use crate::model::{
    Breaker, CAMPAIGNS, Call, Campaign, Change, HOUR, LookUp, MILLISECOND, MINUTE, Model, Moment,
    SECOND, Trunk, Wish,
};

/// Which of the calls, or of the dials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    /// Among those that it suits, where there are any; else among all.
    pub(crate) apt: bool,
    /// 0 is the newest.
    pub(crate) nth: u8,
}

impl Pick {
    /// The picked one of these, newest last.
    pub(crate) fn of<T: Copy>(self, all: &[T], suits: impl Fn(T) -> bool) -> Option<T> {
        let apt: Vec<T> = all.iter().copied().filter(|one| suits(*one)).collect();
        let from = if self.apt && !apt.is_empty() {
            &apt
        } else {
            all
        };
        let nth = usize::from(self.nth) % from.len().max(1);
        from.iter().rev().nth(nth).copied()
    }

    pub(crate) fn call(self, model: &Model, suits: impl Fn(&Call) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..model.calls.len()).collect();
        self.of(&all, |call| suits(&model.calls[call]))
    }

    /// A dial that some worker has still in mind, or any that was ever made.
    pub(crate) fn dial(self, model: &Model) -> Option<(usize, usize)> {
        let calls = model.calls.iter().enumerate();
        let all: Vec<(usize, usize)> = calls
            .flat_map(|(at, call)| (0..call.dials.len()).map(move |dial| (at, dial)))
            .collect();
        self.of(&all, |(at, dial)| {
            let call = &model.calls[at];
            call.state.is_in_flight() && dial + 1 == call.dials.len()
        })
    }
}

/// What a worker says of its dial.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DialResult {
    /// `other_id`: the provider answers with another id than its webhooks name.
    Placed {
        other_id: bool,
    },
    Refused(Outcome),
    Full {
        retry_after_sec: Option<u32>,
    },
    AccountRefused,
    Unknown,
    Late,
    Shutdown,
}

/// What a provider says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Progress,
    Answered,
    Ended(Outcome),
    UnknownWord,
    Garbage,
}

/// How an event names its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Reference,
    ReferenceWithoutId,
    ProviderId,
    WithOtherId,
    FromOtherTrunk,
    BodyNamesOtherDial,
    FutureClaim,
    UnknownCall,
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Enqueue {
        number: usize,
        campaign: usize,
        priority: i16,
        later: Option<Moment>,
        expires: Option<Moment>,
        max_attempts: Option<i32>,
        key: Option<u8>,
    },
    EnqueueAgain {
        call: Pick,
        changed: bool,
    },
    Claim {
        worker: usize,
        wanted: usize,
        only: Option<usize>,
    },
    Result {
        dial: Pick,
        result: DialResult,
    },
    Webhook {
        dial: Pick,
        says: Says,
        naming: Naming,
        /// With the id of the event before it.
        same_id: bool,
    },
    WebhookAgain(Pick),
    AskDue,
    LookUp {
        dial: Pick,
        says: Option<Says>,
        naming: Naming,
    },
    Cancel(Pick),
    Redrive {
        call: Pick,
        force: bool,
    },
    /// Moments from now.
    Amend {
        call: Pick,
        change: Change,
    },
    Release(Pick),
    PauseCampaign(usize),
    ResumeCampaign(usize),
    PauseTrunk(usize),
    ResumeTrunk(usize),
    MoveCampaign {
        campaign: usize,
        trunk: usize,
    },
    Forbid(usize),
    Allow(usize),
    Sweep,
    GiveBack {
        worker: usize,
        holds: usize,
    },
    WorkerDies(usize),
    Forward(Moment),
    /// To the n-th moment ahead at which something falls due, or just before or after.
    ForwardTo {
        nth: u8,
        off: Moment,
    },
}

fn pick() -> impl Strategy<Value = Pick> {
    let newest = Just(Pick { apt: true, nth: 0 });
    let any_of_late = (any::<bool>(), 0..8_u8).prop_map(|(apt, nth)| Pick { apt, nth });
    prop_oneof![3 => newest, 2 => any_of_late]
}

/// Mostly none.
fn maybe<T: Clone + fmt::Debug + 'static>(
    chance: f64,
    values: Vec<T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(chance, select(values))
}

fn enqueue() -> impl Strategy<Value = Operation> {
    (
        0..4_usize,
        0..2_usize,
        select(vec![0_i16, 0, 5, 9]),
        maybe(0.1, vec![SECOND, MINUTE, HOUR]),
        maybe(0.1, vec![-SECOND, 30 * SECOND, 2 * MINUTE, 2 * HOUR]),
        maybe(0.3, vec![1, 2, 3]),
        prop::option::weighted(0.1, 0..3_u8),
    )
        .prop_map(
            |(number, campaign, priority, later, expires, max_attempts, key)| Operation::Enqueue {
                number,
                campaign,
                priority,
                later,
                expires,
                max_attempts,
                key,
            },
        )
}

fn result() -> impl Strategy<Value = Operation> {
    let results = prop_oneof![
        6 => prop::bool::weighted(0.1).prop_map(|other_id| DialResult::Placed { other_id }),
        1 => select(vec![Outcome::Blocked, Outcome::InvalidNumber]).prop_map(DialResult::Refused),
        4 => Just(DialResult::Refused(Outcome::ProviderFault)),
        2 => maybe(0.5, vec![3, 40, 400])
            .prop_map(|retry_after_sec| DialResult::Full { retry_after_sec }),
        1 => Just(DialResult::AccountRefused),
        3 => Just(DialResult::Unknown),
        1 => Just(DialResult::Late),
        1 => Just(DialResult::Shutdown),
    ];
    (pick(), results).prop_map(|(dial, result)| Operation::Result { dial, result })
}

fn says() -> impl Strategy<Value = Says> {
    let outcomes = Outcome::ALL.to_vec();
    let words = move |outcome: &Outcome| *outcome != Outcome::Unknown; // no word of theirs means it
    let outcomes: Vec<Outcome> = outcomes.into_iter().filter(words).collect();
    prop_oneof![
        2 => Just(Says::Progress),
        3 => Just(Says::Answered),
        5 => select(vec![Outcome::Answered, Outcome::Busy, Outcome::NoAnswer]).prop_map(Says::Ended),
        3 => select(outcomes).prop_map(Says::Ended),
        1 => Just(Says::UnknownWord),
    ]
}

fn naming() -> impl Strategy<Value = Naming> {
    prop_oneof![
        8 => Just(Naming::Reference),
        2 => Just(Naming::ReferenceWithoutId),
        4 => Just(Naming::ProviderId),
        1 => select(vec![
            Naming::WithOtherId,
            Naming::FromOtherTrunk,
            Naming::BodyNamesOtherDial,
            Naming::FutureClaim,
            Naming::UnknownCall,
        ]),
    ]
}

fn webhook() -> impl Strategy<Value = Operation> {
    let says = prop_oneof![20 => says(), 1 => Just(Says::Garbage)];
    (pick(), says, naming(), prop::bool::weighted(0.1)).prop_map(|(dial, says, naming, same_id)| {
        Operation::Webhook {
            dial,
            says,
            naming,
            same_id,
        }
    })
}

fn look_up() -> impl Strategy<Value = Operation> {
    (pick(), prop::option::weighted(0.3, says()), naming())
        .prop_map(|(dial, says, naming)| Operation::LookUp { dial, says, naming })
}

fn amend() -> impl Strategy<Value = Operation> {
    let expires = select(vec![None, Some(-SECOND), Some(MINUTE), Some(HOUR)]);
    (
        pick(),
        maybe(0.3, vec![0_i16, 5, 9]),
        maybe(0.4, vec![-MINUTE, 0, MINUTE, HOUR]),
        prop::option::weighted(0.3, expires),
        maybe(0.3, vec![1, 2, 3]),
    )
        .prop_map(
            |(call, priority, run_at, expires_at, max_attempts)| Operation::Amend {
                call,
                change: Change {
                    priority,
                    run_at,
                    expires_at,
                    max_attempts,
                },
            },
        )
}

fn forward() -> impl Strategy<Value = Operation> {
    let steps = [
        SECOND,
        5 * SECOND,
        30 * SECOND,
        MINUTE,
        10 * MINUTE,
        2 * HOUR,
    ];
    prop_oneof![
        1 => select(steps.to_vec()).prop_map(Operation::Forward),
        4 => (prop_oneof![3 => Just(0_u8), 1 => 0..6_u8], select(vec![0, -MILLISECOND, MILLISECOND]))
            .prop_map(|(nth, off)| Operation::ForwardTo { nth, off }),
    ]
}

fn people() -> impl Strategy<Value = Operation> {
    let lane = 0..2_usize;
    prop_oneof![
        4 => pick().prop_map(Operation::Cancel),
        4 => (pick(), any::<bool>()).prop_map(|(call, force)| Operation::Redrive { call, force }),
        3 => amend(),
        2 => pick().prop_map(Operation::Release),
        1 => lane.clone().prop_map(Operation::PauseCampaign),
        2 => lane.clone().prop_map(Operation::ResumeCampaign),
        1 => lane.clone().prop_map(Operation::PauseTrunk),
        3 => lane.clone().prop_map(Operation::ResumeTrunk),
        1 => (lane.clone(), lane).prop_map(|(campaign, trunk)| Operation::MoveCampaign { campaign, trunk }),
        1 => (0..4_usize).prop_map(Operation::Forbid),
        2 => (0..4_usize).prop_map(Operation::Allow),
    ]
}

/// One operation; the weights keep calls coming, going and meeting trouble.
pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let worker = 0..2_usize;
    prop_oneof![
        9 => enqueue(),
        1 => (pick(), any::<bool>()).prop_map(|(call, changed)| Operation::EnqueueAgain { call, changed }),
        18 => (worker.clone(), 1..5_usize, maybe(0.1, vec![0_usize, 1]))
            .prop_map(|(worker, wanted, only)| Operation::Claim { worker, wanted, only }),
        14 => result(),
        24 => webhook(),
        2 => pick().prop_map(Operation::WebhookAgain),
        1 => Just(Operation::AskDue),
        6 => look_up(),
        14 => people(),
        14 => Just(Operation::Sweep),
        1 => (worker.clone(), 0..3_usize).prop_map(|(worker, holds)| Operation::GiveBack { worker, holds }),
        1 => worker.prop_map(Operation::WorkerDies),
        20 => forward(),
    ]
}

/// A dial as people say it.
pub(crate) fn dial_name((call, dial): (usize, usize)) -> String {
    format!("dial {} of call {}", dial + 1, call + 1)
}

/// What the provider calls this dial, on its good days.
pub(crate) fn provider_id((call, dial): (usize, usize)) -> String {
    format!("p-{}-{}", call + 1, dial + 1)
}

/// The dial's reference.
pub(crate) fn reference(model: &Model, (call, dial): (usize, usize)) -> Reference {
    Reference {
        call: model.calls[call].id,
        claim_no: i64::try_from(dial + 1).unwrap(),
    }
}

/// A call that was never enqueued.
pub(crate) const STRANGER: CallId = CallId(uuid::Uuid::max());

impl fmt::Display for DialResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed { other_id: false } => f.write_str("placed: result"),
            Self::Placed { other_id: true } => f.write_str("placed under another id: result"),
            Self::Refused(outcome) => write!(f, "refused as {outcome}: result"),
            Self::Full { retry_after_sec } => write!(f, "full ({retry_after_sec:?}): result"),
            Self::AccountRefused => f.write_str("account refused: result"),
            Self::Unknown => f.write_str("unknown: result"),
            Self::Late => f.write_str("too late: result"),
            Self::Shutdown => f.write_str("not dialled, shutting down: result"),
        }
    }
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Progress => f.write_str("progress"),
            Self::Answered => f.write_str("somebody answers"),
            Self::Ended(outcome) => write!(f, "ended as {outcome}"),
            Self::UnknownWord => f.write_str("an unknown word"),
            Self::Garbage => f.write_str("garbage"),
        }
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "by reference",
            Self::ReferenceWithoutId => "by reference, without the provider's id",
            Self::ProviderId => "by the provider's id alone",
            Self::WithOtherId => "with another provider's id",
            Self::FromOtherTrunk => "from the other trunk",
            Self::BodyNamesOtherDial => "its body names another dial",
            Self::FutureClaim => "by a reference that was never made",
            Self::UnknownCall => "by the reference of an unknown call",
        })
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "number {} in {}",
            self.number + 1,
            CAMPAIGNS[self.campaign]
        )?;
        let seconds = |moment: Moment| moment / SECOND;
        if self.priority > 0 {
            write!(f, ", priority {}", self.priority)?;
        }
        if let Some(at) = self.run_at {
            write!(f, ", not before second {}", seconds(at))?;
        }
        if let Some(at) = self.expires_at {
            write!(f, ", expires at second {}", seconds(at))?;
        }
        if let Some(most) = self.max_attempts {
            write!(f, ", {most} attempts")?;
        }
        if let Some(key) = self.key {
            write!(f, ", key {key}")?;
        }
        Ok(())
    }
}

/// The trunks and campaigns of one case: small enough that their limits are met.
pub(crate) fn world() -> impl Strategy<Value = Model> {
    let trunk = || {
        let look_up = select(vec![LookUp::None, LookUp::Hint, LookUp::Authoritative]);
        (1..4_usize, look_up).prop_map(|(slots, look_up)| Trunk {
            slots,
            look_up,
            paused: false,
            breaker: Breaker::default(),
        })
    };
    let lane = |trunk: usize, ring_timeout: Moment, max_duration: Moment| {
        (maybe(0.4, vec![1_usize, 2]), any::<bool>()).prop_map(move |(cap, redial_unknown)| {
            Campaign {
                trunk,
                cap,
                redial_unknown,
                paused: false,
                ring_timeout,
                max_duration,
                busy_base: MINUTE,
                no_answer_base: 2 * MINUTE,
                fault_base: 5 * SECOND,
                backoff_cap: 3 * MINUTE,
            }
        })
    };
    let trunks = (trunk(), trunk());
    let lanes = (
        lane(0, 30 * SECOND, 5 * MINUTE),
        lane(1, 10 * SECOND, MINUTE),
    );
    (trunks, lanes)
        .prop_map(|((north, south), (alpha, beta))| Model::new([north, south], [alpha, beta]))
}
