use pgdial::domain::CallId;

use super::{DONE, REFUSED, USAGE, pgdial};
use crate::support::{TestDb, number, processes::Machine};

/// A call that failed as unknown, so that its number is held.
async fn held(db: &TestDb, to: &str) -> CallId {
    let call = db.dialing(to).await;
    for by in ["2 minutes", "1 hour"] {
        db.forward(by).await;
        db.calls.sweep(&["default".to_owned()], None).await.unwrap();
    }
    let left = format!(
        "select outcome || ' ' || (hold_until > pgdial.now()) from pgdial.calls where id = '{}'",
        call.id
    );
    assert_eq!(db.text(&left).await, "unknown true");
    call.id
}

#[tokio::test(flavor = "multi_thread")]
async fn release_frees_a_number_whose_call_nobody_knows_the_end_of() {
    let machine = Machine::new().await;
    let db = &machine.db;
    let id = held(db, &number(1)).await;
    let twin = db.enqueue(&number(1)).await;
    let text = id.to_string();
    let why = pgdial(&machine, &["calls", "why", &twin.to_string()]).done();
    assert!(why.contains("number_taken") && why.contains(&text), "{why}");
    let ran = pgdial(&machine, &["calls", "redrive", &text]);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert!(
        ran.data
            .contains(&format!("`pgdial release {text} --why ...`")),
        "{ran:?}"
    );
    assert!(db.claim(1).await.is_empty(), "the number is held");

    let release = || {
        pgdial(
            &machine,
            &["release", &text, "--why", "the carrier says so"],
        )
    };
    pgdial(&machine, &["release", &text]).refused(USAGE, "--why <TEXT>");
    let ran = release();
    assert_eq!(
        (ran.code, ran.words.as_str()),
        (DONE, "released: the number may be rung again\n")
    );
    assert!(db.story(id).await.ends_with(" released"));
    release().refused(REFUSED, "the call holds no number");
    assert_eq!(db.claim(1).await[0].id, twin);
}
