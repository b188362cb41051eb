//! Enqueue: 30 concurrent callers, one call per request, each answered once it is durable.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hyper::StatusCode;
use pgdial::flow::enqueue::Enqueued;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Bed, Error, Measure, Options, bare,
    bed::secret,
    client::Client,
    number,
    process::{Folder, Process, free_address},
};

/// Concurrent callers.
const CALLERS: usize = 30;
/// Calls at scale 1.
const CALLS: usize = 60_000;
/// Unmeasured calls that open connections and warm plans and caches.
const WARM_UP: usize = 3_000;

/// The request for the nth call.
fn request(nth: usize) -> Value {
    json!({
        "to": number(nth),
        "scriptId": "welcome",
        "metadata": { "name": format!("Person {nth}"), "order": nth },
    })
}

/// Hands out the numbers `from..to`, each once.
#[derive(Debug)]
pub(super) struct Turns {
    next: AtomicUsize,
    to: usize,
}

impl Turns {
    pub(super) fn new(from: usize, to: usize) -> Arc<Self> {
        let next = AtomicUsize::new(from);
        Arc::new(Self { next, to })
    }

    pub(super) fn next(&self) -> Option<usize> {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        (nth < self.to).then_some(nth)
    }
}

/// Over HTTP, to the API as a separate process.
pub(super) async fn over_http(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (calls, warm_up) = (options.scaled(CALLS), options.scaled(WARM_UP));
    bed.settle_down().await?;
    let folder = Folder::new()?;
    let address = free_address()?;
    let key = secret();
    let mut api = Process::start(
        bed,
        &folder,
        &["api"],
        &[
            ("PGDIAL_LISTEN", &address.to_string()),
            ("PGDIAL_API_KEYS", &format!("lab:{key}")),
            ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:1"),
            ("PGDIAL_WEBHOOK_SECRETS", &secret()),
        ],
    )?;
    api.until_listening(address).await?;
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        clients.push(Client::connect(address, &key).await?);
    }
    clients = post_all(clients, Turns::new(0, warm_up)).await?;
    let meter = bed.meter_as("client").with("pgdial", api.pid);
    let clients = post_all(clients, Turns::new(warm_up, warm_up + calls)).await?;
    let used = meter.stop();
    drop(clients);
    api.stop().await?;
    bed.check_waiting(warm_up + calls).await?;
    let measure = Measure::rate("enqueue-http", calls, &used)
        .note("the API is a process of its own; the 30 clients share this one (cpu: client)");
    Ok(vec![with_limit(bed, measure, calls).await?])
}

async fn post_all(clients: Vec<Client>, turns: Arc<Turns>) -> Result<Vec<Client>, Error> {
    let mut callers = JoinSet::new();
    for mut client in clients {
        let turns = Arc::clone(&turns);
        callers.spawn(async move {
            while let Some(nth) = turns.next() {
                let (status, body) = client
                    .post("/api/v1/calls", request(nth).to_string())
                    .await?;
                if status != StatusCode::CREATED {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    return Err(Error::Wrong(format!("the API answered {status}: {body}")));
                }
            }
            Ok(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(done) = callers.join_next().await {
        clients.push(done??);
    }
    Ok(clients)
}

/// Through the library, in this process.
pub(super) async fn by_library(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (calls, warm_up) = (options.scaled(CALLS), options.scaled(WARM_UP));
    bed.settle_down().await?;
    call_all(bed, Turns::new(0, warm_up)).await?;
    let meter = bed.meter();
    call_all(bed, Turns::new(warm_up, warm_up + calls)).await?;
    let used = meter.stop();
    bed.check_waiting(warm_up + calls).await?;
    let measure = Measure::rate("enqueue-library", calls, &used);
    Ok(vec![with_limit(bed, measure, calls).await?])
}

async fn call_all(bed: &Bed, turns: Arc<Turns>) -> Result<(), Error> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (calls, turns) = (bed.calls.clone(), Arc::clone(&turns));
        callers.spawn(async move {
            while let Some(nth) = turns.next() {
                let (done, _) = calls.enqueue_one("lab", &request(nth)).await?;
                if !matches!(done, Enqueued::Created(_)) {
                    return Err(Error::Wrong(format!("a call was not taken: {done:?}")));
                }
            }
            Ok(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(())
}

async fn with_limit(bed: &Bed, measure: Measure, calls: usize) -> Result<Measure, Error> {
    bare::make(bed).await?;
    bed.settle_down().await?;
    let limit = bare::enqueue(bed, calls, CALLERS).await?;
    Ok(measure.with_bare(&limit))
}
