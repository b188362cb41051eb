//! `dnc import`: adds the numbers of a file of any length.
//!
//! A line without a number is reported and harms no other. Batches become durable one by one; after an interruption,
//! import the whole file again: numbers already listed stay as they are.

use std::{collections::HashSet, path::PathBuf};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{REASON, ScopeArgs};
use crate::{
    cli::{Exit, Failure, Out},
    domain::{Phone, Region},
    flow::{
        Queue,
        do_not_call::{Listing, Scope},
    },
    lists::{self, List, Opened, ReadArgs, Record, names},
};

/// Numbers with their reasons, and their line numbers.
type Batch = (Vec<u64>, Vec<(Phone, String)>);

/// Numbers per statement.
const BATCH: usize = 5000;
/// Bad lines shown to a person.
const SHOWN: usize = 20;

/// Add the numbers of a file.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// File to read; `-` is stdin.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Reason for lines that give none.
    #[arg(long, value_name = "TEXT", default_value = REASON)]
    reason: String,
    /// Where the entries hold.
    #[command(flatten)]
    scope: ScopeArgs,
    /// When the entries end, as in 2027-01-31T00:00:00Z. Default: never.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// Add nothing: say how the file is read and which lines hold no number. Uses no database.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// The columns, for `pgdial dnc import --help`.
pub(super) const COLUMNS: &str = "\
Columns, in any order and spelling: phone (or number, Phone Number, Mobile, to, ...; where several
have such names, --map COLUMN=phone says which) and, if there is one, reason. Without a header
the number comes first and the reason second, or an area code and the rest of the number.
Lines that begin with # are passed over.";

/// Adds them. Without a queue it only reads the file.
pub async fn run(
    args: &ImportArgs,
    calls: Option<&Queue>,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let list = Opened::path(&args.file, &args.read)?.list(&args.read, true)?;
    let is_as_expected = list.is_as_expected;
    let about = format!("read as {}", list.about);
    let mut entries = Entries::open(list, args)?;
    if args.dry_run || !is_as_expected {
        out.note(about);
    }
    let mut counts = Counts::default();
    let listed = entries.list_all(calls, by, &mut counts).await;
    counts.tell(args.dry_run, out)?;
    if let Err(why) = listed {
        out.note("cut off: import the file again, it goes on where it ended");
        return Err(why);
    }
    Ok(if counts.bad.is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

#[derive(Debug, Default)]
struct Counts {
    added: usize,
    listed: usize,
    duplicates: usize,
    bad: Vec<(u64, String)>,
}

impl Counts {
    fn tell(&self, dry_run: bool, out: &mut Out) -> Result<(), Failure> {
        for (line, why) in self.bad.iter().take(SHOWN) {
            out.note(format!("line {line}: {why}"));
        }
        if self.bad.len() > SHOWN {
            let more = self.bad.len() - SHOWN;
            out.note(format!("and {more} more bad lines; --json names all"));
        }
        if out.style.json {
            let bad: Vec<u64> = self.bad.iter().map(|(line, _)| *line).collect();
            return out.json(&json!({
                "added": self.added, "alreadyListed": self.listed,
                "duplicates": self.duplicates, "badLines": bad }));
        }
        let lines = if self.bad.len() == 1 { "line" } else { "lines" };
        let (added, listed, bad) = (self.added, self.listed, self.bad.len());
        let mut words = if dry_run {
            format!("{added} valid, {bad} bad {lines}")
        } else {
            format!("{added} added, {listed} already listed, {bad} bad {lines}")
        };
        if self.duplicates > 0 {
            words = format!("{words}, {} twice in the file", self.duplicates);
        }
        out.note(words);
        Ok(())
    }
}

/// The numbers of one list, read row by row.
struct Entries {
    list: List,
    first: Option<Record>,
    layout: Layout,
    reason: String,
    scope: Scope,
    region: Option<Region>,
    seen: HashSet<u64>,
}

/// Which fields hold the number and the reason.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    Columns {
        numbers: Vec<usize>,
        reason: Option<usize>,
    },
    /// Area code and the rest in two columns, as registers of a single country write numbers.
    Split,
}

impl Entries {
    fn open(mut list: List, args: &ImportArgs) -> Result<Self, Failure> {
        let Some(first) = list.next()? else {
            return Err(Failure::failed("the file is empty"));
        };
        let fields = first.fields.clone().unwrap_or_default();
        let (layout, first) = match &first.fields {
            Ok(fields) if is_header(fields) => (Layout::named(fields, args)?, None),
            _ => (Layout::of_bare(&fields, args, first.line)?, Some(first)),
        };
        if let Layout::Columns { numbers, .. } = &layout {
            let number_at = numbers.first().copied().unwrap_or_default();
            list.expect(fields.len().max(1), number_at);
        }
        Ok(Self {
            list,
            first,
            layout,
            reason: args.reason.clone(),
            scope: args.scope.until(args.until),
            region: args.read.region,
            seen: HashSet::new(),
        })
    }

