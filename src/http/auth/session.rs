//! Sessions in a browser, opened with a key.
//!
//! The cookie is not readable by scripts and goes with no request of another site. A request that may change something
//! also needs a token that only pages of this origin can read, so neither an older browser nor a sibling domain that
//! sets cookies can make one. The token is derived from the cookie's secret, and nothing is kept for it. A session may
//! do what its key may do now: it ends with its key, everywhere.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use subtle::ConstantTimeEq;

use super::{
    super::problem::{Code, Problem},
    digest, is_cross_site, names_loopback,
};

const COOKIE: &str = "pgdial_session";
/// Header with the token.
pub(in crate::http) const CSRF: HeaderName = HeaderName::from_static("pgdial-csrf");
/// Keeps tokens apart from hashes of the same secret.
const PURPOSE: &[u8] = b"pgdial-csrf-v1\n";

/// The session of a request.
#[derive(Debug, Clone)]
pub(in crate::http) struct Session {
    /// SHA-256 of the cookie's secret.
    pub(in crate::http) hash: [u8; 32],
    /// The token for requests that may change something.
    pub(in crate::http) token: String,
}

impl Session {
    /// The session that this secret belongs to, if there is one.
    pub(in crate::http) fn of(secret: &str) -> Self {
        let token = [PURPOSE, secret.as_bytes()].concat();
        Self {
            hash: digest(secret.as_bytes()),
            token: hex::encode(digest(&token)),
        }
    }

    /// The session that a request names. Of two cookies of the name nobody knows whose the other is.
    pub(super) fn named(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        let mut ours = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == COOKIE);
        match (ours.next(), ours.next()) {
            (Some((_, secret)), None) => Some(Self::of(secret)),
            _ => None,
        }
    }

    /// Refuses a request that may change something and that no page of ours has made.
    pub(super) fn permits(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        if method.is_safe() {
            return Ok(());
        }
        let given = headers.get(&CSRF).map_or(&b""[..], HeaderValue::as_bytes);
        let is_ours = bool::from(self.token.as_bytes().ct_eq(given)) && !is_cross_site(headers);
        is_ours.then_some(()).ok_or_else(|| {
            Problem::new(
                Code::Forbidden,
                "in a session this needs the header Pgdial-Csrf: the csrfToken of GET /api/v1/session",
            )
        })
    }
}

/// The `Set-Cookie` of a session with this secret, for so many seconds; none end it.
///
/// Browsers keep a `Secure` cookie from plain HTTP, in which people reach a server on their own host.
pub(in crate::http) fn set_cookie(headers: &HeaderMap, secret: &str, seconds: u64) -> String {
    let is_local = names_loopback(headers) && headers.contains_key(header::HOST);
    let secure = if is_local { "" } else { "; Secure" };
    format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_cookie_names_a_session() {
        let named = |cookies: &[(&'static str, &str)]| {
            Session::named(&headers(cookies)).map(|session| session.hash)
        };
        let known = Some(Session::of("s3cret").hash);
        assert_eq!(
            named(&[("cookie", "a=b; pgdial_session=s3cret;c=d")]),
            known
        );
        assert_eq!(
            named(&[("cookie", "a=b"), ("cookie", "pgdial_session=s3cret")]),
            known
        );
        assert_eq!(
            named(&[("cookie", "pgdial_session=s3cret; pgdial_session=x")]),
            None
        );
        assert_eq!(named(&[("cookie", "xpgdial_session=s3cret")]), None);
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn only_our_own_pages_change_anything() {
        let session = Session::of("s3cret");
        let other = Session::of("other").token;
        let token = session.token.as_str();
        for (method, given, is_let_through) in [
            (Method::GET, &[][..], true),
            (Method::POST, &[], false),
            (Method::POST, &[("pgdial-csrf", token)], true),
            (Method::DELETE, &[("pgdial-csrf", other.as_str())], false),
            (Method::PATCH, &[("pgdial-csrf", "")], false),
            (
                Method::POST,
                &[("pgdial-csrf", token), ("sec-fetch-site", "same-site")],
                false,
            ),
            (
                Method::POST,
                &[("pgdial-csrf", token), ("sec-fetch-site", "same-origin")],
                true,
            ),
            (
                Method::POST,
                &[
                    ("pgdial-csrf", token),
                    ("host", "calls.example.com"),
                    ("origin", "https://evil.example.com"),
                ],
                false,
            ),
        ] {
            let permitted = session.permits(&method, &headers(given)).is_ok();
            assert_eq!(permitted, is_let_through, "{method} {given:?}");
        }
    }

    #[test]
    fn a_cookie_goes_over_plain_http_on_this_host_only() {
        for (host, is_secure) in [
            ("localhost:8080", false),
            ("127.0.0.1", false),
            ("calls.example.com", true),
        ] {
            let cookie = set_cookie(&headers(&[("host", host)]), "s", 60);
            assert_eq!(cookie.contains("; Secure"), is_secure, "{cookie}");
            assert!(
                cookie.contains("; HttpOnly; SameSite=Strict; Max-Age=60"),
                "{cookie}"
            );
        }
        assert!(set_cookie(&HeaderMap::new(), "s", 0).contains("; Secure"));
    }
}
