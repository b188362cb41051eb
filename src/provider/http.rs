//! The generic adapter: any provider that speaks the protocol over HTTP.
//!
//! `POST {address}/api/v1/calls` places, `POST {address}/api/v1/calls/{id}/cancel` ends, `GET
//! {address}/api/v1/calls/{id}` and `GET {address}/api/v1/calls?reference=` look up, `GET
//! {address}/api/v1/calls?since=` lists. Every dial deliberately has a connection of its own: the other side may
//! close an idle one under our POST, and then nobody can tell whether it arrived. Compared with a call, a handshake
//! costs nothing.
//!
//! `exchange` keeps the phases apart, `answer` maps responses to dials, `look_up` responses to look-ups.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    header::{self, HeaderValue},
    http::uri::Authority,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;

use self::exchange::{Answer, Connector, Exchange};
use super::{
    Cancellation, Deadline, Error, LookedUp, Order, Provider, account_of, protocol, words,
};
use crate::domain::{Phone, Placement, Reference, Refusal, Report};

mod answer;
mod exchange;
mod look_up;

// Entry points for the fuzz targets.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

/// Pages read of one list; a provider whose cursor never ends must not occupy us for ever.
const MOST_PAGES: usize = 10_000;

/// Time limits of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name resolution, connecting and TLS handshake together.
    pub connect: Duration,
    /// The whole request. A dial begins at most `Deadline::latest_start` after the claim was sent, so the sum of the
    /// two must fit into the lease.
    pub total: Duration,
}

impl Limits {
    /// The limits of every dial.
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

/// A provider's account behind an HTTP address.
#[derive(Debug)]
pub struct HttpProvider {
    /// [`Limits::DEFAULT`], except in tests.
    pub limits: Limits,
    address: String,
    account: String,
    host: HeaderValue,
    key: Option<SecretString>,
    authorization: Option<HeaderValue>,
    connector: Connector,
}

/// Names the account behind an address, however the address is spelled.
fn account(uri: &Uri, authority: &Authority) -> String {
    let scheme = uri.scheme_str().unwrap_or("http").to_ascii_lowercase();
    let host = authority.host().to_ascii_lowercase();
    let port = authority
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    let path = uri.path().trim_end_matches('/');
    account_of("http", &host, &[&scheme, &host, &port.to_string(), path])
}

/// A request, or why one of its parts is not allowed in one.
type Built = Result<Request<Full<Bytes>>, hyper::http::Error>;

/// Body of `POST /api/v1/calls`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceBody<'a> {
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    script_id: &'a str,
    metadata: &'a RawValue,
    webhook_url: &'a str,
    reference: &'a str,
    max_duration_sec: i32,
    ring_timeout_sec: i32,
}

