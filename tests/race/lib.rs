//! The race of workers, webhooks, sweep and people, explored exhaustively.
//!
//! Modelled: two calls with up to two claims each, to one number or over one slot; workers that claim (and may never
//! hear of it), dial, sleep, die, and say late what they know; a provider that accepts late, refuses, loses its
//! responses, and reports in any order, repeatedly or never, also about dials that are over for us; the sweep; a
//! person who cancels, or knows what came of an unexplained dial; and the silence of a provider that reports every
//! call but cannot reach us for some time. Each verb is one step, because it locks its row first; between any two
//! steps anything else may happen. Every reachable state is checked: no two rings to one number at once, nobody rung
//! again who is known to have been spoken to or whose phone is known to ring, nothing dialled that was canceled,
//! nothing placed that is taken for not placed (P1), never more in flight than slots (P3), and time alone ends every
//! dial (P2).
//!
//! Left out: batches and failed locks, look-ups, the breaker, redrive and release, waits for capacity;
//! `calls_one_in_flight_per_phone`, which would hide a missing gate; and a provider that rings twice for one request.
//! A claim number names one dial by construction here: that the database never reuses one is checked by
//! `tests/model`.
#![cfg(test)]

#[expect(dead_code, reason = "shared with tests/it, which needs more of it")]
#[path = "../it/support/database.rs"]
mod database;
mod explorer;
mod judge;

/// What may happen next, in any order.
mod steps;

/// What the database does.
mod verbs;

/// Rows, dials and phones, as values.
mod world;

use pgdial::domain::CallState;

use self::{
    database::TestDb,
    explorer::explore,
    judge::{Kind, Known, judge},
    world::{Provider, Sabotage, World},
};

/// Two calls to one number.
const ONE_NUMBER: World = World {
    one_number: true,
    slots: 2,
    redial_unknown: true,
    provider: Provider::Plain,
    sabotage: None,
};

/// The same, with a provider whose refusals cannot be believed.
const LIAR: World = World {
    provider: Provider::Lies,
    ..ONE_NUMBER
};

/// One call, with a provider that reports every call but cannot reach us for some time.
const TELLER: World = World {
    provider: Provider::Tells,
    ..ONE_NUMBER
};

/// Two calls to two numbers, over one slot.
const ONE_SLOT: World = World {
    one_number: false,
    slots: 1,
    redial_unknown: false,
    provider: Provider::Plain,
    sabotage: None,
};

#[test]
fn nothing_that_can_happen_breaks_a_promise() {
    for world in [ONE_NUMBER, ONE_SLOT, LIAR, TELLER] {
        match explore(&world) {
            Ok(states) => assert!(states > 100_000, "{world:?} has {states} states only"),
            Err(example) => panic!("{world:?}\n{example}"),
        }
    }
}

#[test]
fn every_guard_is_needed() {
    for (world, guard, words) in [
        (ONE_NUMBER, Sabotage::NoGate, "P1: two calls ring"),
        (ONE_SLOT, Sabotage::NoGate, "P3"),
        (
            ONE_NUMBER,
            Sabotage::SettleWithoutClaimNo,
            "P1: two calls ring",
        ),
        (
            ONE_NUMBER,
            Sabotage::UnknownRetriedAtOnce,
            "P1: two calls ring",
        ),
        (ONE_NUMBER, Sabotage::NoLateStartCheck, "P1: two calls ring"),
        (ONE_NUMBER, Sabotage::NoHold, "its number is held"),
        (ONE_NUMBER, Sabotage::SilenceBelieved, "P1: two calls ring"),
        (ONE_NUMBER, Sabotage::LateAnswerIgnored, "somebody spoke"),
        (LIAR, Sabotage::LateProgressIgnored, "its number is held"),
        (ONE_NUMBER, Sabotage::WishIgnored, "called off"),
        (ONE_NUMBER, Sabotage::NoDeadline, "P2"),
        (
            ONE_NUMBER,
            Sabotage::GivesBackWhatItHolds,
            "P1: two calls ring",
        ),
        (TELLER, Sabotage::SilenceAlone, "taken for not placed"),
        (TELLER, Sabotage::NoMargin, "taken for not placed"),
        (TELLER, Sabotage::OutageForgotten, "taken for not placed"),
        (LIAR, Sabotage::ResolvesAnswered, "somebody spoke"),
        (ONE_NUMBER, Sabotage::ResolvesUnderWay, "P1: two calls ring"),
    ] {
        let world = World {
            sabotage: Some(guard),
            ..world
        };
        let example = match explore(&world) {
            Ok(states) => panic!("nothing went wrong without it: {guard:?}, {states} states"),
            Err(example) => example,
        };
        assert!(example.broken.contains(words), "{guard:?}:\n{example}");
    }
}

#[tokio::test]
async fn the_judge_of_the_race_is_the_judge_of_the_database() {
    let db = TestDb::new().await;
    let states = CallState::ALL.map(CallState::as_str);
    let kinds = Kind::ALL.map(Kind::as_str);
    let sql = format!(
        "select string_agg(pgdial.judge(s::pgdial.call_state, r, u, a, o, e, k), ' ' order by i, r, u, a, o, e, j) \
         from unnest(array{states:?}) with ordinality as s (s, i), unnest(array[0, 1, 2]::bigint[]) r, \
              unnest(array[false, true]) u, unnest(array[false, true]) a, unnest(array[false, true]) o, \
              unnest(array[-1, 0, 1, 2, 3]::bigint[]) e, \
              unnest(array{kinds:?}) with ordinality as k (k, j)"
    )
    .replace('"', "'");
    let mut expected = Vec::new();
    for state in CallState::ALL {
        for row in 0..3 {
            for bits in 0..8 {
                let known = Known {
                    unknown: bits & 4 != 0,
                    answered: bits & 2 != 0,
                    over: bits & 1 != 0,
                };
                for event in -1..4 {
                    let judged = Kind::ALL.map(|kind| judge(state, row, known, event, kind));
                    expected.extend(judged.map(judge::Judgement::as_str));
                }
            }
        }
    }
    let answers = db.text(&sql).await;
    assert_eq!(answers.split(' ').collect::<Vec<_>>(), expected);
}
