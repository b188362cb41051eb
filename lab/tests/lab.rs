//! What the lab prints, and that it leaves everything else alone. No test checks how fast anything was.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and so do its helpers"
)]

use std::process::{Command, Output};

use serde_json::{Value, json};

#[expect(dead_code, reason = "shared with tests/it, which needs more of it")]
#[path = "../../tests/it/support/database.rs"]
mod database;

use database::{TestDb, url_as};

const REFUSED: i32 = 1;
const USAGE: i32 = 2;

/// A few hundred calls: enough for the checks of each scenario, not for its figures.
const SMALL: [&str; 4] = ["--scale", "0.01", "--repeats", "1"];

/// Output of one run.
#[derive(Debug)]
struct Ran(Output);

/// Runs the lab in an empty folder, where there is no `.env`.
fn lab(url: Option<&str>, args: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgdial-lab"));
    command
        .args(args)
        .current_dir(&folder)
        .env_remove("PGDIAL_LOG")
        .env_remove("DATABASE_URL");
    if let Some(url) = url {
        command.env("DATABASE_URL", url);
    }
    Ran(command.output().unwrap())
}

impl Ran {
    /// Asserts success; returns stdout.
    #[track_caller]
    fn done(self) -> String {
        assert!(self.0.status.success(), "{self:?}");
        String::from_utf8(self.0.stdout).unwrap()
    }

    /// As [`Self::done`], parsed as JSON.
    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// Asserts that it failed with this code, and said why on stderr only.
    #[track_caller]
    fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.0.status.code(), Some(code), "{self:?}");
        assert!(self.0.stdout.is_empty(), "{self:?}");
        let said = String::from_utf8_lossy(&self.0.stderr);
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
}

#[track_caller]
fn is_figure(summary: &Value, runs: u64) {
    assert!(summary["median"].as_f64().unwrap() > 0.0, "{summary}");
    let (least, most) = (summary["min"].as_f64(), summary["max"].as_f64());
    assert!(least.is_some() && least <= most, "{summary}");
    assert_eq!(summary["runs"], runs, "{summary}");
    let samples = summary["samples"].as_array().unwrap();
    assert_eq!(samples.len() as u64, runs, "{summary}");
}

/// Asserts that the scenario ran, with one rate and its limit.
#[track_caller]
fn is_rate(scenario: &Value, runs: u64) {
    assert_eq!(scenario["error"], Value::Null, "{scenario}");
    let measure = &scenario["measures"][0];
    assert_eq!(
        (&measure["unit"], &measure["better"]),
        (&"calls/s".into(), &"higher".into())
    );
    is_figure(measure, runs);
    is_figure(&measure["limit"], runs);
    assert!(measure["limit"]["what"].is_string(), "{measure}");
    assert!(measure["ratio"].as_f64().unwrap() > 0.0, "{measure}");
    is_figure(&measure["cpuMicrosPerCall"]["postgres"], runs);
    is_figure(&measure["cpuMicrosPerCall"]["pgdial"], runs);
    is_figure(&measure["peakRssBytes"]["pgdial"], runs);
    assert!(measure["notes"].is_array(), "{measure}");
}

/// Asserts that the scenario ran, with its percentiles. A dial that begins before the response is read counts as 0.
#[track_caller]
fn is_latency(scenario: &Value, name: &str) {
    assert_eq!(scenario["error"], Value::Null, "{scenario}");
    let measures = scenario["measures"].as_array().unwrap();
    let values: Vec<f64> = (0..4)
        .zip(["p50", "p95", "p99", "worst"])
        .map(|(at, part)| {
            let measure = &measures[at];
            assert_eq!(measure["name"], format!("{name} {part}"));
            assert_eq!(
                (&measure["unit"], &measure["better"]),
                (&"ms".into(), &"lower".into())
            );
            assert_eq!(measure["runs"], 1);
            measure["median"].as_f64().unwrap()
        })
        .collect();
    assert!(values.is_sorted() && values[0] >= 0.0, "{values:?}");
}

