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
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{postgres, stage::Stage};

/// Callers at a time.
const CALLERS: u32 = 24;
/// Numbers that everybody rings again and again.
const NUMBERS: u32 = 1_200;
/// How long an answer may take before a caller asks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long a caller repeats a request after the storm.
const REPEAT_FOR: Duration = Duration::from_secs(40);

/// Faults that the fake provider has for some numbers: the last two digits, the rule, the
/// share of the calls in thousandths. Each of these numbers is rung for one call only.
pub(crate) const MARKED: [(&str, &str, u32); 10] = [
    ("90", "dup", 8),
    ("91", "reorder", 6),
    ("92", "early", 6),
    ("93", "late:3s", 4),
    ("94", "lost", 1),
    ("95", "slow:20s", 2),
    ("96", "error_after_accept", 4),
    ("97", "reset_after_accept", 4),
    ("98", "false_404,error_after_accept,late:8s", 3),
    ("99", "unknown_word,garbage", 4),
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

struct Caller {
    stage: Arc<Stage>,
    known: Arc<Mutex<Known>>,
    stop: CancellationToken,
    name: u32,
    rng: StdRng,
    http: reqwest::Client,
    made: u64,
}

/// One call that somebody wants.
struct Wish {
    body: Value,
    key: String,
    mark: Option<&'static str>,
}

impl Caller {
    async fn run(mut self, pause: Duration) {
        let mut next = Instant::now();
        while !self.stop.is_cancelled() {
            let many = if self.rng.random_ratio(1, 40) { 5 } else { 1 };
            let wishes: Vec<Wish> = (0..many).map(|_| self.wish()).collect();
            // After an outage the callers catch up, within limits.
            next = next.max(Instant::now() - Duration::from_secs(20)) + pause * many;
            match self.rng.random_range(0..10) {
                0 => self.enqueue_by_sql(&wishes).await,
                _ if many > 1 => self.post_batch(&wishes).await,
                _ => self.post(&wishes[0]).await,
            }
            sleep_until(next).await;
        }
    }

    fn wish(&mut self) -> Wish {
        self.made += 1;
        let key = format!("caller-{}-{}", self.name, self.made);
        let mut draw = self.rng.random_range(0..1_000);
        let mark = MARKED.iter().find(|(_, _, share)| {
            let hit = draw < *share;
            draw = draw.wrapping_sub(*share);
            hit
        });
        let number = if let Some((digits, _, _)) = mark {
            format!("+1415{:02}{:04}{digits}", self.name, self.made % 10_000)
        } else {
            let of_all = self.rng.random_range(0..NUMBERS);
            format!("+14159{:04}{:02}", of_all / 80, of_all % 80)
        };
        let trunks = &self.stage.trunks;
        let campaign = trunks[self.rng.random_range(0..trunks.len())].name;
        let priority = if self.rng.random_ratio(1, 20) { 5 } else { 0 };
        Wish {
            body: json!({"to": number, "scriptId": "chaos", "campaign": campaign, "priority": priority}),
            key,
            mark: mark.map(|(_, rule, _)| *rule),
        }
    }

    /// Repeats until it is done, or nobody is expected to answer any more.
    async fn insist<T>(&self, mut attempt: impl AsyncFnMut() -> Option<T>) -> Option<T> {
        let mut stopped: Option<Instant> = None;
        loop {
            if let Some(done) = attempt().await {
                return Some(done);
            }
            if self.stop.is_cancelled()
                && stopped.get_or_insert_with(Instant::now).elapsed() > REPEAT_FOR
            {
                return None;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn post(&mut self, wish: &Wish) {
        let url = format!("{}/api/v1/calls", self.stage.url());
        let request = || {
            let request = self.http.post(&url).header("idempotency-key", &wish.key);
            request.json(&wish.body).send()
        };
        let posted = self.insist(async || {
            let answer = request().await.ok()?;
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.ok()?;
            matches!(status, 200 | 201).then(|| body["id"].as_str().map(str::to_owned))?
        });
        let Some(id) = posted.await else { return };
        self.accept(&id, wish);
        if self.rng.random_ratio(1, 30) {
            self.repeat(request().await.ok(), &id).await;
        }
        if self.rng.random_ratio(1, 50) {
            sleep(Duration::from_millis(self.rng.random_range(0..500))).await;
            let canceled = self.http.post(format!("{url}/{id}/cancel")).send().await;
            if canceled.is_ok_and(|answer| answer.status().is_success()) {
                lock(&self.known).cancels += 1;
            }
        }
    }

    /// The same key again: the same call.
    async fn repeat(&self, answer: Option<reqwest::Response>, id: &str) {
        let Some(answer) = answer.filter(|answer| answer.status().is_success()) else {
            return;
        };
        if let Ok(body) = answer.json::<Value>().await
            && body["id"] != id
        {
            lock(&self.known).broken.push(format!(
                "one idempotency key, two calls: {id} and {}",
                body["id"]
            ));
        }
    }

    async fn post_batch(&self, wishes: &[Wish]) {
        let url = format!("{}/api/v1/calls/batch", self.stage.url());
        let items: Vec<Value> = wishes.iter().map(Wish::with_key).collect();
        let posted = self.insist(async || {
            let answer = self.http.post(&url).json(&items).send().await.ok()?;
            let results: Vec<Value> = answer.error_for_status().ok()?.json().await.ok()?;
            let ids: Vec<String> = results
                .iter()
                .filter_map(|r| r["id"].as_str().map(str::to_owned))
                .collect();
            (ids.len() == wishes.len()).then_some(ids)
        });
        for (id, wish) in posted.await.unwrap_or_default().iter().zip(wishes) {
            self.accept(id, wish);
        }
    }

    /// In a transaction of the caller's own. Only an answered commit counts.
    async fn enqueue_by_sql(&self, wishes: &[Wish]) {
        let committed = self.insist(async || {
            timeout(PATIENCE, async {
                let mut connection = self.stage.through_the_network().await.ok()?;
                postgres::run(&mut connection, "begin").await.ok()?;
                let mut ids = Vec::new();
                for wish in wishes {
                    let (to, campaign) = (wish.body["to"].as_str()?, wish.body["campaign"].as_str()?);
                    let sql = format!(
                        "pgdial.enqueue('{to}', 'chaos', p_campaign => '{campaign}', p_idempotency_key => '{}')",
                        wish.key
                    );
                    ids.push(postgres::text(&mut connection, &sql).await.ok()?);
                }
                postgres::run(&mut connection, "commit").await.ok()?;
                Some(ids)
            })
            .await
            .ok()?
        });
        for (id, wish) in committed.await.unwrap_or_default().iter().zip(wishes) {
            self.accept(id, wish);
        }
    }

    fn accept(&self, id: &str, wish: &Wish) {
        let mut known = lock(&self.known);
        known.accepted.insert(id.to_owned());
        if let Some(mark) = wish.mark {
            *known.marked.entry(mark).or_default() += 1;
        }
    }
}

impl Wish {
    fn with_key(&self) -> Value {
        let mut item = self.body.clone();
        item["idempotencyKey"] = json!(self.key);
        item
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
