//! `dnc`: the do-not-call list.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty},
};
use crate::{
    domain::{Phone, Why},
    flow::{Queue, do_not_call::Scope, view::DoNotCallEntry},
};

pub mod import;

/// The do-not-call list.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DncCommand {
    /// Add numbers. Waiting calls to them are no longer dialled; live ones are left alone.
    Add {
        /// Numbers to add, as in +14155550100.
        #[arg(value_name = "NUMBER", required = true)]
        phones: Vec<Phone>,
        /// Shown to anyone who enqueues a call to them.
        #[arg(long, value_name = "TEXT", default_value = REASON)]
        reason: String,
        /// Where the entries hold.
        #[command(flatten)]
        scope: ScopeArgs,
        /// When the entries end, as in 2027-01-31T00:00:00Z. Default: never.
        #[arg(long, value_name = "TIME")]
        until: Option<DateTime<Utc>>,
    },
    /// Remove numbers from the list: their entries that hold everywhere, or those of a topic or campaign.
    Remove {
        /// Numbers to remove.
        #[arg(value_name = "NUMBER", required = true)]
        phones: Vec<Phone>,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
        /// Which entries.
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// List entries, newest first.
    List {
        /// Entries to list.
        #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
    /// Add the numbers of a file: CSV or a workbook, with a header or bare numbers.
    #[command(after_long_help = import::COLUMNS)]
    Import(import::ImportArgs),
}

/// Where entries hold; without either, everywhere.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ScopeArgs {
    /// Only for calls of campaigns with this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only for calls of this campaign.
    #[arg(long, value_name = "NAME", conflicts_with = "topic")]
    campaign: Option<String>,
}

impl ScopeArgs {
    fn until(&self, until: Option<DateTime<Utc>>) -> Scope {
        Scope {
            topic: self.topic.clone(),
            campaign: self.campaign.clone(),
            until,
        }
    }
}

const REASON: &str = "asked not to be called";

/// Runs one `dnc` command.
pub async fn run(
    command: &DncCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        DncCommand::Add {
            phones,
            reason,
            scope,
            until,
        } => {
            let scope = scope.until(*until);
            let mut rows = Vec::new();
            for phone in phones {
                let added = calls.do_not_call_add_in(&scope, phone, by, reason).await?;
                rows.push((phone, if added { "added" } else { "already_listed" }));
            }
            verdicts(&rows, out)?;
            Ok(Exit::Ok)
        }
        DncCommand::Remove { phones, why, scope } => {
            let scope = scope.until(None);
            let mut rows = Vec::new();
            for phone in phones {
                let removed = calls.do_not_call_remove_in(&scope, phone, by, why.as_deref());
                let removed = removed.await?;
                rows.push((phone, if removed { "removed" } else { "not_listed" }));
            }
            verdicts(&rows, out)?;
            let missing = rows.iter().any(|(_, word)| *word == "not_listed");
            Ok(if missing { Exit::Failed } else { Exit::Ok })
        }
        DncCommand::List { limit } => list(*limit, calls, out).await,
        DncCommand::Import(args) => import::run(args, Some(calls), by, out).await,
    }
}

fn verdicts(rows: &[(&Phone, &str)], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        let rows = rows
            .iter()
            .map(|(phone, word)| json!({ "phone": phone, "verdict": word }));
        return out.json(&rows.collect::<Vec<_>>());
    }
    let rows = rows
        .iter()
        .map(|(phone, word)| vec![out.phone(phone.as_e164()), (*word).to_owned()]);
    let rows = rows.collect();
    out.table(&["number", "verdict"], rows)
}

async fn list(limit: i64, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let entries = calls.do_not_call_list(limit).await?;
    if out.style.json {
        out.json(&entries)?;
        return Ok(Exit::Ok);
    }
    let rows = entries.iter().map(|entry| {
        vec![
            out.phone(&entry.phone),
            holds_for(entry),
            or_empty(entry.until.map(instant)),
            instant(entry.at),
            entry.by.clone(),
            entry.reason.clone(),
        ]
    });
    let rows = rows.collect();
    out.table(&["number", "for", "until", "since", "by", "reason"], rows)?;
    Ok(Exit::Ok)
}

/// Which calls an entry forbids.
fn holds_for(entry: &DoNotCallEntry) -> String {
    match (&entry.topic, &entry.campaign) {
        (Some(topic), _) => format!("topic {topic}"),
        (_, Some(campaign)) => format!("campaign {campaign}"),
        (None, None) => "everything".to_owned(),
    }
}
