//! Endpoints: their settings and secrets.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pgdial::flow::groups::ChangeError;
use serde_json::{Value, json};

use crate::support::TestDb;

const URL: &str = "https://crm.example.com/hooks";

impl TestDb {
    /// A new endpoint for these kinds of events; returns its secret.
    pub(crate) async fn endpoint(&self, name: &str, url: &str, kinds: &[&str]) -> String {
        let changes = json!({ "url": url, "kinds": kinds });
        let made = self.calls.create_endpoint(name, &changes, "ann", None);
        made.await.unwrap().unwrap()
    }

    /// Acts on an endpoint, in order.
    async fn acts_on(&self, name: &str) -> String {
        self.text(&format!(
            "select string_agg(act, ' ' order by seq) from pgdial.acts where kind = 'endpoint' and name = '{name}'"
        ))
        .await
    }
}

#[tokio::test]
async fn an_endpoint_is_created_changed_paused_resumed_and_deleted() {
    let db = TestDb::new().await;
    let secret = db.endpoint("crm", URL, &["completed", "failed"]).await;
    let bytes = BASE64
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    assert_eq!(bytes.len(), 32);
    let again = json!({ "url": URL });
    let taken = db.calls.create_endpoint("crm", &again, "ann", None);
    assert_eq!(taken.await.unwrap(), None);

    let endpoint = db.calls.endpoints(Some("crm")).await.unwrap().remove(0);
    assert_eq!(
        (endpoint.url.as_str(), endpoint.kinds, endpoint.campaigns),
        (URL, vec!["completed".to_owned(), "failed".to_owned()], None)
    );
    assert_eq!(
        (endpoint.paused, endpoint.unfinished, endpoint.lag_sec),
        (false, 0, None)
    );

    let changes = json!({ "campaigns": ["default"], "kinds": ["expired"] });
    let set = db.calls.set_endpoint("crm", &changes, "ann", Some("moved"));
    assert!(set.await.unwrap());
    assert!(
        db.calls
            .pause_endpoint("crm", "ann", "too much")
            .await
            .unwrap()
    );
    let endpoint = db.calls.endpoints(Some("crm")).await.unwrap().remove(0);
    assert_eq!(
        (
            endpoint.paused_by.as_deref(),
            endpoint.paused_why.as_deref()
        ),
        (Some("ann"), Some("too much"))
    );
    assert_eq!(endpoint.campaigns, Some(vec!["default".to_owned()]));
    let refused = db
        .calls
        .test_endpoint("crm", "ann", None)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("is paused: resume it first"),
        "{refused}"
    );
    assert!(db.calls.resume_endpoint("crm", "ann", None).await.unwrap());
    assert!(
        db.calls
            .test_endpoint("crm", "ann", None)
            .await
            .unwrap()
            .is_some()
    );
    assert!(db.calls.delete_endpoint("crm", "ann", None).await.unwrap());
    assert_eq!(
        db.acts_on("crm").await,
        "create set pause resume test remove"
    );

    assert!(!db.calls.delete_endpoint("crm", "ann", None).await.unwrap());
    assert!(
        !db.calls
            .set_endpoint("crm", &changes, "ann", None)
            .await
            .unwrap()
    );
    assert_eq!(
        db.calls.test_endpoint("crm", "ann", None).await.unwrap(),
        None
    );
    assert_eq!(
        db.calls
            .rotate_endpoint("crm", None, "ann", None)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_is_told_together() {
    let db = TestDb::new().await;
    let refusal = async |name: &str, changes: Value| {
        let made = db.calls.create_endpoint(name, &changes, "ann", None).await;
        match made.unwrap_err() {
            ChangeError::Refused(words) => words,
            other => panic!("{other:?}"),
        }
    };
    let words = refusal(
        "C R M",
        json!({ "kinds": ["rung"], "campaigns": ["none"], "secret": "x" }),
    )
    .await;
    for part in [
        "\"name\" of an endpoint",
        "\"secret\" is an unknown field",
        "\"url\" is missing",
        "known are active, amended,",
        "\"campaigns\" names one that there is not: none",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    for url in [
        "ftp://a",
        "https://",
        "https://user@host/",
        "https://host/#part",
        "https://ho st/",
        "https://host/\u{e4}",
        "//host/",
    ] {
        let words = refusal("crm", json!({ "url": url })).await;
        assert!(words.contains("\"url\" must be"), "{url}: {words}");
    }
    for url in [
        "http://[::1]:8080",
        "http://[2001:db8::1]/hooks",
        "https://a.example?x=y",
        "https://a.example:8443/p/../q",
    ] {
        assert_eq!(db.endpoint("crm", url, &["failed"]).await.len(), 50);
        assert!(db.calls.delete_endpoint("crm", "ann", None).await.unwrap());
    }
    let words = refusal("crm", json!({ "url": URL, "kinds": [] })).await;
    assert!(words.contains("\"kinds\" must be"), "{words}");
}

/// The log writes no kind that an endpoint could not choose.
#[test]
fn every_kind_of_event_can_be_chosen() {
    let read = |folder: &str| {
        let files = std::fs::read_dir(format!("{}/sql/{folder}", env!("CARGO_MANIFEST_DIR")));
        let texts = files
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.collect::<String>()
    };
    let sources = read("rules") + &read("flow");
    let kinds = sources
        .split("function pgdial.event_kinds()")
        .nth(1)
        .unwrap();
    let kinds = kinds.split("$$").nth(1).unwrap();
    let noted = sources.split("pgdial.note(").skip(1);
    let noted: Vec<&str> = noted
        .filter_map(|call| {
            let (row, rest) = call.split_once(", '")?;
            let is_literal = row.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            rest.split('\'').next().filter(|_| is_literal)
        })
        .collect();
    assert!(noted.len() > 25, "{noted:?}");
    for kind in noted.into_iter().chain([
        "completed",
        "failed",
        "retried",
        "canceled",
        "expired",
        "suppressed",
        "deferred",
    ]) {
        assert!(kinds.contains(&format!("'{kind}'")), "{kind}");
    }
}

#[tokio::test]
async fn no_login_reads_a_secret() {
    let db = TestDb::new().await;
    let secret = db.endpoint("crm", URL, &["failed"]).await;
    for login in ["dialer", "ann"] {
        let mut session = db.session_as(login).await;
        let (code, _) =
            crate::support::refusal(&mut session, "select from pgdial.endpoint_secrets").await;
        assert_eq!(code, "42501", "{login}");
    }
    let acts = db
        .text("select string_agg(detail::text, '') from pgdial.acts")
        .await;
    assert!(!acts.contains(&secret[6..]), "{acts}");
}
