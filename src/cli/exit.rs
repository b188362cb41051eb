//! How a command ends: a stable exit code for programs; for people a sentence that says what failed and a hint at
//! what to do.

use std::{error::Error as StdError, fmt, io, process::ExitCode};

use crate::{
    app,
    config::Problems,
    db::{self, Refusal},
    flow::{self, groups::ChangeError},
    lifecycle, lists,
};

/// Exit codes. Part of the interface: scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did what was asked.
    Ok = 0,
    /// The request failed or was refused.
    Failed = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// A setting is missing or wrong (`EX_USAGE`).
    Settings = 64,
    /// The database cannot be reached (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// A bug in pgdial (`EX_SOFTWARE`).
    Internal = 70,
}

/// Appended to every `--help`.
pub(super) const CODES: &str = "\
Exit codes:
  0   done
  1   what was asked for failed, or was refused
  2   the command line is wrong
  64  a setting is wrong
  69  the database cannot be reached
  70  a fault of pgdial";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// The reader of our output has gone, as `head` does. Not an error.
    ReaderGone,
    /// Settings that are missing or wrong, all of them at once.
    Settings(Problems),
    /// Any other failure.
    Told {
        /// The exit code.
        exit: Exit,
        /// What failed, in one sentence.
        what: String,
        /// What to do about it, if we know.
        hint: Option<String>,
    },
}

impl Failure {
    /// A request that failed or was refused ([`Exit::Failed`]).
    pub fn failed(what: impl Into<String>) -> Self {
        Self::told(Exit::Failed, what)
    }

    /// A command line that parses but makes no sense ([`Exit::Usage`]).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::told(Exit::Usage, what)
    }

    /// A wrong setting that only this command reads ([`Exit::Settings`]).
    pub fn setting(what: impl Into<String>) -> Self {
        Self::told(Exit::Settings, what)
    }

    fn told(exit: Exit, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Told {
            exit,
            what,
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Told {
                exit,
                what,
                hint: _,
            } => Self::Told {
                exit,
                what,
                hint: Some(text.into()),
            },
            other => other,
        }
    }

    /// The exit code; [`Exit::Ok`] for [`Failure::ReaderGone`].
    pub const fn exit(&self) -> Exit {
        match self {
            Self::ReaderGone => Exit::Ok,
            Self::Settings(_) => Exit::Settings,
            Self::Told { exit, .. } => *exit,
        }
    }
}

/// Converts any error by its root cause. `Failure` does not implement `Error` itself, so this one blanket conversion
/// covers them all.
impl<E: StdError + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let top: &(dyn StdError + 'static) = &error;
        if let Some(problems) = top.downcast_ref::<Problems>() {
            return Self::Settings(problems.clone());
        }
        // Only our own streams count; any other broken pipe is a fault.
        if top
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        {
            return Self::ReaderGone;
        }
        let what = in_one_line(top);
        causes_of(top)
            .find_map(|cause| known(cause, &what))
            .unwrap_or_else(|| {
                let exit = if causes_of(top).any(is_fault) {
                    Exit::Internal
                } else {
                    Exit::Failed
                };
                Self::told(exit, what)
            })
    }
}

/// What a known cause in the chain means for the user.
fn known(cause: &(dyn StdError + 'static), what: &str) -> Option<Failure> {
    if let Some(refusal) = cause.downcast_ref() {
        return Some(of_refusal(refusal));
    }
    if let Some(error @ app::Error::NoKeys { .. }) = cause.downcast_ref() {
        let failure = Failure::setting(error.to_string());
        return Some(failure.hint(
            "`pgdial keys create NAME --scope SCOPE` makes one; PGDIAL_API_KEYS sets one; an address of loopback needs none",
        ));
    }
    if let Some(error @ db::Error::BadUrl(_)) = cause.downcast_ref() {
        return Some(Failure::setting(error.to_string()));
    }
    if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
        return Some(of_database(error, what));
    }
    if let Some(error) = cause.downcast_ref::<flow::Error>() {
        return match error {
            flow::Error::LockedOut | flow::Error::Refused { .. } | flow::Error::Abandoned => {
                Some(Failure::failed(what))
            }
            flow::Error::Contract { .. } => {
                Some(Failure::failed(what).hint("run `pgdial migrate` with the newest release"))
            }
            // The source says more.
            flow::Error::Database(_) | flow::Error::Shared(_) => None,
        };
    }
    if let Some(lists::Error { what, hint }) = cause.downcast_ref() {
        let failure = Failure::failed(what);
        return Some(match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    }
    if let Some(ChangeError::Refused(why)) = cause.downcast_ref::<ChangeError>() {
        return Some(Failure::failed(why));
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        let failure = Failure::failed(what);
        return Some(match error.kind() {
            io::ErrorKind::AddrInUse => {
                failure.hint("another process listens there: stop it, or set PGDIAL_LISTEN")
            }
            _ => failure,
        });
    }
    None
}

/// Whether a loop or task of ours died unexpectedly, which is a bug.
fn is_fault(cause: &(dyn StdError + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(lifecycle::Error::Died { .. }))
        || cause.is::<tokio::task::JoinError>()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReaderGone => Ok(()),
            Self::Settings(problems) => {
                let them = if problems.iter().count() == 1 {
                    "it"
                } else {
                    "them"
                };
                write!(
                    f,
                    "error: {problems}\nhint: set {them} in the environment or in .env, or by flag where there is one, then start again"
                )
            }
            Self::Told { what, hint, .. } => {
                write!(f, "error: {what}")?;
                hint.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
            }
        }
    }
}

