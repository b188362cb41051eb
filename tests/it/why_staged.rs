//! why, with one staged situation per reason, and combinations: the first reason given is true, because once it is
//! removed, the next is given or the call is dialled.

use pgdial::{
    domain::{CallId, Outcome},
    flow::read::Reason,
};
use serde_json::json;
use sqlx::PgConnection;

use crate::support::{TestDb, assert_rests, number, run};

/// One reason: how to bring it about, what `why` says, how to remove it.
struct Staged {
    reason: &'static str,
    come: &'static str,
    /// Words of its message.
    says: &'static [&'static str],
    /// Whether it says when it changes by itself.
    timed: bool,
    go: &'static str,
}

/// `$id` is the call, `$number` its number. In the order in which `why` gives them.
const REASONS: &[Staged] = &[
    Staged {
        reason: "suppressed",
        come: "select pgdial.do_not_call_add('$number', 'asked us', 'ann')",
        says: &["by ann since 20", "asked us"],
        timed: false,
        go: "delete from pgdial.do_not_call",
    },
    Staged {
        reason: "expired",
        come: "update pgdial.calls set expires_at = pgdial.now() where id = '$id'",
        says: &["has passed"],
        timed: false,
        go: "update pgdial.calls set expires_at = null where id = '$id'",
    },
    Staged {
        reason: "campaign_over",
        come: "update pgdial.campaigns set ends_at = pgdial.now() + interval '59 seconds'",
        says: &["campaign default ends at 20", "could still ring then"],
        timed: false,
        go: "update pgdial.campaigns set ends_at = null",
    },
    Staged {
        reason: "cluster_changed",
        come: "update pgdial.cluster set system_identifier = 1",
        says: &["`pgdial recover`"],
        timed: false,
        go: "select pgdial.note_place()",
    },
    Staged {
        reason: "trunk_paused",
        come: "select pgdial.pause('trunk', 'default', 'fire', 'ann')",
        says: &["trunk default is paused by ann since 20", "Z: fire"],
        timed: false,
        go: "select pgdial.resume('trunk', 'default')",
    },
    Staged {
        reason: "campaign_paused",
        come: "select pgdial.pause('campaign', 'default', 'lunch', 'bob')",
        says: &["campaign default is paused by bob since 20", "Z: lunch"],
        timed: false,
        go: "select pgdial.resume('campaign', 'default')",
    },
    Staged {
        reason: "campaign_not_started",
        come: "update pgdial.campaigns set starts_at = pgdial.now() + interval '30 seconds'",
        says: &["campaign default starts at 20"],
        timed: true,
        go: "update pgdial.campaigns set starts_at = null",
    },
    Staged {
        reason: "trunk_held",
        come: "update pgdial.trunks set held_until = pgdial.now() + interval '1 hour'",
        says: &["recovery"],
        timed: true,
        go: "update pgdial.trunks set held_until = null",
    },
    Staged {
        reason: "caller_ids_spent",
        come: "insert into pgdial.caller_ids (number, pool, trunk, rest_until) values ('+14155550199', 'p', 'default', pgdial.now() + interval '1 hour'); \
            update pgdial.campaigns set caller_ids = 'p'",
        says: &["of the 1 caller ids of pool p on trunk default 1 resting"],
        timed: true,
        go: "update pgdial.caller_ids set rest_until = null",
    },
    Staged {
        reason: "contact_limit",
        come: "select pgdial.set_contact_limit('few', '{\"counts\": \"attempts\", \"period\": \"1 day\", \"allCampaigns\": true}'); \
               insert into pgdial.dials (phone, at, campaign, call_id, claim_no) \
               values ('$number', pgdial.now(), 'elsewhere', '0197f5e0-0000-7000-8000-00000000000c', 1)",
        says: &[
            "contact limit few lets this number be dialled again at 20",
            "at most 1 attempts within 24 hours",
            "in campaign elsewhere (call 0197f5e0-0000-7000-8000-00000000000c)",
        ],
        timed: true,
        go: "delete from pgdial.contact_limits where name = 'few'; delete from pgdial.dials",
    },
    Staged {
        reason: "scheduled",
        come: "update pgdial.calls set run_at = '2126-01-01T00:00:00Z' where id = '$id'",
        says: &["scheduled for 2126-01-01 00:00:00Z"],
        timed: true,
        go: "update pgdial.calls set run_at = pgdial.now() where id = '$id'",
    },
    Staged {
        reason: "unclaimable",
        come: "insert into pgdial.unclaimable values ('$id', pgdial.now() + interval '30 seconds', 'check of +14155550199')",
        says: &["check of +141***99"],
        timed: true,
        go: "delete from pgdial.unclaimable",
    },
    Staged {
        reason: "no_worker",
        come: "update pgdial.workers set seen_at = pgdial.now() - interval '1 minute'",
        says: &["the last one, on host (pid 7), was seen at 20"],
        timed: false,
        go: "update pgdial.workers set seen_at = pgdial.now()",
    },
    Staged {
        reason: "breaker",
        come: "insert into pgdial.trunk_breaker values ('default', 5, 'HTTP 500', 1, pgdial.now(), pgdial.now() + interval '1 minute')",
        says: &["5 faults in a row, the last: HTTP 500"],
        timed: true,
        go: "delete from pgdial.trunk_breaker",
    },
    Staged {
        reason: "number_taken",
        come: "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at, \
                   state, claim_no, claimed_at, claimed_by, trunk, deadline_at) \
               select '0197f5e0-0000-7000-8000-00000000000a', '$number', 'default', 's', n.now, 3, 't', '', n.now, \
                   'in_call', 1, n.now, gen_random_uuid(), 'elsewhere', n.now + interval '1 hour' \
               from (select pgdial.now() as now) n",
        says: &[
            "number +141***01 is busy with call 0197f5e0-0000-7000-8000-00000000000a, in_call since 20",
            "at most",
        ],
        timed: true,
        go: "delete from pgdial.calls where id = '0197f5e0-0000-7000-8000-00000000000a'",
    },
    Staged {
        reason: "twin",
        come: "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at) \
               select '0197f5e0-0000-7000-8000-00000000000b', '$number', 'default', 's', n.now - interval '1 hour', 3, 't', '', n.now \
               from (select pgdial.now() as now) n",
        says: &["call 0197f5e0-0000-7000-8000-00000000000b to the same number"],
        timed: false,
        go: "delete from pgdial.calls where id = '0197f5e0-0000-7000-8000-00000000000b'",
    },
    Staged {
        reason: "trunk_full",
        come: "update pgdial.trunks set slots = 1 where name = 'default'",
        says: &[
            "1 of 1 slots of trunk default are in use; the oldest call, ",
            ", is live since 20",
            "at most",
        ],
        timed: true,
        go: "update pgdial.trunks set slots = 30 where name = 'default'",
    },
    Staged {
        reason: "campaign_full",
        come: "update pgdial.campaigns set cap = 1",
        says: &["campaign default has 1 calls in flight, its cap is 1; the oldest call, "],
        timed: true,
        go: "update pgdial.campaigns set cap = null",
    },
    Staged {
        reason: "pacing",
        come: "update pgdial.trunks set calls_per_second = 0.01 where name = 'default'; \
               insert into pgdial.trunk_pace values ('default', 0, pgdial.now())",
        says: &["places 0.01 calls a second"],
        timed: true,
        go: "update pgdial.trunks set calls_per_second = null; delete from pgdial.trunk_pace",
    },
    Staged {
        reason: "no_permit",
        come: "update pgdial.workers set permits = 1; \
               update pgdial.calls c set state = 'dialing', lease_until = pgdial.now() + interval '1 minute', \
                   claimed_by = (select w.id from pgdial.workers w) \
               where c.id <> '$id' and c.state = 'in_call' and c.trunk = 'default'",
        says: &["are dialing 1 calls, as many as they have permits"],
        timed: false,
        go: "update pgdial.workers set permits = 30",
    },
];

