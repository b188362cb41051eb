//! What the fake provider answers.

use super::*;

#[tokio::test]
async fn an_accepted_call_rings_although_the_answer_was_an_error() {
    let mut scene = Scene::with_rules(&["*1=error_after_accept", "*2=reset_after_accept"]).await;
    for number in ["+14155550101", "+14155550102"] {
        let placement = scene.place(&claimed(1, number)).await;
        assert!(
            matches!(placement, Placement::Unknown { .. }),
            "{number}: {placement:?}"
        );
        assert_eq!(scene.statuses().await.last().unwrap(), "COMPLETED");
    }
    assert_eq!(scene.rings().len(), 2);
}

#[tokio::test]
async fn a_slow_answer_comes_after_the_call() {
    let mut scene = Scene::with_rules(&["*=slow:20s"]).await;
    scene.adapter.limit(Limits {
        total: Duration::from_millis(100),
        ..Limits::default()
    });
    let placement = scene.place(&claimed(1, "+14155550101")).await;
    assert!(
        matches!(placement, Placement::Unknown { .. }),
        "{placement:?}"
    );
    assert_eq!(scene.statuses().await.last().unwrap(), "COMPLETED");
}

#[tokio::test]
async fn a_repeated_key_rings_again_where_keys_are_not_honoured() {
    let mut scene = Scene::new(|_| ()).await;
    let call = claimed(1, "+14155550101");
    assert_ne!(scene.placed(&call).await, scene.placed(&call).await);
    scene.hooks_to_the_end().await;
    scene.hooks_to_the_end().await;
    let verdict = ledger::judge(&scene.rings());
    assert_eq!((verdict.rings, verdict.references_rung_twice), (2, 1));
    let (_, found) = scene
        .get(&format!("/api/v1/calls?reference={}", call.reference()))
        .await;
    assert_eq!(found["calls"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeated_key_is_the_same_call_where_keys_are_honoured() {
    let mut scene = Scene::new(|options| options.idempotent = true).await;
    let call = claimed(1, "+14155550101");
    let id = scene.placed(&call).await;
    // Even when it is too late for a new call: that one is there already.
    let late = ClaimedCall {
        lease_until: chrono::DateTime::UNIX_EPOCH,
        ..call.clone()
    };
    assert_eq!(scene.placed(&late).await, id);
    let other = ClaimedCall {
        script_id: "other".to_owned(),
        ..call
    };
    assert!(matches!(
        scene.place(&other).await,
        Placement::Refused(Refusal::Permanent { .. })
    ));
    scene.hooks_to_the_end().await;
    assert_eq!(scene.rings().len(), 1);
}

#[tokio::test]
async fn a_refusal_may_ring_all_the_same() {
    let mut scene =
        Scene::with_rules(&["script:*=reject:503:no room,retry_after:2.5,places_anyway"]).await;
    let answer = scene.place(&claimed(1, "+14155550101")).await;
    assert_eq!(
        answer,
        Placement::Refused(Refusal::Capacity {
            retry_after_sec: Some(3),
            why: "HTTP 503: REJECTED: no room".to_owned()
        })
    );
    let statuses = scene.statuses().await;
    assert_eq!(statuses.last().map(String::as_str), Some("COMPLETED"));
    assert_eq!(scene.rings().len(), 1);
}

#[tokio::test]
async fn a_refusal_rings_nobody() {
    let scene = Scene::with_rules(&[
        "*1=reject:422",
        "*2=rate_limit",
        "*3=rate_limit:5",
        "*4=reject:402",
    ])
    .await;
    let refusal = async |digit: u8| match scene
        .place(&claimed(digit, &format!("+1415555010{digit}")))
        .await
    {
        Placement::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        refusal(1).await,
        Refusal::Permanent {
            outcome: Outcome::Blocked,
            ..
        }
    ));
    assert!(matches!(
        refusal(2).await,
        Refusal::Capacity {
            retry_after_sec: None,
            ..
        }
    ));
    assert!(matches!(
        refusal(3).await,
        Refusal::Capacity {
            retry_after_sec: Some(5),
            ..
        }
    ));
    assert!(matches!(refusal(4).await, Refusal::Account { .. }));
    let late = ClaimedCall {
        lease_until: chrono::DateTime::UNIX_EPOCH,
        ..claimed(5, "+14155550105")
    };
    assert_eq!(scene.place(&late).await, Placement::Late);
    assert_eq!(scene.rings(), []);
    assert_eq!(scene.get("/healthz").await.1["active"], 0);
}

#[tokio::test]
async fn a_full_provider_has_no_room_until_a_call_is_over() {
    let mut scene = Scene::new(|options| {
        options.slots = Some(1);
        options.ring = Span::exactly(Duration::from_mins(1));
    })
    .await;
    let id = scene.placed(&claimed(1, "+14155550101")).await;
    let full = scene.place(&claimed(2, "+14155550102")).await;
    assert!(
        matches!(full, Placement::Refused(Refusal::Capacity { .. })),
        "{full:?}"
    );
    scene.adapter.cancel(&id).await.unwrap();
    scene.hooks_to_the_end().await;
    scene.placed(&claimed(2, "+14155550102")).await;
}

#[tokio::test]
async fn the_key_is_demanded_everywhere() {
    let scene = Scene::new(|options| options.key = Some("key-7".into())).await;
    let id = scene.placed(&claimed(1, "+14155550101")).await;
    let stranger = HttpProvider::new(&scene.fake.url(), Some("key-8".into())).unwrap();
    assert!(matches!(
        stranger.cancel(&id).await,
        Err(pgdial::provider::Error::Refused { status: 401, .. })
    ));
    for path in [
        format!("/api/v1/calls/{id}"),
        "/api/v1/calls?reference=x".to_owned(),
    ] {
        assert_eq!(scene.get(&path).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_cancel_ends_a_ring_as_canceled_and_a_talk_as_completed() {
    let mut scene = Scene::new(|options| {
        options.ring = "0s..0s".parse().unwrap();
        options.talk = Span::exactly(Duration::from_mins(1));
        options.rules = vec!["*1=no_answer".parse().unwrap()];
    })
    .await;
    let talking = scene.placed(&claimed(2, "+14155550102")).await;
    while scene.hook().await.status() != "IN_PROGRESS" {}
    assert_eq!(
        scene.adapter.cancel(&talking).await.unwrap(),
        Cancellation::Agreed
    );
    assert_eq!(scene.hook().await.status(), "COMPLETED");
    assert_eq!(
        scene.adapter.cancel(&talking).await.unwrap(),
        Cancellation::AlreadyOver
    );
    assert_eq!(
        scene.adapter.cancel("nobody").await.unwrap(),
        Cancellation::AlreadyOver
    );

    let mut scene =
        Scene::new(|options| options.ring = Span::exactly(Duration::from_mins(1))).await;
    let ringing = scene.placed(&claimed(1, "+14155550101")).await;
    while scene.hook().await.status() != "RINGING" {}
    assert_eq!(
        scene.adapter.cancel(&ringing).await.unwrap(),
        Cancellation::Agreed
    );
    assert_eq!(scene.hook().await.status(), "CANCELED");
}

#[tokio::test]
async fn a_look_up_shows_the_webhooks_object_or_lies() {
    let mut scene = Scene::with_rules(&["*1=busy", "*2=busy,false_404"]).await;
    for (digit, is_shown) in [(1, true), (2, false)] {
        let call = claimed(digit, &format!("+1415555010{digit}"));
        let id = scene.placed(&call).await;
        let last = scene.hooks_to_the_end().await.pop().unwrap();
        let mut object: Value = serde_json::from_slice(&last.body).unwrap();
        object.as_object_mut().unwrap().remove("eventId");
        let (status, shown) = scene.get(&format!("/api/v1/calls/{id}")).await;
        let (_, found) = scene
            .get(&format!("/api/v1/calls?reference={}", call.reference()))
            .await;
        if is_shown {
            assert_eq!((status, &shown), (StatusCode::OK, &object));
            assert_eq!(found, json!({"calls": [object]}));
        } else {
            assert_eq!(
                (status, found),
                (StatusCode::NOT_FOUND, json!({"calls": []}))
            );
        }
    }
    assert_eq!(
        scene.get("/api/v1/calls?reference=none").await.1,
        json!({"calls": []})
    );
    assert_eq!(
        scene.get("/api/v1/calls/none").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused() {
    let scene = Scene::new(|_| ()).await;
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        (r#"{"to":"+14155550100","webhookUrl":"/no/host"}"#, 400),
        (r#"{"to":"415"}"#, 422),
    ] {
        let request = reqwest::Client::new().post(format!("{}/api/v1/calls", scene.fake.url()));
        assert_eq!(
            request.body(body).send().await.unwrap().status().as_u16(),
            status,
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let folder = TempDir::new().unwrap();
    let options = FakeOptions::new(folder.path().join("no/such/folder"), SECRET);
    assert!(matches!(
        FakeProvider::start(options).await,
        Err(Error::Ledger { .. })
    ));
    let scene = Scene::new(|_| ()).await;
    let mut options = FakeOptions::new(folder.path().join("ledger.jsonl"), SECRET);
    options.listen = scene.fake.address();
    assert!(matches!(
        FakeProvider::start(options).await,
        Err(Error::Listen { .. })
    ));
}
