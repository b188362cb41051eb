//! pgdial as separate processes: what users run, measured from outside.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use pgdial::provider::Stopwatch;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{net::TcpStream, process::Child};
use uuid::Uuid;

use super::{Bed, Error};

/// Longest time a process may take to start.
const START: Duration = Duration::from_secs(30);

/// This program under the name `pgdial`; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Process id.
    pub pid: u32,
    what: String,
    /// File with its stderr.
    log: PathBuf,
}

impl Process {
    /// Starts `pgdial <args>` on this bed, with only these variables in its environment.
    pub fn start(
        bed: &Bed,
        folder: &Folder,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let what = format!("pgdial {}", args.first().copied().unwrap_or_default());
        let program =
            std::env::current_exe().map_err(Error::io("cannot find the program itself"))?;
        let log = folder.file(&format!("{}.log", Uuid::new_v4().simple()));
        let words = File::create(&log).map_err(Error::io("cannot write a log"))?;
        let child = tokio::process::Command::new(program)
            .arg0("pgdial")
            .args(args)
            .env_clear()
            .env("DATABASE_URL", &bed.url)
            .env("PGDIAL_LOG", "error")
            .envs(variables.iter().copied())
            // Away from the current directory, where a .env file would be read.
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io(format!("cannot start {what}")))?;
        let pid = child.id().unwrap_or(0);
        Ok(Self {
            child,
            pid,
            what,
            log,
        })
    }

    /// Waits until it accepts connections there.
    pub async fn until_listening(&mut self, address: SocketAddr) -> Result<(), Error> {
        let clock = Stopwatch::start();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.ended()? {
                return Err(self.failed(status));
            }
            if clock.elapsed() > START {
                return Err(Error::Slow("the start of a process"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Its status, once it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        let waited = self.child.try_wait();
        waited.map_err(Error::io(format!("cannot wait for {}", self.what)))
    }

    /// The error for an end that should not have happened, with its stderr.
    pub fn failed(&self, status: ExitStatus) -> Error {
        let words = std::fs::read_to_string(&self.log).unwrap_or_default();
        Error::Wrong(format!("{} ended with {status}: {words}", self.what))
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself, and then there is nothing to ask.
            kill_process(pid, Signal::TERM).ok();
        }
        let ended = self.child.wait().await;
        ended.map_err(Error::io(format!("cannot wait for {}", self.what)))?;
        Ok(())
    }
}

/// A temporary folder, deleted when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Creates one among the system's temporary files.
    pub fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("pgdial-lab-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&path).map_err(Error::io(format!("cannot make {}", path.display())))?;
        Ok(Self(path))
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A local address on which nothing listens at present.
pub fn free_address() -> Result<SocketAddr, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(Error::io("there is no free port"))
}
