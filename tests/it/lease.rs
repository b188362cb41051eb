//! lease: a claim belongs to its worker for as long as its dial may take, and the dial takes no longer (P1).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, pending};
use pgdial::{
    dialer::Dialer,
    domain::{ClaimedCall, Placement, Reference, Report, ReportKind},
    flow::look_up::Verdict,
    provider::{
        Cancellation, Capabilities, Error, Idempotency, LookUps, LookedUp, Order, Provider,
        Stopwatch, Webhook,
    },
    trunks::Trunk,
};
use tokio_util::sync::CancellationToken;

use crate::support::{TestDb, each, number};

/// As Retell's: its own client waits two minutes for the response to a dial.
const SLOW: Capabilities = Capabilities {
    look_up: Some(LookUps::Authoritative),
    idempotency: Some(Idempotency::Honoured(Duration::from_hours(1))),
    place_timeout: Duration::from_mins(2),
    ..Capabilities::UNKNOWN
};

/// A claim by a process with this adapter.
async fn claimed(db: &TestDb, n: usize, capabilities: Capabilities) -> ClaimedCall {
    db.enqueue(&number(n)).await;
    let trunks = ["default".to_owned()];
    let calls = db.declaring("a", capabilities);
    let claim = calls.claim(uuid::Uuid::new_v4(), &trunks, 1).await;
    claim.unwrap().calls.pop().unwrap()
}

/// What the dialer obeys is what the database has granted.
#[tokio::test]
async fn the_lease_is_as_long_as_the_adapter_may_take_and_no_longer() {
    let db = TestDb::new().await;
    for (n, (place_timeout, lease)) in [
        (Duration::ZERO, 60),
        (Duration::from_secs(30), 60),
        (Duration::from_mins(2), 150),
        (Duration::MAX, 300),
    ]
    .into_iter()
    .enumerate()
    {
        let capabilities = Capabilities {
            place_timeout,
            ..Capabilities::UNKNOWN
        };
        let call = claimed(&db, n, capabilities).await;
        assert_eq!(call.lease_sec, lease);
        let granted = "extract(epoch from lease_until - claimed_at)::int";
        assert_eq!(db.column(call.id, granted).await, lease.to_string());
        // Ring timeout and maximum duration begin when the dial ends, at the latest.
        let deadline = "extract(epoch from deadline_at - claimed_at)::int - 60 - 60 - 1800";
        assert_eq!(db.column(call.id, deadline).await, lease.to_string());
    }
}

#[tokio::test]
async fn a_dial_that_may_take_longer_is_in_doubt_later() {
    let db = TestDb::new().await;
    let call = claimed(&db, 1, SLOW).await;
    db.forward("149 seconds").await;
    db.sweep().await;
    assert_eq!(db.state(call.id).await, "dialing");
    db.forward("2 seconds").await;
    db.sweep().await;
    assert_eq!(db.state(call.id).await, "unresolved");
}

/// That the provider does not know a dial proves nothing while the repeat of its request may be under way.
#[tokio::test]
async fn a_repeat_has_the_same_lease() {
    let db = TestDb::new().await;
    let calls = db.working("a", SLOW).await;
    let call = claimed(&db, 1, SLOW).await;
    db.calls.doubt(call.reference(), "no answer").await.unwrap();
    db.forward("6 seconds").await;
    let again = calls.repeats_due(&each(&["default"], 9)).await;
    let again = again.unwrap().pop().unwrap();
    assert_eq!((again.id, again.lease_sec), (call.id, 150));
    let granted = format!(
        "extract(epoch from timestamptz '{}' - repeated_at)::int",
        again.lease_until.to_rfc3339()
    );
    assert_eq!(db.column(call.id, &granted).await, "150");
    for (pause, verdict) in [
        ("1 second", Verdict::NotFound),
        ("100 seconds", Verdict::NotFound),
        ("45 seconds", Verdict::NotFound),
        ("6 seconds", Verdict::NotPlaced),
    ] {
        db.forward(pause).await;
        let asked = calls.look_up(call.reference(), &LookedUp::NotFound).await;
        assert_eq!(asked.unwrap().unwrap().verdict, verdict, "{pause}");
    }
}

/// An adapter that looks at no deadline and waits for ever.
#[derive(Debug, Default)]
struct Stubborn(AtomicUsize);

impl Provider for Stubborn {
    fn place<'a>(&'a self, _order: Order<'a>) -> BoxFuture<'a, Placement> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(pending())
    }

    fn cancel<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Cancellation, Error>> {
        Box::pin(async { Ok(Cancellation::Unsupported) })
    }

    fn look_up<'a>(
        &'a self,
        _dial: Reference,
        _id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, Error>> {
        Box::pin(async { Ok(LookedUp::Unsupported) })
    }

    fn read(&self, _webhook: &Webhook<'_>) -> Report {
        Report::new(ReportKind::Unknown)
    }
}

#[tokio::test]
async fn no_adapter_dials_beyond_the_lease() {
    let db = TestDb::new().await;
    let stubborn = Arc::new(Stubborn::default());
    let trunk = Trunk {
        name: "default".to_owned(),
        provider: Arc::<Stubborn>::clone(&stubborn),
        secrets: "supersecret".parse().unwrap(),
    };
    let dialer = Dialer::new(
        db.calls.clone(),
        [trunk].into_iter().collect(),
        "https://calls.example.com",
        CancellationToken::new(),
    );
    for (lease_sec, asked, story) in [
        (0, 0, "waiting active deferred"),
        (1, 1, "waiting active deferred active unresolved"),
    ] {
        let call = if lease_sec == 0 {
            db.dialing(&number(1)).await
        } else {
            db.forward("1 hour").await;
            db.let_trunks_dial().await;
            db.claim(1).await.pop().unwrap()
        };
        let call = ClaimedCall { lease_sec, ..call };
        let id = call.id;
        assert!(dialer.dial(call, Stopwatch::start()).await);
        assert_eq!(stubborn.0.load(Ordering::Relaxed), asked);
        assert_eq!(db.story(id).await, story);
    }
}
