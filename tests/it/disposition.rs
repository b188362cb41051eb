//! Dispositions: what a conversation came to, and what follows from it.

use pgdial::{
    domain::{CallId, ClaimedCall, Outcome, Report, ReportKind},
    flow::{groups::GroupKind, webhook::Verdict},
};
use serde_json::{Value, json};

use crate::support::{TestDb, ended, number, progress, provider_id};

/// The end of a conversation that came to this.
fn said(word: &str) -> Report {
    Report {
        disposition: Some(word.to_owned()),
        ..ended(Outcome::Answered)
    }
}

/// The callee asked for a call at this time.
async fn asked(db: &TestDb, after: &str) -> Report {
    let at = format!("select to_json(pgdial.now() + interval '{after}')::jsonb #>> '{{}}'");
    Report {
        callback_at: Some(db.text(&at).await.parse().unwrap()),
        ..said("callback")
    }
}

fn with(report: Report, result: Value) -> Report {
    Report { result, ..report }
}

async fn waiting(db: &TestDb, to: &str, campaign: &str) -> CallId {
    let request = json!({ "to": to, "scriptId": "welcome", "campaign": campaign });
    db.enqueue_as(request).await
}

/// A call of this campaign that the provider has accepted.
async fn in_call(db: &TestDb, to: &str, campaign: &str) -> ClaimedCall {
    let id = waiting(db, to, campaign).await;
    let call = db.claim(1).await.pop().unwrap();
    assert_eq!(call.id, id);
    let dial = call.reference();
    db.calls.dialed(dial, &provider_id(to)).await.unwrap();
    call
}

async fn rules(db: &TestDb, rules: Value) {
    db.campaign("rules", json!({ "dispositionRules": rules }))
        .await;
}

/// Topic, campaign and author of every entry of the list.
async fn list(db: &TestDb) -> String {
    db.text("select string_agg(concat_ws(' ', topic, campaign, by), ', ' order by at) from pgdial.do_not_call")
        .await
}

/// The calls that were made because somebody asked for one.
async fn callbacks(db: &TestDb) -> i64 {
    db.number("select count(*) from pgdial.calls where callback_of is not null")
        .await
}

#[tokio::test]
async fn whoever_opts_out_is_on_the_list_with_the_end_of_the_call() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let call = db.in_call(&number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    let verdict = db.event(&call, "end", said("do_not_call")).await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(list(&db).await, "  callee");
    let reason = db.text("select reason from pgdial.do_not_call").await;
    assert!(reason.contains(&call.id.to_string()), "{reason}");
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call completed opted_out"
    );
    let shown = db.calls.show(call.id).await.unwrap().unwrap();
    assert_eq!(shown.disposition.as_deref(), Some("do_not_call"));
    assert_eq!(
        shown.attempts[0].disposition.as_deref(),
        Some("do_not_call")
    );
    assert!(db.claim(5).await.is_empty(), "at once, not with the sweep");
    db.sweep().await;
    assert_eq!(db.state(twin).await, "suppressed");
}

/// Claims run against ends that opt out: whichever comes first, nobody is rung who has just opted out.
#[tokio::test(flavor = "multi_thread")]
async fn no_claim_takes_a_number_whose_callee_has_just_opted_out() {
    let db = TestDb::new().await;
    let mut live = Vec::new();
    for n in 0..20 {
        live.push(db.in_call(&number(n)).await);
    }
    for n in 0..20 {
        db.enqueue(&number(n)).await;
    }
    let ends = async {
        for call in &live {
            db.event(call, "end", said("do_not_call")).await;
        }
    };
    let claims = async {
        let mut taken = 0;
        while db
            .number("select count(*) from pgdial.calls where state = 'in_call'")
            .await
            > 0
        {
            taken += db.claim(5).await.len();
        }
        taken
    };
    let ((), taken) = tokio::join!(ends, claims);
    assert_eq!(taken + db.claim(20).await.len(), 0);
}