    async fn list_all(
        &mut self,
        calls: Option<&Queue>,
        by: &str,
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        loop {
            let (lines, entries) = self.batch(counts)?;
            if entries.is_empty() {
                return Ok(());
            }
            let Some(calls) = calls else {
                counts.added += entries.len();
                continue;
            };
            let listings = calls
                .do_not_call_add_many(&self.scope, &entries, by)
                .await?;
            for (line, listing) in lines.into_iter().zip(listings) {
                match listing {
                    Listing::Added => counts.added += 1,
                    Listing::Listed => counts.listed += 1,
                    Listing::Invalid => counts.bad.push((line, "not a number".to_owned())),
                }
            }
        }
    }

    /// The next numbers with their lines; empty at the end.
    fn batch(&mut self, counts: &mut Counts) -> Result<Batch, Failure> {
        let (mut lines, mut entries) = (Vec::new(), Vec::new());
        while entries.len() < BATCH {
            let record = match self.first.take() {
                Some(first) => Some(first),
                None => self.list.next()?,
            };
            let Some(Record { line, fields, .. }) = record else {
                break;
            };
            match fields.and_then(|fields| self.entry(&fields)) {
                Ok(entry) if !self.seen.insert(lists::packed(&entry.0)) => counts.duplicates += 1,
                Ok(entry) => {
                    lines.push(line);
                    entries.push(entry);
                }
                Err(why) => counts.bad.push((line, why)),
            }
        }
        Ok((lines, entries))
    }

    fn entry(&self, fields: &[String]) -> Result<(Phone, String), String> {
        let field = |at: usize| fields.get(at).map_or("", String::as_str);
        let (number, reason) = match &self.layout {
            Layout::Split => (format!("{}{}", field(0), field(1)), ""),
            Layout::Columns { numbers, reason } => {
                let number = numbers.iter().map(|at| field(*at));
                let number = number.into_iter().find(|number| !number.is_empty());
                let reason = reason.map_or("", &field);
                (lists::meant(number.unwrap_or_default().to_owned()), reason)
            }
        };
        if reason.contains('\0') {
            return Err("the reason contains the character U+0000: remove it".to_owned());
        }
        let phone = Phone::parse_in(&number, self.region).map_err(|why| why.to_string())?;
        let reason = match reason {
            "" => self.reason.clone(),
            reason => lists::meant(reason.to_owned()),
        };
        Ok((phone, reason))
    }
}

/// Whether the row holds column names rather than the first number of a bare list.
fn is_header(fields: &[String]) -> bool {
    let is_named = |name: &String| names::NUMBER.is_own(name) || names::NUMBER.is_alike(name);
    fields.iter().any(is_named) || !fields.iter().any(|field| lists::looks_like_a_number(field))
}

impl Layout {
    fn named(header: &[String], args: &ImportArgs) -> Result<Self, Failure> {
        let mut numbers = Vec::new();
        let mut reason = None;
        for (name, field) in &args.read.map {
            let at = names::column(header, name)?;
            if names::NUMBER.is_own(field) || names::NUMBER.is_alike(field) {
                numbers.push(at);
            } else if names::REASON.is_own(field) {
                reason = Some(at);
            } else {
                return Err(Failure::failed(format!(
                    "--map {name:?}: there is no field {field:?}"
                ))
                .hint("the fields are phone and reason"));
            }
        }
        let is_free = |at: usize| !numbers.contains(&at) && reason != Some(at);
        let own = header.iter().position(|name| names::plain(name) == "phone");
        let found = match own {
            _ if !numbers.is_empty() => None,
            Some(own) => Some(own),
            None => names::NUMBER.find(header, is_free)?,
        };
        let reason = match reason {
            Some(reason) => Some(reason),
            None => names::REASON.find(header, is_free)?,
        };
        numbers.extend(found);
        if numbers.is_empty() {
            let names: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
            return Err(
                Failure::failed("the header has no column `phone`").hint(format!(
                    "its columns are {}: say which holds the number with --map COLUMN=phone",
                    names.join(", ")
                )),
            );
        }
        Ok(Self::Columns { numbers, reason })
    }

    /// The layout of a list without a header.
    fn of_bare(fields: &[String], args: &ImportArgs, line: u64) -> Result<Self, Failure> {
        if !args.read.map.is_empty() {
            let places: Vec<String> = (1..=fields.len()).map(|at| at.to_string()).collect();
            return Self::named(&places, args);
        }
        let digits = |at: usize, count: usize| {
            let field = fields.get(at).map_or("", String::as_str);
            field.len() == count && field.bytes().all(|byte| byte.is_ascii_digit())
        };
        if fields.len() == 2 && digits(0, 3) && digits(1, 7) {
            return Ok(Self::Split);
        }
        let is_number = |field: &String| lists::looks_like_a_number(field);
        if fields.first().is_some_and(|first| !is_number(first)) && fields.iter().any(is_number) {
            return Err(Failure::failed(format!(
                "the file has no header, and line {line} does not begin with a number"
            ))
            .hint("name the columns in a first line, or by their place, as in --map 2=phone"));
        }
        Ok(Self::Columns {
            numbers: vec![0],
            reason: Some(1),
        })
    }
}
