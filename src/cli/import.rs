//! `import`: calls from a list of any size (CSV, NDJSON or a workbook), with one result per row.
//!
//! A thread reads the file while the database writes: two batches are under way on two connections, and two more
//! wait. Beyond these rows only the numbers seen are kept in memory, and a workbook's sheet. A row that cannot be taken
//! harms no other row. Results come in file order, each after its batch is durable, so an interrupted import is
//! continued by importing the same file again, provided its rows have idempotency keys.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    thread,
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::results::{Counts, Results, RowResult};
use super::{Exit, Failure, Out, enqueue::Verdict};
use crate::{
    flow::{
        Queue,
        enqueue::{Enqueued, Request},
        queued::Wanted,
    },
    lists::{
        self, Opened,
        calls::{Refusal, Row, Rules, Source, check, numbers_mut},
    },
};

mod results;

/// Rows per round trip: enough to make the trip's cost negligible, few enough to keep the transaction short.
const BATCH: usize = 2000;
/// Concurrent batches, each on its own connection.
const AT_ONCE: usize = 2;
/// Batches between two wakes of the workers. The first batch wakes them at once.
const WAKE_EVERY: u64 = 16;

/// Rows shown by a dry run, as they are understood.
const SHOWN: usize = 3;
/// Only the first lines are searched for rows to show.
const FIRST_LINES: u64 = 20;

/// Enqueue calls from a CSV or NDJSON file, or a workbook.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// CSV, a workbook (xlsx, xls, ods), or NDJSON with one request per line; `-` is stdin.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// How rows become requests.
    #[command(flatten)]
    pub rules: Rules,
    /// Leave out numbers that already have a call waiting or in flight in their campaign.
    #[arg(long)]
    pub skip_queued: bool,
    /// Enqueue nothing: say how the file is read, show its first rows, and list rows that cannot be taken. Uses no
    /// database, so campaigns and the do-not-call list are not checked.
    #[arg(long)]
    pub dry_run: bool,
    /// Write one result per row to this CSV file. Default: stdout, unless stdout is a terminal.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
}

/// The columns, for `pgdial import --help`.
pub(super) const COLUMNS: &str = "\
Columns of CSV and of a sheet, in any order, and in any spelling of case, spaces and signs:
  to              the number to ring (required); without it the one column with a name like
                  Phone, Phone Number, Mobile, Number, Telefon. Where several have such names,
                  --map says which; several of one person with semicolons, or with --all-numbers
                  from several columns
  scriptId        what the provider should say (or --script)
  timezone        where the callee is, as in America/New_York; several with semicolons
  region          the same as a country, or a part of it, as in US-FL; with --region US also
                  FL or Florida (from another column: --map State=region)
  campaign, from, priority, runAt, expiresAt, maxAttempts, idempotencyKey
  consent_at, consent_ref, consent_expires_at
                  when the callee agreed to be called, where that is recorded, when it ends
  metadata        a JSON object, passed to the provider
  metadata.NAME   one text of it; wins over the same name in metadata
Any other column is metadata under its own name. An empty field is as if it were not there, and a
row that is shorter than the header as if its last fields were empty. A list of numbers alone
needs no header. The columns of `calls export` are understood: of such a file the waiting calls
are taken.

A line of NDJSON is the body of a POST /api/v1/calls, with idempotencyKey inside, of at most
64 KiB; empty lines are passed over.

Results, one a row: line, result (created, duplicate, skipped, error; with --dry-run: valid), id,
code, detail. A duplicate has the idempotencyKey of a call that there is; skipped are the second
row of a number (same_number), numbers that wait already (queued), exported calls that do not wait
(not_waiting). With --json they are JSON, one object a line.";

