//! The model test: random stories of public verbs on a real Postgres, compared after every step with a small
//! reference model (`model.rs`) and checked against the promises in plain SQL (`check.sql`).
//!
//! A failure shrinks to a short story in words and leaves its seed in `regressions.txt`, which is tried first from
//! then on. `PROPTEST_CASES=2000 cargo test --test model` runs more stories; `PROPTEST_RNG_SEED=7` repeats the same
//! ones.
//!
//! Left out: paces, retention, batches and concurrency. One verb runs at a time; for two at once see `tests/race` and
//! the tests with locks in `tests/it`, for batches `tests/it/together.rs`.
//!
//! Why not `proptest-state-machine`: its reference machine must know the next state without asking the system under
//! test, and Postgres draws ids, jitter and turns.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod apply;
mod check;

#[path = "../it/support/database.rs"]
#[expect(dead_code, reason = "shared with tests/it, which needs more of it")]
mod database;
mod model;
mod operations;

use std::{cell::Cell, fmt::Write as _};

use pgdial::domain::Outcome;
use proptest::{
    collection::vec,
    test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner},
};

use self::{
    apply::Machine,
    database::TestDb,
    model::{HOUR, Model},
    operations::{Among, DialResult, Operation, Pick},
};

/// Stories in a plain `cargo test`, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 64;

/// Rounds of time, claims and refusals that suffice to end every call.
const LAST_ROUNDS: usize = 60;

#[test]
fn every_story_goes_as_the_model_tells_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let db = runtime.block_on(check::prepare());
    let stories = (operations::world(), vec(operations::operation(), 1..140));
    let (good, failed) = (Cell::new(0), Cell::new(false));
    let told = TestRunner::new(config()).run(&stories, |(world, operations)| {
        let told = runtime.block_on(tell(&db, world, &operations));
        failed.set(failed.get() || told.is_err());
        good.set(good.get() + u32::from(!failed.get()));
        told.map_err(TestCaseError::fail)
    });
    match told {
        Ok(()) => {}
        Err(TestError::Fail(story, _)) => {
            panic!(
                "after {} good stories, shrunk from a longer one:{story}",
                good.get()
            )
        }
        Err(abort) => panic!("{abort}"),
    }
}

fn config() -> Config {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/regressions.txt");
    let default = Config::default();
    Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => default.cases,
            None => CASES,
        },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        max_shrink_iters: 3_000,
        max_shrink_time: 60_000,
        ..default
    }
}

/// Runs one story to its end. An error has the story so far and what is wrong.
async fn tell(db: &TestDb, world: Model, operations: &[Operation]) -> Result<(), String> {
    let mut machine = Machine::new(db, world).await;
    let mut told = Ok(());
    for operation in operations {
        told = machine.step(operation).await;
        if told.is_err() {
            break;
        }
    }
    if told.is_ok() {
        told = end_all(db, &mut machine).await;
    }
    told.map_err(|problem| {
        let mut story = String::new();
        for (n, line) in machine.story.iter().enumerate() {
            writeln!(story, "{:>3}. {line}", n + 1).unwrap();
        }
        format!("\n{story}{problem}\n")
    })
}

/// P2: whatever has happened, every call can still end. Obstacles are removed, time passes, and what can be dialled
/// is refused.
async fn end_all(db: &TestDb, machine: &mut Machine<'_>) -> Result<(), String> {
    check::every_open_call_says_why(db, &machine.model).await?;
    let (trunks, lanes) = (
        machine.model.trunks.clone(),
        machine.model.campaigns.clone(),
    );
    for at in (0..trunks.len()).filter(|at| trunks[*at].paused) {
        machine.step(&Operation::ResumeTrunk(at)).await?;
    }
    for at in (0..lanes.len()).filter(|at| lanes[*at].paused) {
        machine.step(&Operation::ResumeCampaign(at)).await?;
    }
    for entry in machine.model.forbidden.clone() {
        machine.step(&Operation::Allow(entry.number)).await?;
    }
    let newest = Pick {
        among: Among::Apt,
        nth: 0,
    };
    let round = [
        Operation::Forward(3 * HOUR),
        Operation::Sweep,
        Operation::Claim {
            worker: 0,
            wanted: 4,
            only: None,
        },
    ];
    let refused = Operation::Result {
        dial: newest,
        // An outcome that pauses campaigns would leave the others waiting.
        result: DialResult::Refused(Outcome::InvalidNumber),
    };
    for _ in 0..LAST_ROUNDS {
        let open = |call: &model::Call| !call.state.is_terminal();
        if !machine.model.calls.iter().any(open) {
            return Ok(());
        }
        for operation in &round {
            machine.step(operation).await?;
        }
        for _ in 0..machine.model.in_flight_count() {
            machine.step(&refused).await?;
        }
    }
    Err("some calls cannot end".to_owned())
}
