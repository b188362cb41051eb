//! The inbox: which events count as one, and what becomes of those that cannot be matched.

use std::{collections::BTreeMap, time::Duration};

use pgdial::{
    domain::{Outcome, Reference, Report, ReportKind},
    flow::webhook::{Event, Verdict},
};

use crate::support::{TestDb, by_provider, ended, number, progress, run};

const KEPT: &str =
    "select string_agg(verdict || ' ' || deliveries, ', ' order by id) from pgdial.webhook_events";

/// Parks events about other software's calls, with these names, received that long ago, due now.
async fn strangers(db: &TestDb, events: u32, age: &str) {
    db.sql(&format!(
        "insert into pgdial.webhook_events (trunk, reference, event_id, received_at, last_delivery_at, \
                                            verdict, try_at, report, body) \
         select 'default', '', 'other' || n, pgdial.now() - interval '{age}', pgdial.now(), 'parked', \
                pgdial.now() - interval '{age}', jsonb_build_object('kind', 'ended', 'outcome', 'answered', \
                'provider_call_id', 'other' || n, 'status', 'COMPLETED', 'result', '{{}}'::jsonb), '{{}}' \
         from generate_series(1, {events}) n"
    ))
    .await;
}

async fn with_body(
    db: &TestDb,
    reference: Option<Reference>,
    id: &str,
    report: Report,
    body: &str,
) -> Verdict {
    let event = Event {
        trunk: "default",
        reference,
        event_id: id,
        signed_at: None,
        body: body.as_bytes(),
        report: &report,
    };
    db.calls.webhook(event).await.unwrap()
}

#[tokio::test]
async fn the_same_id_with_another_body_is_another_event() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let dial = Some(call.reference());
    let ringing = || progress(ReportKind::Progress);
    let busy = || ended(Outcome::Busy);
    assert_eq!(
        with_body(&db, dial, "42", ringing(), "ringing").await,
        Verdict::Applied
    );
    assert_eq!(
        with_body(&db, dial, "42", ringing(), "ringing").await,
        Verdict::Duplicate
    );
    assert_eq!(
        with_body(&db, dial, "42", busy(), "busy").await,
        Verdict::Applied
    );
    assert_eq!(
        with_body(&db, dial, "42", busy(), "busy").await,
        Verdict::Duplicate
    );
    assert_eq!(db.text(KEPT).await, "applied 2, applied 2");
    assert_eq!(
        db.column(call.id, "(state, outcome)").await,
        "(waiting,busy)"
    );
}

#[tokio::test]
async fn in_one_batch_too_and_without_a_reference() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let named = |report| by_provider("prov-14155550001", report);
    let sent = [
        (None, named(progress(ReportKind::Progress)), "ringing"),
        (None, named(progress(ReportKind::Answered)), "answered"),
        (None, named(ended(Outcome::Answered)), "over"),
        (None, named(ended(Outcome::Answered)), "over"),
    ];
    let sent = sent.map(|(dial, report, body)| with_body(&db, dial, "42", report, body));
    let verdicts = futures_util::future::join_all(sent).await;
    let duplicates = verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::Duplicate);
    assert_eq!(duplicates.count(), 1, "{verdicts:?}");
    assert_eq!(
        db.number("select count(*) from pgdial.webhook_events")
            .await,
        3
    );
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.column(call.id, "answered_at is not null").await, "true");
}

#[tokio::test]
async fn a_repetition_is_known_after_its_body_was_forgotten() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let over = || ended(Outcome::Answered);
    with_body(&db, Some(call.reference()), "42", over(), "over").await;
    let forget = format!("select pgdial.forget('{}', 'they asked')", number(1));
    db.sql(&forget).await;
    assert_eq!(
        db.text("select body::text from pgdial.webhook_events")
            .await,
        "\\x"
    );
    let again = with_body(&db, Some(call.reference()), "42", over(), "over").await;
    assert_eq!(again, Verdict::Duplicate);
}

