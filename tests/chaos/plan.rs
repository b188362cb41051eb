//! The plan of a storm: which fault, when, decided by the seed alone.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// What can be done to a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Fast shutdown and start.
    PostgresRestart,
    /// kill -9 of the postmaster and its backends, then a start.
    PostgresCrash,
    /// kill -9 of one backend: the server recovers by itself.
    BackendCrash,
    /// `pg_terminate_backend` of all of ours.
    BackendsTerminated,
    /// Connections reset after some bytes, anywhere in a message.
    DatabaseCut,
    /// Commits are made, and their replies lost.
    CommitReplyLost,
    /// The database answers nobody.
    DatabaseBlackHole,
    /// The database's host resets every connection.
    DatabaseRefused,
    /// On the connections that there are nothing passes any more; new ones pass.
    DatabaseHung,
    /// SIGSTOP of half of the backends.
    BackendsStopped,
    /// Connections lead to a standby, which cannot be written to.
    StandbyInstead,
    /// Foreign sessions take every connection there is.
    PoolFull,
    /// A person's open transaction holds waiting and live rows.
    RowsLocked,
    /// kill -9.
    WorkerKilled,
    /// kill -9.
    ApiKilled,
    /// kill -9 at a crash point.
    Crash(&'static str),
    /// SIGSTOP for seconds.
    WorkerStopped,
    /// SIGSTOP for longer than a lease.
    WorkerStoppedLong,
    /// The provider takes the call and answers 500.
    ProviderErrorAfter,
    /// The provider takes the call, and its answer is lost.
    ProviderReplyLost,
    /// The provider answers 20 s later.
    ProviderSlow,
    /// The provider resets every connection.
    ProviderRefused,
    /// A gateway answers 502, and the provider sees nothing.
    ProviderGateway,
    /// 429.
    RateLimited,
    /// 429 with `Retry-After`.
    RateLimitedFor,
    /// Webhooks are taken, and the provider never learns: it sends them again.
    WebhookReplyLost,
    /// The APIs reset every connection.
    WebhookRefused,
    /// The APIs answer nobody.
    WebhookBlackHole,
}

impl Fault {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Crash(point) => format!("crash at {point}"),
            other => {
                let mut name = String::new();
                for c in format!("{other:?}").chars() {
                    if c.is_uppercase() && !name.is_empty() {
                        name.push(' ');
                    }
                    name.extend(c.to_lowercase());
                }
                name
            }
        }
    }
}

/// Faults of one lane come one after the other, those of different lanes at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    faults: &'static [Fault],
    /// From one to the next, milliseconds.
    pause: (u64, u64),
}

pub(crate) const LANES: [Lane; 5] = [
    Lane {
        name: "database",
        faults: &[
            Fault::PostgresRestart,
            Fault::PostgresCrash,
            Fault::BackendCrash,
            Fault::BackendsTerminated,
            Fault::DatabaseCut,
            Fault::CommitReplyLost,
            Fault::CommitReplyLost,
            Fault::DatabaseBlackHole,
            Fault::DatabaseRefused,
            Fault::DatabaseHung,
            Fault::BackendsStopped,
            Fault::StandbyInstead,
            Fault::PoolFull,
        ],
        pause: (2_500, 6_000),
    },
    Lane {
        name: "processes",
        faults: &[
            Fault::WorkerKilled,
            Fault::ApiKilled,
            Fault::Crash("claimed"),
            Fault::Crash("dialed"),
            Fault::Crash("recorded"),
            Fault::Crash("webhook_received"),
            Fault::Crash("webhook_committed"),
            Fault::WorkerStopped,
        ],
        pause: (2_000, 5_000),
    },
    Lane {
        name: "providers",
        faults: &[
            Fault::ProviderErrorAfter,
            Fault::ProviderReplyLost,
            Fault::ProviderSlow,
            Fault::ProviderRefused,
            Fault::ProviderGateway,
            Fault::RateLimited,
            Fault::RateLimitedFor,
            Fault::WebhookReplyLost,
            Fault::WebhookRefused,
            Fault::WebhookBlackHole,
        ],
        pause: (2_500, 6_000),
    },
    Lane {
        name: "people",
        faults: &[Fault::RowsLocked],
        pause: (6_000, 12_000),
    },
    Lane {
        name: "sleepers",
        faults: &[Fault::WorkerStoppedLong],
        pause: (5_000, 15_000),
    },
];

/// One fault, with the dice that it may throw.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    /// Since the end of the one before it in its lane.
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
    /// How long it lasts, where that is a choice.
    pub(crate) lasts: Duration,
    /// Which of several, where there are several.
    pub(crate) which: usize,
    /// How many bytes, where they count.
    pub(crate) bytes: usize,
}

/// As many injections as fit into the time if none lasted: the same for the same seed.
/// Every kind comes once before any comes again. In a hurry without those that take their time.
pub(crate) fn plan(seed: u64, lane: usize, duration: Duration, hurry: bool) -> Vec<Injection> {
    let Lane { faults, pause, .. } = LANES[lane];
    let takes_its_time = |fault: &&Fault| hurry && **fault == Fault::DatabaseHung;
    let mut rng = StdRng::seed_from_u64(seed ^ (lane as u64) << 32);
    let (mut planned, mut deck, mut at) = (Vec::new(), Vec::new(), Duration::ZERO);
    while at < duration {
        if deck.is_empty() {
            deck = faults
                .iter()
                .filter(|fault| !takes_its_time(fault))
                .copied()
                .collect();
            deck.shuffle(&mut rng);
        }
        let Some(fault) = deck.pop() else { break };
        let after = Duration::from_millis(rng.random_range(pause.0..=pause.1));
        at += after;
        planned.push(Injection {
            after,
            fault,
            lasts: Duration::from_millis(match fault {
                Fault::WorkerStoppedLong => rng.random_range(62_000..75_000),
                Fault::WorkerStopped => rng.random_range(500..6_000),
                Fault::BackendsStopped => rng.random_range(1_000..9_000),
                Fault::RowsLocked => rng.random_range(2_000..8_000),
                _ => rng.random_range(800..3_000),
            }),
            which: rng.random_range(0..1_000),
            bytes: rng.random_range(1..4_000),
        });
    }
    planned
}
