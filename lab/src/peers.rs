//! Peers: the same enqueues, pickups and drains by pgdial and by other queues, on the same server and in turn. The
//! programs of the others stand in `lab/peers`, with their versions pinned. They are more general and promise less
//! about each job: none has a cap over all processes, or one job per key, and the fastest keep no history.

use std::{env, path::PathBuf, process::Stdio};

use tokio::process::{Child, Command};

use super::{
    Bed, Error, Measure, Options,
    bed::PATIENCE,
    measure::{Better, figure, median},
    process::Folder,
};

// What a peer's program prints.
mod told;

use told::Told;

/// What is compared. A program takes its word as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// 30 callers, one job each at a time, to its commit.
    Enqueue,
    /// A job every 20 ms on an idle system.
    Pickup,
    /// A backlog, 30 jobs at a time.
    Drain,
}

impl What {
    const fn word(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Pickup => "pickup",
            Self::Drain => "drain",
        }
    }
}

/// The columns of the comparison: the ends of the measures' names.
const ENQUEUE: &str = "enqueue /s";
const FROM_REQUEST: &str = "request to start p50 ms";
const FROM_ANSWER: &str = "acknowledged to start p50 ms";
const DRAIN: &str = "drain at 30 /s";
const COLUMNS: [&str; 4] = [ENQUEUE, FROM_REQUEST, FROM_ANSWER, DRAIN];

/// Which of pgdial's own measures stand in the comparison, and as what.
const OWN: [(&str, &str, &str); 9] = [
    ("enqueue-library", "pgdial, library", ENQUEUE),
    (
        "pickup-one, from the request p50",
        "pgdial, library",
        FROM_REQUEST,
    ),
    ("pickup-one p50", "pgdial, library", FROM_ANSWER),
    ("drain-30", "pgdial, library", DRAIN),
    (
        "pickup-one over HTTP, from the request p50",
        "pgdial serve, HTTP",
        FROM_REQUEST,
    ),
    (
        "pickup-one over HTTP p50",
        "pgdial serve, HTTP",
        FROM_ANSWER,
    ),
    ("enqueue-http", "pgdial api and work, HTTP", ENQUEUE),
    (
        "pickup-two, from the request p50",
        "pgdial api and work, HTTP",
        FROM_REQUEST,
    ),
    ("pickup-two p50", "pgdial api and work, HTTP", FROM_ANSWER),
];

/// Where a peer keeps its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Postgres,
    Redis,
}

impl Store {
    /// Settings without which a figure would be of something less durable.
    const fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Postgres => &[("fsync", "on"), ("synchronous_commit", "on")],
            Self::Redis => &[("appendonly", "yes"), ("appendfsync", "everysec")],
        }
    }
}

#[derive(Debug)]
struct Peer {
    /// As the comparison calls it.
    name: &'static str,
    /// Its name in `peers.mjs`; `None` for the Rust crate.
    in_node: Option<&'static str>,
    store: Store,
    /// Jobs of an enqueue and of a drain at scale 1: some seconds of each.
    jobs: (usize, usize),
}

const PICKED_UP: usize = 500;

const PEERS: [Peer; 4] = [
    Peer {
        name: "graphile-worker",
        in_node: Some("graphile-worker"),
        store: Store::Postgres,
        jobs: (10_000, 20_000),
    },
    Peer {
        name: "graphile-worker, 500 fetched at a time",
        in_node: Some("graphile-worker-batched"),
        store: Store::Postgres,
        jobs: (10_000, 100_000),
    },
    Peer {
        name: "graphile_worker (Rust), 500 fetched at a time",
        in_node: None,
        store: Store::Postgres,
        jobs: (10_000, 100_000),
    },
    Peer {
        name: "BullMQ on Redis",
        in_node: Some("bullmq"),
        store: Store::Redis,
        jobs: (50_000, 50_000),
    },
];

/// Why a peer is not measured, and what brings it.
type Absent = &'static str;

impl Peer {
    /// Its program, with the arguments that say which peer it is.
    fn program(&self) -> Result<Command, Absent> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"));
        let Some(name) = self.in_node else {
            let program = folder.join("graphile_worker/target/release/pgdial-peer-graphile-worker");
            return if program.exists() {
                Ok(Command::new(program))
            } else {
                Err(
                    "not built: CARGO_TARGET_DIR= cargo build --release --locked --manifest-path lab/peers/graphile_worker/Cargo.toml",
                )
            };
        };
        let node = folder.join("node_modules/.bin/node");
        if !node.exists() {
            return Err("not installed: npm ci --prefix lab/peers");
        }
        let mut command = Command::new(node);
        command.arg(folder.join("peers.mjs")).arg(name);
        Ok(command)
    }

    const fn jobs(&self, what: What) -> usize {
        match what {
            What::Enqueue => self.jobs.0,
            What::Pickup => PICKED_UP,
            What::Drain => self.jobs.1,
        }
    }

    async fn measure(&self, bed: &Bed, what: What, jobs: usize) -> Result<Vec<Measure>, Error> {
        let mut command = match self.program() {
            Ok(command) => command,
            Err(absent) => return Ok(vec![self.absent(absent)]),
        };
        command.arg(what.word()).arg(jobs.to_string());
        let told = match self.store {
            Store::Postgres => {
                // Both implementations use it, each with tables of its own.
                bed.sql("drop schema if exists graphile_worker cascade")
                    .await?;
                self.run(command.env("DATABASE_URL", &bed.url)).await?
            }
            Store::Redis => {
                let Some(program) = in_path("redis-server") else {
                    let absent = "redis-server is not in the PATH: apt-get install redis-server";
                    return Ok(vec![self.absent(absent)]);
                };
                let redis = Redis::start(program)?;
                self.run(command.env("REDIS_SOCKET", redis.socket()))
                    .await?
            }
        };
        told.check(self.name, self.store.settings(), jobs)?;
        Ok(told.measures(self.name, what, jobs))
    }

    async fn run(&self, command: &mut Command) -> Result<Told, Error> {
        let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let ended = tokio::time::timeout(PATIENCE, running).await;
        let ended = ended.map_err(|_elapsed| Error::Slow("a peer"))?;
        let ended = ended.map_err(Error::io(format!("cannot start {}", self.name)))?;
        let said = String::from_utf8_lossy(&ended.stdout);
        if ended.status.success()
            && let Some(told) = Told::read(&said)
        {
            return Ok(told);
        }
        let words = String::from_utf8_lossy(&ended.stderr);
        Err(Error::Wrong(format!(
            "{} ended with {}: {said}{words}",
            self.name, ended.status
        )))
    }

    /// A measure without samples, whose note says why.
    fn absent(&self, why: Absent) -> Measure {
        named(self.name, ENQUEUE, Vec::new()).note(format!("not measured: {why}"))
    }
}