/// Imports the file. Without a queue it only reads it and says what it understood.
pub async fn run(
    args: &ImportArgs,
    calls: Option<&Queue>,
    by: &str,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let file = Opened::path(&args.file, &args.rules.read)?;
    let size = file.size;
    let source = Source::open(file, &args.file, &args.rules)?;
    if args.dry_run || !source.is_as_expected() {
        out.note(source.about(args.dry_run));
    }
    let mut results = Results::open(args.results.as_deref(), out)?;
    let mut import = Import {
        progress: progress(size),
        counts: Counts::default(),
        unknown: Vec::new(),
    };
    let ended = import
        .run(read(source, args)?, calls, by, &mut results, out)
        .await;
    import.progress.finish_and_clear();
    let counts = import.counts;
    if !import.unknown.is_empty() {
        cut_off(&counts, &import.unknown, out);
    }
    let noted = match calls {
        Some(calls) => note(calls, &args.file, &counts, by).await,
        None => Ok(()),
    };
    ended?;
    noted?;
    results.end(&counts, out)?;
    Ok(if counts.errors == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// Keeps the import in the audit, also one that was cut off.
async fn note(calls: &Queue, file: &Path, counts: &Counts, by: &str) -> Result<(), Failure> {
    if counts.created + counts.duplicates > 0 {
        let name = file.file_name().filter(|name| *name != "-");
        let list = name.map_or("standard input".into(), OsStr::to_string_lossy);
        let counts = json!({
            "created": counts.created, "duplicates": counts.duplicates, "skipped": counts.skipped, "notTaken": counts.errors,
        });
        calls.note_import(&list, &counts, by).await?;
    }
    Ok(())
}

/// Progress of one import.
struct Import {
    progress: ProgressBar,
    counts: Counts,
    /// First and last lines of batches whose commit nobody can confirm.
    unknown: Vec<(u64, u64)>,
}

impl Import {
    /// Runs until the file ends or something fails; batches under way still complete.
    async fn run(
        &mut self,
        mut batches: mpsc::Receiver<Result<Batch, Failure>>,
        calls: Option<&Queue>,
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
                        show(&batch.rows, out);
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

/// Consecutive rows and the file position after them. No rows: the file has ended.
struct Batch {
    rows: Vec<Ready>,
    position: u64,
}

impl Batch {
    fn read(source: &mut Source, how: How) -> Result<Self, lists::Error> {
        let (rows, position) = source.batch(BATCH)?;
        let rows = rows.into_iter().map(|row| Ready::from(row, how));
        Ok(Self {
            rows: rows.collect(),
            position,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct How {
    dry_run: bool,
    skip_queued: bool,
}

/// A row on its way to the database. In a dry run it has no request.
struct Ready {
    line: u64,
    request: Result<Option<Request>, Refusal>,
    /// In a dry run, the request as understood.
    shown: Option<Value>,
    /// Set by `--skip-queued`.
    wanted: Option<Wanted>,
}

impl Ready {
    fn from(Row { line, request }: Row, how: How) -> Self {
        let (mut shown, mut wanted) = (None, None);
        let request = request.and_then(|request| {
            if how.dry_run {
                check(&request)?;
                shown = Some(request);
                return Ok(None);
            }
            if how.skip_queued {
                wanted = Wanted::of(&request);
            }
            let request = Request::new(&request).map_err(|error| error.to_string())?;
            Ok(Some(request))
        });
        Self {
            line,
            request,
            shown,
            wanted,
        }
    }
}

/// Shows the first rows of a dry run as they are understood.
fn show(rows: &[Ready], out: &mut Out) {
    let understood = rows
        .iter()
        .filter_map(|row| Some((row.line, row.shown.as_ref()?)));
    for (line, request) in understood
        .filter(|(line, _)| *line <= FIRST_LINES)
        .take(SHOWN)
    {
        let mut request = request.clone();
        for name in ["to", "from"] {
            for spelled in numbers_mut(request.get_mut(name)) {
                if let Value::String(number) = spelled {
                    *number = out.phone(number);
                }
            }
        }
        out.note(format!("line {line}: {request}"));
    }
}

/// Reads in a thread of its own, ahead of the database. Nobody joins it, because a pipe may never deliver its next
/// byte; it ends once nobody receives its batches.
fn read(
    mut source: Source,
    args: &ImportArgs,
) -> Result<mpsc::Receiver<Result<Batch, Failure>>, Failure> {
    let (sender, batches) = mpsc::channel(1);
    let how = How {
        dry_run: args.dry_run,
        skip_queued: args.skip_queued,
    };
    let read = move || {
        loop {
            let batch = Batch::read(&mut source, how).map_err(Failure::from);
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

/// On stderr, and drawn only on a terminal: indicatif checks.
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

/// A batch and what the database said, or that it failed.
struct Done {
    /// The first and last lines of the batch.
    lines: (u64, u64),
    position: u64,
    taken: Result<Vec<RowResult>, Failure>,
}

async fn enqueue(batch: Batch, number: u64, calls: Option<&Queue>, by: &str) -> Done {
    let Batch { rows, position } = batch;
    let line = |row: Option<&Ready>| row.map_or(0, |row| row.line);
    let lines = (line(rows.first()), line(rows.last()));
    let taken = match calls {
        Some(calls) => enqueue_rows(rows, number, calls, by).await,
        None => told(
            rows.into_iter()
                .map(|row| (row.line, row.request.map(drop))),
            None,
        ),
    };
    Done {
        lines,
        position,
        taken,
    }
}

async fn enqueue_rows(
    mut rows: Vec<Ready>,
    number: u64,
    calls: &Queue,
    by: &str,
) -> Result<Vec<RowResult>, Failure> {
    leave_out_queued(&mut rows, calls, by).await?;
    let mut requests = Vec::with_capacity(rows.len());
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let asked = row.request.map(|request| requests.extend(request));
            (row.line, asked)
        })
        .collect();
    let answers = calls.enqueue_all(by, &requests).await;
    if number.is_multiple_of(WAKE_EVERY) {
        // Workers can start on what is durable while the rest is still being read.
        calls.send_wakes().await;
    }
    told(rows, Some(answers?))
}

/// Drops numbers that already have a call queued. A call enqueued concurrently is missed, which breaks no promise:
/// the claim still rings one call per number at a time.
async fn leave_out_queued(rows: &mut [Ready], calls: &Queue, by: &str) -> Result<(), Failure> {
    let (mut places, mut wanted) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter_mut().enumerate() {
        if let Some(one) = row.wanted.take() {
            places.push(place);
            wanted.push(one);
        }
    }
    for (at, id) in calls.queued(by, &wanted).await? {
        if let Some(row) = places.get(at).and_then(|place| rows.get_mut(*place)) {
            row.request = Err(Refusal::queued(id));
        }
    }
    Ok(())
}

/// One result per row, from the answers for rows that had a request. In a dry run there are no answers.
fn told(
    rows: impl IntoIterator<Item = (u64, Result<(), Refusal>)>,
    answers: Option<Vec<Enqueued>>,
) -> Result<Vec<RowResult>, Failure> {
    let mut answers = answers.map(Vec::into_iter);
    let results = rows.into_iter().map(|(line, asked)| match asked {
        Err(refusal) if refusal.is_error => {
            Ok(RowResult::error(line, refusal.code, refusal.detail))
        }
        Err(refusal) => Ok(RowResult::skipped(line, refusal.code, refusal.detail)),
        Ok(()) => match &mut answers {
            None => Ok(RowResult::valid(line)),
            Some(answers) => match answers.next() {
                Some(answer) => Ok(taken(line, &answer)),
                None => Err(Failure::failed(
                    "the database gave fewer answers than requests",
                )),
            },
        },
    });
    results.collect()
}

fn taken(line: u64, answer: &Enqueued) -> RowResult {
    let Verdict { word, id, detail } = Verdict::of(answer);
    match (word, id) {
        (word, Some(id)) => RowResult::call(line, word, id),
        (word, None) => RowResult::error(line, word, detail.unwrap_or_default()),
    }
}

/// Says what is certain and what is not after losing the database midway.
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
    /// Prints the totals.
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
