//! forget: erases a person's number, and what was said in their calls, from every table (P1).

use pgdial::{
    domain::{CallId, Outcome, Phone, Report, ReportKind},
    flow::{
        enqueue::Enqueued,
        forget::{Forget, ForgetDoNotCall, ForgetResponse, ForgetVerdict},
        redrive::Redriven,
        webhook::Verdict,
    },
};
use serde_json::json;

use crate::support::{TestDb, by_provider, ended, number, progress, run};

/// Digits of the person's number.
const DIGITS: &str = "14155550001";

fn phone() -> Phone {
    number(1).parse().unwrap()
}

async fn wish(db: &TestDb, dry_run: bool, on_the_list: ForgetDoNotCall) -> ForgetResponse {
    let phone = phone();
    let wish = Forget {
        phone: &phone,
        dry_run,
        on_the_list,
        by: "ann",
        why: "letter of +1 (415) 555-0001",
    };
    db.calls.forget(&wish).await.unwrap()
}

async fn forget(db: &TestDb) -> ForgetResponse {
    wish(db, false, ForgetDoNotCall::Keep).await
}

/// Every `table.column` that contains these digits in any spelling. Columns that can hold text are found in the
/// catalog.
async fn places(db: &TestDb, digits: &str) -> Vec<String> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select table_name::text, column_name::text from information_schema.columns \
         join information_schema.tables using (table_schema, table_name) \
         where table_schema = 'pgdial' and table_type = 'BASE TABLE' \
           and table_name not like 'call\\_events\\_%' \
           and data_type not in ('boolean', 'integer', 'smallint', 'interval') order by 1, 2",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(columns.len() > 80, "{}", columns.len());
    let mut found = Vec::new();
    for (table, column) in columns {
        // A body is bytea; ASCII is searched as text.
        let sql = format!(
            "select count(*) from pgdial.{table} t \
             where position('{digits}' in regexp_replace(coalesce(case when pg_typeof(t.{column})::text = 'bytea' \
                 then encode(t.{column}::text::bytea, 'escape') else t.{column}::text end, ''), '[ .()/-]', '', 'g')) > 0 \
                or pg_typeof(t.{column})::text = 'bytea' \
                    and position(encode('{digits}'::bytea, 'hex') in t.{column}::text) > 0"
        );
        if db.number(&sql).await > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

/// A person recorded in every place we know of.
async fn well_known(db: &TestDb) -> Vec<CallId> {
    let n = number(1);
    // Answered, with a transcript, a report that came too late, and one that was unreadable.
    let request = json!({ "to": n, "from": "+14155559999", "scriptId": format!("to {n}"),
        "metadata": { "callback": n }, "idempotencyKey": "an order" });
    let talked = db.enqueue_as(request).await;
    let call = db.claim(1).await.pop().unwrap();
    db.calls
        .dialed(call.reference(), &format!("prov-{DIGITS}"))
        .await
        .unwrap();
    let said = Report {
        result: json!({ "to": n, "transcript": "my number is 1 415 555-0001" }),
        ..ended(Outcome::Answered)
    };
    assert_eq!(db.event(&call, &n, said.clone()).await, Verdict::Applied);
    db.event(&call, "again, of +14155550001", said.clone())
        .await;
    let of_another = by_provider(&n, progress(ReportKind::Unparsable));
    let dial = Some(call.reference());
    db.event_from("default", dial, "odd +14155550001", &of_another)
        .await;
    let named = by_provider(&format!("prov-{DIGITS}"), said);
    db.event_from("default", None, "no reference", &named).await;
    // Failed, redriven, canceled by someone who mentioned the number; and a key made of it.
    let key = json!({ "to": n, "scriptId": "s", "idempotencyKey": format!("for {n}") });
    let called_off = db.enqueue_as(key).await;
    db.calls
        .cancel(called_off, "ann", Some("+1 415 555 0001 called"))
        .await
        .unwrap();
    db.calls
        .redrive(called_off, "ann", Some("14155550001 again"), false)
        .await
        .unwrap();
    let call = db.claim(1).await.pop().unwrap();
    let words = "no such number: +14155550001";
    db.calls
        .settle(call.reference(), Outcome::InvalidNumber, words)
        .await
        .unwrap();
    // Reasons written by people.
    db.sql(
        "select pgdial.pause('trunk', 'default', 'fraud by +1-415-555-0001'); \
         select pgdial.pause('campaign', 'default', '14155550001 complained'); \
         select pgdial.resume('campaign', 'default', 'it was not (415) 555 0001 but +14155550001', 'ann'); \
         insert into pgdial.trunk_breaker (trunk, last_fault) values ('default', 'cannot dial 14155550001') \
             on conflict (trunk) do update set last_fault = excluded.last_fault; \
         insert into pgdial.answers (at, trunk, campaign, script_id, from_number, caller_id, call_id, number, kind, reason) \
             values (pgdial.now(), 'default', 'default', 's', '', '', gen_random_uuid(), 1, 'fault', 'cannot dial +14155550001'); \
         select pgdial.do_not_call_add('+14155550001', 'asked by +14155550001', 'ann'); \
         select pgdial.cancel_matching('{\"to\": \"+1 415 555 0001\"}', 'a fax from 14155550001');",
    )
    .await;
    db.sql(&format!(
        "insert into pgdial.unclaimable values ('{called_off}', pgdial.now(), 'trigger: 14155550001')"
    ))
    .await;
    vec![talked, called_off]
}

#[tokio::test]
async fn nothing_of_the_number_is_left_in_any_column_of_any_table() {
    let db = TestDb::new().await;
    let known = well_known(&db).await;
    let bystander = db.enqueue("+4914155550001").await;
    db.sql("select pgdial.cancel_matching('{\"to\": \"+4914155550001\"}', 'for 141555500012')")
        .await;
    let before = places(&db, DIGITS).await;
    for place in [
        "acts.detail",
        "acts.name",
        "acts.why",
        "answers.reason",
        "call_events.detail",
        "calls.idempotency_key",
        "calls.last_error",
        "calls.metadata",
        "calls.phone",
        "calls.provider_call_id",
        "calls.result",
        "calls.script_id",
        "do_not_call.phone",
        "do_not_call.reason",
        "trunk_breaker.last_fault",
        "trunks.paused_why",
        "unclaimable.why",
        "webhook_events.body",
        "webhook_events.event_id",
        "webhook_events.report",
    ] {
        assert!(before.contains(&place.to_owned()), "{place}: {before:?}");
    }
    db.forward("25 hours").await;
    let kept = wish(&db, true, ForgetDoNotCall::Remove).await;
    assert_eq!(kept.counts["calls"], 2);
    assert_eq!(kept.counts["webhookEvents"], 4);
    assert_eq!(
        places(&db, DIGITS).await,
        before,
        "a dry run empties nothing"
    );

    let forgot = wish(&db, false, ForgetDoNotCall::Remove).await;
    assert_eq!(forgot.verdict, ForgetVerdict::Forgotten);
    assert_eq!((forgot.more, &forgot.counts), (false, &kept.counts));
    // The other number ends with the same digits, and its texts begin with them.
    let others = [
        "acts.detail",
        "acts.why",
        "call_events.detail",
        "calls.last_error",
        "calls.phone",
    ];
    assert_eq!(places(&db, DIGITS).await, others);
    assert_eq!(db.column(bystander, "phone").await, "+4914155550001");
    db.sql(&format!(
        "delete from pgdial.calls where id = '{bystander}'; \
         delete from pgdial.call_events where call_id = '{bystander}'; \
         delete from pgdial.acts where why like '%0012%'"
    ))
    .await;
    assert_eq!(places(&db, DIGITS).await, [""; 0]);
    assert!(db.calls.mentions(&phone()).await.unwrap().is_empty());
    // That there were calls, and how they ended, remains.
    for (id, story, outcome) in [
        (
            known[0],
            "waiting active in_call completed forgotten",
            "answered",
        ),
        (
            known[1],
            "waiting canceled redriven active failed forgotten",
            "invalid_number",
        ),
    ] {
        assert_eq!(db.story(id).await, story);
        assert_eq!(db.column(id, "outcome").await, outcome);
    }
    let shown = db.calls.show(known[0]).await.unwrap().unwrap();
    assert_eq!(shown.to, "forgotten");
    assert_eq!(shown.attempts[0].outcome.as_deref(), Some("answered"));
    let act = "select concat_ws(' ', by, kind, name, why) from pgdial.acts where act = 'forget'";
    assert_eq!(
        db.text(act).await,
        "ann number forgotten letter of forgotten"
    );
}

/// The search finds every place the test above knows, without its help.
#[tokio::test]
async fn the_search_finds_the_number_wherever_it_stands() {
    let db = TestDb::new().await;
    well_known(&db).await;
    let mentions = db.calls.mentions(&phone()).await.unwrap();
    let found: Vec<String> = mentions
        .iter()
        .map(|(table, column, _)| format!("{table}.{column}"))
        .collect();
    assert_eq!(found, places(&db, DIGITS).await);
}

#[tokio::test]
async fn a_number_in_flight_or_held_is_not_forgotten() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    for dry_run in [true, false] {
        let forgot = wish(&db, dry_run, ForgetDoNotCall::Add).await;
        assert_eq!(forgot.verdict, ForgetVerdict::InFlight);
        assert_eq!(forgot.call, Some(call.id));
        assert!(forgot.until.is_some());
    }
    assert_eq!(db.state(twin).await, "waiting");
    db.forward("1 hour").await;
    db.sweep().await;
    let forgot = forget(&db).await;
    assert_eq!(
        (forgot.verdict, forgot.call),
        (ForgetVerdict::Held, Some(call.id))
    );
    assert_eq!(db.column(call.id, "phone").await, number(1));
    db.calls.release(call.id, "ann", "over").await.unwrap();
    assert_eq!(forget(&db).await.verdict, ForgetVerdict::Forgotten);
    assert_eq!(db.state(twin).await, "canceled");
}

