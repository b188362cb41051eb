//! Requests from the rows of a file, as `POST /calls` takes them.
//!
//! Whether a request can be taken is decided in SQL, where every way in goes through;
//! here only its form is read. [`check`] repeats as much of it as needs no database, for
//! `--dry-run`.

use std::io::{self, Read};

use csv::{ErrorKind, StringRecord};
use serde_json::{Map, Value};

use super::ImportArgs;
use crate::{
    cli::{Failure, values},
    domain::{CallRequest, Phone},
};

const FIELDS: [&str; 9] = [
    "to",
    "scriptId",
    "campaign",
    "from",
    "priority",
    "runAt",
    "expiresAt",
    "maxAttempts",
    "idempotencyKey",
];

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Field(&'static str),
    Metadata,
    MetadataOf(String),
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        match (name, name.strip_prefix("metadata.")) {
            ("metadata", _) => Some(Self::Metadata),
            (_, Some("")) => None,
            (_, Some(key)) => Some(Self::MetadataOf(key.to_owned())),
            _ => FIELDS
                .iter()
                .find(|field| **field == name)
                .map(|field| Self::Field(field)),
        }
    }
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it begins in the file, from 1.
    pub(super) line: u64,
    /// The request, or why there is none.
    pub(super) request: Result<Value, String>,
}

/// The rows of one file.
pub(super) struct Rows<R> {
    reader: csv::Reader<Bounded<R>>,
    columns: Vec<Column>,
    usual: Usual,
    /// Of the last record.
    position: u64,
}

/// What the command line gives to rows that do not say.
pub(super) struct Usual {
    campaign: Option<String>,
    script: Option<String>,
    key_prefix: Option<String>,
}

impl Usual {
    pub(super) fn of(args: &ImportArgs) -> Self {
        Self {
            campaign: args.campaign.clone(),
            script: args.script.clone(),
            key_prefix: args.key_prefix.clone(),
        }
    }

    pub(super) fn fill_in(&self, request: &mut Map<String, Value>, line: u64) {
        let mut fill = |name: &str, value: &dyn Fn() -> String| {
            if !request.contains_key(name) {
                request.insert(name.to_owned(), value().into());
            }
        };
        if let Some(campaign) = &self.campaign {
            fill("campaign", &|| campaign.clone());
        }
        if let Some(script) = &self.script {
            fill("scriptId", &|| script.clone());
        }
        if let Some(prefix) = &self.key_prefix {
            fill("idempotencyKey", &|| format!("{prefix}:{line}"));
        }
    }
}

/// Bytes of one row at most. A quote that is never closed makes one row of the rest of the
/// file, which would be kept in memory as a whole.
const LARGEST_ROW: usize = 1024 * 1024;

/// A reader that gives no more than so much until it is told to go on.
pub(super) struct Bounded<R> {
    reader: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(
                "a row is larger than 1 MiB: is a quote not closed?",
            ));
        }
        let most = into.len().min(self.left);
        let read = self.reader.read(into.get_mut(..most).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}

impl<R: Read> Rows<R> {
    /// Reads the header, which must be right as a whole.
    pub(super) fn open(reader: R, args: &ImportArgs) -> Result<Self, Failure> {
        let delimiter = u8::try_from(args.delimiter)
            .map_err(|_wide| Failure::usage("--delimiter is one ASCII character"))?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .buffer_capacity(64 * 1024)
            .from_reader(Bounded {
                reader,
                left: LARGEST_ROW,
            });
        let header = reader
            .headers()
            .map_err(|error| unreadable(&error))?
            .clone();
        let columns = columns(&header, args.script.is_some())?;
        Ok(Self {
            reader,
            columns,
            usual: Usual::of(args),
            position: 0,
        })
    }

    /// Bytes read, for the progress bar.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The next rows, at most so many; none at the end.
    pub(super) fn batch(&mut self, most: usize) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::with_capacity(most);
        let mut record = StringRecord::new();
        while rows.len() < most {
            let line = self.reader.position().line();
            self.reader.get_mut().left = LARGEST_ROW;
            match self.reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => rows.push(Row {
                    line: record.position().map_or(line, csv::Position::line),
                    request: self.request(&record),
                }),
                Err(error) => rows.push(broken(&error, line)?),
            }
        }
        self.position = self.reader.position().byte();
        Ok(rows)
    }

    fn request(&self, record: &StringRecord) -> Result<Value, String> {
        let mut request = Map::new();
        let (mut metadata, mut keys) = (None, Map::new());
        for (column, field) in self.columns.iter().zip(record) {
            match column {
                _ if field.is_empty() => {}
                Column::Field(name @ ("priority" | "maxAttempts")) => {
                    request.insert((*name).to_owned(), number(field));
                }
                Column::Field(name) => {
                    request.insert((*name).to_owned(), field.into());
                }
                Column::Metadata => {
                    let object = values::object(field).map_err(|why| format!("metadata: {why}"))?;
                    metadata = Some(object);
                }
                Column::MetadataOf(key) => {
                    keys.insert(key.clone(), field.into());
                }
            }
        }
        if metadata.is_some() || !keys.is_empty() {
            let mut metadata = metadata.unwrap_or_default();
            metadata.extend(keys);
            request.insert("metadata".to_owned(), metadata.into());
        }
        let line = record.position().map_or(0, csv::Position::line);
        self.usual.fill_in(&mut request, line);
        Ok(request.into())
    }
}