#[tokio::test]
async fn a_uuid_is_one_name_in_either_case() {
    const LOWER: &str = "0197f5e0-aaaa-7000-8000-00000000000a";
    let upper = LOWER.to_uppercase();
    let db = TestDb::new().await;
    for (n, (stored, told)) in [(LOWER, upper.as_str()), (&upper, LOWER)]
        .into_iter()
        .enumerate()
    {
        let dialing = db.dialing(&number(n)).await;
        db.calls.dialed(dialing.reference(), stored).await.unwrap();
        let answered = by_provider(told, progress(ReportKind::Answered));
        let verdict = db
            .event_from("default", None, &format!("a{n}"), &answered)
            .await;
        assert_eq!(verdict, Verdict::Applied);
        let report = Report {
            reference: Some(dialing.reference().to_string().to_uppercase()),
            ..by_provider(told, ended(Outcome::Answered))
        };
        assert_eq!(
            db.event(&dialing, &format!("b{n}"), report).await,
            Verdict::Applied
        );
        assert_eq!(db.state(dialing.id).await, "completed");
    }
    // An event whose call is not known by this id yet, until `dialed` stores it.
    let dialing = db.dialing(&number(5)).await;
    let early = by_provider(
        &upper.replace("000A", "000B"),
        progress(ReportKind::Answered),
    );
    assert_eq!(
        db.event_from("default", None, "c", &early).await,
        Verdict::Parked
    );
    db.calls
        .dialed(dialing.reference(), &LOWER.replace("000a", "000b"))
        .await
        .unwrap();
    assert_eq!(
        db.story(dialing.id).await,
        "waiting active in_call answered"
    );
}

#[tokio::test]
async fn events_that_nobody_can_match_keep_none_from_its_turn() {
    let db = TestDb::new().await;
    strangers(&db, 20_000, "5 minutes").await;
    let call = db.in_call(&number(1)).await;
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    let verdict = db.event(&call, "1", ended(Outcome::Answered)).await;
    assert_eq!(verdict, Verdict::Parked);
    run(&mut person, "commit").await.unwrap();
    // This one came in at the very moment its call's id was stored: neither saw the other.
    let other = db.in_call(&number(2)).await;
    db.sql(
        "insert into pgdial.webhook_events (trunk, reference, event_id, received_at, last_delivery_at, \
                                            verdict, try_at, report, body) \
         values ('default', '', 'm', pgdial.now(), pgdial.now(), 'parked', pgdial.now() + interval '1 second', \
                 '{\"kind\": \"ended\", \"outcome\": \"busy\", \"provider_call_id\": \"prov-14155550002\"}', '')",
    )
    .await;
    db.forward("1 second").await;
    let swept = db.sweep().await;
    assert_eq!(swept.counts["parked_applied"], 2);
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.column(other.id, "outcome").await, "busy");
    assert!(swept.wait <= Duration::from_secs(1), "{:?}", swept.wait);
}

#[tokio::test]
async fn rows_that_stay_held_keep_no_other_event_from_its_turn() {
    let db = TestDb::new().await;
    db.sql("update pgdial.trunks set slots = 500").await;
    let mut held = Vec::new();
    for n in 0..150 {
        held.push(db.in_call(&number(n)).await);
    }
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    let park = |call| db.event(call, "1", ended(Outcome::Answered));
    let parked = futures_util::future::join_all(held.iter().map(park)).await;
    assert!(parked.iter().all(|verdict| *verdict == Verdict::Parked));
    db.forward("1 minute").await;
    // Another call, whose row was locked only briefly.
    let call = db.in_call(&number(200)).await;
    db.sql(&format!(
        "insert into pgdial.webhook_events (trunk, reference, event_id, received_at, last_delivery_at, verdict, \
                                            try_at, call_id, report, body) \
         values ('default', '{}', 'm', pgdial.now(), pgdial.now(), 'parked', pgdial.now(), '{}', \
                 '{{\"kind\": \"ended\", \"outcome\": \"answered\"}}', '')",
        call.reference(),
        call.id
    ))
    .await;
    assert_eq!(db.sweep().await.counts["parked_applied"], 1);
    assert_eq!(db.state(call.id).await, "completed");
    run(&mut person, "commit").await.unwrap();
    db.forward("1 minute").await;
    db.sweep().await;
    db.sweep().await;
    let left = "select count(*) from pgdial.webhook_events where verdict = 'parked'";
    assert_eq!(db.number(left).await, 0);
}

