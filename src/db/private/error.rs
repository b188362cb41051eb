//! Errors, each with its remedy.
//!
//! Most are read by a person who has just cloned the project, so the text says what to do next and not only
//! what failed.

use std::{fmt, io, path::PathBuf};

use crate::db::OLDEST_POSTGRES;

/// Why a private server cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable binaries were found.
    #[error(transparent)]
    Missing(Missing),
    /// The folder in `PGDIAL_PG_BINDIR` has no usable binaries.
    #[error(
        "PGDIAL_PG_BINDIR={} does not hold the programs initdb and postgres of Postgres {OLDEST_POSTGRES} or newer",
        path.display()
    )]
    Bindir {
        /// The folder.
        path: PathBuf,
    },
    /// We are root, Postgres refuses root, and there is no account to become.
    #[error(
        "Postgres does not run as root, and /etc/passwd has neither `postgres` nor `nobody` to run it as"
    )]
    NoAccount,
    /// The directory belongs to another user, who could read or replace its contents.
    #[error("{} belongs to user id {uid}, or others may write to it", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// User id of its owner.
        uid: u32,
    },
    /// The account that we become cannot enter the directory.
    #[error(
        "the account `{account}`, which runs Postgres because root may not, cannot enter {}",
        path.display()
    )]
    Unreachable {
        /// The directory.
        path: PathBuf,
        /// Name of the account.
        account: String,
    },
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// Attempted operation, as a verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// An earlier server does not end.
    #[error("another process holds {}", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb could not create a cluster in {}:\n{}", path.display(), output.trim_end())]
    Initdb {
        /// The data directory.
        path: PathBuf,
        /// Output of initdb.
        output: String,
    },
    /// The server ended before it accepted connections.
    #[error("the private Postgres in {} did not start:\n{}", path.display(), output.trim_end())]
    Died {
        /// The data directory.
        path: PathBuf,
        /// End of its log.
        output: String,
    },
    /// The server neither came up nor ended.
    #[error("the private Postgres in {} takes too long to start or to stop", path.display())]
    Slow {
        /// The data directory.
        path: PathBuf,
    },
}

impl Error {
    /// An I/O error with its file.
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// No Postgres server programs were found; has the three remedies.
#[derive(Debug)]
pub struct Missing {
    /// Command that installs them on this system.
    pub install: &'static str,
    /// Whether the command needs `sudo`.
    pub sudo: bool,
    /// Binaries that were found but are too old.
    pub too_old: Vec<TooOld>,
}

/// Binaries older than the oldest supported version.
#[derive(Debug)]
pub struct TooOld {
    /// Folder of the binaries.
    pub folder: PathBuf,
    /// Their major version.
    pub major: u32,
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sudo = if self.sudo { "sudo " } else { "" };
        writeln!(
            f,
            "no DATABASE_URL is set, and this machine has no server programs of Postgres {OLDEST_POSTGRES} or newer."
        )?;
        writeln!(f, "Any one of these will do:")?;
        writeln!(
            f,
            "  a Postgres that you have   DATABASE_URL=postgres://user:password@host/database"
        )?;
        writeln!(f, "  one that pgdial starts     {sudo}{}", self.install)?;
        write!(f, "  everything in containers   docker compose up --build")?;
        for TooOld { folder, major } in &self.too_old {
            write!(
                f,
                "\n(passed over, too old: Postgres {major} in {})",
                folder.display()
            )?;
        }
        Ok(())
    }
}
