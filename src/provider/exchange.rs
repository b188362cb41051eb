//! One request on one fresh connection, with its phases kept apart.
//!
//! What failed *before* the first byte was written certainly placed no call; what failed *after* may have. A client
//! with a pool, retries or redirects blurs that line, so this drives hyper's connection itself, from the future that
//! waits for the response: nothing runs in the background, and dropping the future closes the socket.

use std::{error::Error as StdError, pin::pin, time::Duration};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{self, Connection, SendRequest},
    rt::{Read, Write},
};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::timeout;
use tower::{Service, ServiceExt};

use super::{Deadline, Error, Stopwatch, answer::Answer, words};

/// Bytes read of a response to a dial. Some providers repeat the whole script in it, and a response that is not read
/// hides the call's id.
const LARGEST_BODY: usize = 1024 * 1024;
/// Bytes read of a response to a look-up. Reports contain transcripts, and one too large to read would hide how the
/// call ended.
const LARGEST_REPORTS: usize = 4 * 1024 * 1024;

/// Time limits of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name resolution, connection and TLS handshake together.
    pub connect: Duration,
    /// The whole request. A dial ends with its lease, if that is sooner.
    pub total: Duration,
}

impl Limits {
    /// Limits of every request, unless the platform's own client waits longer for a dial.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(30),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

type BoxError = Box<dyn StdError + Send + Sync>;

/// How far a request got.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The provider responded.
    Answered(Answer),
    /// Nothing was written: no address, no connection, no TLS.
    NotSent { why: String },
    /// The deadline passed before anything was written.
    Late,
    /// Bytes may have gone out, and no complete response came back.
    Lost { why: String },
}

/// Opens connections. For an http address TLS is left out altogether, so that a provider on this host can be reached
/// from an image without certificates.
#[derive(Debug, Clone)]
pub(super) enum Connector {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
}

impl Connector {
    pub(super) fn new(address: &Uri) -> Result<Self, Error> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        match address.scheme_str() {
            Some("http") => Ok(Self::Plain(tcp)),
            Some("https") => {
                tcp.enforce_http(false);
                let tls = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_native_roots()
                    .map_err(Error::NoRoots)?
                    .https_only()
                    .enable_http1()
                    .wrap_connector(tcp);
                Ok(Self::Tls(tls))
            }
            _ => Err(Error::BadAddress),
        }
    }

    /// Sends the request, once. Its URI is in absolute form.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limits: Limits,
        deadline: Option<Deadline>,
    ) -> Exchange {
        match self {
            Self::Plain(connector) => over(connector.clone(), request, limits, deadline).await,
            Self::Tls(connector) => over(connector.clone(), request, limits, deadline).await,
        }
    }
}

pub(super) async fn over<C>(
    connector: C,
    mut request: Request<Full<Bytes>>,
    limits: Limits,
    deadline: Option<Deadline>,
) -> Exchange
where
    C: Service<Uri, Error: Into<BoxError>, Response: Read + Write + Unpin>,
{
    let is_late = || deadline.is_some_and(|deadline| deadline.is_over());
    if is_late() {
        return Exchange::Late;
    }
    let begun = Stopwatch::start();
    let total = deadline.map_or(limits.total, |deadline| limits.total.min(deadline.left()));
    let opened = open(connector, request.uri().clone());
    let (sender, connection) = match timeout(limits.connect.min(limits.total), opened).await {
        Ok(Ok(parts)) => parts,
        Ok(Err(error)) => {
            let why = words::chain(error.as_ref());
            return Exchange::NotSent {
                why: format!("no connection: {why}"),
            };
        }
        Err(_elapsed) => {
            let why = format!("no connection within {}", spoken(limits.connect));
            return Exchange::NotSent { why };
        }
    };
    // The wire carries only the path; the host is in its header.
    *request.uri_mut() = origin_form(request.uri());
    let left = total.saturating_sub(begun.elapsed());
    // The last check: the first poll below writes, and there is no await in between.
    if is_late() {
        return Exchange::Late;
    }
    if left.is_zero() {
        let why = "the time was over before anything was sent".to_owned();
        return Exchange::NotSent { why };
    }
    match timeout(left, talk(sender, connection, request)).await {
        Ok(Ok(answer)) => Exchange::Answered(answer),
        Ok(Err(error)) => {
            let why = words::chain(error.as_ref());
            Exchange::Lost {
                why: format!("no answer: {why}"),
            }
        }
        Err(_elapsed) => {
            let why = if total < limits.total {
                "no answer within the lease of the dial".to_owned()
            } else {
                format!("no answer within {}", spoken(total))
            };
            Exchange::Lost { why }
        }
    }
}

type Parts<S> = (SendRequest<Full<Bytes>>, Connection<S, Full<Bytes>>);

/// A connection and hyper's state for it. Writes nothing of the request yet.
async fn open<C>(connector: C, uri: Uri) -> Result<Parts<C::Response>, BoxError>
where
    C: Service<Uri, Error: Into<BoxError>, Response: Read + Write + Unpin>,
{
    let stream = connector.oneshot(uri).await.map_err(Into::into)?;
    Ok(http1::handshake(stream).await?)
}

/// Writes the request and reads the whole response, driving the connection itself.
async fn talk<S>(
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<S, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, BoxError>
where
    S: Read + Write + Unpin,
{
    let mut connection = pin!(connection);
    let mut answer = pin!(receive(sender, request));
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        // The connection has ended; what it read, or why it failed, waits in its channel.
        _ended = &mut connection => {}
    }
    answer.await
}

async fn receive(
    mut sender: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, BoxError> {
    let largest = if request.method() == Method::GET {
        LARGEST_REPORTS
    } else {
        LARGEST_BODY
    };
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: read(body, largest).await?,
    })
}

async fn read(body: Incoming, largest: usize) -> Result<Bytes, BoxError> {
    match Limited::new(body, largest).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Ok(Bytes::new()),
        Err(error) => Err(error),
    }
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .map_or_else(Uri::default, |path| Uri::from(path.clone()))
}

fn spoken(limit: Duration) -> String {
    humantime::format_duration(limit).to_string()
}