#[test]
fn the_list_needs_no_server() {
    let nowhere = Some("postgres://pgdial@127.0.0.1:1/pgdial");
    let list = lab(nowhere, &["--list"]).done();
    for name in [
        "enqueue-http",
        "enqueue-library",
        "enqueue-bulk",
        "drain-30",
        "drain-100",
        "drain-500",
        "slots-2000",
        "workers-1",
        "workers-4",
        "workers-20",
        "lifecycle",
        "pickup-one",
        "pickup-two",
        "pickup-load",
        "refill",
        "webhook-large",
        "scheduled",
        "idle",
        "twins",
        "scheduled-300k",
        "campaigns-5000",
        "flat",
        "held-snapshot",
        "in-flight-50000",
        "waiting-10m",
        "listeners",
        "peers",
    ] {
        let line = |line: &str| line.split_whitespace().next() == Some(name);
        assert!(list.lines().any(line), "{name}: {list}");
    }
    let one = lab(nowhere, &["--list", "--json", "lifecycle"]).json();
    assert_eq!(one.as_array().unwrap().len(), 1, "{one}");
    lab(nowhere, &["dream"]).refused(USAGE, "there is no scenario \"dream\"");
}

#[test]
fn without_a_server_it_measures_on_a_durable_one_of_its_own() {
    let args = [&["drain-30", "--json"], &SMALL[..]].concat();
    let done = lab(None, &args).json();
    let about = &done["machine"];
    for field in ["cpuModel", "kernel", "postgres", "pgdial", "profile"] {
        assert!(
            about[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {about}"
        );
    }
    assert!(
        about["cpus"].as_u64() > Some(0) && about["memoryBytes"].as_f64() > Some(0.0),
        "{about}"
    );
    assert_eq!(about["server"], "private");
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("max_connections", "200"),
    ] {
        assert_eq!(about["settings"][setting], value, "{about}");
    }
    assert_eq!(
        (&done["repeats"], &done["scale"]),
        (&1.into(), &0.01.into())
    );
    assert_eq!(done["scenarios"].as_array().unwrap().len(), 1);
    assert_eq!(done["scenarios"][0]["name"], "drain-30");
    is_rate(&done["scenarios"][0], 1);
}

/// A single test, because all parts share the name of the database.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_given_server_it_uses_a_database_of_its_own_and_drops_it() {
    let db = TestDb::new().await;
    let there = "select count(*) from pg_database where datname = 'pgdial_lab'";
    let run = |url: &str, args: &[&str]| lab(Some(url), &[args, &SMALL[..]].concat());

    // The worker's login may not.
    let refused = run(&url_as("dialer", &db.url), &["drain-30"]);
    refused.refused(REFUSED, "the role dialer may not create databases");

    // A database of that name that the lab did not make is not dropped.
    db.sql("create database pgdial_lab").await;
    let refused = run(&db.url, &["drain-30"]);
    refused.refused(REFUSED, "that the lab has not made");
    assert_eq!(db.text(there).await, "1");
    db.sql("drop database pgdial_lab").await;

    let call = json!({ "to": "+14155550100", "scriptId": "welcome" });
    db.calls.enqueue_one("tester", &call).await.unwrap();
    let all = [
        "enqueue-http",
        "enqueue-library",
        "enqueue-bulk",
        "workers-4",
        "lifecycle",
        "pickup-two",
        "refill",
        "twins",
        "webhook-large",
        "in-flight-2000",
        "listeners",
        "pickup-load",
    ];
    let done = run(&db.url, &[&all[..], &["--json"]].concat()).json();
    assert_eq!(done["machine"]["server"], "given");
    let warnings = done["machine"]["warnings"].to_string();
    assert!(warnings.contains("fsync is off"), "{warnings}");
    let scenarios = done["scenarios"].as_array().unwrap();
    for scenario in &scenarios[..3] {
        is_rate(scenario, 1);
    }
    for (scenario, names) in [
        (&scenarios[3], &["workers-4"][..]),
        (&scenarios[4], &["lifecycle", "lifecycle-claim-to-end"]),
        (&scenarios[7], &["twins p50", "twins p95"]),
        (
            &scenarios[8],
            &["webhook-large", "webhook-large, 32 at a time"],
        ),
        (&scenarios[9], &["in-flight-2000, to in call"]),
        (&scenarios[10], &["100 listeners at 1000 events/s"]),
    ] {
        assert_eq!(scenario["error"], Value::Null, "{scenario}");
        for (measure, name) in scenario["measures"].as_array().unwrap().iter().zip(names) {
            assert_eq!(measure["name"], *name);
            is_figure(measure, 1);
        }
    }
    for (scenario, name) in [
        (&scenarios[5], "pickup-two"),
        (&scenarios[6], "refill"),
        (&scenarios[11], "pickup at 10/s"),
    ] {
        is_latency(scenario, name);
    }
    assert_eq!(db.text(there).await, "0", "it drops its database");
    let untouched = "select string_agg(state::text, ',') from pgdial.calls";
    assert_eq!(
        db.text(untouched).await,
        "waiting",
        "nobody dials calls of the given one"
    );
}
