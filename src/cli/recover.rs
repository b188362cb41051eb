//! `recover`: after a restore or failover, asks the providers for the calls the database has lost.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Exit, Failure, Out, out::text};
use crate::{
    domain::{Reference, Report, Why},
    flow::{self, Queue, recover::Recovered},
    trunks::{Trunk, Trunks},
};

/// What it does, step by step, for `--help`.
pub const STEPS: &str = "\
It pauses every trunk, waits until dials under way have ended, and asks each provider for its
calls since commits may be lost. What the database has forgotten it learns again. A trunk
whose provider cannot be asked dials nothing for as long as a call may last. Then look
(`pgdial calls list --state in_call`), and start the dialing: `pgdial trunks resume NAME`.
When a provider did not answer, run it again: it begins at the same time as before.

Processes stop dialing by themselves when they find the database on another server, under
another name or on another timeline, until this command has run to its end. (pg_upgrade
changes the server too, and loses nothing.) A copy of the files that is started as it is
looks the same as before, and so does a disk put back from a snapshot: pause the trunks
first, and give --since. Make sure that the old server is down: two that dial do not know of each other.

Where every standby is synchronous a failover loses nothing, and you may say so once:
update pgdial.cluster set synchronous = true; that also silences a restore to a point in time.";

/// After a restore or failover: ask the providers for the calls the database has lost.
#[derive(Debug, Clone, clap::Args)]
pub struct RecoverArgs {
    /// Time since which commits may be lost, RFC 3339. Default: a minute before a worker last saw the database in
    /// place.
    #[arg(long, value_name = "TIME")]
    pub since: Option<DateTime<Utc>>,
    /// How long to wait for dials whose claims were lost. Default: until all have ended, 60s or longer where the
    /// platform of a trunk may take longer to place a call.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// Hold this trunk instead of asking its provider; may be repeated.
    #[arg(long, value_name = "TRUNK")]
    pub hold: Vec<String>,
    /// What happened; shown to anyone who asks why nothing is dialled.
    #[arg(long, value_name = "TEXT", default_value = "commits may be lost")]
    pub why: Why,
}

/// The result for one trunk.
#[derive(Debug)]
enum Asked {
    /// Number of its calls by what they were to us, and number of calls that are not ours.
    Listed(BTreeMap<Recovered, usize>, usize),
    /// The provider cannot list its calls, or `--hold` said not to ask; the trunk dials nothing until this instant.
    Held(Option<DateTime<Utc>>),
    /// The request failed; why.
    Unasked(String),
}

impl Asked {
    fn is_done(&self) -> bool {
        match self {
            Self::Listed(verdicts, _) => !verdicts.contains_key(&Recovered::Failed),
            Self::Held(_) => true,
            Self::Unasked(_) => false,
        }
    }
}

/// Pauses the trunks, asks each provider, and reports per trunk.
pub async fn run(
    args: &RecoverArgs,
    calls: &Queue,
    trunks: &Trunks,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let calls = &calls.clone().at(trunks.declared());
    let Some(since) = calls.recover_begin(args.since, &args.why, by).await? else {
        return Err(Failure::usage(
            "the database runs where it ran: nothing says that commits are lost",
        )
        .hint("if you know that some are, say from when on: --since 2026-01-31T09:00:00Z"));
    };
    let wait = args.wait.unwrap_or_else(|| trunks.longest_lease());
    out.note(format!(
        "every trunk is paused; waiting {} for dials under way, then asking about calls since {since}",
        humantime::format_duration(wait)
    ));
    tokio::time::sleep(wait).await;

    let mut asked = Vec::new();
    for group in calls.trunks(None).await? {
        let name = group.name;
        let done = match trunks.get(&name) {
            _ if args.hold.contains(&name) => Asked::Held(calls.recover_hold(&name).await?),
            Some(trunk) => ask(trunk, since, calls).await?,
            None => Asked::Unasked("no variable says where its provider is".to_owned()),
        };
        asked.push((name, done));
    }
    show(&asked, out)?;
    if !asked.iter().all(|(_, done)| done.is_done()) {
        out.note("not all is known, so nothing is dialled yet: run it again, or hold a trunk that nobody can be asked about (--hold TRUNK)");
        return Ok(Exit::Failed);
    }
    let replayed = calls.recover_end(by).await?;
    if replayed > 0 {
        out.note(format!(
            "{replayed} webhook events that had come before their claims were judged again"
        ));
    }
    out.note("the trunks stay paused: look, then `pgdial trunks resume NAME`");
    Ok(Exit::Ok)
}

async fn ask(trunk: &Trunk, since: DateTime<Utc>, calls: &Queue) -> Result<Asked, Failure> {
    let listed = match trunk.provider.calls_since(since).await {
        Ok(Some(listed)) => listed,
        Ok(None) => return Ok(Asked::Held(calls.recover_hold(&trunk.name).await?)),
        Err(error) => return Ok(Asked::Unasked(error.to_string())),
    };
    let (mut verdicts, mut foreign) = (BTreeMap::new(), 0);
    for report in &listed {
        let Some(dial) = reference(report) else {
            foreign += 1;
            continue;
        };
        let verdict = match calls.recover_listed(&trunk.name, dial, report).await {
            // Left to the next run.
            Err(flow::Error::LockedOut) => Recovered::Failed,
            answer => answer?,
        };
        *verdicts.entry(verdict).or_default() += 1;
    }
    Ok(Asked::Listed(verdicts, foreign))
}

/// Other programs may place calls on the same account, with other references or none.
fn reference(report: &Report) -> Option<Reference> {
    report.reference.as_deref()?.parse().ok()
}

fn show(asked: &[(String, Asked)], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        let rows = asked.iter().map(|(trunk, done)| match done {
            Asked::Listed(verdicts, foreign) => {
                json!({ "trunk": trunk, "listed": verdicts, "foreign": foreign })
            }
            Asked::Held(until) => json!({ "trunk": trunk, "heldUntil": until }),
            Asked::Unasked(why) => json!({ "trunk": trunk, "unasked": why }),
        });
        return out.json(&rows.collect::<Vec<_>>());
    }
    let rows = asked
        .iter()
        .map(|(trunk, done)| vec![trunk.clone(), words(done)]);
    let rows = rows.collect();
    out.table(&["trunk", "calls since then"], rows)
}

fn words(asked: &Asked) -> String {
    match asked {
        Asked::Listed(verdicts, foreign) => {
            let mut words: Vec<_> = verdicts
                .iter()
                .map(|(verdict, count)| format!("{count} {}", text(&json!(verdict))))
                .collect();
            if *foreign > 0 {
                words.push(format!("{foreign} not ours"));
            }
            if words.is_empty() {
                words.push("none".to_owned());
            }
            format!("listed: {}", words.join(", "))
        }
        Asked::Held(until) => {
            let until = until.map(|until| until.to_string()).unwrap_or_default();
            format!("its provider cannot be asked: nothing is dialled until {until}")
        }
        Asked::Unasked(why) => format!("not asked: {why}"),
    }
}
