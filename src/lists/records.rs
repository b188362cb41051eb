//! CSV, row by row, from text with any line ends.
//!
//! One stray quote turns many rows into one field, and a reader that merely follows quotes drops them silently. Here
//! an opened quote must be closed right before a delimiter or line end; otherwise its line is an error and reading
//! resumes at the next line. Where the quotes are right but a field swallows lines that look like rows, none of it is
//! taken.

use std::io::{self, Read};

use super::{Decoder, Delimiter, Record, looks_like_a_number};

/// Bytes per row at most. A longer one has an unclosed quote or is not a list.
const LARGEST: usize = 256 * 1024;
const PIECE: usize = 64 * 1024;

/// What the first lines show about the format.
pub(super) struct Found {
    pub(super) delimiter: Delimiter,
    /// The first line is Excel's `sep=;`.
    pub(super) has_sep_line: bool,
}

/// The delimiter that splits the first two lines into the same number of fields, as many as possible.
pub(super) fn found(head: &str) -> Found {
    let head = head.trim_start_matches('\u{feff}');
    let mut lines = head
        .split(['\r', '\n'])
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default();
    if let Some([separator]) = first.trim_end().strip_prefix("sep=").map(str::as_bytes) {
        return Found {
            delimiter: Delimiter(*separator),
            has_sep_line: true,
        };
    }
    let second = lines.next().unwrap_or(first);
    let fields = |line: &str, by: u8| naive(line.as_bytes(), by).len();
    let best = Delimiter::USUAL.into_iter().rev().max_by_key(|by| {
        let count = fields(first, by.0);
        (count > 1 && fields(second, by.0) == count, count)
    });
    Found {
        delimiter: best.unwrap_or(Delimiter(b',')),
        has_sep_line: false,
    }
}

pub(super) struct Records {
    reader: Decoder,
    delimiter: u8,
    comments: bool,
    bytes: Vec<u8>,
    /// Offset in `bytes` where the next row begins.
    start: usize,
    has_ended: bool,
    /// Line of the next row, from 1.
    line: u64,
    /// Rows beginning before this line are inside a quote that was not closed, so only whole ones are taken.
    whole_until: u64,
    expected: Option<Whole>,
}

#[derive(Clone, Copy)]
struct Whole {
    width: usize,
    number_at: usize,
}

/// What begins at the next byte.
enum Scan {
    /// Its end is beyond the bytes read so far.
    More,
    Row(Row),
    /// A quote opened in this line of the row, from 0, and not closed properly.
    Stray {
        opened: u64,
        why: Stray,
    },
}

enum Stray {
    /// The next quote is in this line of the row and closes nothing.
    Inside(u64),
    Never,
}

struct Row {
    /// Bytes, line end included.
    length: usize,
    /// Line ends contained.
    lines: u64,
    fields: Vec<Vec<u8>>,
}

impl Records {
    pub(super) const fn new(
        reader: Decoder,
        delimiter: u8,
        has_sep_line: bool,
        comments: bool,
    ) -> Self {
        Self {
            reader,
            delimiter,
            comments,
            bytes: Vec::new(),
            start: 0,
            has_ended: false,
            // The `sep=` line is read as an empty one, see `is_passed_over`.
            line: if has_sep_line { 0 } else { 1 },
            whole_until: 0,
            expected: None,
        }
    }

    pub(super) const fn expect(&mut self, width: usize, number_at: usize) {
        self.expected = Some(Whole { width, number_at });
    }

