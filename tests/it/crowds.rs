//! Crowds of calls that cannot be dialled now, half a million in all, next to calls that can. The claim finds the
//! latter without walking the crowd (P7). Its work is measured in pages, which do not depend on how busy the machine
//! is.

use std::collections::HashSet;

use sqlx::{Connection, PgConnection};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::support::{TestDb, ask, pages::pages, run};

/// 100,000 twins of a number in flight at the head of `busy`, 40 free numbers with 1,000 twins each in `forty`, and
/// 360,000 calls for tomorrow in `later`. Thirty calls that can be dialled come after the twins, and thirty are in
/// `default`.
const CROWDS: &str = "alter table pgdial.calls set (autovacuum_enabled = off); \
    update pgdial.trunks set slots = 100; \
    insert into pgdial.campaigns (name, trunk) values ('busy', 'default'), ('forty', 'default'), ('later', 'default'); \
    create temporary view crowd as select n, \
        case when n <= 100000 then 'busy' when n <= 140000 then 'forty' when n <= 500000 then 'later' \
             when n <= 500030 then 'busy' else 'default' end as campaign, \
        case when n <= 100000 then '+14155550000' when n <= 140000 then '+1415556' || lpad((n % 40)::text, 4, '0') \
             else '+1' || (2000000000 + n) end as phone, \
        case when n between 140001 and 500000 then now() + interval '1 day' else now() - interval '1 hour' end \
            + n * interval '1 millisecond' as run_at \
        from generate_series(1, 500060) n; \
    insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at) \
    select pgdial.uuid_v7(now() + n * interval '1 microsecond'), phone, campaign, 's', run_at, 3, 't', '', now() from crowd; \
    insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at, \
                              state, claim_no, claimed_at, claimed_by, trunk, deadline_at) \
    values (pgdial.uuid_v7(now()), '+14155550000', 'busy', 's', now(), 3, 't', '', now(), \
            'in_call', 1, now(), gen_random_uuid(), 'default', now() + interval '1 hour'); \
    analyze pgdial.calls";

const CLAIM: &str = "select pgdial.claim(gen_random_uuid(), '{default}', 30)";

/// A session on the crowds, in a transaction that is never committed, in which only these campaigns may dial. One at
/// a time: a claim keeps the gate until its transaction ends.
async fn only(campaigns: &str) -> (MutexGuard<'static, ()>, PgConnection) {
    static TURN: Mutex<()> = Mutex::const_new(());
    static URL: OnceCell<String> = OnceCell::const_new();
    let url = URL
        .get_or_init(|| async {
            let db = TestDb::new().await;
            run(&mut db.session().await, CROWDS).await.unwrap();
            db.url
        })
        .await;
    let turn = TURN.lock().await;
    let mut session = PgConnection::connect(url).await.unwrap();
    let pause = format!(
        "begin; update pgdial.campaigns set paused = true where name <> all ('{{{campaigns}}}')"
    );
    run(&mut session, &pause).await.unwrap();
    // A session's first claim fills its catalog caches.
    run(&mut session, "savepoint one").await.unwrap();
    run(&mut session, CLAIM).await.unwrap();
    run(&mut session, "rollback to one").await.unwrap();
    (turn, session)
}

/// Pages touched by a claim, which is rolled back.
async fn pages_of_a_claim(session: &mut PgConnection) -> i64 {
    run(session, "savepoint one").await.unwrap();
    let touched = pages(session, CLAIM).await;
    run(session, "rollback to one").await.unwrap();
    touched
}

