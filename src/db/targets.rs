//! `DATABASE_URL`: which servers it names, and how to connect to them.
//!
//! Anything that libpq understands and pgdial cannot honour is refused with a sentence. So are unknown parameters: an
//! ignored one may be the one that was to secure the connection.

use std::{str::FromStr, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Time to get a session, divided among the URL's servers, unless it has `connect_timeout`.
const PATIENCE: Duration = Duration::from_secs(5);

/// The servers of a URL, in its order.
#[derive(Debug, Clone)]
pub struct Targets {
    servers: Vec<PgConnectOptions>,
    limit: Duration,
}

/// Parameters of a URL.
#[derive(Debug, Default)]
struct Told<'u> {
    /// Passed to the driver unchanged.
    kept: Vec<&'u str>,
    /// May be several, separated by commas.
    hosts: Option<&'u str>,
    ports: Option<&'u str>,
    limit: Option<Duration>,
    /// `ssl=true`, as drivers of other languages spell it.
    insists: bool,
    /// `sslrootcert=system`.
    system_roots: bool,
}

impl Targets {
    /// Reads a URL. The error quotes no password.
    pub fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("has no ://")?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = address.split_once('/').unwrap_or((address, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let told = Told::read(query)?;
        let mut servers = Vec::new();
        for (host, port) in servers_of(hosts, &told)? {
            // The host is passed separately: the driver would keep the brackets of [::1] and accepts no list.
            let user = if user.is_empty() {
                String::new()
            } else {
                format!("{user}@localhost")
            };
            let url = format!("{scheme}://{user}/{database}?{}", told.kept.join("&"));
            let mut options = PgConnectOptions::from_str(&with_host(&url, host))
                .map_err(|error| format!("is not the URL of a database ({error})"))?;
            if let Some(port) = port {
                options = options.port(port);
            }
            servers.push(told.secured(options)?);
        }
        let patience = PATIENCE / u32::try_from(servers.len()).unwrap_or(1).clamp(1, 4);
        Ok(Self {
            limit: told.limit.unwrap_or(patience),
            servers,
        })
    }

    /// Sets the application name that sessions have in `pg_stat_activity`.
    pub(super) fn named(mut self, application: &str) -> Self {
        for server in &mut self.servers {
            // PgBouncer rejects extra_float_digits, and nothing here reads floats as text.
            *server = server
                .clone()
                .application_name(application)
                .extra_float_digits(None);
        }
        self
    }

    pub(super) fn servers(&self) -> &[PgConnectOptions] {
        &self.servers
    }

    /// Time one server may take until there is a session.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Time all servers together may take.
    pub(super) fn limit_of_all(&self) -> Duration {
        let all = self.limit * u32::try_from(self.servers.len()).unwrap_or(1);
        all.max(PATIENCE)
    }
}

/// The URL with the host as a parameter, which the driver takes as it stands.
fn with_host(url: &str, host: &str) -> String {
    if host.is_empty() {
        return url.to_owned();
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    format!("{url}&host={}", host.replace(':', "%3A"))
}

/// Hosts and ports; those in the query take precedence, as in libpq.
fn servers_of<'u>(
    authority: &'u str,
    told: &Told<'u>,
) -> Result<Vec<(&'u str, Option<u16>)>, String> {
    let number = |port: &str| {
        port.parse()
            .map_err(|_not_one| format!("has the port {port:?}, which is not a number up to 65535"))
    };
    let mut servers = Vec::new();
    for piece in told.hosts.unwrap_or(authority).split(',') {
        // A bracketed address contains colons of its own; a host in the query has no port.
        let after = piece.rfind(']').map_or(0, |at| at + 1);
        let rest = piece.get(after..).unwrap_or_default();
        match rest.rsplit_once(':').filter(|_| told.hosts.is_none()) {
            Some((before, port)) => {
                let host = piece.get(..after + before.len()).unwrap_or_default();
                let port = (!port.is_empty()).then(|| number(port)).transpose()?;
                servers.push((host, port));
            }
            None => servers.push((piece, None)),
        }
    }
    if let Some(ports) = told.ports {
        let ports: Vec<u16> = ports.split(',').map(number).collect::<Result<_, _>>()?;
        for (at, server) in servers.iter_mut().enumerate() {
            let port = ports.get(at).or(ports.first().filter(|_| ports.len() == 1));
            server.1 = Some(*port.ok_or("names more hosts than ports")?);
        }
    }
    Ok(servers)
}

impl<'u> Told<'u> {
    fn read(query: &'u str) -> Result<Self, String> {
        let mut told = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            told.take(pair, name, value)?;
        }
        Ok(told)
    }

