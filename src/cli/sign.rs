//! `sign`: signs a webhook by hand, to try the endpoint with curl.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Exit, Failure, Out};
use crate::{
    config::{self, Flags, Variables},
    domain::Reference,
    provider::{
        signature::{self, Secrets},
        tag,
    },
};

/// Sign a webhook body with the trunk's secret, from `PGDIAL_WEBHOOK_SECRETS`.
#[derive(Debug, Clone, clap::Args)]
pub struct SignArgs {
    /// File with the body, byte for byte; `-` is stdin.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// Signature scheme: Standard Webhooks, or the plain x-signature.
    #[arg(long, value_enum, default_value_t = Scheme::Standard)]
    pub scheme: Scheme,
    /// Message id. Default: a new one.
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub id: Option<String>,
    /// Time of signing, in seconds since 1970. Default: now.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..))]
    pub timestamp: Option<i64>,
    /// Reference of the dial the report is about, `<call>-<claim>`; also prints the webhook's URL.
    #[arg(long, value_name = "REFERENCE")]
    pub reference: Option<Reference>,
    /// Trunk the report is about.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub trunk: String,
    /// Public base URL of pgdial. Default: `PGDIAL_PUBLIC_URL`.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

/// Which headers carry the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scheme {
    /// Headers webhook-id, webhook-timestamp and webhook-signature.
    Standard,
    /// Header x-signature, the hex HMAC of the body.
    XSignature,
}

/// The id is joined to the rest by dots, so it must not contain any.
fn message_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('.') || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("visible ASCII without a dot, as in evt_01".to_owned());
    }
    Ok(text.to_owned())
}

/// Prints the headers, the URL and a curl command line.
pub fn run(args: &SignArgs, variables: &Variables, out: &mut Out) -> Result<Exit, Failure> {
    let secrets = config::webhook_secrets(variables, &args.trunk)?;
    let flags = Flags {
        public_url: args.public_url.clone(),
        ..Flags::default()
    };
    let public_url = config::public_url(&flags, variables)?;
    let body = read(&args.file)?;
    let headers = headers(args, &secrets, &body);
    let url = match args.reference {
        Some(reference) => tag::webhook_url(&public_url, &args.trunk, reference, &secrets),
        None => tag::account_url(&public_url, &args.trunk),
    };
    let curl = curl(&args.file, &headers, &url);
    if out.style.json {
        let headers: serde_json::Map<_, _> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        out.json(&json!({ "headers": headers, "url": url, "curl": curl }))?;
        return Ok(Exit::Ok);
    }
    for (name, value) in &headers {
        out.line(format!("{name}: {value}"))?;
    }
    out.line(format!("\n{url}\n\n{curl}"))?;
    Ok(Exit::Ok)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_end(&mut body)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut body))
    };
    match read {
        Ok(_) => Ok(body),
        Err(error) => Err(Failure::failed(format!(
            "{} cannot be read: {error}",
            file.display()
        ))),
    }
}

fn headers(args: &SignArgs, secrets: &Secrets, body: &[u8]) -> Vec<(&'static str, String)> {
    match args.scheme {
        Scheme::XSignature => vec![(signature::PLAIN, signature::sign_plain(secrets, body))],
        Scheme::Standard => {
            let new_id = || format!("evt_{}", uuid::Uuid::new_v4().simple());
            let id = args.id.clone().unwrap_or_else(new_id);
            let at = args.timestamp.unwrap_or_else(now);
            let value = signature::sign_standard(secrets, &id, at, body);
            vec![
                (signature::ID, id),
                (signature::TIMESTAMP, at.to_string()),
                (signature::SIGNATURE, value),
            ]
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "we stand for the provider here, who signs by a clock of its own; nothing is decided by it"
)]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or_default()
    })
}

fn curl(file: &Path, headers: &[(&str, String)], url: &str) -> String {
    let mut line = "curl -i -H 'content-type: application/json'".to_owned();
    for (name, value) in headers {
        line = format!("{line} -H {}", quoted(&format!("{name}: {value}")));
    }
    // --data-binary sends the bytes unchanged; --data would strip line ends.
    let body = quoted(&format!("@{}", file.display()));
    format!("{line} --data-binary {body} {}", quoted(url))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
