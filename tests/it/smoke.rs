//! A whole installation, from an empty database to 200 calls and every prepared query, using only the program.
//! `scripts/smoke` runs it on every supported Postgres.

use std::{fmt::Write as _, process::Command};

use serde_json::{Value, json};

use crate::support::{ROLES, TestDb, number, processes::Machine};

const CALLS: usize = 200;

/// Output of a command, which must succeed.
fn done(mut command: Command) -> String {
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_database_to_two_hundred_calls_and_every_question() {
    let machine = Machine::on(TestDb::prepared(ROLES).await);
    let mut migrate = machine.command(&["migrate"]);
    migrate.env("DATABASE_URL", machine.db.url_as("deploy"));
    assert!(done(migrate).contains("applied the functions"));

    let _provider = machine
        .start_provider(&["--ring", "10ms..50ms", "--talk", "20ms..200ms"])
        .await;
    let serve = machine.start_serve().await;
    let mut lines = String::new();
    for n in 0..CALLS {
        writeln!(lines, "{}", json!({"to": number(n), "scriptId": "welcome"})).unwrap();
    }
    std::fs::write(machine.file("calls.ndjson"), lines).unwrap();
    done(machine.command(&["import", "calls.ndjson"]));
    machine.until_all_over().await;
    let completed = "select count(*) from pgdial.calls where state = 'completed'";
    assert_eq!(machine.db.number(completed).await, 200);
    assert_eq!(machine.rings_begun(), CALLS);
    machine.judge(30);

    let questions: Value =
        serde_json::from_str(&done(machine.command(&["ops", "--json"]))).unwrap();
    let questions = questions.as_array().unwrap();
    assert!(questions.len() >= 10, "{questions:?}");
    let to = number(0);
    for question in questions {
        let name = question["name"].as_str().unwrap();
        let mut args = vec!["ops", name];
        args.extend((name == "number").then_some(&*to));
        done(machine.command(&args));
    }
    let output = machine.command(&["doctor", "--json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The tests' server does not survive a crash, which doctor reports.
    let checks = told["checks"].as_array().unwrap().iter();
    let failing: Vec<&Value> = checks
        .filter(|check| check["verdict"] == "fail" && check["check"] != "durability")
        .collect();
    assert!(failing.is_empty(), "{told:#}");
    let dry = done(machine.command(&["forget", &to, "--why", "a smoke test"]));
    assert!(!dry.is_empty());
    assert!(serve.stop().await);
    println!("{}", machine.db.text("select version()").await);
}
