//! Bearer API keys, kept hashed and compared in constant time.
//!
//! The key's name becomes the owner of rows and the scope of idempotency keys. Without configured keys every
//! client is `anonymous`; binding only loopback is then the task of the caller that binds. Such a process
//! serves only requests to a loopback name, and none that a browser sends for a page of another site: that
//! page, or one whose own name was made to resolve here (DNS rebinding), could otherwise enqueue calls
//! through its reader's browser.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header, uri::Authority},
    middleware::Next,
    response::Response,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::{Code, Problem};

/// Owner when no key is configured.
const ANONYMOUS: &str = "anonymous";

/// API keys of this process. Two keys may share a name, so that a key can be rotated without an interruption.
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<[ApiKey]>);

#[derive(Clone)]
struct ApiKey {
    owner: Arc<str>,
    hash: [u8; 32],
}

impl ApiKeys {
    /// Without keys every request is allowed.
    pub fn none() -> Self {
        Self::default()
    }

    /// True if no key is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name of the key. Always compares with every key, so that timing reveals nothing.
    fn owner(&self, key: &[u8]) -> Option<Arc<str>> {
        let given = digest(key);
        let mut owner = None;
        for known in self.0.iter() {
            if bool::from(known.hash.ct_eq(&given)) {
                owner = Some(&known.owner);
            }
        }
        owner.cloned()
    }

    fn admit(&self, headers: &HeaderMap) -> Option<Owner> {
        if self.is_empty() {
            let local = names_loopback(headers) && !is_cross_site(headers);
            return local.then(|| Owner(ANONYMOUS.into()));
        }
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return None;
        };
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            self.owner(key.trim().as_bytes()).map(Owner)
        } else {
            None
        }
    }
}

/// Whether the request was sent to a name that only this host has.
fn names_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true; // no browser leaves it out
    };
    let Ok(Ok(host)) = host.to_str().map(str::parse::<Authority>) else {
        return false;
    };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a browser sent the request for a page of another origin. Every browser sends one of the two
/// headers with a request that may change something; other clients send neither.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let (origin, host) = (origin.to_str(), headers.get(header::HOST));
    let authority = origin.ok().and_then(|text| Some(text.split_once("://")?.1));
    match (authority, host.and_then(|host| host.to_str().ok())) {
        (Some(authority), Some(host)) => !authority.eq_ignore_ascii_case(host),
        _ => true,
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Pairs of name and key.
impl<'a> FromIterator<(&'a str, &'a str)> for ApiKeys {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(keys: I) -> Self {
        let keys = keys.into_iter().map(|(name, key)| ApiKey {
            owner: name.into(),
            hash: digest(key.as_bytes()),
        });
        Self(keys.collect())
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.owner))
            .finish()
    }
}

/// Authenticated client: the name of its API key.
#[derive(Debug, Clone)]
pub(super) struct Owner(Arc<str>);

impl Owner {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Client as the audit trail names it: an API key is neither a person nor a database login.
    pub(super) fn by(&self) -> String {
        format!("api:{}", self.0)
    }
}

/// Codes this layer refuses requests with.
pub(super) const REFUSES: &[Code] = &[Code::Unauthorized];

/// Layer over the API: a request without an owner is refused.
pub(super) async fn require_key(
    State(keys): State<ApiKeys>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let owner = keys.admit(request.headers()).ok_or_else(|| {
        Problem::new(
            Code::Unauthorized,
            "send an API key of this server: Authorization: Bearer <key> \
             (a server without keys answers under localhost and 127.0.0.1 only, and no page of another site)",
        )
        .challenge("Bearer")
    })?;
    request.extensions_mut().insert(owner);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_no_page_of_another_site_is_answered() {
        for (origin, site, answered) in [
            ("", "", true),
            ("", "none", true),
            ("", "same-origin", true),
            ("http://localhost:8080", "", true),
            ("http://LOCALHOST:8080", "same-origin", true),
            ("", "cross-site", false),
            ("", "same-site", false),
            ("https://evil.example.com", "", false),
            ("http://localhost:3000", "", false),
            ("http://localhost:8080.evil.example.com", "", false),
            ("null", "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:8080".parse().unwrap());
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if !value.is_empty() {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let admitted = ApiKeys::none().admit(&headers).is_some();
            assert_eq!(admitted, answered, "{origin:?} {site:?}");
            // A key is sufficient proof: a page of another site does not have one.
            let keys = ApiKeys::from_iter([("crm", "one")]);
            headers.insert(header::AUTHORIZATION, "Bearer one".parse().unwrap());
            assert!(keys.admit(&headers).is_some());
        }
    }

    #[test]
    fn without_keys_only_a_loopback_name_is_answered() {
        for (host, answered) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("127.1.2.3", true),
            ("[::1]:8080", true),
            ("evil.example.com:8080", false),
            ("localhost.evil.example.com", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(
                ApiKeys::none().admit(&headers).is_some(),
                answered,
                "{host}"
            );
        }
    }

    fn asked(keys: &[(&str, &str)], authorization: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let keys: ApiKeys = keys.iter().copied().collect();
        keys.admit(&headers).map(|owner| owner.as_str().to_owned())
    }

    #[test]
    fn a_key_names_its_owner() {
        let keys = &[("crm", "one"), ("desk", "two"), ("crm", "three")];
        assert_eq!(asked(keys, &["Bearer one"]).as_deref(), Some("crm"));
        assert_eq!(asked(keys, &["bearer two"]).as_deref(), Some("desk"));
        assert_eq!(asked(keys, &["Bearer  three"]).as_deref(), Some("crm"));
    }

    #[test]
    fn anything_else_is_nobody() {
        for given in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer onetwo"],
            &["Bearer on"],
            &["Basic one"],
            &["one"],
            &["Bearer crm:one"],
            &["Bearer one", "Bearer one"],
        ] {
            assert_eq!(asked(&[("crm", "one")], given), None, "{given:?}");
        }
    }

    #[test]
    fn without_keys_everybody_is_anonymous() {
        assert_eq!(asked(&[], &[]).as_deref(), Some(ANONYMOUS));
        assert_eq!(asked(&[], &["Bearer x"]).as_deref(), Some(ANONYMOUS));
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = ApiKeys::from_iter([("crm", "supersecret")]);
        assert_eq!(format!("{keys:?}"), r#"["crm"]"#);
    }
}
