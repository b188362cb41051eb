//! The plan of a storm: which fault, and when, determined by the seed alone.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// Faults that can be inflicted on a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Fast shutdown and start.
    PostgresRestart,
    /// SIGKILL to the postmaster and its backends, then a start.
    PostgresCrash,
    /// SIGKILL to one backend: the server recovers by itself.
    BackendCrash,
    /// `pg_terminate_backend` on all of ours.
    BackendsTerminated,
    /// Connections reset after some bytes, anywhere in a message.
    DatabaseCut,
    /// Commits take effect, but their replies are lost.
    CommitReplyLost,
    /// The database responds to nobody.
    DatabaseBlackHole,
    /// The database's host resets every connection.
    DatabaseRefused,
    /// Existing connections carry nothing any more; new ones work.
    DatabaseHung,
    /// SIGSTOP to half of the backends.
    BackendsStopped,
    /// Connections lead to a standby, which cannot be written to.
    StandbyInstead,
    /// Foreign sessions take every connection there is.
    PoolFull,
    /// A person's open transaction locks waiting and live rows.
    RowsLocked,
    /// SIGKILL.
    WorkerKilled,
    /// SIGKILL.
    ApiKilled,
    /// SIGKILL at this crash point.
    Crash(&'static str),
    /// SIGSTOP for seconds.
    WorkerStopped,
    /// SIGSTOP for longer than a lease.
    WorkerStoppedLong,
    /// The provider accepts the call and returns 500.
    ProviderErrorAfter,
    /// The provider accepts the call, and its response is lost.
    ProviderReplyLost,
    /// The provider responds 20 s late.
    ProviderSlow,
    /// The provider resets every connection.
    ProviderRefused,
    /// A gateway returns 502, and the provider sees nothing.
    ProviderGateway,
    /// The provider returns 429.
    RateLimited,
    /// The provider returns 429 with `Retry-After`.
    RateLimitedFor,
    /// Webhooks are received, but the provider never learns and redelivers them.
    WebhookReplyLost,
    /// The APIs reset every connection.
    WebhookRefused,
    /// The APIs respond to nobody.
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

/// Faults of one track happen one after the other, those of different tracks concurrently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Track {
    pub(crate) name: &'static str,
    faults: &'static [Fault],
    /// Milliseconds between faults, minimum and maximum.
    pause: (u64, u64),
}

pub(crate) const TRACKS: [Track; 5] = [
    Track {
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
    Track {
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
    Track {
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
    Track {
        name: "people",
        faults: &[Fault::RowsLocked],
        pause: (6_000, 12_000),
    },
    Track {
        name: "sleepers",
        faults: &[Fault::WorkerStoppedLong],
        pause: (5_000, 15_000),
    },
];

/// One fault with its random parameters.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    /// Since the end of the previous fault in its track.
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
    /// Duration, if the fault leaves it open.
    pub(crate) lasts: Duration,
    /// Which of several targets, if there are several.
    pub(crate) which: usize,
    /// Number of bytes, if the fault needs one.
    pub(crate) bytes: usize,
}

/// As many injections as would fit into the time if they took none, determined by the seed. Every kind comes once
/// before any is repeated. With `hurry`, slow ones are left out.
pub(crate) fn plan(seed: u64, track: usize, duration: Duration, hurry: bool) -> Vec<Injection> {
    let Track { faults, pause, .. } = TRACKS[track];
    let takes_its_time = |fault: &&Fault| hurry && **fault == Fault::DatabaseHung;
    let mut rng = StdRng::seed_from_u64(seed ^ (track as u64) << 32);
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
