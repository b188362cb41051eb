//! calls evidence: for an auditor, why each dial was allowed and what came of it.

use pgdial::domain::{CallId, Outcome, Report};
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestDb, ended, number};

#[tokio::test]
async fn a_dial_shows_hours_consent_list_and_what_came_of_it() {
    let db = TestDb::new().await;
    db.list_nobody().await;
    db.sql(
        "insert into pgdial.calendars (name, covers, source) values ('days', '[2020-01-01,2100-01-01)', 'us');
         insert into pgdial.special_days (calendar, day, name, hours)
         select 'days', d::date, 'every day', '{[0,1440)}'
         from generate_series(pgdial.now() - interval '2 days', pgdial.now() + interval '5 days', '1 day') d;
         insert into pgdial.calling_hours (name, week, calendar, source) values ('always', '{[0,10080)}', 'days', 'the statute')",
    )
    .await;
    db.campaign("hours", json!({ "callingHours": "always" }))
        .await;
    let request = json!({ "to": number(1), "scriptId": "s", "campaign": "hours", "from": "+14155550199",
        "consentAt": "2026-01-01T00:00:00Z", "consentRef": "form 7" });
    let id = db.enqueue_as(request).await;
    let first = db.claim(1).await.pop().unwrap();
    db.event(&first, "busy", ended(Outcome::Busy)).await;
    db.forward("1 day").await;
    // A consent that is amended later says nothing of an earlier dial.
    let later = json!({ "consentRef": "form 8" });
    db.calls.amend(id, "ann", &later).await.unwrap();
    let second = db.claim(1).await.pop().unwrap();
    // As if its campaign had a pool of caller ids by then.
    db.sql(
        r#"update pgdial.call_events set detail = detail || '{"caller_id": "+14155550177"}'
           where kind = 'active' and claim_no = 2"#,
    )
    .await;
    let opts_out = Report {
        disposition: Some("do_not_call".to_owned()),
        provider_call_id: Some("two".to_owned()),
        ..ended(Outcome::Answered)
    };
    db.event(&second, "end", opts_out).await;

    let evidence = db.calls.evidence(id).await.unwrap().unwrap();
    let [one, two] = evidence.attempts.as_slice() else {
        panic!("{evidence:?}");
    };
    assert_eq!(one.hours.as_deref(), Some("always"));
    assert_eq!(one.hours_source.as_deref(), Some("the statute"));
    assert_eq!(one.regions, ["US-CA"]);
    assert_eq!(one.special_days[0].name, "every day");
    let local = format!(
        "select to_char('{}'::timestamptz at time zone 'America/Los_Angeles', 'YYYY-MM-DD\"T\"HH24:MI:SS')",
        one.claimed_at
    );
    let shown = one.local_times["America/Los_Angeles"].clone().unwrap();
    assert_eq!(shown, db.text(&local).await);
    assert_eq!(one.list_as_of, one.claimed_at);
    assert_eq!(one.from.as_deref(), Some("+14155550199"));
    assert_eq!(two.from.as_deref(), Some("+14155550177"));
    assert_eq!(one.outcome.as_deref(), Some("busy"));
    assert_eq!(one.dials_before.in_7_days, 0);
    let refs = [one, two].map(|dial| dial.consent_ref.as_deref());
    assert_eq!(refs, [Some("form 7"), Some("form 8")]);
    assert_eq!(
        (two.dials_before.in_24_hours, two.dials_before.in_7_days),
        (0, 1)
    );
    assert_eq!(two.disposition.as_deref(), Some("do_not_call"));
    assert!(two.opted_out.is_some() && two.callback.is_none());
    assert_eq!(evidence.do_not_call[0].by, "callee");
}

/// Where nothing but the list was asked, the claim notes nothing.
#[tokio::test]
async fn a_campaign_without_rules_leaves_no_note() {
    let db = TestDb::new().await;
    let call = db.in_call(&number(1)).await;
    assert!(db.detail(call.id, "active").await.get("allowed").is_none());
    let evidence = db.calls.evidence(call.id).await.unwrap().unwrap();
    assert_eq!(evidence.attempts.len(), 1);
    assert_eq!(evidence.attempts[0].hours, None);
    let nobody = db.calls.evidence(CallId(Uuid::new_v4())).await.unwrap();
    assert!(nobody.is_none());
}