/// The error followed by its sources, outermost first.
fn causes_of<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// The error and its sources in one line, each said once.
fn in_one_line(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    for cause in causes_of(error) {
        let refusal = match cause.downcast_ref() {
            Some(sqlx::Error::Database(refusal)) => Some(refusal.message().to_owned()),
            _ => None,
        };
        // Whatever lies below a refusal repeats it, with a line of the server's source.
        let last = refusal.is_some();
        let words = refusal.unwrap_or_else(|| cause.to_string());
        // Some libraries include their source in their own message.
        if !line.contains(&words) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&words);
        }
        if last {
            break;
        }
    }
    line
}

/// A refusal means settings have to change; except a standby, which may be the primary in a moment.
fn of_refusal(refusal: &Refusal) -> Failure {
    let exit = match refusal {
        Refusal::Standby | Refusal::ReadOnly => Exit::Unreachable,
        _ => Exit::Settings,
    };
    Failure::told(exit, refusal.to_string()).hint(refusal.cure())
}

/// The name of the startup parameter that the pooler rejects, from its message.
fn refused_parameter(words: &str) -> Option<&str> {
    let (_, name) = words.split_once("unsupported startup parameter")?;
    name.split([' ', ':', '"']).rfind(|word| !word.is_empty())
}

fn of_database(error: &sqlx::Error, what: &str) -> Failure {
    if let Some(refusal) = Refusal::of(error) {
        return of_refusal(&refusal);
    }
    if let Some(name) = refused_parameter(what) {
        return Failure::setting(format!("the pooler refuses the connection: {what}")).hint(format!(
            "take {name} out of DATABASE_URL, or in pgbouncer.ini: ignore_startup_parameters = {name}"
        ));
    }
    let code = match error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => "08000".to_owned(),
        _ => String::new(),
    };
    let class = code.get(..2).unwrap_or_default();
    match (class, code.as_str()) {
        // Connection failures, start and stop, too many connections, credentials, no such database.
        ("08" | "28", _) | (_, "57P01" | "57P02" | "57P03" | "53300" | "3D000") => Failure::told(
            Exit::Unreachable,
            format!("the database cannot be reached: {what}"),
        )
        .hint(match (class, code.as_str()) {
            ("28", _) => "are user and password of DATABASE_URL right?",
            (_, "3D000") => "create that database, or name another one in DATABASE_URL",
            _ => "is DATABASE_URL right, and Postgres running there?",
        }),
        (_, "3F000" | "42P01" | "42883" | "42703" | "42704") => Failure::failed(format!(
            "the database has no pgdial schema that fits this release: {what}"
        ))
        .hint("run `pgdial migrate`"),
        (_, "42501") => Failure::failed(format!("the database does not allow it: {what}"))
            .hint("connect as a member of pgdial_worker (sql/setup/roles.sql), or as the role that ran `pgdial migrate`"),
        ("23" | "22", _) => Failure::failed(what),
        (_, "55P03" | "57014") => {
            Failure::failed(what).hint("another transaction is in the way: try again")
        }
        _ => Failure::told(Exit::Internal, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit(), Exit::Ok);
        assert_eq!(failure.to_string(), "");
    }

    #[test]
    fn a_database_that_is_not_there_ends_with_69_and_says_so_once() {
        let failure = Failure::from(flow::Error::Database(sqlx::Error::Io(refused())));
        assert_eq!(failure.exit(), Exit::Unreachable);
        let words = failure.to_string();
        assert_eq!(words.matches("connection refused").count(), 1, "{words}");
        assert!(words.contains("hint: is DATABASE_URL right"), "{words}");
    }

    #[test]
    fn the_bottom_of_a_chain_decides() {
        let deep = ChangeError::Flow(flow::Error::Database(sqlx::Error::PoolTimedOut));
        assert_eq!(Failure::from(deep).exit(), Exit::Unreachable);
        let refused = ChangeError::Refused("no".to_owned());
        assert_eq!(Failure::from(refused).exit(), Exit::Failed);
        let port = io::Error::from(io::ErrorKind::AddrInUse);
        assert!(
            Failure::from(port)
                .to_string()
                .contains("hint: another process")
        );
        let cause = "odd".into();
        let died = lifecycle::Error::Died {
            name: "sweeper",
            cause,
        };
        assert_eq!(Failure::from(died).exit(), Exit::Internal);
    }

    #[test]
    fn a_way_that_pgdial_does_not_take_is_a_setting_and_a_standby_is_none() {
        for (refusal, exit) in [
            (Refusal::Standby, Exit::Unreachable),
            (Refusal::ReadOnly, Exit::Unreachable),
            (Refusal::TransactionMode, Exit::Settings),
        ] {
            let later = Failure::from(sqlx::Error::from(refusal.clone()));
            let failure = Failure::from(db::Error::Refused(refusal.clone()));
            assert_eq!(later.to_string(), failure.to_string());
            assert_eq!(failure.exit(), exit, "{refusal}");
            assert!(failure.to_string().contains(refusal.cure()), "{failure}");
        }
    }

    #[test]
    fn what_a_pooler_is_to_pass_over_is_named() {
        for (words, name) in [
            (
                "unsupported startup parameter: extra_float_digits",
                "extra_float_digits",
            ),
            (
                "unsupported startup parameter in options: lock_timeout",
                "lock_timeout",
            ),
        ] {
            assert_eq!(refused_parameter(words), Some(name));
        }
        assert_eq!(refused_parameter("unsupported frontend protocol"), None);
    }

    #[test]
    fn every_code_is_in_the_help() {
        for exit in [
            Exit::Ok,
            Exit::Failed,
            Exit::Usage,
            Exit::Settings,
            Exit::Unreachable,
            Exit::Internal,
        ] {
            let code = format!("\n  {:<4}", exit as u8);
            assert!(CODES.contains(&code), "{exit:?}");
        }
    }
}
