//! A worker is stopped between claim and dial until its call has been given to another.

use std::time::Duration;

use rustix::process::Signal;

use super::{Played, comes, ensure, judge, rings};
use crate::{
    setup::{Setup, words},
    stage::Stage,
};

const NUMBER: &str = "+14155550001";
/// The lease, plus the third time that an authoritative provider does not know the dial.
const GIVEN_UP: Duration = Duration::from_secs(200);

pub(super) async fn play() -> Played {
    // It rings for 10 s and reports nothing for 8, long enough for the sleeper to wake while the row is dialing under
    // the next claim.
    let setup = Setup {
        provider: words(&["--ring", "1s", "--talk", "9s"]),
        ..Setup::small("stopped")
    };
    let mut stage = Stage::new(&setup.rules(&["*=slow:8s,late:9s"])).await;
    stage.start_worker().await;
    let patience = Duration::from_secs(20);
    let (stopped, call) = tokio::join!(
        stage.workers[0].order("claimed", "stop", patience),
        stage.enqueue(NUMBER)
    );
    ensure(stopped, || {
        "the worker never came to the point between claim and dial".to_owned()
    })?;
    stage.start_worker().await;
    let other = stage.enqueue(NUMBER).await;

    let (first, second) = (format!("{call}-1"), format!("{call}-2"));
    let rang = |reference: &str| rings(&stage).iter().any(|ring| ring.reference == reference);
    comes(
        "the other worker dials the call again",
        GIVEN_UP,
        async || rang(&second),
    )
    .await?;
    stage.workers[0].signal(Signal::CONT);

    stage.until_all_over(Duration::from_mins(2)).await?;
    let judged = judge(&stage).await;
    ensure(!rang(&first), || {
        format!("P1: the dial of the resumed worker rang ({first})")
    })?;
    let judged = judged?;
    ensure(judged.count == 2, || {
        format!("P1: {} rings for two calls", judged.count)
    })?;
    for id in [call, other] {
        let ended = stage.state(&id).await;
        ensure(ended == "completed", || {
            format!("P2: a call ended as {ended}")
        })?;
    }
    Ok("the resumed worker rang nobody, both calls are completed".to_owned())
}