#[tokio::test]
async fn an_opt_out_holds_where_its_campaign_says() {
    let db = TestDb::new().await;
    for (name, topic, scope) in [
        ("all", "a", "everywhere"),
        ("topical", "a", "topic"),
        ("alone", "a", "campaign"),
        ("bare", "", "topic"),
    ] {
        let topic = if topic.is_empty() {
            Value::Null
        } else {
            topic.into()
        };
        let settings = json!({ "topic": topic, "optOutScope": scope });
        db.campaign(name, settings).await;
    }
    for (name, entry, reached) in [
        ("all", "  callee", ""),
        ("topical", "a  callee", "bare"),
        ("alone", " alone callee", "all bare topical"),
        // A campaign without a topic: rather too many than too few.
        ("bare", "  callee", ""),
    ] {
        db.list_nobody().await;
        db.sql("delete from pgdial.calls").await;
        let call = in_call(&db, &number(1), name).await;
        db.event(&call, name, said("do_not_call")).await;
        assert_eq!(list(&db).await, entry, "{name}");
        let mut taken = Vec::new();
        for other in ["all", "alone", "bare", "topical"] {
            let request = json!({ "to": number(1), "scriptId": "s", "campaign": other });
            let enqueued = db.calls.enqueue("tester", &[request]).await.unwrap();
            if enqueued[0].as_str() == "created" {
                taken.push(other);
            }
        }
        assert_eq!(taken.join(" "), reached, "{name}");
    }
}

#[tokio::test]
async fn words_that_end_the_matter_are_not_retried_and_others_are() {
    let db = TestDb::new().await;
    for (n, (word, state)) in [
        ("do_not_call", "failed"),
        ("callback", "failed"),
        ("wrong_number", "failed"),
        ("not_interested", "failed"),
        ("undecided", "waiting"),
    ]
    .into_iter()
    .enumerate()
    {
        let call = db.in_call(&number(n)).await;
        let report = Report {
            disposition: Some(word.to_owned()),
            ..ended(Outcome::NoAnswer)
        };
        db.event(&call, "end", report).await;
        assert_eq!(db.state(call.id).await, state, "{word}");
        assert_eq!(db.column(call.id, "disposition").await, word);
    }
}

#[tokio::test]
async fn rules_find_the_disposition_that_the_report_does_not_name() {
    let db = TestDb::new().await;
    let wanted = json!([
        { "disposition": "do_not_call", "when": "$.analysis ? (@.optOut == true)" },
        { "disposition": "callback", "when": "$ ? (@.later == true)", "callbackAt": "$.at" },
        { "disposition": "interested", "when": "$.summary ? (@ like_regex \"interested\" flag \"i\")" },
    ]);
    rules(&db, wanted).await;
    let at = asked(&db, "2 hours").await.callback_at;
    for (n, (result, word)) in [
        (
            json!({ "analysis": { "optOut": true }, "later": true }),
            "do_not_call",
        ),
        (json!({ "later": true, "at": at }), "callback"),
        (json!({ "summary": "Very INTERESTED" }), "interested"),
        (
            json!({ "summary": "nothing", "analysis": { "optOut": "true" } }),
            "",
        ),
        (json!({}), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let call = in_call(&db, &number(n), "rules").await;
        db.event(&call, "end", with(ended(Outcome::Answered), result))
            .await;
        assert_eq!(db.column(call.id, "disposition").await, word, "{n}");
    }
    assert_eq!(callbacks(&db).await, 1);
    // The report's own word wins, and a rule may still know the time.
    let call = in_call(&db, &number(7), "rules").await;
    let result = json!({ "analysis": { "optOut": true }, "later": true, "at": at });
    db.event(&call, "end", with(said("callback"), result)).await;
    assert_eq!(db.column(call.id, "disposition").await, "callback");
    assert_eq!(callbacks(&db).await, 2);
}

/// Rows written by hand: what cannot be judged finds nothing, is noted, and keeps no call from ending.
#[tokio::test]
async fn a_rule_that_cannot_be_judged_finds_nothing() {
    let db = TestDb::new().await;
    rules(&db, json!([{ "disposition": "x", "when": "$.x" }])).await;
    db.sql(
        r#"update pgdial.campaigns set disposition_rules = '[
            {"disposition": "broken", "when": "$.a ? (@ == $nobody)"}, {"disposition": "odd", "when": "$["},
            {"when": "$.a"}, 7, {"disposition": "Loud", "when": "$.b"}, {"disposition": "found", "when": "$.a"}]'
           where name = 'rules'"#,
    )
    .await;
    let call = in_call(&db, &number(1), "rules").await;
    let last = with(ended(Outcome::Answered), json!({ "a": 1 }));
    assert_eq!(db.event(&call, "end", last).await, Verdict::Applied);
    assert_eq!(db.state(call.id).await, "completed");
    let detail = db.detail(call.id, "completed").await;
    assert_eq!(detail["disposition"], "found");
    let error = detail["rule_error"].as_str().unwrap();
    assert!(error.contains("odd: "), "{error}");
}

