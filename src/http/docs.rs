//! `/docs`: the OpenAPI document in Swagger UI, which is part of the program (`scripts/vendor-docs`).
//!
//! The content security policy allows files of this server and nothing inline, so markup smuggled into a document
//! could not run.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::problem::{Code, Problem};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, with every error code: a problem document's `type` leads there.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let mut codes = String::new();
    for code in Code::ALL {
        let (word, status, title) = (code.as_str(), code.status().as_u16(), code.title());
        // Writing to a `String` cannot fail.
        let _infallible = writeln!(
            codes,
            "<dt id=\"{word}\">{word}</dt><dd>{status}: {title}</dd>"
        );
    }
    include_str!("docs/docs.html").replace("{codes}", &codes)
});

/// A file of the page.
#[derive(Debug)]
struct File {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
    is_compressed: bool,
}

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// Those of Swagger UI are kept, and sent, compressed: no browser that runs it reads no gzip.
const FILES: [File; 4] = [
    File {
        name: "swagger-ui-bundle.js",
        kind: JS,
        body: include_bytes!("docs/swagger-ui-bundle.js.gz"),
        is_compressed: true,
    },
    File {
        name: "swagger-ui.css",
        kind: CSS,
        body: include_bytes!("docs/swagger-ui.css.gz"),
        is_compressed: true,
    },
    File {
        name: "docs.js",
        kind: JS,
        body: include_bytes!("docs/docs.js"),
        is_compressed: false,
    },
    File {
        name: "docs.css",
        kind: CSS,
        body: include_bytes!("docs/docs.css"),
        is_compressed: false,
    },
];

/// `GET /` and `GET /docs`.
pub(super) async fn page() -> Response {
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(PAGE.as_str())).into_response()
}

/// `GET /docs/{file}`.
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| {
        Problem::new(
            Code::NoSuchRoute,
            "there is nothing at this path: /docs shows what there is",
        )
        .status(StatusCode::NOT_FOUND)
    })?;
    let kind = [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    let mut response = (kind, file.body).into_response();
    if file.is_compressed {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn what_is_kept_of_swagger_ui_is_what_its_package_has() {
        let sums = include_str!("docs/SHA256SUMS");
        let mut seen = 0;
        for file in FILES.iter().filter(|file| file.is_compressed) {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(file.body)
                .read_to_end(&mut text)
                .unwrap();
            let digest = Sha256::digest(&text);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                sums.contains(&format!("{digest}  {}\n", file.name)),
                "{}",
                file.name
            );
            seen += 1;
        }
        assert_eq!(seen, sums.lines().count());
    }

    #[test]
    fn the_page_has_every_code_and_nothing_inline_or_from_elsewhere() {
        for code in Code::ALL {
            assert!(PAGE.contains(&format!("id=\"{}\"", code.as_str())));
        }
        for foreign in [
            "http://", "https://", "<style", " style=", "onclick=", "<script>",
        ] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
        for part in PAGE.split("\"docs/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(FILES.iter().any(|file| file.name == name), "{name}");
        }
    }
}