/// A number, or the text as it is: SQL then says what it should have been.
fn number(field: &str) -> Value {
    field
        .parse::<i64>()
        .map_or_else(|_| field.into(), Value::from)
}

fn columns(header: &StringRecord, has_script: bool) -> Result<Vec<Column>, Failure> {
    let known = format!(
        "known are {}, metadata and metadata.NAME",
        FIELDS.join(", ")
    );
    if header.is_empty() {
        return Err(
            Failure::failed("the file is empty: its first line names the columns").hint(known),
        );
    }
    let mut columns = Vec::new();
    let mut unknown = Vec::new();
    for name in header {
        match Column::named(name) {
            Some(column) if columns.contains(&column) => {
                return Err(Failure::failed(format!(
                    "the header has the column {name:?} twice"
                )));
            }
            Some(column) => columns.push(column),
            None => unknown.push(format!("{name:?}")),
        }
    }
    if !unknown.is_empty() {
        let hint = match header.get(0) {
            Some(first) if header.len() == 1 && first.contains([';', '\t', '|']) => {
                "is another character between the fields? --delimiter says which".to_owned()
            }
            _ => known,
        };
        let unknown = unknown.join(", ");
        return Err(
            Failure::failed(format!("the header has unknown columns: {unknown}")).hint(hint),
        );
    }
    if !columns.contains(&Column::Field("to")) {
        return Err(
            Failure::failed("the header has no column \"to\", the number to ring").hint(known),
        );
    }
    if !has_script && !columns.contains(&Column::Field("scriptId")) {
        return Err(Failure::failed("the header has no column \"scriptId\"")
            .hint("add it, or give all rows one script with --script"));
    }
    Ok(columns)
}

/// A record that is none: the next one may be right again, unless the file itself fails.
fn broken(error: &csv::Error, line: u64) -> Result<Row, Failure> {
    let at = error.position().map_or(line, csv::Position::line);
    let why = match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let fields = if *len == 1 { "field" } else { "fields" };
            format!(
                "the row has {len} {fields}, the header {expected_len}: is a field with a comma not quoted?"
            )
        }
        ErrorKind::Utf8 { .. } => "the row is not UTF-8".to_owned(),
        _ => return Err(unreadable(error)),
    };
    Ok(Row {
        line: at,
        request: Err(why),
    })
}

fn unreadable(error: &csv::Error) -> Failure {
    Failure::failed(format!("the file cannot be read: {error}"))
}

/// What can be said about a request without the database.
pub(super) fn check(request: &Value) -> Result<(), String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    if text("to").is_none() {
        return Err("\"to\" is missing: the number to ring, as in +14155550100".to_owned());
    }
    if text("scriptId").is_none() {
        return Err("\"scriptId\" is missing: what the provider should say".to_owned());
    }
    for name in ["to", "from"] {
        if let Some(number) = text(name) {
            Phone::parse(number).map_err(|why| format!("{name:?}: {why}"))?;
        }
    }
    for (name, least, most) in [("priority", 0, 9), ("maxAttempts", 1, 20)] {
        if let Some(number) = request.get(name)
            && !number
                .as_i64()
                .is_some_and(|number| (least..=most).contains(&number))
        {
            return Err(format!(
                "{name:?} must be a whole number from {least} to {most}"
            ));
        }
    }
    for name in ["runAt", "expiresAt"] {
        if let Some(time) = text(name) {
            chrono::DateTime::parse_from_rfc3339(time).map_err(|_not_one| {
                format!(
                    "{name:?} must be an RFC 3339 time with an offset, as in 2026-01-31T09:00:00Z"
                )
            })?;
        }
    }
    serde_json::from_value::<CallRequest>(request.clone())
        .map(drop)
        .map_err(|error| error.to_string())
}
