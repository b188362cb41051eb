//! Requests from the lines of an NDJSON file: each is the body of a `POST /calls`.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Map, Value};

use super::{
    ImportArgs,
    rows::{Row, Usual},
};
use crate::cli::Failure;

/// A line may be as long as the body of a single request.
const LONGEST: usize = 64 * 1024;

/// The lines of one file.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    usual: Usual,
    line: u64,
    position: u64,
}

/// What stands between two line feeds.
enum Line {
    End,
    TooLong,
    Whole,
}

impl<R: Read> Lines<R> {
    pub(super) fn open(reader: R, args: &ImportArgs) -> Self {
        Self {
            reader: BufReader::with_capacity(LONGEST, reader),
            usual: Usual::of(args),
            line: 0,
            position: 0,
        }
    }

    /// Bytes read, for the progress bar.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The next rows, at most so many; none at the end. Empty lines are none.
    pub(super) fn batch(&mut self, most: usize) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::with_capacity(most);
        let mut text = Vec::new();
        while rows.len() < most {
            text.clear();
            let request = match self.read(&mut text)? {
                Line::End => break,
                Line::TooLong => Err("the line is longer than 64 KiB".to_owned()),
                Line::Whole if text.trim_ascii().is_empty() => continue,
                Line::Whole => self.request(&text),
            };
            rows.push(Row {
                line: self.line,
                request,
            });
        }
        Ok(rows)
    }

    /// The next line; of one that is too long the rest is passed over, never kept.
    fn read(&mut self, text: &mut Vec<u8>) -> Result<Line, Failure> {
        let mut length = 0;
        loop {
            let piece = self
                .reader
                .fill_buf()
                .map_err(|error| Failure::failed(format!("the file cannot be read: {error}")))?;
            if piece.is_empty() && length == 0 {
                return Ok(Line::End);
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(piece.len(), |end| end + 1);
            length += taken;
            if length <= LONGEST {
                text.extend_from_slice(piece.get(..taken).unwrap_or_default());
            }
            let is_last = end.is_some() || piece.is_empty();
            self.reader.consume(taken);
            self.position += taken as u64;
            if is_last {
                self.line += 1;
                return Ok(if length <= LONGEST {
                    Line::Whole
                } else {
                    Line::TooLong
                });
            }
        }
    }

    fn request(&self, text: &[u8]) -> Result<Value, String> {
        // The first line may begin with a byte order mark.
        let text = match (self.line, text) {
            (1, [0xef, 0xbb, 0xbf, rest @ ..]) => rest,
            _ => text,
        };
        let mut request: Value = serde_json::from_slice(text)
            .map_err(|error| format!("the line is not JSON (column {})", error.column()))?;
        if let Value::Object(fields) = &mut request {
            self.fill_in(fields);
        }
        Ok(request)
    }

    fn fill_in(&self, fields: &mut Map<String, Value>) {
        // To the API null is as if it were not there.
        fields.retain(|_, value| !value.is_null());
        self.usual.fill_in(fields, self.line);
    }
}
