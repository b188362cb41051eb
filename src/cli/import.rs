//! `import`: calls from a CSV or NDJSON file of any size, with one result for each row.
//!
//! A thread reads the file while the database writes: two batches are under way on two
//! connections, two more wait, and that is all that is kept in memory. A row that cannot
//! be taken harms no other one, and results are told in the order of the file, each after
//! its batch is durable; so an import that is cut off is continued by importing the same
//! file again, if its rows have idempotency keys.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::mpsc;

use self::{
    lines::Lines,
    results::{Counts, Results, RowResult},
    rows::{Row, Rows},
};
use super::{Exit, Failure, Out, enqueue::Verdict};
use crate::flow::{
    Calls,
    enqueue::{Enqueued, Request},
};

// One result for each row.
mod results;

// Requests from the rows of a CSV file.
mod rows;

// Requests from the lines of an NDJSON file.
mod lines;

/// Rows in one round trip: large enough that the trip does not count, small enough that
/// its transaction is short.
const BATCH: usize = 2000;
/// Batches under way at the same time, each on a connection of its own.
const AT_ONCE: usize = 2;
/// After so many batches the workers are told; the first one tells them at once.
const WAKE_EVERY: u64 = 16;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header, then one row for each call.
    Csv,
    /// One JSON object a line, as POST /calls takes it.
    Ndjson,
}

impl Format {
    /// What the name of the file says.
    fn of(file: &Path) -> Self {
        let extension = file.extension().unwrap_or_default();
        if extension.eq_ignore_ascii_case("ndjson") || extension.eq_ignore_ascii_case("jsonl") {
            Self::Ndjson
        } else {
            Self::Csv
        }
    }
}

/// Calls from a CSV or NDJSON file.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// CSV with a header, or NDJSON with one request a line; `-` is stdin.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// How it is written. Default: ndjson for FILE.ndjson and FILE.jsonl, else csv.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
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
    /// What stands between the fields of CSV.
    #[arg(long, value_name = "CHAR", default_value = ",")]
    pub delimiter: char,
}

/// For `pgdial import --help`.
pub(super) const COLUMNS: &str = "\
Columns of CSV, in any order; an unknown one is refused:
  to              the number to ring, E.164 (required)
  scriptId        what the provider should say (or --script)
  campaign, from, priority, runAt, expiresAt, maxAttempts, idempotencyKey
  metadata        a JSON object, passed to the provider
  metadata.NAME   one text of it; wins over the same name in metadata
An empty field is as if it were not there.

