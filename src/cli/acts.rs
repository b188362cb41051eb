//! `acts`: the audit log.

use serde_json::{Map, Value};

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty, text},
};
use crate::flow::{Queue, acts::ActFilter, view::Act};

/// `acts`: the audit log.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ActsCommand {
    /// List acts on campaigns, trunks, workers, numbers, caller ids, or many calls at once, newest first.
    List(ListArgs),
}

/// Filters, all of which must match, and the page.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// Only this act: pause, resume, set, create, remove, cancel, redrive, drain, forget, ...
    #[arg(long, value_name = "ACT")]
    pub act: Option<String>,
    /// Only acts on this kind of object: `campaign`, `trunk`, `calling_hours`, `calendar`, `contact_limit`,
    /// `worker`, `number`, `caller_id`, `key`, `calls` or `cluster`.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Only acts on the object with this name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only acts by this person or program.
    #[arg(long, value_name = "WHO")]
    pub who: Option<String>,
    /// Only acts before this one: the last SEQ of the previous page.
    #[arg(long, value_name = "SEQ", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..))]
    pub below: Option<i64>,
    /// Acts to list.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: i64,
}

/// Prints one page of acts.
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

/// The name of the object acted on, masked if it is a number and `out` masks numbers.
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
