//! What can go wrong, each with its way out.
//!
//! Most of these are read by somebody who has just cloned the project, so the
//! text says what to do next and not only what failed.

use std::{fmt, io, path::PathBuf};

use crate::db::OLDEST_POSTGRES;

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable binaries anywhere.
    #[error(transparent)]
    Missing(Missing),
    /// The folder that `PGDIAL_PG_BINDIR` names will not do.
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
    /// The directory belongs to somebody else, who could then read or swap what is in it.
    #[error("{} belongs to user id {uid}, or others may write to it", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
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
        /// The account.
        account: String,
    },
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A server that was there before does not go.
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
        /// What initdb said.
        output: String,
    },
    /// The server ended before it took connections.
    #[error("the private Postgres in {} did not start:\n{}", path.display(), output.trim_end())]
    Died {
        /// The data directory.
        path: PathBuf,
        /// The end of its log.
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
    /// An I/O failure with the file it is about.
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// That no Postgres server programs were found, and the three ways out.
#[derive(Debug)]
pub struct Missing {
    /// The line that installs them on this system.
    pub install: &'static str,
    /// Whether that line needs `sudo` in front.
    pub sudo: bool,
    /// What was found and cannot be used.
    pub too_old: Vec<TooOld>,
}

/// Binaries older than the floor.
#[derive(Debug)]
pub struct TooOld {
    /// Their folder.
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
