//! Calls from a list: what each column is, and the request of each row.
//!
//! SQL decides whether a request is accepted, as it does for every other way in; here only the form is read. A row that
//! cannot be read is told with its line and harms no other.

use std::path::Path;

use self::{lines::Lines, requests::Requests, rows::Rows};
use super::{Error, Opened, ReadArgs};

mod columns;
mod headed;
mod lines;
mod parts;
mod requests;
mod rows;

pub(crate) use self::{
    headed::Headed,
    requests::{Refusal, Row, check, numbers_mut},
};

/// Format of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header, then one row per call.
    Csv,
    /// One JSON object per line, as POST /calls takes it.
    Ndjson,
}

impl Format {
    /// By the first character of the file, else by its extension: a file that starts with `{` is NDJSON whatever its
    /// name.
    fn of(path: &Path, file: &Opened) -> Result<Self, Error> {
        let extension = path.extension().unwrap_or_default();
        let is_named = ["ndjson", "jsonl"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known));
        match file.first_char() {
            Some('[') => Err(Error::new("the file is one JSON array")
                .hint("write one object a line, as `jq -c '.[]'` does")),
            Some('{') => Ok(Self::Ndjson),
            _ if is_named => Ok(Self::Ndjson),
            _ => Ok(Self::Csv),
        }
    }
}

/// What to do with a row whose number occurred earlier in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnDuplicate {
    /// Leave it out, and say so.
    #[default]
    Skip,
    /// Report an error.
    Error,
    /// Make it a call of its own.
    Allow,
}

/// How rows become requests.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Rules {
    /// Format of the file. Default: NDJSON if the file starts with { or is named .ndjson or .jsonl, else CSV.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Campaign of rows that name none.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Script of rows that name none.
    #[arg(long, visible_alias = "script-id", value_name = "ID")]
    pub script: Option<String>,
    /// Whether rows may be read although nothing names a script: then each is refused for that alone.
    #[arg(skip)]
    pub script_may_lack: bool,
    /// Give rows without an idempotencyKey the key PREFIX:HASH, where HASH covers what the row asks for; importing
    /// the list again, reordered or saved anew, then makes no second call.
    #[arg(long, value_name = "PREFIX")]
    pub key_prefix: Option<String>,
    /// What to do with a row whose number occurred earlier in the file, in the same campaign and without the same
    /// idempotencyKey.
    #[arg(long, value_name = "WHAT", default_value = "skip")]
    pub on_duplicate: OnDuplicate,
    /// Where several columns are mapped to `to`, ring all numbers of a row, one after the other, in the order of the
    /// --map options. Default: only the first that is there.
    #[arg(long)]
    pub all_numbers: bool,
    /// Encoding, delimiter, sheet and columns.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// A list that is being read.
pub(crate) enum Source {
    List(Rows),
    /// NDJSON, with its encoding if that is worth mentioning.
    Lines(Lines, Option<&'static str>),
}

impl Source {
    pub(crate) fn open(file: Opened, path: &Path, rules: &Rules) -> Result<Self, Error> {
        let format = match rules.format {
            Some(format) => format,
            None => Format::of(path, &file)?,
        };
        let requests = Requests::of(rules);
        match format {
            Format::Csv => {
                let list = file.list(&rules.read, false)?;
                Ok(Self::List(Rows::open(list, rules, requests)?))
            }
            Format::Ndjson if !rules.read.map.is_empty() => {
                Err(Error::new("--map is about the columns of CSV"))
            }
            Format::Ndjson => {
                let encoding = file.encoding_name();
                Ok(Self::Lines(Lines::new(file.text(), requests), encoding))
            }
        }
    }

    /// Nothing about how it is read is worth mentioning.
    pub(crate) fn is_as_expected(&self) -> bool {
        match self {
            Self::List(rows) => rows.is_as_expected(),
            Self::Lines(_, encoding) => encoding.is_none(),
        }
    }

    /// How it is read, in words.
    pub(crate) fn about(&self, with_columns: bool) -> String {
        match self {
            Self::List(rows) if with_columns => {
                format!("read as {}; {}", rows.about(), rows.columns.in_words())
            }
            Self::List(rows) => format!("read as {}", rows.about()),
            Self::Lines(_, encoding) => {
                format!("read as NDJSON, {}", encoding.unwrap_or("UTF-8"))
            }
        }
    }

    /// Up to `most` rows, and the position in the file after them; no rows: it has ended.
    pub(crate) fn batch(&mut self, most: usize) -> Result<(Vec<Row>, u64), Error> {
        match self {
            Self::List(rows) => Ok((rows.batch(most)?, rows.position())),
            Self::Lines(lines, _) => Ok((lines.batch(most)?, lines.position())),
        }
    }
}

#[cfg(test)]
mod tests;
