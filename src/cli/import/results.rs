//! One result per row, to a file or to stdout, and the totals.

use std::{fmt, fs::File, io::Write, path::Path};

use serde::Serialize;

use crate::{
    cli::{Failure, Out},
    domain::CallId,
};

/// Rows shown at the end if the results go nowhere else.
const SHOWN: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RowResult {
    line: u64,
    result: &'static str,
    id: Option<CallId>,
    code: Option<String>,
    detail: Option<String>,
}

impl RowResult {
    pub(super) const fn call(line: u64, result: &'static str, id: CallId) -> Self {
        Self {
            line,
            result,
            id: Some(id),
            code: None,
            detail: None,
        }
    }

    pub(super) const fn valid(line: u64) -> Self {
        Self {
            line,
            result: "valid",
            id: None,
            code: None,
            detail: None,
        }
    }

    pub(super) fn skipped(line: u64, code: &str, detail: String) -> Self {
        Self {
            result: "skipped",
            ..Self::error(line, code, detail)
        }
    }

    pub(super) fn error(line: u64, code: &str, detail: String) -> Self {
        Self {
            line,
            result: "error",
            id: None,
            code: Some(code.to_owned()),
            detail: Some(detail),
        }
    }
}

/// Totals.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) duplicates: u64,
    pub(super) valid: u64,
    pub(super) skipped: u64,
    pub(super) errors: u64,
}

impl Counts {
    pub(super) fn add(&mut self, results: &[RowResult]) {
        for result in results {
            let count = match result.result {
                "created" => &mut self.created,
                "duplicate" => &mut self.duplicates,
                "valid" => &mut self.valid,
                "skipped" => &mut self.skipped,
                _ => &mut self.errors,
            };
            *count += 1;
        }
    }

    pub(super) const fn rows(&self) -> u64 {
        self.created + self.duplicates + self.valid + self.skipped + self.errors
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.created, "created"),
            (self.duplicates, "duplicate"),
            (self.valid, "valid"),
            (self.skipped, "skipped"),
            (self.errors, "with errors"),
        ];
        let rows = self.rows();
        write!(f, "{rows} {}", if rows == 1 { "row" } else { "rows" })?;
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        for (at, (count, word)) in parts.enumerate() {
            write!(f, "{} {count} {word}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

#[derive(Debug)]
enum To {
    File(File),
    Stdout,
    /// The reader has gone, or nobody wants the results: the import goes on all the same.
    Nowhere,
}

#[derive(Debug)]
pub(super) struct Results {
    to: To,
    json: bool,
    begun: bool,
    first_odd: Vec<RowResult>,
}

impl Results {
    pub(super) fn open(file: Option<&Path>, out: &Out) -> Result<Self, Failure> {
        let to = match file {
            Some(path) => To::File(File::create(path).map_err(|error| {
                Failure::failed(format!("{} cannot be written: {error}", path.display()))
            })?),
            None if out.style.json || !out.style.terminal => To::Stdout,
            None => To::Nowhere,
        };
        Ok(Self {
            // A results file is always CSV, whatever `--json` says.
            json: out.style.json && matches!(to, To::Stdout),
            to,
            begun: false,
            first_odd: Vec::new(),
        })
    }

    /// Writes one batch at once, so that the file shows what is durable even if the process is killed.
    pub(super) fn write(&mut self, results: &[RowResult], out: &mut Out) -> Result<(), Failure> {
        let told = ["error", "skipped"];
        let odd = results
            .iter()
            .filter(|result| told.contains(&result.result));
        let missing = SHOWN - self.first_odd.len().min(SHOWN);
        self.first_odd.extend(odd.take(missing).cloned());
        let bytes = self.in_bytes(results)?;
        match &mut self.to {
            To::Nowhere => Ok(()),
            To::File(file) => Ok(file.write_all(&bytes)?),
            To::Stdout => {
                let written = out.data().write_all(&bytes).map_err(Failure::from);
                if let Err(Failure::ReaderGone) = written {
                    self.to = To::Nowhere;
                    return Ok(());
                }
                written
            }
        }
    }

    fn in_bytes(&mut self, results: &[RowResult]) -> Result<Vec<u8>, Failure> {
        if self.json {
            let lines = results.iter().map(serde_json::to_string);
            let lines: Vec<String> = lines
                .collect::<Result<_, _>>()
                .map_err(std::io::Error::from)?;
            return Ok((lines.join("\n") + "\n").into_bytes());
        }
        let mut writer = csv::WriterBuilder::new()
            .has_headers(!self.begun)
            .from_writer(Vec::new());
        self.begun = true;
        for result in results {
            writer
                .serialize(result)
                .map_err(|error| Failure::failed(error.to_string()))?;
        }
        writer
            .into_inner()
            .map_err(|error| Failure::failed(error.to_string()))
    }

    pub(super) const fn are_in_a_file(&self) -> bool {
        matches!(self.to, To::File(_))
    }

    /// Shows the first rows that were not taken, for a person who sees no results otherwise.
    pub(super) fn last_words(&self, out: &mut Out) {
        if !matches!(self.to, To::Nowhere) {
            return;
        }
        for row in &self.first_odd {
            let detail = row.detail.as_deref().unwrap_or_default();
            let word = if row.result == "skipped" {
                "skipped: "
            } else {
                ""
            };
            out.note(format!("line {}: {word}{detail}", row.line));
        }
        if self.first_odd.len() == SHOWN {
            out.note("there may be more: --results FILE keeps the result of every row");
        }
    }
}
