//! Style, script and icon: part of the binary, named by their digest, so a browser keeps them for ever and a new release
//! is never seen with old ones.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::super::problem::{Code, Problem};

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "page",
        "css",
        "text/css; charset=utf-8",
        include_str!("page.css"),
    )
});
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "page",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("page.js"),
    )
});
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// A file of the page.
pub(super) struct Asset {
    /// With its digest.
    pub(super) name: String,
    tag: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        let mut digest = hex::encode(Sha256::digest(text));
        digest.truncate(16);
        Self {
            name: format!("{stem}-{digest}.{ending}"),
            tag: format!("\"{digest}\""),
            kind,
            text,
        }
    }
}

/// `GET /ui/assets/{file}`: needs no key, for it is the same everywhere.
pub(super) async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = [&STYLE, &SCRIPT, &ICON]
        .into_iter()
        .find(|asset| asset.name == file)
    else {
        return Problem::new(Code::NoSuchRoute, "there is no such file: reload the page")
            .into_response();
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .map(HeaderValue::as_bytes);
    let kept = [
        (header::ETAG, asset.tag.as_str()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    if known == Some(asset.tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, asset.kind)], asset.text).into_response()
}
