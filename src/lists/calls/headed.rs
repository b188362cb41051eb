//! The columns of a list with some of what is in them, for whoever is to say what each is.

use super::{Format, Rules, columns::Columns, rows};
use crate::lists::{self, Error, Opened, names};

/// The columns of a list.
#[derive(Debug)]
pub(crate) struct Headed {
    /// In their order.
    pub(crate) columns: Vec<HeadedColumn>,
}

/// A column of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HeadedColumn {
    /// Its name in the header; without one its place, from 1.
    pub(crate) name: String,
    /// What it is taken for, as `--map` calls it.
    pub(crate) meaning: String,
    /// Its first values.
    pub(crate) samples: Vec<String>,
}

impl Headed {
    /// Reads the header and so many rows. Where the rules leave open what is the number, the columns are told all the
    /// same.
    pub(crate) fn of(file: Opened, rules: &Rules, samples: usize) -> Result<Self, Error> {
        if Format::of(std::path::Path::new("-"), &file)? == Format::Ndjson {
            return Err(Error::new("NDJSON has no columns"));
        }
        let mut list = file.list(&rules.read, false)?;
        let mut rows = Vec::new();
        while rows.len() <= samples
            && let Some(record) = list.next()?
        {
            rows.extend(record.fields);
        }
        let first = rows.first().cloned().unwrap_or_default();
        let has_header = rows::is_header(&first);
        let header = if has_header {
            rows.remove(0);
            first
        } else if first.len() == 1 {
            vec![names::NUMBER.field.to_owned()]
        } else {
            (1..=first.len()).map(|place| place.to_string()).collect()
        };
        let meanings = match Columns::of(header.clone(), rules) {
            Ok(columns) => columns
                .meanings()
                .ok_or_else(|| Error::new("an export says itself what its columns are"))?,
            Err(_left_open) => guessed(&header, &rows),
        };
        let columns = header.into_iter().zip(meanings).enumerate();
        let columns = columns.map(|(at, (name, meaning))| HeadedColumn {
            name,
            meaning,
            samples: rows
                .iter()
                .take(samples)
                .filter_map(|row| row.get(at).cloned())
                .filter(|value| !value.is_empty())
                .collect(),
        });
        Ok(Self {
            columns: columns.filter(|column| !column.name.is_empty()).collect(),
        })
    }
}

/// By the names alone; without any, the first column of numbers.
fn guessed(header: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let first = rows.first().map(Vec::as_slice).unwrap_or_default();
    let number_at = header
        .iter()
        .position(|name| names::NUMBER.is_own(name) || names::NUMBER.is_alike(name))
        .or_else(|| {
            first
                .iter()
                .position(|value| lists::looks_like_a_number(value))
        });
    let meaning = |(at, name): (usize, &String)| {
        let own = names::OTHERS.iter().find(|known| known.is_own(name));
        match own {
            _ if Some(at) == number_at => names::NUMBER.field.to_owned(),
            Some(known) => known.field.to_owned(),
            None => format!("metadata.{name}"),
        }
    };
    header.iter().enumerate().map(meaning).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::lists::ReadArgs;

    fn meanings(list: &str) -> Vec<String> {
        let bytes = Box::new(Cursor::new(list.to_owned().into_bytes()));
        let opened = Opened::reader(bytes, &ReadArgs::default()).unwrap();
        let headed = Headed::of(opened, &Rules::default(), 2).unwrap();
        let said = headed.columns.into_iter();
        said.map(|column| {
            let samples = column.samples.join("|");
            format!("{}: {} ({samples})", column.name, column.meaning)
        })
        .collect()
    }

    #[test]
    fn every_column_is_told_with_what_it_is_taken_for() {
        assert_eq!(
            meanings("Name;Mobile Phone;script\nAda;+14155550100;a\nBo;;b\nCy;x;c\n"),
            [
                "Name: metadata.Name (Ada|Bo)",
                "Mobile Phone: to (+14155550100)",
                "script: scriptId (a|b)"
            ]
        );
    }

    #[test]
    fn columns_are_told_where_the_rules_leave_something_open() {
        // Two numbers; no script; no header.
        assert_eq!(
            meanings("phone,mobile\n1,2\n"),
            ["phone: to (1)", "mobile: metadata.mobile (2)"]
        );
        assert_eq!(
            meanings("Ada,+14155550100\n"),
            ["1: metadata.1 (Ada)", "2: to (+14155550100)"]
        );
    }
}