impl HttpProvider {
    /// An adapter for the provider at `address` (`https://voice.example.com`, a path is allowed), with its key, if it
    /// needs one. Does not connect yet.
    pub fn new(address: &str, key: Option<SecretString>) -> Result<Self, Error> {
        let address = address.trim().trim_end_matches('/');
        let uri: Uri = address.parse().map_err(|_e| Error::BadAddress)?;
        let authority = uri.authority().ok_or(Error::BadAddress)?;
        if address.contains(['?', '#', '@']) || authority.host().is_empty() {
            return Err(Error::BadAddress);
        }
        Ok(Self {
            limits: Limits::default(),
            account: account(&uri, authority),
            address: address.to_owned(),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_e| Error::BadAddress)?,
            authorization: key.as_ref().map(bearer).transpose()?,
            key,
            connector: Connector::new(&uri)?,
        })
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        match self.place_request(&order) {
            Ok(request) => {
                let deadline = Some(order.deadline);
                match self
                    .connector
                    .exchange(request, self.limits, deadline)
                    .await
                {
                    Exchange::Answered(answer) => answer::placement(&answer, self.key()),
                    Exchange::NotSent { why } => Placement::Refused(Refusal::Transient { why }),
                    Exchange::Late => Placement::Late,
                    Exchange::Lost { why } => Placement::Unknown { why },
                }
            }
            Err(error) => Placement::Refused(Refusal::Transient {
                why: words::chain(&error),
            }),
        }
    }

    fn place_request(&self, order: &Order<'_>) -> Built {
        let call = order.call;
        let reference = call.reference().to_string();
        let body = PlaceBody {
            to: call.phone.as_e164(),
            from: call.from_number.as_ref().map(Phone::as_e164),
            script_id: &call.script_id,
            metadata: &call.metadata,
            webhook_url: &order.webhook_url,
            reference: &reference,
            max_duration_sec: call.max_duration_sec,
            ring_timeout_sec: call.ring_timeout_sec,
        };
        // Strings, numbers and a `Value` always serialise.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let dial_before = call
            .lease_until
            .to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut request = self
            .post("/api/v1/calls")
            .header("idempotency-key", reference)
            .header("x-dial-before", dial_before);
        if let Some(trace) = &call.traceparent {
            request = request.header("traceparent", trace);
        }
        request.body(Full::from(body))
    }

    async fn cancel_now(&self, provider_call_id: &str) -> Result<Cancellation, Error> {
        let path = format!("/api/v1/calls/{}/cancel", words::percent(provider_call_id));
        let answer = self.ask(self.post(&path).body(Full::from("{}"))).await?;
        answer::cancellation(&answer, self.key())
    }

    async fn look_up_now(
        &self,
        dial: Reference,
        provider_call_id: Option<&str>,
    ) -> Result<LookedUp, Error> {
        let get = |path: String| self.request(Method::GET, &path).body(Full::default());
        // An id that we had to shorten is not theirs: asked for it, they would deny the call.
        if let Some(id) = provider_call_id.filter(|id| protocol::is_verbatim(id)) {
            let path = format!("/api/v1/calls/{}", words::percent(id));
            let answer = self.ask(get(path)).await?;
            return look_up::by_id(&answer, self.key());
        }
        let reference = words::percent(&dial.to_string());
        let path = format!("/api/v1/calls?reference={reference}");
        let answer = self.ask(get(path)).await?;
        look_up::by_reference(&answer, dial, self.key())
    }

    async fn calls_since_now(&self, since: DateTime<Utc>) -> Result<Option<Vec<Report>>, Error> {
        let text = since.to_rfc3339_opts(SecondsFormat::Micros, true);
        let first = format!("/api/v1/calls?since={}", words::percent(&text));
        let (mut calls, mut cursor) = (Vec::new(), None::<String>);
        for _page in 0..MOST_PAGES {
            let path = match &cursor {
                Some(cursor) => format!("{first}&cursor={}", words::percent(cursor)),
                None => first.clone(),
            };
            let request = self.request(Method::GET, &path).body(Full::default());
            let Some(page) = look_up::page(&self.ask(request).await?, since, self.key())? else {
                return Ok(None);
            };
            calls.extend(page.calls);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Some(calls));
            }
        }
        Err(Error::NoAnswer {
            why: format!("its list of calls has more than {MOST_PAGES} pages"),
        })
    }

    /// Sends a request that rings nobody. Phases do not matter here: there is a response, or there is none.
    async fn ask(&self, request: Built) -> Result<Answer, Error> {
        let request = request.map_err(|error| Error::NoAnswer {
            why: words::chain(&error),
        })?;
        match self
            .connector
            .exchange(request, self.limits, None::<Deadline>)
            .await
        {
            Exchange::Answered(answer) => Ok(answer),
            Exchange::NotSent { why } | Exchange::Lost { why } => Err(Error::NoAnswer { why }),
            Exchange::Late => Err(Error::NoAnswer {
                why: "too late".to_owned(),
            }),
        }
    }

    fn post(&self, path: &str) -> hyper::http::request::Builder {
        self.request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/json")
    }

    /// A request in absolute form: `exchange` connects by it and sends only the path.
    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header(header::HOST, self.host.clone())
            .header(
                header::USER_AGENT,
                concat!("pgdial/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close");
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    fn key(&self) -> Option<&str> {
        self.key.as_ref().map(ExposeSecret::expose_secret)
    }
}

impl Provider for HttpProvider {
    /// By the address alone: two keys of one account cannot be told from keys of two accounts.
    fn account(&self) -> Option<String> {
        Some(self.account.clone())
    }

    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(self.place_now(order))
    }

    fn cancel<'a>(
        &'a self,
        provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, Error>> {
        Box::pin(self.cancel_now(provider_call_id))
    }

    fn look_up<'a>(
        &'a self,
        dial: Reference,
        provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, Error>> {
        Box::pin(self.look_up_now(dial, provider_call_id))
    }

    fn calls_since(
        &self,
        since: DateTime<Utc>,
    ) -> BoxFuture<'_, Result<Option<Vec<Report>>, Error>> {
        Box::pin(self.calls_since_now(since))
    }

    fn read_report(&self, body: &[u8]) -> Report {
        protocol::read_report(body)
    }
}

fn bearer(key: &SecretString) -> Result<HeaderValue, Error> {
    let key = key.expose_secret();
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::BadKey);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_e| Error::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
