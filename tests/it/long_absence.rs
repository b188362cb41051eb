//! For weeks none of our processes ran, and then a reader is in the way: whatever the clock says, events have a
//! partition, and nobody queues behind the reader (P7).

use std::time::Duration;

use pgdial::{
    domain::{ClaimedCall, Outcome},
    flow::webhook::Verdict,
};

use crate::{
    partitions::{IN_DEFAULT, assert_weeks_are_whole},
    support::{TestDb, ask, ended, number, run},
};

const DAY: Option<Duration> = Some(Duration::from_hours(24));

async fn keep_house(db: &TestDb) -> serde_json::Value {
    db.calls.housekeeping(DAY).await.unwrap()
}

/// What may come first after an absence, before any housekeeping: an application's transaction, the provider's
/// webhook, and a sweep.
async fn first_of_the_day(db: &TestDb, live: &ClaimedCall, n: usize) {
    let mut application = db.session().await;
    let enqueue = format!("select pgdial.enqueue('{}', 's')", number(n));
    run(&mut application, &enqueue).await.unwrap();
    let event = db.event(live, "1", ended(Outcome::Answered)).await;
    assert_eq!(event, Verdict::Applied);
    assert_eq!(db.state(live.id).await, "completed");
    let swept = db.sweep().await;
    assert_eq!(
        (swept.counts["unresolved"], swept.counts["unknown"]),
        (1, 0)
    );
    let claimed = db.claim(1).await;
    assert_eq!(claimed[0].phone.as_e164(), number(n));
    db.settle(&claimed[0], Outcome::Answered).await;
}

#[tokio::test]
async fn after_sixty_days_off_everything_works_before_and_after_the_house_is_kept() {
    let db = TestDb::new().await;
    let events = "select count(*) from pgdial.call_events";
    // The second time, the weeks created after the first absence are over, too.
    for absence in 0..3 {
        let from = absence * 10;
        let live = db.in_call(&number(from)).await;
        let silent = db.dialing(&number(from + 1)).await;
        // Far off, so that the sweep finds only the lease.
        db.sql("update pgdial.calls set deadline_at = deadline_at + interval '1 year' where state = 'dialing'")
            .await;
        let before = db.number(events).await;
        db.forward("60 days").await;
        first_of_the_day(&db, &live, from + 2).await;
        assert_eq!(db.state(silent.id).await, "unresolved");
        // completed, unresolved; waiting, active, completed.
        assert_eq!(db.number(events).await, before + 5);

        let done = keep_house(&db).await;
        assert!(done["ensure_partitions"].as_i64().unwrap() >= 8, "{done}");
        assert_eq!(db.number(IN_DEFAULT).await, 0);
        assert_weeks_are_whole(&db).await;
        assert_eq!(db.number(events).await, before + 5, "none lost, none twice");
        assert_eq!(
            db.story(live.id).await,
            "waiting active in_call completed",
            "over two months"
        );
    }
}

#[tokio::test]
async fn weeks_made_by_hand_or_half_made_are_no_trap() {
    let db = TestDb::new().await;
    db.forward("90 days").await;
    let late = db.in_call(&number(1)).await;
    // A week that is already attached, next to rows of others in the default partition.
    db.sql("select pgdial.ensure_partitions(pgdial.now() + interval '21 days', 0)")
        .await;
    db.forward("14 days").await;
    db.settle(&late, Outcome::Answered).await;
    assert_ne!(db.number(IN_DEFAULT).await, 0);
    keep_house(&db).await;
    assert_eq!(db.number(IN_DEFAULT).await, 0);
    assert_eq!(db.story(late.id).await, "waiting active in_call completed");
    assert_weeks_are_whole(&db).await;
}

/// Attach and drop both meet a reader. Meanwhile every verb goes on, and what failed succeeds once the reader is
/// gone.
#[tokio::test]
async fn a_reader_across_a_change_of_weeks_holds_up_neither_writers_nor_for_good_the_change() {
    let db = TestDb::new().await;
    let done = db.in_call(&number(1)).await;
    db.settle(&done, Outcome::Answered).await;
    db.forward("70 days").await;
    let trunks = ["default".to_owned()];
    let swept = db.calls.sweep(&trunks, DAY).await.unwrap();
    assert_eq!(swept.counts["removed"], 1, "its weeks may go");
    let mut reader = db.session().await;
    run(&mut reader, "begin").await.unwrap();
    ask(&mut reader, "select count(*) from pgdial.call_events").await;

    let (tried, ()) = tokio::join!(keep_house(&db), async {
        for n in 2..12 {
            let call = db.in_call(&number(n)).await;
            db.settle(&call, Outcome::Answered).await;
        }
    });
    assert_eq!(
        (&tried["ensure_partitions"], &tried["drop_partitions"]),
        (&0.into(), &0.into())
    );
    let completed = "select count(*) from pgdial.calls where state = 'completed'";
    assert_eq!(db.number(completed).await, 10);
    let seen = ask(&mut reader, "select count(*) from pgdial.call_events").await;
    assert_eq!(
        seen, "44",
        "the reader, too: 4 events of the first, 40 of the others"
    );

    run(&mut reader, "commit").await.unwrap();
    let tried = keep_house(&db).await;
    assert_eq!(tried["ensure_partitions"], 9);
    assert_ne!(tried["drop_partitions"], 0);
    assert_eq!(db.number(IN_DEFAULT).await, 0);
    assert_weeks_are_whole(&db).await;
}