/// A waiting call, a live one, and a worker.
async fn stage() -> (TestDb, CallId) {
    let db = TestDb::new().await;
    db.worker(&["default"]).await;
    db.sql("insert into pgdial.trunks (name) values ('elsewhere')")
        .await;
    db.in_call(&number(2)).await;
    let id = db.enqueue(&number(1)).await;
    (db, id)
}

async fn said(db: &TestDb, id: CallId) -> Vec<Reason> {
    db.calls.why(id).await.unwrap()
}

fn words(said: &[Reason]) -> Vec<&str> {
    said.iter().map(|said| &*said.reason).collect()
}

fn about(sql: &str, id: CallId) -> String {
    sql.replace("$id", &id.to_string())
        .replace("$number", &number(1))
}

/// Whether the claim takes this call; the claim is undone.
async fn is_taken(db: &TestDb, id: CallId) -> bool {
    let mut session = db.session().await;
    run(&mut session, "begin").await.unwrap();
    let claim = "select bool_or(id = '$id') is true \
                 from pgdial.claim(gen_random_uuid(), '{default}', 100)";
    let taken = crate::support::ask(&mut session, &about(claim, id)).await == "true";
    if !taken {
        assert_rests(&mut session).await;
    }
    run(&mut session, "rollback").await.unwrap();
    taken
}

