//! Caller ids: which number a claim dials from, what is left of a pool, and what people do to them.

use std::collections::BTreeMap;

use pgdial::{
    domain::{CallId, ClaimedCall, Concerns, Outcome, Phone},
    flow::{groups::GroupKind, read::Reason},
};
use serde_json::{Value, json};

use crate::support::{TestDb, number};

const ADA: &str = "+14155550901";
const BOB: &str = "+12125550902";

/// A database whose default campaign dials from this pool.
async fn with_pool(ids: &[(&str, Value)]) -> TestDb {
    let db = TestDb::new().await;
    for (number, changes) in ids {
        add(&db, "main", number, changes).await;
    }
    set(&db, "default", json!({ "callerIds": "main" })).await;
    db
}

async fn add(db: &TestDb, pool: &str, number: &str, changes: &Value) {
    let mut changes = changes.clone();
    changes["pool"] = pool.into();
    let phone = Phone::stored(number).unwrap();
    let added = db.calls.add_caller_id(&phone, &changes, "ann", None).await;
    assert!(added.unwrap());
}

async fn set(db: &TestDb, campaign: &str, changes: Value) {
    let set = db
        .calls
        .set_group(GroupKind::Campaign, campaign, &changes, "ann", None)
        .await;
    assert!(set.unwrap());
}

async fn change(db: &TestDb, number: &str, changes: Value) {
    let phone = Phone::stored(number).unwrap();
    let found = db
        .calls
        .set_caller_id(&phone, &changes, "ann", Some("a reason"));
    assert!(found.await.unwrap());
}

fn from(call: &ClaimedCall) -> &str {
    call.from_number.as_ref().map_or("", Phone::as_e164)
}

/// A call to this number, claimed and over, so that its number is free again.
async fn dialed_from(db: &TestDb, to: &str) -> String {
    let call = db.in_call(to).await;
    let from = from(&call).to_owned();
    db.settle(&call, Outcome::NoAnswer).await;
    db.sql(&format!("select pgdial.cancel('{}', 'tester')", call.id))
        .await;
    from
}

/// How often a claim of all dialled from each.
fn shares(calls: &[ClaimedCall]) -> BTreeMap<&str, usize> {
    let mut shares = BTreeMap::new();
    for call in calls {
        *shares.entry(from(call)).or_default() += 1;
    }
    shares
}

async fn why(db: &TestDb, id: CallId) -> Reason {
    db.calls.why(id).await.unwrap().swap_remove(0)
}

#[tokio::test]
async fn a_pool_gives_the_number_and_the_call_keeps_what_it_asked_for() {
    let db = with_pool(&[(ADA, json!({}))]).await;
    let pooled = db.dialing(&number(1)).await;
    assert_eq!(from(&pooled), ADA);
    assert_eq!(db.column(pooled.id, "from_number").await, "");
    assert_eq!(db.column(pooled.id, "caller_id").await, ADA);
    assert_eq!(db.detail(pooled.id, "active").await["caller_id"], ADA);
    let shown = db.calls.show(pooled.id).await.unwrap().unwrap();
    assert_eq!(shown.from, None);
    assert_eq!(shown.attempts[0].caller_id.as_deref(), Some(ADA));

    let own = json!({ "to": number(2), "scriptId": "welcome", "from": "+14155559999" });
    let id = db.enqueue_as(own).await;
    let asked = db.claim(1).await.pop().unwrap();
    assert_eq!((asked.id, from(&asked)), (id, "+14155559999"));
}

#[tokio::test]
async fn without_a_pool_the_trunk_says_what_to_dial_from() {
    let db = TestDb::new().await;
    add(&db, "main", ADA, &json!({})).await;
    let call = db.dialing(&number(1)).await;
    assert_eq!(call.from_number, None);
    assert!(
        db.detail(call.id, "active")
            .await
            .get("caller_id")
            .is_none()
    );
}

#[tokio::test]
async fn a_callee_is_rung_from_the_same_number_as_before() {
    let db = with_pool(&[(BOB, json!({}))]).await;
    assert_eq!(dialed_from(&db, &number(1)).await, BOB);
    // Nearer to the callee, and unused.
    add(&db, "main", ADA, &json!({})).await;
    assert_eq!(dialed_from(&db, &number(1)).await, BOB);
    assert_eq!(dialed_from(&db, &number(2)).await, ADA);
    // Not from one that may not be used.
    change(&db, BOB, json!({ "paused": true })).await;
    assert_eq!(dialed_from(&db, &number(1)).await, ADA);
}

#[tokio::test]
async fn the_longest_shared_prefix_goes_first_and_then_the_least_used() {
    let far = "+442071838750";
    let db = with_pool(&[(ADA, json!({})), (BOB, json!({})), (far, json!({}))]).await;
    add(&db, "main", "+14155550903", &json!({})).await;
    for n in 0..4 {
        db.enqueue(&number(n)).await;
    }
    db.enqueue("+12125550111").await;
    db.enqueue("+442071838799").await;
    let claimed = db.claim(10).await;
    assert_eq!(
        shares(&claimed),
        BTreeMap::from([(ADA, 2), ("+14155550903", 2), (BOB, 1), (far, 1)])
    );
}

