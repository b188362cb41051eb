//! What is counted where the database says no.

use pgdial::{domain::Outcome, flow::settle::Settled};

use crate::support::World;

/// P6: a result that comes too late changes nothing, and is counted.
#[tokio::test]
async fn stale_results_are_counted() {
    let world = World::new().await;
    let dial = world.dialing("+14155550100").await.reference();
    let stale = "pgdial_verdicts_total{verb=\"settle\",verdict=\"stale\"} ";
    let of = |text: &str, series: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(series));
        found.unwrap().to_owned()
    };
    let settle = || world.calls.settle(dial, Outcome::Declined, "no");
    assert_eq!(settle().await.unwrap(), Settled::Failed);
    assert_eq!(of(&world.get("/metrics").await.text, stale), "0");
    assert_eq!(settle().await.unwrap(), Settled::Stale);
    let text = world.get("/metrics").await.text;
    assert_eq!(of(&text, stale), "1");
    let failed = "pgdial_verdicts_total{verb=\"settle\",verdict=\"failed\"} ";
    assert_eq!(of(&text, failed), "1");
}

/// The history may be long; a scrape does not read it.
#[tokio::test]
async fn a_scrape_reads_only_what_has_not_ended() {
    let world = World::new().await;
    world
        .sql(
            "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, state, outcome, \
                owner, request_hash, created_at, ended_at) \
             select gen_random_uuid(), '+1415' || (1000000 + n), 'default', 's', now(), 3, 'completed', 'answered', \
                'o', '', now(), now() from generate_series(1, 20000) n; \
             analyze pgdial.calls",
        )
        .await;
    let sql = include_str!("../../sql/read/metrics.sql");
    let sql = sql.replace("$1", "1000").replace("$2", "10");
    let plan: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(format!("explain {sql}")))
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let plan: String = plan.into_iter().map(|line| line.0 + "\n").collect();
    assert!(!plan.contains("Seq Scan on calls"), "{plan}");
    assert!(plan.contains("calls_claimable on calls"), "{plan}");
}
