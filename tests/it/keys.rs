//! Keys: what can be made, who made it, and that nobody can read one afterwards.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::TestDb;

async fn create(db: &TestDb, name: &str, key: Value) -> String {
    let made = db
        .calls
        .create_key(name, &key, "cli:ann", Some("for the tests"));
    made.await.unwrap().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_everything_that_is_wrong() {
    let db = TestDb::new().await;
    for (name, key, faults) in [
        (
            "two words",
            json!({"scope": "all", "numbers": "some", "expires": null}),
            &[
                "\"name\" must",
                "\"scope\" must",
                "\"numbers\" must",
                "\"expires\" is an unknown field",
            ][..],
        ),
        (
            "crm",
            json!({}),
            &["\"scope\" must be read, enqueue, operate or admin"],
        ),
        (
            "crm",
            json!({"scope": "read", "campaigns": []}),
            &["\"campaigns\" must be a list"],
        ),
        (
            "crm",
            json!({"scope": "read", "campaigns": "default"}),
            &["\"campaigns\" must be a list"],
        ),
        (
            "crm",
            json!({"scope": "read", "campaigns": ["default", "sprang"]}),
            &["\"campaigns\" names some that there are not: sprang"],
        ),
        (
            "crm",
            json!({"scope": "admin", "campaigns": ["default"]}),
            &["\"campaigns\" cannot bind an admin"],
        ),
        (
            "crm",
            json!({"scope": "read", "expiresAt": "2020-01-31T09:00:00Z"}),
            &["\"expiresAt\" must be a moment to come"],
        ),
        (
            "crm",
            json!({"scope": "read", "expiresAt": "tomorrow"}),
            &["\"expiresAt\" must"],
        ),
    ] {
        let refused = db.calls.create_key(name, &key, "ann", Some(" ")).await;
        let refused = refused.unwrap_err().to_string();
        for fault in faults.iter().chain(&["\"why\" is empty"]) {
            assert!(refused.contains(fault), "{key}: {refused}");
        }
        assert_eq!(refused.lines().count(), faults.len() + 1, "{refused}");
    }
    assert_eq!(db.text("select count(*)::text from pgdial.keys").await, "0");
}

#[tokio::test]
async fn only_the_hash_of_a_key_is_kept_and_each_is_another() {
    let db = TestDb::new().await;
    let keys = [
        create(&db, "crm", json!({"scope": "read"})).await,
        create(&db, "desk", json!({"scope": "admin"})).await,
    ];
    assert_ne!(keys[0], keys[1]);
    let dump = db
        .text("select string_agg(k::text || a::text, ' ') from pgdial.keys k, pgdial.acts a")
        .await;
    for key in keys {
        assert!(!dump.contains(&key["pgdial_".len()..]), "{dump}");
        let known = format!("select name from pgdial.keys where hash = sha256('{key}')");
        assert!(["crm", "desk"].contains(&db.text(&known).await.as_str()));
    }
}

#[tokio::test]
async fn a_name_has_one_key_in_use_and_what_happens_to_it_is_an_act() {
    let db = TestDb::new().await;
    let made = json!({"scope": "operate", "campaigns": ["default", "default"], "numbers": "whole"});
    create(&db, "crm", made).await;
    let again = db
        .calls
        .create_key("crm", &json!({"scope": "read"}), "ann", None)
        .await;
    assert!(again.unwrap().is_none(), "the name is taken");
    assert!(
        db.calls
            .rotate_key("crm", "1 hour", "ann", None)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        db.calls
            .rotate_key("nobody", "1 hour", "ann", None)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        db.calls
            .revoke_key("crm", "ann", Some("it leaked"))
            .await
            .unwrap(),
        2
    );
    assert_eq!(db.calls.revoke_key("crm", "ann", None).await.unwrap(), 0);
    create(&db, "crm", json!({"scope": "read"})).await;
    db.sql("update pgdial.keys set scope = 'admin' where revoked_at is null")
        .await;
    // A use is none.
    db.sql("select pgdial.used_keys(array(select id from pgdial.keys))")
        .await;
    let acts = "select string_agg(concat_ws(' ', act, kind, name, by, why, detail - 'hint'), E'\\n' order by seq) from pgdial.acts";
    let acts = db.text(acts).await;
    let lines: Vec<_> = acts.lines().collect();
    let begins = [
        "create key crm cli:ann for the tests {\"scope\": \"operate\", \"numbers\": \"whole\", \"campaigns\": [\"default\"]}",
        "create key crm ann {",
        "set key crm ann {\"expiresAt\": [null, ",
        "revoke key crm ann it leaked {}",
        "revoke key crm ann it leaked {}",
        "create key crm cli:ann for the tests {",
        "set key crm ",
    ];
    assert_eq!(lines.len(), begins.len(), "{acts}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}\n{begin}");
    }
    assert!(
        lines[6].ends_with("{\"scope\": [\"read\", \"admin\"]}"),
        "{}",
        lines[6]
    );
}

#[tokio::test]
async fn a_rotated_key_lives_as_long_as_the_one_before() {
    let db = TestDb::new().await;
    let made = json!({"scope": "read", "expiresAt": "2126-01-01T00:00:00Z"});
    create(&db, "crm", made).await;
    db.sql("update pgdial.keys set created_at = created_at - interval '10 days'")
        .await;
    assert!(
        db.calls
            .rotate_key("crm", "0 seconds", "ann", None)
            .await
            .unwrap()
            .is_some()
    );
    let same = "select string_agg(distinct (expires_at - created_at)::text, ' ') from pgdial.keys where expires_at > '2126-01-01'";
    let first = "select (timestamptz '2126-01-01T00:00:00Z' - created_at)::text from pgdial.keys order by id limit 1";
    assert_eq!(db.text(same).await, db.text(first).await);
    let valid =
        "select count(*)::text from pgdial.keys k where pgdial.is_valid_key(k, pgdial.now())";
    assert_eq!(db.text(valid).await, "1");
}

#[tokio::test]
async fn two_people_who_create_the_same_key_make_one() {
    let db = TestDb::new().await;
    let key = json!({"scope": "read"});
    let create = || db.calls.create_key("crm", &key, "ann", None);
    let (one, other) = tokio::join!(create(), create());
    let made = [one.unwrap(), other.unwrap()];
    assert_eq!(made.iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute() {
    let db = TestDb::new().await;
    create(&db, "crm", json!({"scope": "read"})).await;
    let used = "select pgdial.used_keys(array(select id from pgdial.keys))";
    let at = "select coalesce((select (used_at - created_at)::text from pgdial.keys), 'never')";
    assert_eq!(db.text(at).await, "never");
    db.sql(used).await;
    let first = db.text(at).await;
    assert_ne!(first, "never");
    db.forward("59 seconds").await;
    db.sql(used).await;
    assert_eq!(db.text(at).await, first);
    db.forward("2 seconds").await;
    db.sql(used).await;
    assert_ne!(db.text(at).await, first);
}
