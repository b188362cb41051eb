//! A person's transaction that stays open for as long as it likes: rows it locks are skipped or named, and moved once
//! it has ended; its snapshot stops nothing (P7).

use pgdial::{
    domain::{CallId, ClaimedCall, Outcome},
    flow::{
        Error, cancel::Canceled, defer::DeferReason, defer::Deferred, redrive::Redriven,
        settle::Settled, webhook::Verdict,
    },
};
use serde_json::json;

use crate::support::{TestDb, ended, number, run};

/// One call for each verb that may meet a locked row.
struct Rows {
    waiting: CallId,
    brief: CallId,
    failed: CallId,
    dialing: [ClaimedCall; 4],
    live: [ClaimedCall; 2],
}

impl Rows {
    /// On ten numbers from this one on.
    async fn new(db: &TestDb, from: usize) -> Self {
        let to = |n: usize| number(from + n);
        let dialing = [
            db.dialing(&to(0)).await,
            db.dialing(&to(1)).await,
            db.dialing(&to(2)).await,
            db.dialing(&to(3)).await,
        ];
        let live = [db.in_call(&to(4)).await, db.in_call(&to(5)).await];
        let failed = db.dialing(&to(6)).await;
        db.settle(&failed, Outcome::Declined).await;
        let at = "to_char(pgdial.now() + interval '30 seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')";
        let at = db.text(&format!("select {at}")).await;
        let brief = json!({ "to": to(7), "scriptId": "s", "expiresAt": at, "priority": 0 });
        Self {
            waiting: db.enqueue(&to(8)).await,
            brief: db.enqueue_as(brief).await,
            failed: failed.id,
            dialing,
            live,
        }
    }

    /// Runs every verb on its row, all at once; returns their verdicts.
    async fn verbs(&self, db: &TestDb) -> Vec<String> {
        let [placed, ended_at_once, late, doubtful] = &self.dialing;
        let [silent, unwanted] = &self.live;
        let calls = &db.calls;
        let (why, urgent) = ("lunch", json!({ "priority": 1 }));
        let (dialed, settled, deferred, doubted, event, cancelled, wished, amended, redriven) = tokio::join!(
            calls.dialed(placed.reference(), "p"),
            calls.settle(ended_at_once.reference(), Outcome::Declined, why),
            calls.defer(late.reference(), DeferReason::Shutdown, None, why),
            calls.doubt(doubtful.reference(), why),
            db.event(silent, "1", ended(Outcome::Answered)),
            calls.cancel(self.waiting, "ann", None),
            calls.cancel(unwanted.id, "ann", None),
            calls.amend(self.brief, "ann", &urgent),
            calls.redrive(self.failed, "ann", None, false),
        );
        vec![
            word(dialed.map(|dialed| dialed.in_call)),
            word(settled),
            word(deferred),
            word(doubted),
            format!("{event:?}"),
            word(cancelled),
            word(wished),
            word(amended),
            word(redriven.map(|(verdict, _)| verdict)),
        ]
    }
}

fn word<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(verdict) => format!("{verdict:?}"),
        Err(Error::LockedOut) => "LockedOut".to_owned(),
        Err(error) => panic!("{error:?}"),
    }
}

fn moved() -> [String; 9] {
    [
        "true".to_owned(),
        format!("{:?}", Settled::Failed),
        format!("{:?}", Deferred::Deferred),
        "true".to_owned(),
        format!("{:?}", Verdict::Applied),
        format!("{:?}", Canceled::Canceled),
        format!("{:?}", Canceled::Requested),
        "Amended".to_owned(),
        format!("{:?}", Redriven::Waiting),
    ]
}

