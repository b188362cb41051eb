//! How operations and worlds are drawn: weights keep calls coming, going and getting into trouble, and worlds are so
//! small that their limits are reached.

use std::fmt;

use pgdial::domain::{Outcome, Resolution};
use proptest::{prelude::*, sample::select};

use super::{Among, DialResult, Naming, Operation, Pick, Says};
use crate::model::{
    Breaker, Campaign, Change, Expiry, HOUR, LookUp, MILLISECOND, MINUTE, Model, Moment, SECOND,
    Trunk,
};

fn pick() -> impl Strategy<Value = Pick> {
    let among = select(vec![Among::Apt, Among::Others, Among::All]);
    let any_of_late = (among, 0..6_u8).prop_map(|(among, nth)| Pick { among, nth });
    let newest = |among: Among| Just(Pick { among, nth: 0 });
    prop_oneof![3 => newest(Among::Apt), 1 => newest(Among::Others), 1 => any_of_late]
}

/// `None` most of the time.
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
        1 => Just(DialResult::NumberLimit),
        1 => Just(DialResult::AccountRefused),
        2 => Just(DialResult::Forbidden),
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
        3 => select(outcomes.clone()).prop_map(Says::Ended),
        1 => select(outcomes).prop_map(Says::Dropped),
        1 => Just(Says::UnknownWord),
    ]
}

fn naming() -> impl Strategy<Value = Naming> {
    prop_oneof![
        8 => Just(Naming::Reference),
        2 => Just(Naming::ReferenceWithoutId),
        4 => Just(Naming::ProviderId),
        2 => Just(Naming::Body),
        1 => select(vec![
            Naming::WithOtherId,
            Naming::FromOtherTrunk,
            Naming::BodyNamesOtherDial,
            Naming::FutureClaim,
            Naming::UnknownCall,
            Naming::BodyOfUnknownCall,
            Naming::Foreign,
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
    (pick(), prop::option::weighted(0.2, says()), naming())
        .prop_map(|(dial, says, naming)| Operation::LookUp { dial, says, naming })
}

fn amend() -> impl Strategy<Value = Operation> {
    let expires = select(vec![
        Expiry::Never,
        Expiry::At(-SECOND),
        Expiry::At(MINUTE),
        Expiry::At(HOUR),
    ]);
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

fn resolve() -> impl Strategy<Value = Operation> {
    let r#as = prop_oneof![
        4 => Just(Resolution::NotPlaced),
        1 => Just(Resolution::Answered),
        3 => select(vec![
            Resolution::Voicemail,
            Resolution::Busy,
            Resolution::NoAnswer,
            Resolution::Declined,
            Resolution::Unreachable,
            Resolution::ProviderFault,
            Resolution::Canceled,
            Resolution::Unknown,
        ]),
    ];
    (pick(), r#as).prop_map(|(call, r#as)| Operation::Resolve { call, r#as })
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
        4 => resolve(),
        1 => lane.clone().prop_map(Operation::PauseCampaign),
        2 => lane.clone().prop_map(Operation::ResumeCampaign),
        1 => lane.clone().prop_map(Operation::PauseTrunk),
        3 => lane.clone().prop_map(Operation::ResumeTrunk),
        1 => (lane.clone(), lane.clone()).prop_map(|(campaign, trunk)| Operation::MoveCampaign { campaign, trunk }),
        1 => (lane, select(vec![10 * SECOND, 10 * MINUTE]))
            .prop_map(|(campaign, to)| Operation::SetMaxDuration { campaign, to }),
        1 => (0..4_usize).prop_map(Operation::Forbid),
        2 => (0..4_usize).prop_map(Operation::Allow),
    ]
}

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
        8 => look_up(),
        14 => people(),
        14 => Just(Operation::Sweep),
        3 => (worker.clone(), 0..3_usize).prop_map(|(worker, holds)| Operation::GiveBack { worker, holds }),
        1 => worker.prop_map(Operation::WorkerDies),
        20 => forward(),
    ]
}

/// The trunks and campaigns of one case.
pub(crate) fn world() -> impl Strategy<Value = Model> {
    let trunk = || {
        let look_up = select(vec![LookUp::None, LookUp::Hint, LookUp::Authoritative]);
        (1..4_usize, look_up).prop_map(|(slots, look_up)| Trunk {
            slots,
            look_up,
            paused: false,
            resumed_at: None,
            breaker: Breaker::default(),
        })
    };
    let lane = |trunk: usize, ring_timeout: Moment, max_duration: Moment| {
        let guard = maybe(0.5, vec![1_usize, 2, 4]);
        (maybe(0.4, vec![1_usize, 2]), any::<bool>(), guard).prop_map(
            move |(cap, redial_unknown, guard)| Campaign {
                trunk,
                cap,
                redial_unknown,
                guard,
                accepted_at: None,
                paused: false,
                resumed_at: None,
                ring_timeout,
                max_duration,
                busy_base: MINUTE,
                no_answer_base: 2 * MINUTE,
                fault_base: 5 * SECOND,
                backoff_cap: 3 * MINUTE,
            },
        )
    };
    let trunks = (trunk(), trunk());
    let lanes = (
        lane(0, 30 * SECOND, 5 * MINUTE),
        lane(1, 10 * SECOND, MINUTE),
    );
    (trunks, lanes)
        .prop_map(|((north, south), (alpha, beta))| Model::new([north, south], [alpha, beta]))
}