#[tokio::test]
async fn of_a_call_that_was_held_each_event_is_applied_in_its_turn() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let mut person = db.session().await;
    run(&mut person, "begin; select from pgdial.calls for update")
        .await
        .unwrap();
    db.event(&call, "1", progress(ReportKind::Answered)).await;
    db.event(&call, "2", ended(Outcome::Unreachable)).await;
    run(&mut person, "commit").await.unwrap();
    db.forward("1 second").await;
    assert_eq!(db.sweep().await.counts["parked_applied"], 2);
    assert_eq!(
        db.column(call.id, "(state, outcome)").await,
        "(failed,provider_fault)"
    );
}

#[tokio::test]
async fn an_event_that_nobody_could_match_ends_so_and_is_still_heard_when_its_call_is_known() {
    let db = TestDb::new().await;
    let dialing = db.dialing(&number(1)).await;
    let early = by_provider("p-1", ended(Outcome::Answered));
    assert_eq!(
        db.event_from("default", None, "1", &early).await,
        Verdict::Parked
    );
    for wait in ["1 second", "5 seconds", "1 minute", "10 minutes"] {
        db.forward(wait).await;
        assert_eq!(db.sweep().await.counts["parked_applied"], 0);
    }
    assert_eq!(db.text(KEPT).await, "unmatched 1");
    assert_eq!(
        db.event_from("default", None, "1", &early).await,
        Verdict::Duplicate
    );
    db.calls.dialed(dialing.reference(), "p-1").await.unwrap();
    assert_eq!(db.state(dialing.id).await, "completed");
    assert_eq!(db.text(KEPT).await, "applied 2");
}

#[tokio::test]
async fn whoever_stores_the_id_applies_what_waited_for_it() {
    let db = TestDb::new().await;
    let dialing = db.dialing(&number(1)).await;
    let early = by_provider("p-1", progress(ReportKind::Answered));
    db.event_from("default", None, "1", &early).await;
    let later = by_provider("p-1", ended(Outcome::Unreachable));
    assert_eq!(db.event(&dialing, "2", later).await, Verdict::Applied);
    assert_eq!(
        db.story(dialing.id).await,
        "waiting active in_call answered failed"
    );
    assert_eq!(db.text(KEPT).await, "applied 1, applied 1");
}

#[tokio::test]
async fn what_names_no_call_is_unmatched_at_once() {
    let db = TestDb::new().await;
    let nameless = ended(Outcome::Answered);
    assert_eq!(
        db.event_from("default", None, "1", &nameless).await,
        Verdict::Unmatched
    );
    assert_eq!(
        db.event_from("default", None, "1", &nameless).await,
        Verdict::Duplicate
    );
}

/// A report on a call that the provider's account names by this reference.
fn naming(reference: &impl ToString, report: Report) -> Report {
    Report {
        reference: Some(reference.to_string()),
        ..report
    }
}

fn foreign(id: &str) -> Report {
    Report {
        foreign: true,
        ..by_provider(id, ended(Outcome::Answered))
    }
}

const STRANGER: &str = "0197f5e0-0000-7000-8000-00000000beef-1";

