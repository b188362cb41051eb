//! `acts`: the audit log.

use chrono::{DateTime, Utc};

use super::{
    Exit, Failure, Out,
    out::{instant, or_empty},
    values,
};
use crate::{
    flow::{Queue, acts::ActFilter, view::Act},
    shown,
};

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
    /// Only acts at or after this instant, as in 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = values::instant)]
    pub after: Option<DateTime<Utc>>,
    /// Only acts before this instant.
    #[arg(long, value_name = "TIME", value_parser = values::instant)]
    pub before: Option<DateTime<Utc>>,
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
        after: args.after,
        before: args.before,
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
            shown::detail(&act.detail.0, &|number| out.phone(number)).join(", "),
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