#[tokio::test]
async fn rows_that_a_person_holds_are_moved_afterwards_and_all_others_meanwhile() {
    let db = TestDb::new().await;
    let held = Rows::new(&db, 0).await;
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; update pgdial.calls set metadata = '{\"mine\": true}'",
    )
    .await
    .unwrap();
    let free = Rows::new(&db, 100).await;

    let mut named = vec!["LockedOut".to_owned(); 9];
    named[4] = format!("{:?}", Verdict::Parked);
    assert_eq!(held.verbs(&db).await, named);
    assert_eq!(free.verbs(&db).await, moved());
    db.forward("30 seconds").await;
    assert_eq!(db.sweep().await.counts["expired"], 1);
    assert_eq!(db.state(free.brief).await, "expired");
    let claimed: Vec<CallId> = db.claim(30).await.into_iter().map(|call| call.id).collect();
    let [_, _, late, _] = &free.dialing;
    assert_eq!(claimed.len(), 2, "what went back, and what was redriven");
    assert!(claimed.contains(&late.id) && claimed.contains(&free.failed));

    run(&mut person, "commit").await.unwrap();
    db.forward("10 seconds").await;
    db.sweep().await;
    let mut afterwards = moved();
    afterwards[4] = format!("{:?}", Verdict::Duplicate);
    afterwards[7] = "NotWaiting".to_owned();
    assert_eq!(
        held.verbs(&db).await,
        afterwards,
        "the sweep was first at two"
    );
    assert_eq!(db.state(held.live[0].id).await, "completed");
}

/// Dead rows and index entries that the snapshot can still see pile up.
#[tokio::test]
async fn a_snapshot_held_over_hundreds_of_lives_stops_nothing() {
    let db = TestDb::new().await;
    let mut reader = db.session().await;
    run(
        &mut reader,
        "begin isolation level repeatable read; select from pgdial.calls",
    )
    .await
    .unwrap();
    for round in 0..10 {
        let requests: Vec<_> = (0..30)
            .map(|n| json!({ "to": number(n), "scriptId": "s" }))
            .collect();
        db.calls.enqueue("tester", &requests).await.unwrap();
        let claimed = db.claim(30).await;
        assert_eq!(claimed.len(), 30, "round {round}");
        for call in &claimed {
            db.calls.dialed(call.reference(), "p").await.unwrap();
            let event = db.event(call, "1", ended(Outcome::Answered)).await;
            assert_eq!(event, Verdict::Applied);
        }
        db.sweep().await;
    }
    db.forward("70 days").await;
    let keep = Some(std::time::Duration::from_hours(24));
    let trunks = ["default".to_owned()];
    let swept = db.calls.sweep(&trunks, keep).await.unwrap();
    assert_eq!(swept.counts["removed"], 300);
    let done = db.calls.housekeeping(keep).await.unwrap();
    assert_eq!(done["ensure_partitions"], 9, "{done}");
    assert_ne!(done["drop_partitions"], 0, "{done}");
    let id = db.enqueue(&number(1)).await;
    assert_eq!(db.claim(30).await[0].id, id);
    run(&mut reader, "commit").await.unwrap();
}

/// The pace of one trunk is locked: that trunk gets no turn, and no other waits for it.
#[tokio::test]
async fn a_held_pace_stops_its_trunk_alone() {
    let db = TestDb::new().await;
    db.sql(
        "insert into pgdial.trunks (name, calls_per_second) values ('paced', 1000), ('free', null); \
         insert into pgdial.campaigns (name, trunk) values ('paced', 'paced'), ('free', 'free')",
    )
    .await;
    let request = |n: usize, campaign: &str| json!({ "to": number(n), "scriptId": "s", "campaign": campaign });
    let claim = async || {
        let trunks = ["paced".to_owned(), "free".to_owned()];
        let claim = db
            .calls
            .claim(uuid::Uuid::new_v4(), &trunks, 1)
            .await
            .unwrap();
        claim
            .calls
            .into_iter()
            .map(|call| call.trunk)
            .collect::<Vec<_>>()
    };
    // The first claim creates the row.
    db.enqueue_as(request(1, "paced")).await;
    assert_eq!(claim().await, ["paced"]);
    let mut person = db.session().await;
    run(
        &mut person,
        "begin; update pgdial.trunk_pace set tokens = tokens",
    )
    .await
    .unwrap();
    db.enqueue_as(request(2, "paced")).await;
    db.enqueue_as(request(3, "free")).await;
    assert_eq!(claim().await, ["free"]);
    assert_eq!(claim().await, [""; 0]);
    run(&mut person, "rollback").await.unwrap();
    db.forward("1 second").await;
    assert_eq!(claim().await, ["paced"]);
}
