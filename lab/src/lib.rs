//! The laboratory: what this machine's Postgres can do, and how near to it pgdial comes.
//!
//! A scenario is a function from a [`Bed`] (a database made afresh, the verbs over it, and
//! helpers to fill it) to [`Measure`]s. Where there is a fair comparison, it also runs the
//! *bare limit* in the same database right after: a fixed script of plain statements that
//! writes the same columns, indexes and events with one commit per batch, without the gate
//! and without any function of pgdial ([`bare`]). The ratio of the two is what is left to win.
//!
//! Every scenario checks what it did: a figure of a run that lost a call, or rang somebody
//! twice, is no figure but an [`Error::Wrong`].
//!
//! To add a scenario: one file here with an `async fn(&Bed, &Options) -> Result<Vec<Measure>,
//! Error>`, and one entry in [`SCENARIOS`].

use std::time::Duration;

use futures_util::future::BoxFuture;
use pgdial::{app, db, flow, provider};

// The command line.
pub mod cli;

// A database made afresh, and what fills it.
pub mod bed;

// The server that the beds stand on.
pub mod server;

// What a scenario answers.
pub mod measure;

// CPU time and memory, of us and of Postgres.
pub mod usage;

// What the figures were measured on.
pub mod machine;

// Providers inside this process.
pub mod providers;

// The same writes in plain SQL.
pub mod bare;

// pgdial as other processes.
pub mod process;

// What a process asks of the database.
pub mod door;

// A cheap HTTP client.
pub mod client;

// (nothing) to waiting, one call at a time.
mod enqueue;

// (nothing) to waiting, a file at a time.
mod bulk;

// waiting to terminal with an instant provider.
mod drain;

// waiting to completed over HTTP and webhooks.
mod lifecycle;

// A provider that says when each dial began.
mod dials;

// From the answer of an enqueue to the dial.
mod pickup;

// From a webhook to the next dial.
mod refill;

// How punctual calls with a time of their own are.
mod scheduled;

// What processes cost that have nothing to do.
mod idle;

// How long a claim takes beside what cannot be dialled.
mod claims;

// All that behind a long history.
mod flat;

// All that while somebody holds a snapshot.
mod held;

// What people ask, on a long history.
mod ops;

pub use bed::Bed;
pub use machine::Machine;
pub use measure::{Better, Limit, Measure};
pub use server::{Place, Server};

