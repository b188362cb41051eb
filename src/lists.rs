//! Lists of numbers as people keep them: CSV from any spreadsheet, and workbooks; and the calls that they ask for.
//!
//! Encoding and delimiter are detected from the bytes and reported, never guessed silently. Nor is a row dropped
//! silently: what cannot be read as a row is an error with its line.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use encoding_rs::Encoding;
use serde_json::{Map, Value};

use crate::domain::{Phone, Region};

pub mod calls;
mod encoding;
pub(crate) mod names;
mod records;

// Calamine reads workbooks: xlsx, xls, xlsb, ods.
mod workbook;

pub(crate) use encoding::Decoder;
use records::Records;
use workbook::Workbook;

/// Why a list cannot be read, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// In one sentence.
    pub what: String,
    /// What to do about it, if we know.
    pub hint: Option<String>,
}

impl Error {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Bytes examined for the encoding of a pipe, the delimiter and the format.
const HEAD: usize = 64 * 1024;

/// How to read a list whose bytes do not say.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReadArgs {
    /// Encoding of the file, as in windows-1252. Default: detected.
    #[arg(long, value_name = "NAME", value_parser = encoding_named)]
    pub encoding: Option<&'static Encoding>,
    /// Delimiter of CSV fields: one character, or `tab`. Default: detected from the first lines.
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub delimiter: Option<Delimiter>,
    /// Region whose national format numbers are in, if they lack + and country code, as in US.
    #[arg(long, value_name = "REGION")]
    pub region: Option<Region>,
    /// Sheet of a workbook. Default: the first.
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Use a column as a field, as in --map "Mobile Phone=to"; `-` leaves it out. Without a header, columns are 1, 2,
    /// 3.
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = map)]
    pub map: Vec<(String, String)>,
}

/// A field delimiter: one ASCII character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiter(u8);

impl Delimiter {
    /// The delimiters that spreadsheets write.
    const USUAL: [Self; 4] = [Self(b','), Self(b';'), Self(b'\t'), Self(b'|')];

    fn name(self) -> String {
        match self.0 {
            b',' => "commas".to_owned(),
            b';' => "semicolons".to_owned(),
            b'\t' => "tabs".to_owned(),
            b'|' => "vertical bars".to_owned(),
            other => format!("{:?}", char::from(other)),
        }
    }
}

fn encoding_named(name: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(name.as_bytes()).ok_or_else(|| {
        "no encoding that is known, as in utf-8, utf-16le, windows-1252 or shift_jis".to_owned()
    })
}

fn delimiter(text: &str) -> Result<Delimiter, String> {
    match (text, text.as_bytes()) {
        ("tab" | "\\t", _) => Ok(Delimiter(b'\t')),
        (_, [b'"' | b'\r' | b'\n']) => Err("this character has a meaning of its own".to_owned()),
        (_, [one]) if one.is_ascii() => Ok(Delimiter(*one)),
        _ => Err("one ASCII character, or `tab`".to_owned()),
    }
}

fn map(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((column, field)) if !column.trim().is_empty() && !field.trim().is_empty() => {
            Ok((column.trim().to_owned(), field.trim().to_owned()))
        }
        _ => Err("write COLUMN=FIELD, as in \"Mobile Phone=to\"".to_owned()),
    }
}

/// One row of a list, or an error in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// First line of the row, counted as an editor does; in a workbook, the row of the sheet.
    pub(crate) line: u64,
    /// The trimmed fields, or why there are none.
    pub(crate) fields: Result<Vec<String>, String>,
    /// A stray quote may have torn this row apart, so it is taken only if it is whole.
    pub(crate) must_be_whole: bool,
}

/// An opened file whose content is not interpreted yet.
pub(crate) struct Opened {
    head: Vec<u8>,
    rest: Box<dyn Read + Send>,
    /// From the whole file if it can be read twice, else from its head.
    encoding: encoding::Found,
    /// In bytes; `None` for a pipe.
    pub(crate) size: Option<u64>,
}

