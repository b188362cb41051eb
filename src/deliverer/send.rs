//! One request to one endpoint.
//!
//! Each has a connection of its own, to an address that was resolved and checked just before: a name may point anywhere
//! by the time it is asked again. Redirects are not followed, since they lead where nobody has checked.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tower::{Service, ServiceExt};

use crate::{
    domain::Networks,
    flow::{deliver::Delivery, delivered::Response},
    provider::{retry_after_seconds, signature, words},
};

/// Name resolution, connection and TLS handshake together.
const CONNECT: Duration = Duration::from_secs(5);
/// The same for one address, if there are others.
const CONNECT_ONE: Duration = Duration::from_secs(2);
/// A whole request: what Standard Webhooks recommends that receivers get.
pub(super) const WHOLE: Duration = Duration::from_secs(20);
/// Bytes kept of a response.
const KEPT: usize = 1000;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sends to endpoints.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// Without the system's certificates nothing goes out over https; the reason is each delivery's error.
    connector: Result<HttpsConnector<Checked>, String>,
}

impl Sender {
    pub(super) fn new(networks: Networks) -> Self {
        let checked = Checked(Arc::new(networks));
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map(|roots| roots.https_or_http().enable_http1().wrap_connector(checked))
            .map_err(|error| {
                format!("the system has no certificates to check others with: {error}")
            });
        Self { connector }
    }

    /// Posts a delivery, once; the response, or why there is none.
    pub(super) async fn send(&self, delivery: &Delivery) -> Result<Response, String> {
        let connector = self.connector.clone()?;
        match timeout(WHOLE, post(connector, delivery)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(words::chain(error.as_ref())),
            Err(_elapsed) => Err(format!("no response within {} s", WHOLE.as_secs())),
        }
    }
}

async fn post(
    connector: HttpsConnector<Checked>,
    delivery: &Delivery,
) -> Result<Response, BoxError> {
    let url: Uri = delivery.url.parse()?;
    let host = url.authority().ok_or("the URL has no host")?.as_str();
    let request: Request<Full<Bytes>> =
        Request::post(url.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, host)
            .header(
                header::USER_AGENT,
                concat!("pgdial/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header(signature::ID, &delivery.id)
            .header(signature::TIMESTAMP, delivery.signed_at)
            .header(signature::SIGNATURE, &delivery.signature)
            .body(Full::from(Bytes::copy_from_slice(delivery.body.as_bytes())))?;
    let stream = timeout(CONNECT, connector.oneshot(url)).await;
    let stream =
        stream.map_err(|_elapsed| format!("no connection within {} s", CONNECT.as_secs()))??;
    let (mut sender, connection) = http1::handshake(stream).await?;
    let mut connection = pin!(connection);
    let mut response = pin!(async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>(Response {
            status: head.status.as_u16(),
            retry_after_sec: retry_after(&head.headers),
            body: beginning(body).await,
        })
    });
    tokio::select! {
        biased;
        response = &mut response => return Ok(response?),
        // The connection has ended; what it read, or why it failed, waits in its channel.
        _ended = &mut connection => {}
    }
    Ok(response.await?)
}

fn retry_after(headers: &HeaderMap) -> Option<u32> {
    retry_after_seconds(headers, &Value::Null)
}

/// The beginning of a body as text that Postgres takes. The status has said what matters, so a body that breaks off or
/// dribbles is no failure.
async fn beginning(mut body: Incoming) -> String {
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut read = Vec::new();
    let reading = async {
        while read.len() < KEPT
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Some(data) = frame.data_ref() {
                read.extend(data.iter().take(KEPT - read.len()));
            }
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&read);
    let clean = text.chars().filter(|c| !c.is_control() || *c == '\n');
    clean.collect::<String>().trim().to_owned()
}

/// Connects only to addresses that may be connected to.
#[derive(Debug, Clone)]
struct Checked(Arc<Networks>);

impl Service<Uri> for Checked {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let networks = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = resolve(&url, &networks).await?;
            connect(&addresses).await.map(TokioIo::new)
        })
    }
}

/// The addresses of a URL. One that must not be connected to refuses them all: which of them is used would be chance.
async fn resolve(url: &Uri, networks: &Networks) -> Result<Vec<SocketAddr>, BoxError> {
    let is_plain = url.scheme_str() == Some("http");
    let host = url.host().ok_or("the URL has no host")?;
    let port = url.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
    // A literal address takes the same way as a name.
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((literal, port)).await;
    let found: Vec<_> = found
        .map_err(|error| format!("no address: {error}"))?
        .collect();
    for address in found.iter().map(SocketAddr::ip) {
        if !networks.allow(address) {
            return Err(format!(
                "refused: {address} is not on the public internet; PGDIAL_ENDPOINT_NETWORKS names networks that may be used"
            )
            .into());
        }
        if is_plain && !networks.contain(address) {
            return Err("refused: http:// is for networks that PGDIAL_ENDPOINT_NETWORKS names: others on the way could read numbers. Use https://".into());
        }
    }
    if found.is_empty() {
        return Err("no address".into());
    }
    Ok(found)
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, BoxError> {
    let mut last: BoxError = "no address".into();
    for (n, address) in addresses.iter().enumerate() {
        let limit = if n + 1 < addresses.len() {
            CONNECT_ONE
        } else {
            CONNECT
        };
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = format!("no connection: {error}").into(),
            Err(_elapsed) => last = "no connection in time".into(),
        }
    }
    Err(last)
}
