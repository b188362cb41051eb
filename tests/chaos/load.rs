//! The callers: they enqueue over HTTP and SQL throughout the storm, repeat requests without a response under the
//! same key, and remember what was accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pgdial::{
    domain::Reference,
    provider::{
        signature::{Secrets, sign_plain},
        tag,
    },
};
use pgdial_fake_provider::Speak;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{caller::Caller, stage::Stage};

/// Concurrent callers.
const CALLERS: u32 = 24;
/// How long a response may take before a caller repeats its request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What the fake provider does to some numbers. Each of these is used by one call only.
#[derive(Debug)]
pub(crate) struct Marked {
    /// How such a number ends.
    pub(crate) digits: &'static str,
    /// Per cent of requests to it that are affected.
    of_requests: u8,
    pub(crate) does: &'static str,
    /// Calls per thousand that use such a number.
    pub(crate) share: u32,
}

impl Marked {
    const fn all(digits: &'static str, does: &'static str, share: u32) -> Self {
        Self {
            digits,
            of_requests: 100,
            does,
            share,
        }
    }

    const fn some(digits: &'static str, of_requests: u8, does: &'static str, share: u32) -> Self {
        Self {
            of_requests,
            ..Self::all(digits, does, share)
        }
    }

    /// As an argument of the fake provider.
    pub(crate) fn rule(&self) -> String {
        format!("*{}&{}%={}", self.digits, self.of_requests, self.does)
    }
}

pub(crate) const MARKED: [Marked; 13] = [
    // Refused every time, they would outlast the calm: five times 5 s, doubling, and then they fail; or twenty times
    // 1 s, doubling.
    Marked::some("87", 50, "reject:403", 6),
    Marked::some("88", 20, "rate_limit:3", 10),
    Marked::some("89", 20, "reject:503", 10),
    Marked::all("90", "dup", 8),
    Marked::all("91", "reorder", 6),
    Marked::all("92", "early", 6),
    Marked::all("93", "late:3s", 4),
    // Found by a look-up after two minutes: a retry that is lost again would never end.
    Marked::all("94", "lost,completed", 1),
    Marked::all("95", "slow:20s", 2),
    Marked::all("96", "error_after_accept", 4),
    Marked::all("97", "reset_after_accept", 4),
    Marked::all("98", "false_404,error_after_accept,late:8s", 3),
    Marked::all("99", "unknown_word,garbage", 4),
];

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Ids from 201 and 200 responses, and from committed transactions.
    pub(crate) accepted: BTreeSet<String>,
    /// Accepted calls by kind.
    pub(crate) marked: BTreeMap<&'static str, usize>,
    /// Event ids of our own webhooks that were acknowledged with 2xx.
    pub(crate) events: BTreeSet<String>,
    /// Cancels that were agreed to.
    pub(crate) cancels: usize,
    /// What must never happen: one key, two ids.
    pub(crate) broken: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) known: Arc<Mutex<Known>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Load {
    /// Starts calling, at this rate.
    pub(crate) fn start(stage: &Arc<Stage>, seed: u64, per_second: f64) -> Self {
        let load = Self {
            known: Arc::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        for at in 0..CALLERS {
            let caller = Caller {
                stage: Arc::clone(stage),
                known: Arc::clone(&load.known),
                stop: load.stop.clone(),
                name: at,
                rng: StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(at.into())),
                http: reqwest::Client::builder()
                    .timeout(PATIENCE)
                    .build()
                    .unwrap(),
                made: 0,
            };
            let pause = Duration::from_secs_f64(f64::from(CALLERS) / per_second);
            load.tasks.spawn_local(caller.run(pause));
        }
        // It signs as pgdial's own protocol does.
        if stage.speak == Speak::Http {
            let teller = tell(
                Arc::clone(stage),
                Arc::clone(&load.known),
                load.stop.clone(),
            );
            load.tasks.spawn_local(teller);
        }
        load.tasks.close();
        load
    }

    /// No new requests; those under way are repeated until they get a response.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Signed webhooks of our own that report nothing new: those acknowledged with 2xx must be stored.
async fn tell(stage: Arc<Stage>, known: Arc<Mutex<Known>>, stop: CancellationToken) {
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let secrets: Vec<Secrets> = stage
        .trunks
        .iter()
        .map(|trunk| trunk.secret.parse().unwrap())
        .collect();
    let mut number = 0_usize;
    while stop
        .run_until_cancelled(sleep(Duration::from_millis(150)))
        .await
        .is_some()
    {
        let Some(call) = lock(&known).accepted.iter().nth(number).cloned() else {
            continue;
        };
        let trunk = &stage.trunks[number % stage.trunks.len()];
        let secrets = &secrets[number % stage.trunks.len()];
        let reference: Reference = format!("{call}-1").parse().unwrap();
        let event = format!("told-{number}");
        let body = json!({"callId": event, "eventId": event, "status": "HUMMING"}).to_string();
        let url = tag::webhook_url(&stage.url(), trunk.name, reference, secrets);
        let request = http
            .post(url)
            .header("x-signature", sign_plain(secrets, body.as_bytes()));
        let answer = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            lock(&known).events.insert(event);
        }
        number += 1;
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