#[tokio::test]
async fn the_calls_of_one_claim_do_not_exceed_a_cap_together() {
    let db = with_pool(&[
        (ADA, json!({ "dailyCap": 2 })),
        (BOB, json!({ "dailyCap": 1 })),
    ])
    .await;
    db.campaign("other", json!({ "callerIds": "main" })).await;
    db.campaign("free", json!({})).await;
    for n in 0..4 {
        db.enqueue(&number(n)).await;
        for (campaign, n) in [("other", 10 + n), ("free", 20 + n)] {
            db.enqueue_as(json!({ "to": number(n), "scriptId": "s", "campaign": campaign }))
                .await;
        }
    }
    let mut claimed = db.claim(30).await;
    while let more = db.claim(30).await
        && !more.is_empty()
    {
        claimed.extend(more);
    }
    assert_eq!(
        shares(&claimed),
        BTreeMap::from([("", 4), (ADA, 2), (BOB, 1)])
    );
}

#[tokio::test]
async fn a_spent_pool_waits_until_its_oldest_dial_is_a_day_old() {
    let db = with_pool(&[(ADA, json!({ "dailyCap": 2 }))]).await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    dialed_from(&db, &number(1)).await;
    db.forward("1 hour").await;
    dialed_from(&db, &number(2)).await;
    let waiting = db.enqueue(&number(3)).await;
    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &["default".to_owned()], 5)
        .await
        .unwrap();
    assert_eq!(claim.calls.len(), 0);
    // A worker sleeps until then, however idle.
    assert_eq!(claim.wait.unwrap().as_secs(), 23 * 3600);
    let reason = why(&db, waiting).await;
    assert_eq!(reason.reason, "caller_ids_spent");
    assert_eq!(reason.object.as_deref(), Some("main"));
    assert_eq!(
        reason.message,
        "of the 1 caller ids of pool main on trunk default 1 at the daily cap: none is left"
    );
    let until = reason.until.unwrap();
    let oldest = format!("(select min(at) + interval '1 day' = '{until}' from pgdial.dials)");
    assert_eq!(db.text(&oldest).await, "true");
    let campaigns = db.calls.campaigns(Some("default")).await.unwrap();
    assert_eq!(campaigns[0].reasons[0].reason, "caller_ids_spent");

    db.forward("22 hours 59 minutes 59 seconds").await;
    assert_eq!(db.claim(1).await.len(), 0);
    db.forward("1 second").await;
    db.worker(&["default"]).await;
    assert_eq!(why(&db, waiting).await.reason, "next");
    assert_eq!(from(&db.claim(1).await[0]), ADA);
}

#[tokio::test]
async fn paused_and_resting_numbers_are_not_dialed_from() {
    let db = with_pool(&[(ADA, json!({})), (BOB, json!({}))]).await;
    db.stop_clock().await;
    db.worker(&["default"]).await;
    change(&db, ADA, json!({ "paused": true })).await;
    change(&db, BOB, json!({ "rest": "2 hours" })).await;
    let id = db.enqueue(&number(1)).await;
    assert_eq!(db.claim(1).await.len(), 0);
    let reason = why(&db, id).await;
    assert_eq!(
        reason.message,
        "of the 2 caller ids of pool main on trunk default 1 paused, 1 resting: none is left"
    );
    assert!(reason.until.is_some());
    db.forward("2 hours").await;
    assert_eq!(from(&db.claim(1).await[0]), BOB);
    change(&db, ADA, json!({ "paused": false })).await;
    assert_eq!(dialed_from(&db, &number(2)).await, ADA);
}

#[tokio::test]
async fn a_pool_without_a_number_of_the_trunk_waits() {
    let db = with_pool(&[(ADA, json!({}))]).await;
    assert!(
        db.calls
            .create_group(GroupKind::Trunk, "eu", &json!({}), "ann", None)
            .await
            .unwrap()
    );
    change(&db, ADA, json!({ "trunk": "eu" })).await;
    db.worker(&["default"]).await;
    let id = db.enqueue(&number(1)).await;
    assert_eq!(db.claim(1).await.len(), 0);
    let reason = why(&db, id).await;
    assert_eq!(reason.reason, "caller_ids_spent");
    assert!(
        reason.message.contains("no caller id on trunk default"),
        "{reason:?}"
    );
    assert_eq!(reason.until, None);
}