#[tokio::test]
async fn a_reference_in_the_body_ends_a_doubt_and_teaches_the_id() {
    let db = TestDb::new().await;
    let doubtful = db.dialing(&number(1)).await;
    db.calls
        .doubt(doubtful.reference(), "timeout")
        .await
        .unwrap();
    let answered = naming(
        &doubtful.reference().to_string().to_uppercase(),
        by_provider("p-1", progress(ReportKind::Answered)),
    );
    let verdict = db.event_from("default", None, "1", &answered).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(
        db.column(doubtful.id, "(state, provider_call_id)").await,
        "(in_call,p-1)"
    );
    let over = by_provider("p-1", ended(Outcome::Answered));
    let verdict = db.event_from("default", None, "2", &over).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(db.state(doubtful.id).await, "completed");
}

#[tokio::test]
async fn a_reference_in_the_body_counts_for_its_claim_and_its_trunk_only() {
    let db = TestDb::new().await;
    let first = db.in_call(&number(1)).await;
    db.event(&first, "busy", ended(Outcome::Busy)).await;
    db.forward("1 hour").await;
    let second = db.claim(1).await.remove(0);
    assert_eq!((second.id, second.claim_no), (first.id, 2));
    let late = naming(&first.reference(), ended(Outcome::NoAnswer));
    let verdict = db.event_from("default", None, "1", &late).await;
    assert_eq!(verdict, Verdict::Stale, "the first dial is over");
    let other_id = naming(
        &second.reference(),
        by_provider("another", ended(Outcome::Answered)),
    );
    db.calls.dialed(second.reference(), "p-2").await.unwrap();
    let verdict = db.event_from("default", None, "2", &other_id).await;
    assert_eq!(verdict, Verdict::Mismatch, "that leg is another");
    let next = naming(
        &Reference {
            claim_no: 3,
            ..second.reference()
        },
        ended(Outcome::Answered),
    );
    let verdict = db.event_from("default", None, "3", &next).await;
    assert_eq!(verdict, Verdict::Mismatch, "a claim that was never made");
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    let over = naming(&second.reference(), ended(Outcome::Answered));
    let verdict = db.event_from("other", None, "4", &over).await;
    assert_eq!(verdict, Verdict::Mismatch, "another account");
    assert_eq!(db.state(second.id).await, "in_call");
    let verdict = db.event_from("default", None, "5", &over).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(db.state(second.id).await, "completed");
}

#[tokio::test]
async fn what_is_certainly_foreign_is_not_kept() {
    let db = TestDb::new().await;
    db.in_call(&number(1)).await;
    let mut of_another_pgdial = naming(&STRANGER, ended(Outcome::Answered));
    for report in [
        foreign("theirs"),
        of_another_pgdial.clone(),
        by_provider("theirs", of_another_pgdial.clone()),
    ] {
        let verdict = db.event_from("default", None, "1", &report).await;
        assert_eq!(verdict, Verdict::Foreign, "{report:?}");
    }
    assert_eq!(db.text(KEPT).await, "");
    // By their ids, these are ours.
    of_another_pgdial = by_provider("prov-14155550001", of_another_pgdial);
    let verdict = db
        .event_from("default", None, "2", &of_another_pgdial)
        .await;
    assert_eq!(verdict, Verdict::Mismatch, "of two dials");
    let verdict = db
        .event_from("default", None, "3", &foreign("prov-14155550001"))
        .await;
    assert_eq!(verdict, Verdict::Applied);
}

#[tokio::test]
async fn what_may_be_ours_is_kept() {
    let db = TestDb::new().await;
    let unnamed = by_provider("theirs", ended(Outcome::Answered));
    let odd = naming(&"order-4711", unnamed.clone());
    for (id, report) in [("1", &unnamed), ("2", &odd)] {
        let verdict = db.event_from("default", None, id, report).await;
        assert_eq!(verdict, Verdict::Parked, "nobody says whose it is");
    }
    let stranger = naming(&STRANGER, unnamed);
    db.sql("update pgdial.cluster set lost_since = pgdial.now()")
        .await;
    let verdict = db.event_from("default", None, "3", &stranger).await;
    assert_eq!(verdict, Verdict::Parked, "its row may have been lost");
    db.sql("update pgdial.cluster set lost_since = null").await;
    let doubtful = db.dialing(&number(1)).await;
    let verdict = db.event_from("default", None, "4", &stranger).await;
    assert_eq!(verdict, Verdict::Foreign);
    db.calls
        .doubt(doubtful.reference(), "timeout")
        .await
        .unwrap();
    let verdict = db.event_from("default", None, "5", &foreign("p-1")).await;
    assert_eq!(verdict, Verdict::Parked, "it may end the doubt");
    // As it does, once the id is learnt.
    db.calls.dialed(doubtful.reference(), "p-1").await.unwrap();
    assert_eq!(db.state(doubtful.id).await, "completed");
}

