//! A trunk's circuit breaker: an outage of the provider uses up no attempts (P2, P7).

use pgdial::{
    domain::{ClaimedCall, Outcome},
    flow::{defer::DeferReason, settle::Settled},
};

use crate::support::{TestDb, number};

/// Claims one call and ends its dial in a fault; returns the verdict.
async fn fault(db: &TestDb) -> Settled {
    let call = db.claim(1).await.pop().unwrap();
    db.calls
        .settle(
            call.reference(),
            Outcome::ProviderFault,
            "connection refused",
        )
        .await
        .unwrap()
}

/// A trunk whose provider has failed five times in a row, with calls waiting.
async fn failing() -> TestDb {
    let db = TestDb::new().await;
    for n in 0..20 {
        db.enqueue(&number(n)).await;
    }
    for _ in 0..4 {
        assert_eq!(
            fault(&db).await,
            Settled::Retried,
            "closed: an attempt is used up"
        );
    }
    assert_eq!(fault(&db).await, Settled::Deferred, "open: none is");
    db
}

async fn reason(db: &TestDb, call: &ClaimedCall) -> String {
    db.calls
        .why(call.id)
        .await
        .unwrap()
        .iter()
        .map(|r| r.reason.clone())
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn a_run_of_faults_opens_it_and_then_one_call_probes() {
    let db = failing().await;
    assert_eq!(db.claim(10).await.len(), 0);
    db.forward("6 seconds").await;
    let probe = db.claim(10).await;
    assert_eq!(probe.len(), 1);
    assert_eq!(db.claim(10).await.len(), 0, "the next waits for its answer");
    assert_eq!(probe[0].attempt, 1);
    let settled = db
        .calls
        .settle(
            probe[0].reference(),
            Outcome::ProviderFault,
            "connection refused",
        )
        .await
        .unwrap();
    assert_eq!(settled, Settled::Deferred);
    let attempts =
        "select max(attempt) || ' ' || count(*) filter (where state = 'failed') from pgdial.calls";
    assert_eq!(
        db.text(attempts).await,
        "1 0",
        "an outage uses up nobody's attempts"
    );
}

#[tokio::test]
async fn it_probes_less_and_less_often_but_every_minute() {
    let db = failing().await;
    db.stop_clock().await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let wait =
            "select round(extract(epoch from not_before - pgdial.now())) from pgdial.trunk_breaker";
        waits.push(db.text(wait).await.parse::<i64>().unwrap());
        db.forward("61 seconds").await;
        fault(&db).await;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[tokio::test]
async fn dials_that_were_under_way_when_it_opened_do_not_put_off_the_probe() {
    let db = TestDb::new().await;
    for n in 0..30 {
        db.enqueue(&number(n)).await;
    }
    for call in db.claim(30).await {
        let settled = db.calls.settle(
            call.reference(),
            Outcome::ProviderFault,
            "connection refused",
        );
        settled.await.unwrap();
    }
    db.forward("6 seconds").await;
    assert_eq!(db.claim(10).await.len(), 1);
}

#[tokio::test]
async fn an_accepted_call_closes_it() {
    let db = failing().await;
    db.forward("6 seconds").await;
    let probe = db.claim(10).await.pop().unwrap();
    db.calls.dialed(probe.reference(), "prov-1").await.unwrap();
    assert!(db.claim(10).await.len() > 1);
}

#[tokio::test]
async fn a_call_that_one_trunk_accepts_says_nothing_about_another() {
    let db = failing().await;
    db.sql("insert into pgdial.trunk_breaker (trunk, faults) values ('other', 3)")
        .await;
    db.forward("6 seconds").await;
    let probe = db.claim(10).await.pop().unwrap();
    db.calls.dialed(probe.reference(), "prov-1").await.unwrap();
    let faults =
        "select string_agg(trunk || ' ' || faults, ', ' order by trunk) from pgdial.trunk_breaker";
    assert_eq!(db.text(faults).await, "default 0, other 3");
}

#[tokio::test]
async fn an_answer_that_means_something_ends_the_run() {
    let db = TestDb::new().await;
    for n in 0..12 {
        db.enqueue(&number(n)).await;
    }
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(fault(&db).await, Settled::Retried);
        }
        let call = db.claim(1).await.pop().unwrap();
        db.calls
            .settle(call.reference(), Outcome::InvalidNumber, "no such number")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn dials_of_which_nobody_knows_count_as_faults() {
    let db = TestDb::new().await;
    for n in 0..6 {
        db.enqueue(&number(n)).await;
    }
    for _ in 0..5 {
        let call = db.claim(1).await.pop().unwrap();
        db.calls.doubt(call.reference(), "HTTP 500").await.unwrap();
    }
    assert_eq!(db.claim(1).await.len(), 0);
}

#[tokio::test]
async fn it_is_named_by_why_and_by_the_claim_that_waits_for_it() {
    let db = failing().await;
    db.worker(&["default"]).await;
    let waiting = db.enqueue(&number(99)).await;
    let why = db.calls.why(waiting).await.unwrap();
    assert_eq!(why[0].reason, "breaker");
    assert!(
        why[0]
            .message
            .contains("5 faults in a row, the last: connection refused"),
        "{}",
        why[0].message
    );
    assert!(why[0].until.is_some());
    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &["default".to_owned()], 10)
        .await
        .unwrap();
    assert!(
        claim.wait.is_some_and(|wait| wait.as_millis() <= 2000),
        "{:?}",
        claim.wait
    );
}

#[tokio::test]
async fn a_provider_without_room_holds_its_trunk_off() {
    let db = TestDb::new().await;
    let mut call = db.dialing(&number(1)).await;
    for n in 2..5 {
        let reason = DeferReason::Capacity;
        let deferred = db.calls.defer(call.reference(), reason, Some(20), "429");
        deferred.await.unwrap();
        if n < 4 {
            call = db.dialing(&number(n)).await;
        }
    }
    db.enqueue(&number(5)).await;
    assert_eq!(db.claim(10).await.len(), 0);
    assert_eq!(
        reason(&db, &call).await,
        "no_worker provider_full retry_due suspect"
    );
    db.forward("21 seconds").await;
    let next = db.claim(10).await;
    assert_eq!(next.len(), 1, "one after the other, until one is accepted");
    db.calls
        .dialed(next[0].reference(), "prov-1")
        .await
        .unwrap();
    assert_eq!(db.claim(10).await.len(), 3);
}

#[tokio::test]
async fn another_trunk_goes_on() {
    let db = failing().await;
    // No probe of the other trunk may come in between, however slow this machine is.
    db.sql("update pgdial.trunk_breaker set not_before = pgdial.now() + interval '1 hour'")
        .await;
    db.sql("insert into pgdial.trunks (name) values ('other')")
        .await;
    db.sql("select pgdial.create_campaign('elsewhere', '{\"trunk\": \"other\"}')")
        .await;
    db.sql("select pgdial.enqueue('+14155559000', 'welcome', p_campaign => 'elsewhere')")
        .await;
    let trunks = ["default".to_owned(), "other".to_owned()];
    let claim = db
        .calls
        .claim(uuid::Uuid::new_v4(), &trunks, 10)
        .await
        .unwrap();
    assert_eq!(claim.calls.len(), 1);
    assert_eq!(claim.calls[0].trunk, "other");
}
