//! cancel, redrive and export with a filter, batch after batch (P1, P7).

use pgdial::{
    domain::{CallId, Outcome},
    flow::{
        groups::ChangeError,
        matching::{Batch, BatchResponse},
    },
};
use serde_json::{Value, json};

use crate::support::{TestDb, number, run};

const fn batch<'a>(filter: &'a Value, limit: i32, cursor: Option<&'a str>) -> Batch<'a> {
    Batch {
        filter,
        limit,
        dry_run: false,
        cursor,
        by: "ann",
        why: "a wrong list",
    }
}

/// Cancels batch after batch; returns all of them.
async fn cancel_all(db: &TestDb, filter: Value, limit: i32) -> Vec<BatchResponse> {
    let mut batches: Vec<BatchResponse> = Vec::new();
    loop {
        let cursor = batches.last().and_then(|last| last.cursor.clone());
        let next = batch(&filter, limit, cursor.as_deref());
        let next = db.calls.cancel_matching(&next).await.unwrap();
        let is_last = next.cursor.is_none();
        batches.push(next);
        if is_last {
            return batches;
        }
        assert!(batches.len() < 50, "it does not come to an end");
    }
}

async fn count(db: &TestDb, condition: &str) -> i64 {
    db.number(&format!(
        "select count(*) from pgdial.calls where {condition}"
    ))
    .await
}

async fn enqueue_in(db: &TestDb, campaign: &str, to: &str) -> CallId {
    db.enqueue_as(json!({ "to": to, "scriptId": "s", "campaign": campaign }))
        .await
}

#[tokio::test]
async fn a_campaign_is_canceled_in_batches_and_others_are_left_alone() {
    let db = TestDb::new().await;
    db.campaign("spring", json!({})).await;
    for n in 0..7 {
        enqueue_in(&db, "spring", &number(n)).await;
    }
    let other = db.enqueue(&number(8)).await;
    let batches = cancel_all(&db, json!({ "campaign": "spring" }), 3).await;
    let matched: Vec<i64> = batches.iter().map(|batch| batch.matched).collect();
    assert_eq!(matched, [3, 3, 1]);
    assert_eq!(count(&db, "state = 'canceled'").await, 7);
    assert_eq!(db.state(other).await, "waiting");
    let events = "select count(*) from pgdial.call_events \
        where kind = 'canceled' and detail ->> 'by' = 'ann' and detail ->> 'why' = 'a wrong list'";
    assert_eq!(db.number(events).await, 7);
    let acts = "select string_agg(concat_ws(' ', by, why, detail ->> 'matched', detail -> 'verdicts', detail -> 'filter'), '; ' \
        order by seq) from pgdial.acts where act = 'cancel' and kind = 'calls'";
    let act = |n| {
        format!(
            "ann a wrong list {n} {{\"canceled\": {n}}} {}",
            r#"{"campaign": "spring"}"#
        )
    };
    assert_eq!(db.text(acts).await, [act(3), act(3), act(1)].join("; "));
}

#[tokio::test]
async fn a_dry_run_counts_and_does_nothing() {
    let db = TestDb::new().await;
    db.in_call(&number(1)).await;
    db.enqueue(&number(2)).await;
    let filter = json!({ "all": true });
    let dry = Batch {
        dry_run: true,
        ..batch(&filter, 1, None)
    };
    let counted = db.calls.cancel_matching(&dry).await.unwrap();
    assert_eq!(
        json!(counted),
        json!({ "dryRun": true, "matched": 2, "verdicts": {"canceled": 1, "requested": 1}, "cursor": null })
    );
    assert_eq!(
        count(&db, "state = 'canceled' or cancel_requested_at is not null").await,
        0
    );
    assert_eq!(db.number("select count(*) from pgdial.acts").await, 0);
}

#[tokio::test]
async fn calls_in_flight_are_wished_ended_once() {
    let db = TestDb::new().await;
    let live = db.in_call(&number(1)).await;
    let everything = json!({ "all": true });
    let batches = cancel_all(&db, everything.clone(), 1).await;
    assert_eq!(batches[0].verdicts["requested"], 1);
    let wished = db.detail(live.id, "cancel_requested").await;
    assert_eq!(wished["why"], "a wrong list");
    let again = cancel_all(&db, everything, 1).await;
    assert_eq!(
        again[0].matched, 0,
        "asked for once, it is no match any more"
    );
}

