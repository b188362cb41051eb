//! `forget`: erases a person's number, and what was said in their calls, from every table.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty},
    values::Number,
};
use crate::{
    domain::{Region, Why},
    flow::{
        Queue,
        forget::{Forget, ForgetDoNotCall, ForgetResponse, ForgetVerdict},
    },
};

/// What is erased and what remains, for `--help`.
pub const LIMITS: &str = "\
What remains of the calls is that they were: when, on which campaign and trunk, how they ended.
Waiting calls are canceled. It is refused while a call to the number is in flight or held, and
while a young idempotency key is made of the number (unless --do-not-call add).
An entry in the do-not-call list stays, or the person would be rung again; say
--do-not-call remove if it shall go too. The audit keeps that a number was forgotten, not which.
It cannot reach: the metadata of calls to others (--search counts those rows), backups, logs of
others, and the provider's own records.";

/// Erase a number, and what was said in its calls, from every table.
#[derive(Debug, Clone, clap::Args)]
pub struct ForgetArgs {
    /// The number to forget.
    #[arg(value_name = "NUMBER")]
    pub phone: Number,
    /// Region whose national format the number is in, if it lacks + and country code, as in US.
    #[arg(long, value_name = "REGION")]
    pub region: Option<Region>,
    /// Reason, such as the legal ground; kept in the audit log, without the number.
    #[arg(long, value_name = "TEXT")]
    pub why: Why,
    /// Erase. Without this, only count what would be erased.
    #[arg(long)]
    pub yes: bool,
    /// What to do with the number's do-not-call entry.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "keep")]
    pub do_not_call: DoNotCall,
    /// Afterwards, count where the number still occurs. Reads every row of every table.
    #[arg(long)]
    pub search: bool,
}

/// What to do with the number's do-not-call entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DoNotCall {
    /// Leave the list as it is.
    Keep,
    /// Add an entry if there is none.
    Add,
    /// Remove the entry.
    Remove,
}

/// Erases or counts, then prints what was, or would be, erased per table.
pub async fn run(
    args: &ForgetArgs,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let phone = args.phone.dialled_in(args.region)?;
    let wish = Forget {
        phone: &phone,
        dry_run: !args.yes,
        on_the_list: match args.do_not_call {
            DoNotCall::Keep => ForgetDoNotCall::Keep,
            DoNotCall::Add => ForgetDoNotCall::Add,
            DoNotCall::Remove => ForgetDoNotCall::Remove,
        },
        by,
        why: &args.why,
    };
    let mut counts = BTreeMap::new();
    let last = loop {
        let forgot = calls.forget(&wish).await?;
        for (what, count) in &forgot.counts {
            *counts.entry(what.clone()).or_insert(0_i64) += count;
        }
        if !(forgot.more && args.yes && forgot.verdict == ForgetVerdict::Forgotten) {
            break forgot;
        }
    };
    let mentions = if args.search {
        Some(calls.mentions(&phone).await?)
    } else {
        None
    };
    show(&last, &counts, mentions.as_deref(), out)?;
    refusal(&last).map_or(Ok(Exit::Ok), Err)
}

fn show(
    last: &ForgetResponse,
    counts: &BTreeMap<String, i64>,
    mentions: Option<&[(String, String, i64)]>,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.style.json {
        let mentions = mentions.map(|mentions| {
            let one = |(table, column, rows): &(String, String, i64)| json!({ "table": table, "column": column, "rows": rows });
            mentions.iter().map(one).collect::<Vec<_>>()
        });
        return out.json(&json!({
            "verdict": last.verdict, "dryRun": last.dry_run, "counts": counts, "more": last.more,
            "call": last.call, "until": last.until, "mentions": mentions
        }));
    }
    let rows = counts
        .iter()
        .map(|(what, count)| vec![words(what).to_owned(), count.to_string()]);
    out.table(&["what", "rows"], rows.collect())?;
    if let Some(mentions) = mentions {
        let rows = mentions
            .iter()
            .map(|(table, column, rows)| vec![format!("{table}.{column}"), rows.to_string()]);
        out.table(&["still in", "rows"], rows.collect())?;
    }
    if last.verdict == ForgetVerdict::Forgotten {
        out.note(match (last.dry_run, last.more) {
            (true, true) => "nothing was done: there are more calls than were counted; add --yes to forget the number",
            (true, false) => "nothing was done: add --yes to forget the number",
            (false, _) => "forgotten",
        });
    }
    Ok(())
}

fn words(what: &str) -> &str {
    match what {
        "calls" => "calls",
        "waiting" => "of them waiting, to be canceled",
        "callEvents" => "events of these calls",
        "deliveries" => "deliveries of these events to endpoints",
        "webhookEvents" => "webhooks about them",
        "acts" => "acts that name the number",
        "doNotCall" => "entries of the do-not-call list",
        other => other,
    }
}

fn refusal(last: &ForgetResponse) -> Option<Failure> {
    let call = last.call.map(|id| id.to_string()).unwrap_or_default();
    let until = or_empty(last.until.map(instant));
    Some(match last.verdict {
        ForgetVerdict::Forgotten => return None,
        ForgetVerdict::InFlight => Failure::failed(format!("not forgotten: call {call} to this number is in flight"))
            .hint(format!("`pgdial calls cancel {call}`, and again when it is over")),
        ForgetVerdict::Held => Failure::failed(format!(
            "not forgotten: nobody knows whether call {call} still rings"
        ))
        .hint(format!("wait until {until}, or `pgdial release {call} --why ...`")),
        ForgetVerdict::KeyNeeded => Failure::failed(format!(
            "not forgotten: the idempotency key of call {call} is made of this number, and a repetition of its request must not ring"
        ))
        .hint(format!("wait until {until}, or add --do-not-call add")),
        ForgetVerdict::LockedOut => {
            Failure::failed("not forgotten: somebody's open transaction holds a call to this number").hint("try again")
        }
    })
}
