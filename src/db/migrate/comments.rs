//! The catalog's comments, read from the comments in our SQL files, so that each fact is written once.
//!
//! - The block directly above `create table`, `type`, `function` or `view` describes what is created. One that begins
//!   with names (`-- pause, resume: ...`) describes each of them that the file creates, wherever it stands.
//! - A block ends, for the catalog, at an empty comment line, or at one that begins with a word of [`FOR_MAINTAINERS`].
//! - A column has a comment at the end of its line, or lines directly above it. A view lists its columns in its block
//!   (`--   name  text`); others mean what they mean in the table that they come from (sql/read/comments.sql).
//! - An indented `select` in a block is an example. A function with one is a public verb, all others are marked with
//!   [`INTERNAL`].
//! - `comment on` in a later migration replaces what an earlier one says: a released file never changes.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

use super::WAIT_BRIEFLY;

/// Where the part of a block begins that is about how the code works.
const FOR_MAINTAINERS: [&str; 3] = ["Index:", "Races:", "Plans:"];

/// The beginning of the comment of a function that only pgdial calls. The view `verbs` leaves these out.
const INTERNAL: &str = "internal: ";

/// What is described.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// `table`, `type`, `function`, `view` or `column`; the last also of a view.
    kind: &'static str,
    /// Without the schema; of a column, that of its table or view.
    name: String,
    /// Empty unless a column.
    column: String,
}

impl Object {
    fn whole(kind: &'static str, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            column: String::new(),
        }
    }

    fn column(name: &str, column: &str) -> Self {
        Self {
            kind: "column",
            name: name.to_owned(),
            column: column.to_owned(),
        }
    }
}

pub(super) type Comments = BTreeMap<Object, String>;

/// Comments of these files. If two describe one object, the later one counts.
pub(super) fn read<'a>(files: impl IntoIterator<Item = &'a str>) -> Comments {
    let mut comments = Comments::new();
    for sql in files {
        let statements = statements(sql);
        for statement in &statements {
            match &statement.what {
                What::Create(object) => {
                    let text = describe(object, &statements);
                    if !text.is_empty() {
                        comments.insert(object.clone(), text);
                    }
                    if object.kind == "view" {
                        comments.extend(listed_columns(&object.name, &statement.block));
                    } else if object.kind == "table" {
                        comments.extend(columns(&object.name, statement.body));
                    }
                }
                What::Alter(table) => comments.extend(columns(table, statement.body)),
                What::Comment(object, text) => {
                    comments.insert(object.clone(), text.clone());
                }
                What::Nothing => {}
            }
        }
    }
    comments
}

/// Puts the comments into the catalog where it has others.
pub(super) async fn apply(tx: &mut PgConnection, comments: &Comments) -> Result<(), sqlx::Error> {
    let each = |of: fn(&Object) -> &str| comments.keys().map(of).collect::<Vec<_>>();
    let statements: Vec<(String,)> = sqlx::query_as(include_str!("../../../sql/read/comments.sql"))
        .bind(each(|object| object.kind))
        .bind(each(|object| object.name.as_str()))
        .bind(each(|object| object.column.as_str()))
        .bind(comments.values().map(String::as_str).collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await?;
    let statements: Vec<String> = statements
        .into_iter()
        .map(|(statement,)| statement)
        .collect();
    // The lock that a comment takes on its table is in the way of no verb, and autovacuum, which has it for long, gives
    // way only after deadlock_timeout.
    let batch = format!(
        "set local lock_timeout = '5s'; {}; {WAIT_BRIEFLY}",
        statements.join("; ")
    );
    sqlx::raw_sql(AssertSqlSafe(batch)).execute(tx).await?;
    Ok(())
}

/// A statement that describes, or creates what can be described; or a block of comment lines that stands by itself.
struct Statement<'a> {
    /// Comment lines directly above, without their dashes.
    block: Vec<&'a str>,
    what: What,
    /// The statement and what follows it.
    body: &'a str,
}

enum What {
    Create(Object),
    Alter(String),
    Comment(Object, String),
    Nothing,
}

fn statements(sql: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let mut block = Vec::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let body = rest;
        let (line, after) = body.split_once('\n').unwrap_or((body, ""));
        rest = after;
        if let Some(comment) = line.strip_prefix("--") {
            block.push(comment.trim_end());
            continue;
        }
        let block = std::mem::take(&mut block);
        let what = what(body).unwrap_or(What::Nothing);
        if !block.is_empty() || !matches!(what, What::Nothing) {
            found.push(Statement { block, what, body });
        }
    }
    found
}

/// What the statement at the beginning of this text does, if that is of interest.
fn what(body: &str) -> Option<What> {
    if let Some(made) = body.strip_prefix("create ") {
        let made = made.strip_prefix("or replace ").unwrap_or(made);
        let (kind, name, rest) = object(made)?;
        let is_partition = rest.starts_with(" partition of");
        return (!is_partition).then(|| What::Create(Object::whole(kind, name)));
    }
    if let Some(altered) = body.strip_prefix("alter ") {
        let (kind, name, _) = object(altered)?;
        return (kind == "table").then(|| What::Alter(name.to_owned()));
    }
    let said = body.strip_prefix("comment on ")?;
    let (kind, name, rest) = object(said)?;
    let (field, text) = rest.split_once(" is")?;
    let object = match field.strip_prefix('.') {
        Some(column) if kind == "column" => Object::column(name, column),
        _ => Object::whole(kind, name),
    };
    Some(What::Comment(object, literal(text)))
}