/// P7: rows that are locked, or cannot be written, are skipped, and the run ends.
#[tokio::test]
async fn rows_that_cannot_be_canceled_hold_up_none_behind_them() {
    let db = TestDb::new().await;
    db.poison("canceled").await;
    let poison = db.enqueue_poison(&number(1)).await;
    let held = db.enqueue(&number(2)).await;
    for n in 3..9 {
        db.enqueue(&number(n)).await;
    }
    let mut person = db.session().await;
    let lock = format!("begin; select from pgdial.calls where id = '{held}' for update");
    run(&mut person, &lock).await.unwrap();
    let mut verdicts = std::collections::BTreeMap::new();
    for batch in cancel_all(&db, json!({ "state": "waiting" }), 2).await {
        for (verdict, count) in batch.verdicts {
            *verdicts.entry(verdict).or_insert(0) += count;
        }
    }
    assert_eq!(
        json!(verdicts),
        json!({ "canceled": 6, "locked_out": 1, "refused": 1 })
    );
    assert_eq!(db.state(poison).await, "waiting");
    run(&mut person, "commit").await.unwrap();
    let again = cancel_all(&db, json!({ "state": "waiting" }), 10).await;
    assert_eq!(
        json!(again[0].verdicts),
        json!({ "canceled": 1, "refused": 1 })
    );
}

/// Calls that ended in different ways, some of them held or on the do-not-call list.
async fn finished(db: &TestDb) -> [CallId; 6] {
    db.campaign("gone", json!({})).await;
    let gone = enqueue_in(db, "gone", &number(5)).await;
    db.calls.cancel(gone, "ann", None).await.unwrap();
    db.sql("delete from pgdial.campaigns where name = 'gone'")
        .await;
    let held = db.given_up(&number(1)).await;
    let mut ended = Vec::new();
    for (n, outcome) in [
        (2, Outcome::Declined),
        (3, Outcome::Declined),
        (4, Outcome::Answered),
        (6, Outcome::Canceled),
    ] {
        let call = db.in_call(&number(n)).await;
        db.settle(&call, outcome).await;
        ended.push(call.id);
    }
    let unwilling = number(3).parse().unwrap();
    db.calls
        .do_not_call_add(&unwilling, "ann", "asked")
        .await
        .unwrap();
    [ended[0], ended[1], ended[2], ended[3], held.id, gone]
}

#[tokio::test]
async fn what_is_over_is_redriven_and_the_dry_run_foretells_it() {
    let db = TestDb::new().await;
    let [declined, unwilling, completed, hung_up, held, gone] = finished(&db).await;
    let everything = json!({ "all": true });
    let batch = batch(&everything, 100, None);
    let foretold = Batch {
        dry_run: true,
        ..batch
    };
    let foretold = db.calls.redrive_matching(&foretold, false).await.unwrap();
    assert_eq!(db.state(declined).await, "failed");
    let done = db.calls.redrive_matching(&batch, false).await.unwrap();
    assert_eq!(
        json!(done.verdicts),
        json!({ "waiting": 2, "suppressed": 1, "held": 1, "unknown_campaign": 1 })
    );
    assert_eq!(foretold.verdicts, done.verdicts);
    for (id, state) in [
        (declined, "waiting"),
        (hung_up, "waiting"),
        (unwilling, "failed"),
        (completed, "completed"),
        (held, "failed"),
        (gone, "canceled"),
    ] {
        assert_eq!(db.state(id).await, state);
    }
    let words = db.detail(declined, "redriven").await;
    assert_eq!(
        (&words["by"], &words["why"]),
        (&json!("ann"), &json!("a wrong list"))
    );
}

#[tokio::test]
async fn completed_calls_are_redriven_with_force_only() {
    let db = TestDb::new().await;
    let [_, _, completed, ..] = finished(&db).await;
    let filter = json!({ "state": "completed" });
    let batch = batch(&filter, 100, None);
    let refused = db.calls.redrive_matching(&batch, false).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("somebody has already spoken"), "{refused}");
    let done = db.calls.redrive_matching(&batch, true).await.unwrap();
    assert_eq!(json!(done.verdicts), json!({ "waiting": 1 }));
    assert_eq!(db.state(completed).await, "waiting");
    let act = "select detail ->> 'force' from pgdial.acts where kind = 'calls'";
    assert_eq!(db.text(act).await, "true");
}

