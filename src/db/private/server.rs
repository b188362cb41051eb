//! Creating a cluster, and the server under its watchdog.
//!
//! The server's parent is not we but `watchdog.sh`, which waits on a pipe from
//! us. Nothing else ends a server with its starter everywhere: a parent-death
//! signal exists on Linux only and is tied to the thread that asked for it.

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
    home::{GLANCE, GLANCES, Home, SocketDir},
};

const WATCHDOG: &str = include_str!("server/watchdog.sh");

/// Creates in a folder beside and renames, so that a power cut leaves no half cluster.
const CREATE: &str = r#"rm -rf "$1" && "$2" -D "$1" -A trust -U "$3" -E UTF8 --locale=C --no-instructions $5 && mv "$1" "$4""#;

/// A home that is ours, about to get a server.
#[derive(Debug)]
pub(super) struct Starting<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) home: &'a Home,
    pub(super) lock: File,
    pub(super) path: Option<&'a OsStr>,
}

impl Starting<'_> {
    /// Creates the cluster unless it is there. The lock goes along, so that
    /// nobody takes the home from under an initdb that has outlived us.
    pub(super) fn create_cluster(&self, durable: bool) -> Result<(), Error> {
        let data = self.home.data();
        if data.is_dir() {
            return Ok(());
        }
        let mut command = self.shell(CREATE);
        command
            .arg(self.home.path().join("data.new"))
            .arg(self.binaries.program("initdb"))
            .arg(USER)
            .arg(&data);
        command.arg(if durable { "" } else { "--no-sync" });
        command.stdin(self.lock_copy()?);
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

    /// Starts the server and waits until it takes connections.
    pub(super) fn run(self, sockets: &SocketDir, settings: &[String]) -> Result<Server, Error> {
        let remove = match (self.home.is_temporary(), sockets.temporary) {
            (true, _) => self.home.path(),
            (false, true) => &sockets.path,
            (false, false) => Path::new(""),
        };
        let mut command = self.shell(WATCHDOG);
        command
            .arg(self.home.path().join("server.log"))
            .arg(remove)
            .arg(self.binaries.program("postgres"));
        command
            .arg("-D")
            .arg(self.home.data())
            .arg("-k")
            .arg(&sockets.path)
            .args(["-p", PORT])
            .args(settings);
        // Its own process group: a Ctrl-C at the terminal is ours to act on, not the server's.
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

    /// A shell as whoever runs the server. The environment is cut down to what
    /// it needs: `PG*` variables would change it, and our secrets are not its business.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, "pgdial-postgres"])
            .current_dir(self.home.path())
            .env_clear();
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

/// A server that we started, and the pipe that keeps it.
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

    /// The pid is compared because a file left by an earlier server says "ready" too.
    fn wait_until_ready(&mut self, home: &Home) -> Result<(), Error> {
        for _ in 0..GLANCES {
            if home
                .running()
                .is_some_and(|running| running.pid == self.pid)
            {
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

    /// The server has ended, so the pipe has an end: what is in it is the log's.
    fn died(&mut self, mut output: String) -> Error {
        if let Some(mut reports) = self.reports.take() {
            // What cannot be read is missing from the message, which is worth more than another error.
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
