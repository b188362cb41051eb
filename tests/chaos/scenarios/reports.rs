//! What providers report at the wrong moment.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use super::{Played, comes, ensure, judge};
use crate::{
    proxy::Mode,
    setup::{Setup, TrunkSetup, words},
    stage::Stage,
};

fn number(at: usize) -> String {
    format!("+141555500{at:02}")
}

async fn count(stage: &Stage, condition: &str) -> usize {
    let sql = format!("select count(*) from pgdial.calls where {condition}");
    stage.text(&sql).await.parse().unwrap()
}

/// Canceled while ringing: never redialled, whether or not the provider agrees, and however the call ends.
pub(super) async fn canceled() -> Played {
    const ENDINGS: [&str; 8] = [
        "busy",
        "no_answer",
        "failed",
        "completed",
        "declined",
        "voicemail",
        "fault",
        "canceled",
    ];
    let rules: Vec<String> = ENDINGS
        .iter()
        .enumerate()
        .map(|(at, ending)| format!("*{at}={ending}"))
        .collect();
    let setup = Setup {
        provider: words(&["--ring", "4s", "--talk", "1s"]),
        ..Setup::small("canceled")
    };
    let setup = setup.rules(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    let stage = Stage::full(&setup).await;
    let http = reqwest::Client::new();
    let mut made = 0;
    for agrees in [true, false] {
        // At once: the first must not have ended when the last one rings.
        let numbers: Vec<String> = (0..ENDINGS.len()).map(number).collect();
        let ids = join_all(numbers.iter().map(|number| stage.enqueue(number))).await;
        made += ids.len();
        comes("all of them ring", Duration::from_secs(30), async || {
            count(&stage, "state = 'in_call'").await == ids.len()
        })
        .await?;
        // A provider that cannot be reached cannot agree: the calls end as they would have.
        stage.trunks[0]
            .proxy
            .set(if agrees { Mode::Pass } else { Mode::Refuse });
        for id in &ids {
            let url = format!("{}/api/v1/calls/{id}/cancel", stage.url());
            let answer = http.post(url).json(&json!({})).send().await.unwrap();
            ensure(answer.status().is_success(), || {
                format!("a live call was not cancelled: {}", answer.status())
            })?;
        }
        stage.until_all_over(Duration::from_mins(1)).await?;
        stage.trunks[0].proxy.set(Mode::Pass);
    }
    let rings = judge(&stage).await?;
    ensure(rings.count == made, || {
        format!("P1: {} rings for {made} cancelled calls", rings.count)
    })?;
    let others = count(&stage, "state not in ('canceled', 'completed')").await;
    ensure(others == 0, || {
        format!("{others} cancelled calls are neither canceled nor completed")
    })?;
    Ok(format!(
        "{made} calls cancelled while they rang, each rang once"
    ))
}

/// A person answers a dial that was given up: the retry does not ring them again.
pub(super) async fn late_answer() -> Played {
    // One provider reports the end before the answer; the other never responds, and reports only after the deadline
    // (1 s + 1 s + 2 min).
    let setup = Setup {
        trunks: vec![
            TrunkSetup::new("default", "none"),
            TrunkSetup::new("hint", "hint"),
        ],
        ..Setup::small("late-answer")
    };
    let stage =
        Stage::full(&setup.rules(&["*1?=fault,reorder", "*2?=error_after_accept,late:124s"])).await;
    stage
        .sql(
            "select pgdial.set_campaign('hint', '{\"faultBase\": \"3 seconds\"}');
             select pgdial.set_campaign('default', '{\"faultBase\": \"1 minute\", \"backoffCap\": \"1 minute\",
                 \"redialUnknown\": true, \"ringTimeout\": \"1 second\", \"maxDuration\": \"1 second\"}')",
        )
        .await;
    for at in 0..10 {
        let (early, given_up) = (number(10 + at), number(20 + at));
        stage
            .sql(&format!(
                "select pgdial.enqueue('{early}', 'chaos', p_campaign => 'hint')"
            ))
            .await;
        stage
            .sql(&format!(
                "select pgdial.enqueue('{given_up}', 'chaos', p_campaign => 'default')"
            ))
            .await;
    }
    comes(
        "the dials without a report are given up",
        Duration::from_secs(150),
        async || {
            count(
                &stage,
                "campaign = 'default' and state = 'waiting' and outcome = 'unknown'",
            )
            .await
                > 0
        },
    )
    .await?;
    stage.until_all_over(Duration::from_secs(150)).await?;
    let rings = judge(&stage).await?;
    ensure(rings.count == 20, || {
        format!("P1: {} rings for 20 calls that were answered", rings.count)
    })?;
    let completed = count(&stage, "state = 'completed' and outcome = 'answered'").await;
    ensure(completed == 20, || {
        format!("{completed} of 20 calls that were answered late are completed")
    })?;
    Ok("20 calls answered after their dial was given up, none rang again".to_owned())
}

/// The provider refuses but rings all the same. Once it shows that it rings, the number is held: neither a retry nor
/// another call rings it until the end.
pub(super) async fn late_progress() -> Played {
    let setup = Setup {
        provider: words(&["--ring", "3s", "--talk", "9s"]),
        ..Setup::small("late-progress")
    };
    // Put back for 9 s, which is less than it rings and talks, and more than a report takes on a slow disk; and settled
    // for good. The first report of the ring comes after the refusal.
    let rules = [
        "*1?=reject:503,retry_after:9,places_anyway,late:1s",
        "*2?=reject:422,places_anyway,late:1s",
    ];
    let stage = Stage::full(&setup.rules(&rules)).await;
    // Two of each, because three would make the trunk suspect.
    let numbers = [number(11), number(12), number(21), number(22)];
    for number in &numbers {
        stage.enqueue(number).await;
    }
    let told =
        "select count(distinct call_id) from pgdial.webhook_events where verdict = 'applied'";
    comes(
        "all show that they ring",
        Duration::from_secs(20),
        async || stage.text(told).await == numbers.len().to_string(),
    )
    .await?;
    for number in &numbers {
        stage.enqueue(number).await;
    }
    stage.until_all_over(Duration::from_mins(2)).await?;
    let rings = judge(&stage).await?;
    let calls = 2 * numbers.len();
    ensure(rings.count == calls, || {
        format!(
            "P1: {} rings for {calls} calls that rang when they were refused",
            rings.count
        )
    })?;
    let answered = count(&stage, "answered_at is not null").await;
    ensure(answered == calls, || {
        format!("we know of {answered} of {calls} calls that somebody answered")
    })?;
    Ok(format!("{calls} calls were refused and rang, each once"))
}

/// Every webhook arrives before the response to its dial, and ends the call.
pub(super) async fn early() -> Played {
    const CALLS: usize = 10;
    let stage = Stage::full(&Setup::small("early").rules(&["*=early"])).await;
    let answer_is_late = Mode::Delay(Duration::from_secs(20));
    for (at, mode) in [answer_is_late, Mode::LoseReply].into_iter().enumerate() {
        stage.trunks[0].proxy.set(mode);
        for nth in 0..CALLS {
            stage.enqueue(&number(at * CALLS + nth)).await;
        }
        let done = (at + 1) * CALLS;
        comes(
            "an early webhook ends its call",
            Duration::from_secs(12),
            async || count(&stage, "state = 'completed'").await == done,
        )
        .await?;
    }
    // The responses arrive, for calls that are over.
    sleep(Duration::from_secs(12)).await;
    let completed = count(&stage, "state = 'completed'").await;
    ensure(completed == 2 * CALLS, || {
        format!("only {completed} of {} are still completed", 2 * CALLS)
    })?;
    let rings = judge(&stage).await?;
    ensure(rings.count == 2 * CALLS, || {
        format!("P1: {} rings for {} calls", rings.count, 2 * CALLS)
    })?;
    Ok(format!(
        "{} calls ended by webhooks that came before the dial's answer",
        2 * CALLS
    ))
}