/// A batch that finds only refused calls is not repeated.
#[tokio::test]
async fn a_redrive_goes_on_behind_calls_that_were_refused() {
    let db = TestDb::new().await;
    finished(&db).await;
    for filter in [
        json!({ "all": true }),
        json!({ "endedAfter": "2000-01-01T00:00:00Z" }),
    ] {
        let (mut cursor, mut matched) = (None::<String>, Vec::new());
        loop {
            let next = batch(&filter, 1, cursor.as_deref());
            let done = db.calls.redrive_matching(&next, false).await.unwrap();
            matched.push(done.matched);
            cursor = done.cursor;
            if cursor.is_none() {
                break;
            }
            assert!(matched.len() < 20, "{matched:?}");
        }
        assert!(matched.iter().sum::<i64>() >= 3, "{matched:?}");
    }
    assert_eq!(count(&db, "state = 'waiting'").await, 2);
}

async fn found(db: &TestDb, filter: Value) -> Vec<CallId> {
    let (calls, cursor) = db.calls.export(&filter, None, 1000).await.unwrap();
    assert_eq!(cursor, None);
    let id = |call: &Value| call["id"].as_str().unwrap().parse().unwrap();
    calls.iter().map(id).collect()
}

#[tokio::test]
async fn each_field_of_a_filter_narrows_it() {
    let db = TestDb::new().await;
    let [declined, unwilling, completed, hung_up, held, gone] = finished(&db).await;
    let waiting = db.enqueue(&number(9)).await;
    let mut everything = vec![declined, unwilling, completed, hung_up, held, gone, waiting];
    everything.sort();
    assert_eq!(found(&db, json!({})).await, everything);
    let mut of_outcome = found(&db, json!({ "outcome": ["declined", "canceled"] })).await;
    of_outcome.sort();
    let mut expected = vec![declined, unwilling, hung_up, gone];
    expected.sort();
    assert_eq!(of_outcome, expected);
    assert_eq!(found(&db, json!({ "state": "waiting" })).await, [waiting]);
    assert_eq!(found(&db, json!({ "campaign": "gone" })).await, [gone]);
    assert_eq!(
        found(&db, json!({ "to": "+1 (415) 555-0002" })).await,
        [declined]
    );
    let both = json!({ "ids": [declined, completed], "state": "completed" });
    assert_eq!(found(&db, both).await, [completed]);
}

#[tokio::test]
async fn times_are_bounds_that_include_their_beginning() {
    let db = TestDb::new().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let call = db.in_call(&number(n)).await;
        db.settle(&call, Outcome::Declined).await;
        ids.push(call.id);
        db.forward("1 hour").await;
    }
    let instant = async |id: CallId, column: &str| {
        db.column(
            id,
            &format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"),
        )
        .await
    };
    for (field, column) in [("created", "created_at"), ("ended", "ended_at")] {
        let middle = instant(ids[1], column).await;
        let last = instant(ids[2], column).await;
        let after = found(&db, json!({ format!("{field}After"): middle })).await;
        assert_eq!(after, ids[1..], "{field}");
        let before = found(&db, json!({ format!("{field}Before"): middle })).await;
        assert_eq!(before, ids[..1], "{field}");
        let between = json!({ format!("{field}After"): middle, format!("{field}Before"): last });
        assert_eq!(found(&db, between).await, ids[1..2], "{field}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_words() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    for (filter, words) in [
        (json!({}), "say {\"all\": true}"),
        (json!({ "campaign": null }), "say {\"all\": true}"),
        (json!({ "all": false }), "say {\"all\": true}"),
        (json!([]), "a filter is a JSON object"),
        (
            json!({ "state": "failed", "region": "j" }),
            "\"region\" is not a country",
        ),
        (
            json!({ "status": "failed" }),
            "\"status\" is an unknown field",
        ),
        (
            json!({ "state": "done" }),
            "\"state\" is one or several of waiting,",
        ),
        (
            json!({ "outcome": [] }),
            "\"outcome\" is one or several of answered,",
        ),
        (
            json!({ "to": "4155550100" }),
            "\"to\" is not an E.164 number",
        ),
        (json!({ "campaign": 5 }), "\"campaign\" must be a string"),
        (
            json!({ "endedAfter": "yesterday" }),
            "\"endedAfter\" must be an RFC 3339 time",
        ),
        (
            json!({ "createdBefore": "2026-01-31" }),
            "\"createdBefore\" must be an RFC 3339 time",
        ),
        (
            json!({ "ids": ["x"] }),
            "\"ids\" holds something that is no id",
        ),
        (json!({ "ids": id }), "\"ids\" is an array"),
    ] {
        let refused = db.calls.cancel_matching(&batch(&filter, 10, None)).await;
        let words_of_it = match refused {
            Err(ChangeError::Refused(words_of_it)) => words_of_it,
            other => panic!("{filter}: {other:?}"),
        };
        assert!(words_of_it.contains(words), "{filter}: {words_of_it}");
    }
    let everything = json!({ "all": true });
    for odd in [
        batch(&everything, 0, None),
        batch(&everything, 10_001, None),
        batch(&everything, 10, Some("x")),
        Batch {
            why: " ",
            ..batch(&everything, 10, None)
        },
    ] {
        let refused = db.calls.cancel_matching(&odd).await;
        assert!(matches!(refused, Err(ChangeError::Refused(_))), "{odd:?}");
    }
    assert_eq!(db.state(id).await, "waiting");
}

