//! An in-process provider that reports when each dial began, and the processes around it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use pgdial::{
    app, db,
    domain::{CallId, Concerns, Outcome, Placement, Reference, Refusal, Report},
    flow::enqueue::Enqueued,
    http,
    lifecycle::Supervisor,
    provider::{
        self, Cancellation, LookedUp, Order, Provider, Stopwatch, Webhook, protocol,
        signature::Secrets,
    },
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Bed, Error, Measure,
    bed::Worker,
    measure::{Better, percentile},
};

/// Longest wait for a dial: longer than the slowest poll.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the witness returns for a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// No such number: the call ends there.
    Refuse,
    /// Accepted; the call lasts until a webhook ends it.
    Accept,
}

/// One dial, as the provider was asked for it.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) reference: Reference,
    /// By the witness's clock, on entering its adapter.
    pub(super) at: Duration,
    /// URL for reporting its end.
    pub(super) webhook_url: String,
}

impl Dial {
    /// The id the witness gave it.
    pub(super) fn provider_call_id(&self) -> String {
        provider_call_id(self.reference)
    }
}

fn provider_call_id(dial: Reference) -> String {
    format!("lab-{dial}")
}

/// A provider that reports each dial at once.
#[derive(Debug)]
pub(super) struct Witness {
    clock: Stopwatch,
    answer: Answer,
    told: mpsc::UnboundedSender<Dial>,
}

impl Witness {
    /// A witness, and the channel it reports to.
    pub(super) fn new(answer: Answer) -> (Arc<Self>, Dials) {
        let (told, dials) = mpsc::unbounded_channel();
        let clock = Stopwatch::start();
        let witness = Self {
            clock,
            answer,
            told,
        };
        (Arc::new(witness), Dials { clock, dials })
    }
}

/// The dials in the order in which they began.
#[derive(Debug)]
pub(super) struct Dials {
    clock: Stopwatch,
    dials: mpsc::UnboundedReceiver<Dial>,
}

impl Dials {
    /// The current time by the witness's clock.
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// The next dial; an error after `PATIENCE`.
    pub(super) async fn next(&mut self) -> Result<Dial, Error> {
        let next = tokio::time::timeout(PATIENCE, self.dials.recv()).await;
        next.ok().flatten().ok_or(Error::Slow("a dial"))
    }

    /// Checks that there were no dials other than those taken.
    pub(super) fn none_more(&mut self) -> Result<(), Error> {
        match self.dials.try_recv() {
            Ok(dial) => Err(Error::Wrong(format!(
                "{} was dialled, and nobody had asked for it",
                dial.reference
            ))),
            Err(_none) => Ok(()),
        }
    }
}

impl Provider for Witness {
    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        let at = self.clock.elapsed();
        let reference = order.call.reference();
        let dial = Dial {
            reference,
            at,
            webhook_url: order.webhook_url,
        };
        // Nobody receives any more: the scenario has already failed with its own error.
        self.told.send(dial).ok();
        let placement = match self.answer {
            Answer::Accept => Placement::Placed {
                provider_call_id: provider_call_id(reference),
            },
            Answer::Refuse => Placement::Refused(Refusal::Permanent {
                outcome: Outcome::InvalidNumber,
                concerns: Concerns::Number,
                why: "no such number".to_owned(),
            }),
        };
        Box::pin(async move { placement })
    }

    fn cancel<'a>(
        &'a self,
        _provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, provider::Error>> {
        Box::pin(async { Ok(Cancellation::AlreadyOver) })
    }

    fn look_up<'a>(
        &'a self,
        _dial: Reference,
        _provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, provider::Error>> {
        Box::pin(async { Ok(LookedUp::Unsupported) })
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        protocol::read_report(webhook.body)
    }
}

/// API and worker in this process, wired as `pgdial serve` wires them: they share their wakes.
#[derive(Debug)]
pub(super) struct Served {
    worker: Worker,
    /// Address of the API.
    pub(super) api: std::net::SocketAddr,
    /// Secrets for signing the provider's webhooks.
    pub(super) secrets: Secrets,
}

impl Served {
    /// Starts both. Calls enqueued through `bed.calls` wake the worker as the API does.
    pub(super) async fn start(
        bed: &Bed,
        provider: Arc<dyn Provider>,
        permits: usize,
    ) -> Result<Self, Error> {
        let trunks = super::bed::trunks(provider)?;
        let secrets = trunks
            .get("default")
            .map(|trunk| trunk.secrets.clone())
            .ok_or_else(|| Error::Wrong("the lab has no trunk".to_owned()))?;
        let listener = app::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let api = listener
            .local_addr()
            .map_err(Error::io("the API has no address"))?;
        let mut supervisor = Supervisor::new()?;
        let settings = http::Settings {
            trunks: trunks.clone(),
            ..http::Settings::default()
        };
        app::start_api(&mut supervisor, bed.calls.clone(), listener, settings);
        let pool = db::connect(&bed.url, "lab worker", app::WORKER_CONNECTIONS).await?;
        let settings = pgdial::config::WorkerSettings {
            trunks,
            public_url: format!("http://{api}"),
            permits,
            poll: Some(Duration::from_secs(30)),
            keep_finished: None,
            endpoint_networks: pgdial::Networks::default(),
        };
        app::start_worker(&mut supervisor, &bed.calls.beside(pool.clone()), settings).await?;
        app::start_notifier(&mut supervisor, bed.calls.clone());
        Ok(Self {
            worker: Worker::run(supervisor, pool),
            api,
            secrets,
        })
    }

    /// Stops both and waits for their end.
    pub(super) async fn stop(self) -> Result<(), Error> {
        self.worker.stop().await
    }
}

/// More than any scenario seeds.
const SEEDED: usize = 50_000_000;

/// A request for a call to a number of its own, unlike those that are seeded.
pub(super) fn request(nth: usize) -> Value {
    json!({
        "to": super::number(SEEDED + nth), "scriptId": "welcome",
        "metadata": {"name": format!("Person {nth}"), "order": nth},
    })
}

/// The call that an enqueue has made.
pub(super) fn new_call(result: Enqueued) -> Result<CallId, Error> {
    match result {
        Enqueued::Created(id) => Ok(id),
        other => Err(Error::Wrong(format!("a call was not taken: {other:?}"))),
    }
}

/// Milliseconds between two moments; 0 if the second came first.
pub(super) fn ms(from: Duration, to: Duration) -> f64 {
    to.saturating_sub(from).as_secs_f64() * 1e3
}

/// The percentiles of one run's latencies as measures, `name p50` and so on, and the worst.
pub(super) fn percentiles(name: &str, samples: &[f64]) -> Vec<Measure> {
    [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("worst", 1.0)]
        .into_iter()
        .filter_map(|(word, part)| {
            let value = percentile(samples, part)?;
            Some(Measure::new(
                format!("{name} {word}"),
                "ms",
                Better::Lower,
                value,
            ))
        })
        .collect()
}