#[tokio::test]
async fn waiting_calls_are_canceled_and_never_ring() {
    let db = TestDb::new().await;
    let waits = db.enqueue(&number(1)).await;
    let other = db.enqueue(&number(2)).await;
    let forgot = forget(&db).await;
    assert_eq!((forgot.counts["calls"], forgot.counts["waiting"]), (1, 1));
    assert_eq!(db.state(waits).await, "canceled");
    let claimed: Vec<CallId> = db.claim(5).await.iter().map(|call| call.id).collect();
    assert_eq!(claimed, [other]);
    // Nor by a redrive: the number is gone.
    let redriven = db.calls.redrive(waits, "ann", None, true).await.unwrap();
    assert_eq!(redriven.0, Redriven::Forgotten);
    // Nor by hand.
    let by_hand = format!(
        "update pgdial.calls set state = 'waiting', ended_at = null, outcome = null where id = '{waits}'"
    );
    let (_, words) = db.refusal(&by_hand).await;
    assert!(words.contains("calls_phone_is_e164"), "{words}");
    assert!(matches!(
        db.calls.redrive(other, "ann", None, true).await.unwrap().0,
        Redriven::NotOver
    ));
}

#[tokio::test]
async fn a_row_that_somebody_holds_stops_it_before_anything_is_done() {
    let db = TestDb::new().await;
    let first = db.enqueue(&number(1)).await;
    let second = db.enqueue(&number(1)).await;
    let mut person = db.session().await;
    let lock = format!("begin; select from pgdial.calls where id = '{second}' for update");
    run(&mut person, &lock).await.unwrap();
    assert_eq!(forget(&db).await.verdict, ForgetVerdict::LockedOut);
    assert_eq!(db.state(first).await, "waiting");
    run(&mut person, "rollback").await.unwrap();
    assert_eq!(forget(&db).await.verdict, ForgetVerdict::Forgotten);
}

