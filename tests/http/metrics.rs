//! What is counted when the database refuses.

use pgdial::{domain::Outcome, flow::settle::Settled};

use crate::support::World;

/// P6: a result that comes too late changes nothing and is counted.
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

/// The history may be long, and many waiting calls may be newer than the last vacuum: a scrape reads only those.
#[tokio::test]
async fn a_scrape_reads_only_what_has_not_ended() {
    let world = World::new().await;
    world
        .sql(
            "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, state, outcome, \
                owner, request_hash, created_at, ended_at) \
             select gen_random_uuid(), '+1415' || (1000000 + n), 'default', 's', now(), 3, s.state::pgdial.call_state, \
                    s.outcome::pgdial.outcome, 'o', '', now(), s.ended \
             from generate_series(1, 10000) n, \
                  (values ('completed', 'answered', now()), ('waiting', null, null)) s (state, outcome, ended); \
             analyze pgdial.calls; \
             select pg_stat_reset()",
        )
        .await;
    let waiting = "pgdial_calls{campaign=\"default\",state=\"waiting\"} 10000";
    let text = world.get("/metrics").await.text;
    assert!(text.lines().any(|line| line == waiting), "{text}");
    // A session's read counters are published a second later, with its next statement.
    let read = |what: &str| {
        let sql = format!(
            "select coalesce(sum({what})::bigint, 0) from pg_stat_user_tables where relname = 'calls'"
        );
        let world = &world;
        async move { world.number(&sql).await }
    };
    for _patience in 0..600 {
        if read("idx_scan").await > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        world.get("/metrics").await;
    }
    let (by_index, whole) = (read("idx_scan").await, read("seq_scan").await);
    assert!(
        by_index > 0 && whole == 0,
        "{by_index} by index, {whole} whole"
    );
}
