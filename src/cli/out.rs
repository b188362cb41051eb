//! Where a command writes: data to stdout, messages to stderr.
//!
//! For people a table that fits the terminal, coloured only there and never with `NO_COLOR`; for programs (`--json`)
//! one JSON value. Telephone numbers are masked in tables, because terminals are shared and recorded;
//! `--full-numbers` shows them. JSON always has them whole, because a program that enqueues calls needs them.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use chrono::{DateTime, Utc};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use super::Failure;
pub use crate::shown::value as text;
use crate::{domain::Phone, shown};

/// Output format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Print JSON instead of tables.
    pub json: bool,
    /// Masked or full numbers in tables; JSON is never masked.
    pub numbers: Numbers,
    /// Whether colours and bold are used.
    pub color: bool,
    /// Columns to fit tables into; `None` means as wide as they need.
    pub width: Option<u16>,
    /// Whether stdout is a terminal.
    pub terminal: bool,
}

/// How tables show telephone numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Numbers {
    /// All but the first three and the last two digits hidden.
    #[default]
    Masked,
    /// Whole.
    Full,
}

/// The two output streams, and how to format what goes there.
pub struct Out {
    data: Box<dyn Write + Send>,
    words: Box<dyn Write + Send>,
    /// From the command line and the environment.
    pub style: Style,
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out")
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

impl Out {
    /// Stdout and stderr of this process.
    pub fn of_process(json: bool, numbers: Numbers, no_color: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let style = Style {
            json,
            numbers,
            color: terminal && !no_color,
            width: Table::new().width(),
            terminal,
        };
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), style)
    }

    /// Any two streams, for tests and embedding.
    pub fn new(data: Box<dyn Write + Send>, words: Box<dyn Write + Send>, style: Style) -> Self {
        Self { data, words, style }
    }

    /// Writes a line of data, with control characters made harmless.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        let text = text.as_ref();
        text.split('\n')
            .try_for_each(|line| self.styled(&shown::plain(line)))
    }

    /// Writes a line that may contain colours. Callers have made its texts harmless.
    fn styled(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.data, "{line}")?)
    }

    /// Writes one JSON value, indented.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.styled(&shown::json(&text))
    }

    /// Writes one JSON value on one line.
    pub fn json_line(&mut self, text: &str) -> Result<(), Failure> {
        self.styled(&shown::json(text))
    }

    /// Writes a message for the person to stderr. Errors are ignored: nothing is lost if nobody reads it.
    pub fn note(&mut self, text: impl AsRef<str>) {
        for line in text.as_ref().split('\n') {
            writeln!(self.words, "{}", shown::plain(line)).ok();
        }
    }

    /// The data stream itself, for commands that write it in bulk.
    pub fn data(&mut self) -> &mut (dyn Write + Send) {
        self.data.as_mut()
    }

    /// Writes a table under a bold header in capitals. On a narrow terminal sentences wrap and the last columns are left
    /// out; words, such as ids, are never broken, because people copy them.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let columns = Columns::of(header, &rows);
        let shown = self
            .style
            .width
            .map_or(header.len(), |width| columns.within(width));
        let mut table = self.bare_table();
        let bold = |name: &&str| Cell::new(name.to_uppercase()).add_attribute(Attribute::Bold);
        table.set_header(header.iter().take(shown).map(bold));
        for row in rows {
            table.add_row(row.iter().take(shown).map(|text| cell(text)));
        }
        for (index, column) in columns.0.iter().take(shown).enumerate() {
            if let Some(column) = table.column_mut(index).filter(|_| !column.wraps) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        self.lines_of(&table)?;
        if shown < header.len() {
            let left_out = header.get(shown..).unwrap_or_default().join(", ");
            self.note(format!(
                "left out for want of room: {left_out}; --json has them"
            ));
        }
        Ok(())
    }

    /// Writes names and values below each other, leaving out those without a value.
    pub fn pairs(&mut self, pairs: Vec<(&str, String)>) -> Result<(), Failure> {
        let mut table = self.bare_table();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            table.add_row([Cell::new(name).add_attribute(Attribute::Bold), cell(&value)]);
        }
        self.lines_of(&table)
    }

    fn bare_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        if self.style.color {
            table.enforce_styling();
        }
        if let Some(width) = self.style.width {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        table
    }

    fn lines_of(&mut self, table: &Table) -> Result<(), Failure> {
        let lines: Vec<String> = table.lines().collect();
        lines
            .iter()
            .try_for_each(|line| self.styled(line.trim_end()))
    }

    /// A number, masked unless the style shows numbers in full.
    pub fn phone(&self, number: &str) -> String {
        let text = shown::plain(number);
        if self.style.numbers == Numbers::Full {
            return text;
        }
        match Phone::stored(&text) {
            Ok(phone) => phone.to_string(),
            Err(_) => text,
        }
    }

    /// Several numbers in one cell.
    pub fn phones(&self, numbers: &[String]) -> String {
        let numbers = numbers.iter().map(|number| self.phone(number));
        numbers.collect::<Vec<_>>().join(" ")
    }
}

/// How much room the columns of a table need.
struct Columns(Vec<Column>);

struct Column {
    /// Characters that it needs.
    least: usize,
    /// Whether it holds sentences, which may be broken.
    wraps: bool,
}

