//! How far one database goes: calls in flight, calls that wait, and listeners of the events.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use pgdial::provider::{Stopwatch, signature::Secrets};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    Bed, Error, Measure, Options,
    bed::{PATIENCE, secret},
    claims,
    client::Client,
    dials::{Answer, Dial, Witness, ms, new_call, percentiles, request},
    enqueue::Turns,
    measure::{Better, count},
    process::{Folder, Process, free_address},
    providers::Instant,
    refill::until_in_call,
    webhooks::{completed, post_all, sign_all},
};

/// Permits of the worker, which dials far fewer calls at a time than are in flight.
const PERMITS: usize = 500;
/// Slots beyond the calls in flight, for the claims beside them.
const SPARE: usize = 100;
/// Webhooks at scale 1, and the connections that they come by.
const WEBHOOKS: usize = 20_000;
const CLIENTS: usize = 30;

/// Many calls in flight.
pub(super) async fn in_flight(
    bed: &Bed,
    options: &Options,
    calls: usize,
) -> Result<Vec<Measure>, Error> {
    let name = format!("in-flight-{calls}");
    let calls = options.scaled(calls);
    bed.set_slots(calls + SPARE).await?;
    bed.seed_waiting(calls).await?;
    let (live, dialled) = dial(bed, &name, calls).await?;
    let mut measures = vec![dialled];

    bed.seed_more_waiting(calls, claims::DUE).await?;
    let claims = claims::with_free_slots(bed, 30, claims::TIMES).await?;
    measures.extend(percentiles(
        &format!("{name}, a claim of 30 beside them"),
        &claims,
    ));

    measures.push(end(bed, options, &name, &live).await?);
    let mb = |what: &str, bytes: f64| {
        Measure::new(format!("{name}, {what}"), "MB", Better::Lower, bytes / 1e6)
    };
    if let Some(bytes) = bed.server_memory() {
        measures.push(
            mb("memory of Postgres", bytes)
                .note("all processes, with the part of shared_buffers in use"),
        );
    }
    measures.push(mb("tables", table_bytes(bed).await?));
    Ok(measures)
}

/// Claims, dials and records all of them.
async fn dial(bed: &Bed, name: &str, calls: usize) -> Result<(Vec<Dial>, Measure), Error> {
    let (witness, mut dials) = Witness::new(Answer::Accept);
    let mut live = Vec::with_capacity(calls);
    let meter = bed.meter();
    let worker = bed.start_worker(witness, PERMITS).await?;
    while live.len() < calls {
        live.push(dials.next().await?);
    }
    until_in_call(bed, calls).await?;
    let used = meter.stop();
    worker.stop().await?;
    dials.none_more()?;
    let measure = Measure::rate(format!("{name}, to in call"), calls, &used);
    Ok((
        live,
        measure.note("claimed, dialled and recorded by one worker"),
    ))
}

/// Ends a part of them by signed webhooks to a process of its own.
async fn end(bed: &Bed, options: &Options, name: &str, live: &[Dial]) -> Result<Measure, Error> {
    let webhooks = options.scaled(WEBHOOKS).min(live.len());
    let warm_up = webhooks / 10;
    let (folder, address, words) = (Folder::new()?, free_address()?, secret());
    let mut api = start_api(bed, &folder, address, &words, &secret())?;
    api.until_listening(address).await?;
    let secrets: Secrets = words
        .parse()
        .map_err(|error| Error::Wrong(format!("the lab's secret: {error}")))?;
    let ended = live.get(..webhooks).unwrap_or_default();
    let signed = Arc::new(sign_all(bed, &secrets, ended, completed).await?);
    post_all(address, CLIENTS, &signed, Turns::new(0, warm_up)).await?;
    let meter = bed.meter_as("lab").with("pgdial", api.pid);
    post_all(address, CLIENTS, &signed, Turns::new(warm_up, webhooks)).await?;
    let mut used = meter.stop();
    used.peak_rss.remove("lab");
    api.stop().await?;

    let completed = bed
        .number(
            "select count(*) from pgdial.calls where state = 'completed' and outcome = 'answered'",
        )
        .await?;
    if completed != i64::try_from(webhooks).unwrap_or(i64::MAX) {
        return Err(Error::Wrong(format!(
            "{webhooks} webhooks ended {completed} calls"
        )));
    }
    let measure = Measure::rate(format!("{name}, webhooks"), webhooks - warm_up, &used);
    Ok(measure.note(format!(
        "each ends a call; `pgdial api`, {CLIENTS} connections; CPU of `lab` is the provider's"
    )))
}