A line of NDJSON is the body of a POST /api/v1/calls, with idempotencyKey inside, of at most
64 KiB; empty lines are passed over.

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
    let source = match args.format.unwrap_or_else(|| Format::of(&args.file)) {
        Format::Csv => Source::Csv(Rows::open(reader, args)?),
        Format::Ndjson => Source::Ndjson(Lines::open(reader, args)),
    };
    let mut results = Results::open(args.results.as_deref(), out)?;
    let mut import = Import {
        progress: progress(size),
        counts: Counts::default(),
        unknown: Vec::new(),
    };
    let ended = import
        .run(read(source, calls.is_none())?, calls, by, &mut results, out)
        .await;
    import.progress.finish_and_clear();
    let counts = import.counts;
    if !import.unknown.is_empty() {
        cut_off(&counts, &import.unknown, out);
    }
    ended?;
    results.end(&counts, out)?;
    Ok(if counts.errors == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// What is being imported.
struct Import {
    progress: ProgressBar,
    counts: Counts,
    /// First and last lines of the batches of which nobody knows what became.
    unknown: Vec<(u64, u64)>,
}

impl Import {
    /// Until the file ends, or something fails; what is under way then still ends.
    async fn run(
        &mut self,
        mut batches: mpsc::Receiver<Result<Batch, Failure>>,
        calls: Option<&Calls>,
        by: &str,
        results: &mut Results,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let mut under_way = FuturesOrdered::new();
        let mut failure = None;
        let mut has_more = true;
        let mut number = 0;
        loop {
            tokio::select! {
                batch = batches.recv(), if has_more && under_way.len() < AT_ONCE => match batch {
                    Some(Ok(batch)) if batch.rows.is_empty() => has_more = false,
                    Some(Ok(batch)) => {
                        under_way.push_back(enqueue(batch, number, calls, by));
                        number += 1;
                    }
                    ended => {
                        has_more = false;
                        failure = Some(match ended {
                            Some(Err(failure)) => failure,
                            _ => Failure::failed("the file was not read to its end"),
                        });
                    }
                },
                Some(done) = under_way.next() => {
                    if let Err(why) = self.note(done, results, out) {
                        has_more = false;
                        failure.get_or_insert(why);
                    }
                }
                else => break,
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn note(&mut self, done: Done, results: &mut Results, out: &mut Out) -> Result<(), Failure> {
        let taken = done.taken.inspect_err(|_| self.unknown.push(done.lines))?;
        self.counts.add(&taken);
        results.write(&taken, out)?;
        self.progress.set_position(done.position);
        let (rows, errors) = (self.counts.rows(), self.counts.errors);
        self.progress
            .set_message(format!("{rows} rows, {errors} errors"));
        Ok(())
    }
}

/// Where rows come from.
enum Source<R> {
    Csv(Rows<R>),
    Ndjson(Lines<R>),
}

impl<R: Read> Source<R> {
    fn batch(&mut self, dry_run: bool) -> Result<Batch, Failure> {
        let (rows, position) = match self {
            Self::Csv(rows) => (rows.batch(BATCH)?, rows.position()),
            Self::Ndjson(lines) => (lines.batch(BATCH)?, lines.position()),
        };
        let rows = rows.into_iter().map(|row| Ready::from(row, dry_run));
        Ok(Batch {
            rows: rows.collect(),
            position,
        })
    }
}

/// Rows that follow each other, and where the file is after them. None: the file has ended.
struct Batch {
    rows: Vec<Ready>,
    position: u64,
}

/// A row as it goes to the database; no request in a dry run.
struct Ready {
    line: u64,
    request: Result<Option<Request>, String>,
}

impl Ready {
    fn from(Row { line, request }: Row, dry_run: bool) -> Self {
        let request = request.and_then(|request| {
            if dry_run {
                return rows::check(&request).map(|()| None);
            }
            let request = Request::new(&request).map_err(|error| error.to_string())?;
            Ok(Some(request))
        });
        Self { line, request }
    }
}

/// A thread of its own: it reads on while the database writes. Nobody waits for its end, since
/// a pipe may never give the next byte; it ends when nobody takes its batches.
fn read<R: Read + Send + 'static>(
    mut source: Source<R>,
    dry_run: bool,
) -> Result<mpsc::Receiver<Result<Batch, Failure>>, Failure> {
    let (sender, batches) = mpsc::channel(1);
    let read = move || {
        loop {
            let batch = source.batch(dry_run);
            let is_last = batch.as_ref().map_or(true, |batch| batch.rows.is_empty());
            if sender.blocking_send(batch).is_err() || is_last {
                break;
            }
        }
    };
    thread::Builder::new()
        .name("import".to_owned())
        .spawn(read)?;
    Ok(batches)
}

/// The file, or stdin, and its size where that is known.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
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

/// A batch that has been answered, or has not.
struct Done {
    /// The first and the last.
    lines: (u64, u64),
    position: u64,
    taken: Result<Vec<RowResult>, Failure>,
}

async fn enqueue(batch: Batch, number: u64, calls: Option<&Calls>, by: &str) -> Done {
    let Batch { rows, position } = batch;
    let line = |row: Option<&Ready>| row.map_or(0, |row| row.line);
    let lines = (line(rows.first()), line(rows.last()));
    let mut requests = Vec::with_capacity(rows.len());
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let asked = row.request.map(|request| request.map(|r| requests.push(r)));
            (row.line, asked)
        })
        .collect();
    let answers = match calls {
        Some(calls) => calls.enqueue_all(by, &requests).await,
        None => Ok(Vec::new()),
    };
    if let Some(calls) = calls
        && number.is_multiple_of(WAKE_EVERY)
    {
        // Workers may begin with what is durable, while the rest is still read.
        calls.send_wakes().await;
    }
    Done {
        lines,
        position,
        taken: answers
            .map_err(Failure::from)
            .and_then(|answers| told(rows, answers)),
    }
}

/// A result for each row, from the answers for those that had a request.
fn told(
    rows: Vec<(u64, Result<Option<()>, String>)>,
    answers: Vec<Enqueued>,
) -> Result<Vec<RowResult>, Failure> {
    let mut answers = answers.into_iter();
    let results = rows.into_iter().map(|(line, asked)| match asked {
        Err(problem) => Ok(RowResult::error(line, "invalid", problem)),
        Ok(None) => Ok(RowResult::valid(line)),
        Ok(Some(())) => match answers.next() {
            Some(answer) => Ok(taken(line, &answer)),
            None => Err(Failure::failed(
                "the database gave fewer answers than requests",
            )),
        },
    });
    results.collect()
}

fn taken(line: u64, answer: &Enqueued) -> RowResult {
    let Verdict { word, id, detail } = Verdict::of(answer);
    match (word, id) {
        ("new", Some(id)) => RowResult::call(line, "created", id),
        (_, Some(id)) => RowResult::call(line, "duplicate", id),
        (word, None) => RowResult::error(line, word, detail.unwrap_or_default().to_owned()),
    }
}

/// What is certain, and what is not, when the database goes away in the middle.
fn cut_off(counts: &Counts, unknown: &[(u64, u64)], out: &mut Out) {
    let lines: Vec<String> = unknown
        .iter()
        .map(|(first, last)| format!("{first} to {last}"))
        .collect();
    out.note(format!(
        "cut off after {counts}; whether lines {} were enqueued is not known",
        lines.join(" and ")
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
