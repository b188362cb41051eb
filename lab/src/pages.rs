//! What open pages cost: what the script of a page does, without the browser. It follows `/ui/live`, and reads its
//! screen again when that says that something has changed (src/http/ui/page.js).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::StatusCode;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    Bed, Error, Measure, Options,
    bed::secret,
    client::Client,
    dials::{new_call, request},
    door::Door,
    drain,
    idle::number,
    measure::Better,
    process::{Folder, Process, free_address},
    providers,
};

/// The screen that is open.
const SCREEN: &str = "/ui/";
/// Between two readings, as in the script.
const QUIET: Duration = Duration::from_millis(1500);
const WINDOW: Duration = Duration::from_mins(1);
/// Calls a second that begin and end beside the page.
const BUSY: usize = 100;
const SLOTS: usize = 30;
/// Calls of the drain at scale 1.
const CALLS: usize = 60_000;
/// Pages open during the drain.
const MANY: usize = 10;

/// `pgdial api` with pages open.
struct Watched {
    api: Process,
    door: Door,
    bytes: Arc<AtomicU64>,
    viewers: JoinSet<Error>,
    _folder: Folder,
}

impl Watched {
    async fn open(bed: &Bed, pages: usize) -> Result<Self, Error> {
        let (folder, address, door) =
            (Folder::new()?, free_address()?, Door::open(&bed.url).await?);
        let mut api = Process::start(
            bed,
            &folder,
            &["api"],
            &[
                ("DATABASE_URL", door.url.as_str()),
                ("PGDIAL_LISTEN", &address.to_string()),
                ("PGDIAL_PUBLIC_URL", &format!("http://{address}")),
                ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9"),
                ("PGDIAL_WEBHOOK_SECRETS", &secret()),
                ("PGDIAL_API_KEYS", &format!("lab:{}", secret())),
                ("PGDIAL_OPEN_VIEW", "true"),
            ],
        )?;
        api.until_listening(address).await?;
        let bytes = Arc::new(AtomicU64::new(0));
        let mut viewers = JoinSet::new();
        for _ in 0..pages {
            let bytes = Arc::clone(&bytes);
            viewers.spawn(async move {
                match view(address, &bytes).await {
                    Ok(()) => Error::Wrong("the stream of a page ended".to_owned()),
                    Err(error) => error,
                }
            });
        }
        Ok(Self {
            api,
            door,
            bytes,
            viewers,
            _folder: folder,
        })
    }

    /// Statements a second and megabytes a minute during the window.
    async fn measure(&mut self, name: &str, window: Duration) -> Result<Vec<Measure>, Error> {
        let before = (self.door.statements(), self.bytes.load(Ordering::Relaxed));
        sleep(window).await;
        let (statements, bytes) = (self.door.statements(), self.bytes.load(Ordering::Relaxed));
        let seconds = window.as_secs_f64();
        let lower = |what: &str, unit, value| {
            Measure::new(
                format!("open page, {name}, {what}"),
                unit,
                Better::Lower,
                value,
            )
        };
        self.check()?;
        Ok(vec![
            lower("statements", "/s", number(statements - before.0) / seconds),
            lower(
                "received",
                "MB/min",
                number(bytes - before.1) / 1e6 / seconds * 60.0,
            ),
        ])
    }

    fn check(&mut self) -> Result<(), Error> {
        match self.viewers.try_join_next() {
            Some(died) => Err(died?),
            None if self.bytes.load(Ordering::Relaxed) == 0 && !self.viewers.is_empty() => {
                Err(Error::Wrong("no page has read anything".to_owned()))
            }
            None => Ok(()),
        }
    }

    async fn close(mut self) -> Result<(), Error> {
        self.check()?;
        self.viewers.shutdown().await;
        self.api.stop().await
    }
}

/// One open page.
async fn view(address: SocketAddr, bytes: &AtomicU64) -> Result<(), Error> {
    let read = async || {
        // The server closes a connection that nothing was asked of for a while.
        let (status, body) = Client::connect(address, "").await?.get(SCREEN).await?;
        if status != StatusCode::OK {
            return Err(Error::Wrong(format!("{SCREEN} was answered {status}")));
        }
        bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(Instant::now())
    };
    let mut seen = read().await?;
    let mut follower = Client::connect(address, "").await?;
    let mut live = follower.follow("/ui/live").await?;
    while let Some(Ok(frame)) = live.frame().await {
        let told = frame.into_data().unwrap_or_default();
        bytes.fetch_add(told.len() as u64, Ordering::Relaxed);
        if told.starts_with(b"event: changed") {
            sleep_until(seen + QUIET).await;
            seen = read().await?;
        }
    }
    Ok(())
}

/// One page: while nothing happens, and beside a steady flow of calls.
pub(super) async fn one(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let window = WINDOW.mul_f64(options.scale.clamp(0.05, 1.0));
    let mut watched = Watched::open(bed, 1).await?;
    sleep(QUIET).await;
    let mut measures = watched.measure("idle", window).await?;

    let calls = usize::try_from(window.as_secs()).unwrap_or(1).max(1) * BUSY;
    bed.set_slots(SLOTS).await?;
    let provider = providers::Instant::new(calls, SLOTS);
    let worker = bed.start_worker(provider.clone(), SLOTS).await?;
    let name = format!("beside {BUSY} calls/s");
    let (enqueued, busy) =
        tokio::join!(enqueue_steadily(bed, calls), watched.measure(&name, window));
    enqueued?;
    measures.extend(busy?);
    provider.until_all().await;
    bed.until_ended(&provider.newest()).await?;
    worker.stop().await?;
    watched.close().await?;
    bed.check_lives(calls, "failed", &["waiting", "active", "failed"])
        .await?;
    Ok(measures)
}

async fn enqueue_steadily(bed: &Bed, calls: usize) -> Result<(), Error> {
    let mut every = interval(Duration::from_secs(1) / u32::try_from(BUSY).unwrap_or(1));
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for nth in 0..calls {
        every.tick().await;
        for enqueued in bed.calls.enqueue("lab", &[request(nth)]).await? {
            new_call(enqueued)?;
        }
    }
    Ok(())
}

/// A drain beside no page.
pub(super) async fn drain_alone(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    drained(bed, options, 0, "drain-30 beside `pgdial api`").await
}

/// The same beside many pages.
pub(super) async fn drain_watched(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let name = format!("drain-30 beside {MANY} open pages");
    drained(bed, options, MANY, &name).await
}

async fn drained(
    bed: &Bed,
    options: &Options,
    pages: usize,
    name: &str,
) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS).max(SLOTS * 2);
    bed.set_slots(SLOTS).await?;
    bed.seed_waiting(calls).await?;
    bed.settle_down().await?;
    let watched = Watched::open(bed, pages).await?;
    sleep(QUIET).await;
    let measure = drain::drain(bed, name, calls, SLOTS, 1).await?;
    watched.close().await?;
    Ok(vec![measure])
}
