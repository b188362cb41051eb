//! What Prometheus scrapes from real processes. The dashboard and the alert rules in `docs/` must use nothing else.

use std::{net::TcpListener, path::Path};

use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use self::expressions::Exported;
use crate::support::{eventually, number, processes::Machine};

/// `PromQL`, as far as it names metrics and labels.
mod expressions;

/// Rings and talks that are soon over.
const QUICK: [&str; 4] = ["--ring", "10ms..20ms", "--talk", "20ms..50ms"];

async fn scrape(address: impl std::fmt::Display) -> String {
    let url = format!("http://{address}/metrics");
    let answer = reqwest::get(url).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.text().await.unwrap()
}

/// Value of one series; 0 if it is absent.
fn value(text: &str, series: &str) -> i64 {
    let found = text.lines().find_map(|line| {
        let rest = line.strip_prefix(series)?;
        rest.strip_prefix(' ')?.parse().ok()
    });
    found.unwrap_or(0)
}

/// Metrics of a process that has enqueued, claimed, dialled and received webhooks, with one campaign paused.
async fn after_a_small_run(machine: &Machine) -> String {
    machine
        .db
        .sql(
            "insert into pgdial.campaigns (name, trunk, cap, paused, paused_why) \
             values ('spring', 'default', 2, true, 'because')",
        )
        .await;
    let url = "https://crm.example.com";
    machine.db.endpoint("crm", url, &["forgotten"]).await;
    let client = reqwest::Client::new();
    for n in 0..3 {
        let url = format!("http://{}/api/v1/calls", machine.api);
        let request = json!({"to": number(n), "scriptId": "welcome"});
        let answer = client.post(url).json(&request).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    machine.until_all_over().await;
    // The last responses are counted after their commits.
    eventually("every webhook and the first sweep are counted", || async {
        let text = scrape(machine.api).await;
        value(&text, "pgdial_webhook_seconds_count") >= 3
            && value(&text, "pgdial_sweep_total{result=\"done\"}") >= 1
            && value(&text, "pgdial_permits_used") == 0
            && value(&text, "pgdial_listening") == 1
    })
    .await;
    scrape(machine.api).await
}

/// A worker's own poll is sometimes faster than the hint, so several calls may be needed.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_a_hint_to_its_claim_is_counted() {
    let machine = Machine::new().await;
    let _provider = machine.start_provider(&QUICK).await;
    let _serve = machine.start_serve().await;
    let url = format!("http://{}/api/v1/calls", machine.api);
    let client = reqwest::Client::new();
    // Of several at once, the worker takes the first by itself, and is told of the others.
    let ask = async |n| {
        let request = json!({"to": number(n), "scriptId": "welcome"});
        let answer = client.post(&url).json(&request).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    };
    eventually("a claim after a hint", || async {
        futures_util::future::join_all((1..=10).map(&ask)).await;
        machine.until_all_over().await;
        value(&scrape(machine.api).await, "pgdial_refill_seconds_count") >= 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_counts_what_it_does_and_the_documents_ask_for_nothing_else() {
    let machine = Machine::new().await;
    let _provider = machine.start_provider(&QUICK).await;
    let _serve = machine.start_serve().await;
    let text = after_a_small_run(&machine).await;
    for (series, least) in [
        ("pgdial_claim_calls_total", 3),
        ("pgdial_claim_total{result=\"calls\"}", 1),
        ("pgdial_claim_total{result=\"none\"}", 1),
        ("pgdial_claim_seconds_count", 2),
        ("pgdial_pickup_seconds_count", 3),
        ("pgdial_dial_total{result=\"placed\",trunk=\"default\"}", 3),
        ("pgdial_dial_seconds_count{trunk=\"default\"}", 3),
        (
            "pgdial_reported_outcomes_total{outcome=\"answered\",trunk=\"default\"}",
            3,
        ),
        ("pgdial_enqueue_seconds_count", 3),
        ("pgdial_batch_items_sum{verb=\"dialed\"}", 3),
        ("pgdial_statement_seconds_count{verb=\"webhook\"}", 1),
        ("pgdial_listener_connects_total", 1),
        ("pgdial_permits", 30),
        ("pgdial_pool_limit{pool=\"serve\"}", 8),
        ("pgdial_pool_limit{pool=\"worker\"}", 8),
        ("pgdial_pool_wait_seconds_count", 1),
        ("pgdial_sweep_total{result=\"done\"}", 1),
        ("pgdial_trunk_workers{trunk=\"default\"}", 1),
        (
            "pgdial_campaign_blocked{campaign=\"spring\",reason=\"campaign_paused\"}",
            1,
        ),
        ("pgdial_campaign_cap{campaign=\"spring\"}", 2),
        (
            "pgdial_calls_ended_recently{campaign=\"default\",outcome=\"answered\",trunk=\"default\"}",
            3,
        ),
    ] {
        assert!(value(&text, series) >= least, "{series} in\n{text}");
    }
    // A webhook may be faster than the response to its dial.
    let dialed = |verdict| {
        let series = format!("pgdial_verdicts_total{{verb=\"dialed\",verdict=\"{verdict}\"}}");
        value(&text, &series)
    };
    assert_eq!(dialed("in_call") + dialed("stale"), 3, "{text}");
    assert!(!text.contains(&number(0)[1..]), "a number in\n{text}");

    let exported = Exported::read(&text);
    let mut wrong = Vec::new();
    let asked = [dashboard(), alerts()].concat();
    assert!(asked.len() > 60, "{} expressions", asked.len());
    for (place, expression, legend) in asked {
        let found = exported.unknown(&expression, &legend);
        wrong.extend(found.into_iter().map(|what| format!("{place}: {what}")));
    }
    assert!(wrong.is_empty(), "{}\nin\n{text}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_api_answers_metrics_where_it_is_told_to() {
    let machine = Machine::new().await;
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let args = ["--metrics-listen", &*address];
    let _worker = machine.start_worker("worker", &args).await;
    let text = scrape(&address).await;
    assert_eq!(value(&text, "pgdial_database_up"), 1, "{text}");
    assert_eq!(value(&text, "pgdial_permits"), 30, "{text}");
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/api/v1/calls", 404)] {
        let answer = reqwest::get(format!("http://{address}{path}"));
        assert_eq!(answer.await.unwrap().status(), status, "{path}");
    }
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Place, expression, and the legend, which shows labels.
type Asked = (String, String, String);

fn dashboard() -> Vec<Asked> {
    let dashboard: Value = serde_json::from_str(&file("docs/grafana/pgdial.json")).unwrap();
    assert_eq!(dashboard["uid"], "pgdial");
    let mut asked = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        if panel["type"] == "row" {
            continue;
        }
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${DS_PROMETHEUS}", "{title}");
            let text = |name: &str| target[name].as_str().unwrap().to_owned();
            asked.push((format!("panel {title}"), text("expr"), text("legendFormat")));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            // label_values(metric, label)
            let inner = query
                .trim_start_matches("label_values(")
                .trim_end_matches(')');
            let (metric, label) = inner.split_once(", ").unwrap();
            let expression = format!("max by ({label}) ({metric})");
            asked.push((
                format!("variable {}", variable["name"]),
                expression,
                String::new(),
            ));
        }
    }
    asked
}

fn alerts() -> Vec<Asked> {
    let rules = YamlLoader::load_from_str(&file("docs/prometheus/alerts.yml")).unwrap();
    let groups = rules[0]["groups"].as_vec().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap());
    rules.map(alert).collect()
}

/// The anchor that Markdown renderers give to a heading.
fn anchor_of(heading: &str) -> String {
    let words = heading.trim_start_matches(['#', ' ']).to_lowercase();
    let kept = words
        .chars()
        .filter(|c| c.is_alphanumeric() || " -".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Every alert names the heading of its runbook.
#[test]
fn a_runbook_is_about_its_alert() {
    let rules = file("docs/prometheus/alerts.yml");
    for (alert, anchor) in [
        ("PgdialBreakerOpen", "dials-fail"),
        ("PgdialTrunkHeld", "after-a-restore-or-a-failover"),
        (
            "PgdialLateAnswerOrMismatch",
            "a-webhook-came-late-or-about-another-call",
        ),
        ("PgdialListenerDeaf", "notifications-do-not-arrive"),
        ("PgdialHousekeepingFails", "housekeeping-fails"),
        ("PgdialWorkFails", "a-process-fails-at-its-work"),
    ] {
        let rule = rules
            .split("- alert: ")
            .find(|rule| rule.starts_with(alert))
            .unwrap();
        let link = format!("runbook_url: \"docs/OPERATIONS.md#{anchor}\"");
        assert!(rule.contains(&link), "{rule}");
    }
}

fn alert(rule: &Yaml) -> Asked {
    let text = |yaml: &Yaml| {
        yaml.as_str()
            .unwrap_or_else(|| panic!("{rule:?}"))
            .to_owned()
    };
    let name = text(&rule["alert"]);
    let annotations = &rule["annotations"];
    assert!(["critical", "warning"].contains(&&*text(&rule["labels"]["severity"])));
    let runbook = text(&annotations["runbook_url"]);
    let (document, anchor) = runbook.split_once('#').unwrap();
    // The person who is woken up finds the heading.
    let headed = file(document)
        .lines()
        .any(|line| line.starts_with('#') && anchor_of(line) == anchor);
    assert!(
        headed,
        "{document} has no heading {anchor:?}, which {name} names"
    );
    let summary = text(&annotations["summary"]);
    (
        format!("alert {name}"),
        text(&rule["expr"]),
        summary.replace("$labels.", ""),
    )
}