/// P1: first writer wins; a call being claimed at this moment is not erased.
#[tokio::test]
async fn a_claim_that_is_under_way_is_not_overtaken() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    let mut claimer = db.session().await;
    let claim = "begin; select pgdial.claim(gen_random_uuid(), '{default}', 1)";
    run(&mut claimer, claim).await.unwrap();
    assert_eq!(forget(&db).await.verdict, ForgetVerdict::LockedOut);
    let (forgot, committed) = tokio::join!(forget(&db), run(&mut claimer, "commit"));
    committed.unwrap();
    // It either waited for the claim or gave up.
    assert!(
        [ForgetVerdict::InFlight, ForgetVerdict::LockedOut].contains(&forgot.verdict),
        "{forgot:?}"
    );
    assert_eq!(forget(&db).await.verdict, ForgetVerdict::InFlight);
    assert_eq!(db.state(id).await, "dialing");
    assert_eq!(db.column(id, "phone").await, number(1));
}

async fn enqueue_again(db: &TestDb, key: &str) -> Enqueued {
    let request = json!({ "to": number(1), "scriptId": "s", "idempotencyKey": key });
    let done = db.calls.enqueue("tester", &[request]).await.unwrap();
    done.into_iter().next().unwrap()
}

/// P1: the caller's retry, an hour after the number was forgotten, rings nobody.
#[tokio::test]
async fn a_repeated_request_rings_nobody_for_a_day() {
    let db = TestDb::new().await;
    let Enqueued::Created(id) = enqueue_again(&db, "order 7").await else {
        panic!("not new");
    };
    let call = db.claim(1).await.pop().unwrap();
    db.settle(&call, Outcome::Answered).await;
    assert_eq!(forget(&db).await.verdict, ForgetVerdict::Forgotten);
    db.forward("23 hours").await;
    db.calls.housekeeping(None).await.unwrap();
    let repeated = enqueue_again(&db, "order 7").await;
    assert!(matches!(repeated, Enqueued::KeyReused(_)), "{repeated:?}");
    assert!(db.claim(1).await.is_empty());
    // After that the key is no longer needed and is erased too.
    db.forward("2 hours").await;
    db.calls.housekeeping(None).await.unwrap();
    assert_eq!(db.column(id, "idempotency_key").await, "");
}