    pub(super) const fn position(&self) -> u64 {
        self.reader.position()
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        if self.line == 0 {
            self.pass_over_line()?;
            self.line = 1 + 1;
        }
        loop {
            if self.rest().is_empty() && !self.fill()? {
                return Ok(None);
            }
            if self.comments && self.rest().starts_with(b"#") {
                self.line += self.pass_over_line()?;
                continue;
            }
            let scan = scan(self.rest(), self.has_ended, self.delimiter);
            match scan {
                Scan::More if self.rest().len() > LARGEST => return self.too_large().map(Some),
                Scan::More => {
                    self.fill()?;
                }
                Scan::Row(row) => return Ok(Some(self.row(row))),
                Scan::Stray { opened, why } => return self.stray(opened, &why).map(Some),
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Reads on; returns whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + PIECE, 0);
        let read = self
            .reader
            .read(self.bytes.get_mut(before..).unwrap_or_default())?;
        self.bytes.truncate(before + read);
        self.has_ended |= read == 0;
        Ok(read > 0)
    }

    fn row(&mut self, row: Row) -> Record {
        let line = self.line;
        let fields = match self.swallowed(&row) {
            Some(why) => Err(why),
            None => texts(row.fields, self.reader.is_decoded()),
        };
        self.start += row.length;
        self.line += row.lines;
        Record {
            line,
            fields,
            must_be_whole: line < self.whole_until,
        }
    }

    /// Whether a field of several lines contains what looks like another row. The last line may be the end of this
    /// very row, so it counts only if the first looks like a row as well.
    fn swallowed(&self, row: &Row) -> Option<String> {
        let whole = self.expected?;
        let bytes = self.rest().get(..row.length)?;
        let lines = lines(bytes);
        if lines.len() < 2 {
            return None;
        }
        let is_row = |line: &[u8]| {
            let fields = naive(line, self.delimiter);
            let number = fields.get(whole.number_at).copied().unwrap_or_default();
            let number = String::from_utf8_lossy(number);
            fields.len() == whole.width && looks_like_a_number(number.trim().trim_matches('"'))
        };
        let last = lines.len() - 1;
        let first_is_one = lines.first().is_some_and(|line| is_row(line));
        let mut others = lines.iter().enumerate().skip(1);
        let (at, _) = others.find(|(at, line)| is_row(line) && (*at < last || first_is_one))?;
        let (from, at) = (self.line, self.line + at as u64);
        Some(format!(
            "lines {from} to {} are one row as the quotes stand, but line {at} looks like a row of its own: \
             is a quote missing, or one too many? None of them was taken",
            from + last as u64
        ))
    }

    /// Reports one line as an error; what follows it is read again.
    fn stray(&mut self, opened: u64, why: &Stray) -> io::Result<Record> {
        let line = self.line + opened;
        let mend = "take the quote away, or quote the whole field, with \"\" for each quote in it";
        let why = match why {
            Stray::Inside(next) if *next == opened => {
                format!("a quote in the middle of a quoted field: {mend}")
            }
            Stray::Inside(next) => {
                let next = self.line + next;
                self.whole_until = self.whole_until.max(next + 1);
                format!(
                    "a quote is opened and the next one, in line {next}, does not close it: {mend}"
                )
            }
            Stray::Never => {
                self.whole_until = u64::MAX;
                format!("a quote is opened and never closed: {mend}")
            }
        };
        for _ in 0..=opened {
            self.line += self.pass_over_line()?;
        }
        Ok(Record {
            line,
            fields: Err(why),
            must_be_whole: false,
        })
    }

    /// Reports a row that is too large: by its stray quote if it has one, else by its size.
    fn too_large(&mut self) -> io::Result<Record> {
        if let Scan::Stray { opened, why } = scan(self.rest(), true, self.delimiter) {
            return self.stray(opened, &why);
        }
        let line = self.line;
        self.line += self.pass_over_line()?;
        Ok(Record {
            line,
            fields: Err("the row is larger than 256 KiB".to_owned()),
            must_be_whole: false,
        })
    }

    /// Skips to the next line; returns how many lines that were, 0 at the end.
    fn pass_over_line(&mut self) -> io::Result<u64> {
        loop {
            let (length, is_whole) = line_end(self.rest(), 0);
            // The LF of a CR at the end of this piece may be in the next one.
            if is_whole && (self.has_ended || length < self.rest().len()) {
                self.start += length;
                return Ok(1);
            }
            if self.has_ended {
                self.start += length;
                return Ok(u64::from(is_whole));
            }
            if !is_whole {
                self.start += length;
            }
            self.fill()?;
        }
    }
}

/// Length of the line at `from` with its line end, and whether it has one.
fn line_end(bytes: &[u8], from: usize) -> (usize, bool) {
    let rest = bytes.get(from..).unwrap_or_default();
    let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return (rest.len(), false);
    };
    let is_pair = rest.get(at) == Some(&b'\r') && rest.get(at + 1) == Some(&b'\n');
    (at + 1 + usize::from(is_pair), true)
}

/// Lines of a row, without their line ends.
fn lines(row: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < row.len() {
        let (length, _) = line_end(row, at);
        let line = row.get(at..at + length).unwrap_or_default();
        lines.push(line.trim_ascii_end());
        at += length;
    }
    lines
}