/// A claim made by hand does not show that there is no worker to make it.
fn stops_a_claim(reason: &str) -> bool {
    !["no_worker", "no_permit"].contains(&reason)
}

#[tokio::test]
async fn each_reason_is_said_while_it_holds_and_the_call_is_taken_once_it_is_gone() {
    let (db, id) = stage().await;
    for staged in REASONS {
        db.sql(&about(staged.come, id)).await;
        let now = said(&db, id).await;
        assert_eq!(words(&now), [staged.reason]);
        let message = &now[0].message;
        for says in staged.says {
            assert!(message.contains(says), "{says:?} is not in {message:?}");
        }
        assert!(!message.contains("+1415555"), "{message}");
        assert_eq!(now[0].until.is_some(), staged.timed, "{message}");
        assert!(now[0].object.is_some(), "{message}");
        assert_eq!(
            is_taken(&db, id).await,
            !stops_a_claim(staged.reason),
            "{message}"
        );
        db.sql(&about(staged.go, id)).await;
        assert_eq!(
            words(&said(&db, id).await),
            ["next"],
            "after {}",
            staged.reason
        );
        assert!(is_taken(&db, id).await, "after {}", staged.reason);
    }
}

/// Brings these about together, and removes the first one given until none is left.
async fn one_by_one(reasons: &[&str]) {
    let (db, id) = stage().await;
    let staged: Vec<&Staged> = REASONS
        .iter()
        .filter(|staged| reasons.contains(&staged.reason))
        .collect();
    assert_eq!(staged.len(), reasons.len());
    for staged in &staged {
        db.sql(&about(staged.come, id)).await;
    }
    for at in 0..staged.len() {
        let left: Vec<&str> = staged[at..].iter().map(|staged| staged.reason).collect();
        assert_eq!(words(&said(&db, id).await), left);
        let stopped = left.iter().any(|reason| stops_a_claim(reason));
        assert_eq!(is_taken(&db, id).await, !stopped, "{left:?}");
        db.sql(&about(staged[at].go, id)).await;
    }
    assert_eq!(words(&said(&db, id).await), ["next"]);
    assert!(is_taken(&db, id).await);
}

#[tokio::test]
async fn a_restored_database_with_a_failing_provider_and_no_worker() {
    one_by_one(&["cluster_changed", "no_worker", "breaker"]).await;
}

#[tokio::test]
async fn a_paused_trunk_with_a_later_time_a_busy_number_and_all_slots_taken() {
    one_by_one(&["trunk_paused", "scheduled", "number_taken", "trunk_full"]).await;
}

