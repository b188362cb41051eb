//! Creating a cluster, and running the server under its watchdog.
//!
//! The server's parent is not this process but `watchdog.sh`, which waits on a pipe from us. Nothing else
//! ends a server with its starter on all systems: a parent-death signal exists only on Linux and is tied to
//! the thread that requested it.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
};

use super::{
    Error, account,
    address::{PORT, USER},
    find::Binaries,
    home::{GLANCE, GLANCES, Home},
};

const WATCHDOG: &str = include_str!("server/watchdog.sh");

/// A locked home that is about to get a server.
#[derive(Debug)]
pub(super) struct Starting<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) home: &'a Home,
    pub(super) lock: File,
    pub(super) path: Option<&'a OsStr>,
}

impl Starting<'_> {
    /// Creates the cluster unless it exists.
    pub(super) fn create_cluster(&self, durable: bool) -> Result<(), Error> {
        let data = self.home.data();
        if data.is_dir() {
            return Ok(());
        }
        let mut command = self.command(&self.binaries.program("initdb"));
        command.arg("-D").arg(&data);
        command.args(["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C"]);
        command.arg("--no-instructions");
        if !durable {
            command.arg("--no-sync");
        }
        let output = command.output().map_err(|error| self.cannot_run(error))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Error::Initdb {
            path: data,
            output: String::from_utf8_lossy(&said).into_owned(),
        })
    }

    /// Starts the server and waits until it accepts connections.
    pub(super) fn run(self, settings: &[String]) -> Result<Server, Error> {
        let remove = if self.home.is_temporary() {
            self.home.path()
        } else {
            Path::new("")
        };
        let mut command = self.command(Path::new("/bin/sh"));
        command
            .args(["-c", WATCHDOG, "pgdial-postgres"])
            .arg(self.home.path().join("server.log"))
            .arg(remove)
            .arg(self.binaries.program("postgres"));
        command
            .arg("-D")
            .arg(self.home.data())
            .arg("-k")
            .arg(self.home.path())
            .args(["-p", PORT])
            .args(settings);
        // Its own process group: a Ctrl-C at the terminal is ours to handle, not the server's.
        command
            .stdin(Stdio::piped())
            .stdout(self.lock_copy()?)
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().map_err(|error| self.cannot_run(error))?;
        let mut server = Server {
            child,
            reports: None,
            pid: 0,
            data: self.home.data(),
        };
        server.hear_pid()?;
        server.wait_until_ready(self.home)?;
        Ok(server)
    }

    /// A program run as the server's account. The environment is reduced to what it needs: `PG*` variables
    /// would change it, and it must not see our secrets.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env_clear();
        let path = self
            .path
            .unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
        command
            .env("PATH", path)
            .env("LC_ALL", "C")
            .env("HOME", self.home.path());
        account::become_in(&mut command, self.home.account());
        command
    }

    fn lock_copy(&self) -> Result<File, Error> {
        self.lock
            .try_clone()
            .map_err(Error::io("open", self.home.path()))
    }

    fn cannot_run(&self, error: std::io::Error) -> Error {
        let path = self.home.path().to_owned();
        match self.home.account() {
            Some(account) if error.kind() == ErrorKind::PermissionDenied => Error::Unreachable {
                path,
                account: account.name.clone(),
            },
            _ => Error::io("run a server in", path)(error),
        }
    }
}

/// A server that we started, and the pipe that keeps it running.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    reports: Option<BufReader<ChildStderr>>,
    pid: i32,
    data: std::path::PathBuf,
}

impl Server {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Shuts the server down and waits until it is gone.
    pub(super) fn stop(mut self) -> Result<(), Error> {
        self.close_pipe_and_wait()
    }

    fn hear_pid(&mut self) -> Result<(), Error> {
        let mut reports = self.child.stderr.take().map(BufReader::new);
        let mut line = String::new();
        if let Some(reports) = &mut reports {
            reports
                .read_line(&mut line)
                .map_err(Error::io("hear from the server in", &self.data))?;
        }
        self.reports = reports;
        self.pid = line
            .trim_end()
            .parse()
            .map_err(|_not_a_pid| self.died(line))?;
        Ok(())
    }

    /// Compares the pid because a file left by an earlier server says "ready" too.
    fn wait_until_ready(&mut self, home: &Home) -> Result<(), Error> {
        for _ in 0..GLANCES {
            if home.ready_pid() == Some(self.pid) {
                return Ok(());
            }
            if self.has_ended()? {
                return Err(self.died(String::new()));
            }
            thread::sleep(GLANCE);
        }
        Err(Error::Slow {
            path: self.data.clone(),
        })
    }

    fn has_ended(&mut self) -> Result<bool, Error> {
        let status = self
            .child
            .try_wait()
            .map_err(Error::io("wait for the server in", &self.data))?;
        Ok(status.is_some())
    }

    /// The server has ended, so the pipe has an end: its contents are the log.
    fn died(&mut self, mut output: String) -> Error {
        if let Some(mut reports) = self.reports.take() {
            // Unreadable output is missing from the message, which is worth more than another error.
            let _bytes: std::io::Result<usize> = reports.read_to_string(&mut output);
        }
        Error::Died {
            path: self.data.clone(),
            output,
        }
    }

    fn close_pipe_and_wait(&mut self) -> Result<(), Error> {
        drop(self.child.stdin.take());
        for _ in 0..GLANCES {
            if self.has_ended()? {
                return Ok(());
            }
            thread::sleep(GLANCE);
        }
        Err(Error::Slow {
            path: self.data.clone(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.close_pipe_and_wait() {
            tracing::warn!(%error, "a private Postgres is left to its watchdog");
        }
    }
}
