//! Plans of what is done to many calls at once, on the fixture of `plans`: a filter reads only rows it may match,
//! never the whole table.

use crate::plans::{accesses, plans, session};
use crate::support::run;

/// How this statement's walk reads the calls.
async fn walk(session: &mut sqlx::PgConnection, sql: &str) -> Vec<String> {
    let plans = plans(session, sql).await;
    for plan in &plans {
        assert!(!plan.contains("Seq Scan on call"), "{plan}");
        assert!(!plan.contains("Seq Scan on webhook_events"), "{plan}");
    }
    let walk = plans.iter().find(|plan| plan.contains("as fits"));
    let walk = walk.unwrap_or_else(|| panic!("{sql} walks nothing: {plans:?}"));
    accesses(walk)
}

#[tokio::test]
async fn a_cancel_looks_only_at_what_waits_or_is_in_flight() {
    let (_turn, mut session) = session().await;
    for filter in [
        r#"{"all": true}"#,
        r#"{"campaign": "default", "createdAfter": "2000-01-01T00:00:00Z"}"#,
    ] {
        let sql = format!("select pgdial.cancel_matching('{filter}', 'x', 10)");
        let reads = walk(&mut session, &sql).await;
        let [live, waiting] = &reads[..] else {
            panic!("{filter}: {reads:?}");
        };
        assert_eq!(live, "Index Scan using calls_in_flight on calls c");
        // Either index of what waits.
        assert!(
            waiting.starts_with("Index Scan using calls_claimable"),
            "{filter}: {waiting}"
        );
    }
}

#[tokio::test]
async fn a_redrive_walks_the_index_that_its_filter_names() {
    let (_turn, mut session) = session().await;
    // As in practice: calls end one after another.
    run(
        &mut session,
        "update pgdial.calls set ended_at = ended_at - random() * interval '1 day' where ended_at is not null; \
         analyze pgdial.calls",
    )
    .await
    .unwrap();
    for (filter, index) in [
        (r#"{"endedAfter": "2000-01-01T00:00:00Z"}"#, "calls_ended"),
        (r#"{"endedBefore": "2999-01-01T00:00:00Z"}"#, "calls_ended"),
        (
            r#"{"state": "failed", "campaign": "default"}"#,
            "calls_pkey",
        ),
        (r#"{"createdAfter": "2000-01-01T00:00:00Z"}"#, "calls_pkey"),
        // By id, as calls_to found them by their numbers.
        (r#"{"to": "+12000000001"}"#, "calls_pkey"),
        (
            r#"{"ids": ["0197f5e0-0000-7000-8000-000000000001"]}"#,
            "calls_pkey",
        ),
    ] {
        let sql = format!("select pgdial.redrive_matching('{filter}', 'x', 10)");
        let reads = walk(&mut session, &sql).await;
        assert_eq!(
            reads,
            [format!("Index Scan using {index} on calls c")],
            "{filter}"
        );
    }
}

#[tokio::test]
async fn a_number_is_forgotten_by_its_own_rows() {
    let (_turn, mut session) = session().await;
    // The events of another 10,000 calls.
    run(
        &mut session,
        "insert into pgdial.call_events (at, call_id, claim_no, attempt, kind) \
         select pgdial.now(), gen_random_uuid(), 1, 1, 'active' from generate_series(1, 10000); \
         insert into pgdial.webhook_events (trunk, reference, event_id, received_at, last_delivery_at, verdict, try_at, report, body) \
         select 'default', gen_random_uuid() || '-1', n, pgdial.now(), pgdial.now(), 'applied', pgdial.now(), '{}', '' \
         from generate_series(1, 10000) n; \
         analyze pgdial.call_events; analyze pgdial.webhook_events",
    )
    .await
    .unwrap();
    let plans = plans(&mut session, "select pgdial.forget('+12000000001', 'x')").await;
    for plan in &plans {
        for table in ["calls", "call_events", "webhook_events"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        }
        for access in accesses(plan) {
            assert!(
                // The last one has as many entries as there are slots.
                [
                    "calls_pkey",
                    "calls_phone",
                    "calls_numbers",
                    "calls_one_in_flight_per_phone",
                    "calls_in_flight"
                ]
                .iter()
                .any(|index| access.contains(index)),
                "{access}: {plan}"
            );
        }
    }
}
