//! Several numbers of one person: rung one after the other (P1), within the limits of all of them (P9).

use futures_util::future::join_all;
use pgdial::{
    domain::{CallId, ClaimedCall, Outcome, Phone, Report},
    flow::{
        defer::DeferReason,
        enqueue::Enqueued,
        forget::{Forget, ForgetDoNotCall, ForgetVerdict},
        groups::GroupKind,
        webhook::Verdict,
    },
};
use serde_json::{Value, json};

use crate::support::{TestDb, ended, number, provider_id};

/// A call to these numbers, with up to 20 attempts.
async fn person(db: &TestDb, numbers: &[usize]) -> CallId {
    let to: Vec<String> = numbers.iter().map(|n| number(*n)).collect();
    db.enqueue_as(json!({ "to": to, "scriptId": "s", "maxAttempts": 20 }))
        .await
}

async fn only(db: &TestDb) -> ClaimedCall {
    let mut claimed = db.claim(5).await;
    assert_eq!(claimed.len(), 1);
    claimed.pop().unwrap()
}

/// Dials once, and returns what it dialled.
async fn dial(db: &TestDb, outcome: Outcome) -> String {
    let call = only(db).await;
    db.settle(&call, outcome).await;
    call.phone.as_e164().to_owned()
}

/// The provider accepts the dial, and reports a conversation that came to this.
async fn say(db: &TestDb, call: &ClaimedCall, disposition: &str, callback_at: Option<&str>) {
    let id = provider_id("x");
    db.calls.dialed(call.reference(), &id).await.unwrap();
    let report = Report {
        disposition: Some(disposition.to_owned()),
        callback_at: callback_at.map(|at| at.parse().unwrap()),
        ..ended(Outcome::Answered)
    };
    assert_eq!(db.event(call, "end", report).await, Verdict::Applied);
}

async fn list(db: &TestDb, n: usize) {
    let phone: Phone = number(n).parse().unwrap();
    let added = db.calls.do_not_call_add(&phone, "ann", "asked");
    assert!(added.await.unwrap());
}

/// Seconds until a call is due.
async fn wait(db: &TestDb, id: CallId) -> i64 {
    let wait = "round(extract(epoch from run_at - pgdial.now()))";
    db.column(id, wait).await.parse().unwrap()
}

async fn shown(db: &TestDb, id: CallId) -> Value {
    serde_json::to_value(db.calls.show(id).await.unwrap().unwrap()).unwrap()
}