#[tokio::test]
async fn everything_at_once() {
    let all = REASONS.iter().map(|staged| staged.reason);
    // Without a live worker there are no permits to be used up.
    let all: Vec<&str> = all.filter(|reason| *reason != "no_permit").collect();
    one_by_one(&all).await;
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_passed_over() {
    let (db, id) = stage().await;
    let mut holder = db.session().await;
    let hold = "set application_name = 'ann in psql'; begin; \
                select id from pgdial.calls where id = '$id' for update";
    run(&mut holder, &about(hold, id)).await.unwrap();
    let now = said(&db, id).await;
    assert_eq!(words(&now), ["locked"]);
    // The worker's login may not see whose session it is; its owner may.
    let all = format!("select message from pgdial.why('{id}')");
    assert!(db.text(&all).await.starts_with("ann in psql (pid "));
    assert!(!is_taken(&db, id).await);
    run(&mut holder, "rollback").await.unwrap();
    assert_eq!(words(&said(&db, id).await), ["next"]);
    assert!(is_taken(&db, id).await);
}

#[tokio::test]
async fn a_gate_that_somebody_keeps_is_said() {
    let (db, id) = stage().await;
    let mut holder: PgConnection = db.session().await;
    let keep = "begin; select pg_advisory_xact_lock(x'70676469'::int, 1)";
    run(&mut holder, keep).await.unwrap();
    let reason = format!("select reason from pgdial.why('{id}')");
    assert_eq!(db.text(&reason).await, "gate_held");
    run(&mut holder, "rollback").await.unwrap();
    assert_eq!(db.text(&reason).await, "next");
}

#[tokio::test]
async fn a_provider_without_room_and_a_put_back_call() {
    let (db, id) = stage().await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, id);
    let reason = pgdial::flow::defer::DeferReason::Capacity;
    db.calls
        .defer(call.reference(), reason, Some(60), "429")
        .await
        .unwrap();
    // Others failed in the same way.
    db.sql("insert into pgdial.trunk_breaker (trunk, not_before) values ('default', pgdial.now() + interval '1 minute')")
        .await;
    let now = said(&db, id).await;
    assert_eq!(words(&now), ["provider_full", "retry_due"]);
    assert!(
        now[1].message.contains("put back (429)"),
        "{}",
        now[1].message
    );
    db.forward("61 seconds").await;
    db.worker(&["default"]).await;
    assert_eq!(words(&said(&db, id).await), ["next"]);
    assert!(is_taken(&db, id).await);
}

#[tokio::test]
async fn a_call_behind_others_says_its_place() {
    let (db, id) = stage().await;
    db.sql("update pgdial.calls set run_at = pgdial.now() - interval '1 minute' where state = 'waiting'")
        .await;
    let high = json!({ "to": number(3), "scriptId": "s", "priority": 5 });
    let high = db.enqueue_as(high).await;
    let last = db.enqueue(&number(4)).await;
    db.sql("update pgdial.trunks set slots = 3").await;
    let now = said(&db, last).await;
    assert_eq!(words(&now), ["in_line"]);
    assert_eq!(
        now[0].message,
        "3rd of 3 due calls of campaign default: 2 before it, and there is room for 2 now"
    );
    assert!(!is_taken(&db, last).await);
    for first in [high, id] {
        assert_eq!(words(&said(&db, first).await), ["next"]);
        assert!(is_taken(&db, first).await);
    }
    db.calls.cancel(high, "ann", None).await.unwrap();
    assert_eq!(words(&said(&db, last).await), ["next"]);
    assert!(is_taken(&db, last).await);
}

#[tokio::test]
async fn which_campaign_gets_the_last_slot_is_left_open() {
    let (db, id) = stage().await;
    db.campaign("other", json!({})).await;
    let rival = json!({ "to": number(5), "scriptId": "s", "campaign": "other" });
    let rival = db.enqueue_as(rival).await;
    db.sql("update pgdial.calls set campaign = 'gone' where state = 'in_call'; update pgdial.trunks set slots = 2")
        .await;
    for id in [id, rival] {
        let now = said(&db, id).await;
        assert_eq!(words(&now), ["in_turn"]);
        assert!(now[0].message.contains("by weight"), "{}", now[0].message);
    }
    db.sql("update pgdial.trunks set slots = 3").await;
    for id in [id, rival] {
        assert_eq!(words(&said(&db, id).await), ["next"]);
        assert!(is_taken(&db, id).await);
    }
}

