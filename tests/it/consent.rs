//! Consent: a campaign that requires it takes and dials only calls that have it.

use pgdial::flow::{amend::Amended, enqueue::Enqueued, redrive::Redriven};
use serde_json::{Value, json};

use crate::support::{TestDb, number};

/// A campaign that requires consent.
async fn strict() -> TestDb {
    let db = TestDb::new().await;
    db.campaign("strict", json!({ "requireConsent": true }))
        .await;
    db
}

async fn instant(db: &TestDb, after: &str) -> String {
    let sql = format!("select to_json(pgdial.now() + interval '{after}')::jsonb #>> '{{}}'");
    db.text(&sql).await
}

/// A call whose consent ends after this time.
async fn agreed(db: &TestDb, n: usize, until: &str) -> Value {
    json!({ "to": number(n), "scriptId": "s", "campaign": "strict", "consentAt": "2026-01-01T00:00:00Z",
            "consentRef": "form 7", "consentExpiresAt": instant(db, until).await })
}

#[tokio::test]
async fn a_call_without_consent_is_refused_with_words() {
    let db = strict().await;
    let without = json!({ "to": number(1), "scriptId": "s", "campaign": "strict" });
    let over = agreed(&db, 1, "-1 second").await;
    let fine = agreed(&db, 1, "1 hour").await;
    let free = json!({ "to": number(1), "scriptId": "s" });
    let verdicts = db
        .calls
        .enqueue("tester", &[without, over, fine, free])
        .await
        .unwrap();
    let Enqueued::ConsentMissing(words) = &verdicts[0] else {
        panic!("{verdicts:?}");
    };
    assert!(
        words.contains("campaign strict requires consent"),
        "{words}"
    );
    let Enqueued::ConsentMissing(words) = &verdicts[1] else {
        panic!("{verdicts:?}");
    };
    assert!(words.contains("expired at"), "{words}");
    assert!(matches!(
        verdicts[2..],
        [Enqueued::Created(_), Enqueued::Created(_)]
    ));
}

#[tokio::test]
async fn sql_takes_a_request_as_one_object() {
    let db = strict().await;
    let fine = agreed(&db, 1, "1 hour").await;
    let id = db.text(&format!("select pgdial.enqueue('{fine}')")).await;
    let column = format!("select consent_ref from pgdial.calls where id = '{id}'");
    assert_eq!(db.text(&column).await, "form 7");
    let without = json!({ "to": number(1), "scriptId": "s", "campaign": "strict" });
    let (code, message) = db
        .refusal(&format!("select pgdial.enqueue('{without}')"))
        .await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("23514", "pgdial.enqueue: consent_missing")
    );
}

#[tokio::test]
async fn fields_of_consent_are_checked() {
    let db = TestDb::new().await;
    for (field, value, words) in [
        (
            "consentAt",
            json!("yesterday"),
            "\"consentAt\" must be an RFC 3339 time",
        ),
        ("consentAt", json!(5), "\"consentAt\" must be a string"),
        ("consentRef", json!(""), "\"consentRef\" must have 1 to 255"),
        (
            "consentExpiresAt",
            json!("2025-01-01T00:00:00Z"),
            "later than \"consentAt\"",
        ),
    ] {
        let mut request =
            json!({ "to": number(1), "scriptId": "s", "consentAt": "2026-01-01T00:00:00Z" });
        request[field] = value;
        let refused = db.calls.enqueue("tester", &[request]).await.unwrap();
        let Enqueued::Invalid(problem) = &refused[0] else {
            panic!("{refused:?}");
        };
        assert!(problem.contains(words), "{problem}");
    }
}

#[tokio::test]
async fn a_call_whose_consent_expires_is_not_dialled_says_why_and_ends() {
    let db = strict().await;
    let request = agreed(&db, 1, "1 hour").await;
    let id = db.enqueue_as(request).await;
    db.forward("1 hour").await;
    assert!(db.claim(1).await.is_empty());
    let reasons = db.calls.why(id).await.unwrap();
    assert_eq!(reasons[0].reason, "consent_expired", "{reasons:?}");
    db.sweep().await;
    assert_eq!(db.state(id).await, "suppressed");
    let why = db.column(id, "last_error").await;
    assert!(why.contains("requires consent"), "{why}");
    let (redriven, _) = db.calls.redrive(id, "ann", None, false).await.unwrap();
    assert_eq!(redriven, Redriven::NoConsent);
}

/// The campaign began to require it later: the call waits until somebody says when the callee agreed.
#[tokio::test]
async fn a_call_without_consent_waits_once_its_campaign_requires_it() {
    let db = TestDb::new().await;
    let id = db.enqueue(&number(1)).await;
    db.sql("update pgdial.campaigns set require_consent = true")
        .await;
    assert!(db.claim(1).await.is_empty());
    db.sweep().await;
    let reasons = db.calls.why(id).await.unwrap();
    assert_eq!(reasons[0].reason, "consent_missing", "{reasons:?}");
    let amend = |changes: Value| async move { changes };
    let said =
        amend(json!({ "consentAt": "2026-01-01T00:00:00Z", "consentRef": "call of May 4" })).await;
    let amended = db.calls.amend(id, "ann", &said).await.unwrap();
    assert_eq!(amended, Amended::Amended);
    let over = json!({ "consentAt": null });
    let Amended::Invalid(words) = db.calls.amend(id, "ann", &over).await.unwrap() else {
        panic!("a call is left without the consent that it needs");
    };
    assert!(words.contains("requires consent"), "{words}");
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn no_retry_outlives_the_consent() {
    let db = strict().await;
    let request = agreed(&db, 1, "10 minutes").await;
    let id = db.enqueue_as(request).await;
    let call = db.claim(1).await.pop().unwrap();
    db.forward("11 minutes").await;
    let busy = crate::support::ended(pgdial::domain::Outcome::Busy);
    db.event(&call, "busy", busy).await;
    assert_eq!(db.state(id).await, "suppressed");
    let detail = db.detail(id, "suppressed").await["forbidden"].clone();
    assert!(detail.as_str().unwrap().contains("expired"), "{detail}");
}
