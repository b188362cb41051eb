//! Rules about the repository's shape, checked by reading its sources: who may name what, what every SQL file says
//! about itself, and which test stands behind each promise.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the folder, in a stable order.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extension, &mut found);
    found.sort();
    assert!(!found.is_empty(), "{folder} has no .{extension}");
    found
}

fn name(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap();
    path.to_string_lossy().into_owned()
}

/// The text without line comments: a comment may name what code may not.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().map(|line| {
        let comment = line.trim_start().starts_with("//");
        if comment { "" } else { line }
    });
    code.collect::<Vec<_>>().join("\n")
}

/// Whether the code contains this as a whole word.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// Places under `folder` that contain one of these words, except in `allowed` files.
fn trespasses(folder: &str, words: &[&str], allowed: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder, "rs") {
        let name = name(&path);
        if !allowed(&name) {
            let code = code(&path);
            let named = words.iter().filter(|word| names(&code, word));
            found.extend(named.map(|word| format!("{name} names {word}")));
        }
    }
    found
}

fn none(_: &str) -> bool {
    false
}

#[test]
fn only_flow_and_db_see_a_statement() {
    let may = |name: &str| {
        ["src/flow/", "src/db/"]
            .iter()
            .any(|folder| name.starts_with(folder))
            || ["src/flow.rs", "src/db.rs"].contains(&name)
    };
    // It turns database errors into exit codes, and cannot run a statement.
    let by_name = |name: &str| may(name) || name == "src/cli/exit.rs";
    assert_eq!(trespasses("src", &["sqlx"], &by_name), [""; 0]);
    let statements = [
        "query_as",
        "query_scalar",
        "raw_sql",
        "execute",
        "fetch_one",
        "fetch_all",
        "PgPool",
        "PgConnection",
        "Executor",
    ];
    let code = code(&root().join("src/cli/exit.rs"));
    let named: Vec<&&str> = statements
        .iter()
        .filter(|word| names(&code, word))
        .collect();
    assert_eq!(named, [&""; 0]);
}

#[test]
fn the_domain_is_pure() {
    let words = ["tokio", "axum", "sqlx", "hyper", "reqwest", "tracing"];
    assert_eq!(trespasses("src/domain", &words, &none), [""; 0]);
}

#[test]
fn http_never_sees_a_pool() {
    if root().join("src/http").exists() {
        let words = ["PgPool", "sqlx", "PgConnection", "Pool", "Lent"];
        assert_eq!(trespasses("src/http", &words, &none), [""; 0]);
    } else {
        assert!(!root().join("src/http.rs").exists());
    }
}

#[test]
fn a_provider_never_sees_a_row() {
    let words = ["flow", "db", "sqlx", "PgPool"];
    assert_eq!(trespasses("src/provider", &words, &none), [""; 0]);
}

#[test]
fn loops_never_see_sql() {
    for file in [
        "dispatcher.rs",
        "dialer.rs",
        "sweeper.rs",
        "heartbeat.rs",
        "deliverer.rs",
        "deliverer/send.rs",
    ] {
        let code = code(&root().join("src").join(file));
        for word in ["PgPool", "sqlx", "select ", "pgdial."] {
            assert!(!code.contains(word), "src/{file} contains {word:?}");
        }
    }
}

#[test]
fn the_rule_about_words_can_find_one() {
    assert!(names("use sqlx::PgPool;", "sqlx"));
    assert!(!names("workflow dbx overflow_db", "flow"));
    assert!(!names("workflow dbx overflow_db", "db"));
}

#[test]
fn every_sql_file_begins_with_what_it_is() {
    for folder in ["migrations", "sql"] {
        for path in files(folder, "sql") {
            let text = fs::read_to_string(&path).unwrap();
            let header: Vec<&str> = text
                .lines()
                .take_while(|line| line.starts_with("--"))
                .collect();
            let words = header.join(" ").split_whitespace().count();
            assert!(words >= 6, "{} has no header", name(&path));
        }
    }
}

/// With `standard_conforming_strings` off, a backslash in plain quotes is an escape. A bracket expression means the
/// same in every session: `[+]`, `[0-9]`.
#[test]
fn no_function_reads_otherwise_where_a_backslash_escapes() {
    for path in files("sql", "sql") {
        let text = fs::read_to_string(&path).unwrap();
        // In dollar quotes it is not an escape: the table of numbers has its JSON there.
        let text: String = text.split("$plans$").step_by(2).collect();
        let code = text.lines().map(|line| line.split("-- ").next().unwrap());
        let strange: Vec<&str> = code.filter(|line| line.contains('\\')).collect();
        assert_eq!(strange, [""; 0], "{}", name(&path));
    }
}

