//! Requests from the rows of a list.

use super::{
    Rules,
    columns::Columns,
    requests::{Requests, Row},
};
use crate::lists::{self, Error, List, Record, names};

pub(crate) struct Rows {
    list: List,
    pub(super) columns: Columns,
    requests: Requests,
    /// The first row of a list without a header, already read.
    first: Option<Record>,
}

impl Rows {
    /// Reads the header; any fault in it refuses the whole file.
    pub(super) fn open(mut list: List, rules: &Rules, requests: Requests) -> Result<Self, Error> {
        let Some(first) = list.next()? else {
            return Err(Error::new(
                "the file is empty: its first line names the columns",
            ));
        };
        let line = first.line;
        let fields = first
            .fields
            .as_ref()
            .map_err(|why| Error::new(format!("the header, line {line}, cannot be read: {why}")))?;
        let header: Vec<String> = fields.clone();
        let (header, first) = if is_header(&header) {
            (header, None)
        } else {
            (by_place(&header, rules, line)?, Some(first))
        };
        let columns = Columns::of(header, rules)?;
        if let Some(number_at) = columns.number_at() {
            list.expect(columns.width(), number_at);
        }
        Ok(Self {
            list,
            columns,
            requests,
            first,
        })
    }

    /// Bytes read so far, for the progress bar.
    pub(super) const fn position(&self) -> u64 {
        self.list.position()
    }

    pub(super) fn about(&self) -> &str {
        &self.list.about
    }

    /// Nothing about how it is read is worth mentioning.
    pub(super) const fn is_as_expected(&self) -> bool {
        self.list.is_as_expected
    }

    /// Up to `most` rows; empty at the end.
    pub(super) fn batch(&mut self, most: usize) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::with_capacity(most);
        while rows.len() < most {
            let record = match self.first.take() {
                Some(first) => first,
                None => match self.list.next()? {
                    Some(record) => record,
                    None => break,
                },
            };
            let Record {
                line,
                fields,
                must_be_whole,
            } = record;
            let request = match fields {
                Ok(fields) => self.columns.request(fields, must_be_whole),
                Err(why) => Err(why.into()),
            };
            rows.push(self.requests.finish(line, request));
        }
        Ok(rows)
    }
}

/// Whether the row holds column names rather than the first row of a bare list.
pub(super) fn is_header(fields: &[String]) -> bool {
    let is_named = |name: &String| names::NUMBER.is_own(name) || names::NUMBER.is_alike(name);
    fields.iter().any(is_named) || !fields.iter().any(|field| lists::looks_like_a_number(field))
}

/// Names columns by their places, from 1. A single column holds the number.
fn by_place(fields: &[String], rules: &Rules, line: u64) -> Result<Vec<String>, Error> {
    if fields.len() == 1 && rules.read.map.is_empty() {
        return Ok(vec![names::NUMBER.field.to_owned()]);
    }
    if rules.read.map.is_empty() {
        return Err(Error::new(format!(
            "the file has no header: line {line} holds a number"
        ))
        .hint("name the columns in a first line, or by their place, as in --map 1=to --map 2=metadata.name"));
    }
    Ok((1..=fields.len()).map(|place| place.to_string()).collect())
}
