//! `calendars`: days with hours of their own.

use std::path::PathBuf;

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::{Exit, Failure, Out, out::or_none};
use crate::{
    domain::Why,
    flow::{
        Queue,
        groups::ChangeError,
        hours::{Deletion, RulesKind},
        view::{Calendar, SpecialDay},
    },
    lists::{Opened, ReadArgs},
};

/// Calendars.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CalendarsCommand {
    /// List all.
    List,
    /// Show one with its days.
    Show {
        /// Name of the calendar.
        name: String,
        /// Print its days as `calendars set` reads them.
        #[arg(long)]
        csv: bool,
    },
    /// Create a calendar, or replace it, from a list of its days: day, name and, if not closed, hours.
    #[command(after_long_help = COLUMNS)]
    Set(SetArgs),
    /// Delete a calendar that no calling hours name.
    Delete {
        /// Name of the calendar.
        name: String,
        /// Reason, kept in the audit log.
        #[arg(long, value_name = "TEXT")]
        why: Option<Why>,
    },
}

/// A calendar as it is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct SetArgs {
    /// Name: lower-case letters, digits and any of - _ . @.
    name: String,
    /// File with its days; `-` is stdin.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// First day that it knows; earlier ones are closed. Default: January 1 of the year of its first day.
    #[arg(long, value_name = "DAY")]
    first_day: Option<NaiveDate>,
    /// Last day that it knows; later ones are closed. Default: December 31 of the year of its last day.
    #[arg(long, value_name = "DAY")]
    last_day: Option<NaiveDate>,
    /// Where the days were read.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Reason, kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<Why>,
}

const COLUMNS: &str = "\
A line for each day, as CSV: the day, its name and its hours, as in
  2026-12-25,Christmas Day
  2026-12-24,Christmas Eve,09:00-12:00
Without hours it is closed. A first line that begins with no day is a header; lines that begin
with # are passed over.";

/// Runs one `calendars` command.
pub async fn run(
    command: &CalendarsCommand,
    calls: &Queue,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    match command {
        CalendarsCommand::List => list(&calls.calendars(None).await?, out)?,
        CalendarsCommand::Show { name, csv } => show(name, *csv, calls, out).await?,
        CalendarsCommand::Set(args) => {
            let calendar = args.calendar(&days(&args.file)?);
            let why = args.why.as_deref();
            let set = calls.set_rules(RulesKind::Calendar, &args.name, &calendar, by, why);
            set.await.map_err(refused)?;
            show(&args.name, false, calls, out).await?;
        }
        CalendarsCommand::Delete { name, why } => {
            let deletion = calls.delete_rules(RulesKind::Calendar, name, by, why.as_deref());
            there_is(
                deletion.await?,
                "calendar",
                name,
                "`pgdial hours set HOURS --calendar none` takes it off",
            )?;
            out.note(format!("calendar {name} is gone"));
        }
    }
    Ok(Exit::Ok)
}

/// Fails unless it was there and nothing names it.
pub(super) fn there_is(
    deletion: Deletion,
    what: &str,
    name: &str,
    take_off: &str,
) -> Result<(), Failure> {
    match deletion {
        Deletion::Deleted => Ok(()),
        Deletion::NotFound => Err(Failure::failed(format!("there is no {what} {name:?}"))),
        Deletion::InUse(by) => {
            let by = by.join(", ");
            Err(Failure::failed(format!("{what} {name} cannot go: {by} names it")).hint(take_off))
        }
    }
}

pub(super) fn refused(error: ChangeError) -> Failure {
    match error {
        ChangeError::Refused(faults) => Failure::usage(faults),
        other => other.into(),
    }
}

fn list(all: &[Calendar], out: &mut Out) -> Result<(), Failure> {
    if out.style.json {
        return out.json(&all);
    }
    let row = |calendar: &Calendar| {
        vec![
            calendar.name.clone(),
            calendar.first_day.to_string(),
            calendar.last_day.to_string(),
            calendar.days.len().to_string(),
            calendar.calling_hours.join(", "),
        ]
    };
    let header = ["calendar", "from", "to", "days", "hours"];
    out.table(&header, all.iter().map(row).collect())
}

