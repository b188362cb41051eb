//! This program in processes of its own: `serve`, `api` or `work`, as an operator starts them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use super::{Error, client::Client};
use crate::provider::Stopwatch;

/// How long a process may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    role: &'static str,
    child: Child,
    /// Its number.
    pub pid: u32,
    /// Where it listens, if its role does.
    pub listen: SocketAddr,
}

impl Process {
    /// Starts this program's binary in a role, against a database. It knows the trunk `default`,
    /// at an address where nobody answers. One that listens does so when this returns.
    pub async fn start(role: &'static str, database_url: &str) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("where is this program?"))?;
        let listen = free_address()?;
        // Nothing of our own surroundings: a setting or a .env file would be in the figures.
        let child = Command::new(program)
            .args([role, "--env-file", "/dev/null"])
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("PGDIAL_LISTEN", listen.to_string())
            .env("PGDIAL_PUBLIC_URL", format!("http://{listen}"))
            .env("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9")
            .env("PGDIAL_WEBHOOK_SECRETS", super::bed::secret())
            .env("PGDIAL_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io(format!("pgdial {role} cannot be started")))?;
        let pid = child.id().unwrap_or(0);
        let mut process = Self {
            role,
            child,
            pid,
            listen,
        };
        if role != "work" {
            process.until_ready().await?;
        }
        Ok(process)
    }

    async fn until_ready(&mut self) -> Result<(), Error> {
        let clock = Stopwatch::start();
        while clock.elapsed() < PATIENCE {
            self.check()?;
            if let Ok(mut client) = Client::connect(self.listen).await
                && let Ok((status, _)) = client.get("/readyz").await
                && status.is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Error::Slow("the start of a process"))
    }

    /// It is still running.
    pub fn check(&mut self) -> Result<(), Error> {
        let role = self.role;
        match self
            .child
            .try_wait()
            .map_err(Error::io(format!("pgdial {role}")))?
        {
            None => Ok(()),
            Some(status) => Err(Error::Wrong(format!(
                "pgdial {role} ended by itself: {status}"
            ))),
        }
    }

    /// Stops it as an operator does, and waits for its end.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.check()?;
        let role = self.role;
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .map_err(|error| Error::io(format!("pgdial {role}"))(error.into()))?;
        }
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended
            .map_err(|_elapsed| Error::Slow("the end of a process"))?
            .map_err(Error::io(format!("pgdial {role}")))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Wrong(format!("pgdial {role} ended with {status}")))
        }
    }
}

/// An address that nobody uses now.
fn free_address() -> Result<SocketAddr, Error> {
    let failed = || Error::io("no port of 127.0.0.1 is free");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
    listener.local_addr().map_err(failed())
}
