//! What in the database differs from what this release makes.
//!
//! Expected is what our own SQL files say, read as texts; nothing is created to compare with,
//! so a login that may only read can look. Bodies of views are not compared: the server keeps
//! them in words of its own.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::{Check, Looked};
use crate::db::migrate::texts;

/// What our texts create.
#[derive(Debug, Default)]
struct Expected {
    functions: Vec<Function>,
    views: Vec<String>,
    /// Name and table.
    triggers: Vec<(String, String)>,
    /// With the statement that makes each.
    indexes: BTreeMap<String, String>,
    constraints: BTreeSet<String>,
    /// Those that a migration adds without reading the rows that are there.
    not_valid: BTreeSet<String>,
    /// What columns are held against, as it stands between quotes.
    patterns: BTreeSet<String>,
    /// Storage settings by table.
    settings: BTreeMap<String, Vec<String>>,
    /// What `grants.sql` gives the worker.
    verbs: BTreeSet<String>,
}

#[derive(Debug)]
struct Function {
    name: String,
    body: String,
    is_definer: bool,
    /// `name=value`, without quotes and spaces.
    settings: BTreeSet<String>,
}

impl Expected {
    fn read() -> Self {
        let mut all = Self::default();
        let (migrations, functions) = texts();
        for text in migrations {
            let text = without_comments(text);
            all.read_tables(&text);
            all.patterns.extend(patterns_in(&text));
        }
        for text in functions {
            all.functions.extend(functions_in(text));
            all.views
                .extend(words_after(text, "create or replace view pgdial."));
            all.triggers.extend(triggers_in(text));
            if text.contains("function pgdial.grant_roles()") {
                all.verbs.extend(listed(text, "v_verbs constant"));
                all.verbs.extend(listed(text, "v_reads constant"));
            }
        }
        all
    }

