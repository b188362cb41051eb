//! The callers: they enqueue over HTTP and SQL as long as the storm lasts, repeat what
//! was not answered under the same key, and remember what was accepted.

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
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{caller::Caller, stage::Stage};

/// Callers at a time.
const CALLERS: u32 = 24;
/// How long an answer may take before a caller asks again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What the fake provider does to some numbers. Each of these is rung for one call only.
#[derive(Debug)]
pub(crate) struct Marked {
    /// How such a number ends.
    pub(crate) digits: &'static str,
    /// Of a hundred requests so many.
    of_requests: u8,
    pub(crate) does: &'static str,
    /// Of a thousand calls so many.
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

    /// For the provider.
    pub(crate) fn rule(&self) -> String {
        format!("*{}&{}%={}", self.digits, self.of_requests, self.does)
    }
}

pub(crate) const MARKED: [Marked; 13] = [
    // Refused each time they would wait for longer than the calm: for five times 5 s doubled, and then
    // fail; for twenty times 1 s doubled.
    Marked::some("87", 50, "reject:403", 6),
    Marked::some("88", 20, "rate_limit:3", 10),
    Marked::some("89", 20, "reject:503", 10),
    Marked::all("90", "dup", 8),
    Marked::all("91", "reorder", 6),
    Marked::all("92", "early", 6),
    Marked::all("93", "late:3s", 4),
    // Found out by a look-up after two minutes: a retry that is lost again would never end.
    Marked::all("94", "lost,completed", 1),
    Marked::all("95", "slow:20s", 2),
    Marked::all("96", "error_after_accept", 4),
    Marked::all("97", "reset_after_accept", 4),
    Marked::all("98", "false_404,error_after_accept,late:8s", 3),
    Marked::all("99", "unknown_word,garbage", 4),
];

/// What the callers know.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Ids from answers of 201 and 200, and from committed transactions.
    pub(crate) accepted: BTreeSet<String>,
    /// By kind, of the accepted ones.
    pub(crate) marked: BTreeMap<&'static str, usize>,
    /// Event ids of our own webhooks that were answered 2xx.
    pub(crate) events: BTreeSet<String>,
    /// Cancels that were agreed to.
    pub(crate) cancels: usize,
    /// What must not be: one key, two ids.
    pub(crate) broken: Vec<String>,
}

/// The callers of one stage.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) known: Arc<Mutex<Known>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Load {
    /// Starts calling, so many calls in a second.
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
        let teller = tell(
            Arc::clone(stage),
            Arc::clone(&load.known),
            load.stop.clone(),
        );
        load.tasks.spawn_local(teller);
        load.tasks.close();
        load
    }

    /// Nobody calls any more; requests under way are repeated until they are answered.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Signed webhooks of our own, which say nothing new: what was answered 2xx must be kept.
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
