//! The running API under a fuzzer that knows only its `OpenAPI` document.

use std::{
    path::Path,
    process::{Child, Command},
};

use crate::support::{
    TestDb, eventually, number,
    processes::{Machine, Process},
};

const KEY: &str = "a-key-of-the-tests-that-is-long";
/// The bytes behind [`Machine`]'s webhook secret.
const SECRET_BYTES: &str = "tests share this secret on purpose";

/// A process that is killed when the test ends in any way.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// The whole program with API keys, and a provider that accepts calls.
async fn serving(machine: &Machine) -> (Process, Serving) {
    let provider = machine
        .start_provider(&["--ring", "50ms..200ms", "--talk", "100ms..2s"])
        .await;
    let child = machine
        .command(&["serve"])
        .env("PGDIAL_API_KEYS", format!("tests:{KEY}"))
        .env("PGDIAL_LOG", "warn")
        .spawn()
        .unwrap();
    let serving = Serving(child);
    let ready = format!("http://{}/readyz", machine.api);
    eventually("the API answers", || async {
        reqwest::get(&ready)
            .await
            .is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    (provider, serving)
}

/// Calls in many states, so that the fuzzer finds ids in responses.
async fn arrange(db: &TestDb) {
    db.sql("select pgdial.create_campaign('later')").await;
    db.sql("select pgdial.pause('campaign', 'later', 'for the fuzzer', 'tests')")
        .await;
    for n in 0..10 {
        db.enqueue(&number(n)).await;
        let waiting = serde_json::json!({"to": number(n), "scriptId": "s", "campaign": "later"});
        db.enqueue_as(waiting).await;
    }
    db.calls.send_wakes().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis: scripts/fuzz-api installs it and runs this"]
async fn the_api_keeps_to_its_document() {
    let schemathesis = std::env::var_os("FUZZ_API_TOOL").unwrap();
    let examples = std::env::var_os("FUZZ_API_EXAMPLES").unwrap();
    let machine = Machine::new().await;
    let _running = serving(&machine).await;
    arrange(&machine.db).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fuzzed = Command::new(schemathesis)
        .arg("--config-file")
        .arg(root.join(".config/schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/openapi.json", machine.api))
        .args(["--header", &format!("Authorization: Bearer {KEY}")])
        .arg("--max-examples")
        .arg(examples)
        .env("FUZZ_API_SECRET", SECRET_BYTES)
        .current_dir(root.join("target"))
        .status()
        .unwrap();
    assert!(fuzzed.success(), "{fuzzed}: its words are above");
}
