//! Who asks, and what they may do.
//!
//! A client sends a key as a bearer token. Keys come from the settings of the process, or from the database
//! ([`Directory`]); either is known by its SHA-256 and compared in constant time. A browser sends the cookie of a
//! [`Session`] instead, that was opened with a key. The key's name becomes the
//! owner of rows and the scope of idempotency keys. What an operation needs of a key stands beside it in the
//! list of operations ([`Access`]), and `guard` checks it.
//!
//! A server without any key takes every client for `anonymous`, who may do everything. It serves only loopback,
//! only requests to a loopback name, and none that a browser sends for a page of another site: that page, or
//! one whose own name was made to resolve here (DNS rebinding), could otherwise enqueue calls through its
//! reader's browser.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, HeaderValue, header, uri::Authority};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    problem::{Code, Problem},
    schema::keys::OwnKey,
};
use crate::domain::{Scope, Sight};

// The keys that this process knows.
mod directory;

// What an operation needs, and the layer that checks it.
mod guard;

// Sessions in a browser.
mod session;

use self::directory::Standing;
pub(super) use self::{
    directory::Directory,
    guard::{Access, Door, REFUSES, Reach, guard},
    session::{CSRF, Session, set_cookie},
};

/// Owner when there is no key.
const ANONYMOUS: &str = "anonymous";
/// Owner of a screen that is shown without a key.
const VIEWER: &str = "viewer";

/// API keys of the settings. Two keys may share a name, so that a key can be rotated without an interruption.
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<[ApiKey]>);

#[derive(Clone)]
struct ApiKey {
    owner: Owner,
    hash: [u8; 32],
}

impl ApiKeys {
    /// No key.
    pub fn none() -> Self {
        Self::default()
    }

    /// True if no key is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Owner of the key with this hash. Always compares with every key, so that timing reveals nothing.
    fn owner(&self, given: &[u8; 32]) -> Option<Owner> {
        let mut owner = None;
        for known in self.0.iter() {
            if is_same(&known.hash, given) {
                owner = Some(&known.owner);
            }
        }
        owner.cloned()
    }
}

fn is_same(known: &[u8; 32], given: &[u8; 32]) -> bool {
    known.ct_eq(given).into()
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Pairs of name and key.
impl<'a> FromIterator<(&'a str, &'a str)> for ApiKeys {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(keys: I) -> Self {
        let keys = keys.into_iter().map(|(name, key)| ApiKey {
            // Whoever sets the environment of a server has its database, and so everything already.
            owner: Owner::of_everything(name),
            hash: digest(key.as_bytes()),
        });
        Self(keys.collect())
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| key.owner.as_str()))
            .finish()
    }
}

/// SHA-256 of the bearer token of a request, if it has one and nothing else.
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| digest(key.trim().as_bytes()))
}

/// Whether a request may be answered by a server without keys: sent to a name that only this host has, and not
/// by a browser for a page of another origin.
fn is_local(headers: &HeaderMap) -> bool {
    names_loopback(headers) && !is_cross_site(headers)
}

/// Whether a proxy says that it passes the request on for somebody else.
fn is_forwarded(headers: &HeaderMap) -> bool {
    [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "via",
    ]
    .iter()
    .any(|name| headers.contains_key(*name))
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

/// Authenticated client: the name of its key, and what that may do.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    key: Arc<OwnersKey>,
    /// Sees numbers whole in this request.
    sees_whole: bool,
    /// Why it is let in, if that can end; keys of the settings stay while the process runs.
    standing: Option<Standing>,
    /// The session of this request, if it sent no key.
    session: Option<Session>,
}

#[derive(Debug)]
struct OwnersKey {
    name: String,
    scope: Scope,
    /// The campaigns that it is bound to, if it is.
    campaigns: Option<Vec<String>>,
    numbers: Sight,
}

impl Owner {
    fn of(name: &str, scope: Scope, campaigns: Option<Vec<String>>, numbers: Sight) -> Self {
        Self {
            key: Arc::new(OwnersKey {
                name: name.to_owned(),
                scope,
                campaigns,
                numbers,
            }),
            sees_whole: numbers == Sight::Whole,
            standing: None,
            session: None,
        }
    }