impl Opened {
    /// Opens a file; `-` is stdin.
    pub(crate) fn path(path: &Path, args: &ReadArgs) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Self::reader(Box::new(io::stdin()), args);
        }
        let cannot =
            |error: io::Error| Error::new(format!("{} cannot be read: {error}", path.display()));
        let about = std::fs::metadata(path).map_err(cannot)?;
        if about.is_dir() {
            return Err(Error::new(format!("{} is a folder", path.display())));
        }
        let file = File::open(path).map_err(cannot)?;
        let mut opened = Self::reader(Box::new(file), args)?;
        // A pipe has a path too, but can be read only once.
        if about.is_file() && !opened.is_workbook() {
            opened.size = Some(about.len());
            if args.encoding.is_none() {
                opened.encoding =
                    encoding::Found::in_all(File::open(path).map_err(cannot)?).map_err(cannot)?;
            }
        }
        Ok(opened)
    }

    /// Opens a stream that can be read only once.
    pub(crate) fn reader(mut rest: Box<dyn Read + Send>, args: &ReadArgs) -> Result<Self, Error> {
        let mut head = Vec::new();
        rest.by_ref()
            .take(HEAD as u64)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(&error))?;
        let encoding = match args.encoding {
            Some(encoding) => encoding::Found::told(encoding),
            None if head.len() < HEAD => {
                encoding::Found::in_all(head.as_slice()).map_err(|error| unreadable(&error))?
            }
            None => encoding::Found::in_head(&head).map_err(|error| unreadable(&error))?,
        };
        Ok(Self {
            head,
            rest,
            encoding,
            size: None,
        })
    }

    pub(crate) fn is_workbook(&self) -> bool {
        workbook::is_one(&self.head)
    }

    /// The first character that is not white space.
    pub(crate) fn first_char(&self) -> Option<char> {
        let (text, _, _) = self.encoding.encoding.decode(&self.head);
        text.trim_start().chars().next()
    }

    /// The text alone, decoded to UTF-8.
    pub(crate) fn text(self) -> Decoder {
        let whole = io::Cursor::new(self.head).chain(self.rest);
        Decoder::new(Box::new(whole), self.encoding.encoding)
    }

    /// The encoding to report; `None` if it is the expected one.
    pub(crate) fn encoding_name(&self) -> Option<&'static str> {
        let name = self.encoding.encoding.name();
        (name != "UTF-8").then_some(name)
    }

    /// Reads it as rows of fields.
    pub(crate) fn list(mut self, args: &ReadArgs, comments: bool) -> Result<List, Error> {
        if self.is_workbook() {
            let workbook = Workbook::open(self.head, &mut self.rest, args.sheet.as_deref())?;
            return Ok(List {
                about: format!("a workbook, sheet {:?}", workbook.sheet),
                is_as_expected: false,
                source: Source::Workbook(workbook),
            });
        }
        let (text, _, _) = self.encoding.encoding.decode(&self.head);
        let found = records::found(&text);
        let delimiter = args.delimiter.unwrap_or(found.delimiter);
        let encoding = self.encoding.encoding.name();
        let is_as_expected = (encoding == "UTF-8" || args.encoding.is_some())
            && (delimiter == Delimiter(b',') || args.delimiter.is_some());
        Ok(List {
            about: format!("{encoding}, {} between the fields", delimiter.name()),
            is_as_expected,
            source: Source::Csv(Records::new(
                self.text(),
                delimiter.0,
                found.has_sep_line,
                comments,
            )),
        })
    }
}

pub(crate) struct List {
    source: Source,
    /// How the list is read, in words.
    pub(crate) about: String,
    /// UTF-8 with commas, or as the command line said: not worth mentioning.
    pub(crate) is_as_expected: bool,
}

enum Source {
    Csv(Records),
    Workbook(Workbook),
}

impl List {
    /// The next row, `None` at the end. Rows without any text are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let record = match &mut self.source {
                Source::Csv(records) => records.next().map_err(|error| unreadable(&error))?,
                Source::Workbook(workbook) => workbook.next(),
            };
            let is_empty = |record: &Record| {
                let fields = record.fields.as_ref();
                fields.is_ok_and(|fields| fields.iter().all(String::is_empty))
            };
            match record {
                Some(record) if is_empty(&record) => {}
                record => return Ok(record),
            }
        }
    }

    /// Says what a whole row looks like: its number of fields, and which of them holds the number. This tells a stray
    /// quote from a field of several lines.
    pub(crate) const fn expect(&mut self, width: usize, number_at: usize) {
        if let Source::Csv(records) = &mut self.source {
            records.expect(width, number_at);
        }
    }

    /// Bytes read so far, for the progress bar.
    pub(crate) const fn position(&self) -> u64 {
        match &self.source {
            Source::Csv(records) => records.position(),
            Source::Workbook(_) => 0,
        }
    }
}

fn unreadable(error: &io::Error) -> Error {
    Error::new(format!("the file cannot be read: {error}"))
}

/// Whether this is meant as a telephone number, right or wrong.
pub(crate) fn looks_like_a_number(text: &str) -> bool {
    let has_digits = text.contains(char::is_numeric);
    let has_letters = text.contains(char::is_alphabetic);
    has_digits && (!has_letters || text.starts_with('+')) || Phone::parse(text).is_ok()
}

/// A number as an integer, without its plus. At most 15 digits, the first not 0, so nothing is lost.
pub(crate) fn packed(phone: &Phone) -> u64 {
    let digits = phone.as_e164().bytes().skip(1);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The field the author meant: spreadsheets put an apostrophe before text that would otherwise be a formula (as does
/// `calls export`), or write ="0123" to keep a zero.
pub(crate) fn meant(field: String) -> String {
    if let Some(text) = field.strip_prefix('\'')
        && crate::export::is_formula(text)
    {
        return text.to_owned();
    }
    let inner = field
        .strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('"') => inner.to_owned(),
        _ => field,
    }
}

/// JSON that must be an object.
pub fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(r#"not a JSON object, as in {"name":"Ada"}"#.to_owned()),
        Err(error) => Err(format!(
            r#"{error}; a JSON object looks like {{"name":"Ada"}}"#
        )),
    }
}

#[cfg(test)]
mod tests;