#[tokio::test]
async fn what_was_nobodys_is_kept_for_a_day() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "ours", progress(ReportKind::Answered))
        .await;
    db.event_from("default", None, "theirs", &ended(Outcome::Answered))
        .await;
    let kept = "select string_agg(event_id, ' ') from pgdial.webhook_events";
    db.forward("23 hours").await;
    db.sweep().await;
    assert_eq!(db.text(kept).await, "ours theirs");
    db.forward("2 hours").await;
    db.sweep().await;
    assert_eq!(db.text(kept).await, "ours");
}

#[tokio::test]
async fn a_trunk_that_floods_is_refused_until_the_hour_is_over_but_never_about_our_calls() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let ours = |id: &str, report| {
        let (db, id) = (db.clone(), id.to_owned());
        async move {
            db.event_from(
                "default",
                None,
                &id,
                &by_provider("prov-14155550001", report),
            )
            .await
        }
    };
    let theirs = async |id: &str| {
        db.event_from("default", None, id, &by_provider(id, ended(Outcome::Busy)))
            .await
    };
    assert_eq!(theirs("1").await, Verdict::Parked);
    db.sql("update pgdial.trunk_inbox set most_bytes = bytes + 1")
        .await;
    assert_eq!(theirs("2").await, Verdict::Parked);
    assert_eq!(theirs("3").await, Verdict::NoRoom);
    assert_eq!(
        ours("4", progress(ReportKind::Answered)).await,
        Verdict::Applied
    );
    assert_eq!(
        db.event(&call, "5", progress(ReportKind::Unparsable)).await,
        Verdict::Unparsable
    );
    assert_eq!(
        db.number("select count(*) from pgdial.webhook_events")
            .await,
        4
    );
    db.forward("1 hour").await;
    assert_eq!(theirs("3").await, Verdict::Parked);
    assert_eq!(ours("6", ended(Outcome::Answered)).await, Verdict::Applied);
}

/// Eighteen events about six calls at once, each three times: one effect each.
#[tokio::test]
async fn a_crowd_of_deliveries_has_each_effect_once() {
    let db = TestDb::new().await;
    let mut calls = Vec::new();
    for n in 0..6 {
        calls.push(db.in_call(&number(n)).await);
    }
    let reports = [
        ("r", progress(ReportKind::Progress)),
        ("a", progress(ReportKind::Answered)),
        ("e", ended(Outcome::Answered)),
    ];
    let mut sent = Vec::new();
    for _ in 0..3 {
        for call in &calls {
            for (body, report) in &reports {
                sent.push(with_body(
                    &db,
                    Some(call.reference()),
                    "42",
                    report.clone(),
                    body,
                ));
            }
        }
    }
    let mut seen = BTreeMap::new();
    for verdict in futures_util::future::join_all(sent).await {
        *seen.entry(format!("{verdict:?}")).or_insert(0) += 1;
    }
    assert_eq!(seen["Duplicate"], 36, "{seen:?}");
    assert_eq!(
        db.number("select count(*) from pgdial.webhook_events where deliveries = 3")
            .await,
        18
    );
    for call in calls {
        assert_eq!(db.state(call.id).await, "completed");
        assert_eq!(db.number(&format!(
            "select count(*) from pgdial.call_events where kind = 'completed' and call_id = '{}'", call.id)).await, 1);
    }
}
