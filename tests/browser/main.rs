//! The page in a real Chromium, signed in at `pgdial serve` on a real Postgres. The tests proper are the files
//! `*.test.mjs` beside this one; this one stages what they look at. `scripts/check-browser` and `scripts/screenshots`
//! install what it takes, and run it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test fails by panicking, and so do its helpers"
)]

#[path = "../it/support/database.rs"]
#[expect(dead_code, reason = "shared with tests/it, which needs more of it")]
mod database;

mod cost;
mod hostile;
mod lively;
mod server;

use std::{path::Path, process::Command};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use self::{database::TestDb, server::Server};

/// Runs node in `tests/browser`; it is told what is staged.
fn node(args: &[&str], stage: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let ended = Command::new("node")
        .args(args)
        .current_dir(folder)
        .env("PGDIAL_STAGE", stage.to_string())
        .status()
        .unwrap();
    assert!(ended.success(), "{ended}: its words are above");
}

async fn key(db: &TestDb) -> String {
    let may = json!({"scope": "admin", "numbers": "on_request"});
    let key = db.calls.create_key("desk", &may, "tests", None).await;
    key.unwrap().unwrap().expose_secret().to_owned()
}

/// What the browser is told: where the server is, which screens it has, and what there is to be seen on them.
async fn stage(db: &TestDb, server: &Server, mut seen: Value) -> Value {
    seen["key"] = key(db).await.into();
    seen["url"] = server.url().into();
    let screens = pgdial::http::screen_list();
    let screens = screens
        .iter()
        .map(|screen| json!({"method": screen.method, "path": screen.path}));
    seen["screens"] = screens.collect();
    seen
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-browser installs it and runs this"]
async fn the_page_in_a_browser() {
    let db = TestDb::new().await;
    let seen = hostile::arrange(&db).await;
    let server = Server::start(&db, &["serve"], None).await;
    let stage = stage(&db, &server, seen).await;
    let chosen = std::env::var_os("CHECK_BROWSER").unwrap_or_default();
    let chosen = chosen.to_string_lossy();
    let mut args = vec!["--test", "--test-concurrency=1", "--test-reporter=spec"];
    args.extend(chosen.split_whitespace());
    node(&args, &stage);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/screenshots installs it and runs this"]
async fn pictures() {
    let db = TestDb::new().await;
    let (seen, _alive) = lively::arrange(&db).await;
    // Nobody dials: nothing changes between two pictures.
    let server = Server::start(&db, &["api"], None).await;
    node(&["pictures.mjs"], &stage(&db, &server, seen).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a million calls first: scripts/time-screens runs this"]
async fn no_screen_asks_much_of_the_database() {
    let db = TestDb::new().await;
    cost::arrange(&db).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let args = [
        "api",
        "--log",
        "warn,pgdial::http=info,sqlx::query=debug",
        "--log-format",
        "json",
    ];
    let server = Server::start(&db, &args, Some(log.reopen().unwrap())).await;
    cost::measure(&db, &server, &key(&db).await, log.path()).await;
}
