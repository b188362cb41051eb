//! `recover`: after a restore or a failover, the providers are asked about what the
//! database has lost.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Exit, Failure, Out, out::text};
use crate::{
    domain::{Reference, Report},
    flow::{Calls, lanes::LaneKind, recover::Recovered},
    trunks::{Trunk, Trunks},
};

/// How it goes, for its help.
pub const STEPS: &str = "\
It pauses every trunk, waits until dials under way have ended, and asks each provider for its
calls since the last commit that is left. What the database has forgotten it learns again;
where a provider cannot be asked, the numbers of all due calls are held for as long as a call
may last. Then look (`pgdial calls list --state in_call`, `pgdial trunks list`), and start the
dialing: `pgdial trunks resume NAME`. It may be run again at any time.

Processes stop dialing by themselves when they find the database on another server or
timeline, until this command has run; a disk that was put back from a snapshot looks the same
as before, so run it yourself then. Where every standby is synchronous nothing is lost, and
you may say so once: update pgdial.cluster set synchronous = true";

/// Commits younger than the last that is left, by which clocks may differ.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// After a restore or a failover: ask the providers about what the database has lost.
#[derive(Debug, Clone, clap::Args)]
pub struct RecoverArgs {
    /// From when on commits may be lost, RFC 3339. Default: one minute before the last that is left.
    #[arg(long, value_name = "TIME")]
    pub since: Option<DateTime<Utc>>,
    /// How long to wait for dials under way, whose claims are lost: they end within a minute.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub wait: Duration,
    /// Hold the due calls of this trunk without asking its provider; may be given several times.
    #[arg(long, value_name = "TRUNK")]
    pub hold: Vec<String>,
    /// What happened; shown to everybody who asks why nothing rings.
    #[arg(long, value_name = "TEXT", default_value = "commits may be lost")]
    pub why: String,
}

/// What became of one trunk.
#[derive(Debug)]
enum Asked {
    /// Its provider's calls, by what they were to us; and those that are not ours.
    Listed(BTreeMap<Recovered, usize>, usize),
    /// It cannot say; so many calls are held.
    Held(i64),
    /// Nobody could ask it.
    Unasked(String),
}

/// Does it.
pub async fn run(
    args: &RecoverArgs,
    calls: &Calls,
    trunks: &Trunks,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let left = calls.recover_begin(&args.why, by).await?;
    out.note("every trunk is paused");
    let Some(since) = args.since.or(left.map(|left| left - MARGIN)) else {
        out.note("the database is empty: nothing can have been lost from it");
        return Ok(Exit::Ok);
    };
    out.note(format!(
        "waiting {} for dials under way, then asking about calls since {since}",
        humantime::format_duration(args.wait)
    ));
    tokio::time::sleep(args.wait).await;

    let mut asked = Vec::new();
    for lane in &calls.lanes(LaneKind::Trunk, None).await? {
        let name = text(&lane["name"]);
        let done = match trunks.get(&name) {
            _ if args.hold.contains(&name) => Asked::Held(calls.recover_hold(&name, by).await?),
            Some(trunk) => ask(trunk, since, calls, by).await?,
            None => Asked::Unasked("no variable says where its provider is".to_owned()),
        };
        asked.push((name, done));
    }
    show(&asked, out)?;
    let unasked = |asked: &Asked| match asked {
        Asked::Unasked(_) => true,
        Asked::Listed(verdicts, _) => verdicts.contains_key(&Recovered::Failed),
        Asked::Held(_) => false,
    };
    if asked.iter().any(|(_, done)| unasked(done)) {
        out.note(
            "not all is known: run it again, or hold what nobody can be asked about (--hold TRUNK)",
        );
        return Ok(Exit::Failed);
    }
    out.note("the trunks stay paused: look, then `pgdial trunks resume NAME`");
    Ok(Exit::Ok)
}

async fn ask(
    trunk: &Trunk,
    since: DateTime<Utc>,
    calls: &Calls,
    by: &str,
) -> Result<Asked, Failure> {
    let listed = match trunk.provider.calls_since(since).await {
        Ok(Some(listed)) => listed,
        Ok(None) => return Ok(Asked::Held(calls.recover_hold(&trunk.name, by).await?)),
        Err(error) => return Ok(Asked::Unasked(error.to_string())),
    };
    let (mut verdicts, mut foreign) = (BTreeMap::new(), 0);
    for report in &listed {
        match reference(report) {
            Some(dial) => {
                let verdict = calls.recover_listed(&trunk.name, dial, report, by).await?;
                *verdicts.entry(verdict).or_default() += 1;
            }
            None => foreign += 1,
        }
    }
    Ok(Asked::Listed(verdicts, foreign))
}

/// Other programs may have calls there too, with other references or none.
fn reference(report: &Report) -> Option<Reference> {
    report.reference.as_deref()?.parse().ok()
}

fn show(asked: &[(String, Asked)], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        let rows = asked.iter().map(|(trunk, done)| match done {
            Asked::Listed(verdicts, foreign) => {
                json!({ "trunk": trunk, "listed": verdicts, "foreign": foreign })
            }
            Asked::Held(held) => json!({ "trunk": trunk, "heldUnasked": held }),
            Asked::Unasked(why) => json!({ "trunk": trunk, "unasked": why }),
        });
        return out.json(&rows.collect::<Vec<_>>());
    }
    let rows = asked.iter().map(|(trunk, done)| {
        let words = match done {
            Asked::Listed(verdicts, foreign) => {
                let mut words: Vec<_> = verdicts
                    .iter()
                    .map(|(verdict, count)| format!("{count} {}", text(&json!(verdict))))
                    .collect();
                if *foreign > 0 {
                    words.push(format!("{foreign} not ours"));
                }
                format!(
                    "listed: {}",
                    if words.is_empty() {
                        "none".to_owned()
                    } else {
                        words.join(", ")
                    }
                )
            }
            Asked::Held(held) => {
                format!("its provider cannot be asked: the numbers of {held} due calls are held")
            }
            Asked::Unasked(why) => format!("not asked: {why}"),
        };
        vec![trunk.clone(), words]
    });
    let rows = rows.collect();
    out.table(&["trunk", "calls since then"], rows)
}