    fn of_everything(name: &str) -> Self {
        Self::of(name, Scope::Admin, None, Sight::Whole)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.key.name
    }

    /// Client as the audit trail names it: an API key is neither a person nor a database login.
    pub(super) fn by(&self) -> String {
        format!("api:{}", self.key.name)
    }

    pub(super) fn scope(&self) -> Scope {
        self.key.scope
    }

    pub(super) fn campaigns(&self) -> Option<&[String]> {
        self.key.campaigns.as_deref()
    }

    pub(super) fn numbers(&self) -> Sight {
        self.key.numbers
    }

    pub(super) const fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Its key, as the API shows it.
    pub(super) fn shown(&self) -> OwnKey {
        OwnKey {
            name: self.key.name.clone(),
            scope: self.key.scope,
            campaigns: self.key.campaigns.clone(),
            numbers: self.key.numbers,
        }
    }

    /// Whether what it is shown has to be masked.
    pub(super) const fn is_masked(&self) -> bool {
        !self.sees_whole
    }

    /// Refuses an owner whose key has ended meanwhile: for what goes on long after its request was let in.
    pub(super) async fn still(&self) -> Result<(), Problem> {
        match &self.standing {
            Some(standing) => standing.check().await,
            None => Ok(()),
        }
    }

    /// Whether it may do something about this campaign.
    pub(super) fn has(&self, campaign: &str) -> bool {
        self.campaigns()
            .is_none_or(|campaigns| campaigns.iter().any(|one| one == campaign))
    }

    /// Refuses a campaign that it is not bound to.
    pub(super) fn needs(&self, campaign: &str) -> Result<(), Problem> {
        match self.campaigns() {
            Some(campaigns) if !self.has(campaign) => Err(self.is_bound_to(campaigns)),
            _ => Ok(()),
        }
    }

    /// The campaign that a filter is to name: as it does; a key that is bound to one need not name it.
    pub(super) fn filtered(&self, campaign: Option<String>) -> Result<Option<String>, Problem> {
        match (campaign, self.campaigns()) {
            (Some(campaign), _) => self.needs(&campaign).map(|()| Some(campaign)),
            (None, None) => Ok(None),
            (None, Some([only])) => Ok(Some(only.clone())),
            (None, Some(several)) => Err(self.is_bound_to(several)),
        }
    }

    fn is_bound_to(&self, campaigns: &[String]) -> Problem {
        let (name, campaigns) = (self.as_str(), campaigns.join(", "));
        let detail = format!(
            "the key \"{name}\" is bound to campaigns: name one of them ({campaigns}), or use a key that is not"
        );
        Problem::new(Code::Forbidden, detail)
    }
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
            assert_eq!(is_local(&headers), answered, "{origin:?} {site:?}");
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
            assert_eq!(is_local(&headers), answered, "{host}");
        }
    }

    fn asked(keys: &[(&str, &str)], authorization: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let keys: ApiKeys = keys.iter().copied().collect();
        let owner = keys.owner(&bearer(&headers)?)?;
        Some(owner.as_str().to_owned())
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
    fn a_bound_key_names_its_campaign_or_has_only_one() {
        let bound = |campaigns: &[&str]| {
            let campaigns = campaigns.iter().map(|name| (*name).to_owned());
            Owner::of("crm", Scope::Read, Some(campaigns.collect()), Sight::Masked)
        };
        let named = |owner: &Owner, campaign: Option<&str>| {
            owner.filtered(campaign.map(str::to_owned)).ok().flatten()
        };
        let one = bound(&["spring"]);
        assert_eq!(named(&one, None).as_deref(), Some("spring"));
        assert_eq!(named(&one, Some("spring")).as_deref(), Some("spring"));
        assert_eq!(named(&one, Some("autumn")), None);
        let two = bound(&["spring", "autumn"]);
        assert_eq!(named(&two, Some("autumn")).as_deref(), Some("autumn"));
        assert!(two.filtered(None).is_err());
        let free = Owner::of_everything("crm");
        assert!(free.filtered(None).unwrap().is_none());
        assert_eq!(named(&free, Some("winter")).as_deref(), Some("winter"));
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = ApiKeys::from_iter([("crm", "supersecret")]);
        assert_eq!(format!("{keys:?}"), r#"["crm"]"#);
    }
}