#[tokio::test]
async fn among_very_many_campaigns_its_turn_is_left_open_and_costs_little() {
    let (db, id) = stage().await;
    db.sql(
        "insert into pgdial.campaigns (name, trunk) select 'm' || n, 'default' from generate_series(1, 3000) n; \
         insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at) \
         select gen_random_uuid(), '+1' || (2000000000 + n), 'm' || n, 's', now(), 3, 't', '', now() \
         from generate_series(1, 3000) n; analyze pgdial.calls",
    )
    .await;
    assert_eq!(words(&said(&db, id).await), ["in_turn"]);
    let mut session = db.session().await;
    let why = about("select * from pgdial.why('$id')", id);
    run(&mut session, &why).await.unwrap();
    let touched = crate::support::pages::pages(&mut session, &why).await;
    assert!(touched < 3_000, "{touched} pages");
}

#[tokio::test]
async fn a_number_is_held_by_the_call_itself_or_by_another() {
    let (db, id) = stage().await;
    db.sql(&about(
        "update pgdial.calls set hold_until = pgdial.now() + interval '1 minute' where id = '$id'",
        id,
    ))
    .await;
    let now = said(&db, id).await;
    assert_eq!(words(&now), ["number_taken"]);
    assert_eq!(now[0].object, Some(id.to_string()));
    assert!(
        now[0].message.contains("`pgdial release`"),
        "{}",
        now[0].message
    );
    assert!(!is_taken(&db, id).await);
}

#[tokio::test]
async fn more_than_ten_thousand_before_it_are_not_counted() {
    let (db, _) = stage().await;
    db.sql(
        "insert into pgdial.calls (id, phone, campaign, script_id, run_at, max_attempts, owner, request_hash, created_at) \
         select gen_random_uuid(), '+1' || (2000000000 + n), 'default', 's', now() - interval '1 hour', 3, 't', '', now() \
         from generate_series(1, 10500) n",
    )
    .await;
    let last = db.enqueue(&number(9)).await;
    let now = said(&db, last).await;
    assert_eq!(words(&now), ["in_line"]);
    assert_eq!(
        now[0].message,
        "more than 10,000 due calls of campaign default come before it, and there is room for 29 now"
    );
}

#[tokio::test]
async fn what_is_over_says_who_ended_it_and_why() {
    let (db, id) = stage().await;
    db.calls
        .cancel(id, "ann", Some("call +14155550142 instead"))
        .await
        .unwrap();
    let now = said(&db, id).await;
    assert_eq!(words(&now), ["canceled"]);
    let message = &now[0].message;
    assert!(
        message.ends_with("Z as canceled, by ann: call +141***42 instead"),
        "{message}"
    );
    let busy = db.dialing(&number(7)).await;
    db.settle(&busy, Outcome::Declined).await;
    let message = &said(&db, busy.id).await[0].message;
    assert!(
        message.ends_with("Z as declined after attempt 1 of 3: said so"),
        "{message}"
    );
}

#[tokio::test]
async fn a_call_in_flight_names_its_worker_and_the_deadline() {
    let db = TestDb::new().await;
    let worker = db.worker(&["default"]).await;
    let id = db.enqueue(&number(1)).await;
    let trunks = ["default".to_owned()];
    let call = db.calls.claim(worker.id, &trunks, 1).await.unwrap().calls;
    assert_eq!(call[0].id, id);
    let message = &said(&db, id).await[0].message;
    assert!(
        message.contains("on host (pid 7) is dialing since 20"),
        "{message}"
    );
    db.forward("50 seconds").await;
    let message = &said(&db, id).await[0].message;
    assert!(message.contains("last seen at 20"), "{message}");
}
