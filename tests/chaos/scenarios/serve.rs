//! Requests to processes that serve and work, whose workers rest: each is enqueued and claimed with one commit, and that is
//! when the process is killed, or its connection to Postgres breaks.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use super::{Played, comes, ensure};
use crate::{
    caller::post_once,
    faults::terminate_ours,
    load::{Known, PATIENCE},
    proxy::Mode,
    setup::Setup,
    stage::{Stage, get},
    storm::{CALM, Watch},
    verdict::Verdict,
};

const ROUNDS: usize = 60;
/// Until a worker that has nothing to do rests.
const TO_REST: Duration = Duration::from_millis(300);
/// How long a process may take to reach a crash point.
const TO_COME_BY: Duration = Duration::from_secs(2);

/// What happens to requests on their way.
#[derive(Debug, Clone, Copy)]
enum Blow {
    None,
    /// The reply to the commit.
    ReplyLost,
    Cut,
    Killed,
    Crash(&'static str),
    BackendsTerminated,
    PostgresRestart,
    PostgresCrash,
}

const BLOWS: [Blow; 12] = [
    Blow::None,
    Blow::ReplyLost,
    Blow::ReplyLost,
    Blow::ReplyLost,
    Blow::Cut,
    Blow::Cut,
    Blow::Killed,
    Blow::Crash("claimed"),
    Blow::Crash("dialed"),
    Blow::BackendsTerminated,
    Blow::PostgresRestart,
    Blow::PostgresCrash,
];

const TOGETHER: &str =
    "select count(*) from pgdial.call_events w join pgdial.call_events a using (call_id, xid)
    where w.kind = 'waiting' and a.kind = 'active'";

pub(super) async fn play(seed: u64) -> Played {
    let setup = Setup {
        apis: 2,
        apis_dial: true,
        workers: 0,
        ..Setup::small("serve")
    };
    let stage = Arc::new(Stage::new(&setup).await);
    let watch = Watch::start(&stage);
    // Each request on a connection of its own, so that the processes take turns.
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let (mut rng, mut known) = (StdRng::seed_from_u64(seed), Known::default());
    let ready = format!("{}/readyz", stage.url());
    for round in 0..ROUNDS {
        comes("both are ready", Duration::from_mins(1), async || {
            get(&ready).await.is_some() && get(&ready).await.is_some()
        })
        .await?;
        sleep(TO_REST).await;
        let blow = *BLOWS.choose(&mut rng).unwrap();
        // Two, so that workers also meet at the gate.
        let ask = |which: usize| {
            let call = json!({"to": format!("+1415555{round:02}{which:02}"), "scriptId": "chaos"});
            let (http, stage, once) = (&http, &stage, format!("{round}-{which}"));
            async move { post_once(http, stage, call, &once).await }
        };
        let (one, other, ()) = tokio::join!(ask(1), ask(2), strike(&stage, blow, &mut rng));
        stage.network.set(Mode::Pass);
        known.accepted.extend(one.into_iter().chain(other));
    }
    let drained = stage.until_all_over(CALM).await;
    stage.until_silent().await;
    let mut verdict = Verdict::of(&stage, &known, watch.finish().await).await;
    verdict.broken.extend(drained.err());
    if let Some(broken) = verdict.broken().first() {
        return Err(broken.clone());
    }
    let (calls, together) = (verdict.calls, stage.text(TOGETHER).await);
    let said = format!("{together} of {calls} calls were claimed by the commit that enqueued them");
    ensure(3 * together.parse::<usize>().unwrap() > calls, || {
        format!("only {said}: does something else keep the machine busy?")
    })?;
    Ok(said)
}

/// Returns when it is over, but for what the network does until it is told otherwise.
async fn strike(stage: &Stage, blow: Blow, rng: &mut StdRng) {
    let soon = sleep(Duration::from_millis(rng.random_range(0..60)));
    match blow {
        Blow::None => {}
        Blow::ReplyLost => stage.network.set(Mode::LoseReply),
        Blow::Cut => stage
            .network
            .set(Mode::CutAfter(rng.random_range(1..4_000))),
        Blow::Crash(point) => {
            let orders = stage.apis.iter();
            join_all(orders.map(|api| api.order(point, "kill", TO_COME_BY))).await;
        }
        Blow::Killed => {
            soon.await;
            for api in &stage.apis {
                api.signal(Signal::KILL);
            }
        }
        Blow::BackendsTerminated => {
            soon.await;
            terminate_ours(&stage.postgres).await.unwrap();
        }
        Blow::PostgresRestart => {
            soon.await;
            stage.postgres.restart().await;
        }
        Blow::PostgresCrash => {
            soon.await;
            stage.postgres.crash().await;
        }
    }
}
