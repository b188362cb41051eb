//! The commands that use the database, as a shell sees them: exit codes, data on stdout, messages on stderr, and the
//! rows they leave.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{TestDb, processes::Machine};

mod acting;
mod caller_ids;
mod calls;
mod dnc;
mod doctor;
mod endpoints;
mod enqueue;
mod groups;
mod hours;
mod import;
mod keys;
mod lists;
mod migrating;
mod ops;
mod release;
mod tail;
mod webhooks;

const DONE: i32 = 0;
const REFUSED: i32 = 1;
const USAGE: i32 = 2;

/// An id that no call has.
const NOBODY: &str = "0197f5e0-0000-7000-8000-000000000001";

/// Result of a command.
#[derive(Debug)]
struct Ran {
    code: i32,
    /// From stdout.
    data: String,
    /// From stderr.
    words: String,
}

impl Ran {
    fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end before it reads its stdin.
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            data: String::from_utf8(output.stdout).unwrap(),
            words: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts success; returns stdout.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, DONE, "{self:?}");
        self.data
    }

    /// As [`Self::done`], parsed as JSON.
    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// Asserts that it failed with this code, and said why on stderr only.
    #[track_caller]
    fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.data, "", "{self:?}");
        assert!(self.words.contains(words), "{words:?} is not in {self:?}");
    }
}

/// Runs `pgdial <args>` as `tester`.
fn pgdial(machine: &Machine, args: &[&str]) -> Ran {
    pgdial_reading(machine, args, "")
}

/// The same, with this on stdin.
fn pgdial_reading(machine: &Machine, args: &[&str], stdin: &str) -> Ran {
    let mut command = machine.command(args);
    command.args(["--by", "tester"]);
    Ran::of(command, stdin)
}

/// The words of one line, regardless of column widths.
fn row(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_fills_an_empty_database_once() {
    let machine = Machine::new().await;
    let (url, pool) = TestDb::bare().await;
    let migrate = |args: &[&str]| {
        let mut command = machine.command(&["migrate"]);
        command.args(args).env("DATABASE_URL", &url);
        Ran::of(command, "").done()
    };
    let first = migrate(&[]);
    assert!(first.starts_with("applied migration 0001_"), "{first}");
    assert!(
        first.contains("applied the functions of release"),
        "{first}"
    );
    assert!(migrate(&[]).starts_with("the schema is up to date (release "));
    assert_eq!(
        serde_json::from_str::<Value>(&migrate(&["--json"])).unwrap(),
        serde_json::json!({ "applied": [], "functions": false })
    );
    let (campaigns,): (i64,) = sqlx::query_as("select count(*) from pgdial.campaigns")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(campaigns, 1, "`default` always exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_schema_every_command_says_how_to_make_it_and_makes_none() {
    let machine = Machine::new().await;
    let (url, pool) = TestDb::bare().await;
    for args in [
        &["serve"][..],
        &["api"],
        &["work"],
        &["calls", "list"],
        &["enqueue", "+14155550100", "--script", "welcome"],
        &["trunks", "list"],
    ] {
        let mut command = machine.command(args);
        command.env("DATABASE_URL", &url);
        Ran::of(command, "").refused(
            REFUSED,
            "the database has no schema pgdial yet: run `pgdial migrate`",
        );
    }
    let (there,): (bool,) = sqlx::query_as("select to_regnamespace('pgdial') is not null")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(!there);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_does_not_fit_the_program_is_refused_with_the_reason() {
    for (change, words) in [
        (
            "delete from pgdial.schema_history where kind = 'migration' and version > 1",
            "run `pgdial migrate`",
        ),
        (
            "update pgdial.schema_history set compatible_from = 1000",
            "newer",
        ),
    ] {
        let machine = Machine::new().await;
        machine.db.sql(change).await;
        for args in [&["serve"][..], &["api"], &["work"], &["calls", "list"]] {
            pgdial(&machine, args).refused(REFUSED, words);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_exist_is_named_without_the_lines_of_the_server() {
    let machine = Machine::new().await;
    let mut command = machine.command(&["calls", "list"]);
    let missing = machine.db.url.replacen("t_", "nobodys_", 1);
    assert_ne!(missing, machine.db.url);
    command.env("DATABASE_URL", missing);
    let ran = Ran::of(command, "");
    ran.refused(69, "does not exist\nhint: create that database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fake_provider_without_a_secret_is_a_wrong_setting() {
    let machine = Machine::new().await;
    for (secrets, words) in [
        (
            None,
            "PGDIAL_WEBHOOK_SECRETS is not set: webhooks are signed with it",
        ),
        (Some("whsec_%"), "PGDIAL_WEBHOOK_SECRETS: "),
    ] {
        let mut command = machine.command(&["fake-provider", "--listen", "127.0.0.1:0"]);
        command.env_remove("PGDIAL_WEBHOOK_SECRETS");
        command.envs(secrets.map(|secrets| ("PGDIAL_WEBHOOK_SECRETS", secrets)));
        Ran::of(command, "").refused(64, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_or_no_such_call_is_refused_by_every_command() {
    let machine = Machine::new().await;
    let commands: [&[&str]; 5] = [
        &["calls", "why"],
        &["calls", "cancel"],
        &["calls", "redrive"],
        &["calls", "amend", "--priority", "1"],
        &["release", "--why", "the carrier says so"],
    ];
    for command in commands {
        let ran = pgdial(&machine, &[command, &["lead"]].concat());
        ran.refused(USAGE, "invalid value 'lead' for '");
        ran.refused(USAGE, "not the id of a call, as in ");
        // The usage line names what this command takes, not what the environment provides.
        assert!(!ran.words.contains("--database-url"), "{ran:?}");
        let ran = pgdial(&machine, &[command, &[NOBODY]].concat());
        assert_eq!(ran.code, REFUSED, "{ran:?}");
        let told = format!("{}{}", ran.data, ran.words);
        assert!(
            told.contains("there is no such call") || told.contains("there is no call"),
            "{ran:?}"
        );
    }
}