/// Characters from which on a cell with spaces is a sentence.
const SENTENCE: usize = 24;
/// Blanks around a cell.
const PADDING: usize = 2;

impl Columns {
    fn of(header: &[&str], rows: &[Vec<String>]) -> Self {
        let column = |(index, name): (usize, &&str)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let lines = cells.flat_map(|cell| cell.split('\n'));
            let mut column = Column {
                least: name.chars().count(),
                wraps: false,
            };
            for line in lines {
                let length = line.chars().count();
                if length > SENTENCE && line.contains(' ') {
                    column.wraps = true;
                    column.least = column.least.max(SENTENCE);
                } else {
                    column.least = column.least.max(length);
                }
            }
            column
        };
        Self(header.iter().enumerate().map(column).collect())
    }

    /// How many of them, from the first on, this width has room for.
    fn within(&self, width: u16) -> usize {
        let mut used = 0_usize;
        let fits = |column: &&Column| {
            used = used.saturating_add(column.least).saturating_add(PADDING);
            used <= usize::from(width)
        };
        self.0.iter().take_while(fits).count().max(1)
    }
}

/// One cell, coloured if its word has a colour.
fn cell(text: &str) -> Cell {
    // Each line of a multi-line cell is made harmless separately.
    let lines: Vec<String> = text.split('\n').map(shown::plain).collect();
    let text = lines.join("\n");
    let color = match text.as_str() {
        "completed" | "answered" => Some(Color::Green),
        "warn" => Some(Color::Yellow),
        "failed" | "fail" | "unresolved" | "paused" => Some(Color::Red),
        "dialing" | "in_call" => Some(Color::Cyan),
        "canceled" | "expired" | "suppressed" => Some(Color::DarkGrey),
        _ => None,
    };
    let cell = Cell::new(text);
    match color {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

/// An instant in UTC, to the second.
pub fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// An optional value as a cell; empty if missing.
pub fn or_empty(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// An optional value as a cell; `none` if missing.
pub fn or_none(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// `yes` or `no`.
pub const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::testing::Captured;

    #[test]
    fn a_table_masks_numbers_unless_told_otherwise() {
        let mut captured = Captured::new(Style::default());
        let number = "+14155550100";
        assert_eq!(captured.out.phone(number), "+141******00");
        captured.out.style.numbers = Numbers::Full;
        assert_eq!(captured.out.phone(number), "+14155550100");
    }

    #[test]
    fn a_table_is_plain_without_a_terminal_and_coloured_with_one() {
        let rows = || vec![vec!["1".to_owned(), "failed".to_owned()]];
        let mut plain = Captured::new(Style::default());
        plain.out.table(&["id", "state"], rows()).unwrap();
        assert_eq!(plain.data(), " ID  STATE\n 1   failed\n");
        let mut colored = Captured::new(Style {
            color: true,
            ..Style::default()
        });
        colored.out.table(&["id", "state"], rows()).unwrap();
        assert!(colored.data().contains("\u{1b}["), "{}", colored.data());
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let mut narrow = Captured::new(Style {
            width: Some(30),
            ..Style::default()
        });
        let words = "a long sentence that does not fit into one line".to_owned();
        narrow.out.table(&["why"], vec![vec![words]]).unwrap();
        let data = narrow.data();
        assert!(
            data.lines().count() > 2 && data.lines().all(|line| line.len() <= 30),
            "{data}"
        );
    }

    #[test]
    fn a_narrow_terminal_shows_fewer_columns_and_whole_ids() {
        let id = "0197f5e0-0000-7000-8000-000000000001";
        let words = "a sentence that is broken into several lines where there is no room";
        for (width, shown) in [(30, 1), (60, 2), (80, 3), (200, 3)] {
            let mut narrow = Captured::new(Style {
                width: Some(width),
                ..Style::default()
            });
            let row = [id, "waiting", words].map(ToOwned::to_owned).to_vec();
            narrow
                .out
                .table(&["call", "state", "because"], vec![row])
                .unwrap();
            let data = narrow.data();
            assert!(data.contains(id), "{data}");
            let header = data.lines().next().unwrap();
            assert_eq!(header.split_whitespace().count(), shown, "{width}: {data}");
            assert_eq!(narrow.words().contains("left out"), shown < 3, "{width}");
            let longest = data.lines().map(str::len).max();
            assert!(
                width == 30 || longest <= Some(width.into()),
                "{width}: {data}"
            );
        }
    }

    #[test]
    fn words_of_others_cannot_steer_the_terminal() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\nc")), "a [2Jb c");
        let steering = "\u{1b}[2J\u{9b}\u{202e}x";
        let mut captured = Captured::new(Style::default());
        let out = &mut captured.out;
        out.line(steering).unwrap();
        out.note(steering);
        out.json(&json!({ "a": steering })).unwrap();
        out.json_line(&json!(steering).to_string()).unwrap();
        out.table(&["a"], vec![vec![steering.to_owned()]]).unwrap();
        out.pairs(vec![("a", steering.to_owned())]).unwrap();
        for text in [captured.data(), captured.words()] {
            assert!(text.contains('x'), "{text:?}");
            let bare = text.replace('\n', "");
            assert!(!bare.chars().any(shown::steers), "{text:?}");
        }
    }
}