#[test]
fn every_sql_file_is_used() {
    let sources: String = files("src", "rs").iter().map(|path| code(path)).collect();
    for path in files("sql", "sql") {
        let name = name(&path);
        let stem = name.trim_start_matches("sql/").trim_end_matches(".sql");
        let used = match stem.split('/').next().unwrap() {
            // Run by tests/it/ops.rs, which lists them, and by people.
            "ops" => {
                let test = fs::read_to_string(root().join("tests/it/ops.rs")).unwrap();
                test.contains(&format!("\"{}\"", stem.trim_start_matches("ops/")))
            }
            // Run by administrators, and by every test.
            "setup" => {
                let test = fs::read_to_string(root().join("tests/it/support/database.rs")).unwrap();
                test.contains(&format!("{name}\""))
            }
            "read" => sources.matches(&format!("{name}\"")).count() == 1,
            _ => sources.contains(&format!("\"{stem}\"")),
        };
        assert!(used, "{name} is not used");
    }
}

/// One verb, one name: `sql/flow/VERB.sql` makes `pgdial.VERB`, or only functions whose names begin or
/// end with it (`create_trunk`), and `src/flow/VERB.rs` calls one of them; `tests/it/VERB.rs` tries it.
#[test]
fn every_verb_has_one_name_in_sql_in_rust_and_among_the_tests() {
    // A file that is no module is not compiled.
    let tests = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    let wrong: Vec<String> = files("sql/flow", "sql")
        .iter()
        .flat_map(|path| {
            let verb = path.file_stem().unwrap().to_str().unwrap();
            let functions = defined(path);
            let named = |function: &&String| match verb {
                // Each is about two things, and each function about one of them.
                "groups" => function.ends_with("_campaign") || function.ends_with("_trunk"),
                "hours" => function.ends_with("_calling_hours") || function.ends_with("_calendar"),
                "contact_limits" => function.ends_with("_contact_limit"),
                "caller_ids" => function.ends_with("_caller_id"),
                "keys" => function.ends_with("_key"),
                "sessions" => function.ends_with("_session"),
                "endpoints" => function.ends_with("_endpoint"),
                "matching" => function.ends_with("_matching"),
                "look_up" => function.starts_with("look_up"),
                "repeat" => function.starts_with("repeat"),
                verb => {
                    *function == verb
                        || function
                            .strip_prefix(verb)
                            .is_some_and(|rest| rest.starts_with('_'))
                }
            };
            let own: Vec<&String> = functions.iter().filter(named).collect();
            let rust = root().join(format!("src/flow/{verb}.rs"));
            let called = rust.exists() && {
                let code = code(&rust);
                own.iter()
                    .any(|function| code.contains(&format!("pgdial.{function}(")))
            };
            let test = tests.contains(&format!("\nmod {verb};"));
            [
                (own.is_empty(), "SQL function"),
                (!called, "call in src/flow"),
                (!test, "module in tests/it"),
            ]
            .into_iter()
            .filter(|(missing, _)| *missing)
            .map(move |(_, what)| format!("{verb} has no {what} of its name"))
            .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
}

/// Functions that an SQL file creates.
fn defined(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let made = text.split("create or replace function pgdial.").skip(1);
    made.map(|rest| rest.split('(').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_promise_has_its_test() {
    let page = fs::read_to_string(root().join("docs/GUARANTEES.md")).unwrap();
    for promise in ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"] {
        let row = page
            .lines()
            .find(|line| line.replace("**", "").starts_with(&format!("| {promise} ")))
            .unwrap_or_else(|| panic!("docs/GUARANTEES.md has no table row for {promise}"));
        assert_names_tests(row);
    }
}

#[test]
fn every_failure_has_its_test() {
    let page = fs::read_to_string(root().join("docs/FAILURES.md")).unwrap();
    let numbered = |line: &&str| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit();
    let failures: Vec<&str> = page.lines().filter(numbered).collect();
    assert!(failures.len() >= 30, "{}", failures.len());
    for failure in failures {
        assert_names_tests(failure);
    }
}

/// Asserts that a row of the table names tests (`file::test`) and that these exist.
fn assert_names_tests(row: &str) {
    let tests: Vec<&str> = row
        .split('`')
        .filter(|cell| cell.starts_with("tests/") && cell.contains("::"))
        .collect();
    assert!(!tests.is_empty(), "no test is named: {row}");
    for test in tests {
        assert_test_exists(test, row);
    }
}

#[test]
fn every_defence_has_its_test() {
    let security = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let tests: Vec<&str> = security
        .split('`')
        .filter(|cell| cell.contains(".rs::"))
        .collect();
    assert!(tests.len() > 20, "{tests:?}");
    for test in tests {
        assert_test_exists(test, "SECURITY.md");
    }
}

/// `named` is a test as documents write it: `tests/it/claim.rs::a_name`.
fn assert_test_exists(named: &str, by: &str) {
    let (file, name) = named.split_once("::").unwrap();
    let text = fs::read_to_string(root().join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}: {by}"));
    assert!(
        text.contains(&format!("fn {name}(")),
        "{file} has no test {name}: {by}"
    );
}
