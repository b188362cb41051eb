//! The fake provider over real HTTP, with the real adapter in front of it and a real
//! receiver behind it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use pgdial::{
    domain::{ClaimedCall, Outcome, Placement, Refusal, ReportKind},
    provider::{
        Cancellation, Deadline, Order, Provider, Stopwatch,
        client::Limits,
        http::HttpProvider,
        protocol,
        signature::{self, Secrets},
        tag,
    },
};
use pgdial_fake_provider::{Ending, Error, FakeOptions, FakeProvider, Scheme, Span, ledger};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

mod look_ups;
mod requests;
mod webhooks;

/// One webhook as it came in.
#[derive(Debug)]
struct Hook {
    headers: HeaderMap,
    body: Bytes,
}

impl Hook {
    fn status(&self) -> String {
        protocol::read_report(&self.body).status.unwrap_or_default()
    }

    fn is_last(&self) -> bool {
        protocol::read_report(&self.body).kind == ReportKind::Ended
    }
}

#[derive(Debug, Clone)]
struct Receiver {
    hooks: mpsc::UnboundedSender<Hook>,
    /// So many webhooks are refused before one is accepted.
    refusals: Arc<AtomicUsize>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.hooks.send(Hook { headers, body }).unwrap();
    let left = receiver
        .refusals
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
    if left.is_ok() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::NO_CONTENT
    }
}

/// A fake provider, somebody who listens to it, and the adapter that talks to it.
struct Scene {
    fake: FakeProvider,
    adapter: HttpProvider,
    hooks: mpsc::UnboundedReceiver<Hook>,
    refusals: Arc<AtomicUsize>,
    public_url: String,
    _receiver: AbortOnDropHandle<()>,
    _folder: TempDir,
}

const CLAIMED: &str = "0197f5e0-0000-7000-8000-00000000000";

const SECRET: &str = "supersecret";

fn secrets() -> Secrets {
    SECRET.parse().unwrap()
}

fn claimed(digit: u8, number: &str) -> ClaimedCall {
    serde_json::from_value(json!({
        "id": format!("{CLAIMED}{digit}"), "claim_no": 1, "attempt": 1, "phone": number,
        "from_number": null, "script_id": "welcome", "metadata": {}, "trunk": "default",
        "campaign": "default", "lease_until": "2999-01-01T00:00:00Z", "lease_sec": 60,
        "ring_timeout_sec": 60, "max_duration_sec": 1800
    }))
    .unwrap()
}

impl Scene {
    async fn new(change: impl FnOnce(&mut FakeOptions)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = FakeOptions::new(folder.path().join("ledger.jsonl"), SECRET);
        options.ring = Span::exactly(Duration::from_millis(5));
        options.talk = Span::exactly(Duration::from_millis(5));
        change(&mut options);
        let key = options.key.clone();
        let fake = FakeProvider::start(options).await.unwrap();
        let (sender, hooks) = mpsc::unbounded_channel();
        let refusals = Arc::new(AtomicUsize::new(0));
        let state = Receiver {
            hooks: sender,
            refusals: Arc::clone(&refusals),
        };
        let router = Router::new()
            .route("/callbacks/call-status/{*dial}", post(receive))
            .with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public_url = format!("http://{}", listener.local_addr().unwrap());
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            adapter: HttpProvider::new(&fake.url(), key).unwrap(),
            fake,
            hooks,
            refusals,
            public_url,
            _receiver: AbortOnDropHandle::new(serving),
            _folder: folder,
        }
    }

    async fn with_rules(rules: &[&str]) -> Self {
        Self::new(|options| {
            options.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        })
        .await
    }

    async fn place(&self, call: &ClaimedCall) -> Placement {
        let order = Order {
            call,
            webhook_url: tag::webhook_url(
                &self.public_url,
                &call.trunk,
                call.reference(),
                &secrets(),
            ),
            deadline: Deadline::of_claim(Stopwatch::start(), Duration::from_mins(1)),
        };
        self.adapter.place(order).await
    }

    async fn placed(&self, call: &ClaimedCall) -> String {
        match self.place(call).await {
            Placement::Placed { provider_call_id } => provider_call_id,
            other => panic!("not placed: {other:?}"),
        }
    }

    async fn hook(&mut self) -> Hook {
        let wait = tokio::time::timeout(Duration::from_secs(20), self.hooks.recv());
        wait.await.unwrap().unwrap()
    }

    /// Webhooks up to the first that tells the end.
    async fn hooks_to_the_end(&mut self) -> Vec<Hook> {
        let mut all = Vec::new();
        while all.last().is_none_or(|hook: &Hook| !hook.is_last()) {
            all.push(self.hook().await);
        }
        all
    }

    async fn statuses(&mut self) -> Vec<String> {
        self.hooks_to_the_end()
            .await
            .iter()
            .map(Hook::status)
            .collect()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = reqwest::get(format!("{}{path}", self.fake.url()))
            .await
            .unwrap();
        let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
        (status, response.json().await.unwrap_or_default())
    }

    fn rings(&self) -> Vec<ledger::Interval> {
        ledger::read(self.fake.ledger()).unwrap()
    }
}