/// Why a scenario has no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The check of the result failed: a defect of pgdial, or of the lab.
    #[error("the run is not correct: {0}")]
    Wrong(String),
    /// It takes longer than anybody waits.
    #[error("{0} did not come to its end in time")]
    Slow(&'static str),
    /// The server cannot be used for the lab.
    #[error("{0}")]
    Refused(String),
    /// No private Postgres.
    #[error(transparent)]
    Postgres(#[from] db::private::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// A statement of the lab.
    #[error("a statement of the lab failed")]
    Statement(#[from] sqlx::Error),
    /// A verb.
    #[error(transparent)]
    Flow(#[from] flow::Error),
    /// The worker or the API.
    #[error(transparent)]
    App(#[from] app::Error),
    /// The worker or the API died.
    #[error(transparent)]
    Lifecycle(#[from] pgdial::lifecycle::Error),
    /// An adapter.
    #[error(transparent)]
    Provider(#[from] provider::Error),
    /// A process, a file, a socket.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// A task was lost.
    #[error("a task of the lab was lost")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// Of a process, a file or a socket.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Io { what, cause }
    }
}

/// How much of it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Runs of each scenario.
    pub repeats: usize,
    /// All sizes are multiplied by this.
    pub scale: f64,
    /// Rows in a batch of the bare script; none = as many as the scenario has slots.
    pub batch: Option<usize>,
    /// How long the held snapshot is held before the drain under it.
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

/// How often a scenario gets a fresh bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// For each repeat: the function measures once, and is called for each repeat.
    EachRepeat,
    /// Once: the function itself repeats [`Options::repeats`] times. For beds that take long to make.
    Once,
}

type Run = for<'a> fn(&'a Bed, &'a Options) -> BoxFuture<'a, Result<Vec<Measure>, Error>>;

/// One thing to measure.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// How often it gets a fresh bed.
    pub fresh: Fresh,
    /// What it does.
    pub run: Run,
}

/// The telephone number of the nth call: as the ones that SQL seeds, they jump about, and no
/// two of the first hundred million are the same (48271 and the prime have no common divisor).
pub fn number(nth: usize) -> String {
    format!("+1{}", 2_000_000_000 + nth * 48_271 % 99_999_989)
}

/// All of them, in the order in which they run when nobody names one.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "enqueue-http",
        about: "30 clients post one call at a time to `pgdial api`, each answered when durable",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(enqueue::over_http(bed, options)),
    },
    Scenario {
        name: "enqueue-library",
        about: "30 tasks enqueue one call at a time by the library, each answered when durable",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(enqueue::by_library(bed, options)),
    },
    Scenario {
        name: "enqueue-bulk",
        about: "`pgdial import` of a file of 1,000,000 numbers",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(bulk::import(bed, options)),
    },
    Scenario {
        name: "drain-30",
        about: "waiting to terminal with an instant provider in process, 30 slots",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_slots(bed, options, 30)),
    },
    Scenario {
        name: "drain-100",
        about: "the same with 100 slots",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_slots(bed, options, 100)),
    },
    Scenario {
        name: "drain-500",
        about: "the same with 500 slots",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_slots(bed, options, 500)),
    },
    Scenario {
        name: "slots-2000",
        about: "the same with 2,000 slots",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_slots(bed, options, 2_000)),
    },
    Scenario {
        name: "workers-1",
        about: "a drain of 500 slots by 1 worker",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_workers(bed, options, 1)),
    },
    Scenario {
        name: "workers-4",
        about: "the same slots shared out to 4 workers",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_workers(bed, options, 4)),
    },
    Scenario {
        name: "workers-20",
        about: "the same slots shared out to 20 workers",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(drain::with_workers(bed, options, 20)),
    },
    Scenario {
        name: "lifecycle",
        about: "waiting to completed over HTTP and signed webhooks, 200 slots, instant calls",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(lifecycle::run(bed, options)),
    },
    Scenario {
        name: "pickup-one",
        about: "idle, a call every 20 ms: from its answer to its dial, API and worker in one process",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(pickup::in_one_process(bed, options)),
    },
    Scenario {
        name: "pickup-two",
        about: "the same with the API in a process of its own",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(pickup::in_two_processes(bed, options)),
    },
    Scenario {
        name: "refill",
        about: "all slots taken: from a webhook that ends a call to the dial of the next",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(refill::refill(bed, options)),
    },
    Scenario {
        name: "scheduled",
        about: "calls with a time of their own: how much later they are dialled",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(scheduled::scheduled(bed, options)),
    },
    Scenario {
        name: "idle",
        about: "serve, api and work with nothing to do: statements, CPU and memory of a minute",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(idle::idle(bed, options)),
    },
    Scenario {
        name: "twins",
        about: "a claim of 30 behind 100,000 calls to one number that is in flight",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(claims::twins(bed, options)),
    },
    Scenario {
        name: "scheduled-300k",
        about: "a claim of 30 beside 300,000 calls that are due later",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(claims::scheduled(bed, options)),
    },
    Scenario {
        name: "campaigns-5000",
        about: "a claim of 30 with 5,000 campaigns, 50 of which have due calls",
        fresh: Fresh::EachRepeat,
        run: |bed, options| Box::pin(claims::campaigns(bed, options)),
    },
    Scenario {
        name: "flat",
        about: "drain, pickup and claim with 0, 1 and 5 million finished calls",
        fresh: Fresh::Once,
        run: |bed, options| Box::pin(flat::flat(bed, options)),
    },
    Scenario {
        name: "held-snapshot",
        about: "drain and claim after minutes of 500 calls/s under a snapshot that is held, see --hold",
        fresh: Fresh::Once,
        run: |bed, options| Box::pin(held::held(bed, options)),
    },
    Scenario {
        name: "ops",
        about: "each question of `pgdial ops`, why, stats and pages, with 5 million finished and 200,000 waiting calls",
        fresh: Fresh::Once,
        run: |bed, options| Box::pin(ops::ops(bed, options)),
    },
];

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// Runs one scenario, all its repeats; `said` hears of each.
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
        let bed = Bed::make(server).await?;
        let done = (scenario.run)(&bed, options).await;
        bed.close().await;
        let done = done?;
        for measure in &done {
            said(format!("{} {turn}/{calls}: {measure}", scenario.name));
        }
        measure::merge(&mut measures, done);
    }
    Ok(measures)
}
