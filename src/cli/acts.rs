//! `acts`: who did what to the queue, when and why.

use serde_json::{Map, Value};

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty, text},
};
use crate::flow::{Queue, acts::ActFilter, view::Act};

/// The audit.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ActsCommand {
    /// Acts on campaigns, trunks, workers and numbers, and on many calls at once, newest first.
    List(ListArgs),
}

/// Which acts.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// pause, resume, set, create, remove, cancel, redrive, drain, forget, ... only.
    #[arg(long, value_name = "ACT")]
    pub act: Option<String>,
    /// On a campaign, trunk, worker or number, on calls, or the cluster only.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// On the one of this name only.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// By them only.
    #[arg(long, value_name = "WHO")]
    pub who: Option<String>,
    /// Before this act only: the last one of the page before.
    #[arg(long, value_name = "SEQ", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..))]
    pub below: Option<i64>,
    /// How many.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: i64,
}

/// Does it.
pub async fn run(command: &ActsCommand, calls: &Queue, out: &mut Out) -> Result<Exit, Failure> {
    let ActsCommand::List(args) = command;
    let filter = ActFilter {
        act: args.act.clone(),
        kind: args.kind.clone(),
        name: args.name.clone(),
        by: args.who.clone(),
        below: args.below,
    };
    let acts = calls.acts(&filter, args.limit).await?;
    if out.style.json {
        out.json(&acts)?;
        return Ok(Exit::Ok);
    }
    let rows = acts.iter().map(|act| {
        vec![
            instant(act.at),
            act.by.clone(),
            act.act.clone(),
            object(act, out),
            or_empty(act.why.as_ref()),
            detail(&act.detail.0, out),
        ]
    });
    let rows = rows.collect();
    out.table(&["at", "by", "act", "on", "why", "detail"], rows)?;
    if let Some(last) = acts.last()
        && i64::try_from(acts.len()).is_ok_and(|count| count == args.limit)
    {
        out.note(format!("more: add --below {}", last.seq));
    }
    Ok(Exit::Ok)
}

/// What it was done to; a number as this table may show it.
fn object(act: &Act, out: &Out) -> String {
    let name = act.name.as_deref().unwrap_or_default();
    let name = match act.kind.as_str() {
        "number" => out.phone(name),
        _ => name.to_owned(),
    };
    format!("{} {name}", act.kind).trim_end().to_owned()
}

/// `slots 30 -> 60`, `filter (to +141******00), matched 12`, ...
fn detail(detail: &Map<String, Value>, out: &Out) -> String {
    let parts = detail.iter().map(|(name, value)| match value {
        Value::Object(inner) => format!("{name} ({})", self::detail(inner, out)),
        Value::Array(pair) if name != "state" && name != "outcome" && pair.len() == 2 => {
            let words = pair.iter().map(or_none).collect::<Vec<_>>();
            format!("{name} {}", words.join(" -> "))
        }
        Value::Array(words) => {
            let words = words.iter().map(text).collect::<Vec<_>>();
            format!("{name} {}", words.join("|"))
        }
        Value::String(number) if name == "to" => format!("{name} {}", out.phone(number)),
        value => format!("{name} {}", text(value)),
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn or_none(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        value => text(value),
    }
}