    fn take(&mut self, pair: &'u str, name: &str, value: &'u str) -> Result<(), String> {
        match (name, value) {
            ("host", hosts) => self.hosts = Some(hosts),
            ("port", ports) => self.ports = Some(ports),
            ("connect_timeout", seconds) => {
                let seconds: i32 = seconds.parse().map_err(|_not_one| {
                    format!("has connect_timeout={seconds}: it takes whole seconds")
                })?;
                // In libpq 0 waits for ever, and 1 means 2. Here 0 means the default, and 60 is the most.
                self.limit = (seconds > 0)
                    .then(|| Duration::from_secs(u64::from(seconds.unsigned_abs()).clamp(2, 60)));
            }
            ("sslmode" | "ssl-mode", "no-verify") => {
                return Err("has sslmode=no-verify: say sslmode=require, which is TLS without a look at the \
                            certificate, or better sslmode=verify-full"
                    .to_owned());
            }
            ("ssl", "true" | "1") => self.insists = true,
            ("ssl", _) => {
                return Err("has ssl, which says too little: say sslmode=verify-full, or sslmode=disable where the \
                            network is trusted"
                    .to_owned());
            }
            ("sslrootcert" | "ssl-root-cert", "system") => self.system_roots = true,
            ("channel_binding", "require") => {
                return Err("has channel_binding=require, which pgdial cannot do: say sslmode=verify-full, and leave \
                            channel_binding out"
                    .to_owned());
            }
            ("target_session_attrs", "read-only" | "standby" | "prefer-standby") => {
                return Err(format!(
                    "has target_session_attrs={value}: pgdial writes, and takes the first server that can be written to"
                ));
            }
            // Asks for what is so anyway, or changes nothing here.
            _ if is_idle(name, value) => {}
            (
                "sslmode"
                | "ssl-mode"
                | "sslrootcert"
                | "ssl-root-cert"
                | "ssl-ca"
                | "sslcert"
                | "ssl-cert"
                | "sslkey"
                | "ssl-key"
                | "statement-cache-capacity"
                | "hostaddr"
                | "dbname"
                | "user"
                | "password"
                | "options",
                _,
            ) => self.kept.push(pair),
            (name, _) if name.starts_with("options[") || name.starts_with("options%5B") => {
                self.kept.push(pair);
            }
            _ => {
                return Err(format!(
                    "has the parameter {name}, which pgdial does not know or cannot keep: leave it out"
                ));
            }
        }
        Ok(())
    }

    /// Requires TLS for `ssl=true`, and verify-full for `sslrootcert=system`.
    fn secured(&self, options: PgConnectOptions) -> Result<PgConnectOptions, String> {
        let weak = matches!(
            options.get_ssl_mode(),
            PgSslMode::Prefer | PgSslMode::Allow | PgSslMode::Disable
        );
        if self.system_roots && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
            return Err(
                "has sslrootcert=system, which goes with sslmode=verify-full only".to_owned(),
            );
        }
        Ok(if self.insists && weak {
            options.ssl_mode(PgSslMode::Require)
        } else {
            options
        })
    }
}

