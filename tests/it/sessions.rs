//! Sessions: nobody can read one from the database, and each ends.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::support::TestDb;

const HOUR: Duration = Duration::from_hours(1);

/// Opens a session with a key of this hash; returns the hash that names it.
async fn open(db: &TestDb, key: u8) -> [u8; 32] {
    let opened = db
        .calls
        .open_session("desk", &[key; 32], HOUR, "api:desk")
        .await;
    let secret = opened.unwrap().secret;
    let secret = secret.expose_secret();
    let everything = db
        .text("select string_agg(s::text || a::text, ' ') from pgdial.sessions s, pgdial.acts a")
        .await;
    assert!(!everything.contains(&secret["pgdial_".len()..]));
    let hash = db
        .text(&format!("select encode(sha256('{secret}'), 'hex')"))
        .await;
    hex::decode(hash).unwrap().try_into().unwrap()
}

#[tokio::test]
async fn a_session_names_its_key_until_it_ends() {
    let db = TestDb::new().await;
    let (one, other) = (open(&db, 1).await, open(&db, 2).await);
    assert_eq!(db.calls.key_of_session(&one).await.unwrap(), Some([1; 32]));
    assert_eq!(
        db.calls.key_of_session(&other).await.unwrap(),
        Some([2; 32])
    );
    assert_eq!(db.calls.key_of_session(&[3; 32]).await.unwrap(), None);
    assert!(db.calls.end_session(&one).await.unwrap());
    assert!(!db.calls.end_session(&one).await.unwrap());
    assert_eq!(db.calls.key_of_session(&one).await.unwrap(), None);
    db.forward("1 hour").await;
    assert_eq!(db.calls.key_of_session(&other).await.unwrap(), None);
    // The next one takes it away.
    open(&db, 1).await;
    assert_eq!(db.text("select count(*) from pgdial.sessions").await, "1");
    let acts = "select string_agg(concat_ws(' ', act, kind, name, by), ', ') from pgdial.acts";
    let signed_in = "sign_in key desk api:desk";
    assert_eq!(db.text(acts).await, [signed_in; 3].join(", "));
}
