//! The directory of one cluster, and the lock on it.
//!
//! A home holds `data` (the cluster), `server.log`, and the socket where its
//! path is short enough. The lock is a flock on the directory itself, handed
//! down to the watchdog and the server: **whoever gets it knows that no server
//! of ours lives there**, whatever became of the process that started one.
//!
//! When we are root everything in a home belongs to the account that runs the
//! server, and only that account writes there: root follows no link in it.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use uuid::Uuid;

use super::{
    DataDir, Error,
    account::{self, Account},
};

/// How often a waiting loop looks.
pub(super) const GLANCE: Duration = Duration::from_millis(10);

/// How often it looks at most: about a minute, enough for a recovery after a crash.
pub(super) const GLANCES: u32 = 6_000;

/// A socket's path may have 103 bytes (macOS; 107 on Linux), and Postgres adds 15.
const LONGEST_SOCKET_DIR: usize = 88;

/// The directory of one cluster.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    directory: File,
    account: Option<Account>,
    temporary: bool,
}

/// What came of trying to take a home.
#[derive(Debug)]
pub(super) enum Claimed {
    /// It is ours until the file, and every copy of it, is closed.
    Ours(File),
    /// A server runs in it.
    Running(Running),
}

/// A server that somebody else runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) pid: i32,
    pub(super) socket_dir: PathBuf,
}

/// Where the socket goes.
#[derive(Debug)]
pub(super) struct SocketDir {
    pub(super) path: PathBuf,
    /// Whether it was made for this server alone, and goes with it.
    pub(super) temporary: bool,
}

impl Home {
    /// Opens the home, and makes it if it is not there.
    pub(super) fn open(data_dir: &DataDir, major: u32) -> Result<Self, Error> {
        let account = account::to_become()?;
        let (path, temporary) = match data_dir {
            DataDir::Temporary => (fresh_path(), true),
            DataDir::Keep(base) => {
                let base = std::path::absolute(base).map_err(Error::io("find", base))?;
                make_base(&base, account.as_ref())?;
                (base.join(format!("pg{major}")), false)
            }
        };
        let directory = own_directory(&path, account.as_ref())?;
        Ok(Self {
            path,
            directory,
            account,
            temporary,
        })
    }

    /// Takes the lock, or finds the server of whoever has it.
    ///
    /// While neither is possible somebody is starting or stopping, so it looks again until one is.
    pub(super) fn claim(&self) -> Result<Claimed, Error> {
        for _ in 0..GLANCES {
            match self.directory.try_lock() {
                Ok(()) => {
                    let copy = self
                        .directory
                        .try_clone()
                        .map_err(Error::io("open", &self.path))?;
                    return Ok(Claimed::Ours(copy));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io("lock", &self.path)(source));
                }
            }
            if let Some(running) = self.running().filter(|running| is_alive(running.pid)) {
                return Ok(Claimed::Running(running));
            }
            thread::sleep(GLANCE);
        }
        Err(Error::Busy {
            path: self.path.clone(),
        })
    }

    /// The server that takes connections here, by its own word.
    pub(super) fn running(&self) -> Option<Running> {
        parse_pid_file(&fs::read_to_string(self.data().join("postmaster.pid")).ok()?)
    }

    /// A folder for the socket: the home itself, or a short one if its path is too long.
    pub(super) fn make_socket_dir(&self) -> Result<SocketDir, Error> {
        if self
            .path
            .to_str()
            .is_some_and(|path| path.len() <= LONGEST_SOCKET_DIR)
        {
            return Ok(SocketDir {
                path: self.path.clone(),
                temporary: false,
            });
        }
        let path = fresh_path();
        let _directory: File = own_directory(&path, self.account.as_ref())?;
        Ok(SocketDir {
            path,
            temporary: true,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }
}

/// A short path that nobody can guess, so that nobody can be there first.
fn fresh_path() -> PathBuf {
    PathBuf::from(format!("/tmp/pgdial-{}", Uuid::new_v4().simple()))
}

/// The directory above a home that is kept. As root it must be root's own, or
/// somebody could have put a link where the home goes; others may pass through
/// it, because the account must.
fn make_base(base: &Path, account: Option<&Account>) -> Result<(), Error> {
    let mode = if account.is_some() { 0o711 } else { 0o700 };
    let created = DirBuilder::new().recursive(true).mode(mode).create(base);
    created.map_err(Error::io("create", base))?;
    let found = fs::metadata(base).map_err(Error::io("look at", base))?;
    let writable_by_others = found.mode() & 0o022 != 0;
    if account.is_some() && (found.uid() != 0 || writable_by_others) {
        return Err(Error::Foreign {
            path: base.to_owned(),
            uid: found.uid(),
        });
    }
    Ok(())
}

/// Makes or opens a directory of mode 0700 that belongs to whoever runs the server.
fn own_directory(path: &Path, account: Option<&Account>) -> Result<File, Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", path)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from);
    let directory = File::from(opened.map_err(Error::io("open", path))?);
    let found = directory.metadata().map_err(Error::io("look at", path))?;
    let me = rustix::process::geteuid().as_raw();
    let owner = account.map_or(me, |account| account.uid);
    // Root's own counts too: another start may be between creating it and giving it away.
    if ![me, owner].contains(&found.uid()) || found.mode() & 0o077 != 0 {
        return Err(Error::Foreign {
            path: path.to_owned(),
            uid: found.uid(),
        });
    }
    if let Some(account) = account.filter(|_| found.uid() != owner) {
        let given = fchown(&directory, Some(account.uid), Some(account.gid));
        given.map_err(Error::io("give away", path))?;
    }
    Ok(directory)
}

/// The lines of postmaster.pid: 1 is the pid, 5 the first socket folder, 8 the status.
fn parse_pid_file(text: &str) -> Option<Running> {
    let mut lines = text.lines().map(str::trim_end);
    let pid = lines.next()?.parse().ok()?;
    let socket_dir = PathBuf::from(lines.nth(3)?);
    (lines.nth(2)? == "ready").then_some(Running { pid, socket_dir })
}

fn is_alive(pid: i32) -> bool {
    // EPERM cannot happen: the server runs as we do, or as an account below root.
    rustix::process::Pid::from_raw(pid)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "4711\n/tmp/h/data\n1763800000\n5432\n/tmp/h\n\n  123 456\nready   \n";

    #[test]
    fn a_server_that_is_ready_says_where_its_socket_is() {
        let running = Running {
            pid: 4711,
            socket_dir: PathBuf::from("/tmp/h"),
        };
        assert_eq!(parse_pid_file(READY), Some(running));
    }

    #[test]
    fn a_server_that_starts_or_stops_is_not_ready() {
        assert_eq!(parse_pid_file(&READY.replace("ready", "starting")), None);
        assert_eq!(parse_pid_file(&READY.replace("ready", "stopping")), None);
        assert_eq!(parse_pid_file("4711\n/tmp/h/data\n"), None);
    }
}
