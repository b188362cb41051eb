//! Rows that cannot be written, because of a constraint or somebody's trigger: in every batch the others go through,
//! and the bad one is named and kept (P7). webhook.rs has the same for events.

use std::{process::Command, time::Duration};

use pgdial::{
    domain::{CallId, ClaimedCall, Outcome},
    flow::Error,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestDb, ended, number, processes::Machine};

/// From now on rows with the script `poison` cannot be written at all.
const CONSTRAINT: (&str, &str) = (
    "alter table pgdial.calls add constraint poison check (script_id <> 'poison') not valid",
    "alter table pgdial.calls drop constraint poison",
);
/// The same by a trigger, as an application may have.
const TRIGGER: (&str, &str) = (
    "create function public.refuse() returns trigger language plpgsql as \
     $$ begin raise exception 'violates the rule against poison'; end $$; \
     create trigger refuse before update on pgdial.calls for each row \
     when (new.script_id = 'poison') execute function public.refuse()",
    "drop function public.refuse cascade",
);

/// A verb on known ids: the state of its calls, its arguments per call, and its verdict on one it can move.
const BATCHES: [(&str, &str, &str, &str); 8] = [
    (
        "dialed",
        "dialing",
        r#"{"provider_call_id": "p"}"#,
        "in_call",
    ),
    ("settle", "dialing", r#"{"outcome": "busy"}"#, "retried"),
    ("defer", "dialing", r#"{"reason": "late"}"#, "deferred"),
    ("doubt", "dialing", r#"{"why": "reset"}"#, "unresolved"),
    ("cancel_many", "dialing", r#"{"by": "ann"}"#, "requested"),
    ("cancel_many", "waiting", r#"{"by": "ann"}"#, "canceled"),
    ("redrive_many", "failed", r#"{"by": "ann"}"#, "waiting"),
    (
        "amend_many",
        "waiting",
        r#"{"by": "ann", "changes": {"priority": 5}}"#,
        "amended",
    ),
];

/// A good call, a bad one, and a good one, in this state.
async fn three(db: &TestDb, state: &str) -> [CallId; 3] {
    let ids = [
        db.enqueue(&number(1)).await,
        db.enqueue_poison(&number(2)).await,
        db.enqueue(&number(3)).await,
    ];
    if state != "waiting" {
        let claimed = db.claim(3).await;
        assert_eq!(claimed.len(), 3);
        for call in &claimed {
            if state == "failed" {
                db.settle(call, Outcome::Declined).await;
            }
        }
    }
    ids
}

/// The verb's verdicts on these calls, in their order.
async fn verdicts(db: &TestDb, verb: &str, ids: &[CallId], told: &str) -> String {
    let items: Value = ids
        .iter()
        .map(|id| {
            let mut item: Value = serde_json::from_str(told).unwrap();
            item["id"] = json!(id);
            item["claim_no"] = json!(1);
            item
        })
        .collect();
    db.text(&format!(
        "select string_agg(concat_ws(': ', verdict, detail ->> 'why'), ' | ' order by ordinal) \
         from pgdial.{verb}('{items}')"
    ))
    .await
}

async fn row(db: &TestDb, id: CallId) -> String {
    db.column(
        id,
        "(select r::text from pgdial.calls r where r.id = calls.id)",
    )
    .await
}

#[tokio::test]
async fn one_bad_row_in_a_batch_is_named_and_kept_and_the_others_go_through() {
    let db = TestDb::new().await;
    for (verb, state, told, expected) in BATCHES {
        for (poison, cure) in [CONSTRAINT, TRIGGER] {
            db.let_trunks_dial().await;
            let ids = three(&db, state).await;
            let (before, story) = (row(&db, ids[1]).await, db.story(ids[1]).await);
            db.sql(poison).await;
            let said = verdicts(&db, verb, &ids, told).await;
            let [first, bad, last] = said.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("{verb}: {said}");
            };
            assert_eq!([first, last], [expected; 2], "{verb}");
            assert!(bad.starts_with("refused: "), "{verb}: {bad}");
            assert!(bad.contains("poison"), "it says why: {bad}");
            assert_eq!(row(&db, ids[1]).await, before, "{verb}");
            assert_eq!(db.story(ids[1]).await, story, "{verb}");
            db.sql(cure).await;
            let again = verdicts(&db, verb, &ids[1..2], told).await;
            assert_eq!(again, expected, "{verb}, when nothing is in its way");
            db.sql("delete from pgdial.calls").await;
        }
    }
}

#[tokio::test]
async fn the_program_hears_which_call_is_refused_and_that_it_is_no_failure_of_the_database() {
    let db = TestDb::new().await;
    three(&db, "waiting").await;
    let claimed = db.claim(3).await;
    db.sql(CONSTRAINT.0).await;
    for call in &claimed {
        let dialed = db.calls.dialed(call.reference(), "p").await;
        if call.script_id == "poison" {
            let refused = dialed.unwrap_err();
            assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
            assert!(refused.to_string().contains("\"poison\""), "{refused}");
        } else {
            assert!(dialed.unwrap().in_call);
        }
    }
}

#[tokio::test]
async fn a_command_for_many_calls_goes_on_after_a_bad_one() {
    let machine = Machine::new().await;
    let ids = three(&machine.db, "waiting").await;
    machine.db.sql(CONSTRAINT.0).await;
    let names = ids.map(|id| id.to_string());
    let mut cancel: Command =
        machine.command(&["calls", "cancel", &names[0], &names[1], &names[2]]);
    let output = cancel.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one of them was refused");
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("refuses"), "{words}");
    let states = [ids[0], ids[1], ids[2]].map(|id| machine.db.state(id));
    let states = futures_util::future::join_all(states).await;
    assert_eq!(states, ["canceled", "waiting", "canceled"]);
}

#[tokio::test]
async fn one_bad_event_in_a_batch_is_parked_and_the_others_are_applied() {
    let db = TestDb::new().await;
    three(&db, "waiting").await;
    let mut claimed = db.claim(3).await;
    claimed.sort_by_key(|call| call.phone.as_e164().to_owned());
    db.sql(CONSTRAINT.0).await;
    let report = serde_json::to_value(ended(Outcome::Answered)).unwrap();
    let items: Value = claimed
        .iter()
        .map(|call| {
            json!({ "trunk": "default", "reference": call.reference().to_string(), "event_id": "1",
                    "body": "", "report": report })
        })
        .collect();
    let said =
        format!("select string_agg(verdict, ' ' order by ordinal) from pgdial.webhook('{items}')");
    assert_eq!(db.text(&said).await, "applied parked applied");
    let kept = "select string_agg(verdict, ' ' order by id) from pgdial.webhook_events";
    assert_eq!(db.text(kept).await, "applied parked applied");
}

#[tokio::test]
async fn what_cannot_be_given_back_keeps_no_other_from_it() {
    let db = TestDb::new().await;
    let ids = three(&db, "waiting").await;
    let (worker, trunks) = (Uuid::new_v4(), ["default".to_owned()]);
    db.calls.claim(worker, &trunks, 3).await.unwrap();
    db.sql(CONSTRAINT.0).await;
    assert!(db.calls.give_back(worker, &[]).await.unwrap());
    let states = ids.map(|id| db.state(id));
    let states = futures_util::future::join_all(states).await;
    assert_eq!(states, ["waiting", "dialing", "waiting"]);
}

/// Puts this many bad calls and then a good one where the sweep finds them.
async fn overdue(db: &TestDb, bad: usize) {
    let at = "to_char(pgdial.now() + interval '1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')";
    let at = db.text(&format!("select {at}")).await;
    let calls = |from: usize, expires: Option<&str>| -> Vec<Value> {
        (0..=bad)
            .map(|n| {
                let script = if n < bad { "poison" } else { "s" };
                json!({ "to": number(from + n), "scriptId": script, "expiresAt": expires })
            })
            .collect()
    };
    let silent = calls(0, None);
    db.calls.enqueue("tester", &silent).await.unwrap();
    assert_eq!(db.claim(1000).await.len(), bad + 1);
    let live = calls(1000, None);
    db.calls.enqueue("tester", &live).await.unwrap();
    let claimed: Vec<ClaimedCall> = db.claim(1000).await;
    assert_eq!(claimed.len(), bad + 1);
    for call in &claimed {
        db.calls.dialed(call.reference(), "p").await.unwrap();
    }
    let brief = calls(2000, Some(&at));
    db.calls.enqueue("tester", &brief).await.unwrap();
    let unwanted = calls(3000, None);
    db.calls.enqueue("tester", &unwanted).await.unwrap();
    db.sql("insert into pgdial.do_not_call (phone, reason, by, at) \
            select phone, 'no', 'ann', now() + row_number() over (order by id) * interval '1 microsecond' \
            from pgdial.calls where phone like '+14155553%'")
        .await;
    // The order in which the sweep visits them: the good one last.
    db.sql("update pgdial.calls set lease_until = lease_until + interval '1 second' \
            where script_id = 's' and lease_until is not null; \
            update pgdial.calls set deadline_at = deadline_at + interval '1 second' \
            where script_id = 's' and state = 'in_call'; \
            update pgdial.calls set deadline_at = deadline_at + interval '1 day' where state = 'dialing'; \
            update pgdial.calls set expires_at = expires_at + interval '1 second' \
            where script_id = 's' and expires_at is not null")
        .await;
}

#[tokio::test]
async fn more_bad_rows_than_a_sweep_takes_keep_it_from_no_other_and_do_not_make_it_spin() {
    const BAD: usize = 101;
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 1000").await;
    overdue(&db, BAD).await;
    db.sql(CONSTRAINT.0).await;
    db.forward("2 hours").await;
    for _ in 0..2 {
        db.sweep().await;
    }
    let good = "select string_agg(state::text, ' ' order by phone) from pgdial.calls where script_id = 's'";
    assert_eq!(
        db.text(good).await,
        "unresolved failed expired suppressed",
        "behind a full batch of bad ones of each kind"
    );
    let named = "select count(distinct call_id) || ' of ' || count(*) from pgdial.call_events where kind = 'put_off'";
    let named_once = format!("{0} of {0}", 4 * BAD);
    assert_eq!(db.text(named).await, named_once);
    let swept = db.sweep().await;
    assert!(
        swept.wait >= Duration::from_millis(900),
        "{:?} {:?}",
        swept.wait,
        swept.counts
    );
    assert_eq!(
        db.text(named).await,
        named_once,
        "at most one event a minute"
    );
    let kept = "select count(*) from pgdial.calls where script_id = 'poison' and ended_at is null";
    assert_eq!(db.text(kept).await, (4 * BAD).to_string());
}

/// An application's tables may reference calls.
#[tokio::test]
async fn a_finished_call_that_another_table_refers_to_stays_and_keeps_no_other() {
    let db = TestDb::new().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let id = db.enqueue(&number(n)).await;
        db.calls.cancel(id, "ann", None).await.unwrap();
        ids.push(id);
    }
    db.sql(&format!(
        "create table orders (call_id uuid references pgdial.calls); insert into orders values ('{}')",
        ids[1]
    ))
    .await;
    db.forward("1 hour").await;
    let trunks = ["default".to_owned()];
    let swept = db.calls.sweep(&trunks, Some(Duration::ZERO)).await.unwrap();
    assert_eq!(swept.counts["removed"], 2);
    assert!(swept.wait >= Duration::from_millis(900), "{:?}", swept.wait);
    let left = "select string_agg(id::text, ' ') from pgdial.calls";
    assert_eq!(db.text(left).await, ids[1].to_string());
    db.sql("drop table orders").await;
    let swept = db.calls.sweep(&trunks, Some(Duration::ZERO)).await.unwrap();
    assert_eq!(swept.counts["removed"], 1);
}

#[tokio::test]
async fn a_poisoned_row_stops_no_other_and_comes_back_later() {
    let db = TestDb::new().await;
    db.poison("dialing").await;
    let poisoned = db.enqueue_poison(&number(1)).await;
    for n in 2..6 {
        db.enqueue(&number(n)).await;
    }
    assert_eq!(db.claim(5).await.len(), 4);
    assert_eq!(db.state(poisoned).await, "waiting");
    let first = format!("select reason from pgdial.why('{poisoned}') where reason = 'unclaimable'");
    assert_eq!(db.text(&first).await, "unclaimable");
    assert!(db.claim(5).await.is_empty(), "not before 30 s");
    assert_eq!(db.story(poisoned).await, "waiting skipped");
    let why = db.detail(poisoned, "skipped").await["why"].to_string();
    assert!(why.contains("poison"), "{why}");
    db.sql("alter table pgdial.calls drop constraint poison")
        .await;
    db.forward("30 seconds").await;
    assert_eq!(db.claim(5).await[0].id, poisoned);
}

#[tokio::test]
async fn a_row_that_cannot_be_written_at_all_stops_no_other() {
    let db = TestDb::new().await;
    let dead = db.enqueue_poison(&number(1)).await;
    for n in 2..6 {
        db.enqueue(&number(n)).await;
    }
    db.sql(CONSTRAINT.0).await;
    assert_eq!(db.claim(5).await.len(), 4);
    assert_eq!(db.state(dead).await, "waiting");
    assert_eq!(db.story(dead).await, "waiting skipped");
}

#[tokio::test]
async fn more_of_them_than_a_claim_wants_stop_no_other() {
    let db = TestDb::new().await;
    for n in 0..30 {
        db.enqueue_poison(&number(n)).await;
    }
    let good = db.enqueue(&number(30)).await;
    db.sql(CONSTRAINT.0).await;
    let claim = async || {
        let default = ["default".to_owned()];
        db.calls.claim(Uuid::new_v4(), &default, 30).await.unwrap()
    };
    let first = claim().await;
    assert!(first.calls.is_empty());
    assert_eq!(first.wait, Some(Duration::ZERO), "there may be others");
    assert_eq!(claim().await.calls[0].id, good);
    let rest = claim().await;
    assert!(rest.calls.is_empty());
    assert!(rest.wait.unwrap() > Duration::from_secs(20), "{rest:?}");
    let events = "select count(*) from pgdial.call_events where kind = 'skipped'";
    assert_eq!(db.text(events).await, "30", "once each");
}
