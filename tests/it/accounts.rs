//! A claim belongs to the account its dial was sent to: no other account is asked about it, and a copy of the
//! database touches nothing at a provider (P1).

use pgdial::{
    domain::{ClaimedCall, ReportKind},
    flow::{recover::Recovered, shares::Shares},
    provider::{Capabilities, LookedUp, Provider, http::HttpProvider},
};
use secrecy::SecretString;

use crate::support::{TestDb, by_provider, number, processes::Machine, progress, run};

const TRUNKS: &str = "default";
const UNKNOWN: Capabilities = Capabilities::UNKNOWN;

fn trunks() -> Vec<String> {
    vec![TRUNKS.to_owned()]
}

fn some() -> Shares {
    [(TRUNKS.to_owned(), 9)].into_iter().collect()
}

/// A dial in doubt that was sent to the account `old`.
async fn in_doubt(db: &TestDb) -> ClaimedCall {
    db.sql("update pgdial.trunks set look_up = 'authoritative', idempotent = true")
        .await;
    db.enqueue(&number(1)).await;
    let claim = db
        .declaring("old", UNKNOWN)
        .claim(uuid::Uuid::new_v4(), &trunks(), 1)
        .await;
    let call = claim.unwrap().calls.pop().unwrap();
    assert_eq!(db.column(call.id, "account").await, "old");
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    db.forward("10 seconds").await;
    call
}

#[tokio::test]
async fn only_the_account_that_was_dialled_is_asked_or_asked_again() {
    let db = TestDb::new().await;
    let call = in_doubt(&db).await;
    db.sql("update pgdial.calls set provider_call_id = 'p'")
        .await;
    let (old, new) = (db.declaring("old", UNKNOWN), db.declaring("new", UNKNOWN));
    assert!(new.repeats_due(&some()).await.unwrap().is_empty());
    assert_eq!(old.repeats_due(&some()).await.unwrap().len(), 1);
    db.forward("10 seconds").await;
    assert!(new.look_ups_due(&some()).await.unwrap().is_empty());
    assert_eq!(old.look_ups_due(&some()).await.unwrap().len(), 1);
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    assert!(new.sweep(&trunks(), None).await.unwrap().cancels.is_empty());
    assert_eq!(old.sweep(&trunks(), None).await.unwrap().cancels.len(), 1);
    // A process that does not name its account is trusted, and so is a claim that did not.
    assert_eq!(db.sweep().await.cancels.len(), 1);
    db.sql("update pgdial.calls set account = null").await;
    assert_eq!(new.sweep(&trunks(), None).await.unwrap().cancels.len(), 1);
}

#[tokio::test]
async fn a_list_of_another_account_says_nothing_of_a_claim() {
    let db = TestDb::new().await;
    let call = in_doubt(&db).await;
    let up = by_provider("p", progress(ReportKind::Progress));
    let listed = db
        .declaring("new", UNKNOWN)
        .recover_listed(TRUNKS, call.reference(), &up)
        .await;
    assert_eq!(listed.unwrap(), Recovered::Mismatch);
    assert_eq!(db.state(call.id).await, "unresolved");
    let listed = db
        .declaring("old", UNKNOWN)
        .recover_listed(TRUNKS, call.reference(), &up)
        .await;
    assert_eq!(listed.unwrap(), Recovered::Known);
}

#[tokio::test]
async fn why_says_that_the_dial_is_of_another_account() {
    let db = TestDb::new().await;
    let call = in_doubt(&db).await;
    let worker = db.worker(&[TRUNKS]).await;
    let reasons = format!(
        "select string_agg(reason, ' ' order by ord) from pgdial.why('{}')",
        call.id
    );
    assert_eq!(db.text(&reasons).await, "unresolved", "it does not say");
    db.declaring("old", UNKNOWN)
        .heartbeat(&worker)
        .await
        .unwrap();
    assert_eq!(db.text(&reasons).await, "unresolved");
    db.sql("update pgdial.workers set accounts = '{new}'").await;
    assert_eq!(db.text(&reasons).await, "unresolved other_account");
}

/// The retry is claimed for whatever account the trunk has by then.
#[tokio::test]
async fn a_retry_is_dialled_at_the_present_account() {
    let db = TestDb::new().await;
    let call = in_doubt(&db).await;
    for pause in ["30 seconds", "30 seconds", "1 second", "1 second"] {
        let asked = db
            .declaring("old", UNKNOWN)
            .look_up(call.reference(), &LookedUp::NotFound)
            .await;
        asked.unwrap();
        db.forward(pause).await;
    }
    assert_eq!(db.state(call.id).await, "waiting");
    db.let_trunks_dial().await;
    let claim = db
        .declaring("new", UNKNOWN)
        .claim(uuid::Uuid::new_v4(), &trunks(), 1)
        .await;
    assert_eq!(claim.unwrap().calls.len(), 1);
    assert_eq!(db.column(call.id, "account").await, "new");
}

