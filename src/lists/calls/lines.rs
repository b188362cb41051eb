//! Requests from the lines of an NDJSON file; each line is the body of a `POST /calls`.

use std::io::{BufRead, BufReader};

use serde_json::{Map, Value};

use super::requests::{Refusal, Requests, Row};
use crate::lists::{Decoder, Error, names};

/// Bytes per line at most, the limit of a single request's body.
const LONGEST: usize = 64 * 1024;

pub(crate) struct Lines {
    reader: BufReader<Decoder>,
    requests: Requests,
    /// The last line ended with CR; an LF that follows belongs to it.
    after_cr: bool,
    line: u64,
}

/// What lies between two line ends.
enum Line {
    End,
    TooLong,
    Whole,
}

impl Lines {
    pub(super) fn new(reader: Decoder, requests: Requests) -> Self {
        Self {
            reader: BufReader::with_capacity(LONGEST, reader),
            requests,
            after_cr: false,
            line: 0,
        }
    }

    /// Bytes read so far, for the progress bar.
    pub(super) fn position(&self) -> u64 {
        self.reader.get_ref().position()
    }

    /// Up to `most` rows; empty at the end. Empty lines are skipped.
    pub(super) fn batch(&mut self, most: usize) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::with_capacity(most);
        let mut text = Vec::new();
        while rows.len() < most {
            text.clear();
            let request = match self.read(&mut text)? {
                Line::End => break,
                Line::TooLong => Err("the line is longer than 64 KiB".to_owned().into()),
                Line::Whole if text.trim_ascii().is_empty() => continue,
                Line::Whole => request(&text),
            };
            rows.push(self.requests.finish(self.line, request));
        }
        Ok(rows)
    }

    /// Reads the next line. The rest of a line that is too long is skipped, never kept.
    fn read(&mut self, text: &mut Vec<u8>) -> Result<Line, Error> {
        let mut length = 0;
        loop {
            let mut piece = self
                .reader
                .fill_buf()
                .map_err(|error| Error::new(format!("the file cannot be read: {error}")))?;
            let mut taken = 0;
            if std::mem::take(&mut self.after_cr)
                && let Some(rest) = piece.strip_prefix(b"\n")
            {
                (piece, taken) = (rest, 1);
            }
            if piece.is_empty() && taken == 0 && length == 0 {
                return Ok(Line::End);
            }
            let end = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.after_cr = end.is_some_and(|end| piece.get(end) == Some(&b'\r'));
            let count = end.map_or(piece.len(), |end| end + 1);
            length += count;
            if length <= LONGEST {
                text.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
            let is_last = end.is_some() || (piece.is_empty() && taken == 0);
            taken += count;
            self.reader.consume(taken);
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
}

/// The request of a line. As in the API, null means absent.
fn request(text: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(mut fields)) => {
            fields.retain(|_, value| !value.is_null());
            match fields.get("state").and_then(Value::as_str) {
                Some(state) if is_export(&fields) && state != "waiting" => {
                    return Err(Refusal::not_waiting(state));
                }
                _ if is_export(&fields) => fields.retain(|name, _| is_asked_for(name)),
                _ => {}
            }
            Ok(fields)
        }
        Ok(_) => Err(
            "a request is a JSON object with at least \"to\" and \"scriptId\""
                .to_owned()
                .into(),
        ),
        Err(error) => Err(format!("the line is not JSON (column {})", error.column()).into()),
    }
}

/// Whether this is a call as `calls export` writes it, which says more than a request does.
fn is_export(fields: &Map<String, Value>) -> bool {
    ["id", "createdAt", "attempts"]
        .iter()
        .all(|name| fields.contains_key(*name))
}

fn is_asked_for(name: &str) -> bool {
    let mut others = names::OTHERS.iter().map(|known| known.field);
    ["to", "metadata"].contains(&name) || others.any(|field| field == name)
}