async fn refusal(db: &TestDb, to: Value) -> String {
    let request = json!({ "to": to, "scriptId": "s" });
    match &db.calls.enqueue("tester", &[request]).await.unwrap()[0] {
        Enqueued::Invalid(why) | Enqueued::Suppressed(why) => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_list_is_normalised_and_every_fault_has_its_place() {
    let db = TestDb::new().await;
    let to = json!(["+1 (415) 555-0001", "+14155550001", "tel:+1-415-555-0002"]);
    let id = db.enqueue_as(json!({ "to": to, "scriptId": "s" })).await;
    assert_eq!(
        shown(&db, id).await["numbers"],
        json!([number(1), number(2)])
    );
    let one = db
        .enqueue_as(json!({ "to": [number(3)], "scriptId": "s" }))
        .await;
    assert_eq!(shown(&db, one).await["numbers"], Value::Null);

    let why = refusal(&db, json!([number(1), "12", 7, "x"])).await;
    let faults: Vec<&str> = why.lines().map(|line| &line[..7]).collect();
    assert_eq!(faults, ["\"to\"[1]", "\"to\"[2]", "\"to\"[3]"], "{why}");
    let many: Vec<String> = (0..11).map(number).collect();
    assert!(refusal(&db, json!(many)).await.contains("1 to 10 numbers"));
    assert!(refusal(&db, json!([])).await.contains("1 to 10 numbers"));
    assert!(refusal(&db, json!({})).await.contains("a list of strings"));
}

#[tokio::test]
async fn the_numbers_and_their_order_are_part_of_the_request() {
    let db = TestDb::new().await;
    let ask = async |to: Value| {
        let request = json!({ "to": to, "scriptId": "s", "idempotencyKey": "k" });
        db.calls
            .enqueue("tester", &[request])
            .await
            .unwrap()
            .remove(0)
    };
    assert!(matches!(
        ask(json!([number(1), number(2)])).await,
        Enqueued::Created(_)
    ));
    assert!(matches!(
        ask(json!([number(1), number(2)])).await,
        Enqueued::Duplicate(_)
    ));
    for other in [json!([number(2), number(1)]), json!(number(1))] {
        assert!(matches!(ask(other).await, Enqueued::KeyReused(_)));
    }
}

#[tokio::test]
async fn what_nobody_took_goes_on_to_the_next_number_and_a_round_is_one_backoff() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let id = person(&db, &[1, 2, 3]).await;
    for (n, outcome) in [
        (1, Outcome::NoAnswer),
        (2, Outcome::Busy),
        (3, Outcome::Unreachable),
    ] {
        assert_eq!(dial(&db, outcome).await, number(n));
    }
    // fault_base and its jitter: the fourth attempt is the first of the second round.
    let base =
        "select extract(epoch from fault_base)::int from pgdial.campaigns where name = 'default'";
    let base = db.number(base).await;
    let first = wait(&db, id).await;
    assert!(
        (base * 8 / 10..=base * 12 / 10).contains(&first),
        "{first} {base}"
    );
    assert_eq!(db.column(id, "phone").await, number(1));
    db.forward("1 day").await;
    // A fault is not about the number.
    assert_eq!(dial(&db, Outcome::ProviderFault).await, number(1));
    assert!(wait(&db, id).await > 0);
    db.forward("1 day").await;
    assert_eq!(dial(&db, Outcome::NoAnswer).await, number(1));
    assert_eq!(wait(&db, id).await, 0);
    let call = only(&db).await;
    let put_back = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "late");
    put_back.await.unwrap();
    assert_eq!(db.column(id, "phone").await, number(2));
    let rung: Vec<Value> = shown(&db, id).await["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["to"].clone())
        .collect();
    assert_eq!(json!(rung), json!([1, 2, 3, 1, 1, 2].map(number)));
    let told = "select count(*) from pgdial.call_events where detail::text ~ '1415555'";
    assert_eq!(db.number(told).await, 0);
}

/// Whatever the call rings by now.
#[tokio::test]
async fn an_event_is_about_the_number_that_its_claim_rang() {
    let db = TestDb::new().await;
    person(&db, &[1, 2]).await;
    dial(&db, Outcome::NoAnswer).await;
    only(&db).await;
    let told = "select string_agg(kind || right(phone, 1), ' ') from pgdial.events_after('start')";
    assert_eq!(db.text(told).await, "waiting2 active1 retried1 active2");
}

#[tokio::test]
async fn an_invalid_number_leaves_the_others() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let id = person(&db, &[1, 2, 3]).await;
    assert_eq!(dial(&db, Outcome::InvalidNumber).await, number(1));
    assert_eq!(dial(&db, Outcome::NoAnswer).await, number(2));
    assert_eq!(dial(&db, Outcome::InvalidNumber).await, number(3));
    // The second has just been rung.
    assert!(wait(&db, id).await > 0);
    db.forward("1 day").await;
    assert_eq!(dial(&db, Outcome::InvalidNumber).await, number(2));
    assert_eq!(
        db.column(id, "state || outcome::text").await,
        "failedinvalid_number"
    );
    assert_eq!(
        db.text(&format!("select pgdial.redrive('{id}')")).await,
        "waiting"
    );
    assert_eq!(dial(&db, Outcome::NoAnswer).await, number(1));
}

#[tokio::test]
async fn a_wrong_number_leaves_the_others_and_is_not_rung_again() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let id = person(&db, &[1, 2, 3]).await;
    let wrong = only(&db).await;
    say(&db, &wrong, "wrong_number", None).await;
    assert_eq!(
        db.column(id, "concat_ws(' ', state, outcome, disposition)")
            .await,
        "waiting answered wrong_number"
    );
    // What else is reported of that conversation ends nothing.
    let again = ended(Outcome::Answered);
    db.event(&wrong, "again", again).await;
    assert_eq!(db.state(id).await, "waiting");

    assert_eq!(dial(&db, Outcome::NoAnswer).await, number(2));
    let third = only(&db).await;
    assert_eq!(third.phone.as_e164(), number(3));
    say(&db, &third, "wrong_number", None).await;
    // The second has just been rung.
    assert!(wait(&db, id).await > 0);
    db.forward("1 day").await;
    let last = only(&db).await;
    assert_eq!(last.phone.as_e164(), number(2));
    say(&db, &last, "wrong_number", None).await;
    assert_eq!(db.column(id, "state").await, "completed");
}

#[tokio::test]
async fn whoever_answered_a_wrong_number_is_rung_again_with_force_only() {
    let db = TestDb::new().await;
    let id = person(&db, &[1, 2]).await;
    say(&db, &only(&db).await, "wrong_number", None).await;
    assert_eq!(dial(&db, Outcome::InvalidNumber).await, number(2));
    assert_eq!(db.state(id).await, "failed");
    let redrive = format!("select pgdial.redrive('{id}')");
    assert_eq!(db.text(&redrive).await, "needs_force");
}

