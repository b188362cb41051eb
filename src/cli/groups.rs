//! `campaigns` and `trunks`: rows that people change while pgdial runs.
//!
//! Both have the same commands and differ in what can be set, so the commands are generic over [`Changes`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty},
};
use crate::{
    domain::Why,
    flow::{
        Error, Queue,
        archive::{Removal, Removed},
        groups::{ChangeError, GroupKind},
        read::Reason,
    },
    shown::plain,
};

mod campaign;
pub mod preview;
mod trunk;

pub use campaign::CampaignChanges;
pub use trunk::TrunkChanges;
pub(super) use trunk::terms;

/// List, create, change, pause and resume them.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum GroupCommand<C: clap::Args> {
    /// List them, with their calls in flight.
    List {
        /// Also those that are archived.
        #[arg(long)]
        archived: bool,
    },
    /// Show one, with everything that can be set.
    Show {
        /// Name of the campaign or trunk.
        name: String,
    },
    /// Create one. Options not given take their defaults.
    Create {
        /// The name: lower-case letters, digits and underscores; for a campaign also hyphens.
        name: String,
        #[command(flatten)]
        #[expect(
            missing_docs,
            reason = "a doc comment here would take the place of the command's own help"
        )]
        changes: C,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Change one, from the next claim on. Calls in flight keep what they were dialled with.
    Set {
        /// Name of the campaign or trunk.
        name: String,
        #[command(flatten)]
        #[expect(
            missing_docs,
            reason = "a doc comment here would take the place of the command's own help"
        )]
        changes: C,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Stop its dialing. Calls in flight are left alone.
    Pause {
        /// Name of the campaign or trunk.
        name: String,
        /// Reason, shown to anyone who asks why nothing is dialled.
        #[arg(long, value_name = "TEXT")]
        why: Why,
    },
    /// Start its dialing again.
    Resume {
        /// Name of the campaign or trunk.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Put it out of sight: it stays in reports, is left out of lists, is paused and takes no calls.
    Archive {
        /// Name of the campaign or trunk.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Why,
    },
    /// Bring it back, paused.
    Unarchive {
        /// Name of the campaign or trunk.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
    /// Remove one that never had a call.
    Delete {
        /// Name of the campaign or trunk.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
}

/// What can be set of a campaign or of a trunk.
pub trait Changes: clap::Args {
    /// Campaign or trunk.
    const KIND: GroupKind;
    /// The options that were given, as the SQL verbs take them.
    fn given(&self) -> Map<String, Value>;
    /// The row, as the queue returns it.
    type Group: Serialize;
    /// All rows, or the one of this name.
    fn groups(
        calls: &Queue,
        name: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Self::Group>, Error>>;
    /// Whether it is paused.
    fn is_paused(group: &Self::Group) -> bool;
    /// Whether it is archived.
    fn is_archived(group: &Self::Group) -> bool;
    /// Prints them as a table.
    fn table(groups: &[Self::Group], out: &mut Out) -> Result<(), Failure>;
    /// One row as names and values.
    fn pairs(group: &Self::Group) -> Vec<(&'static str, String)>;
}

pub(super) fn only_given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

/// What keeps a campaign or trunk, every reason.
pub(super) fn in_words(reasons: &[Reason]) -> String {
    let words = reasons.iter().map(|one| plain(&one.message));
    words.collect::<Vec<_>>().join("; ")
}

/// The same, in the codes alone.
pub(super) fn in_codes(reasons: &[Reason]) -> String {
    let codes: Vec<&str> = reasons.iter().map(|one| one.reason.as_str()).collect();
    codes.join(", ")
}

/// `no`, or who paused it, when and why.
pub(super) fn paused(
    is_paused: bool,
    by: Option<&String>,
    at: Option<DateTime<Utc>>,
    why: Option<&String>,
) -> String {
    if !is_paused {
        return "no".to_owned();
    }
    let (by, at) = (or_empty(by), or_empty(at.map(instant)));
    format!("by {by} at {at}: {}", or_empty(why))
}

/// Runs one `campaigns` or `trunks` command.
pub async fn run<C: Changes>(
    command: &GroupCommand<C>,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let kind = C::KIND;
    match command {
        GroupCommand::List { archived } => {
            let mut groups = C::groups(calls, None).await?;
            groups.retain(|group| *archived || !C::is_archived(group));
            if out.style.json {
                out.json(&groups)?;
            } else {
                C::table(&groups, out)?;
            }
        }
        GroupCommand::Show { name } => show::<C>(name, calls, out).await?,
        GroupCommand::Create { name, changes, why } => {
            create(name, changes, (calls, by, why.as_deref()), out).await?;
        }
        GroupCommand::Set { name, changes, why } => {
            set(name, changes, (calls, by, why.as_deref()), out).await?;
        }
        GroupCommand::Pause { name, why } => {
            there_is(calls.pause(kind, name, by, why).await?, kind, name)?;
            out.note(format!("{kind} {name} is paused; live calls go on"));
            show_to_program::<C>(name, calls, out).await?;
        }
        GroupCommand::Resume { name, why } => {
            let resumed = calls.resume(kind, name, by, why.as_deref()).await?;
            there_is(resumed, kind, name)?;
            let groups = C::groups(calls, Some(name)).await?;
            out.note(if groups.first().is_some_and(C::is_paused) {
                format!(
                    "{kind} {name} has paused itself again: `pgdial {kind}s show {name}` says why"
                )
            } else {
                format!("{kind} {name} dials again")
            });
            show_to_program::<C>(name, calls, out).await?;
        }
        GroupCommand::Archive { name, why } => {
            let how = (Removal::Archive, Some(&**why));
            remove::<C>(name, how, (calls, by)).await?;
            out.note(format!(
                "{kind} {name} is archived: `pgdial {kind}s list --archived` has it"
            ));
            show_to_program::<C>(name, calls, out).await?;
        }
        GroupCommand::Unarchive { name, why } => {
            let how = (Removal::Unarchive, why.as_deref());
            remove::<C>(name, how, (calls, by)).await?;
            out.note(format!(
                "{kind} {name} is back, and paused: `pgdial {kind}s resume {name}`"
            ));
            show_to_program::<C>(name, calls, out).await?;
        }
        GroupCommand::Delete { name, why } => {
            let how = (Removal::Delete, why.as_deref());
            remove::<C>(name, how, (calls, by)).await?;
            out.note(format!("{kind} {name} is gone"));
        }
    }
    Ok(Exit::Ok)
}

async fn remove<C: Changes>(
    name: &str,
    (removal, why): (Removal, Option<&str>),
    (calls, by): (&Queue, &str),
) -> Result<(), Failure> {
    let kind = C::KIND;
    let removed = calls.remove_group(removal, kind, name, by, why).await;
    match removed.map_err(refused)? {
        Removed::Done => Ok(()),
        Removed::NotFound => Err(no_such_group(kind, name)),
        Removed::InUse(by) => {
            let (words, by) = match removal {
                Removal::Unarchive => ("needs", by.join(", ")),
                _ => ("has", by.join(", ")),
            };
            Err(
                Failure::failed(format!("{kind} {name} {words} {by}")).hint(match removal {
                    Removal::Archive => "cancel them, wait for them, or move them first",
                    Removal::Unarchive => "unarchive that first",
                    Removal::Delete => "archive it instead",
                }),
            )
        }
    }
}

async fn show<C: Changes>(name: &str, calls: &Queue, out: &mut Out) -> Result<(), Failure> {
    let groups = C::groups(calls, Some(name)).await?;
    let group = groups.first().ok_or_else(|| no_such_group(C::KIND, name))?;
    if out.style.json {
        out.json(group)
    } else {
        out.pairs(C::pairs(group))
    }
}

/// Prints the row in JSON only: a person has just read what was done.
async fn show_to_program<C: Changes>(
    name: &str,
    calls: &Queue,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.style.json {
        show::<C>(name, calls, out).await?;
    }
    Ok(())
}

async fn create<C: Changes>(
    name: &str,
    changes: &C,
    (calls, by, why): (&Queue, &str, Option<&str>),
    out: &mut Out,
) -> Result<(), Failure> {
    let kind = C::KIND;
    let changes = changes.given().into();
    let made = calls.create_group(kind, name, &changes, by, why).await;
    if !made.map_err(refused)? {
        return Err(Failure::failed(format!("there is a {kind} {name} already"))
            .hint(format!("`pgdial {kind}s set {name} ...` changes it")));
    }
    if kind == GroupKind::Trunk {
        let start = format!("PGDIAL_TRUNK_{}_", name.to_ascii_uppercase());
        out.note(format!(
            "processes dial on it once they know its settings: {start}PROVIDER_URL and {start}WEBHOOK_SECRETS, or {start}PROVIDER and what that platform needs"
        ));
    }
    show::<C>(name, calls, out).await
}

async fn set<C: Changes>(
    name: &str,
    changes: &C,
    (calls, by, why): (&Queue, &str, Option<&str>),
    out: &mut Out,
) -> Result<(), Failure> {
    let given = changes.given();
    if given.is_empty() {
        return Err(Failure::usage("nothing to change was given").hint(format!(
            "`pgdial {}s set --help` shows what can be set",
            C::KIND
        )));
    }
    let given = given.into();
    let found = calls.set_group(C::KIND, name, &given, by, why).await;
    there_is(found.map_err(refused)?, C::KIND, name)?;
    show::<C>(name, calls, out).await
}

pub(super) fn refused(error: ChangeError) -> Failure {
    match error {
        ChangeError::Refused(faults) => Failure::usage(faults),
        ChangeError::UnknownTrunk => Failure::failed("there is no such trunk")
            .hint("`pgdial trunks list` shows those there are"),
        other => other.into(),
    }
}

fn there_is(found: bool, kind: GroupKind, name: &str) -> Result<(), Failure> {
    found.then_some(()).ok_or_else(|| no_such_group(kind, name))
}

fn no_such_group(kind: GroupKind, name: &str) -> Failure {
    Failure::failed(format!("there is no {kind} {name:?}"))
        .hint(format!("`pgdial {kind}s list` shows those there are"))
}
