//! Single settings from their texts: pure, and each with an example when it refuses.

use std::{net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

use hyper::Uri;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;

use super::{ApiKey, Problem};
use crate::telemetry::LogFormat;

type Named = (&'static str, &'static str);

const DATABASE_URL: Named = ("DATABASE_URL", "--database-url");
const LISTEN: Named = ("PGDIAL_LISTEN", "--listen");
const METRICS_LISTEN: Named = ("PGDIAL_METRICS_LISTEN", "--metrics-listen");
const PUBLIC_URL: Named = ("PGDIAL_PUBLIC_URL", "--public-url");
const HOUR: Duration = Duration::from_hours(1);

pub(super) fn database_url(text: Option<&str>) -> Result<SecretString, Problem> {
    let example = "postgres://pgdial:password@localhost:5432/pgdial";
    let bad = |what: &str| Err(Problem::new(DATABASE_URL, what, example));
    let Some(text) = text else {
        return bad("is not set");
    };
    // Its value is not quoted: a password is in it.
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return bad("must begin with postgres:// or postgresql://");
    }
    if super::secrets::is_unfilled(password_in(text)) {
        return bad("has the placeholder of an example as its password");
    }
    match PgConnectOptions::from_str(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => bad(&format!("is not the URL of a database ({error})")),
    }
}

/// A flag stands in the process list, which everybody on the machine can read.
pub(super) fn without_password(flag: &str) -> Result<(), Problem> {
    let query = flag.split_once('?').map_or("", |(_, query)| query);
    let hidden =
        password_in(flag).is_empty() && !query.split('&').any(|pair| pair.starts_with("password="));
    if hidden {
        return Ok(());
    }
    let what = "has a password on the command line, where every user of this machine can read it: \
                set DATABASE_URL instead, in the environment or in the file of --env-file, or use ~/.pgpass";
    Err(Problem::new(
        DATABASE_URL,
        what,
        "postgres://pgdial@localhost:5432/pgdial",
    ))
}

/// `postgres://user:password@host/...`, or nothing.
fn password_in(url: &str) -> &str {
    let authority = url
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'));
    let password = authority.and_then(|(user, _)| user.split_once(':'));
    password.map_or("", |(_, password)| password)
}

pub(super) fn listen(text: Option<&str>) -> Result<SocketAddr, Problem> {
    address(text.unwrap_or("127.0.0.1:8080"), LISTEN)
}

pub(super) fn metrics_listen(text: Option<&str>) -> Result<Option<SocketAddr>, Problem> {
    text.map(|text| address(text, METRICS_LISTEN)).transpose()
}

fn address(text: &str, name: Named) -> Result<SocketAddr, Problem> {
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    local
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_not_one| {
            let what = format!("is {text:?}, which is not an IP address with a port");
            Problem::new(name, what, "127.0.0.1:8080")
        })
}

pub(super) fn public_url(
    text: Option<&str>,
    listen: Option<SocketAddr>,
) -> Result<String, Problem> {
    let example = "https://calls.example.com";
    let bad = |what: String| Err(Problem::new(PUBLIC_URL, what, example));
    match (text, listen) {
        (Some(text), _) if is_base_url(text) => Ok(text.trim_end_matches('/').to_owned()),
        (Some(text), _) => bad(format!(
            "is {text:?}, which is not http:// or https:// with a host and without user, query or fragment"
        )),
        (None, Some(listen)) if !listen.ip().is_loopback() => bad(format!(
            "is not set: listening on {listen} does not say where the provider reaches us"
        )),
        // A port of 0 is one that nobody knows yet: tests give the URL themselves.
        (None, listen) => Ok(listen.map_or_else(String::new, |listen| format!("http://{listen}"))),
    }
}

fn is_base_url(text: &str) -> bool {
    let uri = text.parse::<Uri>().ok();
    let scheme = matches!(
        uri.as_ref().and_then(Uri::scheme_str),
        Some("http" | "https")
    );
    let host = uri.as_ref().and_then(Uri::host);
    scheme && host.is_some_and(|host| !host.is_empty()) && !text.contains(['?', '#', '@'])
}