#[tokio::test]
async fn a_wrong_number_ends_a_call_that_has_no_other_or_is_to_be_canceled() {
    let db = TestDb::new().await;
    let alone = person(&db, &[1]).await;
    say(&db, &only(&db).await, "wrong_number", None).await;
    assert_eq!(db.state(alone).await, "completed");

    let unwanted = person(&db, &[2, 3]).await;
    let call = only(&db).await;
    db.calls.cancel(unwanted, "ann", None).await.unwrap();
    say(&db, &call, "wrong_number", None).await;
    assert_eq!(db.state(unwanted).await, "completed");
}

#[tokio::test]
async fn doubt_rings_no_other_number() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let set = json!({ "redialUnknown": true });
    let set = db
        .calls
        .set_group(GroupKind::Campaign, "default", &set, "ann", None);
    assert!(set.await.unwrap());
    let id = person(&db, &[1, 2]).await;
    let call = only(&db).await;
    let twin = person(&db, &[3, 2]).await;
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    assert!(db.claim(5).await.is_empty());
    db.forward("1 hour").await;
    db.sweep().await;
    assert_eq!(
        db.column(id, "state || outcome::text").await,
        "waitingunknown"
    );
    let held = db.column(
        id,
        "hold_until > pgdial.now() and run_at >= hold_until and phone = numbers[1]",
    );
    assert_eq!(held.await, "true");
    // Neither this call nor another one of the person.
    assert!(db.claim(5).await.is_empty());
    let why = db.calls.why(twin).await.unwrap();
    let taken = why.iter().find(|why| why.reason == "number_taken").unwrap();
    assert!(
        taken.message.contains("of the same person"),
        "{}",
        taken.message
    );
    db.forward("2 hours").await;
    assert_eq!(db.claim(5).await.len(), 1);
}

#[tokio::test]
async fn calls_whose_lists_share_a_number_ring_one_after_the_other() {
    let db = TestDb::new().await;
    for n in 0..40 {
        person(&db, &[n, n + 1, (n + 7) % 40]).await;
        db.enqueue(&number(n)).await;
    }
    let clash = "select count(*) from pgdial.calls a join pgdial.calls b on a.id < b.id \
        and coalesce(a.numbers, array[a.phone]) && coalesce(b.numbers, array[b.phone]) \
        where a.state = 'dialing' and b.state = 'dialing'";
    let work = async || {
        for _ in 0..25 {
            let claimed = db.claim(6).await;
            assert_eq!(db.number(clash).await, 0);
            for call in claimed {
                db.settle(&call, Outcome::Answered).await;
            }
        }
    };
    join_all((0..4).map(|_| work())).await;
    work().await;
    let left = "select count(*) from pgdial.calls where state <> 'completed'";
    assert_eq!(db.number(left).await, 0);
}

#[tokio::test]
async fn dials_to_all_numbers_of_a_person_count() {
    let db = TestDb::new().await;
    db.stop_clock().await;
    let limit = json!({ "counts": "attempts", "atMost": 2, "period": "24 hours" });
    db.calls
        .set_contact_limit("few", &limit, "ann", None)
        .await
        .unwrap();
    let few = json!({ "contactLimits": ["few"] });
    let set = db
        .calls
        .set_group(GroupKind::Campaign, "default", &few, "ann", None);
    assert!(set.await.unwrap());
    let id = person(&db, &[1, 2, 3]).await;
    dial(&db, Outcome::NoAnswer).await;
    dial(&db, Outcome::NoAnswer).await;
    let known =
        "select count(*) from pgdial.dials where outcome = 'no_answer' and not conversation";
    assert_eq!(db.number(known).await, 2);
    assert!(db.claim(1).await.is_empty());
    assert_eq!(wait(&db, id).await, 24 * 60 * 60);
    // What certainly rang nobody counts no more.
    db.forward("1 day").await;
    let call = only(&db).await;
    let put_back = db
        .calls
        .defer(call.reference(), DeferReason::Late, None, "late");
    put_back.await.unwrap();
    assert_eq!(db.number("select count(*) from pgdial.dials").await, 2);
}

#[tokio::test]
async fn a_number_that_is_not_to_be_called_is_passed_over() {
    let db = TestDb::new().await;
    list(&db, 1).await;
    let id = person(&db, &[1, 2, 3]).await;
    assert_eq!(db.column(id, "phone").await, number(2));
    list(&db, 2).await;
    assert!(db.claim(1).await.is_empty());
    db.sweep().await;
    assert_eq!(
        db.column(id, "state || phone").await,
        format!("waiting{}", number(3))
    );
    assert_eq!(db.detail(id, "number_changed").await["next_number"], 3);
    let call = only(&db).await;
    list(&db, 3).await;
    db.settle(&call, Outcome::NoAnswer).await;
    assert_eq!(db.column(id, "state").await, "suppressed");
    let why = refusal(&db, json!([number(1), number(2)])).await;
    assert!(why.contains("none of its numbers"), "{why}");

    let waiting = person(&db, &[4, 5]).await;
    list(&db, 4).await;
    list(&db, 5).await;
    db.sweep().await;
    assert_eq!(db.column(waiting, "state").await, "suppressed");
}

