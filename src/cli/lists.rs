//! Lists of numbers as people keep them: CSV from any spreadsheet, and workbooks.
//!
//! Encoding and delimiter are found in the bytes and said, never guessed in silence. A row is
//! never dropped in silence either: what cannot be read as one is an error with its line.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use encoding_rs::Encoding;

use super::Failure;
use crate::domain::{Phone, Region};

// Bytes of any encoding as UTF-8.
mod encoding;

// What the columns of strangers are called.
pub(super) mod names;

// CSV, row by row.
mod records;

// Workbooks: xlsx, xls, xlsb, ods.
mod workbook;

pub(super) use encoding::Decoder;
use records::Records;
use workbook::Workbook;

/// So much of the beginning is looked at: for the encoding of a pipe, for the delimiter, for the form.
const HEAD: usize = 64 * 1024;

/// How a list is to be read, where its bytes do not say so.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReadArgs {
    /// The encoding of the file, as in windows-1252. Default: what its bytes show.
    #[arg(long, value_name = "NAME", value_parser = encoding_named)]
    pub encoding: Option<&'static Encoding>,
    /// What stands between the fields of CSV: one character, or `tab`. Default: what the first lines show.
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub delimiter: Option<Delimiter>,
    /// Where numbers are dialled as they stand, if they have no + and country code, as in US.
    #[arg(long, value_name = "REGION")]
    pub region: Option<Region>,
    /// The sheet of a workbook. Default: the first.
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// What a column is, as in --map "Mobile Phone=to"; `-` leaves it out. A file without a header has the columns 1, 2, 3.
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = map)]
    pub map: Vec<(String, String)>,
}

/// What stands between two fields: one ASCII character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiter(u8);

impl Delimiter {
    /// Those that spreadsheets write.
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

/// One row of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins, as an editor counts lines, or the row of the sheet.
    pub(super) line: u64,
    /// Its fields, trimmed, or why there are none.
    pub(super) fields: Result<Vec<String>, String>,
    /// It stands where a stray quote may have torn other rows apart, and must be whole.
    pub(super) must_be_whole: bool,
}

/// A file, opened and not yet read as anything.
pub(super) struct Opened {
    head: Vec<u8>,
    rest: Box<dyn Read + Send>,
    /// Of the whole file, when it can be read twice.
    encoding: encoding::Found,
    /// In bytes, where it is known.
    pub(super) size: Option<u64>,
}

impl Opened {
    /// Opens the file, or stdin.
    pub(super) fn path(path: &Path, args: &ReadArgs) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Self::reader(Box::new(io::stdin()), args);
        }
        let cannot = |error: io::Error| {
            Failure::failed(format!("{} cannot be read: {error}", path.display()))
        };
        let about = std::fs::metadata(path).map_err(cannot)?;
        if about.is_dir() {
            return Err(Failure::failed(format!("{} is a folder", path.display())));
        }
        let file = File::open(path).map_err(cannot)?;
        let mut opened = Self::reader(Box::new(file), args)?;
        // A pipe has a path, too, and can be read once only.
        if about.is_file() && !opened.is_workbook() {
            opened.size = Some(about.len());
            if args.encoding.is_none() {
                opened.encoding =
                    encoding::Found::in_all(File::open(path).map_err(cannot)?).map_err(cannot)?;
            }
        }
        Ok(opened)
    }

    /// The same for what can be read once only.
    pub(super) fn reader(mut rest: Box<dyn Read + Send>, args: &ReadArgs) -> Result<Self, Failure> {
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

    fn is_workbook(&self) -> bool {
        workbook::is_one(&self.head)
    }

    /// The first character that is no space.
    pub(super) fn first_char(&self) -> Option<char> {
        let (text, _, _) = self.encoding.encoding.decode(&self.head);
        text.trim_start().chars().next()
    }

    /// Nothing but its text, and how it was read.
    pub(super) fn text(self) -> Decoder {
        let whole = io::Cursor::new(self.head).chain(self.rest);
        Decoder::new(Box::new(whole), self.encoding.encoding)
    }

    /// What is said about its encoding: nothing where everybody expects it.
    pub(super) fn encoding_name(&self) -> Option<&'static str> {
        let name = self.encoding.encoding.name();
        (name != "UTF-8").then_some(name)
    }

    /// Its rows.
    pub(super) fn list(mut self, args: &ReadArgs, comments: bool) -> Result<List, Failure> {
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

/// A list, read row by row.
pub(super) struct List {
    source: Source,
    /// How it is read, in words.
    pub(super) about: String,
    /// It is UTF-8 with commas, or what somebody said: of which nobody needs to be told.
    pub(super) is_as_expected: bool,
}

enum Source {
    Csv(Records),
    Workbook(Workbook),
}

impl List {
    /// The next row; none at the end. Rows without any text are none.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Failure> {
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

    /// What a whole row looks like: so many fields, and a number in this one. By it a stray quote
    /// is told from a field of several lines.
    pub(super) const fn expect(&mut self, width: usize, number_at: usize) {
        if let Source::Csv(records) = &mut self.source {
            records.expect(width, number_at);
        }
    }

    /// Bytes read, for the progress bar.
    pub(super) const fn position(&self) -> u64 {
        match &self.source {
            Source::Csv(records) => records.position(),
            Source::Workbook(_) => 0,
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::failed(format!("the file cannot be read: {error}"))
}

/// Whether this is meant as a telephone number, right or wrong.
pub(super) fn looks_like_a_number(text: &str) -> bool {
    let has_digits = text.contains(char::is_numeric);
    let has_letters = text.contains(char::is_alphabetic);
    has_digits && (!has_letters || text.starts_with('+')) || Phone::parse(text).is_ok()
}

/// A number without its plus: 15 digits at most, the first not 0, and so exact.
pub(super) fn packed(phone: &Phone) -> u64 {
    let digits = phone.as_e164().bytes().skip(1);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// A field as it was meant: spreadsheets put an apostrophe before a text that would otherwise be a
/// formula (so does `calls export`), or write ="0123" to keep a zero.
pub(super) fn meant(field: String) -> String {
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

#[cfg(test)]
mod tests;