/// Kind and name of an object of ours, and what follows the name.
fn object(text: &str) -> Option<(&'static str, &str, &str)> {
    ["table", "type", "function", "view", "column"]
        .into_iter()
        .find_map(|kind| {
            let named = text.strip_prefix(kind)?.strip_prefix(" pgdial.")?;
            let (name, rest) = named.split_at(word(named));
            Some((kind, name, rest))
        })
}

/// Length of the identifier that the text begins with.
fn word(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// The value of a string constant, which may consist of several, up to the end of the statement.
fn literal(text: &str) -> String {
    let mut value = String::new();
    let mut is_inside = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\'' if is_inside && characters.next_if_eq(&'\'').is_some() => value.push('\''),
            '\'' => is_inside = !is_inside,
            ';' if !is_inside => break,
            c if is_inside => value.push(c),
            _ => {}
        }
    }
    value
}

/// What the blocks of a file say of an object: the one directly above it, and those that begin with its name.
fn describe(object: &Object, statements: &[Statement<'_>]) -> String {
    let mut lines = Vec::new();
    let mut is_public = false;
    for statement in statements {
        let (names, first) = names(&statement.block);
        let is_above = matches!(&statement.what, What::Create(made) if made == object);
        if !is_above && !names.contains(&object.name.as_str()) {
            continue;
        }
        let rest = statement.block.iter().skip(1).copied();
        for line in first.into_iter().chain(rest) {
            let text = line.strip_prefix(' ').unwrap_or(line);
            if text.is_empty() || FOR_MAINTAINERS.iter().any(|word| text.starts_with(word)) {
                break;
            }
            if object.kind == "view" && listed(line).is_some() {
                continue;
            }
            if text.starts_with("  select ") {
                // Of several verbs that share a block, each has its own.
                if !text.contains(&format!("pgdial.{}(", object.name)) {
                    continue;
                }
                is_public = true;
            }
            lines.push(text);
        }
    }
    let text = lines.join("\n");
    if object.kind == "function" && !is_public && !text.is_empty() {
        format!("{INTERNAL}{text}")
    } else {
        text
    }
}

/// The names that a block begins with, and what follows them on its first line.
fn names<'a>(block: &[&'a str]) -> (Vec<&'a str>, Option<&'a str>) {
    let Some(&first) = block.first() else {
        return (Vec::new(), None);
    };
    let named = first.split_once(':').and_then(|(names, rest)| {
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        let are_names = names
            .iter()
            .all(|name| !name.is_empty() && word(name) == name.len());
        are_names.then_some((names, Some(rest)))
    });
    named.unwrap_or((Vec::new(), Some(first)))
}

/// A column in the block of a view: its name, and what is said of it.
fn listed(line: &str) -> Option<(&str, &str)> {
    let entry = line.strip_prefix("   ")?;
    let (name, text) = entry.split_at(word(entry));
    (!name.is_empty() && text.starts_with("  ")).then(|| (name, text.trim()))
}

fn listed_columns(view: &str, block: &[&str]) -> Comments {
    block
        .iter()
        .filter_map(|line| listed(line))
        .map(|(name, text)| (Object::column(view, name), text.to_owned()))
        .collect()
}

/// Comments of the columns of a `create table`, or of those that an `alter table` adds.
fn columns(table: &str, statement: &str) -> Comments {
    let mut found = Comments::new();
    let mut column = None;
    let mut above = Vec::new();
    let mut depth = 0_i32;
    let is_alter = statement.starts_with("alter ");
    let mut is_next = false;
    for line in statement.lines() {
        let (code, comment) = split_comment(line);
        let item = code.trim();
        if item.is_empty() {
            match comment {
                Some(comment) => above.push(comment),
                None => above.clear(),
            }
            continue;
        }
        if is_next || is_alter {
            column = named_column(item, is_alter);
        }
        let said = above.drain(..).chain(comment).collect::<Vec<_>>().join(" ");
        if let Some(name) = column
            && !said.is_empty()
        {
            let text: &mut String = found.entry(Object::column(table, name)).or_default();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&said);
        }
        let mut is_quoted = false;
        for c in item.chars() {
            match c {
                '\'' => is_quoted = !is_quoted,
                '(' if !is_quoted => depth += 1,
                ')' if !is_quoted => depth -= 1,
                _ => {}
            }
        }
        if item.ends_with(';') {
            break;
        }
        is_next = depth == 1 && item.ends_with(['(', ',']);
    }
    found
}

/// The column that an item of a table defines. None: a constraint.
fn named_column(item: &str, is_alter: bool) -> Option<&str> {
    let item = if is_alter {
        let (_, added) = item.split_once("add column ")?;
        added.strip_prefix("if not exists ").unwrap_or(added)
    } else {
        item
    };
    let (name, _) = item.split_at(word(item));
    let is_column = ![
        "constraint",
        "primary",
        "unique",
        "check",
        "foreign",
        "exclude",
    ]
    .contains(&name);
    (is_column && !name.is_empty()).then_some(name)
}

/// A line's code, and the comment after it.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    line.match_indices("--")
        .map(|(at, _)| line.split_at(at))
        .find(|(code, _)| code.matches('\'').count() % 2 == 0)
        .map_or((line, None), |(code, comment)| {
            (code, Some(comment.trim_start_matches('-').trim()))
        })
}

#[cfg(test)]
mod tests;
