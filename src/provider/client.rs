//! HTTP client for a provider account, used by every adapter.
//!
//! Each request opens its own connection, on purpose: the peer may close an idle one under our POST, and then
//! it is unknown whether the request arrived. A handshake is cheap compared with a call, which lasts minutes.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
    http::{request::Builder, uri::Authority},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    Deadline, Error, account_of,
    answer::Answer,
    exchange::{Connector, Exchange},
    words,
};
use crate::domain::{Placement, Refusal};

pub use super::exchange::Limits;

/// How requests authenticate.
#[derive(Debug)]
pub enum Credentials {
    /// The platform needs none.
    None,
    /// `Authorization: Bearer <key>`.
    Bearer(SecretString),
    /// The key alone, in the header with this name.
    Header(&'static str, SecretString),
    /// `Authorization: Basic` with user and password.
    Basic(String, SecretString),
}

impl Credentials {
    fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::None => None,
            Self::Bearer(key) | Self::Header(_, key) | Self::Basic(_, key) => Some(key),
        }
    }

    fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        let Some(key) = self.secret().map(ExposeSecret::expose_secret) else {
            return Ok(None);
        };
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::BadKey);
        }
        let (name, text) = match self {
            Self::Header(name, _) => (HeaderName::from_static(name), key.to_owned()),
            Self::Basic(user, _) => {
                let pair = BASE64.encode(format!("{user}:{key}"));
                (header::AUTHORIZATION, format!("Basic {pair}"))
            }
            Self::Bearer(_) | Self::None => (header::AUTHORIZATION, format!("Bearer {key}")),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_e| Error::BadKey)?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

/// Sends requests to one account.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) limits: Limits,
    /// How long placing a call may take.
    pub(super) place_timeout: Duration,
    address: String,
    host: HeaderValue,
    credentials: Credentials,
    authorization: Option<(HeaderName, HeaderValue)>,
    pub(super) connector: Connector,
}

/// A request, or why its parts do not make a valid one.
pub(super) type Built = Result<Request<Full<Bytes>>, hyper::http::Error>;

impl Client {
    /// Client for the platform at `address` (`https://voice.example.com`, with an optional path). Does not
    /// connect yet.
    pub(super) fn new(address: &str, credentials: Credentials) -> Result<Self, Error> {
        let address = address.trim().trim_end_matches('/');
        let uri: Uri = address.parse().map_err(|_e| Error::BadAddress)?;
        let authority = uri.authority().ok_or(Error::BadAddress)?;
        if address.contains(['?', '#', '@']) || authority.host().is_empty() {
            return Err(Error::BadAddress);
        }
        Ok(Self {
            limits: Limits::default(),
            place_timeout: Limits::DEFAULT.total,
            address: address.to_owned(),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_e| Error::BadAddress)?,
            authorization: credentials.header()?,
            credentials,
            connector: Connector::new(&uri)?,
        })
    }

    /// Account name: the address in normalized form, and what tells the account from others there.
    pub(super) fn account(&self, adapter: &str, own: &[&str]) -> String {
        let uri: Uri = self.address.parse().unwrap_or_default();
        let scheme = uri.scheme_str().unwrap_or("http").to_ascii_lowercase();
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let port = uri.authority().and_then(Authority::port_u16);
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/');
        let parts = [&scheme, &host, &port.to_string(), path];
        account_of(adapter, &host, &[&parts, own].concat())
    }

    /// URL of a path on the platform.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Request in absolute form; `exchange` connects by it and sends only the path.
    pub(super) fn request(&self, method: Method, path: &str) -> Builder {
        let request = anonymous(method, self.url(path)).header(header::HOST, self.host.clone());
        match &self.authorization {
            Some((name, value)) => request.header(name, value.clone()),
            None => request,
        }
    }

    /// A GET request.
    pub(super) fn get(&self, path: &str) -> Built {
        self.request(Method::GET, path).body(Full::default())
    }

    /// A POST with a JSON body. Bodies are structs of texts, numbers and values, so serialization cannot
    /// fail.
    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> Built {
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.post_builder(path).body(Full::from(body))
    }

    /// A POST with a form body.
    pub(super) fn post_form<'f>(
        &self,
        path: &str,
        fields: impl IntoIterator<Item = (&'f str, impl AsRef<str>)>,
    ) -> Built {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.request(Method::POST, path)
            .header(
                header::CONTENT_TYPE,
                "application/x-www-form-urlencoded;charset=utf-8",
            )
            .body(Full::from(form.finish()))
    }

    /// Builder of a JSON POST, for adapters that add headers.
    pub(super) fn post_builder(&self, path: &str) -> Builder {
        self.request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/json")
    }

    /// A POST to another address given by the platform, without the key.
    pub(super) fn post_to(url: &Uri, body: &impl Serialize) -> Built {
        let host = url.authority().map_or("", Authority::as_str);
        anonymous(Method::POST, url.to_string())
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(serde_json::to_vec(body).unwrap_or_default()))
    }

    /// Requests a call, once; `read` interprets the response.
    pub(super) async fn place(
        &self,
        request: Built,
        deadline: Deadline,
        read: impl FnOnce(&Answer) -> Placement,
    ) -> Placement {
        let not_sent = |why| Placement::Refused(Refusal::Transient { why });
        let request = match request {
            Ok(request) => request,
            Err(error) => return not_sent(words::chain(&error)),
        };
        let limits = Limits {
            total: self.place_timeout,
            ..self.limits
        };
        let asked = self.connector.exchange(request, limits, Some(deadline));
        match asked.await {
            Exchange::Answered(answer) => read(&answer),
            Exchange::NotSent { why } => not_sent(why),
            Exchange::Late => Placement::Late,
            Exchange::Lost { why } => Placement::Unknown { why },
        }
    }

    /// Sends a request that rings nobody, so its phases do not matter: there is a response or none.
    pub(super) async fn ask(&self, request: Built) -> Result<Answer, Error> {
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

    /// Secret that must not appear in any words about a response.
    pub(super) fn key(&self) -> Option<&str> {
        self.credentials.secret().map(ExposeSecret::expose_secret)
    }
}

/// Request without host and key.
fn anonymous(method: Method, url: String) -> Builder {
    Request::builder()
        .method(method)
        .uri(url)
        .header(
            header::USER_AGENT,
            concat!("pgdial/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
}
