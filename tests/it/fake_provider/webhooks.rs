//! What the fake provider rings, reports and leaves behind.

use super::*;

#[tokio::test]
async fn a_call_rings_once_and_is_reported_in_order_with_good_signatures() {
    let mut scene = Scene::new(|_| ()).await;
    let call = claimed(1, "+14155550100");
    let id = scene.placed(&call).await;
    let hooks = scene.hooks_to_the_end().await;
    let words: Vec<_> = hooks.iter().map(Hook::status).collect();
    assert_eq!(words, ["QUEUED", "RINGING", "IN_PROGRESS", "COMPLETED"]);
    for hook in &hooks {
        let verified = signature::verify(&hook.headers, &hook.body, &secrets()).unwrap();
        let report = protocol::read_report(&hook.body);
        assert_eq!(report.event_id, Some(verified.event_id));
        assert_eq!(report.provider_call_id.as_ref(), Some(&id));
        assert_eq!(report.reference, Some(call.reference().to_string()));
        assert!(
            !String::from_utf8_lossy(&hook.body).contains("4155550100"),
            "a number"
        );
    }
    let last = protocol::read_report(&hooks[3].body);
    assert_eq!(last.result["durationSec"], 1);
    assert_eq!(last.result["answeredBy"], "human");
    // The end was in the ledger before the last webhook was sent.
    let rings = scene.rings();
    assert_eq!(rings.len(), 1);
    assert!(rings[0].to.is_some());
    assert_eq!(
        (rings[0].number.as_str(), &rings[0].call_id),
        ("+14155550100", &id)
    );
    let (_, shown) = scene.get("/ledger").await;
    assert_eq!(shown, serde_json::to_value(&rings).unwrap());
}

#[tokio::test]
async fn every_ending_has_its_words_and_rings_only_where_a_telephone_does() {
    let mut scene = Scene::with_rules(
        &Ending::ALL
            .iter()
            .enumerate()
            .map(|(at, (word, _))| format!("*{:02}={word}", at + 10))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .await;
    let mut rung = 0;
    for (at, (word, ending)) in Ending::ALL.into_iter().enumerate() {
        scene
            .placed(&claimed(1, &format!("+141555501{:02}", at + 10)))
            .await;
        let mut expected = vec!["QUEUED"];
        if ending.rings() {
            expected.push("RINGING");
            rung += 1;
        }
        if ending.is_answered() {
            expected.push("IN_PROGRESS");
        }
        expected.push(ending.status());
        assert_eq!(scene.statuses().await, expected, "{word}");
        assert_eq!(scene.rings().len(), rung, "{word}");
    }
}

#[tokio::test]
async fn webhooks_come_twice_or_end_first() {
    let mut scene = Scene::with_rules(&["*1=busy,dup", "*2=busy,reorder"]).await;
    scene.placed(&claimed(1, "+14155550101")).await;
    let mut words = scene.statuses().await;
    words.push(scene.hook().await.status());
    assert_eq!(
        words,
        ["QUEUED", "QUEUED", "RINGING", "RINGING", "BUSY", "BUSY"]
    );
    scene.placed(&claimed(2, "+14155550102")).await;
    let words = [
        scene.hook().await.status(),
        scene.hook().await.status(),
        scene.hook().await.status(),
    ];
    assert_eq!(words, ["BUSY", "QUEUED", "RINGING"]);
}

#[tokio::test]
async fn early_webhooks_are_all_there_before_the_answer() {
    let mut scene = Scene::with_rules(&["*1=early", "*2=early,lost"]).await;
    scene.placed(&claimed(1, "+14155550101")).await;
    let mut words = Vec::new();
    while let Ok(hook) = scene.hooks.try_recv() {
        words.push(hook.status());
    }
    assert_eq!(words, ["QUEUED", "RINGING", "IN_PROGRESS", "COMPLETED"]);
    scene.placed(&claimed(2, "+14155550102")).await;
}

#[tokio::test]
async fn lost_webhooks_never_come_and_late_ones_come_late() {
    let mut scene = Scene::with_rules(&["*1=lost", "*2=busy,late:300ms"]).await;
    scene.placed(&claimed(1, "+14155550101")).await;
    let watch = Stopwatch::start();
    scene.placed(&claimed(2, "+14155550102")).await;
    let reference = claimed(2, "+14155550102").reference().to_string();
    for hook in scene.hooks_to_the_end().await {
        assert_eq!(
            protocol::read_report(&hook.body).reference.as_ref(),
            Some(&reference)
        );
    }
    assert!(watch.elapsed() >= Duration::from_millis(300));
    assert_eq!(
        scene
            .rings()
            .iter()
            .filter(|ring| ring.to.is_some())
            .count(),
        2
    );
}

#[tokio::test]
async fn strange_events_come_between_and_are_signed() {
    let mut scene = Scene::with_rules(&["*=busy,unknown_word,garbage"]).await;
    scene.placed(&claimed(1, "+14155550101")).await;
    let mut kinds = Vec::new();
    for hook in scene.hooks_to_the_end().await {
        assert!(signature::verify(&hook.headers, &hook.body, &secrets()).is_ok());
        kinds.push(protocol::read_report(&hook.body).kind);
    }
    let (progress, strange) = (ReportKind::Progress, ReportKind::Unknown);
    assert_eq!(
        kinds,
        [
            progress,
            ReportKind::Unparsable,
            progress,
            strange,
            ReportKind::Ended
        ]
    );
}

#[tokio::test]
async fn a_webhook_that_is_refused_comes_again_with_the_same_id() {
    let mut scene = Scene::with_rules(&["*=blocked"]).await;
    scene.refusals.store(3, Ordering::SeqCst);
    scene.placed(&claimed(1, "+14155550101")).await;
    let mut ids = Vec::new();
    // Two webhooks, three refusals: five deliveries.
    for _ in 0..5 {
        let hook = scene.hook().await;
        ids.push(
            signature::verify(&hook.headers, &hook.body, &secrets())
                .unwrap()
                .event_id,
        );
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn the_plain_scheme_signs_the_body_alone() {
    let mut scene = Scene::new(|options| options.scheme = Scheme::XSignature).await;
    scene.placed(&claimed(1, "+14155550101")).await;
    for hook in scene.hooks_to_the_end().await {
        let verified = signature::verify(&hook.headers, &hook.body, &secrets()).unwrap();
        assert_eq!(verified.signed_at, None);
    }
}

#[tokio::test]
async fn a_shutdown_ends_every_task_and_closes_every_ring() {
    let mut scene =
        Scene::new(|options| options.ring = Span::exactly(Duration::from_mins(1))).await;
    scene.refusals.store(usize::MAX, Ordering::SeqCst);
    scene.placed(&claimed(1, "+14155550101")).await;
    // It rings, and its first webhook is being sent again and again.
    while scene.hook().await.status() != "RINGING" {}
    let (address, path) = (scene.fake.address(), scene.fake.ledger().to_owned());
    scene.fake.shutdown().await;
    assert!(ledger::read(&path).unwrap()[0].to.is_some());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
