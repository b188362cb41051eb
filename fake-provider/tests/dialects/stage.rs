//! A fake provider, and an endpoint that receives its webhooks.

use std::net::SocketAddr;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap};
use pgdial_fake_provider::{FakeOptions, FakeProvider, Span, Speak};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

pub(crate) const KEY: &str = "key_of_the_account";
pub(crate) const SECRET: &str = "secret_of_the_webhooks";

/// A received webhook.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The fields of a form.
    pub(crate) fn form(&self) -> Value {
        let fields = form_urlencoded::parse(&self.body);
        fields
            .map(|(name, value)| (name.into_owned(), Value::from(value)))
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// The two, and a client.
pub(crate) struct Stage {
    pub(crate) fake: FakeProvider,
    pub(crate) client: reqwest::Client,
    pub(crate) webhook_url: String,
    received: mpsc::UnboundedReceiver<Received>,
    /// Ends with the stage.
    _endpoint: JoinSet<std::io::Result<()>>,
    _folder: TempDir,
}

impl Stage {
    /// Calls ring and last for a moment, and end as these rules say. The account has the stage's webhook URL.
    pub(crate) async fn new(speak: Speak, rules: &[&str]) -> Self {
        Self::with(speak, rules, |_| {}).await
    }

    /// Calls are answered by machines, which talk for three seconds.
    pub(crate) async fn of_machines(speak: Speak) -> Self {
        let talk = Span::exactly(std::time::Duration::from_secs(3));
        Self::with(speak, &["*=voicemail"], |options| options.talk = talk).await
    }

    /// One with other options as well.
    pub(crate) async fn with(
        speak: Speak,
        rules: &[&str],
        change: impl FnOnce(&mut FakeOptions),
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let address = listen(sender, &mut tasks).await;
        let webhook_url = format!("http://{address}/hooks");
        let mut options = FakeOptions::new(folder.path().join("ledger.jsonl"), SECRET);
        options.speak = speak;
        options.key = Some(KEY.into());
        options.webhook_url = Some(webhook_url.parse().unwrap());
        options.ring = Span::exactly(std::time::Duration::from_millis(5));
        options.talk = Span::exactly(std::time::Duration::from_millis(5));
        options.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        change(&mut options);
        Self {
            fake: FakeProvider::start(options).await.unwrap(),
            client: reqwest::Client::new(),
            webhook_url,
            received,
            _endpoint: tasks,
            _folder: folder,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.fake.url())
    }

    /// A POST with the account's key as a bearer.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(self.url(path)).bearer_auth(KEY);
        answer(request.json(body)).await
    }

    /// The next webhook.
    pub(crate) async fn webhook(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }
}

/// Status and body; null if it has none.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A file of `tests/providers`.
pub(crate) fn documented(file: &str) -> Value {
    serde_json::from_str(&documented_text(file)).unwrap()
}

/// One that is not JSON.
pub(crate) fn documented_text(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/providers");
    std::fs::read_to_string(format!("{folder}/{file}")).unwrap()
}

async fn listen(
    sender: mpsc::UnboundedSender<Received>,
    tasks: &mut JoinSet<std::io::Result<()>>,
) -> SocketAddr {
    let receive = async |State(sender): State<mpsc::UnboundedSender<Received>>,
                         headers: HeaderMap,
                         body: Bytes| {
        drop(sender.send(Received { headers, body }));
    };
    let router = Router::new().fallback(receive).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async { axum::serve(listener, router).await });
    address
}