/// Fields of one line read by itself.
fn naive(line: &[u8], delimiter: u8) -> Vec<&[u8]> {
    let mut is_quoted = false;
    let fields = line.split(|byte| {
        is_quoted ^= *byte == b'"';
        !is_quoted && *byte == delimiter
    });
    let fields: Vec<&[u8]> = fields.collect();
    if !is_quoted {
        return fields; // every quote has its other
    }
    line.split(|byte| *byte == delimiter).collect()
}

/// Scans one row.
fn scan(bytes: &[u8], is_all: bool, delimiter: u8) -> Scan {
    let mut fields = Vec::new();
    let mut at = 0;
    let mut lines = 0;
    loop {
        let field = match field(bytes, at, delimiter) {
            Some(field) => field,
            None if !is_all => return Scan::More,
            None => {
                return Scan::Stray {
                    opened: lines,
                    why: Stray::Never,
                };
            }
        };
        let Field { text, end, inner } = field;
        let opened = lines;
        lines += inner;
        fields.push(text);
        match bytes.get(end) {
            Some(byte) if *byte == delimiter => at = end + 1,
            Some(b'\r' | b'\n') => {
                let (length, _) = line_end(bytes, end);
                if !is_all && end + length == bytes.len() {
                    return Scan::More;
                }
                return Scan::Row(Row {
                    length: end + length,
                    lines: lines + 1,
                    fields,
                });
            }
            None if !is_all => return Scan::More,
            None => {
                return Scan::Row(Row {
                    length: end,
                    lines,
                    fields,
                });
            }
            Some(_) => {
                return Scan::Stray {
                    opened,
                    why: Stray::Inside(lines),
                };
            }
        }
    }
}

/// One field, and where it ends.
struct Field {
    text: Vec<u8>,
    end: usize,
    /// Line ends contained.
    inner: u64,
}

/// `None` if a quote is opened and not closed.
fn field(bytes: &[u8], at: usize, delimiter: u8) -> Option<Field> {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t') && *byte != delimiter;
    let blanks = rest.iter().take_while(|byte| is_blank(byte)).count();
    if rest.get(blanks) == Some(&b'"') {
        return quoted(bytes, at + blanks + 1, &is_blank);
    }
    let length = rest
        .iter()
        .position(|byte| *byte == delimiter || matches!(byte, b'\r' | b'\n'))
        .unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    Some(Field {
        text: text.to_vec(),
        end: at + length,
        inner: 0,
    })
}

fn quoted(bytes: &[u8], from: usize, is_blank: &dyn Fn(&u8) -> bool) -> Option<Field> {
    let mut text = Vec::new();
    let mut at = from;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let quote = rest.iter().position(|byte| *byte == b'"')?;
        text.extend_from_slice(rest.get(..quote)?);
        at += quote + 1;
        if bytes.get(at) != Some(&b'"') {
            break;
        }
        text.push(b'"');
        at += 1;
    }
    let blanks = bytes.get(at..).unwrap_or_default();
    let blanks = blanks.iter().take_while(|byte| is_blank(byte)).count();
    let inner = lines(bytes.get(from..at).unwrap_or_default()).len();
    Some(Field {
        text,
        end: at + blanks,
        inner: inner.saturating_sub(1) as u64,
    })
}

fn texts(fields: Vec<Vec<u8>>, is_decoded: bool) -> Result<Vec<String>, String> {
    let fields = fields.into_iter().map(|field| {
        let field = String::from_utf8(field).map_err(|_broken| NOT_UTF_8.to_owned())?;
        if is_decoded && field.contains(char::REPLACEMENT_CHARACTER) {
            return Err(NOT_IN_IT.to_owned());
        }
        Ok(trimmed(field))
    });
    fields.collect()
}

const NOT_UTF_8: &str = "the row is not UTF-8: --encoding says what the file is";
const NOT_IN_IT: &str =
    "the row has bytes that the encoding does not know: --encoding says what the file is";

fn trimmed(field: String) -> String {
    // Ctrl-Z ends text files of DOS.
    let is_space = |c: char| c.is_whitespace() || c == '\u{1a}';
    let trimmed = field.trim_matches(is_space);
    if trimmed.len() == field.len() {
        field
    } else {
        trimmed.to_owned()
    }
}
