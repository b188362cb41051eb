//! The page that shows the OpenAPI document: one static file without external resources.
//!
//! Its content security policy allows exactly its own script and style, by digest, and requests to this
//! server; so markup smuggled into a document could not run.

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("page.html");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest("<script>", "</script>"),
        digest("<style>", "</style>"),
    )
});

/// Digest of the text between two tags, as a policy names it.
fn digest(from: &str, to: &str) -> String {
    let inside = PAGE
        .split_once(from)
        .and_then(|(_, rest)| rest.split_once(to))
        .map_or("", |(inside, _)| inside);
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(inside)))
}

/// `GET /` and `GET /docs`.
pub(super) async fn page() -> Response {
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(PAGE)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for foreign in [
            "http://",
            "https://",
            "src=",
            "@import",
            "url(",
            " style=\"",
            "onclick=",
        ] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
        assert_eq!(PAGE.matches("<script>").count(), 1);
        assert_eq!(PAGE.matches("<style>").count(), 1);
    }
}
