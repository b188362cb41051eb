//! pause, resume: by verb, by SQL, by a plain UPDATE (P5, P7).

use pgdial::flow::groups::GroupKind;

use crate::support::{TestDb, ask, number, refusal, run};

const PAUSE: &str = "(paused, paused_by, paused_why, paused_at is not null)";

#[tokio::test]
async fn a_pause_says_who_and_why_and_a_resume_forgets_it() {
    let db = TestDb::new().await;
    for (kind, table) in [
        (GroupKind::Campaign, "campaigns"),
        (GroupKind::Trunk, "trunks"),
    ] {
        let facts = format!("select {PAUSE} from pgdial.{table}");
        let paused = db.calls.pause(kind, "default", "ann", "lunch").await;
        assert!(paused.unwrap());
        assert_eq!(db.text(&facts).await, "(t,ann,lunch,t)");
        assert!(
            db.calls
                .resume(kind, "default", "tester", None)
                .await
                .unwrap()
        );
        assert_eq!(db.text(&facts).await, "(f,,,f)");
        assert!(!db.calls.pause(kind, "nobody", "ann", "x").await.unwrap());
        assert!(
            !db.calls
                .resume(kind, "nobody", "tester", None)
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn a_plain_update_pauses_as_well_and_is_dated() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    run(&mut session, "update pgdial.campaigns set paused = true")
        .await
        .unwrap();
    let facts =
        "(select (paused, paused_by = session_user, paused_at is not null) from pgdial.campaigns)";
    assert_eq!(ask(&mut session, facts).await, "(t,t,t)");
    db.enqueue(&number(1)).await;
    assert!(db.claim(1).await.is_empty());
    run(&mut session, "update pgdial.campaigns set paused = false")
        .await
        .unwrap();
    let facts = format!("(select {PAUSE} from pgdial.campaigns)");
    assert_eq!(ask(&mut session, &facts).await, "(f,,,f)");
    assert_eq!(db.claim(1).await.len(), 1);
}

#[tokio::test]
async fn sql_pauses_and_refuses_what_cannot_be_paused() {
    let db = TestDb::new().await;
    let mut session = db.session().await;
    let pause = "pgdial.pause('trunk', 'default', 'fire')";
    assert_eq!(ask(&mut session, pause).await, "true");
    let resume = "pgdial.resume('trunk', 'default')";
    assert_eq!(ask(&mut session, resume).await, "true");
    let (_, message) = refusal(&mut session, "select pgdial.pause('moon', 'default', 'x')").await;
    assert!(
        message.contains("neither campaign, trunk nor endpoint"),
        "{message}"
    );
}
