//! `import`: calls from a CSV file, in batches, with one result for each row.
//!
//! Memory is bounded by one batch. A row that cannot be taken harms no other one, and a
//! batch is durable before the next one is read; so an import that is cut off is
//! continued by importing the same file again, if its rows have idempotency keys.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::{
    results::{Counts, Results, RowResult},
    rows::{Row, Rows},
};
use super::{Exit, Failure, Out, enqueue::Verdict};
use crate::flow::{Calls, enqueue::Enqueued};

// One result for each row.
mod results;

// Requests from the rows of a file.
mod rows;

/// Rows in one round trip: large enough that the trip does not count, small enough that
/// its transaction is short.
const BATCH: usize = 500;

/// Calls from a CSV file.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// CSV with a header; `-` is stdin.
    #[arg(value_name = "FILE.csv|-")]
    pub file: PathBuf,
    /// The campaign of rows that name none.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// The script of rows that name none.
    #[arg(long, visible_alias = "script-id", value_name = "ID")]
    pub script: Option<String>,
    /// Gives rows without an idempotencyKey the key PREFIX:LINE, so that importing the file again makes no second call.
    #[arg(long, value_name = "PREFIX")]
    pub key_prefix: Option<String>,
    /// Enqueue nothing: only say which rows could not be read. Needs no database, and so knows no campaigns and no do-not-call list.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the result of each row goes, as CSV. Default: stdout, unless that is a terminal.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// What stands between the fields.
    #[arg(long, value_name = "CHAR", default_value = ",")]
    pub delimiter: char,
}

/// For `pgdial import --help`.
pub(super) const COLUMNS: &str = "\
Columns, in any order; an unknown one is refused:
  to              the number to ring, E.164 (required)
  scriptId        what the provider should say (or --script)
  campaign, from, priority, runAt, expiresAt, maxAttempts, idempotencyKey
  metadata        a JSON object, passed to the provider
  metadata.NAME   one text of it; wins over the same name in metadata
An empty field is as if it were not there.

Results, one a row: line, result (created, duplicate, error; with --dry-run: valid), id, code, detail.
With --json they are JSON, one object a line.";

/// Imports, or only looks when there is no queue.
pub async fn run(
    args: &ImportArgs,
    calls: Option<&Calls>,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let (reader, size) = open(&args.file)?;
    let mut rows = Rows::open(reader, args)?;
    let mut results = Results::open(args.results.as_deref(), out)?;
    let progress = progress(size);
    let mut counts = Counts::default();
    loop {
        let batch = rows.batch(BATCH)?;
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            break;
        };
        let span = (first.line, last.line);
        let taken = match calls {
            Some(calls) => enqueue(batch, calls, by).await,
            None => Ok(batch.into_iter().map(looked_at).collect()),
        };
        let taken = taken.inspect_err(|_| {
            progress.finish_and_clear();
            cut_off(&counts, span, out);
        })?;
        counts.add(&taken);
        results.write(&taken, out)?;
        progress.set_position(rows.position());
        progress.set_message(format!("{} rows, {} errors", counts.rows(), counts.errors));
    }
    progress.finish_and_clear();
    results.end(&counts, out)?;
    Ok(if counts.errors == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// The file, or stdin, and its size where that is known.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((about, _)) if about.is_dir() => {
            Err(Failure::failed(format!("{} is a folder", path.display())))
        }
        Ok((about, file)) => Ok((Box::new(file), Some(about.len()))),
        Err(error) => Err(Failure::failed(format!(
            "{} cannot be read: {error}",
            path.display()
        ))),
    }
}

/// On stderr, and only when somebody looks at it: indicatif sees to that.
fn progress(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{bar:30} {percent:>3}%  {msg}  {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

async fn enqueue(batch: Vec<Row>, calls: &Calls, by: &str) -> Result<Vec<RowResult>, Failure> {
    let requests: Vec<Value> = batch
        .iter()
        .filter_map(|row| row.request.as_ref().ok().cloned())
        .collect();
    let mut answers = calls.enqueue(by, &requests).await?.into_iter();
    // Workers may begin with what is durable, while the rest is still read.
    calls.send_wakes().await;
    batch
        .into_iter()
        .map(|row| match row.request {
            Err(problem) => Ok(RowResult::error(row.line, "invalid", problem)),
            Ok(_) => match answers.next() {
                Some(answer) => Ok(taken(row.line, &answer)),
                None => Err(Failure::failed(
                    "the database gave fewer answers than requests",
                )),
            },
        })
        .collect()
}

fn taken(line: u64, answer: &Enqueued) -> RowResult {
    let Verdict { word, id, detail } = Verdict::of(answer);
    match (word, id) {
        ("new", Some(id)) => RowResult::call(line, "created", id),
        (_, Some(id)) => RowResult::call(line, "duplicate", id),
        (word, None) => RowResult::error(line, word, detail.unwrap_or_default().to_owned()),
    }
}

fn looked_at(row: Row) -> RowResult {
    match row.request.and_then(|request| rows::check(&request)) {
        Ok(()) => RowResult::valid(row.line),
        Err(problem) => RowResult::error(row.line, "invalid", problem),
    }
}

/// What is certain, and what is not, when the database goes away in the middle.
fn cut_off(counts: &Counts, (first, last): (u64, u64), out: &mut Out) {
    out.note(format!(
        "cut off after {counts}; whether lines {first} to {last} were enqueued is not known"
    ));
    out.note("rows with an idempotency key may be imported again: they make no second call");
}

impl Results {
    /// The sum of it.
    fn end(self, counts: &Counts, out: &mut Out) -> Result<(), Failure> {
        self.last_words(out);
        if out.style.json && self.are_in_a_file() {
            out.json(&json!(counts))?;
        }
        out.note(counts.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
