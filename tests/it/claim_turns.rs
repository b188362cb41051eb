//! claim: pauses, the pace of a trunk, and fair turns between campaigns (P3, P7).

use std::{collections::HashMap, time::Duration};

use pgdial::{domain::Outcome, flow::claim::Claim, flow::groups::GroupKind};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestDb, number, run};

async fn claim(db: &TestDb, wanted: usize) -> Claim {
    let trunks = ["default".to_owned()];
    db.calls
        .claim(Uuid::new_v4(), &trunks, wanted)
        .await
        .unwrap()
}

/// Claims nothing; returns how long until time alone could bring a call. If a busy machine made the walk slow, the
/// wait is a hint of some milliseconds (`find_heads`), and the claim is repeated then.
async fn nothing(db: &TestDb) -> Option<Duration> {
    loop {
        let none = claim(db, 5).await;
        assert!(none.calls.is_empty());
        match none.wait {
            Some(hint) if hint < Duration::from_secs(1) => tokio::time::sleep(hint).await,
            wait => return wait,
        }
    }
}

#[tokio::test]
async fn a_paused_campaign_dials_nothing_and_holds_up_no_other() {
    let db = TestDb::new().await;
    db.campaign("quiet", json!({})).await;
    let quiet = json!({ "to": number(1), "scriptId": "s", "campaign": "quiet", "priority": 9 });
    let quiet = db.enqueue_as(quiet).await;
    let other = db.enqueue(&number(2)).await;
    db.calls
        .pause(GroupKind::Campaign, "quiet", "tester", "lunch")
        .await
        .unwrap();
    let claimed = claim(&db, 5).await;
    assert_eq!(claimed.calls.len(), 1);
    assert_eq!(claimed.calls[0].id, other);
    assert_eq!(nothing(&db).await, None, "only a person can end a pause");
    db.calls
        .resume(GroupKind::Campaign, "quiet", "tester", None)
        .await
        .unwrap();
    assert_eq!(claim(&db, 5).await.calls[0].id, quiet);
}

/// The last lane's room depends on its own calls, not on those of lanes no longer considered.
#[tokio::test]
async fn a_lane_that_is_left_over_takes_all_that_its_cap_allows() {
    let db = TestDb::new().await;
    db.campaign("capped", json!({ "cap": 3 })).await;
    db.enqueue(&number(1)).await;
    for n in [2, 3, 3, 4] {
        let request = json!({ "to": number(n), "scriptId": "s", "campaign": "capped" });
        db.enqueue_as(request).await;
    }
    let claimed = claim(&db, 4).await.calls;
    assert_eq!(claimed.len(), 4, "number 3 once, the others all");
}

#[tokio::test]
async fn a_paused_trunk_dials_nothing_and_keeps_its_live_calls() {
    let db = TestDb::new().await;
    let live = db.in_call(&number(1)).await;
    db.enqueue(&number(2)).await;
    db.calls
        .pause(GroupKind::Trunk, "default", "tester", "fire")
        .await
        .unwrap();
    assert!(claim(&db, 5).await.calls.is_empty());
    assert_eq!(db.state(live.id).await, "in_call");
    db.calls
        .resume(GroupKind::Trunk, "default", "tester", None)
        .await
        .unwrap();
    assert_eq!(claim(&db, 5).await.calls.len(), 1);
}

#[tokio::test]
async fn a_paced_trunk_never_exceeds_its_pace() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set calls_per_second = 2, slots = 1000")
        .await;
    let requests: Vec<_> = (0..60)
        .map(|n| json!({ "to": number(n), "scriptId": "s" }))
        .collect();
    db.calls.enqueue("tester", &requests).await.unwrap();
    for _ in 0..40 {
        let claimed = claim(&db, 50).await;
        let wait = claimed.wait.unwrap();
        assert!(wait.as_millis() <= 501, "{wait:?}");
        db.forward("100 milliseconds").await;
    }
    // A bucket of one: the n-th call comes no sooner than n/2 s after the first.
    let earliest = "select coalesce(min(early), 0) from (select extract(epoch from claimed_at - min(claimed_at) over ()) \
                    - (row_number() over (order by claimed_at) - 1) / 2.0 as early from pgdial.calls where claim_no > 0) t";
    let earliest: f64 = db.text(earliest).await.parse().unwrap();
    assert!(earliest > -0.001, "{earliest}");
    let dialled = db
        .number("select count(*) from pgdial.calls where claim_no > 0")
        .await;
    assert!(dialled >= 8, "{dialled}");
}

#[tokio::test]
async fn a_paced_trunk_opens_when_its_claim_said() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set calls_per_second = 0.01")
        .await;
    for n in 0..3 {
        db.enqueue(&number(n)).await;
    }
    let first = claim(&db, 5).await;
    assert_eq!(first.calls.len(), 1);
    assert_eq!(first.wait, Some(Duration::ZERO), "look again");
    let wait = nothing(&db).await.unwrap().as_millis();
    assert!((60_000..=100_001).contains(&wait), "{wait}");
    db.forward(&format!("{} milliseconds", wait - 2_000)).await;
    let rest = nothing(&db).await.expect("not before").as_millis();
    db.forward(&format!("{rest} milliseconds")).await;
    assert_eq!(claim(&db, 5).await.calls.len(), 1);
}