#[tokio::test]
async fn rules_are_checked_when_they_are_set() {
    let db = TestDb::new().await;
    rules(&db, json!([{ "disposition": "x", "when": "$.x" }])).await;
    for (rules, words) in [
        (json!([]), "must be a list of 1 to 20 rules"),
        (json!({}), "must be a list of 1 to 20 rules"),
        (json!([{ "disposition": "x" }]), "must be a string"),
        (
            json!([{ "disposition": "No", "when": "$.x" }]),
            "lower-case",
        ),
        (
            json!([{ "disposition": "x", "when": "$.x[" }]),
            "is no jsonpath",
        ),
        (
            json!([{ "disposition": "x", "when": "$.x == 1" }]),
            "true of every result",
        ),
        (
            json!([{ "disposition": "x", "when": "$.x ? (@ == $.y)" }]),
            "one $ and one **",
        ),
        (
            json!([{ "disposition": "x", "when": "$.** ? (@.** == 1)" }]),
            "one $ and one **",
        ),
        (
            json!([{ "disposition": "x", "when": "$.x", "callbackAt": "$.y" }]),
            "belongs to",
        ),
        (
            json!([{ "disposition": "x", "when": "$.x", "if": 1 }]),
            "is an object with",
        ),
    ] {
        let changes = json!({ "dispositionRules": rules });
        let kind = GroupKind::Campaign;
        let refused = db.calls.set_group(kind, "rules", &changes, "ann", None);
        let refused = refused.await.unwrap_err().to_string();
        assert!(refused.contains(words), "{changes}: {refused}");
    }
    let none = json!({ "dispositionRules": null });
    let set = db
        .calls
        .set_group(GroupKind::Campaign, "rules", &none, "ann", None);
    assert!(set.await.unwrap());
}

#[tokio::test]
async fn an_opt_out_counts_however_late_it_comes() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    rules(
        &db,
        json!([{ "disposition": "do_not_call", "when": "$.analysis ? (@.optOut == true)" }]),
    )
    .await;
    // By its own word, even in a body that says nothing else.
    let call = db.in_call(&number(1)).await;
    db.event(&call, "end", ended(Outcome::Answered)).await;
    let late = Report {
        disposition: Some("do_not_call".to_owned()),
        ..progress(ReportKind::Unparsable)
    };
    assert_eq!(db.event(&call, "late", late).await, Verdict::Applied);
    assert_eq!(db.column(call.id, "disposition").await, "do_not_call");
    assert_eq!(
        db.story(call.id).await,
        "waiting active in_call completed disposition opted_out"
    );
    // Nothing that comes later takes it back.
    db.event(&call, "later", said("not_interested")).await;
    assert_eq!(db.column(call.id, "disposition").await, "do_not_call");
    // By a rule, on what a later report adds; and although the history of additions is full.
    let call = in_call(&db, &number(2), "rules").await;
    db.event(&call, "end", ended(Outcome::Answered)).await;
    for n in 0..25 {
        let more = with(progress(ReportKind::Unknown), json!({ "n": n }));
        db.event(&call, &format!("n{n}"), more).await;
    }
    let analysis = json!({ "analysis": { "optOut": true } });
    let late = with(progress(ReportKind::Unknown), analysis);
    assert_eq!(db.event(&call, "late", late).await, Verdict::Applied);
    assert_eq!(
        db.number("select count(*) from pgdial.do_not_call").await,
        2
    );
}

/// The call was given up; its dial was answered after all.
#[tokio::test]
async fn a_late_answer_may_opt_out() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let call = db.given_up(&number(1)).await;
    db.event(&call, "end", said("do_not_call")).await;
    assert_eq!(db.state(call.id).await, "completed");
    assert_eq!(db.column(call.id, "disposition").await, "do_not_call");
    assert_eq!(list(&db).await, "  callee");
}

