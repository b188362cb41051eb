//! What the figures were measured on, without which they say nothing.

use std::{fs, path::Path};

use pgdial::db;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Error, usage::kilobytes};

/// Settings of Postgres that influence the figures.
const SETTINGS: [&str; 13] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_connections",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_level",
    "autovacuum",
    "commit_delay",
    "data_checksums",
    "jit",
];

/// The machine, Postgres, and this build.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    cpus: usize,
    cpu_model: String,
    memory_bytes: f64,
    kernel: String,
    postgres: String,
    server: &'static str,
    settings: Vec<(String, String)>,
    /// The data directory is in memory, so nothing is really synced.
    in_memory: bool,
}

impl Machine {
    /// Examines machine and server. `private` is the data directory of a server started for this run.
    pub(super) async fn look(pool: &PgPool, private: Option<&Path>) -> Result<Self, Error> {
        let (postgres,): (String,) = sqlx::query_as("select current_setting('server_version')")
            .fetch_one(pool)
            .await?;
        let settings = sqlx::query_as(
            "select n, current_setting(n, true) from unnest($1::text[]) with ordinality as s (n, at) \
             where current_setting(n, true) is not null order by at",
        )
        .bind(SETTINGS.map(str::to_owned).to_vec())
        .fetch_all(pool)
        .await?;
        let kernel = rustix::system::uname();
        Ok(Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            cpu_model: cpu_model().unwrap_or_default(),
            memory_bytes: memory().unwrap_or(0.0),
            kernel: format!(
                "{} {} {}",
                kernel.sysname().to_string_lossy(),
                kernel.release().to_string_lossy(),
                kernel.machine().to_string_lossy()
            ),
            postgres,
            server: if private.is_some() {
                "private"
            } else {
                "given"
            },
            settings,
            in_memory: private.is_some_and(is_in_memory),
        })
    }

    /// What makes the figures worthless or hard to compare.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if cfg!(debug_assertions) {
            warnings.push("this is a DEBUG build: the figures are worthless, use `cargo run --release -p pgdial-lab`".to_owned());
        }
        if self.in_memory {
            warnings.push("/tmp is in memory, and so is the private database: name a server on a disk in DATABASE_URL".to_owned());
        }
        for (name, value) in &self.settings {
            let weak = matches!(name.as_str(), "fsync" | "full_page_writes") && value == "off"
                || name == "synchronous_commit" && matches!(value.as_str(), "off" | "local");
            if weak {
                warnings.push(format!(
                    "{name} is {value}: what is measured would not outlive a crash"
                ));
            }
        }
        warnings
    }

    /// Names and values, for people.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings.iter();
        let settings: Vec<String> = settings
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        vec![
            (
                "machine",
                format!(
                    "{} CPUs ({}), {:.1} GiB, {}",
                    self.cpus,
                    self.cpu_model,
                    self.memory_bytes / f64::from(1 << 30),
                    self.kernel
                ),
            ),
            ("postgres", format!("{} ({})", self.postgres, self.server)),
            ("settings", settings.join(", ")),
            ("pgdial", format!("{} ({PROFILE})", db::RELEASE)),
        ]
    }

    /// The same, for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "cpus": self.cpus,
            "cpuModel": self.cpu_model,
            "memoryBytes": self.memory_bytes,
            "kernel": self.kernel,
            "postgres": self.postgres,
            "server": self.server,
            "settings": self.settings.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "pgdial": db::RELEASE,
            "profile": PROFILE,
            "warnings": self.warnings(),
        })
    }
}

const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

/// Whether the file system with the longest matching mount point is a tmpfs.
fn is_in_memory(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let at = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let nearest = at
        .filter(|(mount, _)| path.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len());
    nearest.is_some_and(|(_, kind)| kind == "tmpfs")
}

fn cpu_model() -> Option<String> {
    let about = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = about.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Memory of the machine in bytes.
pub(super) fn memory() -> Option<f64> {
    let about = fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes(&about, "MemTotal:").map(|kb| kb * 1024.0)
}
