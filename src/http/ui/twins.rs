//! An act in the words of the command line and of SQL, both from one description, so that neither can drift from the
//! other. A test runs every command through clap, and every statement through the database.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// What stands for a reason that has not been typed yet.
const REASON: &str = "REASON";

/// What stands for what came of a dial, until that is chosen.
pub(super) const WHAT: &str = "WHAT";

/// Settings for which null means what the adapter declares, and not none.
const DECLARED: [&str; 3] = ["lookUp", "idempotent", "reportsWithin"];

/// What an act is called, and what with.
#[derive(Debug, Clone)]
pub(super) struct Twins {
    command: Vec<String>,
    verb: &'static str,
    arguments: Vec<(&'static str, String)>,
}

impl Twins {
    /// `trunks pause` on the command line, `pgdial.pause` in SQL.
    pub(super) fn of(command: &str, verb: &'static str) -> Self {
        let command = std::iter::once("pgdial").chain(command.split(' '));
        Self {
            command: command.map(str::to_owned).collect(),
            verb,
            arguments: Vec::new(),
        }
    }

    /// An argument of the verb that the command says by its own name.
    pub(super) fn only_sql(mut self, parameter: &'static str, value: &Value) -> Self {
        self.arguments.push((parameter, literal(value)));
        self
    }

    /// What the act is about: first after the command's name.
    pub(super) fn about(mut self, parameter: &'static str, name: &str) -> Self {
        self.command.push(name.to_owned());
        self.only_sql(parameter, &name.into())
    }

    /// An option of the command, and the argument of the same meaning.
    pub(super) fn with(mut self, flag: &str, parameter: &'static str, value: &Value) -> Self {
        self.command.extend([flag.to_owned(), word(value)]);
        self.only_sql(parameter, value)
    }

    /// Settings: an option each, and one object.
    pub(super) fn changes(mut self, changes: &Map<String, Value>) -> Self {
        for (name, value) in changes {
            let word = match value {
                Value::Null if DECLARED.contains(&name.as_str()) => "declared".to_owned(),
                value => word(value),
            };
            self.command.extend([flag_of(name), word]);
        }
        self.only_sql("p_changes", &Value::Object(changes.clone()))
    }

    /// Words of the command that the verb does not need.
    pub(super) fn only_command(mut self, words: &[&str]) -> Self {
        self.command
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// An option of the command by the name of its field; a list has commas.
    pub(super) fn option(mut self, field: &str, value: &Value) -> Self {
        let value = match value {
            Value::Array(list) => list.iter().map(word).collect::<Vec<_>>().join(","),
            other => word(other),
        };
        self.command.extend([flag_of(field), value]);
        self
    }

    /// The reason, or what stands for it.
    pub(super) fn why(self, why: Option<&str>) -> Self {
        self.with("--why", "p_why", &why.unwrap_or(REASON).into())
    }

    /// The words of the command.
    #[cfg(test)]
    pub(super) fn words(&self) -> &[String] {
        &self.command
    }

    /// The command, as a POSIX shell reads it.
    pub(super) fn command(&self) -> String {
        let words = self.command.iter().map(|word| quoted(word));
        words.collect::<Vec<_>>().join(" ")
    }

    /// The statement.
    pub(super) fn statement(&self) -> String {
        let arguments = self
            .arguments
            .iter()
            .map(|(name, value)| format!("{name} => {value}"));
        let arguments = arguments.collect::<Vec<_>>().join(", ");
        format!("select pgdial.{}({arguments});", self.verb)
    }
}

/// `callsPerSecond` is `--calls-per-second`.
fn flag_of(field: &str) -> String {
    let mut flag = "--".to_owned();
    for c in field.chars() {
        if c.is_ascii_uppercase() {
            flag.push('-');
        }
        flag.push(c.to_ascii_lowercase());
    }
    flag
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn literal(value: &Value) -> String {
    let text = match value {
        Value::Number(_) | Value::Bool(_) | Value::Null => return value.to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut literal = String::new();
    // A backslash means itself in either setting of standard_conforming_strings.
    if text.contains('\\') {
        literal.push('E');
    }
    let text = text.replace('\'', "''").replace('\\', r"\\");
    // Writing to a `String` cannot fail.
    write!(literal, "'{text}'").ok();
    literal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_are_told_from_one_description() {
        let changes = json!({"slots": 20, "callsPerSecond": null});
        let twins = Twins::of("trunks set", "set_trunk")
            .about("p_name", "main")
            .changes(changes.as_object().unwrap());
        let twins = twins.why(Some("it's \\ full"));
        assert_eq!(
            twins.command(),
            r"pgdial trunks set main --calls-per-second none --slots 20 --why 'it'\''s \ full'"
        );
        assert_eq!(
            twins.statement(),
            r#"select pgdial.set_trunk(p_name => 'main', p_changes => '{"callsPerSecond":null,"slots":20}', p_why => E'it''s \\ full');"#
        );
    }
}