#[tokio::test]
async fn an_export_shows_every_call_once_with_its_attempts() {
    let db = TestDb::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(db.enqueue(&number(n)).await);
    }
    let first = db.claim(1).await.pop().unwrap();
    db.settle(&first, Outcome::Busy).await;
    db.forward("1 hour").await;
    let again = db.claim(5).await;
    let again = again.iter().find(|call| call.id == first.id).unwrap();
    db.settle(again, Outcome::Answered).await;
    let (mut exported, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let (page, next) = db
            .calls
            .export(&json!({}), cursor.as_deref(), 2)
            .await
            .unwrap();
        exported.extend(page);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let shown: Vec<CallId> = exported
        .iter()
        .map(|call| call["id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(shown, ids);
    let attempts = &exported[0]["attempts"];
    let words: Vec<_> = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| {
            (
                &attempt["claimNo"],
                &attempt["endedAs"],
                &attempt["outcome"],
                &attempt["trunk"],
            )
        })
        .collect();
    assert_eq!(
        json!(words),
        json!([
            [1, "retried", "busy", "default"],
            [2, "completed", "answered", "default"]
        ])
    );
    assert_eq!(exported[0]["to"], number(0));
}

/// One run does not ring a person again and again.
#[tokio::test]
async fn a_call_that_fails_again_is_not_met_again_by_the_same_run() {
    let db = TestDb::new().await;
    for n in 0..2 {
        let call = db.in_call(&number(n)).await;
        db.settle(&call, Outcome::Declined).await;
    }
    for filter in [
        json!({ "state": "failed" }),
        json!({ "endedAfter": "2000-01-01T00:00:00Z" }),
    ] {
        let mut cursor = None::<String>;
        for matched in [1, 1, 0] {
            let next = batch(&filter, 1, cursor.as_deref());
            let done = db.calls.redrive_matching(&next, false).await.unwrap();
            assert_eq!(done.matched, matched, "{filter}");
            cursor = done.cursor;
            for call in db.claim(2).await {
                db.settle(&call, Outcome::Declined).await;
            }
        }
        assert_eq!(cursor, None);
    }
}

/// What is dialled meanwhile leaves no gap: rows are walked in an order that never changes.
#[tokio::test]
async fn a_claim_between_two_batches_hides_no_call() {
    let db = TestDb::new().await;
    db.campaign("other", json!({})).await;
    for n in 0..4 {
        enqueue_in(&db, "other", &number(n)).await;
    }
    for n in 4..8 {
        db.enqueue(&number(n)).await;
    }
    let filter = json!({ "state": "waiting", "createdBefore": "2999-01-01T00:00:00Z" });
    let first = db
        .calls
        .cancel_matching(&batch(&filter, 3, None))
        .await
        .unwrap();
    assert_eq!(db.claim(3).await.len(), 3);
    let rest = batch(&filter, 100, first.cursor.as_deref());
    assert_eq!(db.calls.cancel_matching(&rest).await.unwrap().matched, 2);
    assert_eq!(count(&db, "state = 'waiting'").await, 0);
}