#[tokio::test]
async fn a_young_key_that_is_made_of_the_number_waits_for_its_day() {
    let db = TestDb::new().await;
    let key = "for +1 415-555-0001";
    let Enqueued::Created(id) = enqueue_again(&db, key).await else {
        panic!("not new");
    };
    db.calls.cancel(id, "ann", None).await.unwrap();
    let forgot = forget(&db).await;
    assert_eq!(
        (forgot.verdict, forgot.call),
        (ForgetVerdict::KeyNeeded, Some(id))
    );
    assert_eq!(db.column(id, "phone").await, number(1));
    // The list now does what the key did.
    let listed = wish(&db, false, ForgetDoNotCall::Add).await;
    assert_eq!(listed.verdict, ForgetVerdict::Forgotten);
    let repeated = enqueue_again(&db, key).await;
    assert!(matches!(repeated, Enqueued::Suppressed(_)), "{repeated:?}");
    assert_eq!(
        places(&db, DIGITS).await,
        ["do_not_call.phone"],
        "the one place that has the number"
    );
}

#[tokio::test]
async fn an_entry_of_the_list_stays_unless_it_shall_go() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    db.calls
        .do_not_call_add(&phone(), "ann", "letter of May")
        .await
        .unwrap();
    let listed = "select string_agg(phone || ' ' || reason, ',') from pgdial.do_not_call";
    forget(&db).await;
    assert_eq!(db.text(listed).await, "+14155550001 letter of May");
    wish(&db, false, ForgetDoNotCall::Remove).await;
    assert_eq!(db.text(listed).await, "");
    wish(&db, false, ForgetDoNotCall::Add).await;
    assert_eq!(db.text(listed).await, "+14155550001 asked to be forgotten");
}