#[tokio::test]
async fn a_callback_is_one_call_of_its_own_however_often_it_is_reported() {
    let db = TestDb::new().await;
    let request = json!({ "to": number(1), "scriptId": "welcome", "metadata": {"name": "Ada"}, "priority": 3,
        "maxAttempts": 2, "consentAt": "2026-01-01T00:00:00Z", "consentRef": "form 7" });
    let id = db.enqueue_as(request).await;
    let call = db.claim(1).await.pop().unwrap();
    let report = asked(&db, "2 hours").await;
    let verdict = db.event(&call, "end", report.clone()).await;
    assert_eq!(verdict, Verdict::Applied);
    let verdict = db.event(&call, "end", report.clone()).await;
    assert_eq!(verdict, Verdict::Duplicate);
    db.event(&call, "again", report).await;
    db.event(&call, "another time", asked(&db, "3 hours").await)
        .await;
    assert_eq!(callbacks(&db).await, 1);
    let next = db.detail(id, "callback").await["call"].clone();
    let next: CallId = serde_json::from_value(next).unwrap();
    let shown = db.calls.show(next).await.unwrap().unwrap();
    assert_eq!(shown.callback_of, Some(id));
    assert_eq!(
        (shown.attempt, shown.max_attempts, shown.priority),
        (0, 2, 3)
    );
    assert_eq!(json!(shown.metadata), json!({"name": "Ada"}));
    assert_eq!(shown.consent_ref.as_deref(), Some("form 7"));
    assert!(db.claim(1).await.is_empty(), "not yet");
    db.forward("2 hours").await;
    assert_eq!(db.claim(1).await[0].id, next);
}

#[tokio::test]
async fn a_callback_without_a_usable_time_is_only_recorded() {
    let db = TestDb::new().await;
    db.campaign("strict", json!({ "requireConsent": true }))
        .await;
    for (n, (after, why)) in [
        ("-2 days", "in the past"),
        ("61 days", "more than 60 days"),
        ("", "no time"),
    ]
    .into_iter()
    .enumerate()
    {
        let call = db.in_call(&number(n)).await;
        let report = if after.is_empty() {
            said("callback")
        } else {
            asked(&db, after).await
        };
        db.event(&call, "end", report).await;
        assert_eq!(db.state(call.id).await, "completed");
        let told = db.detail(call.id, "callback").await["why"].clone();
        assert!(told.as_str().unwrap().contains(why), "{told}");
    }
    assert_eq!(callbacks(&db).await, 0);
    // A time that has just passed means at once; a listed number is not called back at all.
    let call = db.in_call(&number(5)).await;
    db.event(&call, "end", asked(&db, "-1 minute").await).await;
    assert_eq!(db.claim(1).await.len(), 1);
    let call = db.in_call(&number(6)).await;
    let phone = number(6).parse().unwrap();
    db.calls
        .do_not_call_add(&phone, "ann", "wrote a letter")
        .await
        .unwrap();
    db.event(&call, "end", asked(&db, "1 hour").await).await;
    assert_eq!(callbacks(&db).await, 1);
    let told = db.detail(call.id, "callback").await;
    assert_eq!(told["why"], "wrote a letter");
}

/// A trigger of the user's refuses the new call: the old one ends all the same.
#[tokio::test]
async fn a_callback_that_cannot_be_written_keeps_no_call_from_ending() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    db.sql("alter table pgdial.calls add constraint mine check (callback_of is null)")
        .await;
    db.event(&call, "end", asked(&db, "1 hour").await).await;
    assert_eq!(db.state(call.id).await, "completed");
    let told = db.detail(call.id, "callback").await["why"].clone();
    assert!(told.as_str().unwrap().contains("mine"), "{told}");
}

/// Somebody adds the number in an open transaction: only this event waits, and the sweep applies it.
#[tokio::test]
async fn an_open_transaction_on_the_list_delays_no_other_call() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    let (one, other) = (db.in_call(&number(1)).await, db.in_call(&number(2)).await);
    let mut session = db.session().await;
    let add = format!(
        "begin; select pgdial.do_not_call_add('{}', 'by hand')",
        number(1)
    );
    crate::support::run(&mut session, &add).await.unwrap();
    let verdict = db.event(&one, "end", said("do_not_call")).await;
    assert_eq!(verdict, Verdict::Parked);
    let verdict = db.event(&other, "end", said("do_not_call")).await;
    assert_eq!(verdict, Verdict::Applied);
    crate::support::run(&mut session, "rollback").await.unwrap();
    db.forward("1 minute").await;
    db.sweep().await;
    assert_eq!(db.state(one.id).await, "completed");
    assert_eq!(list(&db).await, "  callee,   callee");
}
