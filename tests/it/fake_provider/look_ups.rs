//! What the adapter learns when it asks the fake provider about a call.

use std::collections::HashSet;

use chrono::DateTime;
use pgdial::{
    domain::{Reference, Report},
    provider::{Error, LookedUp},
};

use super::*;

impl Scene {
    async fn look_up(&self, dial: Reference, id: Option<&str>) -> LookedUp {
        self.adapter.look_up(dial, id).await.unwrap()
    }

    /// Looks a call up by its id and by its reference, which must say the same.
    async fn found(&self, call: &ClaimedCall, id: &str) -> Report {
        let by_id = self.look_up(call.reference(), Some(id)).await;
        let by_reference = self.look_up(call.reference(), None).await;
        assert_eq!(by_id, by_reference);
        let LookedUp::Found(report) = by_id else {
            panic!("{by_id:?}");
        };
        assert_eq!(report.provider_call_id.as_deref(), Some(id));
        assert_eq!(report.reference, Some(call.reference().to_string()));
        report
    }

    async fn wait_for(&mut self, status: &str) {
        while self.hook().await.status() != status {}
    }
}

#[tokio::test]
async fn a_ringing_call_is_found_and_then_its_end() {
    let mut scene =
        Scene::new(|options| options.ring = Span::exactly(Duration::from_mins(1))).await;
    let call = claimed(1, "+14155550101");
    let id = scene.placed(&call).await;
    scene.wait_for("RINGING").await;
    assert_eq!(scene.found(&call, &id).await.kind, ReportKind::Progress);
    scene.adapter.cancel(&id).await.unwrap();
    scene.wait_for("CANCELED").await;
    let report = scene.found(&call, &id).await;
    assert_eq!(report.outcome, Some(Outcome::Canceled));
}

#[tokio::test]
async fn a_talk_is_found_and_then_its_end_with_the_result() {
    let mut scene =
        Scene::new(|options| options.talk = Span::exactly(Duration::from_mins(1))).await;
    let call = claimed(1, "+14155550101");
    let id = scene.placed(&call).await;
    scene.wait_for("IN_PROGRESS").await;
    assert_eq!(scene.found(&call, &id).await.kind, ReportKind::Answered);
    scene.adapter.cancel(&id).await.unwrap();
    scene.wait_for("COMPLETED").await;
    let report = scene.found(&call, &id).await;
    assert_eq!(report.kind, ReportKind::Ended);
    assert_eq!(report.outcome, Some(Outcome::Answered));
    assert_eq!(report.result["answeredBy"], "human");
}

#[tokio::test]
async fn every_end_is_found_as_the_webhook_tells_it() {
    for (word, _) in Ending::ALL {
        let mut scene = Scene::with_rules(&[&format!("*={word}")]).await;
        let call = claimed(1, "+14155550101");
        let id = scene.placed(&call).await;
        let last = scene.hooks_to_the_end().await.pop().unwrap();
        let told = Report {
            event_id: None,
            ..protocol::read_report(&last.body)
        };
        assert_eq!(scene.found(&call, &id).await, told, "{word}");
    }
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_found_by_its_reference() {
    let mut scene = Scene::with_rules(&["*1=error_after_accept", "*2=reset_after_accept"]).await;
    for (digit, number) in [(1, "+14155550101"), (2, "+14155550102")] {
        let call = claimed(digit, number);
        let placement = scene.place(&call).await;
        assert!(
            matches!(placement, Placement::Unknown { .. }),
            "{placement:?}"
        );
        scene.hooks_to_the_end().await;
        let looked_up = scene.look_up(call.reference(), None).await;
        assert!(
            matches!(&looked_up, LookedUp::Found(report) if report.outcome == Some(Outcome::Answered)),
            "{looked_up:?}"
        );
    }
}

#[tokio::test]
async fn what_the_provider_denies_or_does_not_know_is_not_found() {
    let mut scene = Scene::with_rules(&["*2=false_404"]).await;
    let denied = claimed(2, "+14155550102");
    let id = scene.placed(&denied).await;
    scene.hooks_to_the_end().await;
    let known = claimed(1, "+14155550101");
    scene.placed(&known).await;
    let stranger = claimed(3, "+14155550103").reference();
    for (dial, id) in [
        (denied.reference(), Some(id.as_str())),
        (denied.reference(), None),
        (known.reference(), Some("nobody")),
        (known.reference(), Some("../calls")),
        (stranger, None),
    ] {
        let looked_up = scene.look_up(dial, id).await;
        assert_eq!(looked_up, LookedUp::NotFound, "{dial} {id:?}");
    }
}

#[tokio::test]
async fn of_a_reference_that_rang_twice_the_answered_call_is_found() {
    let mut scene = Scene::with_rules(&["*=seq:completed/busy"]).await;
    let call = claimed(1, "+14155550101");
    let first = scene.placed(&call).await;
    scene.hooks_to_the_end().await;
    scene.placed(&call).await;
    scene.hooks_to_the_end().await;
    let LookedUp::Found(report) = scene.look_up(call.reference(), None).await else {
        panic!("not found");
    };
    assert_eq!(report.provider_call_id, Some(first));
    assert_eq!(report.outcome, Some(Outcome::Answered));
}

#[tokio::test]
async fn a_look_up_rings_nobody_and_a_wrong_key_proves_nothing() {
    let scene = Scene::new(|options| options.key = Some("key-7".into())).await;
    let dial = claimed(1, "+14155550101").reference();
    assert_eq!(scene.look_up(dial, None).await, LookedUp::NotFound);
    let stranger = HttpProvider::new(&scene.fake.url(), Some("key-8".into())).unwrap();
    for id in [None, Some("nobody")] {
        let error = stranger.look_up(dial, id).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused { status: 401, .. }),
            "{error}"
        );
    }
    assert_eq!(scene.rings(), []);
}

#[tokio::test]
async fn calls_since_a_time_are_listed_with_their_numbers_page_by_page() {
    let scene = Scene::new(|options| options.ring = Span::exactly(Duration::from_mins(1))).await;
    let long_ago = DateTime::from_timestamp(0, 0).unwrap();
    let call = claimed(1, "+14155550101");
    for _ in 1..=101 {
        scene.placed(&call).await;
    }
    let listed = scene.adapter.calls_since(long_ago).await.unwrap().unwrap();
    let ids: HashSet<_> = listed
        .iter()
        .map(|report| &report.provider_call_id)
        .collect();
    assert_eq!((listed.len(), ids.len()), (101, 101), "each once");
    for report in &listed {
        assert_eq!(report.reference, Some(call.reference().to_string()));
        assert_eq!(report.result["to"], "+14155550101");
    }
    let in_the_future = DateTime::from_timestamp(32_503_680_000, 0).unwrap();
    let listed = scene.adapter.calls_since(in_the_future).await.unwrap();
    assert_eq!(listed, Some(Vec::new()));
}
