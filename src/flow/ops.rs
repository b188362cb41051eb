//! Operators' queries: each file of `sql/ops` as it is, run in a read-only transaction within the time limit
//! that the file sets.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};

use super::{Error, Queue};
use crate::db::pool::{ANSWER, answered};

/// A file of `sql/ops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Name of the file without `.sql`: `overview`, `waiting`, ...
    pub name: &'static str,
    /// Whole file, as psql runs it.
    pub sql: &'static str,
}

macro_rules! questions {
    ($($name:literal,)*) => {
        &[$(Question { name: $name, sql: include_str!(concat!("../../sql/ops/", $name, ".sql")) },)*]
    };
}

/// All of them, in the order in which a person on call needs them.
pub const QUESTIONS: &[Question] = questions![
    "overview",
    "queue",
    "waiting",
    "live",
    "retries",
    "failures",
    "stuck",
    "inbox",
    "trunks",
    "caller_ids",
    "workers",
    "number",
    "health",
];

/// The only parameter of such a file: a telephone number, as psql writes a variable.
const PHONE: &str = ":'phone'";

const BEGIN: &str = "\nbegin read only;\n";
const COMMIT: &str = "\ncommit;\n";

/// Query with this name.
pub fn find(name: &str) -> Option<&'static Question> {
    QUESTIONS.iter().find(|question| question.name == name)
}

impl Question {
    /// Description in one line: the first sentence of the file.
    pub fn asks(&self) -> String {
        let header = self.sql.lines().map_while(|line| line.strip_prefix("-- "));
        let header = header.collect::<Vec<_>>().join(" ");
        let (_, words) = header.split_once(": ").unwrap_or_default();
        let end = words.find('?').map_or(words.len(), |at| at + 1);
        words.get(..end).unwrap_or(words).to_owned()
    }

    /// Whether it takes a telephone number.
    pub fn takes_phone(&self) -> bool {
        self.statement().contains(PHONE)
    }

    /// Part of the file between `begin` and `commit`.
    fn inside(&self) -> &'static str {
        let inside = self.sql.split_once(BEGIN).map(|(_, rest)| rest);
        inside
            .and_then(|rest| rest.strip_suffix(COMMIT))
            .unwrap_or_default()
    }

    /// Its limits: the lines `set local ...`.
    fn settings(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.inside().lines();
        lines.take_while(|line| line.starts_with("set local "))
    }

    /// Its single statement.
    fn statement(&self) -> &'static str {
        let inside = self.inside();
        let (_, statement) = inside.split_once("\n\n").unwrap_or_default();
        statement.trim_end().trim_end_matches(';')
    }
}

/// One row of a result: names and values, in the order of the columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Line(pub Vec<(String, Value)>);

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row as JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = map.next_entry()? {
                    columns.push(column);
                }
                Ok(Line(columns))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Queue {
    /// Runs one of [`QUESTIONS`]. `phone` is bound if the query takes one.
    pub async fn ask(&self, question: &Question, phone: Option<&str>) -> Result<Vec<Line>, Error> {
        // row_to_json, not to_jsonb: it keeps the order of the columns.
        let statement = question.statement().replace(PHONE, "$1");
        let sql = format!("select row_to_json(line)::text from (\n{statement}\n) line");
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
        if question.takes_phone() {
            query = query.bind(phone);
        }
        let mut lent = self.pool.acquire().await?;
        let asked = async {
            let mut tx = lent.begin().await?;
            sqlx::query("set transaction read only")
                .execute(&mut *tx)
                .await?;
            for setting in question.settings() {
                sqlx::query(setting).execute(&mut *tx).await?;
            }
            let rows: Vec<(String,)> = query.fetch_all(&mut *tx).await?;
            tx.rollback().await?;
            Ok::<_, Error>(rows)
        };
        let rows = answered(ANSWER, asked).await;
        lent.after(&rows);
        rows?
            .iter()
            .map(|(row,)| serde_json::from_str(row).map_err(Error::encoding))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_is_a_question() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/ops");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let names: BTreeSet<String> = QUESTIONS.iter().map(|q| q.name.to_owned()).collect();
        assert_eq!(names, files);
        assert_eq!(QUESTIONS.len(), files.len(), "one of them is listed twice");
    }

    #[test]
    fn every_file_has_its_question_its_limits_and_one_statement() {
        for question in QUESTIONS {
            let asks = question.asks();
            assert!(asks.ends_with('?') && asks.len() < 120, "{asks}");
            let settings: Vec<&str> = question.settings().collect();
            assert!(
                settings.contains(&"set local statement_timeout = '10s';"),
                "{}: {settings:?}",
                question.name
            );
            let statement = question.statement();
            let begins = statement.starts_with("select ") || statement.starts_with("with ");
            assert!(begins && !statement.contains(';'), "{}", question.name);
            // Whatever the data, a result is bounded.
            assert!(statement.contains("limit "), "{}", question.name);
        }
    }

    #[test]
    fn only_number_takes_one() {
        let takes = QUESTIONS.iter().filter(|question| question.takes_phone());
        assert_eq!(takes.map(|q| q.name).collect::<Vec<_>>(), ["number"]);
    }

    #[test]
    fn a_line_keeps_the_order_of_its_columns() {
        let text = r#"{"z":1,"a":null,"m":"x"}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        assert_eq!(line.0[0].0, "z");
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
    }
}