#[tokio::test]
async fn a_number_that_the_provider_refuses_pauses_itself_and_the_pool_goes_on() {
    let db = with_pool(&[(ADA, json!({}))]).await;
    for n in 1..=3 {
        let call = db.dialing(&number(n)).await;
        db.calls
            .settle_refusal(
                call.reference(),
                Outcome::Blocked,
                Concerns::CallerId,
                "not yours",
            )
            .await
            .unwrap();
    }
    let paused = &db.calls.caller_ids(None, None).await.unwrap()[0];
    let said = paused.paused_why.as_deref().unwrap();
    assert!(
        said.starts_with("the provider refuses to call from it: not yours; calls "),
        "{said}"
    );
    assert_eq!(paused.paused_by.as_deref(), Some("pgdial"));
    let campaign = &db.calls.campaigns(Some("default")).await.unwrap()[0];
    assert!(!campaign.paused);
    add(&db, "main", BOB, &json!({})).await;
    assert_eq!(dialed_from(&db, &number(4)).await, BOB);
    // What was said before it was resumed counts no more.
    change(&db, ADA, json!({ "paused": false })).await;
    let call = db.dialing(&number(5)).await;
    assert_eq!(from(&call), ADA);
    db.calls
        .settle_refusal(
            call.reference(),
            Outcome::Blocked,
            Concerns::CallerId,
            "not yours",
        )
        .await
        .unwrap();
    assert!(!db.calls.caller_ids(None, None).await.unwrap()[1].paused);
}

#[tokio::test]
async fn refusals_between_acceptances_pause_no_number() {
    let db = with_pool(&[(ADA, json!({}))]).await;
    for n in 1..=4 {
        let call = db.dialing(&number(n)).await;
        let refused =
            db.calls
                .settle_refusal(call.reference(), Outcome::Blocked, Concerns::CallerId, "no");
        refused.await.unwrap();
        if n == 2 {
            db.in_call(&number(10 + n)).await;
        }
    }
    assert!(!db.calls.caller_ids(None, None).await.unwrap()[0].paused);
}

#[tokio::test]
async fn what_people_do_to_caller_ids_is_checked_and_kept() {
    let db = TestDb::new().await;
    for (changes, says) in [
        (json!({}), "\"pool\" is missing"),
        (json!({ "pool": "Main" }), "\"pool\" must be 1 to 63"),
        (
            json!({ "pool": "m", "dailyCap": 0 }),
            "\"dailyCap\" must be a whole number",
        ),
        (
            json!({ "pool": "m", "rest": "soon" }),
            "\"rest\" must be a length of time",
        ),
        (json!({ "pool": "m", "paused": true }), "\"why\" is missing"),
        (
            json!({ "pool": "m", "color": 1 }),
            "\"color\" is an unknown field",
        ),
        (
            json!({ "pool": "m", "trunk": "no" }),
            "no trunk of this name",
        ),
    ] {
        let phone = Phone::stored(ADA).unwrap();
        let added = db.calls.add_caller_id(&phone, &changes, "ann", None).await;
        let refused = added.unwrap_err().to_string();
        assert!(refused.contains(says), "{changes}: {refused}");
    }
    let refused = db
        .refusal("select pgdial.add_caller_id('555', '{\"pool\": \"m\"}')")
        .await;
    assert!(refused.1.starts_with("\"number\" is "), "{refused:?}");
    let refused = db
        .calls
        .set_group(
            GroupKind::Campaign,
            "default",
            &json!({ "callerIds": "none-yet" }),
            "ann",
            None,
        )
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("\"callerIds\" must be a pool that has caller ids")
    );

    add(&db, "main", ADA, &json!({ "dailyCap": 9 })).await;
    let phone = Phone::stored(ADA).unwrap();
    let pool = json!({ "pool": "main" });
    let again = db.calls.add_caller_id(&phone, &pool, "ann", None);
    assert!(!again.await.unwrap());
    change(&db, ADA, json!({ "paused": true })).await;
    change(&db, ADA, json!({ "paused": false, "dailyCap": null })).await;
    for expected in [true, false] {
        let removed = db.calls.remove_caller_id(&phone, "ann", Some("sold"));
        assert_eq!(removed.await.unwrap(), expected);
    }
    let acts = "select string_agg(concat_ws(' ', by, act, name, why), ', ' order by seq) from pgdial.acts where kind = 'caller_id'";
    assert_eq!(
        db.text(acts).await,
        format!(
            "ann create {ADA}, ann pause {ADA} a reason, ann resume {ADA} a reason, ann remove {ADA} sold"
        )
    );
}

#[tokio::test]
async fn the_share_of_answers_is_told_by_number() {
    let db = with_pool(&[(ADA, json!({ "dailyCap": 5 })), (BOB, json!({}))]).await;
    for (n, outcome) in [(1, "answered"), (2, "no_answer"), (3, "voicemail"), (4, "")] {
        db.dialing(&number(n)).await;
        db.sql(&format!(
            "update pgdial.dials set outcome = nullif('{outcome}', '')::pgdial.outcome where phone = '{}'",
            number(n)
        ))
        .await;
    }
    change(&db, BOB, json!({ "paused": true })).await;
    let question = pgdial::flow::ops::find("caller_ids").unwrap();
    let lines = db.calls.ask(question, None).await.unwrap();
    let lines: Vec<String> = lines
        .iter()
        .map(|line| {
            let told = line
                .0
                .iter()
                .filter(|(name, _)| !["pool", "trunk"].contains(&name.as_str()));
            told.map(|(_, value)| value.to_string().replace('"', ""))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "+141******01 4 3 1 1 33.3 1 in use",
            "+121******02 0 0 0 0 null null paused by ann: a reason",
        ]
    );
}
