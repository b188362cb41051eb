//! A caller's system that is told of events: an HTTP server that checks every signature, remembers what it got, and
//! answers as the test says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Uri},
    response::Response,
};
use futures_util::future::BoxFuture;
use pgdial::provider::signature::{self, Secrets};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

/// One request that was signed as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub(crate) fn call(&self) -> &str {
        self.body["data"]["callId"].as_str().unwrap_or_default()
    }
}

type Answer = Arc<dyn Fn(Received) -> BoxFuture<'static, Response> + Send + Sync>;

/// Closed when dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    secret: Arc<Mutex<String>>,
    received: Arc<Mutex<Vec<Received>>>,
    _server: JoinSet<()>,
}

impl Receiver {
    /// Answers 204 to everything.
    pub(crate) async fn new() -> Self {
        Self::that(|_| Box::pin(async { status(204) })).await
    }

    pub(crate) async fn that(
        answer: impl Fn(Received) -> BoxFuture<'static, Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (secret, received) = (Arc::<Mutex<String>>::default(), Arc::default());
        let answer: Answer = Arc::new(answer);
        let (its_secret, kept) = (Arc::clone(&secret), Arc::clone(&received));
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let secret = its_secret.lock().unwrap().clone();
            let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            async move { take(&uri, &headers, &body, &secret, &kept, &answer).await }
        };
        let mut server = JoinSet::new();
        let router = Router::new().fallback(take);
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            secret,
            received,
            _server: server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks?from=pgdial", self.address)
    }

    /// What deliveries to it are signed with.
    pub(crate) fn expect(&self, secret: &str) {
        secret.clone_into(&mut self.secret.lock().unwrap());
    }

    /// What it has got, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn take(
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    secret: &str,
    kept: &Mutex<Vec<Received>>,
    answer: &Answer,
) -> Response {
    assert_eq!(uri.to_string(), "/hooks?from=pgdial");
    let secrets: Secrets = secret.parse().unwrap();
    let Ok(verified) = signature::verify(headers, body, &secrets) else {
        return status(401);
    };
    let received = Received {
        id: verified.event_id,
        body: serde_json::from_slice(body).unwrap(),
    };
    kept.lock().unwrap().push(received.clone());
    answer(received).await
}

/// A response without a body.
pub(crate) fn status(status: u16) -> Response {
    Response::builder()
        .status(status)
        .body(axum::body::Body::empty())
        .unwrap()
}