/// Does this URL lead to this host and to no other?
pub(super) fn is_loopback_url(text: &str) -> bool {
    let uri = text.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Can what goes to this URL be read on its way? A name without a dot leads no further than
/// the network of whoever gave it, such as that of a compose file.
pub(super) fn is_open_to_others(text: &str) -> bool {
    let uri = text.parse::<Uri>().unwrap_or_default();
    let far = uri.host().is_some_and(|host| host.contains(['.', ':']));
    uri.scheme_str() == Some("http") && far && !is_loopback_url(text)
}

/// Without keys, nobody but this host.
pub(super) fn guarded(listen: SocketAddr, keys: &[ApiKey]) -> Result<(), Problem> {
    if listen.ip().is_loopback() || !keys.is_empty() {
        return Ok(());
    }
    let what = format!(
        "is not set: listening on {listen} without keys would let everybody who reaches it order calls"
    );
    Err(Problem::of_variable(
        super::secrets::API_KEYS,
        what,
        super::secrets::API_KEYS_EXAMPLE,
    ))
}

pub(super) fn number(
    text: Option<&str>,
    name: Named,
    range: RangeInclusive<u32>,
    usual: u32,
) -> Result<u32, Problem> {
    let Some(text) = text else {
        return Ok(usual);
    };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = range.into_inner();
            let what = format!("is {text:?}, not a whole number from {least} to {most}");
            Err(Problem::new(name, what, &usual.to_string()))
        }
    }
}

pub(super) fn keep_finished(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let name = ("PGDIAL_KEEP_FINISHED", "--keep-finished");
    match text.unwrap_or("7d") {
        "forever" => Ok(None),
        text => time(
            text,
            name,
            ("forever", Duration::ZERO..=HOUR * 24 * 36_500),
            "7d",
        )
        .map(Some),
    }
}

pub(super) fn poll(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    match text.unwrap_or("30s") {
        "off" => Ok(None),
        text => {
            let allowed = ("off", Duration::from_millis(100)..=HOUR);
            time(text, ("PGDIAL_POLL", "--poll"), allowed, "30s").map(Some)
        }
    }
}

pub(super) fn grace(text: Option<&str>) -> Result<Duration, Problem> {
    let allowed = ("", Duration::ZERO..=HOUR);
    time(
        text.unwrap_or("35s"),
        ("PGDIAL_GRACE", "--grace"),
        allowed,
        "35s",
    )
}

fn time(
    text: &str,
    name: Named,
    (word, range): (&str, RangeInclusive<Duration>),
    example: &str,
) -> Result<Duration, Problem> {
    let otherwise = match word {
        "" => String::new(),
        word => format!(", and not {word:?}"),
    };
    match duration(text) {
        Ok(time) if range.contains(&time) => Ok(time),
        Ok(_) => {
            let (least, most) = range.into_inner();
            let (least, most) = (
                humantime::format_duration(least),
                humantime::format_duration(most),
            );
            let what = format!("is {text:?}, which is not between {least} and {most}");
            Err(Problem::new(name, what, example))
        }
        Err(why) => {
            let what = format!("is {text:?}, which is no length of time ({why}){otherwise}");
            Err(Problem::new(name, what, example))
        }
    }
}

/// A length of time as people write it: `90s`, `5m`, `1h 30m`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && text != "0" {
        return Err(format!("without a unit: {text}s, {text}m or {text}h?"));
    }
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn migrate(text: Option<&str>) -> Result<bool, Problem> {
    let text = text.unwrap_or("false");
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => {
            let what = format!("is {text:?}, which is neither true nor false");
            Err(Problem::new(("PGDIAL_MIGRATE", "--migrate"), what, "true"))
        }
    }
}

pub(super) fn filter(text: Option<&str>, usual: &str) -> Result<String, Problem> {
    let text = text.unwrap_or(usual);
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let what = format!("is {text:?}, which is no filter ({error})");
            Err(Problem::new(
                ("PGDIAL_LOG", "--log"),
                what,
                "info,pgdial=debug",
            ))
        }
    }
}

pub(super) fn log_format(text: Option<&str>) -> Result<LogFormat, Problem> {
    match text.unwrap_or("text") {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        text => {
            let what = format!("is {text:?}, not {}", one_of(&["text", "json"]));
            Err(Problem::new(
                ("PGDIAL_LOG_FORMAT", "--log-format"),
                what,
                "json",
            ))
        }
    }
}

/// `a, b or c`.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