#[test]
fn an_account_is_its_address_however_spelled_and_no_secret() {
    let account = |address: &str, key: &str| {
        let key = Some(SecretString::from(key.to_owned()));
        HttpProvider::new(address, key).unwrap().account().unwrap()
    };
    let known = account(
        "https://voice.example.com/v1",
        "a-key-of-24-characters-or-so",
    );
    for same in [
        "HTTPS://Voice.Example.com:443/v1/",
        " https://voice.example.com/v1 ",
    ] {
        assert_eq!(account(same, "another-key-after-its-rotation"), known);
    }
    for other in [
        "http://voice.example.com/v1",
        "https://voice.example.com/v2",
        "https://voice.example.com:8443/v1",
        "https://other.example.com/v1",
    ] {
        assert_ne!(account(other, "a-key-of-24-characters-or-so"), known);
    }
    assert!(
        known.starts_with("http voice.example.com ") && known.len() < 50,
        "{known}"
    );
    let secret = account("https://voice.example.com/token-in-the-path", "k");
    assert!(!secret.contains("token"), "{secret}");
}

/// The trunk moves to another account while a dial is in doubt: the first account has the call, and that the second
/// one does not know it proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dial_in_doubt_does_not_ring_at_the_account_that_its_trunk_moved_to() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let call = in_doubt(db).await;
    let _provider = machine
        .start_provider(&["--ring", "50ms", "--talk", "100ms"])
        .await;
    let _worker = machine.start_worker("one", &[]).await;
    let other = db.enqueue(&number(2)).await;
    for _ in 0..4 {
        db.forward("1 minute").await;
        db.sql("select pgdial.wake('sweep')").await;
    }
    db.calls.send_wakes().await;
    db.until(&format!(
        "select state not in ('waiting', 'dialing') from pgdial.calls where id = '{other}'"
    ))
    .await;
    assert_eq!(db.state(call.id).await, "unresolved");
    assert_eq!(
        db.column(call.id, "(claim_no, not_found, repeated_at is null)")
            .await,
        "(1,0,t)"
    );
    assert_eq!(machine.rings_begun(), 1, "the other number alone");
}

#[tokio::test]
async fn a_copy_of_the_database_touches_nothing_at_a_provider() {
    let db = TestDb::new().await;
    let call = in_doubt(&db).await;
    db.sql("update pgdial.calls set provider_call_id = 'p'")
        .await;
    db.calls.cancel(call.id, "ann", None).await.unwrap();
    let old = db.declaring("old", UNKNOWN);
    let up = by_provider("p", progress(ReportKind::Answered));
    db.sql("update pgdial.cluster set database = 1").await;
    assert!(old.look_ups_due(&some()).await.unwrap().is_empty());
    assert!(old.repeats_due(&some()).await.unwrap().is_empty());
    assert!(old.sweep(&trunks(), None).await.unwrap().cancels.is_empty());
    let asked = old
        .look_up(call.reference(), &LookedUp::Found(up.clone()))
        .await;
    asked.unwrap();
    db.forward("40 minutes").await;
    let asked = old
        .look_up(call.reference(), &LookedUp::Found(up.clone()))
        .await;
    assert!(!asked.unwrap().unwrap().hang_up);
    let reasons = format!(
        "select string_agg(reason, ' ') from pgdial.why('{}')",
        call.id
    );
    assert!(db.text(&reasons).await.contains("cluster_changed"));
    db.sql("select pgdial.note_place()").await;
    assert_eq!(old.look_ups_due(&some()).await.unwrap().len(), 1);
    assert_eq!(old.sweep(&trunks(), None).await.unwrap().cancels.len(), 1);
    let asked = old.look_up(call.reference(), &LookedUp::Found(up)).await;
    assert!(asked.unwrap().unwrap().hang_up);
}

/// Either the claim comes first and the trunk stays, or it finds the trunk gone. An open transaction that deletes a
/// trunk blocks no claim.
#[tokio::test]
async fn a_trunk_that_is_deleted_beside_a_claim_leaves_no_call_behind() {
    let db = TestDb::new().await;
    db.sql(
        "insert into pgdial.trunks (name) values ('old'), ('new'); \
            insert into pgdial.campaigns (name, trunk) values ('moving', 'old')",
    )
    .await;
    let request = serde_json::json!({ "to": number(1), "scriptId": "s", "campaign": "moving" });
    let id = db.enqueue_as(request).await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; update pgdial.campaigns set trunk = 'new' where name = 'moving'; \
                      delete from pgdial.trunks where name = 'old'",
    )
    .await
    .unwrap();
    // The claim sees neither change yet.
    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &["old".to_owned()], 1)
        .await;
    assert_eq!(claim.unwrap().calls.len(), 1);
    let refused = run(&mut person, "commit").await.unwrap_err().to_string();
    assert!(refused.contains("still has calls"), "{refused}");
    let kept = db.number("select count(*) from pgdial.trunks where name = 'old'");
    assert_eq!(kept.await, 1);
    assert_eq!(db.column(id, "trunk").await, "old");
}
