//! Workbooks: xlsx, xls, xlsb, ods. One sheet is read as a whole, its cells as text.

use std::io::{Cursor, Read};

use calamine::{Data, Reader, Sheets, open_workbook_auto_from_rs};

use super::{Error, Record};

/// Bytes per workbook at most, because it is kept in memory.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Whether the bytes are Zip (xlsx, xlsb, ods) or the older container of xls.
pub(super) fn is_one(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(&[0xd0, 0xcf, 0x11, 0xe0])
}

/// Rows of one sheet.
pub(super) struct Workbook {
    pub(super) sheet: String,
    rows: std::vec::IntoIter<Vec<String>>,
    line: u64,
}

impl Workbook {
    pub(super) fn open(
        mut bytes: Vec<u8>,
        rest: &mut dyn Read,
        sheet: Option<&str>,
    ) -> Result<Self, Error> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Error::new(format!("the workbook cannot be read: {why}"))
                .hint("save the sheet as CSV (UTF-8), and import that")
        };
        let left = LARGEST - bytes.len() as u64 + 1;
        rest.take(left)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > LARGEST {
            return Err(unreadable(&"it is larger than 256 MiB"));
        }
        let mut workbook: Sheets<_> =
            open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
        let sheets = workbook.sheet_names();
        let found = match sheet {
            Some(name) => sheets.iter().find(|sheet| *sheet == name),
            None => sheets.first(),
        };
        let Some(sheet) = found.cloned() else {
            let names = sheets.join(", ");
            return Err(Error::new("the workbook has no such sheet")
                .hint(format!("its sheets are {names}")));
        };
        let range = workbook
            .worksheet_range(&sheet)
            .map_err(|error| unreadable(&error))?;
        let (top, left) = range.start().unwrap_or_default();
        let rows = range.rows().map(|row| {
            let before = (0..left).map(|_| String::new());
            before.chain(row.iter().map(text)).collect()
        });
        Ok(Self {
            sheet,
            rows: rows.collect::<Vec<_>>().into_iter(),
            line: u64::from(top),
        })
    }

    pub(super) fn next(&mut self) -> Option<Record> {
        let fields = self.rows.next()?;
        self.line += 1;
        Some(Record {
            line: self.line,
            fields: Ok(fields),
            must_be_whole: false,
        })
    }
}

/// A cell as a person reads it: a number without an exponent, a date without a zone.
fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.trim().to_owned(),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(at) if at.is_datetime() => match at.as_datetime() {
            Some(at) if at.time() == chrono::NaiveTime::MIN => at.date().to_string(),
            Some(at) => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            None => at.as_f64().to_string(),
        },
        // Rust writes floats without an exponent, and whole ones without a decimal point.
        other => other.to_string(),
    }
}
