//! A breadth-first explorer of everything that can happen.
//!
//! Why not `stateright`: its `eventually` is blind where paths join or loop (as it says itself), which is where
//! retries live. What we require of every state instead, that time alone brings it to an end, is a function here. All
//! that remains of it is this queue.

use std::{
    collections::{HashMap, VecDeque},
    fmt::{self, Display},
    hash::Hash,
};

/// A larger world would exhaust memory before it showed a bug.
const MOST_STATES: usize = 3_000_000;

/// A world to explore.
pub(crate) trait Explored {
    type State: Copy + Eq + Hash;
    type Step: Copy + Display;

    fn start(&self) -> Self::State;
    /// Every step that may come next, and where it leads.
    fn steps(&self, from: &Self::State) -> Vec<(Self::Step, Self::State)>;
    /// The broken promise, if this state breaks one.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
}

/// The shortest path to a broken promise.
#[derive(Debug)]
pub(crate) struct Counterexample {
    pub(crate) broken: &'static str,
    steps: Vec<String>,
}

impl Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", n + 1)?;
        }
        write!(f, "{}", self.broken)
    }
}

/// Number of reachable states, or the shortest path to a broken one.
pub(crate) fn explore<W: Explored>(world: &W) -> Result<usize, Counterexample> {
    let start = world.start();
    let mut came_from = HashMap::from([(start, None::<(W::State, W::Step)>)]);
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        assert!(
            came_from.len() < MOST_STATES,
            "the world is too large to be explored"
        );
        if let Some(broken) = world.broken(&state) {
            let mut steps = Vec::new();
            let mut at = state;
            while let Some((before, step)) = came_from[&at] {
                steps.push(step.to_string());
                at = before;
            }
            steps.reverse();
            return Err(Counterexample { broken, steps });
        }
        for (step, next) in world.steps(&state) {
            came_from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                Some((state, step))
            });
        }
    }
    Ok(came_from.len())
}