/// Numbers claimed, one per call.
async fn claimed(session: &mut PgConnection) -> Vec<String> {
    let phones =
        "select string_agg(phone, ' ') from pgdial.claim(gen_random_uuid(), '{default}', 30)";
    let phones = ask(session, phones).await;
    phones.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_hundred_thousand_twins_of_a_busy_number_hold_up_no_other() {
    let (_turn, mut session) = only("busy").await;
    let touched = pages_of_a_claim(&mut session).await;
    // Index and rows once, page by page. One probe per row, or a second walk, would touch far more.
    assert!(touched < 6000, "{touched} pages");
    let numbers = claimed(&mut session).await;
    assert_eq!(numbers.len(), 30);
    assert!(!numbers.contains(&"+14155550000".to_owned()));
}

#[tokio::test]
async fn among_forty_numbers_with_a_thousand_twins_each_a_claim_finds_thirty() {
    let (_turn, mut session) = only("forty").await;
    let touched = pages_of_a_claim(&mut session).await;
    assert!(touched < 2500, "{touched} pages");
    let numbers: HashSet<String> = claimed(&mut session).await.into_iter().collect();
    assert_eq!(numbers.len(), 30);
}

/// A thousand calls to the first number, then a thousand to the second: a claim looks only a few times, so it finds
/// some, and the next claim finds others.
#[tokio::test]
async fn forty_numbers_one_after_the_other_are_all_found() {
    let (_turn, mut session) = only("forty").await;
    run(
        &mut session,
        "update pgdial.calls set run_at = now() - interval '1 hour' + substr(phone, 9)::int * interval '1 second' \
         where campaign = 'forty'",
    )
    .await
    .unwrap();
    let mut numbers = HashSet::new();
    while numbers.len() < 40 {
        let more = claimed(&mut session).await;
        assert!(
            more.len() >= 9 || numbers.len() + more.len() == 40,
            "{} after {}",
            more.len(),
            numbers.len()
        );
        for number in more {
            assert!(numbers.insert(number), "a number twice");
        }
    }
}

/// All calls of a campaign may expire at one moment, or join the do-not-call list: one claim looks at a part of them,
/// and the next ones continue behind it, up to the calls that can be dialled.
#[tokio::test]
async fn a_crowd_that_can_no_longer_be_dialled_is_walked_a_part_at_a_time() {
    for ends in [
        "update pgdial.calls set expires_at = now() - interval '1 minute' where campaign = 'forty'",
        "insert into pgdial.do_not_call (phone, reason, by) select distinct phone, 'asked', 'ann' \
         from pgdial.calls where campaign = 'forty'",
    ] {
        let (_turn, mut session) = only("forty").await;
        run(&mut session, ends).await.unwrap();
        run(
            &mut session,
            "update pgdial.calls set campaign = 'forty' where campaign = 'default'",
        )
        .await
        .unwrap();
        let look = "(select count(id) || ' ' || coalesce(min(wait_ms)::text, '-') \
                     from pgdial.claim(gen_random_uuid(), '{default}', 30))";
        let mut looks = 1;
        while ask(&mut session, look).await == "0 0" {
            looks += 1;
        }
        // 40,000 of them, 2,000 per look.
        assert!((20..=22).contains(&looks), "{looks} looks: {ends}");
        assert_eq!(
            ask(
                &mut session,
                "(select count(*)::text from pgdial.live_calls where campaign = 'forty')"
            )
            .await,
            "30"
        );
    }
}

#[tokio::test]
async fn calls_for_later_are_not_walked() {
    let (_turn, mut session) = only("default").await;
    run(
        &mut session,
        "update pgdial.calls set run_at = now() + interval '1 day' where campaign = 'default'",
    )
    .await
    .unwrap();
    let without = pages_of_a_claim(&mut session).await;
    run(
        &mut session,
        "update pgdial.campaigns set paused = false where name = 'later'",
    )
    .await
    .unwrap();
    // It claims nothing, so it also looks again for what it passed over, and for what is due next.
    let with = pages_of_a_claim(&mut session).await;
    assert_eq!(claimed(&mut session).await, [""; 0]);
    assert!(
        with - without < 1000,
        "{with} pages, {without} without them"
    );
}

#[tokio::test]
async fn half_a_million_calls_of_paused_campaigns_cost_nothing() {
    let (_turn, mut session) = only("default").await;
    let touched = pages_of_a_claim(&mut session).await;
    assert!(touched < 2500, "{touched} pages for 30 calls");
    assert_eq!(claimed(&mut session).await.len(), 30);
}
