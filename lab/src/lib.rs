//! The laboratory: what Postgres on this machine can do, and how close pgdial gets.
//!
//! A scenario is a function from a [`Bed`] (a fresh database, the verbs over it, and helpers to fill it) to
//! [`Measure`]s. Where a fair comparison exists, it also runs the *bare limit* in the same database right after: a
//! fixed script of plain statements that writes the same columns, indexes and events with one commit per batch,
//! without the gate and without any function of pgdial ([`bare`]). The ratio of the two is what is left to gain.
//!
//! Every scenario checks its result: a run that lost a call or rang somebody twice yields no figure but
//! [`Error::Wrong`].
//!
//! To add a scenario: one file here with an `async fn(&Bed, &Options) -> Result<Vec<Measure>, Error>`, and one entry
//! in [`SCENARIOS`].

use std::time::Duration;

use futures_util::future::BoxFuture;
use pgdial::{app, db, flow, provider};

pub mod cli;

pub mod bed;

pub mod server;

pub mod measure;

pub mod usage;

pub mod machine;

pub mod providers;

pub mod bare;

pub mod process;

pub mod door;

pub mod client;

// (new) to waiting, one call at a time.
mod enqueue;

// (new) to waiting, a file at a time.
mod bulk;

// waiting to terminal, with an instant provider.
mod drain;

// waiting to completed, over HTTP and webhooks.
mod lifecycle;

mod dials;

mod webhooks;

// From the response to an enqueue to the dial.
mod pickup;

// From a webhook to the next dial.
mod refill;

// A webhook of a megabyte, to the response.
mod reports;

// Punctuality of calls with a `runAt`.
mod scheduled;

mod idle;

// Open pages of the browser.
mod pages;

// Claims beside many calls that cannot be dialled.
mod claims;

// Claims under calling hours and contact limits.
mod rules;

// Drain, pickup and claim behind a long history.
mod flat;

// Drain and claim while a snapshot is held.
mod held;

// Queries of people, on a long history.
mod ops;

// How far one database goes.
mod scale;

// Other queues beside pgdial.
mod peers;

pub use bed::Bed;
pub use machine::Machine;
pub use measure::{Better, Limit, Measure};
pub use server::{Place, Server};

/// Why a scenario has no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The check of the result failed: a bug of pgdial, or of the lab.
    #[error("the run is not correct: {0}")]
    Wrong(String),
    /// Something did not happen within [`bed::PATIENCE`] or a similar limit.
    #[error("{0} did not come to its end in time")]
    Slow(&'static str),
    /// The server cannot be used for the lab.
    #[error("{0}")]
    Refused(String),
    /// No private Postgres could be started.
    #[error(transparent)]
    Postgres(#[from] db::private::Error),
    /// The database cannot be reached or migrated.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// One of the lab's own statements failed.
    #[error("a statement of the lab failed")]
    Statement(#[from] sqlx::Error),
    /// A verb failed.
    #[error(transparent)]
    Flow(#[from] flow::Error),
    /// The worker or the API could not be started.
    #[error(transparent)]
    App(#[from] app::Error),
    /// The worker or the API died.
    #[error(transparent)]
    Lifecycle(#[from] pgdial::lifecycle::Error),
    /// An adapter could not be made.
    #[error(transparent)]
    Provider(#[from] provider::Error),
    /// A process, a file or a socket failed.
    #[error("{what}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        #[source]
        cause: std::io::Error,
    },
    /// A task panicked or was aborted.
    #[error("a task of the lab was lost")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// Wraps an I/O error with what was attempted.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Io { what, cause }
    }
}

/// How much to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Runs per scenario.
    pub repeats: usize,
    /// Factor on all sizes.
    pub scale: f64,
    /// Rows per batch of the bare script; `None` means the scenario's slots.
    pub batch: Option<usize>,
    /// How long `held-snapshot` holds its snapshot before the drain.
    pub hold: Duration,
}

impl Options {
    /// A size of a scenario at this scale, at least 1.
    pub fn scaled(&self, size: usize) -> usize {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes are millions, and scales are not negative"
        )]
        let scaled = (size as f64 * self.scale).round() as usize;
        scaled.max(1)
    }
}

/// When a scenario gets a fresh bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// For each repeat; the function measures once per call.
    EachRepeat,
    /// Once; the function itself repeats [`Options::repeats`] times. For beds that take long to fill.
    Once,
}

