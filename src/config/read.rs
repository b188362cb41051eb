//! Parsing of single settings: pure, and every error has an example.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use hyper::Uri;
use secrecy::SecretString;

use super::{LogFormat, Problem};
use crate::{
    db::Targets,
    domain::networks::{BadNetwork, Networks},
};

const HOUR: Duration = Duration::from_hours(1);

pub(super) fn database_url(name: &str, text: Option<&str>) -> Result<SecretString, Problem> {
    let example = "postgres://pgdial:password@localhost:5432/pgdial";
    let bad = |what: &str| Err(Problem::new(name, what, example));
    let Some(text) = text else {
        return bad("is not set");
    };
    // Its value is not quoted: it contains a password.
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return bad("must begin with postgres:// or postgresql://");
    }
    if super::secrets::is_unfilled(password_in(text)) {
        return bad("has the placeholder of an example as its password");
    }
    match Targets::read(text) {
        Ok(_) => Ok(text.into()),
        Err(what) => bad(&what),
    }
}

/// A process list shows flags to every user of the machine.
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
        "DATABASE_URL",
        what,
        "postgres://pgdial@localhost:5432/pgdial",
    ))
}

/// The password in `postgres://user:password@host/...`, or an empty text.
fn password_in(url: &str) -> &str {
    let authority = url
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'));
    let password = authority.and_then(|(user, _)| user.split_once(':'));
    password.map_or("", |(_, password)| password)
}

pub(super) fn listen(name: &str, text: Option<&str>) -> Result<SocketAddr, Problem> {
    address(name, text.unwrap_or("127.0.0.1:8080"))
}

pub(super) fn metrics_listen(
    name: &str,
    text: Option<&str>,
) -> Result<Option<SocketAddr>, Problem> {
    text.map(|text| address(name, text)).transpose()
}

fn address(name: &str, text: &str) -> Result<SocketAddr, Problem> {
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
    name: &str,
    text: Option<&str>,
    listen: Option<SocketAddr>,
) -> Result<String, Problem> {
    let example = "https://calls.example.com";
    let bad = |what: String| Err(Problem::new(name, what, example));
    match (text, listen) {
        (Some(text), _) if is_base_url(text) => Ok(text.trim_end_matches('/').to_owned()),
        (Some(text), _) => bad(format!(
            "is {text:?}, which is not http:// or https:// with a host and without user, query or fragment"
        )),
        (None, Some(listen)) if !listen.ip().is_loopback() => bad(format!(
            "is not set: listening on {listen} does not say where the provider reaches us"
        )),
        // A port of 0 is not known yet: tests set the URL themselves.
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

/// Whether this URL leads to this host only.
pub(super) fn is_loopback_url(text: &str) -> bool {
    let uri = text.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Whether traffic to this URL can be read on its way. A name without a dot resolves within the local
/// network, such as that of a compose file.
pub(super) fn is_open_to_others(text: &str) -> bool {
    let uri = text.parse::<Uri>().unwrap_or_default();
    let far = uri.host().is_some_and(|host| host.contains(['.', ':']));
    uri.scheme_str() == Some("http") && far && !is_loopback_url(text)
}

/// A whole number; `default` is the default.
pub(super) fn number(
    range: RangeInclusive<usize>,
    default: usize,
) -> impl FnOnce(&str, Option<&str>) -> Result<usize, Problem> {
    move |name, text| {
        let Some(text) = text else {
            return Ok(default);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => {
                let (least, most) = range.into_inner();
                let what = format!("is {text:?}, not a whole number from {least} to {most}");
                Err(Problem::new(name, what, &default.to_string()))
            }
        }
    }
}

pub(super) fn keep_finished(name: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    time_or(
        "forever",
        name,
        text.unwrap_or("7d"),
        Duration::ZERO..=HOUR * 24 * 36_500,
    )
}

pub(super) fn poll(name: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    time_or(
        "off",
        name,
        text.unwrap_or("30s"),
        Duration::from_millis(100)..=HOUR,
    )
}

pub(super) fn endpoint_networks(name: &str, text: Option<&str>) -> Result<Networks, Problem> {
    let networks = text.unwrap_or_default().parse();
    networks.map_err(|bad: BadNetwork| {
        Problem::new(
            name,
            format!("names what is no network: {bad}"),
            "10.0.0.0/8,127.0.0.1",
        )
    })
}

/// None: as long as the dials of the trunks may take.
pub(super) fn grace(name: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let told = text.map(|text| time(name, text, Duration::ZERO..=HOUR, ""));
    told.transpose()
}

/// A duration, or none for a given word.
fn time_or(
    word: &str,
    name: &str,
    text: &str,
    range: RangeInclusive<Duration>,
) -> Result<Option<Duration>, Problem> {
    if text == word {
        return Ok(None);
    }
    time(name, text, range, &format!(", and not {word:?}")).map(Some)
}

fn time(
    name: &str,
    text: &str,
    range: RangeInclusive<Duration>,
    otherwise: &str,
) -> Result<Duration, Problem> {
    let what = match duration(text) {
        Ok(time) if range.contains(&time) => return Ok(time),
        Ok(_) => {
            let (least, most) = range.into_inner();
            let (least, most) = (
                humantime::format_duration(least),
                humantime::format_duration(most),
            );
            format!("is {text:?}, which is not between {least} and {most}")
        }
        Err(why) => format!("is {text:?}, which is no length of time ({why}){otherwise}"),
    };
    Err(Problem::new(name, what, "30s"))
}

/// A duration as people write it: `90s`, `5m`, `1h 30m`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && text != "0" {
        return Err(format!("without a unit: {text}s, {text}m or {text}h?"));
    }
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// Whether the page is shown without a key: only where nobody else can reach it.
pub(super) fn open_view(
    listen: Option<SocketAddr>,
) -> impl Fn(&str, Option<&str>) -> Result<bool, Problem> {
    move |name, text| {
        let is_open = yes_or_no(name, text)?;
        if is_open && listen.is_some_and(|listen| !listen.ip().is_loopback()) {
            let what =
                "shows the page to everybody who reaches PGDIAL_LISTEN, which is not loopback";
            return Err(Problem::new(name, what, "false"));
        }
        Ok(is_open)
    }
}

pub(super) fn yes_or_no(name: &str, text: Option<&str>) -> Result<bool, Problem> {
    let text = text.unwrap_or("false");
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => {
            let what = format!("is {text:?}, which is neither true nor false");
            Err(Problem::new(name, what, "true"))
        }
    }
}

pub(super) fn filter(text: Option<&str>, default: &str) -> Result<String, Problem> {
    let text = text.unwrap_or(default);
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let what = format!("is {text:?}, which is no filter ({error})");
            Err(Problem::new("PGDIAL_LOG", what, "info,pgdial=debug"))
        }
    }
}

pub(super) fn log_format(text: Option<&str>) -> Result<LogFormat, Problem> {
    match text.unwrap_or("text") {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        text => {
            let what = format!("is {text:?}, not {}", one_of(&["text", "json"]));
            Err(Problem::new("PGDIAL_LOG_FORMAT", what, "json"))
        }
    }
}

/// Formats `a, b or c`.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
