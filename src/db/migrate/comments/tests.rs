use super::*;

fn comments(sql: &str) -> Vec<(String, String)> {
    let named = |object: Object| match object.column.as_str() {
        "" => format!("{} {}", object.kind, object.name),
        column => format!("{}.{column}", object.name),
    };
    let read = read([sql]).into_iter();
    read.map(|(object, text)| (named(object), text)).collect()
}

fn of(sql: &str, object: &str) -> Option<String> {
    let found = comments(sql).into_iter().find(|(name, _)| name == object);
    found.map(|(_, text)| text)
}

#[test]
fn a_table_and_its_columns() {
    let sql = "-- Not about it.\n\n\
        -- What it is,\n-- in two lines.\n--\n-- Why it is so.\n\
        create table pgdial.things (\n    \
            id int primary key default (1),   -- first, and (only) once\n    \
            -- Above,\n    -- and long.\n    \
            name text not null check (name ~ '^-- [(]')\n        \
                check (name <> 'it''s, -- not'),   -- beside\n\n    \
            -- Of a constraint.\n    \
            constraint whole check (\n        \
                id > 0   -- inside\n    \
            ),\n    \
            silent boolean,\n    \
            primary key (id, name)\n\
        ) with (fillfactor = 50);   -- outside\n";
    let expected = [
        ("things.id", "first, and (only) once"),
        ("things.name", "Above, and long. beside"),
        ("table things", "What it is,\nin two lines."),
    ];
    let mut found = comments(sql);
    found.sort();
    let mut expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn columns_that_are_added_later() {
    let sql = "alter table pgdial.things\n    \
            add column size int,   -- in bytes\n    \
            -- Above.\n    \
            add column if not exists kind text not null default ''   -- beside\n        \
                check (kind <> '-'),\n    \
            drop column other;   -- gone\n\
        alter table pgdial.things add column age interval;   -- since its claim\n";
    assert_eq!(of(sql, "things.size").unwrap(), "in bytes");
    assert_eq!(of(sql, "things.kind").unwrap(), "Above. beside");
    assert_eq!(of(sql, "things.age").unwrap(), "since its claim");
    assert_eq!(comments(sql).len(), 3);
}

#[test]
fn a_later_file_says_it_anew() {
    let first = "-- Once.\ncreate table pgdial.things (\n    id int,   -- old\n    name text   -- kept\n);\n";
    let later = "comment on column pgdial.things.id is 'it''s; new, '\n    'and long';\ncomment on table pgdial.things is 'now';\n";
    let read = read([first, later]);
    assert_eq!(read[&Object::column("things", "id")], "it's; new, and long");
    assert_eq!(read[&Object::column("things", "name")], "kept");
    assert_eq!(read[&Object::whole("table", "things")], "now");
}

#[test]
fn a_partition_has_no_comment_of_its_own() {
    let sql =
        "-- The rest.\ncreate table pgdial.things_default partition of pgdial.things default;\n";
    assert_eq!(comments(sql), []);
}

const VERBS: &str = "\
-- pause, resume: stop and start.
-- p_why: for the audit.
--   select pgdial.pause('a', 'b');
--   select pgdial.resume('a');   -- at once
-- Returns whether it exists.
-- Races: none.
-- They are serialised.
create or replace function pgdial.pause(p_kind text) returns boolean
language sql as $$ select true $$;

create or replace function pgdial.resume(p_kind text) returns boolean
language sql as $$ select true $$;

-- Also by hand.
create or replace function pgdial.on_change() returns trigger
language plpgsql as $$ begin return new; end $$;

-- resume: in full.
--   select pgdial.resume('a', 'b');

create or replace function pgdial.silent() returns int
language sql as $$ select 1 $$;
";

#[test]
fn a_block_describes_the_functions_that_it_names_and_a_verb_has_an_example() {
    let pause = "stop and start.\np_why: for the audit.\n  select pgdial.pause('a', 'b');\nReturns whether it exists.";
    assert_eq!(of(VERBS, "function pause").unwrap(), pause);
    let resume = "stop and start.\np_why: for the audit.\n  select pgdial.resume('a');   -- at once\nReturns whether it exists.\n\
        in full.\n  select pgdial.resume('a', 'b');";
    assert_eq!(of(VERBS, "function resume").unwrap(), resume);
}

#[test]
fn a_function_without_an_example_is_internal() {
    assert_eq!(
        of(VERBS, "function on_change").unwrap(),
        "internal: Also by hand."
    );
    assert_eq!(of(VERBS, "function silent"), None);
}

#[test]
fn a_view_lists_its_columns() {
    let sql = "-- live: what is up.\n-- Cost: little.\n--   age   since when: long\n--   name  of it\n\
        create or replace view pgdial.live as\nselect 1;\n";
    assert_eq!(of(sql, "view live").unwrap(), "what is up.\nCost: little.");
    assert_eq!(of(sql, "live.age").unwrap(), "since when: long");
    assert_eq!(of(sql, "live.name").unwrap(), "of it");
}
