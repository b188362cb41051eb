//! The folder of one server, and the lock on it.
//!
//! A home holds `data` (the cluster), `server.log` and the socket. The lock is a flock on the directory
//! itself, inherited by the watchdog and the server: **the holder knows that no server of ours runs there**,
//! whatever happened to the process that started one.
//!
//! If we are root, everything in a home belongs to the account that runs the server, and only that account
//! writes there: root follows no link in it.

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
    Error,
    account::{self, Account},
};

/// Time between two checks of a waiting loop.
pub(super) const GLANCE: Duration = Duration::from_millis(10);

/// Limit of checks: about a minute, enough for a recovery after a crash.
pub(super) const GLANCES: u32 = 6_000;

/// The directory of one server.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    directory: File,
    account: Option<Account>,
    temporary: bool,
}

impl Home {
    /// Opens the home, creating it if missing; without a path a new one.
    pub(super) fn open(kept: Option<&Path>) -> Result<Self, Error> {
        let account = account::to_become()?;
        let path = kept.map_or_else(fresh_path, Path::to_owned);
        let directory = own_directory(&path, account.as_ref())?;
        Ok(Self {
            path,
            directory,
            account,
            temporary: kept.is_none(),
        })
    }

    /// Takes the lock, once the last process of an earlier server has released it. Held until the file, and
    /// every copy of it, is closed.
    pub(super) fn lock(&self) -> Result<File, Error> {
        for _ in 0..GLANCES {
            match self.directory.try_lock() {
                Ok(()) => {
                    let copy = self.directory.try_clone();
                    return copy.map_err(Error::io("open", &self.path));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(GLANCE),
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io("lock", &self.path)(source));
                }
            }
        }
        Err(Error::Busy {
            path: self.path.clone(),
        })
    }

    /// Process id of the server that accepts connections here, by its own file.
    pub(super) fn ready_pid(&self) -> Option<i32> {
        parse_pid_file(&fs::read_to_string(self.data().join("postmaster.pid")).ok()?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        data_in(&self.path)
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }
}

/// Data directory in a home.
pub(super) fn data_in(home: &Path) -> PathBuf {
    home.join("data")
}

/// A short path that nobody can guess and occupy first.
fn fresh_path() -> PathBuf {
    PathBuf::from(format!("/tmp/pgdial-{}", Uuid::new_v4().simple()))
}

/// Creates or opens a directory of mode 0700 that belongs to the account that runs the server.
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
    // Root as owner is accepted too: another start may be between creating it and changing its owner.
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

/// Reads postmaster.pid: line 1 is the pid, line 8 the status.
fn parse_pid_file(text: &str) -> Option<i32> {
    let mut lines = text.lines().map(str::trim_end);
    let pid = lines.next()?.parse().ok()?;
    (lines.nth(6)? == "ready").then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "4711\n/tmp/h/data\n1763800000\n5432\n/tmp/h\n\n  123 456\nready   \n";

    #[test]
    fn only_a_server_that_is_ready_has_a_pid() {
        assert_eq!(parse_pid_file(READY), Some(4711));
        assert_eq!(parse_pid_file(&READY.replace("ready", "starting")), None);
        assert_eq!(parse_pid_file(&READY.replace("ready", "stopping")), None);
        assert_eq!(parse_pid_file("4711\n/tmp/h/data\n"), None);
    }
}
