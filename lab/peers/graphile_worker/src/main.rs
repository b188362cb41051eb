//! `graphile_worker` doing one thing, for `pgdial-lab peers`: pgdial-peer-graphile-worker WHAT JOBS
//!
//! As `peers.mjs` beside it: `DATABASE_URL` says where, and it prints one line of JSON. Tuned as its authors advise for
//! throughput: 500 jobs are fetched at a time, and completed together.

use std::{
    collections::HashMap,
    env,
    error::Error,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{task::JoinSet, time::sleep};

const VERSION: &str = "0.14.1"; // Cargo.toml pins it
const AT_ONCE: usize = 30;
const FETCHED: usize = 500;
const EVERY: Duration = Duration::from_millis(20);
const WARM_UP: usize = 20;
const LOOK: Duration = Duration::from_millis(5);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// When each job began.
static BEGAN: OnceLock<Mutex<HashMap<usize, Instant>>> = OnceLock::new();

fn began<T>(with: impl FnOnce(&mut HashMap<usize, Instant>) -> T) -> T {
    let mut all = BEGAN
        .get_or_init(Mutex::default)
        .lock()
        .expect("no panic under the lock");
    with(&mut all)
}

#[derive(Clone, Serialize, Deserialize)]
struct Metadata {
    name: String,
    order: usize,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    to: String,
    script_id: String,
    metadata: Metadata,
}

impl Call {
    fn new(order: usize) -> Self {
        let metadata = Metadata {
            name: format!("Person {order}"),
            order,
        };
        Self {
            to: format!("+1{}", 2_000_000_000 + order),
            script_id: "welcome".to_owned(),
            metadata,
        }
    }
}

impl TaskHandler for Call {
    const IDENTIFIER: &'static str = "call";

    async fn run(self, _context: WorkerContext) -> impl IntoTaskHandlerResult {
        let now = Instant::now();
        began(|all| {
            all.entry(self.metadata.order).or_insert(now);
        });
        Ok::<(), String>(())
    }
}

struct Peer {
    pool: PgPool,
    utils: WorkerUtils,
}

impl Peer {
    fn options(pool: &PgPool) -> WorkerOptions {
        WorkerOptions::default()
            .concurrency(AT_ONCE)
            .pg_pool(pool.clone())
            .define_job::<Call>()
            .local_queue(LocalQueueConfig::default().with_size(FETCHED))
            .complete_job_batch_delay(Duration::from_millis(1))
            .listen_os_shutdown_signals(false)
    }

    async fn connect() -> Result<Self> {
        let connections = u32::try_from(AT_ONCE + 2)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .connect(&env::var("DATABASE_URL")?)
            .await?;
        let utils = Self::options(&pool).init().await?.create_utils();
        Ok(Self { pool, utils })
    }

    async fn left(&self) -> Result<usize> {
        let (left,): (i64,) = sqlx::query_as("select count(*) from graphile_worker._private_jobs")
            .fetch_one(&self.pool)
            .await?;
        Ok(usize::try_from(left)?)
    }

    async fn until_none_left(&self, jobs: usize) -> Result<()> {
        while began(|all| all.len()) < jobs || self.left().await? > 0 {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Starts the worker; the task ends once it is aborted.
    async fn start(&self) -> Result<JoinSet<()>> {
        let worker = Self::options(&self.pool).init().await?;
        let mut running = JoinSet::new();
        running.spawn(async move { worker.run().await.expect("the worker runs") });
        Ok(running)
    }

    /// 30 callers, one job each at a time.
    async fn add_all(&self, from: usize, to: usize) -> Result<()> {
        let (next, mut callers) = (Arc::new(AtomicUsize::new(from)), JoinSet::new());
        for _ in 0..AT_ONCE {
            let (utils, next) = (self.utils.clone(), Arc::clone(&next));
            callers.spawn(async move {
                loop {
                    let order = next.fetch_add(1, Ordering::Relaxed);
                    if order >= to {
                        return Ok::<(), Box<dyn Error + Send + Sync>>(());
                    }
                    utils.add_job(Call::new(order), JobSpec::default()).await?;
                }
            });
        }
        while let Some(done) = callers.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn enqueue(&self, jobs: usize) -> Result<Value> {
        let warm_up = jobs.div_ceil(10);
        self.add_all(0, warm_up).await?;
        let clock = Instant::now();
        self.add_all(warm_up, warm_up + jobs).await?;
        let seconds = clock.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "done": self.left().await? - warm_up }))
    }

    /// From the start of the worker until nothing is left in the store.
    async fn drain(&self, jobs: usize) -> Result<Value> {
        let (orders, spec): (Vec<usize>, _) = ((0..jobs).collect(), JobSpec::default());
        for portion in orders.chunks(1000) {
            let calls: Vec<_> = portion
                .iter()
                .map(|&order| (Call::new(order), &spec))
                .collect();
            self.utils.add_jobs::<Call>(&calls).await?;
        }
        sqlx::query("vacuum (analyze) graphile_worker._private_jobs")
            .execute(&self.pool)
            .await?;
        let clock = Instant::now();
        let worker = self.start().await?;
        self.until_none_left(jobs).await?;
        let seconds = clock.elapsed().as_secs_f64();
        drop(worker);
        Ok(json!({ "seconds": seconds, "done": began(|all| all.len()) }))
    }

    /// One job every 20 ms, on an idle system.
    async fn pickup(&self, jobs: usize) -> Result<Value> {
        let worker = self.start().await?;
        sleep(Duration::from_millis(500)).await;
        let mut every = tokio::time::interval(EVERY);
        let mut times = Vec::new();
        for order in 0..WARM_UP + jobs {
            every.tick().await;
            let sent = Instant::now();
            self.utils
                .add_job(Call::new(order), JobSpec::default())
                .await?;
            times.push((order, sent, Instant::now()));
        }
        self.until_none_left(WARM_UP + jobs).await?;
        drop(worker);
        let began = began(|all| std::mem::take(all));
        let ms = |order: usize, from: Instant| {
            began[&order].saturating_duration_since(from).as_secs_f64() * 1e3
        };
        let times = &times[WARM_UP..];
        Ok(json!({
            "fromRequest": times.iter().map(|(order, sent, _)| ms(*order, *sent)).collect::<Vec<_>>(),
            "fromAnswer": times.iter().map(|(order, _, answered)| ms(*order, *answered)).collect::<Vec<_>>(),
            "done": began.len() - WARM_UP,
        }))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, jobs] = arguments.as_slice() else {
        return Err("usage: pgdial-peer-graphile-worker enqueue|drain|pickup JOBS".into());
    };
    let (peer, jobs) = (Peer::connect().await?, jobs.parse()?);
    let mut told = match what.as_str() {
        "enqueue" => peer.enqueue(jobs).await?,
        "drain" => peer.drain(jobs).await?,
        "pickup" => peer.pickup(jobs).await?,
        _ => return Err(format!("{what} is none of enqueue, drain and pickup").into()),
    };
    let (fsync, synchronous_commit): (String, String) =
        sqlx::query_as("select current_setting('fsync'), current_setting('synchronous_commit')")
            .fetch_one(&peer.pool)
            .await?;
    told["with"] = format!("graphile_worker {VERSION}").into();
    told["settings"] = json!({ "fsync": fsync, "synchronous_commit": synchronous_commit });
    println!("{told}");
    Ok(())
}