/// A provider may report more about a call long afterwards.
#[tokio::test]
async fn what_comes_in_later_is_emptied_by_housekeeping() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.event(&call, "1", ended(Outcome::NoAnswer)).await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    forget(&db).await;
    let late = Report {
        result: json!({ "transcript": format!("call me at {}", number(1)) }),
        ..ended(Outcome::Answered)
    };
    db.event(&call, &number(1), late).await;
    assert!(!places(&db, DIGITS).await.is_empty());
    db.calls.housekeeping(None).await.unwrap();
    // The provider chose the event's id, which here is the number itself.
    assert_eq!(places(&db, DIGITS).await, ["webhook_events.event_id"]);
    // A redelivered event is still recognised after its content was erased.
    let again = db.event(&call, "1", ended(Outcome::NoAnswer)).await;
    assert_eq!(again, Verdict::Duplicate);
}

#[tokio::test]
async fn many_calls_are_forgotten_in_batches() {
    let db = TestDb::new().await;
    for _ in 0..5 {
        db.enqueue(&number(1)).await;
    }
    let batch = "select pgdial.forget('+14155550001', 'x', p_limit => 2) ->> 'more'";
    assert_eq!(db.text(&format!("({batch})")).await, "true");
    assert_eq!(db.text(&format!("({batch})")).await, "true");
    assert_eq!(db.text(&format!("({batch})")).await, "false");
    assert!(places(&db, DIGITS).await.is_empty());
}

#[tokio::test]
async fn sql_says_what_it_cannot_take() {
    let db = TestDb::new().await;
    for (call, words) in [
        ("pgdial.forget('555', 'x')", "not an E.164 number"),
        ("pgdial.forget('+14155550001', ' ')", "\"why\" is missing"),
        (
            "pgdial.forget('+14155550001', 'x', p_do_not_call => 'drop')",
            "keep, add or remove",
        ),
    ] {
        let (_, message) = db.refusal(&format!("select {call}")).await;
        assert!(message.contains(words), "{message}");
    }
}

/// What was delivered is erased here, and what still waits to be delivered tells nothing any more.
#[tokio::test]
async fn deliveries_forget_too() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let url = "https://crm.example.com";
    db.endpoint("crm", url, &["waiting", "completed", "forgotten"])
        .await;
    let call = db.completed(&number(1)).await;
    let first = db.deliver().await.remove(0);
    let answer = pgdial::flow::delivered::Response {
        status: 500,
        body: format!("who is {}?", number(1)),
        ..Default::default()
    };
    db.record(&first, Ok(answer)).await;
    assert!(
        places(&db, DIGITS)
            .await
            .contains(&"deliveries.body".to_owned())
    );
    let answer = forget(&db).await;
    assert_eq!(answer.counts["deliveries"], 2);
    assert_eq!(places(&db, DIGITS).await, [""; 0]);
    db.forward("10 seconds").await;
    for kind in ["waiting", "completed", "forgotten"] {
        let due = db.deliver().await.remove(0);
        let body: serde_json::Value = serde_json::from_str(&due.body).unwrap();
        assert_eq!(body["data"]["kind"], kind);
        assert_eq!(body["data"]["callId"], json!(call));
        assert_eq!(
            (&body["data"]["to"], &body["data"]["metadata"]),
            (&json!(null), &json!({}))
        );
        db.answered(&due, 200).await;
    }
}
