//! `healthcheck`: one GET, for a container's HEALTHCHECK; a slim image has no curl.
//!
//! Plain HTTP only: it asks a process in the same container, which needs no certificates.

use std::time::Duration;

use http_body_util::Empty;
use hyper::{StatusCode, Uri, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{Exit, Failure, Out};

/// Limit on the whole check, connecting included.
const LIMIT: Duration = Duration::from_secs(5);

/// GET a URL once.
#[derive(Debug, Clone, clap::Args)]
pub struct HealthcheckArgs {
    /// URL to check; http:// only.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080/readyz")]
    pub url: Uri,
}

/// Succeeds if the URL returns 200.
pub async fn run(args: &HealthcheckArgs, out: &mut Out) -> Result<Exit, Failure> {
    if args.url.scheme_str() != Some("http") || args.url.host().is_none() {
        return Err(Failure::usage(format!(
            "{} is not an http:// URL with a host",
            args.url
        )));
    }
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    match tokio::time::timeout(LIMIT, client.get(args.url.clone())).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => {
            out.note("healthy");
            Ok(Exit::Ok)
        }
        Ok(Ok(answer)) => Err(Failure::failed(format!(
            "{} answered {}",
            args.url,
            answer.status()
        ))),
        Ok(Err(error)) => {
            let why = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            Err(Failure::failed(format!(
                "{} did not answer: {why}",
                args.url
            )))
        }
        Err(_elapsed) => Err(Failure::failed(format!(
            "{} did not answer within {} s",
            args.url,
            LIMIT.as_secs()
        ))),
    }
}
