//! What a screen asks of the database, with a million calls behind it.
//!
//! The program itself logs each statement with its time, under the id of the request that it is for; so the figure is
//! what the program waited for, the way to the database included.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::{
    database::TestDb,
    server::{Server, address_of},
};

const FINISHED: usize = 1_000_000;
const WAITING: usize = 20_000;
/// Of a screen, in ms.
const LIMIT: f64 = 300.0;
/// Each screen is read so often; the worst reading counts.
const TIMES: usize = 3;
const WORKER: &str = "00000000-0000-4000-8000-000000000002";

/// The history of the laboratory: finished calls of a day, of which the latest failed in part, and some of everything.
pub(crate) async fn arrange(db: &TestDb) {
    let finished = include_str!("../../lab/src/bed/seed_finished.sql");
    let waiting = include_str!("../../lab/src/bed/seed_waiting.sql");
    let stage = include_str!("../../lab/src/ops/stage.sql");
    let between = |sql: &str, from: usize, to: usize| {
        sql.replace("$1", &from.to_string())
            .replace("$2", &to.to_string())
    };
    // Without the limits of the program.
    let mut session = PgConnection::connect(&db.url).await.unwrap();
    let mut run = async |sql: &str| {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut session);
        done.await.unwrap();
    };
    for from in (0..FINISHED).step_by(100_000) {
        run(&between(finished, from + 1, from + 100_000)).await;
    }
    run("select pgdial.ensure_partitions(pgdial.now(), 8)").await;
    run(&between(waiting, 0, WAITING)).await;
    run(&between(stage, 100_000, 0).replace("limit 40000", "limit 600000")).await;
    run(
        "select pgdial.create_endpoint('default', '{\"url\": \"https://crm.example.com/\"}'); \
         select pgdial.create_key('default', '{\"scope\": \"read\"}')",
    )
    .await;
    run("vacuum (analyze)").await;
}

/// Reads every screen, and prints what each cost; fails if one was too much.
pub(crate) async fn measure(db: &TestDb, server: &Server, key: &str, log: &Path) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    let mut read = Vec::new();
    for screen in pgdial::http::screen_list() {
        if screen.method == "GET" && screen.path != "/ui/live" {
            for address in addresses(db, screen.path).await {
                read.push(address);
            }
        }
    }
    for (at, address) in read.iter().enumerate() {
        for time in 0..TIMES {
            let request = client.get(format!("{}{address}", server.url()));
            let request = request
                .header("accept", "text/html")
                .header("x-request-id", format!("{at}-{time}"))
                .bearer_auth(key);
            let answer = request.send().await.unwrap();
            let status = answer.status();
            assert!(
                !status.is_client_error() && !status.is_server_error(),
                "{address}: {status}"
            );
            answer.text().await.unwrap();
        }
    }
    let costs = costs(&fs::read_to_string(log).unwrap());
    // Or the log had nothing to say.
    assert!(
        costs.len() >= read.len(),
        "statements of {} requests",
        costs.len()
    );
    println!("{:>5} {:>10} {:>9}  screen", "", "statements", "ms");
    let mut dear = Vec::new();
    for (at, address) in read.iter().enumerate() {
        let readings = (0..TIMES).filter_map(|time| costs.get(&format!("{at}-{time}")));
        let worst = readings.max_by(|one, other| one.ms.total_cmp(&other.ms));
        let Some(worst) = worst else {
            println!("{:>5} {:>10} {:>9}  {address}", "", 0, "");
            continue;
        };
        let sign = if worst.ms > LIMIT { "OVER" } else { "" };
        println!(
            "{sign:>5} {:>10} {:>9.1}  {address}",
            worst.statements, worst.ms
        );
        if worst.ms > LIMIT {
            dear.push(format!(
                "{address}: {:.0} ms of it: {}",
                worst.longest.0, worst.longest.1
            ));
        }
    }
    assert!(dear.is_empty(), "over {LIMIT} ms:\n{}", dear.join("\n"));
}

/// What there is for a path.
async fn addresses(db: &TestDb, path: &str) -> Vec<String> {
    let queries: &[&str] = match path {
        "/ui/calls" => &[
            "",
            "?state=failed",
            "?state=waiting",
            "?state=expired",
            "?campaign=lane_3",
            "?outcome=busy",
            "?q=Person+500000",
            "?q=%2B13000048271",
            "?q=seed-500000",
            "?q=01",
            "?q=nobody",
        ],
        "/ui/failures" => &["", "?campaign=default", "?campaign=lane_3"],
        "/ui/calls/cancel" => &["?campaign=default", "?state=waiting"],
        "/ui/calls/redrive" => &["?state=failed"],
        "/ui/calls/resolve" => &["?state=unresolved"],
        "/ui/campaigns/{name}" | "/ui/campaigns/{name}/preview" => {
            return vec![address_of(path, "default"), address_of(path, "lane_3")];
        }
        _ if path.starts_with("/ui/workers/{") => return vec![address_of(path, WORKER)],
        _ if path.starts_with("/ui/calls/{") => {
            let mut found = Vec::new();
            for state in ["completed", "failed", "waiting", "in_call"] {
                let sql = format!(
                    "select id from pgdial.calls where state = '{state}' order by id desc limit 1"
                );
                found.push(address_of(path, &db.text(&sql).await));
                if path.ends_with('}') {
                    continue;
                }
                break;
            }
            return found;
        }
        _ if path.contains('{') => return vec![address_of(path, "default")],
        _ => &[""],
    };
    queries
        .iter()
        .map(|query| format!("{path}{query}"))
        .collect()
}

#[derive(Default)]
struct Cost {
    statements: usize,
    ms: f64,
    longest: (f64, String),
}

/// By the id of the request.
fn costs(log: &str) -> BTreeMap<String, Cost> {
    let mut costs = BTreeMap::<String, Cost>::new();
    for line in log.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let (Some(seconds), Some(id)) = (line["elapsed_secs"].as_f64(), request_of(&line)) else {
            continue;
        };
        let cost = costs.entry(id).or_default();
        cost.statements += 1;
        cost.ms += seconds * 1e3;
        if seconds * 1e3 > cost.longest.0 {
            cost.longest = (seconds * 1e3, line["summary"].to_string());
        }
    }
    costs
}

fn request_of(line: &Value) -> Option<String> {
    let spans = line["spans"].as_array()?;
    let id = spans
        .iter()
        .find_map(|span| span["http.request_id"].as_str());
    id.map(str::to_owned)
}
