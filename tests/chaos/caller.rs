//! A caller: enqueues over HTTP and SQL, and repeats requests that got no response.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    load::{Known, MARKED, Marked, PATIENCE, lock},
    postgres,
    stage::Stage,
};

/// Numbers shared by all callers, each rung repeatedly.
const NUMBERS: u32 = 1_200;
/// How long a caller repeats a request after the storm.
const REPEAT_FOR: Duration = Duration::from_secs(40);

pub(crate) struct Caller {
    pub(crate) stage: Arc<Stage>,
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) stop: CancellationToken,
    pub(crate) name: u32,
    pub(crate) rng: StdRng,
    pub(crate) http: reqwest::Client,
    /// Calls requested so far.
    pub(crate) made: u64,
}

struct CallRequest {
    body: Value,
    key: String,
    mark: Option<&'static str>,
}

impl Caller {
    /// Requests a call after each pause, until told to stop.
    pub(crate) async fn run(mut self, pause: Duration) {
        let mut next = Instant::now();
        while !self.stop.is_cancelled() {
            let many = if self.rng.random_ratio(1, 40) { 5 } else { 1 };
            let requests: Vec<CallRequest> = (0..many).map(|_| self.next_request()).collect();
            // After an outage callers catch up, within limits.
            next = next.max(Instant::now() - Duration::from_secs(20)) + pause * many;
            match self.rng.random_range(0..10) {
                0 => self.enqueue_by_sql(&requests).await,
                1 | 2 if many == 1 => self.post_once(&requests[0]).await,
                _ if many > 1 => self.post_batch(&requests).await,
                _ => self.post(&requests[0]).await,
            }
            sleep_until(next).await;
        }
    }

    fn next_request(&mut self) -> CallRequest {
        self.made += 1;
        let key = format!("caller-{}-{}", self.name, self.made);
        let mut draw = self.rng.random_range(0..1_000);
        let mark = MARKED.iter().find(|mark| {
            let hit = draw < mark.share;
            draw = draw.wrapping_sub(mark.share);
            hit
        });
        let number = if let Some(Marked { digits, .. }) = mark {
            format!("+14{:02}5{:04}{digits}", self.name, self.made % 10_000)
        } else {
            let of_all = self.rng.random_range(0..NUMBERS);
            format!("+14159{:04}{:02}", of_all / 80, of_all % 80)
        };
        let trunks = &self.stage.trunks;
        let campaign = trunks[self.rng.random_range(0..trunks.len())].name;
        let priority = if self.rng.random_ratio(1, 20) { 5 } else { 0 };
        CallRequest {
            body: json!({"to": number, "scriptId": "chaos", "campaign": campaign, "priority": priority}),
            key,
            mark: mark.map(|mark| mark.does),
        }
    }

    /// Repeats until it succeeds, or no response is expected any more.
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

    async fn post(&mut self, wanted: &CallRequest) {
        let url = format!("{}/api/v1/calls", self.stage.url());
        let request = || {
            let request = self.http.post(&url).header("idempotency-key", &wanted.key);
            request.json(&wanted.body).send()
        };
        let posted = self.insist(async || {
            let answer = request().await.ok()?;
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.ok()?;
            matches!(status, 200 | 201).then(|| body["id"].as_str().map(str::to_owned))?
        });
        let Some(id) = posted.await else { return };
        self.accept(&id, wanted);
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

    async fn post_once(&self, wanted: &CallRequest) {
        if let Some(id) = post_once(&self.http, &self.stage, wanted.body.clone(), &wanted.key).await
        {
            self.accept(&id, wanted);
        }
    }

    /// The same key again must return the same call.
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

    async fn post_batch(&self, requests: &[CallRequest]) {
        let url = format!("{}/api/v1/calls/batch", self.stage.url());
        let items: Vec<Value> = requests.iter().map(CallRequest::with_key).collect();
        let posted = self.insist(async || {
            let answer = self.http.post(&url).json(&items).send().await.ok()?;
            let results: Vec<Value> = answer.error_for_status().ok()?.json().await.ok()?;
            let ids: Vec<String> = results
                .iter()
                .filter_map(|r| r["id"].as_str().map(str::to_owned))
                .collect();
            (ids.len() == requests.len()).then_some(ids)
        });
        for (id, wanted) in posted.await.unwrap_or_default().iter().zip(requests) {
            self.accept(id, wanted);
        }
    }

    /// In a transaction of the caller's own. Only a confirmed commit counts.
    async fn enqueue_by_sql(&self, requests: &[CallRequest]) {
        let committed = self.insist(async || {
            timeout(PATIENCE, async {
                let mut connection = self.stage.through_the_network().await.ok()?;
                postgres::run(&mut connection, "begin").await.ok()?;
                let mut ids = Vec::new();
                for wanted in requests {
                    let (to, campaign) = (wanted.body["to"].as_str()?, wanted.body["campaign"].as_str()?);
                    let sql = format!(
                        "pgdial.enqueue('{to}', 'chaos', p_campaign => '{campaign}', p_idempotency_key => '{}')",
                        wanted.key
                    );
                    ids.push(postgres::text(&mut connection, &sql).await.ok()?);
                }
                postgres::run(&mut connection, "commit").await.ok()?;
                Some(ids)
            })
            .await
            .ok()?
        });
        for (id, wanted) in committed.await.unwrap_or_default().iter().zip(requests) {
            self.accept(id, wanted);
        }
    }

    fn accept(&self, id: &str, wanted: &CallRequest) {
        let mut known = lock(&self.known);
        known.accepted.insert(id.to_owned());
        if let Some(mark) = wanted.mark {
            *known.marked.entry(mark).or_default() += 1;
        }
    }
}

/// Without a key, and so without a repetition: whatever becomes of it, it is one call at most. Returns the id of a call
/// that was accepted.
pub(crate) async fn post_once(
    http: &reqwest::Client,
    stage: &Stage,
    mut call: Value,
    once: &str,
) -> Option<String> {
    call["metadata"] = json!({"once": once});
    let url = format!("{}/api/v1/calls", stage.url());
    let answer = http.post(url).json(&call).send().await.ok()?;
    let body: Value = answer.error_for_status().ok()?.json().await.ok()?;
    body["id"].as_str().map(str::to_owned)
}

impl CallRequest {
    fn with_key(&self) -> Value {
        let mut item = self.body.clone();
        item["idempotencyKey"] = json!(self.key);
        item
    }
}