type Run = for<'a> fn(&'a Bed, &'a Options) -> BoxFuture<'a, Result<Vec<Measure>, Error>>;

/// One entry of [`SCENARIOS`].
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `--list`.
    pub about: &'static str,
    /// When it gets a fresh bed.
    pub fresh: Fresh,
    /// Runs it. Of several parts each has its own bed, and a repeat runs all of them in turn.
    pub parts: &'static [Run],
}

/// The telephone number of the nth call. Like those seeded by SQL they jump about, and the first hundred million are
/// distinct (48271 and the prime have no common divisor).
pub fn number(nth: usize) -> String {
    format!("+1{}", 2_000_000_000 + nth * 48_271 % 99_999_989)
}

/// All scenarios, in the order in which they run by default.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "enqueue-http",
        about: "30 clients post one call at a time to `pgdial api`, each answered when durable",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(enqueue::over_http(bed, options))],
    },
    Scenario {
        name: "enqueue-library",
        about: "30 tasks enqueue one call at a time by the library, each answered when durable",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(enqueue::by_library(bed, options))],
    },
    Scenario {
        name: "enqueue-bulk",
        about: "`pgdial import` of a file of 1,000,000 numbers",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(bulk::import(bed, options))],
    },
    Scenario {
        name: "drain-30",
        about: "waiting to terminal with an instant provider in process, 30 slots",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_slots(bed, options, 30))],
    },
    Scenario {
        name: "drain-100",
        about: "the same with 100 slots",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_slots(bed, options, 100))],
    },
    Scenario {
        name: "drain-500",
        about: "the same with 500 slots",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_slots(bed, options, 500))],
    },
    Scenario {
        name: "slots-2000",
        about: "the same with 2,000 slots",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_slots(bed, options, 2_000))],
    },
    Scenario {
        name: "workers-1",
        about: "a drain of 500 slots by 1 worker",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_workers(bed, options, 1))],
    },
    Scenario {
        name: "workers-4",
        about: "the same slots shared out to 4 workers",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_workers(bed, options, 4))],
    },
    Scenario {
        name: "workers-20",
        about: "the same slots shared out to 20 workers",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(drain::with_workers(bed, options, 20))],
    },
    Scenario {
        name: "lifecycle",
        about: "waiting to completed over HTTP and signed webhooks, 200 slots, instant calls",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(lifecycle::run(bed, options))],
    },
    Scenario {
        name: "pickup-one",
        about: "idle, a call every 20 ms: from its answer to its dial, API and worker in one process",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(pickup::in_one_process(bed, options))],
    },
    Scenario {
        name: "pickup-two",
        about: "the same with the API in a process of its own",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(pickup::in_two_processes(bed, options))],
    },
    Scenario {
        name: "pickup-load",
        about: "from a call's request to its dial, at 10 to 2,000 requests a second, in one process",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(pickup::under_load(bed, options))],
    },
    Scenario {
        name: "refill",
        about: "all slots taken: from a webhook that ends a call to the dial of the next",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(refill::refill(bed, options))],
    },
    Scenario {
        name: "webhook-large",
        about: "reports of 1 MB at the end of calls, signed, 4 and 32 at a time, to `pgdial serve`",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(reports::large(bed, options))],
    },
    Scenario {
        name: "scheduled",
        about: "calls with a time of their own: how much later they are dialled",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(scheduled::scheduled(bed, options))],
    },
    Scenario {
        name: "idle",
        about: "serve, api and work with nothing to do: statements, CPU and memory of a minute",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(idle::idle(bed, options))],
    },
    Scenario {
        name: "open-page",
        about: "the page open in a browser: statements and bytes",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(pages::one(bed, options))],
    },
    // Two scenarios, because the second drain of a database is slower than its first.
    Scenario {
        name: "drain-api",
        about: "drain-30 beside `pgdial api`",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(pages::drain_alone(bed, options))],
    },
    Scenario {
        name: "drain-pages",
        about: "drain-30 beside ten open pages of `pgdial api`",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(pages::drain_watched(bed, options))],
    },
    Scenario {
        name: "twins",
        about: "a claim of 30 behind 100,000 calls to one number that is in flight",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(claims::twins(bed, options))],
    },
    Scenario {
        name: "scheduled-300k",
        about: "a claim of 30 beside 300,000 calls that are due later",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(claims::scheduled(bed, options))],
    },
    Scenario {
        name: "campaigns-5000",
        about: "a claim of 30 with 5,000 campaigns, 50 of which have due calls",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(claims::campaigns(bed, options))],
    },
    Scenario {
        name: "hours",
        about: "a claim of 30 among 500,000 due calls in 30 areas: without hours, and with all, half or none open",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(rules::hours(bed, options))],
    },
    Scenario {
        name: "areas",
        about: "the same with 100 campaigns in 30 areas each",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(rules::areas(bed, options))],
    },
    Scenario {
        name: "limits",
        about: "a claim of 30 under a contact limit with 5 million dials, and past 20,000 capped calls",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(rules::limits(bed, options))],
    },
    Scenario {
        name: "flat",
        about: "drain, pickup and claim with 0, 1 and 5 million finished calls",
        fresh: Fresh::Once,
        parts: &[|bed, options| Box::pin(flat::flat(bed, options))],
    },
    Scenario {
        name: "held-snapshot",
        about: "drain and claim after minutes of 500 calls/s under a snapshot that is held, see --hold",
        fresh: Fresh::Once,
        parts: &[|bed, options| Box::pin(held::held(bed, options))],
    },
    Scenario {
        name: "ops",
        about: "each question of `pgdial ops`, why, stats and pages, with 5 million finished and 200,000 waiting calls",
        fresh: Fresh::Once,
        parts: &[|bed, options| Box::pin(ops::ops(bed, options))],
    },
    Scenario {
        name: "in-flight-2000",
        about: "2,000 calls in flight: dial them, claim beside them, end them by webhook; memory",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(scale::in_flight(bed, options, 2_000))],
    },
    Scenario {
        name: "in-flight-10000",
        about: "the same with 10,000",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(scale::in_flight(bed, options, 10_000))],
    },
    Scenario {
        name: "in-flight-50000",
        about: "the same with 50,000",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(scale::in_flight(bed, options, 50_000))],
    },
    Scenario {
        name: "waiting-10m",
        about: "enqueue, claim and drain with 10 million waiting calls; their size",
        fresh: Fresh::Once,
        parts: &[|bed, options| Box::pin(scale::waiting(bed, options))],
    },
    Scenario {
        name: "listeners",
        about: "100 streams of events from one `pgdial api`, at 1,000 and 4,000 events a second",
        fresh: Fresh::EachRepeat,
        parts: &[|bed, options| Box::pin(scale::listeners(bed, options))],
    },
    Scenario {
        name: "peers",
        about: "enqueue, pickup and drain beside BullMQ, graphile-worker and graphile_worker, see lab/peers",
        fresh: Fresh::EachRepeat,
        parts: &[
            |bed, options| Box::pin(peers::own(enqueue::over_http(bed, options))),
            |bed, options| Box::pin(peers::own(enqueue::by_library(bed, options))),
            |bed, options| Box::pin(peers::others(bed, options, peers::What::Enqueue)),
            |bed, options| Box::pin(peers::own(pickup::in_one_process(bed, options))),
            |bed, options| Box::pin(peers::own(pickup::in_two_processes(bed, options))),
            |bed, options| Box::pin(peers::others(bed, options, peers::What::Pickup)),
            |bed, options| Box::pin(peers::own(drain::with_slots(bed, options, 30))),
            |bed, options| Box::pin(peers::others(bed, options, peers::What::Drain)),
        ],
    },
];

/// The scenario with this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// Runs all repeats of one scenario; calls `said` after each.
pub async fn run(
    server: &Server,
    scenario: &Scenario,
    options: &Options,
    mut said: impl FnMut(String),
) -> Result<Vec<Measure>, Error> {
    let calls = match scenario.fresh {
        Fresh::EachRepeat => options.repeats,
        Fresh::Once => 1,
    };
    let mut measures: Vec<Measure> = Vec::new();
    for turn in 1..=calls {
        said(format!("{} {turn}/{calls} ...", scenario.name));
        for part in scenario.parts {
            let bed = Bed::make(server).await?;
            let done = part(&bed, options).await;
            bed.close().await;
            let done = done?;
            for measure in &done {
                said(format!("{} {turn}/{calls}: {measure}", scenario.name));
            }
            measure::merge(&mut measures, done);
        }
    }
    Ok(measures)
}