/// A private Redis as durable as BullMQ's documentation asks for; killed and deleted when dropped.
#[derive(Debug)]
struct Redis {
    _running: Child,
    folder: Folder,
}

impl Redis {
    fn start(program: PathBuf) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let running = Command::new(program)
            .args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("cannot start redis-server"))?;
        Ok(Self {
            _running: running,
            folder,
        })
    }

    /// Its clients connect again until it listens.
    fn socket(&self) -> PathBuf {
        self.folder.file("redis.sock")
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
}

/// pgdial's part: what a scenario of its own measures, under the names of the comparison.
pub(super) async fn own(
    scenario: impl Future<Output = Result<Vec<Measure>, Error>>,
) -> Result<Vec<Measure>, Error> {
    let measures = scenario.await?;
    Ok(measures.into_iter().filter_map(renamed).collect())
}

fn renamed(measure: Measure) -> Option<Measure> {
    let (_, who, column) = OWN.iter().find(|(name, ..)| *name == measure.name)?;
    let name = full_name(who, column);
    Some(Measure { name, ..measure })
}

/// The other queues' part.
pub(super) async fn others(
    bed: &Bed,
    options: &Options,
    what: What,
) -> Result<Vec<Measure>, Error> {
    let mut measures = Vec::new();
    for peer in &PEERS {
        measures.extend(
            peer.measure(bed, what, options.scaled(peer.jobs(what)))
                .await?,
        );
    }
    Ok(measures)
}

fn full_name(who: &str, column: &str) -> String {
    format!("{who}: {column}")
}

fn named(who: &str, column: &'static str, samples: Vec<f64>) -> Measure {
    let (unit, better) = match column {
        FROM_REQUEST | FROM_ANSWER => ("ms", Better::Lower),
        _ => ("calls/s", Better::Higher),
    };
    Measure::of(full_name(who, column), unit, better, samples)
}

/// The comparison, one line per queue; `None` if these measures are of something else.
pub(super) fn table(measures: &[Measure]) -> Option<(Vec<&'static str>, Vec<Vec<String>>)> {
    let own = OWN.iter().map(|(_, who, _)| *who);
    let mut whos: Vec<&str> = own.chain(PEERS.iter().map(|peer| peer.name)).collect();
    whos.dedup();
    let sample = |who: &str, column: &str| {
        let name = full_name(who, column);
        median(
            &measures
                .iter()
                .find(|measure| measure.name == name)?
                .samples,
        )
    };
    let rows: Vec<Vec<Option<f64>>> = whos
        .iter()
        .map(|who| COLUMNS.map(|column| sample(who, column)).to_vec())
        .collect();
    rows.iter().flatten().flatten().next()?;
    let cell = |sample: Option<f64>| sample.map_or_else(|| "-".to_owned(), figure);
    let lines = whos.iter().zip(rows).map(|(who, row)| {
        let cells = row.into_iter().map(cell);
        std::iter::once((*who).to_owned()).chain(cells).collect()
    });
    Some(([&["queue"], &COLUMNS[..]].concat(), lines.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_has_a_line_for_each_queue_and_a_dash_for_what_was_not_measured() {
        let own = |name: &str, sample| Measure::new(name, "", Better::Lower, sample);
        let told = Told::read(
            r#"{"with":"x 1","settings":{},"done":4,"fromRequest":[3,1,2],"fromAnswer":[1,0.5,0.25]}"#,
        );
        let mut measures: Vec<Measure> = [
            own("pickup-one p50", 0.004),
            own("pickup-one p99", 9.0),
            own("enqueue-library", 17_200.4),
        ]
        .into_iter()
        .filter_map(renamed)
        .collect();
        measures.extend(told.unwrap().measures(PEERS[0].name, What::Pickup, 3));
        measures.push(PEERS[3].absent("not installed"));
        let (header, rows) = table(&measures).unwrap();
        assert_eq!(
            (header[0], header[1], header.len()),
            ("queue", ENQUEUE, COLUMNS.len() + 1)
        );
        assert_eq!(rows.len(), 3 + PEERS.len());
        for line in [
            ["pgdial, library", "17200", "-", "0.004", "-"],
            ["graphile-worker", "-", "2.00", "0.500", "-"],
            ["BullMQ on Redis", "-", "-", "-", "-"],
        ] {
            assert!(
                rows.contains(&line.map(str::to_owned).to_vec()),
                "{line:?} in {rows:?}"
            );
        }
        assert_eq!(measures[4].notes, ["not measured: not installed"]);
        assert_eq!(table(&[own("drain-30", 1.0)]), None);
    }
}