    /// Statement by statement, so that what a later migration drops is not missed.
    fn read_tables(&mut self, text: &str) {
        for statement in text.split(';') {
            let statement = statement.trim();
            for start in ["create index ", "create unique index "] {
                if let Some(rest) = statement.strip_prefix(start) {
                    let rest = rest.trim_start_matches("if not exists ");
                    self.indexes.insert(word(rest), statement.to_owned());
                }
            }
            if let Some(rest) = statement.strip_prefix("drop index pgdial.") {
                self.indexes.remove(&word(rest));
            }
            if let Some(rest) = statement.strip_prefix("alter table pgdial.") {
                for dropped in words_after(rest, "drop constraint ") {
                    self.constraints.remove(&dropped);
                    self.not_valid.remove(&dropped);
                }
                let added = words_after(rest, "add constraint ");
                if statement.ends_with("not valid") {
                    self.not_valid.extend(added.iter().cloned());
                }
                self.constraints.extend(added);
            }
            if let Some(rest) = statement.strip_prefix("create table pgdial.") {
                let constraints = words_after(rest, "constraint ");
                self.constraints.extend(constraints);
                if let Some((_, settings)) = rest.rsplit_once("\n) with (") {
                    let settings = settings.trim_end_matches(')').split(',');
                    let settings = settings.map(|setting| setting.replace(char::is_whitespace, ""));
                    self.settings.insert(word(rest), settings.collect());
                }
            }
        }
    }
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The name at the beginning.
fn word(text: &str) -> String {
    let part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    text.chars().take_while(part).collect()
}

fn words_after(text: &str, start: &str) -> Vec<String> {
    text.split(start).skip(1).map(word).collect()
}

fn patterns_in(text: &str) -> impl Iterator<Item = String> {
    let after = text.split("~ '").skip(1);
    after.filter_map(|rest| Some(rest.split_once('\'')?.0.to_owned()))
}

fn functions_in(text: &str) -> Vec<Function> {
    let after = text.split("create or replace function pgdial.").skip(1);
    let read = after.filter_map(|text| {
        let (head, rest) = text.split_once("as $$")?;
        let (body, _) = rest.split_once("$$")?;
        let settings = head.lines().filter_map(|line| line.strip_prefix("set "));
        Some(Function {
            name: word(head),
            body: body.to_owned(),
            is_definer: head.contains("security definer"),
            settings: settings.map(plain).collect(),
        })
    });
    read.collect()
}

/// `lock_timeout = '200ms'` and `lock_timeout=200ms` are the same.
fn plain(setting: &str) -> String {
    let plain = setting.replace(|c: char| c.is_whitespace() || c == '\'' || c == '"', "");
    plain.to_ascii_lowercase()
}

fn triggers_in(text: &str) -> Vec<(String, String)> {
    let after = text.split("create or replace trigger ").skip(1);
    let read = after.filter_map(|text| {
        let (_, table) = text.split_once(" on pgdial.")?;
        Some((word(text), word(table)))
    });
    read.collect()
}

/// The words between quotes of an array that is declared so.
fn listed(text: &str, declaration: &str) -> Vec<String> {
    let declared = text.split_once(declaration).map_or("", |(_, rest)| rest);
    let declared = declared.split_once("array[").map_or("", |(_, rest)| rest);
    let list = declared.split(']').next().unwrap_or_default();
    list.split('\'')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

const AGAIN: &str =
    "`pgdial migrate --again`: it applies all functions and views of this release once more";

/// Functions, views, triggers, indexes, constraints, settings of tables.
pub(super) async fn look(connection: &mut PgConnection) -> Looked {
    let expected = Expected::read();
    let mut found = Vec::new();
    found.extend(functions(connection, &expected).await?);
    found.extend(indexes(connection, &expected).await?);
    found.extend(tables(connection, &expected).await?);
    found.extend(patterns(connection, &expected).await?);
    if found.is_empty() {
        let message = format!(
            "{} functions, {} views and {} indexes are those of this release",
            expected.functions.len(),
            expected.views.len(),
            expected.indexes.len()
        );
        found.push(Check::ok("drift", message));
    }
    Ok(found)
}

type There = (String, String, bool, Vec<String>);

async fn functions(connection: &mut PgConnection, expected: &Expected) -> Looked {
    let there: Vec<There> = sqlx::query_as(
        "select p.proname::text, p.prosrc, p.prosecdef, coalesce(p.proconfig, '{}') from pg_proc p \
         where p.pronamespace = 'pgdial'::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await?;
    let is_same = |ours: &Function, theirs: &There| {
        let settings: BTreeSet<String> = theirs.3.iter().map(|setting| plain(setting)).collect();
        (theirs.0 == ours.name && theirs.1 == ours.body)
            && (theirs.2 == ours.is_definer && settings == ours.settings)
    };
    let mut found = Vec::new();
    for ours in &expected.functions {
        if there.iter().any(|theirs| is_same(ours, theirs)) {
            continue;
        }
        let how = if there.iter().any(|theirs| theirs.0 == ours.name) {
            "is not as this release makes it: somebody has changed it"
        } else {
            "is missing"
        };
        let message = format!("function pgdial.{} {how}", ours.name);
        found.push(Check::fail("drift", message, AGAIN));
    }
    let views: Vec<(String,)> = sqlx::query_as(
        "select k.relname::text from pg_class k where k.relnamespace = 'pgdial'::regnamespace and k.relkind = 'v'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for view in &expected.views {
        if !views.iter().any(|there| there.0 == *view) {
            found.push(Check::fail(
                "drift",
                format!("view pgdial.{view} is missing"),
                AGAIN,
            ));
        }
    }
    let triggers: Vec<(String, String)> = sqlx::query_as(
        "select t.tgname::text, k.relname::text from pg_trigger t join pg_class k on k.oid = t.tgrelid \
         where k.relnamespace = 'pgdial'::regnamespace and t.tgenabled <> 'D'",
    )
    .fetch_all(connection)
    .await?;
    for trigger in expected
        .triggers
        .iter()
        .filter(|wanted| !triggers.contains(wanted))
    {
        let message = format!(
            "trigger {} on pgdial.{} is missing or disabled",
            trigger.0, trigger.1
        );
        found.push(Check::warn("drift", message, AGAIN));
    }
    Ok(found)
}

async fn indexes(connection: &mut PgConnection, expected: &Expected) -> Looked {
    let there: Vec<(String, bool)> = sqlx::query_as(
        "select k.relname::text, i.indisvalid and i.indisready from pg_index i join pg_class k on k.oid = i.indexrelid \
         where k.relnamespace = 'pgdial'::regnamespace",
    )
    .fetch_all(connection)
    .await?;
    let missing = expected
        .indexes
        .iter()
        .filter(|(name, _)| there.iter().all(|i| i.0 != **name));
    let missing = missing.map(|(name, statement)| {
        let repair = if statement.contains(" on pgdial.call_events ") {
            statement.clone()
        } else {
            statement.replacen(" index ", " index concurrently ", 1)
        };
        let message = format!("index pgdial.{name} is missing: what needs it reads whole tables");
        Check::fail("drift", message, repair.replace('\n', " "))
    });
    let invalid = there.iter().filter(|index| !index.1).map(|(name, _)| {
        let message = format!("index pgdial.{name} is not valid: it costs, and serves nobody");
        Check::fail(
            "drift",
            message,
            format!("reindex index concurrently pgdial.{name}"),
        )
    });
    Ok(missing.chain(invalid).collect())
}

async fn tables(connection: &mut PgConnection, expected: &Expected) -> Looked {
    let constraints: Vec<(String, bool)> = sqlx::query_as(
        "select c.conname::text, c.convalidated from pg_constraint c where c.connamespace = 'pgdial'::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Vec::new();
    for name in &expected.constraints {
        let is_enough = |there: &(String, bool)| {
            there.0 == *name && (there.1 || expected.not_valid.contains(name))
        };
        if !constraints.iter().any(is_enough) {
            found.push(Check::fail(
                "drift",
                format!(
                    "constraint {name} is missing or not validated: rows may be what no verb makes"
                ),
                "add it again as migrations/ say, `not valid` first and `validate constraint` then",
            ));
        }
    }
    let there: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select k.relname::text, coalesce(k.reloptions, '{}') from pg_class k \
         where k.relnamespace = 'pgdial'::regnamespace and k.relkind = 'r'",
    )
    .fetch_all(connection)
    .await?;
    for (table, wanted) in &expected.settings {
        let options = there
            .iter()
            .find(|there| there.0 == *table)
            .map(|there| &there.1);
        let lacks = |setting: &&String| options.is_none_or(|options| !options.contains(setting));
        let lacking: Vec<&str> = wanted.iter().filter(lacks).map(String::as_str).collect();
        if !lacking.is_empty() {
            let lacking = lacking.join(", ");
            found.push(Check::warn(
                "drift",
                format!("table pgdial.{table} is not set to {lacking}"),
                format!("alter table pgdial.{table} set ({lacking})"),
            ));
        }
    }
    Ok(found)
}

/// Patterns that were read otherwise than they are written: a session in which a backslash escapes
/// made them, and no number fits.
async fn patterns(connection: &mut PgConnection, expected: &Expected) -> Looked {
    // The server writes them down as this session reads them.
    sqlx::query("select set_config('standard_conforming_strings', 'on', false)")
        .execute(&mut *connection)
        .await?;
    let there: Vec<(String, String, String)> = sqlx::query_as(
        "select c.conname::text, c.conrelid::regclass::text, pg_get_constraintdef(c.oid) from pg_constraint c \
         where c.connamespace = 'pgdial'::regnamespace and c.contype = 'c' and c.conparentid = 0",
    )
    .fetch_all(connection)
    .await?;
    let damaged = there.iter().filter_map(|(name, table, definition)| {
        let strange = patterns_in(definition).find(|pattern| !expected.patterns.contains(pattern))?;
        let message = format!("constraint {name} of {table} compares with '{strange}', which no migration writes: \
             it was made in a session with standard_conforming_strings off");
        let repair = "while no call is kept: `drop schema pgdial cascade`, then `pgdial migrate`; else drop it, and add it again as migrations/ say";
        Some(Check::fail("drift", message, repair))
    });
    Ok(damaged.collect())
}

/// May this login do what the program does?
pub(super) async fn rights(connection: &mut PgConnection) -> Looked {
    let verbs: Vec<String> = Expected::read().verbs.into_iter().collect();
    let (login, refused): (String, Vec<String>) = sqlx::query_as(
        "select session_user::text, array(select distinct p.proname::text from pg_proc p \
             where p.pronamespace = 'pgdial'::regnamespace and p.proname = any ($1) \
               and not has_function_privilege(p.oid, 'execute') order by 1)",
    )
    .bind(&verbs)
    .fetch_one(&mut *connection)
    .await?;
    let (unread,): (Vec<String>,) = sqlx::query_as(
        "select array(select k.relname::text from pg_class k \
             where k.relnamespace = 'pgdial'::regnamespace and k.relkind in ('r', 'p', 'v') \
               and not has_table_privilege(k.oid, 'select') order by 1)",
    )
    .fetch_one(connection)
    .await?;
    let repair = format!("grant pgdial_worker to {login}, then `pgdial migrate` once more");
    Ok(vec![if let Some(first) = refused.first() {
        let message = format!(
            "{login} may not call {} verbs, pgdial.{first} among them",
            refused.len()
        );
        Check::fail("rights", message, repair)
    } else if let Some(first) = unread.first() {
        let message = format!(
            "{login} may not read {} tables, pgdial.{first} among them",
            unread.len()
        );
        Check::fail("rights", message, repair)
    } else {
        Check::ok(
            "rights",
            format!("{login} may call every verb and read every table"),
        )
    }])
}

/// The weeks of the history, and what fell beside them.
pub(super) async fn partitions(connection: &mut PgConnection) -> Looked {
    let (ahead, beside): (i64, bool) = sqlx::query_as(
        "select (select count(*) from pg_inherits i join pg_class k on k.oid = i.inhrelid \
                 where i.inhparent = 'pgdial.call_events'::regclass and k.relname ~ '^call_events_[0-9]{4}w[0-9]{2}$' \
                   and to_date(substr(k.relname, 13), 'IYYY\"w\"IW') > ((select pgdial.now()) at time zone 'UTC')::date), \
                exists (select from pgdial.call_events_default)",
    )
    .fetch_one(connection)
    .await?;
    let repair = "each worker makes them once a minute: is one alive? By hand: select pgdial.housekeeping(null)";
    Ok(vec![if beside {
        let message =
            "events lie in call_events_default: their weeks had no partition when they came";
        Check::warn("partitions", message, repair)
    } else if ahead < 2 {
        let message = format!("only {ahead} weeks of call_events are made ahead");
        Check::warn("partitions", message, repair)
    } else {
        Check::ok(
            "partitions",
            format!("{ahead} weeks of call_events are made ahead"),
        )
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_texts_are_read_whole() {
        let expected = Expected::read();
        let (migrations, functions) = texts();
        let (migrations, functions): (String, String) = (migrations.collect(), functions.collect());
        let made = functions.matches("create or replace function").count();
        assert_eq!(expected.functions.len(), made);
        let made = functions.matches("create or replace view").count();
        assert_eq!(expected.views.len(), made);
        assert_eq!(
            expected.triggers.len(),
            functions.matches("create or replace trigger").count()
        );
        assert!(expected.indexes.contains_key("calls_claimable"));
        let dropped = migrations.contains("drop index pgdial.calls_deadline");
        assert_ne!(expected.indexes.contains_key("calls_deadline"), dropped);
        assert!(expected.constraints.contains("calls_in_flight_is_claimed"));
        assert!(expected.not_valid.contains("calls_phone_is_e164"));
        assert!(!expected.not_valid.contains("calls_in_flight_is_claimed"));
        assert!(expected.patterns.contains(r"^\+[1-9][0-9]{6,14}$"));
        assert_eq!(expected.settings["trunk_pace"], ["fillfactor=50"]);
        assert_eq!(expected.settings["calls"].len(), 4);
        assert!(expected.verbs.contains("claim") && expected.verbs.contains("why"));
        let claim = expected
            .functions
            .iter()
            .find(|f| f.name == "claim")
            .unwrap();
        assert!(
            claim.is_definer && claim.settings.contains("jit=off"),
            "{:?}",
            claim.settings
        );
        assert!(claim.settings.contains("search_path=pg_catalog,pg_temp"));
    }
}
