//! What each column of a file is: a field of the request, or metadata for the provider.

use serde_json::{Map, Value};

use super::{Rules, requests::Refusal};
use crate::{
    export,
    lists::{self, Error, names},
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Field(&'static str),
    /// The number to ring. Of several, the first non-empty one counts, in this order, or all of them.
    Number(usize),
    /// In an exported call, all numbers of the person.
    Numbers,
    Metadata,
    MetadataOf(String),
    /// In an exported call, whether it still waits.
    State,
    /// Something a request has no room for.
    LeftOut,
    /// Has no name, and therefore must be empty.
    Nameless,
}

#[derive(Debug)]
pub(super) struct Columns {
    header: Vec<String>,
    meanings: Vec<Column>,
    /// All numbers of a row count.
    all_numbers: bool,
}

impl Columns {
    /// Reads the header and `--map`. Any fault in them refuses the whole file.
    pub(super) fn of(header: Vec<String>, rules: &Rules) -> Result<Self, Error> {
        twice(&header)?;
        let mut columns: Vec<Option<Column>> = vec![None; header.len()];
        for (name, field) in &rules.read.map {
            let at = names::column(&header, name)?;
            let numbers = columns.iter().flatten();
            let numbers = numbers.filter(|column| matches!(column, Column::Number(_)));
            let column = mapped(name, field, numbers.count())?;
            if let Some(place) = columns.get_mut(at) {
                *place = Some(column);
            }
        }
        let is_export = export::columns().all(|name| header.iter().any(|column| column == name));
        for known in [&names::NUMBER].into_iter().chain(&names::OTHERS) {
            let is_there = |column: &Column| match column {
                Column::Number(_) => known.field == "to",
                Column::Field(field) => *field == known.field,
                _ => false,
            };
            if columns.iter().flatten().any(is_there) {
                continue;
            }
            let is_given = known.field == "scriptId" && rules.script.is_some();
            let is_free = |at: usize| {
                let name = header.get(at).map_or("", String::as_str);
                columns.get(at).is_some_and(Option::is_none) && (!is_given || known.is_own(name))
            };
            let Some(at) = known.find(&header, is_free)? else {
                continue;
            };
            if let Some(place) = columns.get_mut(at) {
                *place = Some(match known.field {
                    "to" => Column::Number(0),
                    field => Column::Field(field),
                });
            }
        }
        let columns = columns.into_iter().zip(&header);
        let columns: Vec<Column> = columns
            .map(|(column, name)| column.unwrap_or_else(|| other(name, is_export)))
            .collect();
        let found = Self {
            header,
            meanings: columns,
            all_numbers: rules.all_numbers,
        };
        found.check(rules.script.is_some() || rules.script_may_lack)?;
        Ok(found)
    }

    fn check(&self, has_script: bool) -> Result<(), Error> {
        let names: Vec<String> = self.header.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(", ");
        if self.number_at().is_none() {
            return Err(
                Error::new("the header has no column with the number to ring").hint(format!(
                    "its columns are {names}: name one \"to\", or say which it is with --map COLUMN=to"
                )),
            );
        }
        if !has_script && !self.meanings.contains(&Column::Field("scriptId")) {
            return Err(Error::new("the header has no column \"scriptId\"")
                .hint("add it, or give all rows one script with --script"));
        }
        Ok(())
    }

    /// What each column is, as `--map` calls it; none of an exported call, whose columns say more.
    pub(super) fn meanings(&self) -> Option<Vec<String>> {
        let said = self.meanings.iter().map(|column| match column {
            Column::Field(field) => Some((*field).to_owned()),
            Column::Number(_) => Some("to".to_owned()),
            Column::Metadata => Some("metadata".to_owned()),
            Column::MetadataOf(key) => Some(format!("{METADATA}{key}")),
            Column::LeftOut | Column::Nameless => Some("-".to_owned()),
            Column::Numbers | Column::State => None,
        });
        said.collect()
    }

    pub(super) const fn width(&self) -> usize {
        self.meanings.len()
    }

    /// Place of the number; of several, the first.
    pub(super) fn number_at(&self) -> Option<usize> {
        let is_number = |column: &Column| matches!(column, Column::Number(0));
        self.meanings.iter().position(is_number)
    }

    /// Every column and what it is used as, in words.
    pub(super) fn in_words(&self) -> String {
        let words = self.header.iter().zip(&self.meanings);
        let words = words.filter_map(|(name, column)| match column {
            Column::Field(field) => Some(format!("{name:?} is {field}")),
            Column::Number(_) => Some(format!("{name:?} is to")),
            Column::Numbers => Some(format!("{name:?} is to, if it has several")),
            Column::Metadata => Some(format!("{name:?} is metadata")),
            Column::MetadataOf(key) => Some(format!("{name:?} is metadata {key:?}")),
            Column::State => Some(format!(
                "{name:?} says whether it waits: what does not is skipped"
            )),
            Column::LeftOut => Some(format!("{name:?} is left out")),
            Column::Nameless => None,
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The request of one row. A row shorter than the header is read as if the rest were empty.
    pub(super) fn request(
        &self,
        mut fields: Vec<String>,
        must_be_whole: bool,
    ) -> Result<Map<String, Value>, Refusal> {
        while fields.len() > self.width() && fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        if fields.len() > self.width() || (must_be_whole && fields.len() < self.width()) {
            return Err(self.other_length(fields.len()).into());
        }
        let mut request = Map::new();
        let (mut metadata, mut keys) = (None, Map::new());
        let mut numbers: Vec<(usize, String)> = Vec::new();
        let mut all_numbers = None;
        for ((column, name), field) in self.meanings.iter().zip(&self.header).zip(fields) {
            if field.is_empty() {
                continue;
            }
            let field = lists::meant(field);
            match column {
                Column::Field(name @ ("priority" | "maxAttempts")) => {
                    request.insert((*name).to_owned(), whole(&field));
                }
                Column::Field(name @ "timezone") if field.contains(';') => {
                    let zones = field.split(';').map(|zone| Value::from(zone.trim()));
                    request.insert((*name).to_owned(), zones.collect());
                }
                Column::Field(name) => {
                    request.insert((*name).to_owned(), field.into());
                }
                Column::Number(rank) => numbers.push((*rank, field)),
                Column::Numbers => all_numbers = Some(field),
                Column::Metadata => {
                    let object = lists::object(&field).map_err(|why| format!("{name}: {why}"))?;
                    metadata = Some(object);
                }
                Column::MetadataOf(key) => {
                    keys.insert(key.clone(), field.into());
                }
                Column::State if field != "waiting" => return Err(Refusal::not_waiting(&field)),
                Column::State | Column::LeftOut => {}
                Column::Nameless => {
                    return Err(format!(
                        "{field:?} stands under no name: name its column in the header, or is a comma not quoted?"
                    )
                    .into());
                }
            }
        }
        numbers.sort_by_key(|(rank, _)| *rank);
        if !self.all_numbers {
            numbers.truncate(1);
        }
        let numbers = numbers.into_iter().map(|(_, field)| field);
        let numbers: Vec<String> = all_numbers.map_or_else(|| numbers.collect(), |all| vec![all]);
        if let Some(to) = to(&numbers) {
            request.insert("to".to_owned(), to);
        }
        if metadata.is_some() || !keys.is_empty() {
            let mut metadata = metadata.unwrap_or_default();
            metadata.extend(keys);
            request.insert("metadata".to_owned(), metadata.into());
        }
        Ok(request)
    }

    fn other_length(&self, count: usize) -> String {
        let fields = if count == 1 { "field" } else { "fields" };
        format!(
            "the row has {count} {fields}, the header {}: is a field with a comma not quoted?",
            self.width()
        )
    }
}

/// One number, or a list: of fields, or within one field with semicolons.
fn to(fields: &[String]) -> Option<Value> {
    let mut numbers: Vec<Value> = fields
        .iter()
        .flat_map(|field| field.split(';'))
        .map(str::trim)
        .filter(|number| !number.is_empty())
        .map(Value::from)
        .collect();
    if numbers.len() > 1 {
        return Some(numbers.into());
    }
    numbers
        .pop()
        .or_else(|| fields.first().map(|field| field.as_str().into()))
}

/// A column that nothing claims: metadata, unless the file is one of our exports.
fn other(name: &str, is_export: bool) -> Column {
    let key = name.get(..METADATA.len()).and_then(|start| {
        let is_one = start.eq_ignore_ascii_case(METADATA);
        name.get(METADATA.len()..).filter(|_| is_one)
    });
    match key {
        _ if name.is_empty() => Column::Nameless,
        Some("") => Column::Nameless,
        Some(key) => Column::MetadataOf(key.to_owned()),
        None if names::plain(name) == "metadata" => Column::Metadata,
        None if is_export && name == "state" => Column::State,
        None if is_export && name == "numbers" => Column::Numbers,
        None if is_export && export::columns().any(|column| column == name) => Column::LeftOut,
        None => Column::MetadataOf(name.to_owned()),
    }
}

const METADATA: &str = "metadata.";

/// What `--map` makes of a column.
fn mapped(column: &str, field: &str, numbers: usize) -> Result<Column, Error> {
    if field == "-" {
        return Ok(Column::LeftOut);
    }
    if names::NUMBER.is_own(field) {
        return Ok(Column::Number(numbers));
    }
    let others = &names::OTHERS;
    if let Some(known) = others.iter().find(|known| known.is_own(field)) {
        return Ok(Column::Field(known.field));
    }
    match other(field, false) {
        Column::MetadataOf(_) if names::plain(field) == names::plain("metadata") => {
            Ok(Column::Metadata)
        }
        Column::MetadataOf(key) if field.len() > key.len() => Ok(Column::MetadataOf(key)),
        Column::Metadata => Ok(Column::Metadata),
        _ => {
            let others = others.iter().map(|known| known.field);
            let known: Vec<&str> = ["to"].into_iter().chain(others).collect();
            Err(
                Error::new(format!("--map {column:?}: there is no field {field:?}")).hint(format!(
                    "the fields are {}, metadata, metadata.NAME, and - for none",
                    known.join(", ")
                )),
            )
        }
    }
}

/// Refuses two columns of one name, of which none is the right one to read.
fn twice(header: &[String]) -> Result<(), Error> {
    for (at, name) in header.iter().enumerate() {
        if !name.is_empty() && header.iter().take(at).any(|before| before == name) {
            return Err(Error::new(format!(
                "the header has the column {name:?} twice"
            )));
        }
    }
    Ok(())
}

/// A whole number, or the text as it is: SQL then says what it should have been.
fn whole(field: &str) -> Value {
    // Spreadsheets write 5 as 5.0.
    let digits = field.strip_suffix(".0").unwrap_or(field);
    digits
        .parse::<i64>()
        .map_or_else(|_| field.into(), Value::from)
}
