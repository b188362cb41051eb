//! Our own processes, kept alive as by an init system: one that dies is started again. Faults are signals to them, or
//! an order at a crash point.

use std::{
    collections::HashMap,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Pause before a dead process is restarted.
const RESTART: Duration = Duration::from_millis(300);

/// A command that is restarted whenever it ends. Killed for good when dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) name: String,
    crash_file: PathBuf,
    pid: Arc<Mutex<Option<Pid>>>,
    ends: Arc<Mutex<Vec<End>>>,
    _kept: DropGuard,
}

/// An end that we did not cause.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) lived: Duration,
}

impl Keeper {
    /// Starts `pgdial <args>`; its log and its crash file are in the folder.
    pub(crate) fn start(
        folder: &Path,
        name: &str,
        args: &[String],
        variables: &HashMap<String, String>,
    ) -> Self {
        let (stop, task) = (CancellationToken::new(), TaskTracker::new());
        let keeper = Self {
            name: name.to_owned(),
            crash_file: folder.join(format!("{name}.crash")),
            pid: Arc::default(),
            ends: Arc::default(),
            _kept: stop.clone().drop_guard(),
        };
        let spawn = spawner(folder, name, args, variables, &keeper.crash_file);
        let (pid, ends) = (Arc::clone(&keeper.pid), Arc::clone(&keeper.ends));
        task.spawn_local(async move {
            keep(spawn, &pid, &ends, stop).await;
        });
        keeper
    }

    /// The running process; `None` while it is being restarted.
    pub(crate) fn pid(&self) -> Option<Pid> {
        *lock(&self.pid)
    }

    /// Returns the process that got the signal; `None` while it is being restarted.
    pub(crate) fn signal(&self, signal: Signal) -> Option<Pid> {
        self.pid().filter(|pid| kill_process(*pid, signal).is_ok())
    }

    /// Arms a crash point and waits until the process has been there. False if it was not, within this time.
    pub(crate) async fn order(&self, point: &str, what: &str, patience: Duration) -> bool {
        // Renamed into place, so that the process cannot read half of it.
        let half = self.crash_file.with_extension("half");
        std::fs::write(&half, format!("{point} {what}")).unwrap();
        std::fs::rename(&half, &self.crash_file).unwrap();
        let gone = async {
            while self.crash_file.exists() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(patience, gone).await.is_ok() || std::fs::remove_file(&self.crash_file).is_err()
    }

    /// Ends that we did not cause.
    pub(crate) fn ends(&self) -> Vec<End> {
        lock(&self.ends).clone()
    }
}

async fn keep(
    mut spawn: impl FnMut() -> Command,
    pid: &Mutex<Option<Pid>>,
    ends: &Mutex<Vec<End>>,
    stop: CancellationToken,
) {
    use std::os::unix::process::ExitStatusExt as _;
    while !stop.is_cancelled() {
        let mut child = spawn().kill_on_drop(true).spawn().unwrap();
        let began = Instant::now();
        *lock(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let ended = stop.run_until_cancelled(child.wait()).await;
        *lock(pid) = None;
        if let Some(Ok(status)) = ended
            && status.signal() != Some(Signal::KILL.as_raw())
        {
            lock(ends).push(End {
                status,
                lived: began.elapsed(),
            });
        }
        stop.run_until_cancelled(sleep(RESTART)).await;
    }
}

fn spawner(
    folder: &Path,
    name: &str,
    args: &[String],
    variables: &HashMap<String, String>,
    crash_file: &Path,
) -> impl FnMut() -> Command + use<> {
    let log = folder.join(format!("{name}.log"));
    let (folder, args, variables) = (folder.to_owned(), args.to_vec(), variables.clone());
    let crash_file = crash_file.to_owned();
    move || {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdial"));
        command
            .args(&args)
            .current_dir(&folder)
            // Nothing in the environment may influence what is tested.
            .env_clear()
            .envs(&variables)
            .env("CRASH_POINT_FILE", &crash_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
    }
}

/// An address that stays free, because its port is below those the system gives to outgoing connections, of which
/// there are thousands here.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::random_range(12_000..32_000)));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