fn start_api(
    bed: &Bed,
    folder: &Folder,
    address: std::net::SocketAddr,
    secrets: &str,
    key: &str,
) -> Result<Process, Error> {
    let variables = [
        ("PGDIAL_LISTEN", address.to_string()),
        ("PGDIAL_API_KEYS", format!("lab:{key}")),
        ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9".to_owned()),
        ("PGDIAL_WEBHOOK_SECRETS", secrets.to_owned()),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    Process::start(bed, folder, &["api"], &variables)
}

/// Bytes of calls and events with their indexes.
async fn table_bytes(bed: &Bed) -> Result<f64, Error> {
    let bytes = bed
        .number(
            "select sum(pg_total_relation_size(c.oid)) from pg_class c \
             where c.relnamespace = 'pgdial'::regnamespace and c.relkind = 'r'",
        )
        .await?;
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let bytes = bytes as f64;
    Ok(bytes)
}

/// Calls that wait at scale 1, and those of them that are drained.
const WAITING: usize = 10_000_000;
const DRAINED: usize = 20_000;
const SLOTS: usize = 30;
/// Calls that are enqueued one after another.
const ENQUEUED: usize = 300;

/// Many calls that are due.
pub(super) async fn waiting(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (calls, drained) = (options.scaled(WAITING), options.scaled(DRAINED));
    let clock = Stopwatch::start();
    bed.seed_waiting(calls).await?;
    let note = format!(
        "{calls} waiting; seeding them took {:.0} s",
        clock.elapsed().as_secs_f64()
    );
    let bytes = table_bytes(bed).await? / count(calls);
    let size = Measure::new("waiting-10m, size", "bytes/call", Better::Lower, bytes);
    let mut measures = vec![size.note(note)];

    let claims = claims::times(bed, SLOTS, claims::TIMES).await?;
    measures.extend(percentiles("waiting-10m, a claim of 30", &claims));
    let mut samples = Vec::new();
    for nth in 0..ENQUEUED {
        let clock = Stopwatch::start();
        let (result, _) = bed.calls.enqueue_one("lab", &request(nth)).await?;
        samples.push(clock.elapsed().as_secs_f64() * 1e3);
        new_call(result)?;
    }
    measures.extend(percentiles("waiting-10m, an enqueue", &samples));

    bed.set_slots(SLOTS).await?;
    let provider = Instant::new(drained, 0);
    let meter = bed.meter();
    let mut worker = bed.start_worker(provider.clone(), SLOTS).await?;
    tokio::select! {
        () = provider.until_all() => {}
        died = worker.died() => return Err(died),
        () = tokio::time::sleep(PATIENCE) => return Err(Error::Slow("the drain")),
    }
    let used = meter.stop();
    worker.stop().await?;
    measures.push(Measure::rate(
        "waiting-10m, drain with 30 slots",
        drained,
        &used,
    ));
    let ended = bed
        .number("select count(*) from pgdial.calls where state = 'failed'")
        .await?;
    if ended != i64::try_from(provider.placed()).unwrap_or(i64::MAX) {
        return Err(Error::Wrong(format!(
            "{} dials ended {ended} calls",
            provider.placed()
        )));
    }
    Ok(measures)
}

const LISTENERS: usize = 100;
/// Events a second.
const RATES: [usize; 2] = [1_000, 4_000];
/// Seconds of each rate at scale 1.
const LASTS: usize = 10;
/// Calls are enqueued this often.
const EVERY: Duration = Duration::from_millis(10);

/// Many streams of all events.
pub(super) async fn listeners(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let (folder, address, key) = (Folder::new()?, free_address()?, secret());
    let mut api = start_api(bed, &folder, address, &secret(), &key)?;
    api.until_listening(address).await?;
    let clock = Stopwatch::start();
    let (heard, mut events_heard) = mpsc::unbounded_channel();
    let mut listening = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..LISTENERS {
        let mut client = Client::connect(address, &key).await?;
        let stream = client.follow("/api/v1/events").await?;
        clients.push(client);
        listening.spawn(listen(stream, clock, heard.clone()));
    }
    let (mut measures, mut enqueued) = (Vec::new(), 0);
    for rate in RATES {
        let events = options.scaled(LASTS * rate);
        let meter = bed.meter_as("lab").with("pgdial", api.pid);
        let committed = enqueue_steadily(bed, clock, rate, enqueued, events).await?;
        enqueued += events;
        let mut samples = Vec::with_capacity(events * LISTENERS);
        for _ in 0..LISTENERS {
            for _ in 0..events {
                let heard = tokio::time::timeout(PATIENCE, events_heard.recv()).await;
                let (nth, at) = heard.ok().flatten().ok_or(Error::Slow("an event"))?;
                let since = committed.get(nth + events - enqueued);
                let since = since.ok_or_else(|| Error::Wrong("an event came again".to_owned()))?;
                samples.push(ms(*since, at));
            }
        }
        let mut used = meter.stop();
        used.peak_rss.remove("lab");
        let name = format!("{LISTENERS} listeners at {rate} events/s");
        measures.push(Measure {
            unit: "deliveries/s",
            ..Measure::rate(&name, events * LISTENERS, &used)
        });
        measures.extend(percentiles(&format!("{name}, from the commit"), &samples));
    }
    drop(listening);
    api.stop().await?;
    bed.check_waiting(enqueued).await?;
    Ok(measures)
}

/// Reports each event of a call: which one it is in the stream, and when it came.
async fn listen(
    mut stream: Incoming,
    clock: Stopwatch,
    heard: mpsc::UnboundedSender<(usize, Duration)>,
) {
    let (mut nth, mut line) = (0, Vec::new());
    while let Some(Ok(frame)) = stream.frame().await {
        let at = clock.elapsed();
        let bytes = frame.into_data().unwrap_or_default();
        for byte in bytes {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            if line == b"event: waiting" {
                heard.send((nth, at)).ok();
                nth += 1;
            }
            line.clear();
        }
    }
}

/// Enqueues calls, `rate` a second, one event each and in one order; returns when each was committed.
async fn enqueue_steadily(
    bed: &Bed,
    clock: Stopwatch,
    rate: usize,
    first: usize,
    events: usize,
) -> Result<Vec<Duration>, Error> {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let requests: Vec<Value> = (first..first + events).map(request).collect();
    let per_second =
        usize::try_from(Duration::from_secs(1).as_millis() / EVERY.as_millis()).unwrap_or(1);
    let mut committed = Vec::with_capacity(events);
    for batch in requests.chunks(rate / per_second) {
        every.tick().await;
        for enqueued in bed.calls.enqueue("lab", batch).await? {
            new_call(enqueued)?;
        }
        committed.extend(std::iter::repeat_n(clock.elapsed(), batch.len()));
    }
    Ok(committed)
}