async fn show(name: &str, csv: bool, calls: &Queue, out: &mut Out) -> Result<(), Failure> {
    let all = calls.calendars(Some(name)).await?;
    let calendar = all.first().ok_or_else(|| {
        Failure::failed(format!("there is no calendar {name:?}"))
            .hint("`pgdial calendars list` shows those there are")
    })?;
    if out.style.json {
        return out.json(calendar);
    }
    if csv {
        return calendar
            .days
            .iter()
            .try_for_each(|day| out.line(line_of(day)));
    }
    let mut pairs = vec![
        ("calendar", calendar.name.clone()),
        ("first day", calendar.first_day.to_string()),
        ("last day", calendar.last_day.to_string()),
        ("source", or_none(calendar.source.as_ref())),
        ("hours", calendar.calling_hours.join(", ")),
    ];
    for SpecialDay { day, name, hours } in &calendar.days {
        pairs.push(("day", format!("{day} {name}: {hours}")));
    }
    out.pairs(pairs)
}

/// A day as `calendars set` reads it.
fn line_of(SpecialDay { day, name, hours }: &SpecialDay) -> String {
    let name = if name.contains([',', '"', '\n']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.clone()
    };
    format!("{day},{name},{hours}")
}

impl SetArgs {
    fn calendar(&self, days: &[Value]) -> Value {
        json!({
            "firstDay": self.first_day, "lastDay": self.last_day, "source": self.source,
            "days": days,
        })
    }
}

/// The days of a file. What may be in a field the database says, counting from 1; only what is no row is told here.
fn days(file: &std::path::Path) -> Result<Vec<Value>, Failure> {
    let read = ReadArgs::default();
    let mut list = Opened::path(file, &read)?.list(&read, true)?;
    let (mut days, mut faults) = (Vec::new(), Vec::new());
    let mut is_first = true;
    while let Some(record) = list.next()? {
        let is_header = std::mem::take(&mut is_first);
        let fields = match record.fields {
            Ok(fields) => fields,
            Err(why) => {
                faults.push(format!("line {}: {why}", record.line));
                continue;
            }
        };
        let mut fields = fields.into_iter();
        let day = fields.next().unwrap_or_default();
        if day.parse::<NaiveDate>().is_err() {
            if !is_header || day.starts_with(|first: char| first.is_ascii_digit()) {
                faults.push(format!(
                    "line {}: {day:?} is no day, as in 2026-12-25",
                    record.line
                ));
            }
            continue;
        }
        let mut entry = Map::new();
        entry.insert("day".to_owned(), day.into());
        for (name, value) in ["name", "hours"].into_iter().zip(fields) {
            if !value.is_empty() {
                entry.insert(name.to_owned(), value.into());
            }
        }
        days.push(entry.into());
    }
    if faults.is_empty() {
        Ok(days)
    } else {
        Err(Failure::failed(faults.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("days.csv");
        std::fs::write(&file, text).unwrap();
        days(&file).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_header_and_comments_are_no_days() {
        let text = "date;holiday;hours\n# the year\n2026-12-25;\"Christmas, a day\";\n2026-12-24;Eve;09:00-12:00\n";
        assert_eq!(
            read(text).unwrap(),
            [
                json!({"day": "2026-12-25", "name": "Christmas, a day"}),
                json!({"day": "2026-12-24", "name": "Eve", "hours": "09:00-12:00"}),
            ]
        );
    }

    #[test]
    fn what_is_no_day_is_told_with_its_line() {
        let text = "2026-12-25,Christmas\n25.12.2026,Christmas\n\n2026-02-30,None\n";
        let words = read(text).unwrap_err();
        assert!(words.contains("line 2: \"25.12.2026\""), "{words}");
        assert!(words.contains("line 4: \"2026-02-30\""), "{words}");
    }

    #[test]
    fn a_day_is_printed_as_it_is_read() {
        let day = SpecialDay {
            day: "2026-12-25".parse().unwrap(),
            name: "Christmas, a \"day\"".to_owned(),
            hours: "closed".to_owned(),
        };
        let entry = read(&line_of(&day)).unwrap().remove(0);
        assert_eq!(entry["name"], day.name.as_str());
        assert_eq!(entry["hours"], "closed");
    }
}