/// Whether it asks for what is so anyway, or changes nothing here.
fn is_idle(name: &str, value: &str) -> bool {
    let values: &[&str] = match name {
        "target_session_attrs" => &["any", "read-write", "primary"],
        "channel_binding" | "gssencmode" => &["prefer", "disable"],
        "sslnegotiation" => &["postgres"],
        "load_balance_hosts" => &["disable"],
        "application_name"
        | "fallback_application_name"
        | "keepalives"
        | "keepalives_idle"
        | "keepalives_interval"
        | "keepalives_count"
        | "tcp_user_timeout"
        | "pgbouncer" => return true,
        _ => return false,
    };
    values.contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str) -> Result<Vec<String>, String> {
        let targets = Targets::read(&format!("postgres://{rest}"))?;
        let server = |options: &PgConnectOptions| {
            let place = options.get_socket().map_or_else(
                || options.get_host().to_owned(),
                |socket| socket.display().to_string(),
            );
            let (port, mode) = (options.get_port(), options.get_ssl_mode());
            let (user, database) = (options.get_username(), options.get_database());
            format!("{user} {place} {port} {} {mode:?}", database.unwrap_or("-"))
        };
        Ok(targets.servers().iter().map(server).collect())
    }

    #[test]
    fn a_host_in_any_spelling() {
        for (rest, expected) in [
            ("u:p@h:6432/d?sslmode=require", "u h 6432 d Require"),
            ("u@[::1]:5433/d?sslmode=disable", "u ::1 5433 d Disable"),
            ("u@[fe80::1]/d?sslmode=disable", "u fe80::1 5432 d Disable"),
            (
                "u@/d?host=%2Frun%2Fpg&port=5433&sslmode=prefer",
                "u /run/pg 5433 d Prefer",
            ),
            ("u@%2Frun%2Fpg/d?sslmode=prefer", "u /run/pg 5432 d Prefer"),
            (
                "u@localhost:1/d?host=::1&port=5433&sslmode=prefer",
                "u ::1 5433 d Prefer",
            ),
            (
                "u:p%40s%3Aw%2Frd%23%3F@h/My%20App?sslmode=prefer",
                "u h 5432 My App Prefer",
            ),
            ("u@h/d?ssl=true&sslmode=prefer", "u h 5432 d Require"),
            (
                "u@h/d?ssl=true&sslmode=verify-full",
                "u h 5432 d VerifyFull",
            ),
        ] {
            assert_eq!(read(rest), Ok(vec![expected.to_owned()]), "{rest}");
        }
    }

    #[test]
    fn several_hosts_in_their_order() {
        for rest in [
            "u@a,b:5433,[::2]:5434/d?sslmode=disable&target_session_attrs=read-write",
            "u@/d?host=a,b,::2&port=5432,5433,5434&sslmode=disable",
        ] {
            let expected = [
                "u a 5432 d Disable",
                "u b 5433 d Disable",
                "u ::2 5434 d Disable",
            ];
            assert_eq!(
                read(rest),
                Ok(expected.map(str::to_owned).to_vec()),
                "{rest}"
            );
        }
        let one_port = read("u@/d?host=a,b&port=6432&sslmode=disable");
        let expected = ["u a 6432 d Disable", "u b 6432 d Disable"];
        assert_eq!(one_port, Ok(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_what_to_do() {
        for (rest, words) in [
            ("u@h/d?channel_binding=require", "sslmode=verify-full"),
            ("u@h/d?sslmode=no-verify", "sslmode=require"),
            ("u@h/d?ssl=false", "sslmode=disable"),
            ("u@h/d?target_session_attrs=standby", "pgdial writes"),
            (
                "u@h/d?sslrootcert=system&sslmode=require",
                "sslmode=verify-full",
            ),
            ("u@h/d?connect_timeout=soon", "whole seconds"),
            ("u@h/d?require_auth=scram-sha-256", "leave it out"),
            ("u@h/d?gssencmode=require", "leave it out"),
            ("u@a,b/d?port=1,2,3,x", "not a number"),
            ("u@a,b,c/d?port=1,2", "more hosts than ports"),
            ("u@h:port/d", "not a number"),
            ("u@h/d?sslmode=secure", "is not the URL of a database"),
        ] {
            let refusal = read(rest).unwrap_err();
            assert!(refusal.contains(words), "{rest}: {refusal}");
        }
    }

    #[test]
    fn a_refusal_quotes_no_password() {
        for rest in [
            "u:hidden@h:x/d",
            "u:hidden@h/d?sslmode=x",
            "u:hidden@h/d?odd=1",
        ] {
            let refusal = read(rest).unwrap_err();
            assert!(!refusal.contains("hidden"), "{refusal}");
        }
    }

    #[test]
    fn one_that_does_not_answer_leaves_time_for_the_others() {
        let limits = |rest: &str| {
            let targets = Targets::read(&format!("postgres://{rest}")).unwrap();
            (
                targets.limit().as_millis(),
                targets.limit_of_all().as_millis(),
            )
        };
        assert_eq!(limits("u@a/d"), (5_000, 5_000));
        assert_eq!(limits("u@a,b/d"), (2_500, 5_000));
        assert_eq!(limits("u@a,b/d?connect_timeout=10"), (10_000, 20_000));
        assert_eq!(limits("u@a/d?connect_timeout=0"), (5_000, 5_000));
    }
}