#[tokio::test]
async fn an_entry_of_another_campaign_passes_over_nobody() {
    let db = TestDb::new().await;
    db.sql(
        "insert into pgdial.campaigns (name, trunk) select 'autumn', trunk from pgdial.campaigns",
    )
    .await;
    let listed = format!(
        "select pgdial.do_not_call_add('{}', 'asked', p_campaign => 'autumn')",
        number(1)
    );
    db.text(&listed).await;
    let id = person(&db, &[1, 2]).await;
    assert_eq!(db.column(id, "phone").await, number(1));
    db.sql("update pgdial.calls set campaign = 'autumn'").await;
    assert!(db.claim(1).await.is_empty());
    db.sweep().await;
    assert_eq!(db.column(id, "phone").await, number(2));
}

#[tokio::test]
async fn an_opt_out_is_the_persons() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let id = person(&db, &[2, 1]).await;
    dial(&db, Outcome::NoAnswer).await;
    let call = only(&db).await;
    let twin = person(&db, &[1, 3]).await;
    say(&db, &call, "do_not_call", None).await;
    let listed = "select string_agg(phone, ' ' order by phone) from pgdial.do_not_call";
    assert_eq!(
        db.text(listed).await,
        format!("{} {}", number(1), number(2))
    );
    db.sweep().await;
    assert_eq!(db.column(twin, "phone").await, number(3));
    let evidence = db.calls.evidence(id).await.unwrap().unwrap();
    assert_eq!(evidence.do_not_call.len(), 2);
    let rung: Vec<_> = evidence.attempts.iter().map(|dial| &*dial.to).collect();
    assert_eq!(rung, [number(2), number(1)]);
    assert_eq!(evidence.attempts[1].dials_before.in_24_hours, 1);
}

#[tokio::test]
async fn a_callback_starts_where_it_was_asked_for() {
    let db = TestDb::new().await;
    let id = person(&db, &[1, 2]).await;
    dial(&db, Outcome::NoAnswer).await;
    let call = only(&db).await;
    let later = "select to_json(pgdial.now() + '1 hour')::jsonb #>> '{}'";
    say(&db, &call, "callback", Some(&db.text(later).await)).await;
    let copy =
        format!("select phone || numbers::text from pgdial.calls where callback_of = '{id}'");
    assert_eq!(
        db.text(&copy).await,
        format!("{0}{{{1},{0}}}", number(2), number(1))
    );
}

#[tokio::test]
async fn forget_removes_the_whole_list() {
    let db = TestDb::new().await;
    let id = person(&db, &[1, 2]).await;
    dial(&db, Outcome::NoAnswer).await;
    let ringing = only(&db).await;
    let phone: Phone = number(1).parse().unwrap();
    let wish = Forget {
        phone: &phone,
        dry_run: false,
        on_the_list: ForgetDoNotCall::Keep,
        by: "ann",
        why: "letter",
    };
    let forgot = db.calls.forget(&wish).await.unwrap();
    assert_eq!(forgot.verdict, ForgetVerdict::InFlight);
    db.settle(&ringing, Outcome::NoAnswer).await;
    let forgot = db.calls.forget(&wish).await.unwrap();
    assert_eq!(forgot.verdict, ForgetVerdict::Forgotten);
    assert_eq!(
        db.column(id, "phone || coalesce(numbers::text, '')").await,
        "forgotten"
    );
    for n in [1, 2] {
        let left = format!("select count(*) from pgdial.mentions('{}')", number(n));
        assert_eq!(db.number(&left).await, 0);
    }
}

#[tokio::test]
async fn a_filter_by_number_finds_the_calls_of_the_person() {
    let db = TestDb::new().await;
    let id = person(&db, &[1, 2]).await;
    let found = format!(
        "select count(*) from pgdial.calls_to('{}', '{}', 5)",
        number(2),
        uuid::Uuid::nil()
    );
    assert_eq!(db.number(&found).await, 1);
    let canceled =
        "select pgdial.cancel_matching(jsonb_build_object('to', '+14155550002'), 'asked')";
    db.sql(canceled).await;
    assert_eq!(db.column(id, "state").await, "canceled");
}