#[tokio::test]
async fn an_idle_hour_does_not_turn_into_a_burst() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set calls_per_second = 50")
        .await;
    for n in 0..20 {
        db.enqueue(&number(n)).await;
    }
    assert_eq!(claim(&db, 1).await.calls.len(), 1);
    db.forward("1 hour").await;
    assert_eq!(claim(&db, 20).await.calls.len(), 5, "a tenth of a second");
}

/// One slot, three campaigns that always have work, weights 1:1:2. Each dial is an independent draw with p = 1/4,
/// 1/4, 1/2, so a share of 400 dials leaves the band of six standard deviations about once in 10^8 runs; equal shares
/// lie outside it.
#[tokio::test]
async fn a_single_slot_is_shared_by_weight() {
    const DIALS: f64 = 400.0;
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1").await;
    for (name, weight) in [("one", 1), ("uno", 1), ("two", 2)] {
        db.campaign(name, json!({ "weight": weight })).await;
        let requests: Vec<_> = (0..400)
            .map(|n| json!({ "to": format!("+1{weight}{}{n:08}", name.len() + usize::from(name == "uno")), "scriptId": "s", "campaign": name }))
            .collect();
        db.calls.enqueue("tester", &requests).await.unwrap();
    }
    let mut dials: HashMap<String, f64> = HashMap::new();
    for _ in 0..400 {
        let call = db.claim(1).await.pop().unwrap();
        db.settle(&call, Outcome::Answered).await;
        *dials.entry(call.campaign).or_default() += 1.0;
    }
    for (name, share) in [("one", 0.25), ("uno", 0.25), ("two", 0.5)] {
        let expected = DIALS * share;
        let six_sigma = 6.0 * (DIALS * share * (1.0 - share)).sqrt();
        let got = dials.get(name).copied().unwrap_or_default();
        assert!((got - expected).abs() < six_sigma, "{name}: {got}");
    }
}

#[tokio::test]
async fn many_slots_are_shared_by_weight_exactly() {
    let db = TestDb::new().await;
    for (name, weight) in [("one", 1), ("three", 3)] {
        db.campaign(name, json!({ "weight": weight })).await;
        for n in 0..30 {
            let to = format!("+1415{weight}{n:06}");
            db.enqueue_as(json!({ "to": to, "scriptId": "s", "campaign": name }))
                .await;
        }
    }
    let claimed = claim(&db, 20).await.calls;
    let three = claimed
        .iter()
        .filter(|call| call.campaign == "three")
        .count();
    assert!((14..=16).contains(&three), "{three} of 20");
}

#[tokio::test]
async fn a_campaign_without_work_leaves_its_share_to_the_others() {
    let db = TestDb::new().await;
    db.campaign("idle", json!({ "weight": 1000 })).await;
    for n in 0..30 {
        db.enqueue(&number(n)).await;
    }
    assert_eq!(claim(&db, 30).await.calls.len(), 30);
}

/// The least loaded lane has the first turn. If it has nothing to offer, the turn is not lost.
#[tokio::test]
async fn a_campaign_whose_calls_cannot_be_dialled_keeps_no_slot_from_the_others() {
    let db = TestDb::new().await;
    let held = db.given_up(&number(1)).await;
    let later = |n: usize, campaign: &str| json!({ "to": number(n), "scriptId": "s", "campaign": campaign, "runAt": "2126-01-01T00:00:00Z" });
    let now = |n: usize, campaign: &str| json!({ "to": number(n), "scriptId": "s", "campaign": campaign });
    for (n, name) in ["a-later", "b-held", "c-unwanted", "d-person"]
        .iter()
        .enumerate()
    {
        db.campaign(name, json!({ "weight": 1000 })).await;
        let request = match n {
            0 => later(50, name),
            1 => now(1, name),
            _ => now(50 + n, name),
        };
        db.enqueue_as(request).await;
    }
    let phone = number(52).parse().unwrap();
    db.calls.do_not_call_add(&phone, "ann", "no").await.unwrap();
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; select from pgdial.calls where campaign = 'd-person' for update",
    )
    .await
    .unwrap();
    db.sql("update pgdial.trunks set slots = 10").await;
    for n in 2..12 {
        db.enqueue(&number(n)).await;
    }
    for taken in 0..10 {
        let claimed = claim(&db, 1).await.calls;
        assert_eq!(claimed.len(), 1, "stuck at {taken} of 10 slots");
        assert_eq!(claimed[0].campaign, "default");
    }
    assert_eq!(db.state(held.id).await, "failed");
}
